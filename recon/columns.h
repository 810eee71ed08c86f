/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A scanner's elements in columns along the axis. On a scanner of identical rings a column is the crystals that differ in z
 * only; all lines between two columns then lie in one plane parallel to the axis, and what they do across it is worked out once for
 * all of them. Found from the positions, not from how elements are numbered. */
#ifndef ISOTRACE_RECON_COLUMNS_H
#define ISOTRACE_RECON_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isotrace/scanner.h"

/* Where an element stands. */
typedef struct iso_place {
	uint32_t column;
	uint16_t row; /* within the column, by rising z */
} iso_place;

typedef struct iso_columns {
	uint32_t columns, elements;
	uint32_t most_rows; /* of any column */
	/* All elements of each column have the same x and y, to the bit. Otherwise the columns are only runs of up to 256 elements that
	 * are numbered one after the other. */
	bool planar;
	iso_place *place;   /* [elements] */
	uint32_t *first;    /* [columns + 1] where column c begins in element[] */
	uint32_t *element;  /* [elements] column after column, row after row */
	float *position_mm; /* [3 * elements] in the order of element[] */
	/* Order of column pairs a <= b in which neighbours are close to one another in space: by angle of the line from a to b, then by its
	 * distance from the axis. rank[row_start(a) + b - a]; NULL when there are too many pairs: then the pair's number itself is
	 * its rank. */
	uint32_t *rank;
} iso_columns;

iso_status iso_columns_create(const iso_scanner *scanner, iso_columns **out, iso_error *err);
void iso_columns_free(iso_columns *columns);

#endif
