/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * isotrace convert for what comes as DICOM. */
#include "cli/convert_dicom.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/export_facts.h"
#include "core/error.h"
#include "io/dicom_time.h"
#include "io/json.h"

bool cli_is_dicom(const char *path)
{
	struct stat info;
	iso_file_kind kind;
	if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return true;
	return iso_file_identify(path, &kind, NULL) == ISO_OK && kind == ISO_FILE_DICOM;
}

static iso_status take_options(const cli_dicom_request *r, iso_dicom_in_options *o, iso_error *err)
{
	*o = iso_dicom_in_options_default();
	o->series_uid = r->series;
	o->nuclide = r->nuclide;
	if (r->zone && isnan(o->zone_s = iso_dicom_zone(r->zone)))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "write it as +01:00", "--time-zone '%.40s' is no zone",
				r->zone);
	if (r->decay_reference && strcmp(r->decay_reference, "none") == 0)
		o->decay_reference_utc_s = (double)INFINITY;
	else if (r->decay_reference) {
		const iso_status status = iso_time_parse(r->decay_reference, NULL, &o->decay_reference_utc_s, err);
		if (status != ISO_OK && err) return err->status = ISO_BAD_USAGE;
	}
	return ISO_OK;
}

/* The syringe is not known, but what came out of it: a reading at the moment of injection, and nothing left. */
static iso_status write_dose(const cli_dicom_request *r, const iso_volume *volume, const iso_dicom_dose *from,
			     iso_error *err)
{
	iso_dose dose = {.before = {from->injected_bq, from->injection_utc_s},
			 .after = {0, (double)NAN},
			 .injection_utc_s = from->injection_utc_s,
			 .relative_uncertainty = (double)NAN,
			 .body_mass_g = from->body_mass_g,
			 .body_mass_uncertainty_g = (double)NAN};
	if (!isfinite(from->injected_bq) || !isfinite(from->injection_utc_s))
		return iso_fail(
		    err, ISO_BAD_INPUT, r->input, "write a dose file by hand (docs/dose-file.md)",
		    "the files do not state the injected activity and its time, or not so that they can be trusted");
	snprintf(dose.nuclide, sizeof dose.nuclide, "%s", volume->acquisition.nuclide);
	snprintf(dose.tracer, sizeof dose.tracer, "%s", from->tracer);
	snprintf(dose.route, sizeof dose.route, "%s", from->route);
	return iso_dose_write(
	    r->dose_file, &dose,
	    "from DICOM (0054,0016): as the console had it, net of what was left in the syringe or not", err);
}

static json_t *volume_result(const cli_dicom_request *r, const iso_volume *v, const iso_dicom_in_facts *f)
{
	char start[40], injection[40];
	const iso_acquisition *a = &v->acquisition;
	json_t *o = json_object(), *warnings = json_array();
	json_object_set_new(o, "kind", json_string("DICOM images"));
	json_object_set_new(o, "output", json_string(r->output));
	json_object_set_new(o, "modality", json_string(iso_modality_text(a->modality)));
	json_object_set_new(o, "series_uid", cli_text_or_null(f->series_uid));
	json_object_set_new(o, "files", json_integer((json_int_t)f->files));
	json_object_set_new(o, "frames", json_integer((json_int_t)v->frames));
	if (v->gating.gates) json_object_set_new(o, "gates", json_integer((json_int_t)v->gating.gates));
	json_object_set_new(o, "units", json_string(iso_unit_text(v->unit)));
	json_object_set_new(o, "nuclide", cli_text_or_null(a->nuclide));
	json_object_set_new(o, "start", cli_text_or_null(iso_time_text(a->start_utc_s, start)));
	json_object_set_new(o, "decay_reference_s", iso_json_number(v->decay_reference_s));
	json_object_set_new(o, "injection", cli_text_or_null(iso_time_text(f->dose.injection_utc_s, injection)));
	json_object_set_new(o, "injected_activity_bq", iso_json_number(f->dose.injected_bq));
	json_object_set_new(o, "body_mass_g", iso_json_number(f->dose.body_mass_g));
	json_object_set_new(o, "calibration", cli_text_or_null(v->corrections.calibration));
	for (size_t w = 0; w < f->warning_count; w++) json_array_append_new(warnings, json_string(f->warnings[w]));
	json_object_set_new(o, "warnings", warnings);
	return o;
}

static void print(const cli_dicom_request *r, json_t *result)
{
	size_t n;
	json_t *line;
	json_array_foreach(json_object_get(result, "warnings"), n, line) if (!r->json)
	    fprintf(stderr, "isotrace: warning: %s\n", json_string_value(line));
	if (r->quiet && !r->json)
		json_decref(result);
	else
		cli_print_result(result, r->json);
}

