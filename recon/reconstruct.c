/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a stream of events to a volume: which events, which corrections, what the numbers mean. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/note.h"
#include "core/stopwatch.h"
#include "isotrace/recon.h"
#include "recon/checkpoint.h"
#include "recon/checks.h"
#include "recon/correct/background.h"
#include "recon/correct/background_profiles.h"
#include "recon/correct/detector.h"
#include "recon/correct/element_randoms.h"
#include "recon/event_store.h"
#include "recon/filter.h"
#include "recon/mu_map.h"
#include "recon/prior_regions.h"
#include "recon/result_facts.h"
#include "recon/sensitivity.h"
#include "recon/solver.h"
#include "recon/system.h"

/* One call of iso_reconstruct. */
typedef struct job {
	iso_events *events;
	const iso_scanner *scanner; /* as the list-mode has it */
	iso_detector detector;      /* the scanner in the frame at hand */
	const iso_acquisition *acquisition;
	const iso_recon_options *options;
	int threads;
	iso_system *system;
	iso_image *sensitivity; /* G' P' m */
	const iso_image *mu;    /* axis-aligned; NULL = none */
	iso_image *aligned_mu;  /* owned, when it had to be made */
	int32_t *region;        /* owned: of each voxel, for the prior; NULL = none */
	uint64_t first;         /* no event before this number lies in the frame at hand or a later one */
	iso_event_store *store;
	/* of the selection at hand: all of a frame's events, or a replicate's */
	double scale_s; /* T */
	double part;    /* of the frame's events */
	iso_element_randoms randoms;
	iso_background *background;
	iso_scatter_report scatter; /* the last one */
	char label[128];
	size_t image, frame; /* numbers of the image at hand, over frames and their replicates, and of its frame */
	const iso_volume *volume;
	iso_checkpoint checkpoint;
	iso_solution solution; /* of the image at hand */
	double worked, work;   /* lines projected; all of them, about */
	iso_result result;
	iso_recon_times times;
} job;

/* When the events of image f, a frame or a gate, were counted. */
static iso_span span_of(const job *j, const iso_frame *frame, size_t f)
{
	const iso_gate_plan *gates = j->options->gates;
	if (!gates) return (iso_span){.part = frame, .parts = 1};
	return (iso_span){.part = gates->stretch + gates->first[f], .parts = gates->first[f + 1] - gates->first[f]};
}

static bool has_background(const iso_recon_options *o)
{
	return o->randoms != ISO_RANDOMS_NONE || o->scatter != ISO_SCATTER_NONE;
}

static iso_status factors(void *user, const iso_line_block *block, float *values, iso_error *err)
{
	const job *j = user;
	/* Without a background the multiplicative factors cancel: only whether they are 0 matters. */
	return iso_system_factors(j->system, block, has_background(j->options), values, err);
}

static iso_status additive_terms(void *user, const iso_line_block *block, const float *m, float *additive,
				 iso_error *err)
{
	(void)err;
	const job *j = user;
	iso_background_terms(j->background, block, m, j->scale_s, additive);
	return ISO_OK;
}

static iso_status data_rewind(void *self, unsigned subset, iso_error *err)
{
	(void)err;
	iso_event_store_rewind(((job *)self)->store, subset);
	return ISO_OK;
}

static iso_status data_next(void *self, iso_data_block *block, iso_error *err)
{
	const job *j = self;
	const iso_line_block *lines = NULL;
	*block = (iso_data_block){.lines = iso_system_lines(j->system)};
	const iso_status status = iso_event_store_next(j->store, &lines, &block->additive, err);
	if (status != ISO_OK || !lines) return status;
	block->count = lines->count;
	iso_system_aim(j->system, lines);
	return ISO_OK;
}

