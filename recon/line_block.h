/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lines of response in the form in which they are kept and projected: 4 bytes a line and its weight (4 more), 2 for TOF, sorted so that lines
 * between the same two columns of elements stand together as a sheaf and neighbouring sheaves lie close in space. */
#ifndef ISOTRACE_RECON_LINE_BLOCK_H
#define ISOTRACE_RECON_LINE_BLOCK_H

#include "isotrace/events.h"
#include "isotrace/projector.h"
#include "recon/columns.h"

/* Lines from column[0] (start) to column[1] (end), column[0] <= column[1]; where both are the same, row[0] <= row[1]. */
typedef struct iso_sheaf {
	uint32_t column[2];
	uint32_t first; /* number of its first line; the next sheaf's first is one past its last */
	uint32_t
	    group; /* the caller's: lines of the same columns and different groups are different sheaves, one after another */
} iso_sheaf;

/* A view; who made it owns the arrays. */
typedef struct iso_line_block {
	const iso_columns *columns;
	size_t count, sheaves;    /* count < 2^32 */
	const iso_sheaf *sheaf;   /* [sheaves + 1], sheaf[sheaves].first == count */
	const uint16_t (*row)[2]; /* [count] */
	const int16_t *tof_bin;   /* [count], positive nearer to column[1]; NULL: no TOF */
} iso_line_block;

/* The sheaf of a line below block->count. */
size_t iso_line_block_sheaf_of(const iso_line_block *block, size_t line);
/* Lines [first, first + count) with positions in mm, or as events that would have been packed into them (time, kind and window 0).
 * tof: the scanner's. */
void iso_line_block_lines(const iso_line_block *block, const iso_tof *tof, size_t first, size_t count, iso_line *lines);
void iso_line_block_events(const iso_line_block *block, size_t first, size_t count, iso_event *events);

/* An event before it is sorted: 12 bytes. */
typedef struct iso_packed_event {
	uint32_t rank;
	uint16_t row[2];
	int16_t tof_bin;
	uint16_t group;
} iso_packed_event;

/* Turns events so that they begin in the lower column; their elements must be the scanner's. Group 0. */
void iso_pack_events(const iso_columns *columns, const iso_event *events, size_t count, iso_packed_event *packed);
/* By rank, then by group below `groups`, then as they came. scratch: [count]. */
void iso_sort_packed(const iso_columns *columns, uint32_t groups, iso_packed_event *events, iso_packed_event *scratch,
		     size_t count);
/* Sheaves that sorted events make. */
size_t iso_packed_sheaves(const iso_packed_event *sorted, size_t count);

/* A block's arrays one after the other in one piece of memory, the weights last. */
typedef struct iso_line_arrays {
	iso_sheaf *sheaf;
	uint16_t (*row)[2];
	int16_t *tof_bin; /* NULL: no TOF */
	float *weight;
} iso_line_arrays;

/* Bytes of that memory, and where in it the arrays are. */
size_t iso_line_arrays_bytes(size_t count, size_t sheaves, bool tof, bool weighted);
iso_line_arrays iso_line_arrays_in(void *memory, size_t count, size_t sheaves, bool tof);
iso_line_block iso_line_arrays_view(const iso_line_arrays *arrays, const iso_columns *columns, size_t count,
				    size_t sheaves);
/* Fills sheaf, row and tof_bin from sorted events. */
void iso_line_arrays_unpack(const iso_line_arrays *arrays, const iso_columns *columns, const iso_packed_event *sorted,
			    size_t count);
/* The lines of one group, in their order. to: with room for as many; *count and *sheaves are set. weight may be NULL. */
void iso_line_block_take_group(const iso_line_block *block, const float *weight, uint32_t group,
			       const iso_line_arrays *to, size_t *count, size_t *sheaves);

/* A block of events that are all at hand, and its memory in one. group: [count]; NULL: all 0. */
iso_status iso_line_block_create(const iso_columns *columns, bool tof, const iso_event *events, const uint16_t *group,
				 size_t count, iso_line_block **out, iso_error *err);
void iso_line_block_free(iso_line_block *block);

#endif
