/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The events of one reconstruction: of a frame, of a replicate, subset by subset. */
#ifndef ISOTRACE_RECON_EVENT_STORE_H
#define ISOTRACE_RECON_EVENT_STORE_H

#include <stdbool.h>

#include "isotrace/events.h"

/* Which events. Prompts and delayeds are numbered from 0 each, in time order from the frame's start; replicate r takes
 * the numbers n with n mod replicates = r, and of these, renumbered, subset k those with n mod subsets = k. Thinning a
 * Poisson process by turns leaves counts as variable as Poisson's or less; pairs of replicates share no event. */
typedef struct iso_selection {
	iso_events *events;             /* borrowed */
	double start_ms, end_ms;        /* start <= time < end */
	uint64_t first;                 /* no event before this number lies in the frame */
	unsigned subsets;               /* >= 1 */
	uint64_t replicates, replicate; /* 1, 0: all */
} iso_selection;

typedef struct iso_selection_counts {
	uint64_t prompts, delayeds;
	uint64_t end; /* number of the stream's first event after the frame */
} iso_selection_counts;

/* Counts, and adds each delayed to fan_sums[] of its two elements (NULL: not wanted). Checks the elements' numbers. */
iso_status iso_selection_scan(const iso_selection *selection, uint64_t *fan_sums, iso_selection_counts *counts,
			      iso_error *err);

/* What the store keeps of each event beside itself. */
typedef iso_status iso_event_additive(void *user, const iso_event *events, size_t count, float *additive,
				      iso_error *err);

typedef struct iso_event_store iso_event_store;

/* Keeps the prompts and their additive terms in memory (20 bytes each) when that is at most max_bytes, otherwise
 * reads them anew in each pass. The blocks are the same either way. */
iso_status iso_event_store_create(const iso_selection *selection, uint64_t prompts, uint64_t max_bytes,
				  iso_event_additive *additive, void *user, iso_event_store **out, iso_error *err);
bool iso_event_store_in_memory(const iso_event_store *store);
iso_status iso_event_store_rewind(iso_event_store *store, unsigned subset, iso_error *err);
/* *count 0: the end. The arrays are valid until the next call. */
iso_status iso_event_store_next(iso_event_store *store, const iso_event **events, const float **additive, size_t *count,
				iso_error *err);
void iso_event_store_free(iso_event_store *store);

#endif
