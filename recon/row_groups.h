/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A scanner seen more coarsely along its axis: neighbouring rows of every column taken together. What lines add up to changes little from row to
 * row, so that one line can stand for all pairs of two groups when it is spread as they are. */
#ifndef ISOTRACE_RECON_ROW_GROUPS_H
#define ISOTRACE_RECON_ROW_GROUPS_H

#include "recon/columns.h"
#include "recon/sheaf.h"

enum { ISO_GROUP_ROWS = 16 }; /* in a group at most */

typedef struct iso_row_groups {
	iso_scanner
	    *scanner; /* an element for each group: mean position, normal and efficiency; no limits along the axis */
	iso_columns *columns; /* of it */
	const iso_scanner *fine;
	const iso_columns *fine_columns;
	uint32_t *first; /* [groups + 1] by the scanner's elements: the group's rows in fine_columns->element[] */
	double half_mm;  /* from a group's middle to its outermost element, on average */
	iso_axial_spread spread;
	float offset_mm[ISO_GROUP_ROWS];
} iso_row_groups;

/* Groups of up to `rows` rows, at least two in a column. fine and its columns, which must be planar, are borrowed. */
iso_status iso_row_groups_create(const iso_scanner *fine, const iso_columns *fine_columns, uint32_t rows,
				 iso_row_groups **out, iso_error *err);
void iso_row_groups_free(iso_row_groups *groups);

/* How many of the fine scanner's pairs the two groups stand for, weighed by efficiency: those that the rule allows, over one pair of the
 * mean efficiencies. */
double iso_row_groups_pairs(const iso_row_groups *groups, uint32_t a, uint32_t b);

#endif
