/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
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

static iso_status add_file(json_t *files, const char *path, iso_error *err)
{
	char hex[65];
	const iso_status status = iso_hash_file(path, hex, err);
	if (status != ISO_OK) return status;
	if (json_array_append_new(
		files, json_pack("{s:o, s:s}", "name", iso_export_json_text(iso_base_name(path)), "sha256", hex)) != 0)
		return iso_fail_memory(err, "the provenance", 256);
	return ISO_OK;
}

/* All files that the events come from. */
static iso_status list_files(const char *path, const iso_export_options *options, json_t *files, iso_error *err)
{
	char data[1024];
	iso_file_kind kind;
	iso_status status = iso_file_identify(path, &kind, err);
	if (status == ISO_OK) status = add_file(files, path, err);
	if (status == ISO_OK && kind == ISO_FILE_PETLINK_HEADER && iso_petlink_header_data(path, data))
		status = add_file(files, data, err);
	if (status == ISO_OK && kind == ISO_FILE_SAFIR && options->crystal_map_path)
		status = add_file(files, options->crystal_map_path, err);
	return status;
}

static void put_number(json_t *to, const char *key, double value)
{
	if (isfinite(value)) json_object_set_new(to, key, json_real(value));
}

static void put_text(json_t *to, const char *key, const char *value)
{
	if (value[0]) json_object_set_new(to, key, iso_export_json_text(value));
}

/* What the user stated, as far as anything was. */
static json_t *stated_facts(const iso_export_options *o)
{
	char text[40];
	json_t *stated = json_object();
	put_text(stated, "scanner_name", o->stated.scanner_name);
	put_text(stated, "nuclide", o->stated.nuclide);
	put_text(stated, "tracer", o->stated.tracer);
	put_text(stated, "subject", o->stated.subject);
	put_text(stated, "start_utc", iso_time_text(o->stated.start_utc_s, text));
	put_text(stated, "injection_utc", iso_time_text(o->stated.injection_utc_s, text));
	put_number(stated, "injected_activity_bq", o->stated.injected_activity_bq);
	put_number(stated, "mean_depth_mm", o->mean_depth_mm);
	put_number(stated, "calibration_factor", o->calibration_factor);
	put_number(stated, "calibration_uncertainty", o->calibration_uncertainty);
	return stated;
}

static iso_status make_provenance(const char *path, const iso_export_options *options, const iso_events *events,
				  char **text, iso_error *err)
{
	const char *own = iso_export_provenance(events), *native = iso_listmode_provenance(events);
	json_t *files = json_array();
	json_t *provenance = json_pack("{s:s, s:s}", "software", "isotrace " ISO_VERSION, "step", "convert");
	iso_status status = files && provenance ? ISO_OK : iso_fail_memory(err, "the provenance", 1024);
	if (status == ISO_OK) status = list_files(path, options, files, err);
	if (status == ISO_OK) {
		json_object_set(provenance, "files", files);
		if (own) json_object_set_new(provenance, "export", json_loads(own, 0, NULL));
		if (native && native[0]) json_object_set_new(provenance, "source", json_loads(native, 0, NULL));
		json_object_set_new(provenance, "stated", stated_facts(options));
		*text = json_dumps(provenance, JSON_INDENT(2));
		if (!*text) status = iso_fail_memory(err, "the provenance", 1024);
	}
	json_decref(files);
	json_decref(provenance);
	return status;
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