/* Starts to read the frame's events. Without a frame table every event counts, the very last tick too. */
static void begin_frame(const job *j, const iso_frame *frame, size_t f)
{
	iso_selected_frame s = {.first = j->first, .start_ms = -(double)INFINITY, .end_ms = (double)INFINITY};
	if (j->options->frame) {
		/* times are whole ms: keep 0.1 s * 1000 = 100.00000000000001 from losing a tick */
		s.start_ms = frame->start_s * 1000 - 1e-6;
		s.end_ms = iso_part_end_s(frame) * 1000 - 1e-6;
	}
	if (j->options->gates) s.gate = span_of(j, frame, f);
	iso_event_store_begin(j->store, &s);
	iso_background_forget(j->background);
}

static void worked(void *user, uint64_t lines)
{
	job *j = user;
	const iso_progress *progress = j->options->progress;
	j->worked += (double)lines;
	if (progress && progress->work) progress->work(progress->user, j->worked, fmax(j->work, j->worked));
}

/* From the image after an iteration: from where positrons annihilate, since what scatters comes from there. */
static iso_status update_scatter(job *j, const iso_solution *solution, const float *x, iso_error *err)
{
	const double start_s = iso_clock_s();
	const iso_operator *g = iso_system_image_model(j->system);
	iso_image *seen = NULL; /* G x */
	iso_status status = g ? iso_image_create(&j->options->grid, ISO_UNIT_COUNTS_PER_S_MM, &seen, err) : ISO_OK;
	if (status == ISO_OK && g) status = g->forward(g->self, x, seen->voxels, err);
	const iso_background_image from = {.grid = &j->options->grid,
					   .store = j->store,
					   .subsets = j->options->subsets,
					   .x = g && seen ? seen->voxels : x,
					   .scale_s = j->scale_s,
					   .prompts = (double)iso_event_store_counts(j->store).prompts,
					   .explained = solution->explained};
	if (status == ISO_OK) status = iso_background_update(j->background, &from, &j->scatter, err);
	iso_image_free(seen);
	j->times.scatter_s += iso_clock_s() - start_s;
	if (status != ISO_OK) return status;
	j->result.scatter = &j->scatter;
	char text[160];
	iso_note(j->options->progress, "%sscatter after iteration %llu: %s", j->label,
		 (unsigned long long)solution->iterations, iso_scatter_report_text(&j->scatter, text, sizeof text));
	return ISO_OK;
}

static iso_status iterated(void *user, const iso_solution *solution, const float *x, bool last, iso_error *err)
{
	job *j = user;
	const iso_recon_options *o = j->options;
	iso_status status = ISO_OK;
	const bool whole = j->image % (1 + o->replicates) == 0;
	if (o->scatter != ISO_SCATTER_NONE && whole && solution->iterations <= o->scatter_updates)
		status = update_scatter(j, solution, x, err);
	if (status == ISO_OK) iso_checkpoint_keep(&j->checkpoint, j->image, solution, x, last);
	return status;
}

/* Lines to project in all images after the one at hand, which has so many prompts: for the time left. */
static double lines_ahead(const job *j, uint64_t replicate, double prompts)
{
	const iso_volume *v = j->volume;
	const bool all = replicate == ISO_ALL_EVENTS;
	const double n = (double)j->options->replicates, whole = all ? prompts : prompts * n;
	const double rate = whole / v->frame[j->frame].duration_s, left = all ? n : n - 1 - (double)replicate;
	double sum = n > 0 ? whole * left / n : 0;
	for (size_t f = j->frame + 1; f < v->frames; f++) sum += rate * v->frame[f].duration_s * (n > 0 ? 2 : 1);
	return sum * j->options->iterations;
}

static bool is_finished(const job *j)
{
	const iso_recon_options *o = j->options;
	return j->solution.iterations >= o->iterations ||
	       (j->solution.iterations > 0 && j->solution.change < o->stop_change);
}

