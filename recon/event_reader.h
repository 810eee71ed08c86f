/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One pass over a frame's events, in a thread of its own: blocks of packed, sorted and weighted lines, subset by subset, in memory as
 * far as allowed and in a file beyond. Used by event_store.c alone. */
#ifndef ISOTRACE_RECON_EVENT_READER_H
#define ISOTRACE_RECON_EVENT_READER_H

#include <stdatomic.h>

#include "recon/event_store.h"
#include "recon/scratch_file.h"

/* A finished block: where its arrays are. */
typedef struct iso_kept_block {
	size_t count, sheaves, bytes;
	bool weighted;  /* false: all weights count as 1 */
	void *memory;   /* NULL: in the file */
	int64_t offset; /* in the file */
	size_t next;    /* number of the subset's next block, or SIZE_MAX */
} iso_kept_block;

typedef struct iso_kept_blocks {
	iso_kept_block *block;
	size_t count, room;
	size_t *first, *last; /* [subsets] of each subset, or SIZE_MAX */
	size_t most_lines, most_sheaves;
	size_t most_spilled_bytes;
	iso_scratch_file scratch;
} iso_kept_blocks;

typedef struct iso_event_reader {
	const iso_event_store_plan *plan;
	iso_selected_frame frame;
	iso_kept_blocks *blocks;
	uint64_t *fan_sums; /* [parts][elements] of the delayeds by replicate; NULL: not wanted */
	iso_selection_counts counts;
	/* between the threads */
	atomic_bool stop;
	_Atomic uint64_t number; /* of the stream's next event */
} iso_event_reader;

/* Replicates, or 1 when there are none: into so many parts the events are divided. */
static inline uint32_t iso_store_parts(const iso_event_store_plan *plan)
{
	return plan->replicates > 1 ? (uint32_t)plan->replicates : 1;
}

iso_status iso_event_reader_run(iso_event_reader *reader, iso_error *err);
/* Bytes that a pass needs beside the blocks in memory, when blocks have at most so many lines. */
uint64_t iso_store_working_bytes(const iso_event_store_plan *plan, uint64_t most_lines);

#endif
