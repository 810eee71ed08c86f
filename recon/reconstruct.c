/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a stream of events to a volume: which events, which corrections, what the numbers mean. */
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/stopwatch.h"
#include "isotrace/recon.h"
#include "isotrace/time.h"
#include "isotrace/version.h"
#include "recon/checkpoint.h"
#include "recon/checks.h"
#include "recon/correct/background.h"
#include "recon/correct/detector.h"
#include "recon/event_store.h"
#include "recon/filter.h"
#include "recon/mu_map.h"
#include "recon/sensitivity.h"
#include "recon/sheaf.h"
#include "recon/solver.h"
#include "recon/system.h"

iso_recon_options iso_recon_options_default(void)
{
	return (iso_recon_options){.frames = 1,
				   .iterations = 4,
				   .subsets = 8,
				   .beta_mm2 = 1,
				   .gamma = 2,
				   .relaxation = 0.1,
				   .decay_correction = true,
				   .dead_time_factor = (double)NAN,
				   .dead_time_ns = (double)NAN,
				   .coincidence_window_ns = (double)NAN,
				   .calibration_factor = (double)NAN,
				   .calibration_uncertainty = (double)NAN,
				   .scatter_updates = 3,
				   .energy_window_kev = {(double)NAN, (double)NAN},
				   .energy_resolution = (double)NAN,
				   .randoms = ISO_RANDOMS_NONE};
}

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
	uint64_t first;         /* no event before this number lies in the frame at hand or a later one */
	iso_event_store *store;
	/* of the selection at hand: all of a frame's events, or a replicate's */
	double scale_s;     /* T */
	double part;        /* of the frame's events */
	uint64_t *fan_sums; /* [elements] of the delayeds, where randoms come from them */
	float *rates;       /* randoms; [elements], like the one below NULL without */
	float *line_rates;  /* the same in the order of iso_columns.element */
	iso_background *background;
	iso_scatter_report scatter; /* the last one */
	bool scattered;             /* there was one */
	char label[128];
	size_t image, frame;      /* numbers of the image at hand, over frames and their replicates, and of its frame */
	double prompts, delayeds; /* used, all frames */
	const iso_volume *volume;
	iso_checkpoint checkpoint;
	iso_solution solution;          /* of the image at hand */
	uint64_t iterations;            /* the most that a frame took */
	double objective;               /* all frames */
	double worked, work;            /* lines projected; all of them, about */
	double calibration_uncertainty; /* of options->calibration for this nuclide */
	iso_recon_times times;
} job;

