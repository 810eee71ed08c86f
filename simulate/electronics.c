/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/electronics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "simulate/draw.h"

#define SPREAD_STREAM ((UINT64_C(3) << 61) + 1)
#define KEPT_STREAM   ((UINT64_C(3) << 61) + 2)

struct iso_electronics {
	double duration_s, window_kev[2];
	float *efficiency;        /* owned; NULL: all alike */
	double best;              /* the largest of them: what a crystal loses is relative to it */
	iso_random random;        /* which photons the efficiencies let pass */
	iso_singles_list arrived; /* and not complete: later pushes may bring others before them */
	iso_dead_time dead;
	iso_singles_list taken; /* by their blocks */
	iso_singles *singles;   /* counts */
	iso_simulation_counts counts;
	iso_coincidences coincidences;
};

void iso_scene_efficiencies(const iso_scene *scene, float *efficiency)
{
	const iso_simulated_electronics *e = &scene->electronics;
	const uint32_t crystals = scene->detector.rings.rings * scene->detector.rings.crystals_per_ring;
	iso_random random = iso_random_begin(e->efficiency_seed ? e->efficiency_seed : scene->seed, SPREAD_STREAM);
	/* a log-normal distribution of mean 1 whose standard deviation is the spread */
	const double sigma2 = log1p(e->efficiency_spread * e->efficiency_spread);
	for (uint32_t c = 0; c < crystals; c++) {
		double value = 1;
		if (e->efficiency_spread > 0) do {
				const double normal = iso_random_gaussian(&random);
				value = e->log_normal ? exp(sqrt(sigma2) * normal - 0.5 * sigma2)
						      : 1 + e->efficiency_spread * normal;
			} while (!(value > 0));
		efficiency[c] = (float)value;
	}
}

static iso_status set_efficiencies(iso_electronics *e, const iso_scene *scene, const iso_scanner *scanner,
				   iso_error *err)
{
	if (!(scene->electronics.efficiency_spread > 0)) return ISO_OK;
	e->efficiency = malloc(scanner->elements * sizeof *e->efficiency);
	if (!e->efficiency) return iso_fail_memory(err, "efficiencies", scanner->elements * sizeof *e->efficiency);
	iso_scene_efficiencies(scene, e->efficiency);
	for (uint32_t c = 0; c < scanner->elements; c++) e->best = fmax(e->best, (double)e->efficiency[c]);
	return ISO_OK;
}

iso_status iso_electronics_create(const iso_scene *scene, const iso_scanner *scanner, const iso_event_sink *sink,
				  iso_electronics **out, iso_error *err)
{
	*out = NULL;
	iso_electronics *e = calloc(1, sizeof *e);
	if (!e) return iso_fail_memory(err, "electronics", sizeof *e);
	e->duration_s = scene->duration_s;
	memcpy(e->window_kev, scene->detector.energy_window_kev, sizeof e->window_kev);
	e->random = iso_random_begin(scene->seed, KEPT_STREAM);
	iso_coincidences_begin(&e->coincidences, scene, scanner, sink);
	const double stated_s = scene->electronics.singles_interval_s;
	const double interval_s = stated_s > 0 ? stated_s : fmax(1, scene->duration_s / 100);
	iso_status status = iso_dead_time_begin(&e->dead, &scene->electronics, scanner, err);
	if (status == ISO_OK) status = set_efficiencies(e, scene, scanner, err);
	if (status == ISO_OK)
		status = iso_singles_create(scanner->elements, scanner->elements,
					    iso_singles_intervals(scene->duration_s, interval_s), interval_s,
					    &e->singles, err);
	if (status != ISO_OK) {
		iso_electronics_free(e);
		return status;
	}
	for (uint32_t c = 0; c < scanner->elements; c++) e->singles->group[c] = c;
	*out = e;
	return ISO_OK;
}

void iso_electronics_free(iso_electronics *e)
{
	if (!e) return;
	free(e->efficiency);
	free(e->arrived.of);
	free(e->taken.of);
	iso_dead_time_end(&e->dead);
	iso_singles_free(e->singles);
	iso_coincidences_end(&e->coincidences);
	free(e);
}

