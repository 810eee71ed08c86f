/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a detector block loses while it is busy with the photon before, and what it takes for one photon. */
#ifndef ISOTRACE_SIMULATE_DEAD_TIME_H
#define ISOTRACE_SIMULATE_DEAD_TIME_H

#include "isotrace/simulate.h"
#include "simulate/singles_list.h"

typedef struct iso_dead_time {
	bool passes; /* nothing is ever lost or added */
	bool paralyzable;
	double busy_s; /* after a photon that was taken */
	double integration_s;
	uint32_t *block; /* owned; [crystals] */
	struct iso_block_state {
		double integrates_until_s, busy_until_s;
		uint64_t taken;    /* number of the photon that the block took last, in the list of those taken */
		float largest_kev; /* of the photons that it was made of */
	} * state;                 /* owned; [blocks] */
	uint64_t lost, piled_up;
} iso_dead_time;

iso_status iso_dead_time_begin(iso_dead_time *dead, const iso_simulated_electronics *electronics,
			       const iso_scanner *scanner, iso_error *err);
void iso_dead_time_end(iso_dead_time *dead);
/* Photons in the order of time; `taken` gets those that their block takes and must have room for all. One that was taken may
 * still change until integration_s after its time, by what is added to it: its energy, and its place and origin, which are
 * those of the largest part. */
void iso_dead_time_feed(iso_dead_time *dead, const iso_single *photons, size_t count, iso_singles_list *taken);

#endif