static iso_status solve(job *j, double prompts, float *voxels, iso_error *err)
{
	const iso_recon_options *o = j->options;
	iso_data data = {.self = j,
			 .total = prompts,
			 .most = iso_event_store_most_lines(j->store),
			 .rewind = data_rewind,
			 .next = data_next};
	const iso_data_model model = {.voxels = iso_grid_voxels(&o->grid),
				      .image_model = iso_system_image_model(j->system),
				      .sensitivity = j->sensitivity->voxels,
				      .sensitivity_scale = j->scale_s,
				      .support = ISO_SUPPORT,
				      .data = &data,
				      .subsets = o->subsets,
				      .threads = o->threads};
	const iso_method method = {.algorithm = o->algorithm,
				   .penalty = {.beta = o->beta_mm2, .gamma = o->gamma, .region = j->region},
				   .relaxation = o->relaxation,
				   .iterations = o->iterations,
				   .stop_change = o->stop_change,
				   .say_objective = o->say_objective};
	const iso_solver_listener listener = {
	    .label = j->label, .progress = o->progress, .worked = worked, .iterated = iterated, .user = j};
	return iso_solve(&model, &method, &o->grid, &listener, &j->solution, voxels, NULL, err);
}

/* x of a frame's events, or of one replicate's, into voxels. */
static iso_status reconstruct_selection(job *j, uint64_t replicate, double scale_s, float *voxels, iso_error *err)
{
	const iso_recon_options *o = j->options;
	iso_checkpoint_load(&j->checkpoint, j->image, j->label, voxels, &j->solution);
	if (is_finished(j)) return ISO_OK;
	iso_event_store_select(j->store, replicate);
	const double prompts = (double)iso_event_store_counts(j->store).prompts;
	const double passes = (double)(o->iterations - j->solution.iterations);
	j->scale_s = scale_s;
	j->work = j->worked + prompts * passes + lines_ahead(j, replicate, prompts);
	iso_background_set_randoms(j->background, j->randoms.line_rates);
	const iso_span span = span_of(j, j->volume->frame + j->frame, j->frame);
	iso_status status = iso_element_randoms_find(&j->randoms, j->store, span, j->part, err);
	if (status == ISO_OK) status = solve(j, prompts, voxels, err);
	if (status == ISO_OK && j->solution.outside)
		iso_note(
		    j->options->progress,
		    "%s%llu of %.0f prompts lie on lines that cannot count or miss the image, and contribute nothing",
		    j->label, (unsigned long long)j->solution.outside, prompts);
	if (status == ISO_OK && j->solution.empty_subsets)
		iso_note(j->options->progress, "%s%llu of %u subsets hold no event; use fewer subsets", j->label,
			 (unsigned long long)j->solution.empty_subsets, o->subsets);
	return status;
}

/* Post-filter and the factor to the result's unit. */
static iso_status finish(const job *j, iso_filter_plan *filter, double factor, float *voxels)
{
	const size_t count = iso_grid_voxels(&j->options->grid);
	if (filter) iso_filter_plan_apply(filter, voxels);
	for (size_t n = 0; n < count; n++) voxels[n] = (float)((double)voxels[n] * factor);
	return ISO_OK;
}

/* Integral of the decay since the acquisition's start, or the plain duration: x is then an activity at the start, or the
 * frame's mean. Of a gate, too, x is the mean over the frame: if its cycles are earlier ones than those of the whole scan, they decayed less. */
static double effective_s(const job *j, const iso_frame *frame, size_t f)
{
	const iso_recon_options *o = j->options;
	if (!o->gates && (!o->nuclide || !o->decay_correction)) return frame->duration_s;
	const double half_life_s = o->nuclide ? o->nuclide->half_life_s : (double)INFINITY;
	const iso_span span = span_of(j, frame, f);
	double sum_s = 0;
	for (size_t p = 0; p < span.parts; p++)
		sum_s += iso_decay_integral_s(half_life_s, span.part[p].start_s, span.part[p].duration_s);
	if (o->decay_correction && o->nuclide) return sum_s;
	return sum_s * frame->duration_s / iso_decay_integral_s(half_life_s, frame->start_s, frame->duration_s);
}

