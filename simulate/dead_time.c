/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/dead_time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

iso_status iso_dead_time_begin(iso_dead_time *dead, const iso_simulated_electronics *electronics,
			       const iso_scanner *scanner, iso_error *err)
{
	const uint32_t stated = iso_scanner_blocks(scanner), blocks = stated ? stated : scanner->elements;
	const bool dies = electronics->dead_time != ISO_DEAD_TIME_NONE && electronics->dead_time_ns > 0;
	*dead = (iso_dead_time){.passes = !dies && !(electronics->pile_up_ns > 0),
				.paralyzable = electronics->dead_time == ISO_DEAD_TIME_PARALYZABLE,
				.integration_s = 1e-9 * electronics->pile_up_ns,
				/* a block that integrates is busy */
				.busy_s = 1e-9 * fmax(dies ? electronics->dead_time_ns : 0, electronics->pile_up_ns)};
	dead->block = malloc(scanner->elements * sizeof *dead->block);
	dead->state = malloc(blocks * sizeof *dead->state);
	if (!dead->block || !dead->state) {
		iso_dead_time_end(dead);
		return iso_fail_memory(err, "detector blocks", blocks * sizeof *dead->state);
	}
	for (uint32_t e = 0; e < scanner->elements; e++) dead->block[e] = stated ? iso_scanner_block(scanner, e) : e;
	for (uint32_t b = 0; b < blocks; b++)
		dead->state[b] = (struct iso_block_state){-(double)INFINITY, -(double)INFINITY, 0, 0};
	return ISO_OK;
}

void iso_dead_time_end(iso_dead_time *dead)
{
	free(dead->block);
	free(dead->state);
	dead->block = NULL;
	dead->state = NULL;
}

/* The sum is seen where the largest part was left. */
static void pile_up(struct iso_block_state *state, const iso_single *photon, iso_single *taken)
{
	const float sum = taken->energy_kev + photon->energy_kev;
	if (photon->energy_kev > state->largest_kev) {
		const double time_s = taken->time_s;
		state->largest_kev = photon->energy_kev;
		*taken = *photon;
		taken->time_s = time_s;
	}
	taken->energy_kev = sum;
}

void iso_dead_time_feed(iso_dead_time *dead, const iso_single *photons, size_t count, iso_singles_list *taken)
{
	if (dead->passes) {
		if (count) memcpy(taken->of + taken->count, photons, count * sizeof *photons);
		taken->count += count;
		return;
	}
	for (size_t n = 0; n < count; n++) {
		const iso_single *photon = &photons[n];
		struct iso_block_state *state = &dead->state[dead->block[photon->crystal]];
		if (photon->time_s >= state->busy_until_s) {
			state->busy_until_s = photon->time_s + dead->busy_s;
			state->integrates_until_s = photon->time_s + dead->integration_s;
			state->taken = taken->first + taken->count;
			state->largest_kev = photon->energy_kev;
			taken->of[taken->count++] = *photon;
			continue;
		}
		if (photon->time_s < state->integrates_until_s) {
			pile_up(state, photon, &taken->of[state->taken - taken->first]);
			dead->piled_up++;
		} else
			dead->lost++;
		if (dead->paralyzable) state->busy_until_s = photon->time_s + dead->busy_s;
	}
}
