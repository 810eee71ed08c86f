/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/export_facts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/json.h"

json_t *cli_text_or_null(const char *text)
{
	json_t *value = text[0] ? json_string(text) : NULL; /* NULL, too, when it is not UTF-8 */
	return value ? value : json_null();
}

static json_t *moment_or_null(double utc_s)
{
	char text[40];
	return cli_text_or_null(iso_time_text(utc_s, text));
}

static json_t *rejected_facts(const iso_event_counts *counts)
{
	json_t *rejected = json_object();
	for (int r = 0; r < ISO_REJECT_REASONS; r++)
		if (counts->rejected[r])
			json_object_set_new(rejected, iso_reject_text(r),
					    json_integer((json_int_t)counts->rejected[r]));
	return rejected;
}

json_t *cli_event_facts(const iso_events *events, const iso_event_counts *c, bool scanner_known)
{
	const iso_scanner *s = iso_events_scanner(events);
	const iso_acquisition *a = iso_events_acquisition(events);
	json_t *f = json_object();
	const char *name = a->scanner_name[0] ? a->scanner_name : s->name;
	json_object_set_new(f, "modality", json_string(iso_modality_text(a->modality)));
	json_object_set_new(f, "records", json_integer((json_int_t)c->records));
	json_object_set_new(f, "prompts", json_integer((json_int_t)c->prompts));
	json_object_set_new(f, "delayeds", json_integer((json_int_t)c->delayeds));
	json_object_set_new(f, "time_tags", json_integer((json_int_t)c->tags_time));
	json_object_set_new(f, "other_tags", json_integer((json_int_t)c->tags_other));
	json_object_set_new(f, "rejected", rejected_facts(c));
	json_object_set_new(f, "duration_s", iso_json_number(a->duration_s));
	json_object_set_new(f, "start", moment_or_null(a->start_utc_s));
	json_object_set_new(f, "scanner", cli_text_or_null(name));
	json_object_set_new(f, "elements", scanner_known ? json_integer(s->elements) : json_null());
	if (s->block_crystals[0])
		json_object_set_new(f, "blocks",
				    json_pack("{s:I, s:I, s:I}", "number", (json_int_t)iso_scanner_blocks(s),
					      "crystals_transaxial", (json_int_t)s->block_crystals[0], "crystals_axial",
					      (json_int_t)s->block_crystals[1]));
	json_object_set_new(f, "tof_bins", json_integer(s->tof.bins));
	json_object_set_new(f, "calibration_factor", iso_json_number(s->calibration_factor));
	json_object_set_new(f, "nuclide", cli_text_or_null(a->nuclide));
	json_object_set_new(f, "half_life_s", iso_json_number(a->half_life_s));
	json_object_set_new(f, "branching_fraction", iso_json_number(a->branching_fraction));
	json_object_set_new(f, "tracer", cli_text_or_null(a->tracer));
	json_object_set_new(f, "subject", cli_text_or_null(a->subject));
	json_object_set_new(f, "injection", moment_or_null(a->injection_utc_s));
	json_object_set_new(f, "injected_activity_bq", iso_json_number(a->injected_activity_bq));
	if (isfinite(a->energy_window_kev[0]) && isfinite(a->energy_window_kev[1]))
		json_object_set_new(f, "energy_window_kev",
				    json_pack("[f,f]", a->energy_window_kev[0], a->energy_window_kev[1]));
	json_object_set_new(f, "energy_resolution", iso_json_number(a->energy_resolution));
	const iso_gantry *gantry = iso_events_gantry(events);
	if (gantry) json_object_set_new(f, "gantry_positions", json_integer((json_int_t)gantry->count));
	const iso_singles *singles = iso_events_singles(events);
	if (singles)
		json_object_set_new(f, "singles",
				    json_pack("{s:I, s:I, s:f, s:I}", "photons", (json_int_t)iso_singles_total(singles),
					      "groups", (json_int_t)singles->groups, "interval_s", singles->interval_s,
					      "intervals", (json_int_t)singles->intervals));
	json_object_set_new(f, "units", json_string("events"));
	return f;
}

json_t *cli_export_warnings(const char *provenance, const iso_event_counts *counts)
{
	json_t *list = json_array(), *facts = provenance && provenance[0] ? json_loads(provenance, 0, NULL) : NULL;
	const json_t *from = json_object_get(facts, "export"); /* a native file's provenance holds the export's */
	const json_t *own = json_object_get(from ? from : facts, "warnings");
	size_t n;
	json_t *line;
	json_array_foreach(own, n, line) json_array_append(list, line);
	json_decref(facts);
	for (int r = 0; counts && r < ISO_REJECT_REASONS; r++) {
		char text[160];
		if (!counts->rejected[r]) continue;
		snprintf(text, sizeof text, "%" PRIu64 " records rejected: %s", counts->rejected[r],
			 iso_reject_text(r));
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void print_value(const json_t *value)
{
	if (json_is_string(value))
		printf("%s\n", json_string_value(value));
	else if (json_is_integer(value))
		printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
	else if (json_is_real(value))
		printf("%.9g\n", json_real_value(value));
	else if (json_is_boolean(value))
		puts(json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value)) {
		size_t n;
		json_t *item;
		const char *separator = json_array_size(value) == 2 ? " to " : ", "; /* two numbers are a range */
		if (json_array_size(value) == 0) puts("none");
		json_array_foreach(value, n, item)
		{
			if (n && json_is_string(item)) printf("%-22s", "");
			if (json_is_string(item))
				puts(json_string_value(item));
			else
				printf("%.9g%s", json_number_value(item),
				       n + 1 == json_array_size(value) ? "\n" : separator);
		}
	} else if (json_is_object(value)) {
		const char *key;
		json_t *item;
		if (json_object_size(value) == 0) puts("none");
		size_t n = 0;
		json_object_foreach((json_t *)(size_t)value, key, item)
		{
			if (n++) printf("%-22s", "");
			printf("%s: ", key);
			print_value(item);
		}
	} else
		puts("not known");
}

void cli_print_facts(const json_t *facts)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(size_t)facts, key, value)
	{
		printf("%-22s", key);
		print_value(value);
	}
}

void cli_print_result(json_t *facts, bool json)
{
	if (json) {
		(void)json_dumpf(facts, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else
		cli_print_facts(facts);
	json_decref(facts);
}
