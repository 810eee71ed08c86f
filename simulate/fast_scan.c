/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The scan without electronics: pairs that are followed only where both photons can be recorded, and randoms drawn by their rate.
 * Slices of time, each with its own random stream, are made in parallel and delivered in order. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "simulate/draw.h"
#include "simulate/scan.h"

/* Positrons that are followed per slice, and slices in memory at a time. */
#define POSITRONS_PER_SLICE 65536.0
#define SLICES_PER_BATCH    32
/* Decays of the pilot that measures the rate of singles: its relative error is about 1/sqrt(n) = 0.2 % at most. */
#define PILOT_BLOCKS    64
#define PILOT_PER_BLOCK 4096
#define PILOT_STREAM    (UINT64_C(1) << 62)

/* An event with its full time, to sort by. */
typedef struct timed_event {
	double time_s;
	iso_event event;
	iso_event_truth truth;
} timed_event;

typedef struct slice {
	timed_event *events;
	size_t count, room;
	iso_simulation_counts counts;
	bool failed; /* out of memory */
} slice;

typedef struct scan_plan {
	const iso_transport *transport;
	uint64_t slices;
	double decays; /* expected in the scan */
} scan_plan;

static void add(slice *to, double time_s, const iso_event *event, iso_event_fate fate)
{
	if (to->count == to->room) {
		const size_t room = to->room ? 2 * to->room : 4096;
		timed_event *more = realloc(to->events, room * sizeof *more);
		if (!more) {
			to->failed = true;
			return;
		}
		to->events = more;
		to->room = room;
	}
	timed_event *last = &to->events[to->count++];
	last->time_s = time_s;
	last->event = *event;
	last->truth = (iso_event_truth){.fate = (uint8_t)fate};
	last->event.time_ms = (uint32_t)(time_s * 1000);
}

/* The moment before which the fraction f of the scan's decays falls, for a rate that decays with lambda. */
static double moment_s(double lambda, double duration_s, double f)
{
	const double exponent = lambda * duration_s;
	const double time_s = exponent < 1e-9 ? f * duration_s : -log1p(f * expm1(-exponent)) / lambda;
	/* the last moment of the scan still belongs to it */
	return fmin(fmax(time_s, 0), duration_s * (1 - 1e-15));
}

static void make_trues(const scan_plan *plan, uint64_t number, slice *to)
{
	const iso_transport *t = plan->transport;
	iso_random random = iso_random_begin(t->scene->seed, 4 * number);
	const double decays = plan->decays / (double)plan->slices;
	/* Whether a photon that interacts passes the energy window does not depend on where it does so. The pairs that would
	 * fail there are therefore counted and not followed: thinning a Poisson process leaves Poisson processes. */
	const double passing = t->energy_acceptance * t->energy_acceptance;
	const uint64_t followed = iso_random_poisson(&random, decays * t->branching * passing);
	const uint64_t dropped = iso_random_poisson(&random, decays * t->branching * (1 - passing));
	const iso_source *source = t->source;
	const double duration_s = t->scene->duration_s, share = 1 / (double)plan->slices;
	const double from_s = iso_source_moment_s(source, 0, duration_s, share * (double)number);
	const double to_s = iso_source_moment_s(source, 0, duration_s, share * (double)(number + 1));
	const uint64_t without = iso_random_poisson(&random, decays * (1 - t->branching));
	to->counts.positrons = (double)(followed + dropped);
	to->counts.decays = to->counts.positrons + (double)without;
	for (uint64_t n = 0; n < followed && !to->failed; n++) {
		iso_event event = {.kind = ISO_EVENT_PROMPT};
		/* Where nothing changes, the moment says nothing about the place and is drawn for what is detected only. */
		const bool changes = iso_source_changes(source);
		double time_s = changes ? iso_source_draw_time_s(source, &random, from_s, to_s) : 0;
		if (iso_transport_pair(t, &random, time_s, &event) != ISO_FATE_DETECTED) continue;
		if (!changes) time_s = iso_source_draw_time_s(source, &random, from_s, to_s);
		add(to, time_s, &event, ISO_EVENT_TRUE);
		to->counts.trues++;
	}
}

/* Coincidences of photons from different decays. The photons recorded per second, S(t), come from a Poisson process of
 * decays, so that pairs of them from different decays closer than tau occur at the rate tau S(t)^2 (half of S^2 for
 * unordered pairs, times the window's full width 2 tau). */
static void make_randoms(const scan_plan *plan, uint64_t number, iso_event_kind kind, slice *to)
{
	const iso_transport *t = plan->transport;
	const iso_scene *scene = t->scene;
	iso_random random = iso_random_begin(scene->seed, 4 * number + (kind == ISO_EVENT_PROMPT ? 1 : 2));
	const double start = moment_s(t->decay_per_s, scene->duration_s, (double)number / (double)plan->slices);
	const double end = moment_s(t->decay_per_s, scene->duration_s, (double)(number + 1) / (double)plan->slices);
	const double lambda = 2 * t->decay_per_s, tau_s = 1e-12 * t->half_window_ps;
	const double rate = tau_s * t->singles_per_s * t->singles_per_s * exp(-lambda * start);
	const double mean = rate * -expm1(-lambda * (end - start)) / lambda;
	for (uint64_t left = iso_random_poisson(&random, mean); left > 0 && !to->failed; left--) {
		iso_event event = {.kind = (uint8_t)kind};
		for (int i = 0; i < 2; i++)
			while (iso_transport_single(t, &random, &event.element[i]) != ISO_FATE_DETECTED) continue;
		const double time_s = start + moment_s(lambda, end - start, draw_uniform(&random));
		const double difference_ps = t->half_window_ps * (2 * draw_uniform(&random) - 1);
		if (!iso_scanner_pair_allowed(t->scanner, event.element[0], event.element[1]) ||
		    !iso_tof_bin(&t->scanner->tof, difference_ps, &event.tof_bin))
			continue;
		add(to, time_s, &event, ISO_EVENT_RANDOM);
		if (kind == ISO_EVENT_PROMPT)
			to->counts.randoms++;
		else
			to->counts.delayeds++;
	}
}

