/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/coincidence.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "simulate/detector.h"

#define SORTER_STREAM (UINT64_C(3) << 61)

void iso_coincidences_begin(iso_coincidences *c, const iso_scene *scene, const iso_scanner *scanner,
			    const iso_event_sink *sink)
{
	c->scanner = scanner;
	c->sink = sink;
	c->multiples = scene->electronics.multiples;
	c->randoms = scene->randoms;
	c->tau_s = 0.5e-9 * scene->detector.coincidence_window_ns;
	c->offset_s = 1e-9 * scene->electronics.delayed_offset_ns;
	c->random = iso_random_begin(scene->seed, SORTER_STREAM);
}

void iso_coincidences_end(iso_coincidences *c)
{
	free(c->queue.of);
	free(c->place);
}

iso_status iso_coincidences_flush(iso_coincidences *c, iso_error *err)
{
	const size_t held = c->held;
	c->held = 0;
	return held ? c->sink->write(c->sink->self, c->event, c->truth, held, err) : ISO_OK;
}

static iso_event_truth truth_of(const iso_single *a, const iso_single *b)
{
	const unsigned scatters = (unsigned)a->scatters + b->scatters;
	iso_event_truth truth = {.fate = ISO_EVENT_TRUE, .scatters = (uint8_t)(scatters < 255 ? scatters : 255)};
	if (a->decay != b->decay)
		truth.fate = ISO_EVENT_RANDOM;
	else if (a->origin == ISO_SINGLE_BACKGROUND)
		truth.fate = ISO_EVENT_BACKGROUND;
	else if (a->origin == ISO_SINGLE_PROMPT_GAMMA || b->origin == ISO_SINGLE_PROMPT_GAMMA)
		truth.fate = ISO_EVENT_PROMPT_GAMMA;
	else if (scatters)
		truth.fate = ISO_EVENT_SCATTERED;
	return truth;
}

/* One pair that the windows and the rule for multiples let through; a came first, or offset_s before b. */
static iso_status record(iso_coincidences *c, const iso_single *a, const iso_single *b, iso_event_kind kind,
			 iso_error *err)
{
	if (!iso_scanner_pair_allowed(c->scanner, a->crystal, b->crystal)) return ISO_OK;
	const iso_event_truth truth = truth_of(a, b);
	if (truth.fate == ISO_EVENT_RANDOM && !c->randoms) return ISO_OK;
	const double later_s = b->time_s - a->time_s - (kind == ISO_EVENT_DELAYED ? c->offset_s : 0);
	const bool swap = iso_random_u32(&c->random) >> 31; /* which photon is element 0 says nothing */
	iso_event event = {.time_ms = (uint32_t)(a->time_s * 1000),
			   .element = {swap ? b->crystal : a->crystal, swap ? a->crystal : b->crystal},
			   .kind = (uint8_t)kind};
	if (!iso_tof_bin(&c->scanner->tof, 1e12 * (swap ? later_s : -later_s), &event.tof_bin)) return ISO_OK;
	if (kind == ISO_EVENT_DELAYED)
		c->delayeds++;
	else
		c->prompts[truth.fate]++;
	c->event[c->held] = event;
	c->truth[c->held++] = truth;
	return c->held == ISO_COINCIDENCE_BUFFER ? iso_coincidences_flush(c, err) : ISO_OK;
}

/* The places of one whole cluster. */
static void place_cluster(const iso_single *single, iso_cluster_place *place, size_t size)
{
	size_t largest = 0, next = 0;
	for (size_t n = 1; n < size; n++)
		if (single[n].energy_kev > single[largest].energy_kev) largest = n;
	next = largest == 0 ? 1 : 0;
	for (size_t n = 0; n < size; n++)
		if (n != largest && single[n].energy_kev > single[next].energy_kev) next = n;
	for (size_t n = 0; n < size; n++)
		place[n] = (iso_cluster_place){.size = (uint32_t)size,
					       .rank = n == largest ? 0u
						       : n == next  ? 1u
								    : 2u,
					       .rival_kev =
						   size == 1 ? 0.0f : single[n == largest ? next : largest].energy_kev};
}

