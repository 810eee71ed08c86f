/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/convert_dicom.h"
#include "cli/export_facts.h"
#include "core/error.h"

typedef struct arguments {
	const char *input, *crystal_map;
	bool json;
} arguments;

enum { KEY_JSON = 300, KEY_MAP };

static const struct argp_option options[] = {
    {"json", KEY_JSON, 0, 0, "print as JSON; what is not known is null", 0},
    {"crystal-map", KEY_MAP, "FILE", 0, "SAFIR: check the events against this crystal map, too", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
	arguments *a = state->input;
	switch (key) {
	case KEY_JSON: a->json = true; break;
	case KEY_MAP: a->crystal_map = value; break;
	case ARGP_KEY_ARG:
		if (a->input) return ARGP_ERR_UNKNOWN;
		a->input = value;
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE|FOLDER",
    .doc =
	"Says what a file holds: list-mode (native or a scanner's export), a volume, or DICOM. Of a folder with DICOM "
	"files it "
	"says which series are there and what each can be used for. Exports are read to the end, because only so their "
	"events can be counted.\v"
	"Names and IDs of patients are not printed.\n\n"
	"Example:\n  isotrace info scan.l.hdr --json\n  isotrace info dicom/M01"};

/* Reads to the end, so that every record has its fate. */
static iso_status count_all(iso_events *events, iso_event_counts *counts, iso_error *err)
{
	enum { BATCH = 65536 };
	iso_event *batch = malloc(BATCH * sizeof *batch);
	if (!batch) return iso_fail_memory(err, "reading events", BATCH * sizeof *batch);
	size_t count = 1;
	iso_status status = ISO_OK;
	while (status == ISO_OK && count > 0) status = iso_events_read(events, batch, BATCH, &count, err);
	free(batch);
	iso_events_counts(events, counts);
	return status;
}

static iso_status listmode_facts(const arguments *a, iso_file_kind kind, json_t **facts, iso_error *err)
{
	iso_export_options export = iso_export_options_default();
	iso_events *events = NULL;
	iso_event_counts counts;
	export.count_only = true;
	export.crystal_map_path = a->crystal_map;
	iso_status status = iso_export_open(a->input, &export, &events, err);
	if (status == ISO_OK && kind == ISO_FILE_LISTMODE)
		iso_events_counts(events, &counts);
	else if (status == ISO_OK)
		status = count_all(events, &counts, err);
	if (status == ISO_OK) {
		const char *native = iso_listmode_provenance(events), *own = iso_export_provenance(events);
		*facts = cli_event_facts(events, &counts, kind != ISO_FILE_SAFIR || a->crystal_map);
		json_object_set_new(*facts, "warnings", cli_export_warnings(own ? own : native, &counts));
		json_t *more = own                   ? json_loads(own, 0, NULL)
			       : native && native[0] ? json_loads(native, 0, NULL)
						     : NULL;
		if (more) json_object_set_new(*facts, own ? "export" : "provenance", more);
	}
	iso_events_close(events);
	return status;
}

/* The sidecar's name: .nii.gz or .nii becomes .json. */
static bool has_sidecar(const char *path)
{
	char name[PATH_MAX];
	const size_t length = strlen(path);
	const size_t ending = length > 7 && strcmp(path + length - 7, ".nii.gz") == 0 ? 7
			      : length > 4 && strcmp(path + length - 4, ".nii") == 0  ? 4
										      : 0;
	return (size_t)snprintf(name, sizeof name, "%.*s.json", (int)(length - ending), path) < sizeof name &&
	       access(name, F_OK) == 0;
}

static json_t *grid_facts(const iso_grid *g, const char *modality, size_t frames, iso_unit unit)
{
	return json_pack("{s:s, s:[I,I,I], s:[f,f,f], s:[f,f,f], s:I, s:s}", "modality", modality, "size",
			 (json_int_t)g->size[0], (json_int_t)g->size[1], (json_int_t)g->size[2], "voxel_mm",
			 g->voxel_mm[0], g->voxel_mm[1], g->voxel_mm[2], "origin_mm", g->origin_mm[0], g->origin_mm[1],
			 g->origin_mm[2], "frames", (json_int_t)frames, "units", iso_unit_text(unit));
}

/* Labels and mu maps have no sidecar: nothing says what their numbers are. */
static iso_status image_facts(const arguments *a, json_t **facts, iso_error *err)
{
	iso_image *image = NULL;
	const iso_status status = iso_nifti_read_image(a->input, ISO_UNIT_UNKNOWN, &image, err);
	if (status != ISO_OK) return status;
	*facts = grid_facts(&image->grid, iso_modality_text(ISO_MODALITY_UNKNOWN), 1, ISO_UNIT_UNKNOWN);
	json_object_set_new(*facts, "warnings",
			    json_pack("[s]", "no sidecar (.json): the unit of the values is not known"));
	iso_image_free(image);
	return ISO_OK;
}

static iso_status volume_facts(const arguments *a, json_t **facts, iso_error *err)
{
	iso_volume *volume = NULL;
	char start[40];
	const iso_status status = iso_volume_read(a->input, &volume, err);
	if (status != ISO_OK) return status;
	const iso_acquisition *q = &volume->acquisition;
	const double end_s = volume->frames
				 ? volume->frame[volume->frames - 1].start_s +
				       volume->frame[volume->frames - 1].duration_s - volume->frame[0].start_s
				 : (double)NAN;
	*facts = grid_facts(&volume->grid, iso_modality_text(q->modality), volume->frames, volume->unit);
	const struct {
		const char *key, *value;
	} texts[] = {{"scanner", q->scanner_name},
		     {"nuclide", q->nuclide},
		     {"tracer", q->tracer},
		     {"subject", q->subject},
		     {"start", iso_time_text(q->start_utc_s, start)},
		     {"method", volume->facts.method}};
	for (size_t t = 0; *facts && t < sizeof texts / sizeof *texts; t++)
		json_object_set_new(*facts, texts[t].key, cli_text_or_null(texts[t].value));
	if (volume->gating.gates) {
		const iso_gating *g = &volume->gating;
		json_object_set_new(*facts, "gates", json_integer((json_int_t)g->gates));
		json_object_set_new(*facts, "trigger", json_string(iso_trigger_text(g->trigger)));
		json_object_set_new(*facts, "cycle_s", isfinite(g->cycle_s) ? json_real(g->cycle_s) : json_null());
		json_object_set_new(*facts, "cycles", isfinite(g->cycles) ? json_real(g->cycles) : json_null());
	}
	json_object_set_new(*facts, "duration_s", isfinite(end_s) ? json_real(end_s) : json_null());
	json_object_set_new(*facts, "prompts", json_real(volume->facts.prompts));
	json_object_set_new(*facts, "delayeds", json_real(volume->facts.delayeds));
	json_object_set_new(*facts, "warnings", json_array());
	iso_volume_free(volume);
	return ISO_OK;
}

static json_t *series_facts(const iso_dicom_series *s)
{
	json_t *o = json_object();
	json_object_set_new(o, "is", json_string(iso_dicom_use_text(s->use)));
	json_object_set_new(o, "usable", json_boolean(s->use != ISO_DICOM_NO_USE));
	json_object_set_new(o, "use", json_string(iso_dicom_use_advice(s->use)));
	json_object_set_new(o, "modality", cli_text_or_null(s->modality));
	json_object_set_new(o, "description", cli_text_or_null(s->description));
	json_object_set_new(o, "files", json_integer((json_int_t)s->files));
	json_object_set_new(o, "gates", s->gates ? json_integer((json_int_t)s->gates) : json_null());
	json_object_set_new(o, "first_file", cli_text_or_null(s->first_file));
	json_object_set_new(o, "patient", json_integer(s->patient));
	json_object_set_new(o, "series_uid", cli_text_or_null(s->series_uid));
	json_object_set_new(o, "study_uid", cli_text_or_null(s->study_uid));
	json_object_set_new(o, "frame_of_reference_uid", cli_text_or_null(s->frame_of_reference_uid));
	return o;
}

static void print_folder(const iso_dicom_folder *folder)
{
	for (size_t n = 0; n < folder->count; n++) {
		const iso_dicom_series *s = folder->series + n;
		printf("\n%s, %s '%s', %zu file%s%s\n", iso_dicom_use_text(s->use), s->modality, s->description,
		       s->files, s->files > 1 ? "s" : "", s->use == ISO_DICOM_NO_USE ? "" : ":");
		if (folder->patients > 1) printf("  %-20s%u of %u\n", "patient", s->patient, folder->patients);
		if (s->gates) printf("  %-20s%zu\n", "gates", s->gates);
		printf("  %-20s%s\n  %-20s%s\n  %-20s%s\n", "use", iso_dicom_use_advice(s->use), "series UID",
		       s->series_uid, "first file", s->first_file);
	}
}

/* DICOM, whether one file or a folder of many. */
static int dicom_info(const arguments *a)
{
	iso_dicom_folder *folder;
	iso_error err;
	char text[640];
	if (iso_dicom_look(a->input, &folder, &err) != ISO_OK) return cli_fail(&err);
	if (!folder->count) {
		(void)iso_fail(&err, ISO_BAD_INPUT, folder->damaged ? folder->first_damaged : a->input,
			       folder->damaged ? "copy the file again from where it came"
					       : "name a file, or a folder with DICOM files",
			       "no whole DICOM file is here: %zu are damaged or truncated, %zu are no DICOM",
			       folder->damaged, folder->no_dicom);
		iso_dicom_folder_free(folder);
		return cli_fail(&err);
	}
	json_t *all = json_object(), *series = json_array(), *warnings = json_array();
	for (size_t n = 0; n < folder->count; n++) json_array_append_new(series, series_facts(folder->series + n));
	if (folder->patients > 1) {
		snprintf(text, sizeof text, "%u patients: each should have a folder", folder->patients);
		json_array_append_new(warnings, json_string(text));
	}
	if (folder->damaged) {
		snprintf(text, sizeof text, "%zu files are damaged, first %s", folder->damaged, folder->first_damaged);
		json_array_append_new(warnings, cli_text_or_null(text));
	}
	json_object_set_new(all, "file", cli_text_or_null(a->input));
	json_object_set_new(all, "kind", json_string(iso_file_kind_text(ISO_FILE_DICOM)));
	json_object_set_new(all, "patients", json_integer(folder->patients));
	json_object_set_new(all, "other_files", json_integer((json_int_t)folder->no_dicom));
	json_object_set_new(all, "warnings", warnings);
	if (a->json) json_object_set(all, "series", series);
	json_decref(series);
	cli_print_result(all, a->json);
	if (!a->json) print_folder(folder);
	iso_dicom_folder_free(folder);
	return 0;
}

int cli_info(int argc, char **argv)
{
	arguments a = {.input = NULL};
	iso_error err = {.status = ISO_OK};
	iso_file_kind kind;
	json_t *facts = NULL;
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (!a.input) return cli_usage("info", "name a file");
	if (cli_is_dicom(a.input)) return dicom_info(&a);
	iso_status status = iso_file_identify(a.input, &kind, &err);
	if (status == ISO_OK && kind == ISO_FILE_NIFTI)
		status = has_sidecar(a.input) ? volume_facts(&a, &facts, &err) : image_facts(&a, &facts, &err);
	else if (status == ISO_OK)
		status = listmode_facts(&a, kind, &facts, &err);
	if (status != ISO_OK) return cli_fail(&err);
	/* A .l file without a signature was read through its header. */
	if (kind == ISO_FILE_UNKNOWN) kind = ISO_FILE_PETLINK_HEADER;
	json_t *all = json_pack("{s:o, s:s}", "file", cli_text_or_null(a.input), "kind", iso_file_kind_text(kind));
	json_object_update(all, facts);
	json_decref(facts);
	cli_print_result(all, a.json);
	return 0;
}