static int earlier(const void *a, const void *b)
{
	const timed_event *x = a, *y = b;
	if (x->time_s != y->time_s) return x->time_s < y->time_s ? -1 : 1;
	return memcmp(&x->event, &y->event, sizeof x->event); /* the same order in every run */
}

static void make_slice(const scan_plan *plan, uint64_t number, slice *to)
{
	to->count = 0;
	to->counts = (iso_simulation_counts){.decays = 0};
	make_trues(plan, number, to);
	if (plan->transport->scene->randoms) {
		make_randoms(plan, number, ISO_EVENT_PROMPT, to);
		make_randoms(plan, number, ISO_EVENT_DELAYED, to);
	}
	if (to->count) qsort(to->events, to->count, sizeof *to->events, earlier);
}

/* Photons recorded per second at the start of the scan, with and without a recorded partner. */
static double measure_singles(const iso_transport *t, int threads)
{
	double mean[PILOT_BLOCKS];
#pragma omp parallel for schedule(dynamic) num_threads(threads)
	for (int b = 0; b < PILOT_BLOCKS; b++) {
		iso_random random = iso_random_begin(t->scene->seed, PILOT_STREAM + (uint64_t)b);
		double sum = 0;
		for (int n = 0; n < PILOT_PER_BLOCK; n++) sum += iso_transport_single_weight(t, &random);
		mean[b] = sum / PILOT_PER_BLOCK;
	}
	double sum = 0;
	for (int b = 0; b < PILOT_BLOCKS; b++) sum += mean[b];
	return 2 * t->positrons_per_s * t->energy_acceptance * sum / PILOT_BLOCKS;
}

static iso_status deliver(slice *from, const iso_event_sink *sink, iso_simulation_counts *counts, iso_error *err)
{
	enum { BLOCK = 4096 };
	iso_event block[BLOCK];
	iso_event_truth truth[BLOCK];
	if (from->failed) return iso_fail_memory(err, "simulated events", from->room * 2 * sizeof *from->events);
	for (size_t done = 0; done < from->count;) {
		size_t n = 0;
		for (; n < BLOCK && done < from->count; n++, done++) {
			block[n] = from->events[done].event;
			truth[n] = from->events[done].truth;
		}
		const iso_status status = sink->write(sink->self, block, truth, n, err);
		if (status != ISO_OK) return status;
	}
	counts->decays += from->counts.decays;
	counts->positrons += from->counts.positrons;
	counts->trues += from->counts.trues;
	counts->randoms += from->counts.randoms;
	counts->delayeds += from->counts.delayeds;
	return ISO_OK;
}

static iso_status run(const scan_plan *plan, const iso_event_sink *sink, int threads, const iso_progress *progress,
		      iso_simulation_counts *counts, iso_error *err)
{
	slice slices[SLICES_PER_BATCH] = {{.events = NULL}};
	iso_status status = ISO_OK;
	for (uint64_t first = 0; first < plan->slices && status == ISO_OK; first += SLICES_PER_BATCH) {
		const uint64_t left = plan->slices - first;
		const int n = left < SLICES_PER_BATCH ? (int)left : SLICES_PER_BATCH;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
		for (int i = 0; i < n; i++) make_slice(plan, first + (uint64_t)i, &slices[i]);
		for (int i = 0; i < n && status == ISO_OK; i++) status = deliver(&slices[i], sink, counts, err);
		if (status == ISO_OK && progress && progress->report &&
		    progress->report(progress->user, "simulating",
				     (double)(first + (uint64_t)n) / (double)plan->slices))
			status = iso_fail(err, ISO_CANCELLED, NULL, "start again", "the simulation was stopped");
	}
	for (int i = 0; i < SLICES_PER_BATCH; i++) free(slices[i].events);
	return status;
}

iso_status iso_fast_scan(iso_transport *transport, const iso_event_sink *sink, int threads,
			 const iso_progress *progress, iso_simulation_counts *counts, iso_error *err)
{
	const iso_scene *scene = transport->scene;
	if (transport->crystal)
		return iso_fail(
		    err, ISO_BAD_INPUT, NULL,
		    "add the section electronics, which follows every photon; docs/scene-file.md lists its keys",
		    "crystals of %s, which tell energies apart, need the electronics",
		    scene->detector.crystal_material);
	if (scene->randoms && iso_source_changes(transport->source))
		return iso_fail(
		    err, ISO_BAD_INPUT, NULL,
		    "add the section electronics, switch randoms off, or give every organ a constant uptake",
		    "randoms of a scene with a time course cannot be simulated without electronics: their rate takes "
		    "one rate of singles per activity");
	if (scene->randoms) transport->singles_per_s = measure_singles(transport, threads);
	scan_plan plan = {.transport = transport};
	plan.decays = iso_source_decays(transport->source, 0, scene->duration_s);
	const double followed =
	    plan.decays * transport->branching * transport->energy_acceptance * transport->energy_acceptance;
	plan.slices = (uint64_t)fmax(1, ceil(followed / POSITRONS_PER_SLICE));
	return run(&plan, sink, threads, progress, counts, err);
}
