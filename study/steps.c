/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The steps of a job, in their order: what each depends on, and how it is done. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/events.h"
#include "core/output.h"
#include "isotrace/isotrace.h"
#include "study/internal.h"

#define LISTMODE   "scan.lm.h5"
#define SIDECAR    "scan.json"
#define REPLICATES "scan_replicates.nii.gz"

/* --- convert or simulate ------------------------------------------------------------------------------------ */

/* A native list-mode file needs no conversion and is not copied. */
static bool converts(const iso_job *job)
{
	return strcmp(job->listmode, job->row->listmode) != 0;
}

/* A text header names the file with its events: that one's content counts too. "" when there is none. */
static iso_status data_file_of(const char *export_path, char data[PATH_MAX], iso_error *err)
{
	iso_file_kind kind;
	char *text = NULL;
	data[0] = '\0';
	ISO_TRY(iso_file_identify(export_path, &kind, err));
	if (kind != ISO_FILE_PETLINK_HEADER) return ISO_OK;
	ISO_TRY(iso_read_file(export_path, 1 << 20, &text, NULL, err));
	const char *key = strstr(text, "name of data file");
	const char *value = key ? strstr(key, ":=") : NULL;
	if (value) {
		value += 2 + strspn(value + 2, " \t");
		const char *slash = strrchr(export_path, '/');
		const int folder = *value == '/' || !slash ? 0 : (int)(slash + 1 - export_path);
		(void)snprintf(data, PATH_MAX, "%.*s%.*s", folder, export_path, (int)strcspn(value, "\r\n"), value);
	}
	free(text);
	return ISO_OK;
}

static iso_status describe_convert(iso_job *job, json_t *facts, iso_error *err)
{
	const iso_study_row *row = job->row;
	if (row->scene[0]) return iso_fact_file(job, facts, "scene", row->scene, err);
	ISO_TRY(iso_fact_file(job, facts, "export", row->listmode, err));
	char data[PATH_MAX];
	ISO_TRY(data_file_of(row->listmode, data, err));
	ISO_TRY(iso_fact_file(job, facts, "export_data", data, err));
	ISO_TRY(iso_fact_file(job, facts, "crystal_map", job->study->crystal_map, err));
	ISO_TRY(iso_fact_text(facts, "nuclide", job->study->nuclide, err));
	ISO_TRY(iso_fact_text(facts, "tracer", row->tracer, err));
	ISO_TRY(iso_fact_text(facts, "subject", row->subject, err));
	return iso_fact_number(facts, "start_utc_s", row->start_utc_s, err);
}

static iso_status simulate_into(iso_job *job, iso_scene *scene, const char *provenance, iso_error *err)
{
	iso_scanner *scanner = NULL;
	iso_listmode_writer *writer = NULL;
	char path[PATH_MAX];
	iso_status status = iso_path_join(job->folder, LISTMODE, path, err);
	if (status == ISO_OK) status = iso_scene_prepare(scene, err);
	if (status == ISO_OK) status = iso_scene_scanner(scene, &scanner, err);
	const iso_acquisition acquisition = iso_scene_acquisition(scene);
	if (status == ISO_OK) status = iso_listmode_create(path, scanner, &acquisition, provenance, &writer, err);
	iso_scanner_free(scanner);
	if (status != ISO_OK) return status;
	const iso_event_sink sink = iso_listmode_sink(writer);
	iso_simulation_counts simulated;
	status = iso_simulate(scene, &sink, job->options->threads, &job->progress, &simulated, err);
	if (status != ISO_OK) {
		iso_listmode_discard(writer);
		return status;
	}
	const iso_event_counts counts = iso_simulation_event_counts(&simulated, scene->duration_s);
	return iso_listmode_commit(writer, &counts, scene->duration_s, err);
}

static iso_status run_simulate(iso_job *job, const char *provenance, iso_error *err)
{
	iso_scene *scene = NULL;
	ISO_TRY(iso_scene_read(job->row->scene, &scene, err));
	const iso_status status = simulate_into(job, scene, provenance, err);
	iso_scene_free(scene);
	return status;
}

static iso_status run_export(iso_job *job, const char *provenance, iso_error *err)
{
	const iso_study_row *row = job->row;
	char path[PATH_MAX];
	iso_export_options options = iso_export_options_default();
	if (job->study->crystal_map[0]) options.crystal_map_path = job->study->crystal_map;
	iso_acquisition *stated = &options.stated;
	snprintf(stated->nuclide, sizeof stated->nuclide, "%s", job->nuclide->name);
	snprintf(stated->tracer, sizeof stated->tracer, "%s", row->tracer);
	snprintf(stated->subject, sizeof stated->subject, "%s", row->subject);
	stated->start_utc_s = row->start_utc_s;
	iso_events *events = NULL;
	ISO_TRY(iso_path_join(job->folder, LISTMODE, path, err));
	ISO_TRY(iso_export_open(row->listmode, &options, &events, err));
	iso_export_note_warnings(events, &job->progress);
	const iso_status status = iso_listmode_write_all(path, events, provenance, &job->progress, NULL, err);
	iso_events_close(events);
	return status;
}

