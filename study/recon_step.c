/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The step from list-mode to a volume in Bq/mL. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/events.h"
#include "core/note.h"
#include "core/output.h"
#include "isotrace/isotrace.h"
#include "study/internal.h"

#define CHECKPOINT ".scan.nii.gz.checkpoint" /* of a reconstruction that was killed */

/* What is corrected and with what; calibration and attenuation apart. */
static iso_status describe_corrections(iso_job *job, json_t *facts, iso_error *err)
{
	static const char *const randoms[] = {
	    [ISO_RANDOMS_NONE] = "none", [ISO_RANDOMS_DELAYED] = "delayed", [ISO_RANDOMS_SINGLES] = "singles"};
	const iso_study_file *study = job->study;
	const char *scatter = study->scatter == ISO_SCATTER_SSS ? "sss" : "none";
	ISO_TRY(iso_fact_text(facts, "randoms", randoms[study->randoms], err));
	ISO_TRY(iso_fact_text(facts, "scatter", study->have_scatter ? scatter : "where possible", err));
	ISO_TRY(iso_fact_whole(facts, "scatter_updates", study->scatter_updates, err));
	ISO_TRY(iso_fact_text(facts, "prompt_gammas",
			      !study->have_prompt_gammas ? "where the nuclide has any"
			      : study->prompt_gammas     ? "yes"
							 : "no",
			      err));
	ISO_TRY(iso_fact_number(facts, "energy_window_low_kev", study->energy_window_kev[0], err));
	ISO_TRY(iso_fact_number(facts, "energy_window_high_kev", study->energy_window_kev[1], err));
	ISO_TRY(iso_fact_number(facts, "energy_resolution", study->energy_resolution, err));
	ISO_TRY(iso_fact_file(job, facts, "normalisation", study->normalisation, err));
	ISO_TRY(iso_fact_whole(facts, "dead_time_from_singles", study->dead_time == ISO_DEAD_TIME_FROM_SINGLES, err));
	ISO_TRY(iso_fact_number(facts, "dead_time_factor", study->dead_time_factor, err));
	ISO_TRY(iso_fact_number(facts, "dead_time_ns", study->dead_time_ns, err));
	ISO_TRY(iso_fact_text(facts, "dead_time_model", iso_dead_time_model_text(study->dead_time_model), err));
	return iso_fact_number(facts, "coincidence_window_ns", study->coincidence_window_ns, err);
}

/* The map and what its sidecar says of it, which goes into the volume's. */
static iso_status describe_mu(iso_job *job, json_t *facts, iso_error *err)
{
	char source[96];
	if (!job->row->mu[0]) return ISO_OK;
	ISO_TRY(iso_fact_file(job, facts, "mu", job->row->mu, err));
	ISO_TRY(iso_mu_made_from(job->row->mu, source, err));
	return iso_fact_text(facts, "mu_made_from", source, err);
}

iso_status iso_study_describe_recon(iso_job *job, json_t *facts, iso_error *err)
{
	const iso_study_file *study = job->study;
	ISO_TRY(iso_fact_file(job, facts, "listmode", job->listmode, err));
	ISO_TRY(describe_mu(job, facts, err));
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
	ISO_TRY(iso_fact_grid(facts, "grid", &study->grid, err));
	ISO_TRY(iso_fact_whole(facts, "algorithm", study->algorithm, err));
	ISO_TRY(iso_fact_number(facts, "beta_mm2", study->beta_mm2, err));
	ISO_TRY(iso_fact_number(facts, "gamma", study->gamma, err));
	ISO_TRY(iso_fact_number(facts, "relaxation", study->relaxation, err));
	ISO_TRY(iso_fact_number(facts, "stop_change", study->stop_change, err));
	ISO_TRY(iso_fact_whole(facts, "iterations", study->iterations, err));
	ISO_TRY(iso_fact_whole(facts, "subsets", study->subsets, err));
	/* only when asked for: what was made before the key existed stays */
	if (study->prior_within_organs) ISO_TRY(iso_fact_file(job, facts, "prior_regions", job->row->labels, err));
	if (study->psf_tail_share > 0) ISO_TRY(iso_fact_number(facts, "psf_tail_share", study->psf_tail_share, err));
	if (study->psf_tail_share > 0)
		ISO_TRY(iso_fact_number(facts, "psf_tail_fwhm_mm", study->psf_tail_fwhm_mm, err));
	ISO_TRY(iso_fact_number(facts, "psf_fwhm_mm", study->psf_fwhm_mm, err));
	ISO_TRY(iso_fact_whole(facts, "positron_range", study->positron_range, err));
	ISO_TRY(iso_fact_whole(facts, "post_filter", study->post_filter.kind, err));
	ISO_TRY(iso_fact_number(facts, "post_filter_fwhm_mm", study->post_filter.fwhm_mm, err));
	ISO_TRY(iso_fact_number(facts, "post_filter_cutoff_per_mm", study->post_filter.cutoff_per_mm, err));
	ISO_TRY(iso_fact_number(facts, "post_filter_order", study->post_filter.order, err));
	ISO_TRY(describe_corrections(job, facts, err));
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
	options.psf_tail_share = study->psf_tail_share;
	options.psf_tail_fwhm_mm = study->psf_tail_fwhm_mm;
	options.positron_range = study->positron_range;
	options.post_filter = study->post_filter;
	options.randoms = study->randoms;
	options.nuclide = job->nuclide;
	options.decay_correction = true;
	options.dead_time_factor = study->dead_time_factor;
	options.dead_time = study->dead_time;
	options.dead_time_ns = study->dead_time_ns;
	options.dead_time_model = study->dead_time_model;
	options.coincidence_window_ns = study->coincidence_window_ns;
	memcpy(options.energy_window_kev, study->energy_window_kev, sizeof options.energy_window_kev);
	options.energy_resolution = study->energy_resolution;
	options.scatter = study->scatter;
	options.scatter_updates = study->scatter_updates;
	options.prompt_gammas = study->prompt_gammas;
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
	snprintf(volume->facts.input, sizeof volume->facts.input, "%.255s", iso_base_name(job->listmode));
	ISO_TRY(iso_manifest_hash(job, job->listmode, volume->facts.input_sha256, err));
	ISO_TRY(iso_path_join(job->folder, ISO_STUDY_VOLUME, path, err));
	return iso_volume_write(path, volume, err);
}

