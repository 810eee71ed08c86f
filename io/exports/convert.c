/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"
#include "io/exports/exports.h"
#include "isotrace/listmode.h"
#include "isotrace/time.h"
#include "isotrace/version.h"

/* The writer does not know how many events will come; the export knows how many records it has. */
typedef struct listener {
	const iso_progress *progress;
	iso_events *events;
	double records;
} listener;

static int report(void *user, const char *stage, double done)
{
	const listener *self = user;
	iso_event_counts counts;
	iso_events_counts(self->events, &counts);
	if (self->records > 0) done = (double)counts.records / self->records;
	return self->progress->report(self->progress->user, stage, done);
}

static iso_status add_file(iso_json *json, json_t *files, const char *path, iso_error *err)
{
	char hex[65];
	const iso_status status = iso_hash_file(path, hex, err);
	if (status == ISO_OK)
		iso_json_append(json, files, json_pack("{s:s, s:s}", "name", iso_base_name(path), "sha256", hex));
	return status;
}

/* All files that the events come from. */
static iso_status list_files(const char *path, const iso_export_options *options, iso_json *json, json_t *files,
			     iso_error *err)
{
	char data[1024];
	iso_file_kind kind;
	iso_status status = iso_file_identify(path, &kind, err);
	if (status == ISO_OK) status = add_file(json, files, path, err);
	if (status == ISO_OK && kind == ISO_FILE_PETLINK_HEADER && iso_petlink_header_data(path, data))
		status = add_file(json, files, data, err);
	if (status == ISO_OK && kind == ISO_FILE_SAFIR && options->crystal_map_path)
		status = add_file(json, files, options->crystal_map_path, err);
	return status;
}

static void put_number(iso_json *json, json_t *to, const char *key, double value)
{
	if (isfinite(value)) iso_json_set(json, to, key, json_real(value));
}

static void put_text(iso_json *json, json_t *to, const char *key, const char *value)
{
	if (value[0]) iso_json_set(json, to, key, iso_json_readable(value));
}

/* What the user stated, as far as anything was. */
static json_t *stated_facts(iso_json *json, const iso_export_options *o)
{
	char text[40];
	json_t *stated = json_object();
	put_text(json, stated, "scanner_name", o->stated.scanner_name);
	put_text(json, stated, "nuclide", o->stated.nuclide);
	put_text(json, stated, "tracer", o->stated.tracer);
	put_text(json, stated, "subject", o->stated.subject);
	put_text(json, stated, "start_utc", iso_time_text(o->stated.start_utc_s, text));
	put_text(json, stated, "injection_utc", iso_time_text(o->stated.injection_utc_s, text));
	put_number(json, stated, "injected_activity_bq", o->stated.injected_activity_bq);
	put_number(json, stated, "mean_depth_mm", o->mean_depth_mm);
	put_number(json, stated, "calibration_factor", o->calibration_factor);
	put_number(json, stated, "calibration_uncertainty", o->calibration_uncertainty);
	return stated;
}

static iso_status make_provenance(const char *path, const iso_export_options *options, const iso_events *events,
				  char **text, iso_error *err)
{
	const char *own = iso_export_provenance(events), *native = iso_listmode_provenance(events);
	iso_json json = iso_json_begin();
	json_t *files = json_array(), *given = NULL, *source = NULL;
	iso_json_put(&json, "software", json_string("isotrace " ISO_VERSION));
	iso_json_put(&json, "step", json_string("convert"));
	iso_status status = list_files(path, options, &json, files, err);
	iso_json_put(&json, "files", files);
	if (status == ISO_OK && own) status = iso_json_parse(own, strlen(own), path, &given, err);
	if (given) iso_json_put(&json, "export", given);
	if (status == ISO_OK && native && native[0])
		status = iso_json_parse(native, strlen(native), path, &source, err);
	if (source) iso_json_put(&json, "source", source);
	iso_json_put(&json, "stated", stated_facts(&json, options));
	if (status == ISO_OK) status = iso_json_text(&json, JSON_INDENT(2), path, text, err);
	iso_json_end(&json);
	return status;
}

void iso_export_note_warnings(const iso_events *events, const iso_progress *progress)
{
	const char *own = iso_export_provenance(events), *native = iso_listmode_provenance(events);
	if (!progress || !progress->note) return;
	json_t *facts = json_loads(own ? own : native ? native : "{}", 0, NULL);
	const json_t *from = json_object_get(facts, "export"); /* a native file keeps its export's */
	size_t n;
	json_t *warning;
	json_array_foreach(json_object_get(from ? from : facts, "warnings"), n, warning)
	{
		char line[512];
		const char *text = json_string_value(warning);
		snprintf(line, sizeof line, "warning: %s",
			 text ? text : "the provenance has a warning that is no text");
		progress->note(progress->user, line);
	}
	json_decref(facts);
}

iso_status iso_export_convert(const char *path, const iso_export_options *options, const char *listmode_path,
			      const iso_progress *progress, iso_event_counts *counts, char **provenance_json,
			      iso_error *err)
{
	const iso_export_options standard = iso_export_options_default();
	iso_events *events = NULL;
	char *provenance = NULL;
	if (provenance_json) *provenance_json = NULL;
	if (!options) options = &standard;
	if (options->count_only)
		return iso_fail(err, ISO_BAD_USAGE, path, "convert without count_only",
				"a stream for counting has no scanner");
	iso_status status = iso_export_open(path, options, &events, err);
	if (status != ISO_OK) return status;
	listener ear = {.progress = progress, .events = events, .records = (double)iso_record_stream_records(events)};
	const iso_progress heard = {.report = progress && progress->report ? report : NULL, .user = &ear};
	iso_export_note_warnings(events, progress);
	status = make_provenance(path, options, events, &provenance, err);
	if (status == ISO_OK)
		status =
		    iso_listmode_write_all(listmode_path, events, provenance, progress ? &heard : NULL, counts, err);
	iso_events_close(events);
	if (status == ISO_OK && provenance_json)
		*provenance_json = provenance;
	else
		free(provenance);
	return status;
}
