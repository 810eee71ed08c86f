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
#define VOLUME     "scan.nii.gz"
#define SIDECAR    "scan.json"
#define REPLICATES "scan_replicates.nii.gz"
#define DICOM      "dicom"
#define CHECKPOINT ".scan.nii.gz.checkpoint" /* of a reconstruction that was killed */

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

/* --- reconstruction ----------------------------------------------------------------------------------------- */

static iso_status describe_recon(iso_job *job, json_t *facts, iso_error *err)
{
	const iso_study_file *study = job->study;
	ISO_TRY(iso_fact_file(job, facts, "listmode", job->listmode, err));
	ISO_TRY(iso_fact_file(job, facts, "mu", job->row->mu, err));
	ISO_TRY(iso_fact_file(job, facts, "frames", study->frames, err));
	ISO_TRY(iso_fact_text(facts, "nuclide", job->nuclide->name, err));
	ISO_TRY(iso_fact_number(facts, "half_life_s", job->nuclide->half_life_s, err));
	ISO_TRY(iso_fact_number(facts, "branching_fraction", job->nuclide->branching_fraction, err));
	ISO_TRY(iso_fact_text(facts, "tracer", job->row->tracer, err));
	ISO_TRY(iso_fact_text(facts, "subject", job->row->subject, err));
	ISO_TRY(iso_fact_number(facts, "start_utc_s", job->row->start_utc_s, err));
	ISO_TRY(iso_fact_file(job, facts, "calibration", study->calibration, err));
	ISO_TRY(iso_fact_number(facts, "calibration_factor", study->calibration_factor, err));
	ISO_TRY(iso_fact_number(facts, "calibration_uncertainty", study->calibration_uncertainty, err));
	ISO_TRY(iso_fact_number(facts, "dead_time_factor", study->dead_time_factor, err));
	ISO_TRY(iso_fact_grid(facts, "grid", &study->grid, err));
	ISO_TRY(iso_fact_whole(facts, "algorithm", study->algorithm, err));
	ISO_TRY(iso_fact_number(facts, "beta_mm2", study->beta_mm2, err));
	ISO_TRY(iso_fact_number(facts, "gamma", study->gamma, err));
	ISO_TRY(iso_fact_number(facts, "relaxation", study->relaxation, err));
	ISO_TRY(iso_fact_number(facts, "stop_change", study->stop_change, err));
	ISO_TRY(iso_fact_whole(facts, "iterations", study->iterations, err));
	ISO_TRY(iso_fact_whole(facts, "subsets", study->subsets, err));
	ISO_TRY(iso_fact_number(facts, "psf_fwhm_mm", study->psf_fwhm_mm, err));
	ISO_TRY(iso_fact_whole(facts, "positron_range", study->positron_range, err));
	ISO_TRY(iso_fact_whole(facts, "post_filter", study->post_filter.kind, err));
	ISO_TRY(iso_fact_number(facts, "post_filter_fwhm_mm", study->post_filter.fwhm_mm, err));
	ISO_TRY(iso_fact_number(facts, "post_filter_cutoff_per_mm", study->post_filter.cutoff_per_mm, err));
	ISO_TRY(iso_fact_number(facts, "post_filter_order", study->post_filter.order, err));
	ISO_TRY(iso_fact_text(facts, "randoms", study->randoms == ISO_RANDOMS_DELAYED ? "delayed" : "none", err));
	ISO_TRY(iso_fact_whole(facts, "replicates", study->replicates, err));
	return iso_fact_whole(facts, "sensitivity_lines", study->sensitivity_lines, err);
}

