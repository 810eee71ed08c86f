/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/solver.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/stopwatch.h"
#include "recon/osem.h"

typedef struct solver {
	iso_likelihood likelihood;
	iso_bsrem bsrem; /* zeroed for the other algorithms */
	const iso_method *method;
	const iso_solver_listener *listener;
	iso_solution *solution;
	float *before; /* [voxels] */
	unsigned iteration, subset;
	double began_s; /* the iteration, by iso_clock_s */
} solver;

const char *iso_algorithm_text(iso_algorithm algorithm, unsigned subsets)
{
	if (algorithm == ISO_ALGORITHM_BSREM) return "list-mode BSREM";
	return algorithm == ISO_ALGORITHM_OSEM && subsets > 1 ? "list-mode OSEM" : "list-mode MLEM";
}

static const char *label_of(const solver *s)
{
	return s->listener->label ? s->listener->label : "";
}

static iso_status told(void *user, double done, uint64_t lines, iso_error *err)
{
	const solver *s = user;
	const iso_solver_listener *listener = s->listener;
	if (listener->worked && lines) listener->worked(listener->user, lines);
	if (!listener->progress || !listener->progress->report) return ISO_OK;
	char stage[160];
	snprintf(stage, sizeof stage, "%siteration %u of %u, subset %u of %u", label_of(s), s->iteration + 1,
		 s->method->iterations, s->subset + 1, s->likelihood.model.subsets);
	if (listener->progress->report(listener->progress->user, stage, done) == 0) return ISO_OK;
	return iso_fail(err, ISO_CANCELLED, NULL, "", "reconstruction cancelled");
}

static bool is_bsrem(const solver *s)
{
	return s->method->algorithm == ISO_ALGORITHM_BSREM;
}

/* A subset without any event says nothing about where the activity is, and OSEM skips it. (MLEM without events: the answer
 * is 0.) BSREM must not: its limit is that of the sum over all subsets. */
static void update(solver *s, const iso_subset_sums *sums, float *x)
{
	const iso_data_model *m = &s->likelihood.model;
	const bool empty = sums->lines == 0 && m->subsets > 1 && m->data->total > 0;
	s->solution->empty_subsets += empty;
	if (is_bsrem(s))
		iso_bsrem_update(&s->bsrem, s->iteration, x);
	else if (!empty)
		iso_osem_update(&s->likelihood, x);
}

static void say(const solver *s)
{
	const iso_progress *progress = s->listener->progress;
	const iso_solution *now = s->solution;
	char line[400], objective[64] = "";
	if (!progress || !progress->note) return;
	const double events = s->likelihood.model.data->total;
	if (s->method->say_objective)
		iso_snprintf(objective, sizeof objective, ", %s %.10g",
			     is_bsrem(s) ? "penalised log-likelihood" : "log-likelihood", now->objective);
	iso_snprintf(
	    line, sizeof line,
	    "%siteration %u of %u: change %.4g, the image explains %.0f of %.0f prompts%s; %.3g million events/s",
	    label_of(s), s->iteration + 1, s->method->iterations, now->change, now->explained, events, objective,
	    1e-6 * events / fmax(iso_clock_s() - s->began_s, 1e-9));
	progress->note(progress->user, line);
}

static iso_status iterate(solver *s, float *x, iso_error *err)
{
	const iso_data_model *m = &s->likelihood.model;
	iso_solution *now = s->solution;
	const iso_pass_watch watch = {.told = told, .user = s};
	*now = (iso_solution){.iterations = s->iteration};
	s->began_s = iso_clock_s();
	if (is_bsrem(s)) now->objective = -iso_bsrem_penalty(&s->bsrem, x);
	memcpy(s->before, x, m->voxels * sizeof *x);
	for (s->subset = 0; s->subset < m->subsets; s->subset++) {
		iso_subset_sums sums;
		const iso_status status = iso_likelihood_pass(&s->likelihood, s->subset, x, &watch, &sums, err);
		if (status != ISO_OK) return status;
		now->objective += sums.log_sum - sums.expected / m->subsets;
		now->outside += sums.outside;
		update(s, &sums, x);
	}
	const iso_sums *sums = &s->likelihood.sums;
	const double norm = iso_sum_product(sums, m->voxels, s->before, s->before);
	now->change = norm > 0 ? sqrt(iso_sum_square_difference(sums, m->voxels, x, s->before) / norm) : 0;
	/* Ever smaller steps would look like an ever smaller distance from the limit. */
	if (is_bsrem(s)) now->change /= iso_bsrem_step(&s->bsrem, s->iteration);
	now->explained = iso_likelihood_explained(&s->likelihood, x);
	now->iterations++;
	say(s);
	return ISO_OK;
}

static iso_status iterate_all(solver *s, float *x, double *objectives, iso_error *err)
{
	const iso_solver_listener *listener = s->listener;
	iso_status status = ISO_OK;
	bool last = s->solution->iterations >= s->method->iterations ||
		    (s->solution->iterations > 0 && s->solution->change < s->method->stop_change);
	if (s->solution->iterations == 0) iso_likelihood_start(&s->likelihood, x);
	while (!last && status == ISO_OK) {
		s->iteration = (unsigned)s->solution->iterations;
		status = iterate(s, x, err);
		if (status != ISO_OK) break;
		if (objectives) objectives[s->iteration] = s->solution->objective;
		last = s->iteration + 1 == s->method->iterations || s->solution->change < s->method->stop_change;
		if (listener->iterated) status = listener->iterated(listener->user, s->solution, x, last, err);
	}
	return status;
}

iso_status iso_solve(const iso_data_model *model, const iso_method *method, const iso_grid *grid,
		     const iso_solver_listener *listener, iso_solution *solution, float *x, double *objectives,
		     iso_error *err)
{
	static const iso_solver_listener nobody = {0};
	solver s = {.method = method, .listener = listener ? listener : &nobody, .solution = solution};
	s.before = malloc(model->voxels * sizeof *s.before);
	if (!s.before) return iso_fail_memory(err, "the reconstruction's images", model->voxels * sizeof *s.before);
	iso_status status = iso_likelihood_create(model, &s.likelihood, err);
	if (status == ISO_OK && is_bsrem(&s))
		status = iso_bsrem_create(&s.likelihood, grid, &method->penalty, method->relaxation, &s.bsrem, err);
	if (status == ISO_OK) status = iterate_all(&s, x, objectives, err);
	iso_bsrem_release(&s.bsrem);
	iso_likelihood_release(&s.likelihood);
	free(s.before);
	return status;
}