static void note(const job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(const job *j, const char *format, ...)
{
	if (!j->options->progress || !j->options->progress->note) return;
	char line[400];
	va_list values;
	va_start(values, format);
	vsnprintf(line, sizeof line, format, values);
	va_end(values);
	j->options->progress->note(j->options->progress->user, line);
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
static void begin_frame(const job *j, const iso_frame *frame)
{
	iso_selected_frame s = {.first = j->first, .start_ms = -(double)INFINITY, .end_ms = (double)INFINITY};
	if (j->options->frame) {
		/* times are whole ms: keep 0.1 s * 1000 = 100.00000000000001 from losing a tick */
		s.start_ms = frame->start_s * 1000 - 1e-6;
		s.end_ms = (frame->start_s + frame->duration_s) * 1000 - 1e-6;
	}
	iso_event_store_begin(j->store, &s);
	iso_background_forget(j->background);
}

/* Randoms of the selected events. */
static iso_status find_randoms(const job *j, iso_error *err)
{
	iso_status status = ISO_OK;
	iso_background_set_randoms(j->background, j->line_rates);
	if (!j->rates) return ISO_OK;
	if (j->fan_sums) {
		iso_event_store_fan_sums(j->store, j->fan_sums);
		status = iso_randoms_from_delayeds(j->scanner, j->fan_sums, j->rates, err);
	} else
		status = iso_detector_randoms(&j->detector, j->volume->frame + j->frame, j->part, j->rates, err);
	const iso_columns *columns = iso_system_columns(j->system);
	for (uint32_t at = 0; at < columns->elements && status == ISO_OK; at++)
		j->line_rates[at] = j->rates[columns->element[at]];
	return status;
}

static void worked(void *user, uint64_t lines)
{
	job *j = user;
	const iso_progress *progress = j->options->progress;
	j->worked += (double)lines;
	if (progress && progress->work) progress->work(progress->user, j->worked, fmax(j->work, j->worked));
}

/* From the image after an iteration. */
static iso_status update_scatter(job *j, const iso_solution *solution, const float *x, iso_error *err)
{
	const double start_s = iso_clock_s();
	const iso_background_image from = {.grid = &j->options->grid,
					   .store = j->store,
					   .subsets = j->options->subsets,
					   .x = x,
					   .scale_s = j->scale_s,
					   .prompts = (double)iso_event_store_counts(j->store).prompts,
					   .explained = solution->explained};
	const iso_status status = iso_background_update(j->background, &from, &j->scatter, err);
	j->times.scatter_s += iso_clock_s() - start_s;
	if (status != ISO_OK) return status;
	j->scattered = true;
	char text[160];
	note(j, "%sscatter after iteration %llu: %s", j->label, (unsigned long long)solution->iterations,
	     iso_scatter_report_text(&j->scatter, text, sizeof text));
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
				   .penalty = {.beta = o->beta_mm2, .gamma = o->gamma},
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
	iso_status status = find_randoms(j, err);
	if (status == ISO_OK) status = solve(j, prompts, voxels, err);
	if (status == ISO_OK && j->solution.outside)
		note(j,
		     "%s%llu of %.0f prompts lie on lines that cannot count or miss the image, and contribute nothing",
		     j->label, (unsigned long long)j->solution.outside, prompts);
	if (status == ISO_OK && j->solution.empty_subsets)
		note(j, "%s%llu of %u subsets hold no event; use fewer subsets", j->label,
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

/* A factor that the caller states comes with the caller's uncertainty, known or not. */
static double calibration(const job *j, double *uncertainty)
{
	if (j->options->calibration) {
		if (uncertainty) *uncertainty = j->calibration_uncertainty;
		return j->options->calibration->factor;
	}
	const bool own = isnan(j->options->calibration_factor);
	if (uncertainty) *uncertainty = own ? j->scanner->calibration_uncertainty : j->options->calibration_uncertainty;
	return own ? j->scanner->calibration_factor : j->options->calibration_factor;
}

/* x -> the volume's unit: dead time, then calibration and branching, each once. */
static double result_factor(const job *j)
{
	const iso_recon_options *o = j->options;
	double factor = isnan(o->dead_time_factor) ? 1 : o->dead_time_factor;
	if (o->calibrate) factor *= calibration(j, NULL) / o->nuclide->branching_fraction;
	return factor;
}

/* Integral of the decay since the acquisition's start, or the plain duration: x is then an activity at the start, or the
 * frame's mean. */
static double effective_s(const job *j, const iso_frame *frame)
{
	if (!j->options->nuclide || !j->options->decay_correction) return frame->duration_s;
	return iso_decay_integral_s(j->options->nuclide->half_life_s, frame->start_s, frame->duration_s);
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
		note(j, "%s%.0f MB of events do not fit into memory and lie in %s meanwhile", j->label,
		     (double)spilled / 1048576, folder);
	if (counts.prompts == 0) note(j, "%sno prompts: the image is 0", j->label);
	j->prompts += (double)counts.prompts;
	if (j->options->randoms == ISO_RANDOMS_DELAYED) j->delayeds += (double)counts.delayeds;
	j->first = counts.end;
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
static iso_status begin_other_frame(job *j, const iso_frame *frame, iso_error *err)
{
	bool changed;
	const iso_status status = iso_detector_set_frame(&j->detector, frame, &changed, err);
	if (status != ISO_OK) return status;
	begin_frame(j, frame);
	return changed ? make_sensitivity(j, err) : ISO_OK;
}

static iso_status reconstruct_frame(job *j, iso_volume *volume, size_t f, iso_filter_plan *filter, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&j->options->grid), replicates = j->options->replicates;
	const iso_frame *frame = volume->frame + f;
	const double factor = result_factor(j);
	j->label[0] = '\0';
	j->frame = f;
	j->image = f * (1 + replicates);
	if (volume->frames > 1) snprintf(j->label, sizeof j->label, "frame %zu of %zu, ", f + 1, volume->frames);
	/* the first one was begun in prepare */
	iso_status status = f > 0 ? begin_other_frame(j, frame, err) : ISO_OK;
	if (status == ISO_OK) status = finish_reading(j, err);
	const double scale_s = effective_s(j, frame) * j->detector.live;
	j->part = 1;
	if (status == ISO_OK)
		status = reconstruct_selection(j, ISO_ALL_EVENTS, scale_s, volume->voxels + f * voxels, err);
	if (status != ISO_OK) return status;
	if (j->solution.iterations > j->iterations) j->iterations = j->solution.iterations;
	j->objective += j->solution.objective;
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

static void say_scatter(const job *j, iso_corrections *c)
{
	const iso_scatter_report *r = &j->scatter;
	char scale[40] = "", gammas[32] = "";
	if (j->scattered && (r->from_tails || r->from_total))
		snprintf(scale, sizeof scale, ", x %.4g by %s", r->scale, r->from_tails ? "tails" : "total");
	if (j->options->prompt_gammas)
		snprintf(gammas, sizeof gammas, "; prompt gammas of %s", j->options->nuclide->name);
	snprintf(c->scatter, sizeof c->scatter, "single-scatter simulation%s%s", scale, gammas);
}

static void say_corrections(const job *j, iso_corrections *c)
{
	const iso_recon_options *o = j->options;
	char date[40] = "";
	if (o->calibration) iso_time_text(o->calibration->scan_utc_s, date);
	if (o->randoms == ISO_RANDOMS_DELAYED)
		snprintf(c->randoms, sizeof c->randoms, "delayed coincidences, crystal fan sums");
	if (o->mu)
		snprintf(c->attenuation, sizeof c->attenuation, "%s",
			 o->mu_source ? o->mu_source : "mu map, line integrals");
	if (o->scatter == ISO_SCATTER_SSS) say_scatter(j, c);
	bool measured = false;
	for (uint32_t e = 0; e < j->scanner->elements && !measured; e++)
		measured = fabs((double)j->scanner->efficiency[e] - 1) > 1e-6;
	snprintf(c->normalisation, sizeof c->normalisation, "%s",
		 measured ? "geometric factors and crystal efficiencies of the scanner file"
			  : "geometric factors; all crystals taken as equal");
	iso_detector_say(&j->detector, c);
	if (!isnan(o->dead_time_factor))
		snprintf(c->dead_time, sizeof c->dead_time, "stated factor %g", o->dead_time_factor);
	if (o->nuclide && o->decay_correction)
		snprintf(c->decay, sizeof c->decay, "%s, half-life %.8g s, to the start of the acquisition",
			 o->nuclide->name, o->nuclide->half_life_s);
	if (o->calibrate) {
		snprintf(c->branching, sizeof c->branching, "%s, branching fraction %g", o->nuclide->name,
			 o->nuclide->branching_fraction);
		snprintf(c->calibration, sizeof c->calibration, "factor %g Bq/mL per counts/s/mm%s%.10s%s%s",
			 calibration(j, NULL), date[0] ? ", phantom of " : "", date, date[0] ? ", " : "",
			 o->calibration ? o->calibration->nuclide : "");
	}
	if (o->psf_fwhm_mm > 0)
		snprintf(c->resolution, sizeof c->resolution, "image-space Gaussian %g mm FWHM", o->psf_fwhm_mm);
	if (o->psf_tail_share > 0)
		snprintf(c->resolution + strlen(c->resolution), sizeof c->resolution - strlen(c->resolution),
			 ", %g of it %g mm", o->psf_tail_share, o->psf_tail_fwhm_mm);
	if (o->positron_range)
		snprintf(c->resolution + strlen(c->resolution), sizeof c->resolution - strlen(c->resolution),
			 "%s%s positron range by mu", c->resolution[0] ? ", " : "", o->nuclide->name);
	iso_filter_text(&o->post_filter, c->post_filter, sizeof c->post_filter);
}

static void say_facts(const job *j, iso_volume *volume)
{
	const iso_recon_options *o = j->options;
	iso_reconstruction_facts *facts = &volume->facts;
	snprintf(facts->method, sizeof facts->method, "%s", iso_algorithm_text(o->algorithm, o->subsets));
	if (o->algorithm == ISO_ALGORITHM_BSREM)
		snprintf(facts->prior, sizeof facts->prior,
			 "relative difference, 26 neighbours, beta %g mm2, gamma %g; relaxation %g", o->beta_mm2,
			 o->gamma, o->relaxation);
	snprintf(facts->software, sizeof facts->software, "isotrace %s (%s kernels)", ISO_VERSION,
		 iso_kernels_choose(NULL)->name);
	iso_scanner_hash(j->scanner, facts->scanner_hash);
	facts->iterations = (unsigned)j->iterations;
	facts->objective = j->objective;
	facts->subsets = o->subsets;
	facts->prompts = j->prompts;
	facts->delayeds = j->delayeds;
	volume->acquisition = *j->acquisition;
	if (o->nuclide) {
		snprintf(volume->acquisition.nuclide, sizeof volume->acquisition.nuclide, "%s", o->nuclide->name);
		volume->half_life_s = o->nuclide->half_life_s;
		volume->branching_fraction = o->nuclide->branching_fraction;
		if (o->decay_correction) volume->decay_reference_s = 0;
	}
	if (o->calibrate) volume->calibration_factor = calibration(j, &volume->calibration_uncertainty);
}

/* What the export states may contradict the table. */
static void compare_nuclide(const job *j)
{
	const iso_nuclide *n = j->options->nuclide;
	if (!n) return;
	if (j->acquisition->nuclide[0] && strcmp(j->acquisition->nuclide, n->name) != 0)
		note(j, "the list-mode says %s, the reconstruction uses %s", j->acquisition->nuclide, n->name);
	if (fabs(j->acquisition->half_life_s / n->half_life_s - 1) > 0.01)
		note(j, "the list-mode states a half-life of %g s, %s has %g s (%s), which is used",
		     j->acquisition->half_life_s, n->name, n->half_life_s, n->source);
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
	const size_t elements = j->scanner->elements;
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
	if (o->randoms != ISO_RANDOMS_NONE) {
		if (plan.fan_sums) j->fan_sums = malloc(elements * sizeof *j->fan_sums);
		j->rates = malloc(elements * sizeof *j->rates);
		j->line_rates = malloc(elements * sizeof *j->line_rates);
		if ((plan.fan_sums && !j->fan_sums) || !j->rates || !j->line_rates)
			return iso_fail_memory(err, "randoms", elements * (sizeof *j->fan_sums + 2 * sizeof *j->rates));
	}
	return iso_event_store_create(&plan, &j->store, err);
}

/* Before the work: what will be corrected follows from the options. */
static iso_status check_calibration(job *j, iso_error *err)
{
	const iso_recon_options *o = j->options;
	if (!o->calibrate || !o->calibration) return ISO_OK;
	iso_corrections corrections = {.randoms = ""};
	say_corrections(j, &corrections);
	return iso_calibration_check(o->calibration, j->scanner, j->acquisition, o->nuclide, &corrections, o->progress,
				     &j->calibration_uncertainty, err);
}

/* All that does not depend on the frame. The first frame's events are read at the same time as the sensitivity image is made. */
static iso_status prepare(job *j, const iso_frame *first_frame, iso_error *err)
{
	const iso_recon_options *o = j->options;
	bool changed;
	iso_status status = iso_detector_create(j->events, o, &j->detector, err);
	if (status == ISO_OK) status = iso_detector_set_frame(&j->detector, first_frame, &changed, err);
	if (status == ISO_OK) status = check_calibration(j, err);
	if (status == ISO_OK && o->mu) status = iso_mu_map_align(o->mu, &j->aligned_mu, err);
	j->mu = j->aligned_mu ? j->aligned_mu : o->mu;
	iso_positron_range range;
	if (status == ISO_OK && o->positron_range) status = iso_positron_range_find(o->nuclide->name, &range, err);
	const iso_resolution resolution = {.psf_fwhm_mm = o->psf_fwhm_mm, .tail_share = o->psf_tail_share, .tail_fwhm_mm = o->psf_tail_fwhm_mm, .range = o->positron_range ? &range : NULL};
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
	if (status == ISO_OK) status = create_store(j, err);
	if (status != ISO_OK) return status;
	begin_frame(j, first_frame);
	return make_sensitivity(j, err);
}

static iso_status run(job *j, iso_volume **out, iso_error *err)
{
	const iso_recon_options *o = j->options;
	const iso_frame whole = {.start_s = 0, .duration_s = j->acquisition->duration_s};
	iso_volume *volume = NULL;
	iso_filter_plan *filter = NULL;
	compare_nuclide(j);
	iso_status status = prepare(j, o->frame ? o->frame : &whole, err);
	if (status == ISO_OK && o->post_filter.kind != ISO_FILTER_NONE)
		status = iso_filter_plan_create(&o->post_filter, &o->grid, o->threads, &filter, err);
	if (status == ISO_OK)
		status = iso_volume_create(&o->grid, o->calibrate ? ISO_UNIT_BQ_PER_ML : ISO_UNIT_COUNTS_PER_S_MM,
					   o->frame ? o->frames : 1, o->frame ? o->frame : &whole, o->replicates,
					   &volume, err);
	j->volume = volume;
	for (size_t f = 0; status == ISO_OK && f < volume->frames; f++)
		status = reconstruct_frame(j, volume, f, filter, err);
	iso_filter_plan_free(filter);
	if (status != ISO_OK) {
		iso_volume_free(volume);
		return status;
	}
	say_corrections(j, &volume->corrections);
	say_facts(j, volume);
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
	iso_background_free(j.background);
	free(j.fan_sums);
	free(j.rates);
	free(j.line_rates);
	return status;
}
