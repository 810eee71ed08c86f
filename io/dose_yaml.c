/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * dose.yaml, described in docs/dose-file.md. Every value is taken as text and converted here: libcyaml would read
 * "12.3 MBq" under activity_bq as 12.3. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "io/yaml.h"
#include "isotrace/dose.h"
#include "isotrace/time.h"

typedef struct assay_text {
	char *activity_bq, *activity_kbq, *activity_mbq, *time;
} assay_text;

typedef struct dose_text {
	char *nuclide, *tracer, *route, *injection_time, *relative_uncertainty_percent, *body_mass_g,
	    *body_mass_uncertainty_g, *excreted_percent_id;
	assay_text *syringe_before, *syringe_after;
} dose_text;

#define TEXT(type, key) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, key, 0, 200)

static const cyaml_schema_field_t assay_fields[] = {
    TEXT(assay_text, activity_bq),
    TEXT(assay_text, activity_kbq),
    TEXT(assay_text, activity_mbq),
    TEXT(assay_text, time),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t dose_fields[] = {
    TEXT(dose_text, nuclide),
    TEXT(dose_text, tracer),
    TEXT(dose_text, route),
    TEXT(dose_text, injection_time),
    TEXT(dose_text, relative_uncertainty_percent),
    TEXT(dose_text, body_mass_g),
    TEXT(dose_text, body_mass_uncertainty_g),
    TEXT(dose_text, excreted_percent_id),
    CYAML_FIELD_MAPPING_PTR("syringe_before", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, dose_text, syringe_before,
			    assay_fields),
    CYAML_FIELD_MAPPING_PTR("syringe_after", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, dose_text, syringe_after,
			    assay_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t dose_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, dose_text, dose_fields),
};

/* Line of `key` at the left margin, or of `inner` below it where that is found; 0: not found. libcyaml does not keep the
 * lines of what it has accepted. */
static long line_of(const char *path, const char *key, const char *inner)
{
	char *text;
	if (iso_read_file(path, 16u << 20, &text, NULL, NULL) != ISO_OK) return 0;
	long number = 0, found = 0;
	for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		number++;
		const char *first = at + strspn(at, " \t\"'");
		if (*first == '#' || *first == '\n' || *first == '\r' || *first == '\0') continue;
		const bool margin = *at != ' ' && *at != '\t';
		if (found && margin) break;
		if (margin && strncmp(first, key, strlen(key)) == 0 && strchr(": \t\"'", first[strlen(key)]))
			found = number;
		const char *end = strchr(at, '\n');
		const char *hit = found && inner ? strstr(at, inner) : NULL;
		if (hit && (!end || hit < end)) {
			found = number;
			break;
		}
	}
	free(text);
	return found;
}

typedef struct reader {
	const char *path;
	iso_error *err;
} reader;

static iso_status wrong(const reader *r, const char *key, const char *inner, const char *remedy, const char *what)
{
	const long line = line_of(r->path, key, inner);
	return iso_fail_at(r->err, ISO_BAD_INPUT, r->path, line ? ISO_POSITION_LINE : ISO_POSITION_NONE, line, remedy,
			   "%s%s%s: %s", key, inner ? "." : "", inner ? inner : "", what);
}

/* text NULL: *value stays. */
static iso_status number(const reader *r, const char *key, const char *inner, const char *text, double *value)
{
	if (!text) return ISO_OK;
	char *end, what[160];
	const double read = iso_strtod(text, &end);
	if (end != text && *end == '\0' && isfinite(read)) {
		*value = read;
		return ISO_OK;
	}
	snprintf(what, sizeof what, "'%.100s' is not a number", text);
	return wrong(r, key, inner, "write a plain number with a decimal point; the key's name ends in the unit", what);
}

static iso_status moment(const reader *r, const char *key, const char *inner, const char *text, double *utc_s)
{
	iso_error why;
	if (iso_time_parse(text, r->path, utc_s, &why) == ISO_OK) return ISO_OK;
	return wrong(r, key, inner, why.remedy, why.message);
}

static iso_status copy(const reader *r, const char *key, const char *text, char *into, size_t size)
{
	if (!text) return ISO_OK;
	if (strlen(text) >= size) return wrong(r, key, NULL, "use a shorter name", "the text is too long");
	snprintf(into, size, "%s", text);
	return ISO_OK;
}

