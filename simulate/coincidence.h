/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From singles in the order of time to coincidences, prompt and delayed. */
#ifndef ISOTRACE_SIMULATE_COINCIDENCE_H
#define ISOTRACE_SIMULATE_COINCIDENCE_H

#include "core/random.h"
#include "isotrace/simulate.h"
#include "simulate/singles_list.h"

/* Where a single stands among those that it hangs together with by gaps of at most tau. */
typedef struct iso_cluster_place {
	uint32_t size;   /* of the cluster */
	uint32_t rank;   /* by energy: 0 the largest, 1 the next, 2 all others */
	float rival_kev; /* the largest energy of the others; 0 when it is alone */
} iso_cluster_place;

enum { ISO_COINCIDENCE_BUFFER = 4096 };

typedef struct iso_coincidences {
	const iso_scanner *scanner;
	const iso_event_sink *sink;
	iso_multiples multiples;
	bool randoms; /* false: coincidences of two decays are not recorded, and there is no delayed window */
	double tau_s, offset_s;
	iso_random random;
	iso_singles_list queue;    /* owned; those whose window is still open, and the partners that they may find */
	iso_cluster_place *place;  /* owned; [place_room] of queue; only where multiples are more than all pairs */
	size_t place_room, placed; /* so many of the queue have a place */
	uint64_t prompts[ISO_EVENT_FATES], delayeds, multiple;
	size_t held;
	iso_event event[ISO_COINCIDENCE_BUFFER];
	iso_event_truth truth[ISO_COINCIDENCE_BUFFER];
} iso_coincidences;

/* The queue is to be filled by the caller. Scanner and sink must outlive it. */
void iso_coincidences_begin(iso_coincidences *c, const iso_scene *scene, const iso_scanner *scanner,
			    const iso_event_sink *sink);
void iso_coincidences_end(iso_coincidences *c);
/* All singles before complete_s are in the queue: finds what can be found, and gives it to the sink (some of it later). */
iso_status iso_coincidences_find(iso_coincidences *c, double complete_s, iso_error *err);
/* Gives the sink what is still held. */
iso_status iso_coincidences_flush(iso_coincidences *c, iso_error *err);

#endif
