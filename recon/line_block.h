/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lines of response in the form in which they are kept and projected: 4 bytes a line and its weight (4 more), 2 for TOF, sorted so that lines
 * between the same two columns of elements stand together as a sheaf and neighbouring sheaves lie close in space. */
#ifndef ISOTRACE_RECON_LINE_BLOCK_H
#define ISOTRACE_RECON_LINE_BLOCK_H

#include "isotrace/events.h"
#include "recon/columns.h"

/* Lines from column[0] (start) to column[1] (end), column[0] <= column[1]. */
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

#endif