static iso_status assay(const reader *r, const char *key, const assay_text *text, bool may_be_nothing, iso_assay *out)
{
	if (!text) {
		const char *remedy = may_be_nothing ? "measure the emptied syringe; if it is known that nothing was "
						      "left, state that: syringe_after: {activity_mbq: 0}"
						    : "add syringe_before: {activity_mbq: ..., time: ...}";
		return iso_fail(r->err, ISO_BAD_INPUT, r->path, remedy, "%s is missing", key);
	}
	const struct {
		const char *key, *text;
		double bq;
	} units[] = {{"activity_bq", text->activity_bq, 1},
		     {"activity_kbq", text->activity_kbq, 1e3},
		     {"activity_mbq", text->activity_mbq, 1e6}};
	int stated = 0;
	iso_status status = ISO_OK;
	for (int u = 0; u < 3 && status == ISO_OK; u++) {
		if (!units[u].text) continue;
		stated++;
		status = number(r, key, units[u].key, units[u].text, &out->activity_bq);
		out->activity_bq *= units[u].bq;
	}
	if (status != ISO_OK) return status;
	if (stated != 1)
		return wrong(r, key, NULL, "give exactly one of activity_bq, activity_kbq, activity_mbq",
			     stated ? "the activity is stated more than once" : "the activity is not stated");
	if (text->time) return moment(r, key, "time", text->time, &out->utc_s);
	if (may_be_nothing && out->activity_bq == 0) return ISO_OK;
	return wrong(r, key, NULL, "add time: with date, clock time and zone", "the time of the reading is not stated");
}

static iso_status take(const reader *r, const dose_text *text, iso_dose *dose)
{
	const iso_nuclide *nuclide;
	if (!text->nuclide)
		return iso_fail(r->err, ISO_BAD_INPUT, r->path, "add nuclide: Cu-64 or the like", "nuclide is missing");
	iso_status status = iso_nuclide_find(text->nuclide, r->path, &nuclide, r->err);
	if (status != ISO_OK) {
		iso_error why = {.message = "unknown"};
		(void)iso_nuclide_find(text->nuclide, NULL, &nuclide, &why);
		return wrong(r, "nuclide", NULL, why.remedy, why.message);
	}
	snprintf(dose->nuclide, sizeof dose->nuclide, "%s", nuclide->name);
	if ((status = copy(r, "tracer", text->tracer, dose->tracer, sizeof dose->tracer)) != ISO_OK) return status;
	if ((status = copy(r, "route", text->route, dose->route, sizeof dose->route)) != ISO_OK) return status;
	if ((status = assay(r, "syringe_before", text->syringe_before, false, &dose->before)) != ISO_OK) return status;
	if ((status = assay(r, "syringe_after", text->syringe_after, true, &dose->after)) != ISO_OK) return status;
	if (!text->injection_time)
		return iso_fail(r->err, ISO_BAD_INPUT, r->path, "add injection_time: 2026-03-14T09:30:00+01:00",
				"injection_time is missing");
	status = moment(r, "injection_time", NULL, text->injection_time, &dose->injection_utc_s);
	if (status != ISO_OK) return status;
	const struct {
		const char *key, *text;
		double *value;
	} numbers[] = {
	    {"relative_uncertainty_percent", text->relative_uncertainty_percent, &dose->relative_uncertainty},
	    {"body_mass_g", text->body_mass_g, &dose->body_mass_g},
	    {"body_mass_uncertainty_g", text->body_mass_uncertainty_g, &dose->body_mass_uncertainty_g},
	    {"excreted_percent_id", text->excreted_percent_id, &dose->excreted_percent_id},
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if ((status = number(r, numbers[i].key, NULL, numbers[i].text, numbers[i].value)) != ISO_OK)
			return status;
	dose->relative_uncertainty /= 100;
	return ISO_OK;
}

iso_status iso_dose_read(const char *path, iso_dose *dose, iso_error *err)
{
	*dose = (iso_dose){.before = {(double)NAN, (double)NAN},
			   .after = {(double)NAN, (double)NAN},
			   .injection_utc_s = (double)NAN,
			   .relative_uncertainty = (double)NAN,
			   .body_mass_g = (double)NAN,
			   .body_mass_uncertainty_g = (double)NAN};
	void *data;
	iso_status status = iso_yaml_load(path, &dose_schema, &data, err);
	if (status != ISO_OK) return status;
	const reader r = {.path = path, .err = err};
	status = take(&r, data, dose);
	iso_yaml_free(&dose_schema, data);
	return status == ISO_OK ? iso_dose_check(dose, path, err) : status;
}