const iso_singles *iso_electronics_singles(const iso_electronics *e)
{
	return e->singles;
}

/* How many of the list, from its front, come before a moment. */
static size_t count_before(const iso_singles_list *list, double time_s)
{
	size_t low = 0, high = list->count;
	while (low < high) {
		const size_t middle = (low + high) / 2;
		if (list->of[middle].time_s < time_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What the block took is final: efficiency, energy window, counting; what passes waits for partners. */
static void discriminate(iso_electronics *e, size_t count)
{
	iso_singles_list *queue = &e->coincidences.queue;
	iso_singles *singles = e->singles;
	for (size_t n = 0; n < count; n++) {
		const iso_single *single = &e->taken.of[n];
		const double kev = (double)single->energy_kev;
		if (e->efficiency && e->best * draw_uniform(&e->random) >= (double)e->efficiency[single->crystal]) {
			e->counts.lost_efficiency++;
			continue;
		}
		if (kev < e->window_kev[0] || kev > e->window_kev[1]) {
			e->counts.outside_window++;
			continue;
		}
		const size_t interval = (size_t)(single->time_s / singles->interval_s);
		const size_t last = singles->intervals - 1;
		singles->counts[(interval < last ? interval : last) * singles->groups + single->crystal]++;
		e->counts.singles++;
		queue->of[queue->count++] = *single;
	}
}

iso_status iso_electronics_push(iso_electronics *e, const iso_single *photons, size_t count, double complete_s,
				iso_error *err)
{
	iso_singles_list *arrived = &e->arrived;
	iso_status status = iso_singles_list_reserve(arrived, count, err);
	if (status != ISO_OK) return status;
	const size_t waited = arrived->count;
	for (size_t n = 0; n < count; n++) {
		const bool inside = photons[n].time_s >= 0 && photons[n].time_s < e->duration_s;
		if (inside) arrived->of[arrived->count++] = photons[n];
	}
	iso_singles_sort(arrived->of, arrived->count, waited);
	const size_t ready = count_before(arrived, complete_s);
	status = iso_singles_list_reserve(&e->taken, ready, err);
	if (status != ISO_OK) return status;
	iso_dead_time_feed(&e->dead, arrived->of, ready, &e->taken);
	e->counts.photons += ready;
	iso_singles_list_take(arrived, ready);
	const double final_s = complete_s - e->dead.integration_s;
	const size_t final = count_before(&e->taken, final_s);
	status = iso_singles_list_reserve(&e->coincidences.queue, final, err);
	if (status != ISO_OK) return status;
	discriminate(e, final);
	iso_singles_list_take(&e->taken, final);
	return iso_coincidences_find(&e->coincidences, final_s, err);
}

iso_status iso_electronics_finish(iso_electronics *e, iso_simulation_counts *counts, iso_error *err)
{
	iso_status status = iso_electronics_push(e, NULL, 0, (double)INFINITY, err);
	iso_coincidences *c = &e->coincidences;
	if (status == ISO_OK) status = iso_coincidences_flush(c, err);
	if (status == ISO_OK && c->sink->singles) status = c->sink->singles(c->sink->self, e->singles, err);
	if (status == ISO_OK && e->efficiency && c->sink->efficiencies)
		status = c->sink->efficiencies(c->sink->self, e->efficiency, err);
	counts->photons += e->counts.photons;
	counts->lost_dead_time += e->dead.lost;
	counts->piled_up += e->dead.piled_up;
	counts->lost_efficiency += e->counts.lost_efficiency;
	counts->outside_window += e->counts.outside_window;
	counts->singles += e->counts.singles;
	counts->multiples += c->multiple;
	counts->trues += c->prompts[ISO_EVENT_TRUE];
	counts->scattered += c->prompts[ISO_EVENT_SCATTERED];
	counts->randoms += c->prompts[ISO_EVENT_RANDOM];
	counts->prompt_gammas += c->prompts[ISO_EVENT_PROMPT_GAMMA];
	counts->background += c->prompts[ISO_EVENT_BACKGROUND];
	counts->delayeds += c->delayeds;
	return status;
}