/* The end of reading a frame, and what there is to say about it. */
static iso_status finish_reading(job *j, iso_error *err)
{
	const double start_s = iso_clock_s();
	const iso_status status = iso_event_store_finish(j->store, err);
	j->times.waiting_s += iso_clock_s() - start_s;
	if (status != ISO_OK) return status;
	iso_event_store_select(j->store, ISO_ALL_EVENTS);
	const iso_selection_counts counts = iso_event_store_counts(j->store);
	const char *folder;
	const uint64_t spilled = iso_event_store_spilled_bytes(j->store, &folder);
	if (spilled)
		iso_note(j->options->progress, "%s%.0f MB of events do not fit into memory and lie in %s meanwhile",
			 j->label, (double)spilled / 1048576, folder);
	if (counts.prompts == 0) iso_note(j->options->progress, "%sno prompts: the image is 0", j->label);
	j->result.prompts += (double)counts.prompts;
	if (j->options->randoms == ISO_RANDOMS_DELAYED) j->result.delayeds += (double)counts.delayeds;
	if (!j->options->gates) j->first = counts.end; /* gates lie between each other */
	return ISO_OK;
}

/* G' s in place of s. */
static iso_status blur_sensitivity(job *j, iso_error *err)
{
	const iso_operator *g = iso_system_image_model(j->system);
	if (!g) return ISO_OK;
	iso_image *blurred;
	iso_status status = iso_image_create(&j->options->grid, j->sensitivity->unit, &blurred, err);
	if (status == ISO_OK) status = g->adjoint(g->self, j->sensitivity->voxels, blurred->voxels, err);
	if (status == ISO_OK) {
		iso_image_free(j->sensitivity);
		j->sensitivity = blurred;
	} else
		iso_image_free(blurred);
	return status;
}

static iso_status make_sensitivity(job *j, iso_error *err)
{
	const iso_recon_options *o = j->options;
	const double start_s = iso_clock_s();
	iso_image_free(j->sensitivity);
	j->sensitivity = NULL;
	const iso_status status =
	    iso_sensitivity_cached(o->sensitivity_cache, j->detector.scanner, &o->grid, j->mu, o->sensitivity_lines,
				   o->threads, o->progress, &j->sensitivity, err);
	j->times.sensitivity_s += iso_clock_s() - start_s;
	return status == ISO_OK ? blur_sensitivity(j, err) : status;
}

/* Any frame but the first: the scanner's blocks may be busier or less busy than before. */
static iso_status begin_other_frame(job *j, const iso_frame *frame, size_t f, iso_error *err)
{
	bool changed;
	const iso_status status = iso_detector_set_frame(&j->detector, span_of(j, frame, f), &changed, err);
	if (status != ISO_OK) return status;
	begin_frame(j, frame, f);
	return changed ? make_sensitivity(j, err) : ISO_OK;
}

static iso_status reconstruct_frame(job *j, iso_volume *volume, size_t f, iso_filter_plan *filter, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&j->options->grid), replicates = j->options->replicates;
	const iso_frame *frame = volume->frame + f;
	const double factor = iso_result_factor(&j->result);
	j->label[0] = '\0';
	j->frame = f;
	j->image = f * (1 + replicates);
	if (volume->frames > 1)
		snprintf(j->label, sizeof j->label, "%s %zu of %zu, ", j->options->gates ? "gate" : "frame", f + 1,
			 volume->frames);
	/* the first one was begun in prepare */
	iso_status status = f > 0 ? begin_other_frame(j, frame, f, err) : ISO_OK;
	if (status == ISO_OK) status = finish_reading(j, err);
	const double scale_s = effective_s(j, frame, f) * j->detector.live;
	j->part = 1;
	if (status == ISO_OK)
		status = reconstruct_selection(j, ISO_ALL_EVENTS, scale_s, volume->voxels + f * voxels, err);
	if (status == ISO_OK && j->options->background && f + 1 == volume->frames)
		status = iso_background_profiles(j->background, scale_s, j->options->background, err);
	if (status != ISO_OK) return status;
	if (j->solution.iterations > j->result.iterations) j->result.iterations = j->solution.iterations;
	j->result.objective += j->solution.objective;
	(void)finish(j, filter, factor, volume->voxels + f * voxels);
	/* A replicate has 1/n-th of the events in the same time: as if the frame had been n times shorter. */
	for (size_t r = 0; r < replicates && status == ISO_OK; r++) {
		char *end = j->label + strlen(j->label);
		const size_t room = sizeof j->label - (size_t)(end - j->label);
		float *image = volume->replicate_voxels + (r * volume->frames + f) * voxels;
		snprintf(end, room, "replicate %zu of %zu, ", r + 1, replicates);
		j->image++;
		j->part = 1 / (double)replicates;
		status = reconstruct_selection(j, r, scale_s / (double)replicates, image, err);
		if (status == ISO_OK) (void)finish(j, filter, factor, image);
		*end = '\0';
	}
	return status;
}