/* What the study states goes into the stream where the file is silent; a contradiction is an error. */
static iso_status state_facts(const iso_job *job, iso_events *events, iso_error *err)
{
	const iso_study_file *study = job->study;
	iso_acquisition *acquisition = &events->acquisition;
	iso_scanner *scanner = events->scanner;
	if (acquisition->nuclide[0]) {
		const iso_nuclide *in_file;
		ISO_TRY(iso_nuclide_find(acquisition->nuclide, job->listmode, &in_file, err));
		if (in_file != job->nuclide)
			return iso_fail(err, ISO_BAD_INPUT, job->listmode,
					"correct the study's nuclide or the row's file",
					"the scan is of %s and the study of %s", in_file->name, job->nuclide->name);
	}
	snprintf(acquisition->nuclide, sizeof acquisition->nuclide, "%s", job->nuclide->name);
	if (job->row->tracer[0]) snprintf(acquisition->tracer, sizeof acquisition->tracer, "%s", job->row->tracer);
	snprintf(acquisition->subject, sizeof acquisition->subject, "%s", job->row->subject);
	const double start = job->row->start_utc_s;
	if (!isnan(start) && !isnan(acquisition->start_utc_s) && fabs(start - acquisition->start_utc_s) >= 1)
		return iso_fail(err, ISO_BAD_INPUT, job->listmode, "correct start_time or leave it empty",
				"the file and the subjects table state different starts, %.0f s apart",
				start - acquisition->start_utc_s);
	if (isnan(acquisition->start_utc_s)) acquisition->start_utc_s = start;
	if (!isnan(study->calibration_factor)) {
		const double in_file = scanner->calibration_factor;
		if (!isnan(in_file) && fabs(in_file - study->calibration_factor) > 1e-9 * study->calibration_factor)
			return iso_fail(err, ISO_BAD_INPUT, job->listmode, "state the calibration in one place",
					"the file's calibration factor is %g and the study's is %g", in_file,
					study->calibration_factor);
		scanner->calibration_factor = study->calibration_factor;
		scanner->calibration_uncertainty = study->calibration_uncertainty;
	}
	if (isnan(scanner->calibration_factor) && !study->calibration[0])
		return iso_fail(
		    err, ISO_BAD_INPUT, job->listmode,
		    "measure a phantom of known activity (isotrace calibrate) and name the file as scanner.calibration",
		    "the scanner is not calibrated: no Bq/mL and no %%ID/g without it");
	return ISO_OK;
}

static iso_recon_options options_of(const iso_job *job, const char *cache, const char *checkpoint)
{
	const iso_study_file *study = job->study;
	iso_recon_options options = iso_recon_options_default();
	options.grid = study->grid;
	options.algorithm = study->algorithm;
	options.beta_mm2 = study->beta_mm2;
	options.gamma = study->gamma;
	options.relaxation = study->relaxation;
	options.stop_change = study->stop_change;
	options.iterations = study->iterations;
	options.subsets = study->subsets;
	options.psf_fwhm_mm = study->psf_fwhm_mm;
	options.positron_range = study->positron_range;
	options.post_filter = study->post_filter;
	options.randoms = study->randoms;
	options.nuclide = job->nuclide;
	options.decay_correction = true;
	options.dead_time_factor = study->dead_time_factor;
	options.calibrate = true;
	options.replicates = study->replicates;
	options.sensitivity_cache = cache;
	options.checkpoint = checkpoint;
	options.checkpoint_every_s = 2;
	options.sensitivity_lines = study->sensitivity_lines;
	options.threads = job->options->threads;
	options.progress = &job->progress;
	return options;
}

static iso_status write_volume(iso_job *job, iso_volume *volume, iso_error *err)
{
	char path[PATH_MAX];
	const char *slash = strrchr(job->listmode, '/');
	snprintf(volume->facts.input, sizeof volume->facts.input, "%.255s", slash ? slash + 1 : job->listmode);
	ISO_TRY(iso_manifest_hash(job, job->listmode, volume->facts.input_sha256, err));
	ISO_TRY(iso_path_join(job->folder, VOLUME, path, err));
	return iso_volume_write(path, volume, err);
}

static iso_status run_recon(iso_job *job, const json_t *facts, iso_error *err)
{
	(void)facts;
	char cache[PATH_MAX], checkpoint[PATH_MAX];
	iso_events *events = NULL;
	iso_image *mu = NULL;
	iso_frame *frames = NULL;
	iso_volume *volume = NULL;
	iso_calibration calibration;
	iso_status status = iso_path_join(job->output, ".sensitivity", cache, err);
	if (status == ISO_OK) status = iso_make_directory(cache, err);
	if (status == ISO_OK) status = iso_path_join(job->folder, CHECKPOINT, checkpoint, err);
	iso_recon_options options = options_of(job, cache, checkpoint);
	if (status == ISO_OK) status = iso_listmode_open(job->listmode, &events, err);
	if (status == ISO_OK) status = state_facts(job, events, err);
	if (status == ISO_OK && job->row->mu[0]) status = iso_nifti_read_image(job->row->mu, ISO_UNIT_PER_CM, &mu, err);
	if (status == ISO_OK && job->study->frames[0])
		status = iso_frame_table_read(job->study->frames, &frames, &options.frames, err);
	if (status == ISO_OK && job->study->calibration[0]) {
		status = iso_calibration_read(job->study->calibration, &calibration, err);
		options.calibration = &calibration;
	}
	char listmode_sha256[65];
	if (status == ISO_OK) status = iso_manifest_hash(job, job->listmode, listmode_sha256, err);
	options.events_id = listmode_sha256;
	options.mu = mu;
	options.frame = frames;
	if (status == ISO_OK) status = iso_reconstruct(events, &options, &volume, err);
	if (status == ISO_OK) status = write_volume(job, volume, err);
	if (status == ISO_OK) iso_recon_checkpoint_remove(checkpoint);
	iso_volume_free(volume);
	free(frames);
	iso_image_free(mu);
	iso_events_close(events);
	return status;
}