static iso_status run_convert(iso_job *job, const json_t *facts, iso_error *err)
{
	char *provenance;
	ISO_TRY(iso_json_dump(facts, JSON_COMPACT | JSON_SORT_KEYS, &provenance, err));
	const iso_status status =
	    job->row->scene[0] ? run_simulate(job, provenance, err) : run_export(job, provenance, err);
	free(provenance);
	return status;
}

/* --- quantification ----------------------------------------------------------------------------------------- */

iso_status iso_job_describe_volume(iso_job *job, json_t *facts, iso_error *err)
{
	static const struct {
		const char *key, *name;
	} files[] = {{"volume", ISO_STUDY_VOLUME}, {"volume_sidecar", SIDECAR}, {"volume_replicates", REPLICATES}};
	const size_t count = job->study->replicates ? 3 : 2;
	for (size_t f = 0; f < count; f++) {
		char path[PATH_MAX];
		ISO_TRY(iso_path_join(job->folder, files[f].name, path, err));
		ISO_TRY(iso_fact_file(job, facts, files[f].key, path, err));
	}
	return ISO_OK;
}

iso_status iso_job_describe_dose(iso_job *job, json_t *facts, iso_error *err)
{
	const iso_dose *dose = &job->row->dose;
	if (job->row->dose_file[0]) return iso_fact_file(job, facts, "dose", job->row->dose_file, err);
	json_t *inside = json_object();
	if (!inside || json_object_set_new(facts, "dose", inside) != 0)
		return iso_fail_memory(err, "the facts of a step", 0);
	ISO_TRY(iso_fact_text(inside, "nuclide", dose->nuclide, err));
	ISO_TRY(iso_fact_text(inside, "tracer", dose->tracer, err));
	ISO_TRY(iso_fact_number(inside, "before_bq", dose->before.activity_bq, err));
	ISO_TRY(iso_fact_number(inside, "before_utc_s", dose->before.utc_s, err));
	ISO_TRY(iso_fact_number(inside, "after_bq", dose->after.activity_bq, err));
	ISO_TRY(iso_fact_number(inside, "after_utc_s", dose->after.utc_s, err));
	ISO_TRY(iso_fact_number(inside, "injection_utc_s", dose->injection_utc_s, err));
	ISO_TRY(iso_fact_number(inside, "relative_uncertainty", dose->relative_uncertainty, err));
	ISO_TRY(iso_fact_number(inside, "body_mass_g", dose->body_mass_g, err));
	ISO_TRY(iso_fact_number(inside, "body_mass_uncertainty_g", dose->body_mass_uncertainty_g, err));
	ISO_TRY(iso_fact_number(inside, "excreted_percent_id", dose->excreted_percent_id, err));
	return iso_fact_text(inside, "route", dose->route, err);
}

static iso_status describe_quant(iso_job *job, json_t *facts, iso_error *err)
{
	ISO_TRY(iso_job_describe_volume(job, facts, err));
	ISO_TRY(iso_job_describe_dose(job, facts, err));
	ISO_TRY(iso_fact_file(job, facts, "labels", job->row->labels, err));
	ISO_TRY(iso_fact_file(job, facts, "organs", job->study->organ_table, err));
	ISO_TRY(iso_fact_text(facts, "subject", job->row->subject, err));
	return iso_fact_text(facts, "group", job->row->group, err);
}

iso_status iso_job_read_dose(const iso_job *job, iso_dose *dose, iso_error *err)
{
	char where[PATH_MAX + 32];
	if (job->row->dose_file[0]) return iso_dose_read(job->row->dose_file, dose, err);
	*dose = job->row->dose;
	snprintf(where, sizeof where, "%s (line %zu)", job->study->subjects, job->row->line);
	return iso_dose_check(dose, where, err);
}

static iso_status read_organs(const iso_job *job, iso_job_data *data, iso_error *err)
{
	iso_organ *table = NULL;
	size_t count = 0;
	iso_status status = iso_organ_table_read(job->study->organ_table, &table, &count, err);
	if (status == ISO_OK) status = iso_nifti_read_image(job->row->labels, ISO_UNIT_LABEL, &data->labels, err);
	if (status == ISO_OK)
		status = iso_organs_create(data->labels, table, count, &data->volume->grid, job->row->labels,
					   &data->organs, err);
	free(table);
	return status;
}