/* Places all clusters that are whole; returns the time from which on there may be more to come. */
static iso_status place_clusters(iso_coincidences *c, double *complete_s, iso_error *err)
{
	if (c->queue.count > c->place_room) {
		iso_cluster_place *more = realloc(c->place, c->queue.room * sizeof *more);
		if (!more) return iso_fail_memory(err, "clusters of singles", c->queue.room * sizeof *more);
		c->place = more;
		c->place_room = c->queue.room;
	}
	const iso_single *of = c->queue.of;
	while (c->placed < c->queue.count) {
		size_t end = c->placed + 1;
		while (end < c->queue.count && of[end].time_s - of[end - 1].time_s <= c->tau_s) end++;
		if (end == c->queue.count && of[end - 1].time_s + c->tau_s >= *complete_s) {
			*complete_s = fmin(*complete_s, of[c->placed].time_s);
			return ISO_OK;
		}
		place_cluster(of + c->placed, c->place + c->placed, end - c->placed);
		c->placed = end;
	}
	return ISO_OK;
}

static bool prompt_stands(const iso_coincidences *c, size_t a, size_t b)
{
	switch (c->multiples) {
	case ISO_MULTIPLES_REJECT: return c->place[a].size == 2;
	case ISO_MULTIPLES_LARGEST: return c->place[a].rank + c->place[b].rank == 1;
	default: return true;
	}
}

/* As if the later cluster had come at the time of the earlier one. */
static bool delayed_stands(const iso_coincidences *c, size_t a, size_t b)
{
	if (c->multiples == ISO_MULTIPLES_ALL_PAIRS) return true;
	const iso_cluster_place *p = &c->place[a], *q = &c->place[b];
	if (c->multiples == ISO_MULTIPLES_REJECT) return p->size == 1 && q->size == 1;
	return p->rank == 0 && q->rank == 0 &&
	       fmaxf(p->rival_kev, q->rival_kev) < fminf(c->queue.of[a].energy_kev, c->queue.of[b].energy_kev);
}

/* The windows that one single opens: the prompt one is (t, t + tau], the delayed one is offset_s later. */
static iso_status open_windows(iso_coincidences *c, size_t opener, size_t *delayed, iso_error *err)
{
	const iso_single *of = c->queue.of, *a = &of[opener];
	iso_status status = ISO_OK;
	size_t b = opener + 1;
	for (; status == ISO_OK && b < c->queue.count && of[b].time_s - a->time_s <= c->tau_s; b++)
		if (prompt_stands(c, opener, b)) status = record(c, a, &of[b], ISO_EVENT_PROMPT, err);
	if (b - opener > 2) c->multiple++;
	if (!c->randoms) return status;
	const double from_s = a->time_s + c->offset_s;
	while (*delayed < c->queue.count && of[*delayed].time_s < from_s) (*delayed)++;
	for (b = *delayed; status == ISO_OK && b < c->queue.count && of[b].time_s - from_s <= c->tau_s; b++)
		if (delayed_stands(c, opener, b)) status = record(c, a, &of[b], ISO_EVENT_DELAYED, err);
	return status;
}

iso_status iso_coincidences_find(iso_coincidences *c, double complete_s, iso_error *err)
{
	iso_status status = ISO_OK;
	if (c->multiples != ISO_MULTIPLES_ALL_PAIRS) status = place_clusters(c, &complete_s, err);
	const double reach_s = c->tau_s + (c->randoms ? c->offset_s : 0);
	size_t opener = 0, delayed = 0;
	while (status == ISO_OK && opener < c->queue.count && c->queue.of[opener].time_s + reach_s < complete_s)
		status = open_windows(c, opener++, &delayed, err);
	if (c->multiples != ISO_MULTIPLES_ALL_PAIRS) {
		for (size_t n = opener; n < c->placed; n++) c->place[n - opener] = c->place[n];
		c->placed -= opener;
	}
	iso_singles_list_take(&c->queue, opener);
	return status;
}
