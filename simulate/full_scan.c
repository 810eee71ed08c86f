/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The scan with electronics. Slices of time, each with its own random streams, are made in parallel and go through the
 * electronics in their order, one at a time, while others are made. The electronics know nothing of slices, so that their
 * borders change nothing. In memory is one slice per thread. */
#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "simulate/electronics.h"
#include "simulate/scan.h"

/* Decays that are followed per slice. */
#define DECAYS_PER_SLICE 32768.0
/* Gaussian blur ends at 6.8 standard deviations (Box-Muller of 32-bit numbers). */
#define BLUR_SIGMAS 8

typedef struct scan_plan {
	const iso_transport *transport;
	uint64_t slices;
	double followed_per_decay; /* decays of the tracer that are followed, and gammas that come late */
	double background_per_s;
	double work; /* of all slices */
} scan_plan;

typedef struct slice {
	iso_singles_list singles;
	double from_s, to_s;
	double decays, positrons, background;
} slice;

/* Decays to be followed until a moment. */
static double work_until(const scan_plan *plan, double time_s)
{
	return plan->followed_per_decay * iso_source_decays(plan->transport->source, 0, time_s) +
	       plan->background_per_s * time_s;
}

/* Where slice `number` begins: slices have equal work. It grows with time, so that halving finds it. */
static double border_s(const scan_plan *plan, uint64_t number)
{
	const double duration_s = plan->transport->scene->duration_s;
	const double wanted = plan->work * (double)number / (double)plan->slices;
	double low = 0, high = duration_s;
	if (number == 0 || number >= plan->slices) return number ? duration_s : 0;
	for (int i = 0; i < 60; i++) {
		const double middle = 0.5 * (low + high);
		if (work_until(plan, middle) < wanted)
			low = middle;
		else
			high = middle;
	}
	return low;
}

typedef int follow_decay(const iso_transport *, iso_random *, double, uint64_t, iso_single[ISO_MOST_SINGLES]);

/* So many decays of one kind at times of their own; NULL source: evenly. */
static iso_status follow(const iso_transport *t, follow_decay *decay, const iso_source *source, iso_random *random,
			 uint64_t count, uint64_t *number, slice *to, iso_error *err)
{
	for (uint64_t n = 0; n < count; n++) {
		if (to->singles.room - to->singles.count < ISO_MOST_SINGLES) {
			const iso_status status = iso_singles_list_reserve(&to->singles, 4096, err);
			if (status != ISO_OK) return status;
		}
		const double time_s = source ? iso_source_draw_time_s(source, random, to->from_s, to->to_s)
					     : to->from_s + (to->to_s - to->from_s) * iso_random_uniform(random);
		const int singles = decay(t, random, time_s, (*number)++, to->singles.of + to->singles.count);
		to->singles.count += (size_t)singles;
	}
	return ISO_OK;
}

static int in_time(const void *a, const void *b)
{
	const iso_single *x = a, *y = b;
	if (x->time_s != y->time_s) return x->time_s < y->time_s ? -1 : 1;
	if (x->decay != y->decay) return x->decay < y->decay ? -1 : 1;
	return x->crystal < y->crystal ? -1 : x->crystal > y->crystal;
}