static int convert_volume(const cli_dicom_request *r)
{
	iso_dicom_in_options options;
	iso_dicom_in_facts facts;
	iso_volume *volume = NULL;
	iso_error err;
	iso_status status = take_options(r, &options, &err);
	if (status == ISO_OK)
		status =
		    iso_dicom_read_volume(r->input, &options, cli_progress(r->quiet || r->json), &volume, &facts, &err);
	cli_progress_end();
	if (status == ISO_OK && r->subject)
		snprintf(volume->acquisition.subject, sizeof volume->acquisition.subject, "%s", r->subject);
	if (status == ISO_OK && r->dose_file) status = write_dose(r, volume, &facts.dose, &err);
	if (status == ISO_OK) status = iso_volume_write(r->output, volume, &err);
	if (status == ISO_OK) print(r, volume_result(r, volume, &facts));
	iso_volume_free(volume);
	return status == ISO_OK ? 0 : cli_fail(&err);
}

/* The grid of a NIfTI image, or grid and frame of reference of a DICOM series. */
static iso_status read_like(const cli_dicom_request *r, iso_grid *grid, char uid[65], iso_error *err)
{
	uid[0] = '\0';
	if (cli_is_dicom(r->like)) return iso_dicom_read_grid(r->like, r->like_series, grid, uid, err);
	iso_image *image;
	const iso_status status = iso_nifti_read_image(r->like, ISO_UNIT_UNKNOWN, &image, err);
	if (status != ISO_OK) return status;
	*grid = image->grid;
	iso_image_free(image);
	return ISO_OK;
}

/* organs.nii.gz -> organs.csv */
static iso_status table_name(const char *labels, char *table, size_t size, iso_error *err)
{
	const size_t length = strlen(labels);
	const size_t ending = length > 7 && strcmp(labels + length - 7, ".nii.gz") == 0 ? 7
			      : length > 4 && strcmp(labels + length - 4, ".nii") == 0  ? 4
											: 0;
	if (!ending)
		return iso_fail(err, ISO_BAD_USAGE, labels, "name it .nii.gz", "organs are written as labels in NIfTI");
	snprintf(table, size, "%.*s.csv", (int)(length - ending), labels);
	return ISO_OK;
}

static json_t *organs_result(const cli_dicom_request *r, const char *table, const iso_grid *grid,
			     const iso_organ *organs, size_t count, const iso_dicom_in_facts *f)
{
	json_t *o = json_object(), *list = json_object(), *warnings = json_array();
	for (size_t n = 0; n < count; n++) json_object_set_new(list, organs[n].name, json_integer(organs[n].label));
	for (size_t n = 0; n < count; n++)
		if (isnan(organs[n].density_g_per_ml)) {
			char text[160];
			snprintf(text, sizeof text, "no density is known for '%s': add it to the table",
				 organs[n].name);
			json_array_append_new(warnings, json_string(text));
		}
	for (size_t w = 0; w < f->warning_count; w++) json_array_append_new(warnings, json_string(f->warnings[w]));
	json_object_set_new(o, "kind", json_string("DICOM organs"));
	json_object_set_new(o, "output", json_string(r->output));
	json_object_set_new(o, "table", json_string(table));
	json_object_set_new(o, "organs", list);
	json_object_set_new(
	    o, "size",
	    json_pack("[I,I,I]", (json_int_t)grid->size[0], (json_int_t)grid->size[1], (json_int_t)grid->size[2]));
	json_object_set_new(o, "voxel_mm",
			    json_pack("[f,f,f]", grid->voxel_mm[0], grid->voxel_mm[1], grid->voxel_mm[2]));
	json_object_set_new(o, "warnings", warnings);
	return o;
}

static int convert_organs(const cli_dicom_request *r, const char *file)
{
	char uid[65] = "", table[PATH_MAX];
	iso_grid grid;
	iso_dicom_organ_options options = {.name = r->segment, .names = r->segments, .finer = r->finer};
	iso_dicom_in_facts facts;
	iso_image *labels = NULL;
	iso_organ *organs = NULL;
	size_t count = 0;
	iso_error err;
	iso_status status = table_name(r->output, table, sizeof table, &err);
	if (status == ISO_OK && r->like) status = read_like(r, &grid, uid, &err);
	if (r->like) options.grid = &grid;
	options.frame_of_reference_uid = uid;
	if (status == ISO_OK) status = iso_dicom_read_organs(file, &options, &labels, &organs, &count, &facts, &err);
	if (status == ISO_OK) status = iso_organ_table_write(table, organs, count, &err);
	if (status == ISO_OK) status = iso_nifti_write_image(r->output, labels, "organ labels", &err);
	if (status == ISO_OK) print(r, organs_result(r, table, &labels->grid, organs, count, &facts));
	iso_image_free(labels);
	free(organs);
	return status == ISO_OK ? 0 : cli_fail(&err);
}