iso_status iso_job_read(const iso_job *job, bool organs, bool quantified, iso_job_data *data, iso_error *err)
{
	char path[PATH_MAX];
	iso_dose dose;
	memset(data, 0, sizeof *data);
	ISO_TRY(iso_path_join(job->folder, ISO_STUDY_VOLUME, path, err));
	iso_status status = iso_volume_read(path, &data->volume, err);
	if (status == ISO_OK && (organs || quantified)) status = read_organs(job, data, err);
	if (status == ISO_OK && quantified) status = iso_job_read_dose(job, &dose, err);
	if (status == ISO_OK && quantified)
		status = iso_quantify(data->volume, data->organs, &dose, job->row->subject, job->row->group,
				      &data->result, err);
	if (status != ISO_OK) iso_job_data_free(data);
	return status;
}

void iso_job_data_free(iso_job_data *data)
{
	iso_biodistribution_free(data->result);
	iso_organs_free(data->organs);
	iso_image_free(data->labels);
	iso_volume_free(data->volume);
	memset(data, 0, sizeof *data);
}

static void tell_warnings(const iso_job *job, const iso_biodistribution *result)
{
	for (size_t w = 0; w < result->warning_count; w++) iso_study_tell(job, "%s", result->warnings[w]);
}

static iso_status run_quant(iso_job *job, const json_t *facts, iso_error *err)
{
	iso_job_data data;
	char *provenance;
	ISO_TRY(iso_job_read(job, true, true, &data, err));
	iso_status status = iso_json_dump(facts, JSON_COMPACT | JSON_SORT_KEYS, &provenance, err);
	if (status == ISO_OK) status = iso_biodistribution_write(job->folder, &data.result, 1, provenance, err);
	if (status == ISO_OK) tell_warnings(job, data.result);
	if (status == ISO_OK) {
		job->result = data.result;
		data.result = NULL;
	}
	free(provenance);
	iso_job_data_free(&data);
	return status;
}

/* --- send --------------------------------------------------------------------------------------------------- */

static bool sends(const iso_job *job)
{
	return job->study->write_dicom && job->pacs;
}

static iso_status describe_send(iso_job *job, json_t *facts, iso_error *err)
{
	const json_t *made =
	    json_object_get(json_object_get(json_object_get(job->manifest, "steps"), "dicom"), "outputs");
	if (json_object_set_new(facts, "dicom", json_deep_copy(made)) != 0)
		return iso_fail_memory(err, "the facts of a step", 0);
	return iso_fact_text(facts, "pacs", job->pacs, err);
}

static iso_status run_send(iso_job *job, const json_t *facts, iso_error *err)
{
	(void)facts;
	char path[PATH_MAX];
	iso_pacs_file file = {.pacs = NULL};
	iso_pacs pacs;
	ISO_TRY(iso_path_join(job->folder, ISO_STUDY_DICOM, path, err));
	if (job->pacs_config) ISO_TRY(iso_pacs_file_load(job->pacs_config, &file, err));
	iso_status status = iso_pacs_choose(&file, job->pacs, &pacs, err);
	if (status == ISO_OK && !file.queue[0]) {
		status = iso_dicom_send(path, &pacs, &job->progress, NULL, NULL, err);
	} else if (status == ISO_OK) {
		status = iso_pacs_queue_add(file.queue, path, &pacs, &job->progress, NULL, NULL, err);
		if (status == ISO_OK)
			status =
			    iso_pacs_queue_send(file.queue, &pacs, &file.listener, &job->progress, NULL, NULL, err);
	}
	iso_pacs_file_free(&file);
	return status;
}

static const char *const convert_outputs[] = {LISTMODE, NULL};
static const char *const recon_outputs[] = {SIDECAR, ISO_STUDY_VOLUME, REPLICATES, NULL};
static const char *const quant_outputs[] = {"biodistribution.csv", "biodistribution.json", NULL};
static const char *const dicom_outputs[] = {ISO_STUDY_DICOM, NULL};
static const char *const send_outputs[] = {NULL};

const iso_step iso_study_steps[] = {
    {"convert", converts, describe_convert, run_convert, convert_outputs},
    {"recon", NULL, iso_study_describe_recon, iso_study_run_recon, recon_outputs},
    {"quant", NULL, describe_quant, run_quant, quant_outputs},
    {"dicom", iso_study_writes_dicom, iso_study_describe_dicom, iso_study_run_dicom, dicom_outputs},
    {"send", sends, describe_send, run_send, send_outputs},
};
const size_t iso_study_step_count = sizeof iso_study_steps / sizeof *iso_study_steps;
