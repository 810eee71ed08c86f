/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The events of one frame, read once: for the image of all of them and for those of the replicates, subset by subset, in blocks of
 * sorted lines. */
#ifndef ISOTRACE_RECON_EVENT_STORE_H
#define ISOTRACE_RECON_EVENT_STORE_H

#include <stdbool.h>

#include "isotrace/progress.h"
#include "recon/line_block.h"
#include "recon/span.h"

/* Lines of a block at most. A constant, so that blocks, the order of sums and with them the bits of the result depend neither on
 * memory nor on threads. */
enum { ISO_STORE_BLOCK_LINES = 1 << 22 };
/* Of a replicate's number 16 bits are kept while events are sorted. */
enum { ISO_STORE_MOST_REPLICATES = 65535 };

/* m_i of a block's lines, into factors; 0: the line cannot count. Called once for each block, from the thread that reads. */
typedef iso_status iso_block_factors(void *user, const iso_line_block *block, float *factors, iso_error *err);
/* b_i of recon/likelihood.h. factors: what iso_block_factors said; NULL: all of them are > 0 and do not matter. */
typedef iso_status iso_block_additive(void *user, const iso_line_block *block, const float *factors, float *additive,
				      iso_error *err);

/* What a store is for; all of it is borrowed.
 *
 * Prompts and delayeds are numbered from 0 each, in time order from the frame's start. Of K subsets and R replicates, prompt n is in
 * subset n mod K and in replicate (n / K) mod R: a subset of all events is the union of the replicates' subsets. Delayed d is in replicate
 * d mod R. Thinning a Poisson process by turns leaves counts as variable as Poisson's or less; pairs of replicates share no event. */
typedef struct iso_event_store_plan {
	iso_events *events;
	const iso_columns *columns; /* of the events' scanner */
	unsigned subsets;           /* >= 1 */
	size_t replicates;          /* 0: none */
	bool fan_sums;              /* of the delayeds: wanted */
	bool background;            /* false: of m_i it only matters whether it is 0 */
	/* For blocks, sorting, and what a pass needs. Less than the largest block's sorting takes (24 bytes a line and the block itself) cannot be
	 * kept to. */
	uint64_t max_bytes;
	const char *scratch_folder; /* for blocks beyond; NULL: $TMPDIR or /tmp */
	iso_block_factors *factors;
	iso_block_additive *additive;
	void *user; /* of both */
	const iso_progress *progress;
	const char *label;  /* before the stage's name; the array may change between frames */
	size_t block_lines; /* 0: ISO_STORE_BLOCK_LINES; tests take fewer, a power of 2 */
} iso_event_store_plan;

typedef struct iso_selected_frame {
	double start_ms, end_ms; /* start <= time < end */
	uint64_t first;          /* no event before this number lies in the frame */
	iso_span gate;           /* in these parts of the frame alone, in whole ms; no parts: in all of it */
} iso_selected_frame;

typedef struct iso_selection_counts {
	uint64_t prompts, delayeds;
	uint64_t end; /* number of the stream's first event after the frame */
} iso_selection_counts;

typedef struct iso_event_store iso_event_store;

/* The plan is copied. */
iso_status iso_event_store_create(const iso_event_store_plan *plan, iso_event_store **out, iso_error *err);
/* Forgets what it holds and starts to read a frame, in another thread where the system has one to give. Until
 * iso_event_store_finish returns, events belongs to the store, HDF5 (which is not made for threads) must not be called, and
 * iso_block_factors must find nothing that the caller changes meanwhile. */
void iso_event_store_begin(iso_event_store *store, const iso_selected_frame *frame);
/* Waits for the end of reading, reporting progress, and says how it went. */
iso_status iso_event_store_finish(iso_event_store *store, iso_error *err);

/* Which events the calls below are about: replicate r, or ISO_ALL_EVENTS. */
#define ISO_ALL_EVENTS UINT64_MAX
void iso_event_store_select(iso_event_store *store, uint64_t replicate);
/* Of the selected events; end is the frame's. */
iso_selection_counts iso_event_store_counts(const iso_event_store *store);
/* Adds up the selected delayeds of each element: [elements]. */
void iso_event_store_fan_sums(const iso_event_store *store, uint64_t *fan_sums);
/* Lines of the largest block. */
size_t iso_event_store_most_lines(const iso_event_store *store);
/* Bytes of blocks in the file, 0: all are in memory; and the file's folder. */
uint64_t iso_event_store_spilled_bytes(const iso_event_store *store, const char **folder);
/* The next block is the subset's first. */
void iso_event_store_rewind(iso_event_store *store, unsigned subset);
/* *block NULL: the end. Valid until the next call. */
iso_status iso_event_store_next(iso_event_store *store, const iso_line_block **block, const float **additive,
				iso_error *err);
/* m_i of the block that iso_event_store_next gave last, valid as long; NULL: none were kept, all are > 0. */
const float *iso_event_store_factors(const iso_event_store *store);
/* Stops reading first. */
void iso_event_store_free(iso_event_store *store);

#endif