static iso_status make_slice(const scan_plan *plan, uint64_t number, slice *to, iso_error *err)
{
	const iso_transport *t = plan->transport;
	const uint64_t seed = t->scene->seed;
	to->singles.count = 0;
	to->from_s = border_s(plan, number);
	to->to_s = border_s(plan, number + 1);
	const double expected = iso_source_decays(t->source, to->from_s, to->to_s);
	const double emitting = iso_transport_emitting(t);
	iso_random random = iso_random_begin(seed, 4 * number), late = iso_random_begin(seed, 4 * number + 1),
		   crystals = iso_random_begin(seed, 4 * number + 2);
	const uint64_t followed = iso_random_poisson(&random, expected * emitting);
	const uint64_t silent = emitting < 1 ? iso_random_poisson(&random, expected * (1 - emitting)) : 0;
	const uint64_t gammas = iso_random_poisson(&late, expected * iso_transport_delayed_per_decay(t));
	const uint64_t background = iso_random_poisson(&crystals, plan->background_per_s * (to->to_s - to->from_s));
	to->decays = (double)(followed + silent);
	to->positrons = emitting < 1 ? (double)followed : to->decays * t->branching;
	to->background = (double)background;
	uint64_t decay = number << 32;
	iso_status status = follow(t, iso_transport_decay, t->source, &random, followed, &decay, to, err);
	if (status == ISO_OK) status = follow(t, iso_transport_delayed, t->source, &late, gammas, &decay, to, err);
	if (status == ISO_OK)
		status = follow(t, iso_transport_background, NULL, &crystals, background, &decay, to, err);
	if (status == ISO_OK && to->singles.count)
		qsort(to->singles.of, to->singles.count, sizeof *to->singles.of, in_time);
	return status;
}

typedef struct scan {
	scan_plan plan;
	iso_electronics *electronics;
	const iso_progress *progress;
	iso_simulation_counts *counts;
	iso_status status; /* of the first slice, in their order, that failed */
	iso_error *err;
} scan;

/* One slice through the electronics. */
static void deliver(scan *s, uint64_t number, const slice *made, iso_status status, const iso_error *why)
{
	if (s->status != ISO_OK) return;
	if (status != ISO_OK && s->err) *s->err = *why;
	const double complete_s = made->to_s - BLUR_SIGMAS * s->plan.transport->single_sigma_s;
	if (status == ISO_OK)
		status =
		    iso_electronics_push(s->electronics, made->singles.of, made->singles.count, complete_s, s->err);
	if (status == ISO_OK) {
		s->counts->decays += made->decays;
		s->counts->positrons += made->positrons;
		s->counts->background_decays += made->background;
		if (s->progress && s->progress->report &&
		    s->progress->report(s->progress->user, "simulating", (double)(number + 1) / (double)s->plan.slices))
			status = iso_fail(s->err, ISO_CANCELLED, NULL, "start again", "the simulation was stopped");
	}
	if (status != ISO_OK) {
#pragma omp atomic write
		s->status = status;
	}
}

static void run(scan *s, int threads)
{
	const int64_t slices = (int64_t)s->plan.slices;
#pragma omp parallel num_threads(threads)
	{
		slice made = {.from_s = 0};
#pragma omp for ordered schedule(dynamic, 1)
		for (int64_t number = 0; number < slices; number++) {
			iso_error why = {.status = ISO_OK};
			iso_status before, status = ISO_OK;
#pragma omp atomic read
			before = s->status;
			if (before == ISO_OK) status = make_slice(&s->plan, (uint64_t)number, &made, &why);
#pragma omp ordered
			deliver(s, (uint64_t)number, &made, status, &why);
		}
		free(made.singles.of);
	}
}

iso_status iso_full_scan(const iso_transport *t, const iso_event_sink *sink, int threads, const iso_progress *progress,
			 iso_simulation_counts *counts, iso_error *err)
{
	const iso_scene *scene = t->scene;
	scan s = {.progress = progress, .counts = counts, .err = err, .status = ISO_OK};
	s.plan = (scan_plan){.transport = t,
			     .followed_per_decay = iso_transport_emitting(t) + iso_transport_delayed_per_decay(t),
			     .background_per_s = iso_transport_background_per_s(t)};
	s.plan.work = work_until(&s.plan, scene->duration_s);
	s.plan.slices = (uint64_t)fmax(1, ceil(s.plan.work / DECAYS_PER_SLICE));
	iso_status status = iso_electronics_create(scene, t->scanner, sink, &s.electronics, err);
	if (status != ISO_OK) return status;
	run(&s, threads);
	status = s.status;
	if (status == ISO_OK) status = iso_electronics_finish(s.electronics, counts, err);
	iso_electronics_free(s.electronics);
	return status;
}
