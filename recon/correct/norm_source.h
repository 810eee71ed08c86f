/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Line integrals through the sources of norm scans, in closed form. */
#ifndef ISOTRACE_RECON_CORRECT_NORM_SOURCE_H
#define ISOTRACE_RECON_CORRECT_NORM_SOURCE_H

#include <stdbool.h>

#include "isotrace/normalisation.h"

enum { ISO_NORM_MOST_PIECES = 64 };

/* The source along all lines between two columns, seen along z: pieces from p + low (q - p) to p + high (q - p), each with the weight of its
 * length. */
typedef struct iso_norm_chords {
	int count;
	double low[ISO_NORM_MOST_PIECES], high[ISO_NORM_MOST_PIECES], weight[ISO_NORM_MOST_PIECES];
	double mu_per_mm, bottom_mm, top_mm;
} iso_norm_chords;

iso_status iso_norm_source_check(const iso_norm_source *source, iso_error *err);
/* "cylinder of radius 30 mm, ..." */
void iso_norm_source_text(const iso_norm_source *source, char *text, size_t size);
/* Does nothing change when everything turns about the z axis? */
bool iso_norm_source_is_round(const iso_norm_source *source);
/* False: lines between these columns do not count. p, q: any two elements of the columns. */
bool iso_norm_chords_of(const iso_norm_source *source, double inner_part, const float *p, const float *q,
			iso_norm_chords *chords);
/* Of the line from p to q: sum of weight x length x exp(-mu length); 0 where the source's ends cut off more than half. */
double iso_norm_integral(const iso_norm_chords *chords, const float *p, const float *q);

#endif
