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
	uint16_t row; /* within the column: by rising z, or in the order of numbers when not planar */
} iso_place;

typedef struct iso_columns {
	uint32_t columns, elements;
	uint32_t most_rows; /* of any column */
	/* All elements of each column have the same x and y, to the bit. Otherwise the columns are only runs of elements that are
	 * numbered one after the other: 256 each, more where that would make too many columns for a rank of 32 bits. */
	bool planar;
	iso_place *place;   /* [elements] */
	uint32_t *first;    /* [columns + 1] where column c begins in element[] */
	uint32_t *element;  /* [elements] column after column, row after row */
	float *position_mm; /* [3 * elements] in the order of element[] */
	/* Order of column pairs a <= b in which neighbours are close to one another in space: a few neighbouring angles of the line from a
	 * to b at a time, in bands of its distance from the axis. rank[iso_columns_number(a, b)]; NULL when there are too many pairs:
	 * then the pair's number itself is its rank. */
	uint32_t *rank;
	uint32_t *number; /* of the pair of a rank; NULL when rank is */
} iso_columns;

/* scanner: the positions are copied. */
iso_status iso_columns_create(const iso_scanner *scanner, iso_columns **out, iso_error *err);
void iso_columns_free(iso_columns *columns);

/* Number of pairs a <= b; fits into 32 bits. */
static inline uint32_t iso_columns_pairs(const iso_columns *c)
{
	return (uint32_t)((uint64_t)c->columns * (c->columns + (uint64_t)1) / 2);
}

/* Pairs a <= b are numbered along b first. */
static inline uint32_t iso_columns_number(const iso_columns *c, uint32_t a, uint32_t b)
{
	return (uint32_t)(a * (2 * (uint64_t)c->columns - a - 1) / 2 + b);
}

static inline uint32_t iso_columns_rank(const iso_columns *c, uint32_t a, uint32_t b)
{
	const uint32_t number = iso_columns_number(c, a, b);
	return c->rank ? c->rank[number] : number;
}

/* The two columns of a rank, the lower one first. */
void iso_columns_pair(const iso_columns *columns, uint32_t rank, uint32_t column[2]);

#endif