/* What the study does not say: scatter where the data are there, with the nuclide's prompt gammas if it has any. */
static void choose_scatter(const iso_job *job, const iso_acquisition *facts, iso_recon_options *options)
{
	size_t gammas;
	const iso_study_file *study = job->study;
	const char *lacks = study->have_scatter ? NULL : iso_recon_scatter_lacks(facts, options);
	if (lacks) iso_note(&job->progress, "scatter: not corrected, %s", lacks);
	if (!study->have_scatter) options->scatter = lacks ? ISO_SCATTER_NONE : ISO_SCATTER_SSS;
	if (!study->have_prompt_gammas)
		options->prompt_gammas =
		    options->scatter != ISO_SCATTER_NONE && iso_nuclide_prompt_gammas(job->nuclide, &gammas);
}

/* What a reconstruction takes from files; all owned. */
typedef struct inputs {
	iso_events *events;
	iso_image *mu, *labels;
	char mu_source[96];
	iso_frame *frames;
	iso_normalisation *normalisation;
	iso_calibration calibration;
	char listmode_sha256[65];
} inputs;

static iso_status read_inputs(iso_job *job, inputs *in, iso_recon_options *options, iso_error *err)
{
	const iso_study_file *study = job->study;
	ISO_TRY(iso_listmode_open(job->listmode, &in->events, err));
	ISO_TRY(state_facts(job, in->events, err));
	if (job->row->mu[0]) ISO_TRY(iso_mu_read(job->row->mu, &in->mu, in->mu_source, err));
	options->mu = in->mu;
	if (in->mu_source[0]) options->mu_source = in->mu_source;
	if (study->prior_within_organs) {
		ISO_TRY(iso_nifti_read_image(job->row->labels, ISO_UNIT_LABEL, &in->labels, err));
		options->prior_regions = in->labels;
		options->prior_regions_source = iso_base_name(job->row->labels);
	}
	if (study->frames[0]) ISO_TRY(iso_frame_table_read(study->frames, &in->frames, &options->frames, err));
	options->frame = in->frames;
	if (study->normalisation[0]) {
		ISO_TRY(iso_normalisation_read(study->normalisation, &in->normalisation, err));
		options->normalisation = in->normalisation;
		options->normalisation_name = iso_base_name(study->normalisation);
	}
	if (study->calibration[0]) {
		ISO_TRY(iso_calibration_read(study->calibration, &in->calibration, err));
		options->calibration = &in->calibration;
	}
	ISO_TRY(iso_manifest_hash(job, job->listmode, in->listmode_sha256, err));
	options->events_id = in->listmode_sha256;
	choose_scatter(job, iso_events_acquisition(in->events), options);
	return ISO_OK;
}

iso_status iso_study_run_recon(iso_job *job, const json_t *facts, iso_error *err)
{
	(void)facts;
	char cache[PATH_MAX], checkpoint[PATH_MAX];
	iso_volume *volume = NULL;
	inputs in = {.events = NULL};
	ISO_TRY(iso_path_join(job->output, ".sensitivity", cache, err));
	ISO_TRY(iso_make_directory(cache, err));
	ISO_TRY(iso_path_join(job->folder, CHECKPOINT, checkpoint, err));
	iso_recon_options options = options_of(job, cache, checkpoint);
	iso_status status = read_inputs(job, &in, &options, err);
	if (status == ISO_OK) status = iso_reconstruct(in.events, &options, &volume, err);
	if (status == ISO_OK) status = write_volume(job, volume, err);
	if (status == ISO_OK) iso_recon_checkpoint_remove(checkpoint);
	iso_volume_free(volume);
	iso_normalisation_free(in.normalisation);
	free(in.frames);
	iso_image_free(in.mu);
	iso_image_free(in.labels);
	iso_events_close(in.events);
	return status;
}