static iso_status create_background(job *j, iso_error *err)
{
	const iso_recon_options *o = j->options;
	const iso_energy_facts energy = iso_recon_energy(j->acquisition, o);
	const iso_background_plan plan = {.scanner = j->detector.scanner,
					  .columns = iso_system_columns(j->system),
					  .scatter = o->scatter != ISO_SCATTER_NONE,
					  .mu = j->mu,
					  .window_kev = {energy.window_kev[0], energy.window_kev[1]},
					  .resolution = energy.resolution,
					  .nuclide = o->prompt_gammas ? o->nuclide : NULL,
					  .scale = o->scatter_scale,
					  .threads = j->threads};
	return iso_background_create(&plan, &j->background, err);
}

static iso_status create_store(job *j, iso_error *err)
{
	const iso_recon_options *o = j->options;
	iso_event_store_plan plan = {.events = j->events,
				     .columns = iso_system_columns(j->system),
				     .subsets = o->subsets,
				     .replicates = o->replicates,
				     .fan_sums = o->randoms == ISO_RANDOMS_DELAYED,
				     .background = has_background(o),
				     .max_bytes = o->max_memory_bytes,
				     .scratch_folder = o->scratch_folder,
				     .factors = factors,
				     .additive = additive_terms,
				     .user = j,
				     .progress = o->progress,
				     .label = j->label};
	if (!plan.max_bytes) {
		const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
		plan.max_bytes = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 2 : UINT64_C(1) << 30;
	}
	return iso_event_store_create(&plan, &j->store, err);
}

/* Before the work: what will be corrected follows from the options. */
static iso_status check_calibration(job *j, iso_error *err)
{
	const iso_recon_options *o = j->options;
	if (!o->calibrate || !o->calibration) return ISO_OK;
	iso_corrections corrections = {.randoms = ""};
	iso_result_say_corrections(&j->result, &corrections);
	return iso_calibration_check(o->calibration, j->scanner, j->acquisition, o->nuclide, &corrections, o->progress,
				     &j->result.calibration_uncertainty, err);
}

/* All that does not depend on the frame. The first frame's events are read at the same time as the sensitivity image is made. */
static iso_status prepare(job *j, const iso_frame *first_frame, iso_error *err)
{
	const iso_recon_options *o = j->options;
	bool changed;
	iso_status status = iso_detector_create(j->events, o, &j->detector, err);
	if (status == ISO_OK) status = iso_detector_set_frame(&j->detector, span_of(j, first_frame, 0), &changed, err);
	if (status == ISO_OK) status = check_calibration(j, err);
	if (status == ISO_OK && o->prior_regions)
		status = iso_prior_regions_find(o->prior_regions, &o->grid, j->threads, &j->region, err);
	if (status == ISO_OK && o->mu) status = iso_mu_map_align(o->mu, &j->aligned_mu, err);
	j->mu = j->aligned_mu ? j->aligned_mu : o->mu;
	iso_positron_range range;
	if (status == ISO_OK && o->positron_range) status = iso_positron_range_find(o->nuclide->name, &range, err);
	const iso_resolution resolution = {.psf_fwhm_mm = o->psf_fwhm_mm,
					   .tail_share = o->psf_tail_share,
					   .tail_fwhm_mm = o->psf_tail_fwhm_mm,
					   .range = o->positron_range ? &range : NULL};
	if (status == ISO_OK)
		status =
		    iso_system_create(j->detector.scanner, &o->grid, &resolution, j->mu, o->threads, &j->system, err);
	if (status == ISO_OK) status = create_background(j, err);
	if (status == ISO_OK) {
		size_t count;
		float *state = iso_background_state(j->background, &count);
		/* before another thread reads the events */
		status = iso_checkpoint_open(j->events, o, state, count, &j->checkpoint, err);
	}
	if (status == ISO_OK)
		status = iso_element_randoms_create(j->scanner, &j->detector, iso_system_columns(j->system),
						    &j->randoms, err);
	if (status == ISO_OK) status = create_store(j, err);
	if (status != ISO_OK) return status;
	begin_frame(j, first_frame, 0);
	return make_sensitivity(j, err);
}

