/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What every pair of a scanner would count of a norm source if all crystals were alike: the geometric factor times the line integral. Over
 * pairs of columns; on a round scanner with a round source most of them look alike and are worked out once. */
#ifndef ISOTRACE_RECON_CORRECT_NORM_PAIRS_H
#define ISOTRACE_RECON_CORRECT_NORM_PAIRS_H

#include "recon/columns.h"
#include "recon/correct/norm_source.h"

typedef struct iso_norm_pairs {
	iso_scanner *nominal; /* owned: all efficiencies 1, no components */
	const iso_norm_source *source;
	double inner_part;
	uint32_t columns, most_rows;
	uint32_t *first;   /* [columns + 1] */
	uint32_t *element; /* [elements], column by column */
	uint32_t *place;   /* [elements] where in element[] an element is */
	uint32_t *column;  /* [elements] of an element */
	/* Kind of a column pair: 0 no line counts, ISO_NORM_ALONE to be worked out each time, else 1 + number of its class.
	 * [columns * columns]; NULL: all alone. */
	uint32_t *kind;
	uint32_t classes;
	uint32_t (*representative)[2];        /* [classes] */
	size_t *start;                        /* [classes] in table[] */
	float *table;                         /* of all classes */
	float *weighted;                      /* the same times the axial factors at hand */
	double most_offset_mm, most_axial_mm; /* of pairs that count */
} iso_norm_pairs;

#define ISO_NORM_ALONE UINT32_MAX

/* source is borrowed. */
iso_status iso_norm_pairs_create(const iso_scanner *scanner, const iso_norm_source *source, double inner_part,
				 int threads, iso_norm_pairs **out, iso_error *err);
void iso_norm_pairs_free(iso_norm_pairs *pairs);

static inline uint32_t iso_norm_rows(const iso_norm_pairs *p, uint32_t column)
{
	return p->first[column + 1] - p->first[column];
}

/* Do the pair's counts belong to the data? */
bool iso_norm_pair_counts(const iso_norm_pairs *pairs, uint32_t a, uint32_t b);
/* Takes the axial factors of `components` into the classes' tables. */
void iso_norm_pairs_weigh(iso_norm_pairs *pairs, const iso_pair_components *components, int threads);
/* [rows of u][rows of v]: expected counts of nominal pairs with axial factors; NULL: none. room: [most_rows^2]. */
const float *iso_norm_pairs_matrix(const iso_norm_pairs *pairs, uint32_t u, uint32_t v,
				   const iso_pair_components *components, float *room);

#endif