/* --- quantification ----------------------------------------------------------------------------------------- */

static iso_status describe_volume(iso_job *job, json_t *facts, iso_error *err)
{
	static const struct {
		const char *key, *name;
	} files[] = {{"volume", VOLUME}, {"volume_sidecar", SIDECAR}, {"volume_replicates", REPLICATES}};
	const size_t count = job->study->replicates ? 3 : 2;
	for (size_t f = 0; f < count; f++) {
		char path[PATH_MAX];
		ISO_TRY(iso_path_join(job->folder, files[f].name, path, err));
		ISO_TRY(iso_fact_file(job, facts, files[f].key, path, err));
	}
	return ISO_OK;
}

static iso_status describe_dose(iso_job *job, json_t *facts, iso_error *err)
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
	ISO_TRY(describe_volume(job, facts, err));
	ISO_TRY(describe_dose(job, facts, err));
	ISO_TRY(iso_fact_file(job, facts, "labels", job->row->labels, err));
	ISO_TRY(iso_fact_file(job, facts, "organs", job->study->organ_table, err));
	ISO_TRY(iso_fact_text(facts, "subject", job->row->subject, err));
	return iso_fact_text(facts, "group", job->row->group, err);
}

static iso_status read_dose(const iso_job *job, iso_dose *dose, iso_error *err)
{
	char where[PATH_MAX + 32];
	if (job->row->dose_file[0]) return iso_dose_read(job->row->dose_file, dose, err);
	*dose = job->row->dose;
	snprintf(where, sizeof where, "%s (line %zu)", job->study->subjects, job->row->line);
	return iso_dose_check(dose, where, err);
}

static iso_status read_volume(const iso_job *job, iso_volume **volume, iso_error *err)
{
	char path[PATH_MAX];
	ISO_TRY(iso_path_join(job->folder, VOLUME, path, err));
	return iso_volume_read(path, volume, err);
}

static void tell_warnings(const iso_job *job, const iso_biodistribution *result)
{
	for (size_t w = 0; w < result->warning_count; w++) iso_study_tell(job, "%s", result->warnings[w]);
}

static iso_status quantify(iso_job *job, const json_t *facts, const iso_volume *volume, const iso_organs *organs,
			   iso_error *err)
{
	iso_dose dose;
	iso_biodistribution *result = NULL;
	ISO_TRY(read_dose(job, &dose, err));
	ISO_TRY(iso_quantify(volume, organs, &dose, job->row->subject, job->row->group, &result, err));
	char *provenance;
	iso_status status = iso_json_dump(facts, JSON_COMPACT | JSON_SORT_KEYS, &provenance, err);
	if (status == ISO_OK) status = iso_biodistribution_write(job->folder, &result, 1, provenance, err);
	if (status == ISO_OK) tell_warnings(job, result);
	free(provenance);
	iso_biodistribution_free(result);
	return status;
}

static iso_status run_quant(iso_job *job, const json_t *facts, iso_error *err)
{
	iso_volume *volume = NULL;
	iso_image *labels = NULL;
	iso_organ *table = NULL;
	iso_organs *organs = NULL;
	size_t count = 0;
	iso_status status = read_volume(job, &volume, err);
	if (status == ISO_OK) status = iso_organ_table_read(job->study->organ_table, &table, &count, err);
	if (status == ISO_OK) status = iso_nifti_read_image(job->row->labels, ISO_UNIT_LABEL, &labels, err);
	if (status == ISO_OK)
		status = iso_organs_create(labels, table, count, &volume->grid, job->row->labels, &organs, err);
	iso_image_free(labels);
	free(table);
	if (status == ISO_OK) status = quantify(job, facts, volume, organs, err);
	iso_organs_free(organs);
	iso_volume_free(volume);
	return status;
}