static iso_status run(job *j, iso_volume **out, iso_error *err)
{
	const iso_recon_options *o = j->options;
	const iso_frame whole = {.start_s = 0, .duration_s = j->acquisition->duration_s};
	const size_t frames = o->frame ? o->frames : o->gates ? o->gates->gating.gates : 1;
	iso_volume *volume = NULL;
	iso_filter_plan *filter = NULL;
	iso_result_compare_nuclide(&j->result);
	/* a gate's frame is that of the acquisition (decision 052) */
	iso_frame *frame = malloc(frames * sizeof *frame);
	if (!frame) return iso_fail_memory(err, "frames", frames * sizeof *frame);
	for (size_t f = 0; f < frames; f++) frame[f] = o->frame ? o->frame[f] : whole;
	iso_status status = prepare(j, frame, err);
	if (status == ISO_OK && o->post_filter.kind != ISO_FILTER_NONE)
		status = iso_filter_plan_create(&o->post_filter, &o->grid, o->threads, &filter, err);
	if (status == ISO_OK)
		status = iso_volume_create(&o->grid, o->calibrate ? ISO_UNIT_BQ_PER_ML : ISO_UNIT_COUNTS_PER_S_MM,
					   frames, frame, o->replicates, &volume, err);
	if (status == ISO_OK && o->gates) status = iso_volume_set_gating(volume, &o->gates->gating, NULL, err);
	free(frame);
	j->volume = volume;
	for (size_t f = 0; status == ISO_OK && f < volume->frames; f++)
		status = reconstruct_frame(j, volume, f, filter, err);
	iso_filter_plan_free(filter);
	if (status != ISO_OK) {
		iso_volume_free(volume);
		return status;
	}
	iso_result_say_corrections(&j->result, &volume->corrections);
	iso_result_say_facts(&j->result, volume);
	*out = volume;
	return ISO_OK;
}

iso_status iso_reconstruct(iso_events *events, const iso_recon_options *options, iso_volume **out, iso_error *err)
{
	*out = NULL;
	job j = {.events = events,
		 .scanner = iso_events_scanner(events),
		 .acquisition = iso_events_acquisition(events),
		 .options = options,
		 .threads = options->threads > 0 ? options->threads : omp_get_max_threads()};
	j.result = (iso_result){
	    .options = options, .scanner = j.scanner, .acquisition = j.acquisition, .detector = &j.detector};
	const double start_s = iso_clock_s();
	iso_status status = iso_recon_check(events, options, err);
	if (status == ISO_OK) status = run(&j, out, err);
	if (status == ISO_OK && options->times) {
		iso_system_times(j.system, &j.times.forward_s, &j.times.back_s);
		j.times.whole_s = iso_clock_s() - start_s;
		*options->times = j.times;
	}
	iso_event_store_free(j.store); /* first: it may still be reading, and ask for factors */
	iso_checkpoint_close(&j.checkpoint);
	iso_system_free(j.system);
	iso_detector_release(&j.detector);
	iso_image_free(j.sensitivity);
	iso_image_free(j.aligned_mu);
	free(j.region);
	iso_background_free(j.background);
	iso_element_randoms_release(&j.randoms);
	return status;
}