static bool is_listmode(const char *path)
{
	const size_t length = strlen(path);
	return length > 6 && strcmp(path + length - 6, ".lm.h5") == 0;
}

static json_t *listmode_result(const cli_dicom_request *r, const iso_dicom_in_facts *f, iso_error *err)
{
	iso_events *events = NULL;
	iso_event_counts counts;
	if (iso_listmode_open(r->output, &events, err) != ISO_OK) return NULL;
	iso_events_counts(events, &counts);
	json_t *o = cli_event_facts(events, &counts, true), *warnings = json_array();
	for (size_t w = 0; w < f->warning_count; w++) json_array_append_new(warnings, json_string(f->warnings[w]));
	json_object_set_new(o, "kind", json_string(iso_file_kind_text(ISO_FILE_LISTMODE)));
	json_object_set_new(o, "output", json_string(r->output));
	json_object_set_new(o, "warnings", warnings);
	iso_events_close(events);
	return o;
}

static int convert_projections(const cli_dicom_request *r, const iso_dicom_folder *folder)
{
	iso_dicom_in_options options;
	iso_dicom_in_facts facts;
	const iso_dicom_series *found = NULL;
	unsigned long objects = 0;
	iso_error err;
	json_t *result = NULL;
	for (size_t n = 0; n < folder->count; n++) {
		const iso_dicom_series *s = folder->series + n;
		if (s->use != ISO_DICOM_NM_PROJECTIONS || (r->series && strcmp(r->series, s->series_uid) != 0))
			continue;
		found = s;
		objects += s->files;
	}
	iso_status status = take_options(r, &options, &err);
	if (status == ISO_OK && objects != 1)
		status = iso_fail(&err, ISO_BAD_INPUT, r->input,
				  objects ? "name the file" : "see with isotrace info what is there",
				  "%lu objects with NM projections where one is needed", objects);
	if (status == ISO_OK)
		status = iso_dicom_convert_projections(found->first_file, &options, r->output,
						       cli_progress(r->quiet || r->json), &facts, &err);
	cli_progress_end();
	if (status == ISO_OK && !(result = listmode_result(r, &facts, &err))) status = err.status;
	if (status == ISO_OK) print(r, result);
	return status == ISO_OK ? 0 : cli_fail(&err);
}

static bool is_organs(iso_dicom_use use)
{
	return use == ISO_DICOM_SEGMENTATION || use == ISO_DICOM_STRUCTURES;
}

/* The one object of organs that is meant. */
static int choose_organs(const cli_dicom_request *r, const iso_dicom_folder *folder)
{
	const iso_dicom_series *found = NULL;
	iso_error err;
	char list[400] = "";
	size_t used = 0;
	unsigned long objects = 0;
	for (size_t n = 0; n < folder->count; n++) {
		const iso_dicom_series *s = folder->series + n;
		if (!is_organs(s->use) || (r->series && strcmp(r->series, s->series_uid) != 0)) continue;
		found = s;
		objects += s->files;
		if (used < sizeof list)
			used += (size_t)snprintf(list + used, sizeof list - used, "%s%s '%.40s' (%zu files)",
						 used ? ", " : "", s->series_uid, s->description, s->files);
	}
	if (objects == 1) return convert_organs(r, found->first_file);
	(void)iso_fail(
	    &err, ISO_BAD_INPUT, r->input, objects ? "name the file" : "see with isotrace info what is there",
	    "%lu segmentations and structure sets where one is needed%s%s", objects, objects ? ": " : "", list);
	return cli_fail(&err);
}

int cli_convert_dicom(const cli_dicom_request *r)
{
	iso_dicom_folder *folder;
	iso_error err;
	if (iso_dicom_look(r->input, &folder, &err) != ISO_OK) return cli_fail(&err);
	size_t images = 0, organs = 0;
	for (size_t n = 0; n < folder->count; n++) {
		const iso_dicom_series *s = folder->series + n;
		if (r->series && strcmp(r->series, s->series_uid) != 0) continue;
		images += s->use == ISO_DICOM_PET || s->use == ISO_DICOM_NM_IMAGE;
		organs += is_organs(s->use);
	}
	const bool asked = r->like || r->segments || r->finer;
	const int code = is_listmode(r->output) && !asked ? convert_projections(r, folder)
			 : asked || (organs && !images)   ? choose_organs(r, folder)
							  : convert_volume(r);
	iso_dicom_folder_free(folder);
	return code;
}