/* --- DICOM -------------------------------------------------------------------------------------------------- */

static bool writes_dicom(const iso_job *job)
{
	return job->study->write_dicom;
}

static iso_status describe_dicom(iso_job *job, json_t *facts, iso_error *err)
{
	const iso_dicom_subject *shared = &job->study->dicom;
	ISO_TRY(describe_volume(job, facts, err));
	ISO_TRY(describe_dose(job, facts, err));
	ISO_TRY(iso_fact_text(facts, "subject", job->row->subject, err));
	ISO_TRY(iso_fact_text(facts, "sex", job->row->sex, err));
	ISO_TRY(iso_fact_text(facts, "species", shared->species, err));
	ISO_TRY(iso_fact_text(facts, "strain", shared->strain, err));
	ISO_TRY(iso_fact_text(facts, "responsible_person", shared->responsible_person, err));
	ISO_TRY(iso_fact_text(facts, "responsible_organisation", shared->responsible_organisation, err));
	ISO_TRY(iso_fact_text(facts, "study_name", job->study->name, err));
	ISO_TRY(iso_fact_text(facts, "study_description", shared->study_description, err));
	ISO_TRY(iso_fact_text(facts, "institution", shared->institution, err));
	ISO_TRY(iso_fact_text(facts, "manufacturer", shared->manufacturer, err));
	return iso_fact_text(facts, "position", shared->position, err);
}

/* What the DICOM files need of the dose. */
static iso_status dicom_dose(const iso_job *job, iso_dicom_dose *out, iso_error *err)
{
	iso_dose dose;
	ISO_TRY(read_dose(job, &dose, err));
	*out = (iso_dicom_dose){.injection_utc_s = dose.injection_utc_s, .body_mass_g = dose.body_mass_g};
	snprintf(out->tracer, sizeof out->tracer, "%s", dose.tracer);
	snprintf(out->route, sizeof out->route, "%s", dose.route);
	return iso_dose_injected_bq(&dose, job->nuclide, &out->injected_bq, err);
}

static iso_status run_dicom(iso_job *job, const json_t *facts, iso_error *err)
{
	(void)facts;
	char path[PATH_MAX];
	iso_dicom_dose dose;
	iso_volume *volume = NULL;
	iso_dicom_subject subject = job->study->dicom;
	/* All scans of one animal in one study of the PACS. */
	snprintf(subject.patient_id, sizeof subject.patient_id, "%s", job->row->subject);
	snprintf(subject.patient_name, sizeof subject.patient_name, "%s", job->row->subject);
	snprintf(subject.sex, sizeof subject.sex, "%s", job->row->sex);
	snprintf(subject.study_key, sizeof subject.study_key, "%.60s/%.60s", job->study->name, job->row->subject);
	if (!subject.study_description[0])
		snprintf(subject.study_description, sizeof subject.study_description, "%s", job->study->name);
	ISO_TRY(iso_path_join(job->folder, DICOM, path, err));
	ISO_TRY(dicom_dose(job, &dose, err));
	ISO_TRY(read_volume(job, &volume, err));
	const iso_status status = iso_dicom_write_pet(path, volume, &dose, &subject, NULL, err);
	iso_volume_free(volume);
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
	iso_pacs pacs;
	ISO_TRY(iso_path_join(job->folder, DICOM, path, err));
	ISO_TRY(iso_pacs_parse(job->pacs, &pacs, err));
	return iso_dicom_send(path, &pacs, &job->progress, NULL, NULL, err);
}

static const char *const convert_outputs[] = {LISTMODE, NULL};
static const char *const recon_outputs[] = {SIDECAR, VOLUME, REPLICATES, NULL};
static const char *const quant_outputs[] = {"biodistribution.csv", "biodistribution.json", NULL};
static const char *const dicom_outputs[] = {DICOM, NULL};
static const char *const send_outputs[] = {NULL};

const iso_step iso_study_steps[] = {
    {"convert", converts, describe_convert, run_convert, convert_outputs},
    {"recon", NULL, describe_recon, run_recon, recon_outputs},
    {"quant", NULL, describe_quant, run_quant, quant_outputs},
    {"dicom", writes_dicom, describe_dicom, run_dicom, dicom_outputs},
    {"send", sends, describe_send, run_send, send_outputs},
};
const size_t iso_study_step_count = sizeof iso_study_steps / sizeof *iso_study_steps;
