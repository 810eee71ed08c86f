/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lines that pass the body: what they count beyond randoms is scatter (and prompt gammas), and tells how much of it there is. */
#ifndef ISOTRACE_RECON_CORRECT_TAILS_H
#define ISOTRACE_RECON_CORRECT_TAILS_H

#include <stdbool.h>

#include "isotrace/image.h"
#include "recon/correct/coarse_detectors.h"
#include "recon/line_block.h"

enum { ISO_TAIL_GROUPS = 8 }; /* of lines, by their distance from the axis */

typedef struct iso_tails iso_tails;

/* mu: coarse (recon/correct/coarse_map.h), 1/cm; the body is what has more than a fifth of water's, and all that lies within margin_mm of it. The
 * scanner's pairs are stood for by an even sample of half a million, or are all there when they are fewer. scanner and columns are
 * borrowed. */
iso_status iso_tails_create(const iso_scanner *scanner, const iso_columns *columns, const iso_image *mu,
			    double margin_mm, int threads, iso_tails **out, iso_error *err);
void iso_tails_free(iso_tails *tails);

/* Adds the block's lines that pass the body to counts: [ISO_TAIL_GROUPS]. m: the lines' factors, of which those that are 0 do not count. */
iso_status iso_tails_count(const iso_tails *tails, const iso_line_block *block, const float *m, double *counts,
			   iso_error *err);

/* Sums over pairs and their TOF bins. */
typedef struct iso_pair_sums {
	double tails[ISO_TAIL_GROUPS];
	double all; /* all pairs that the scanner allows, in the tails or not */
} iso_pair_sums;
/* Of a table, times efficiency[e] of both elements: [elements]. */
void iso_tails_table_sums(const iso_tails *tails, const iso_pair_table *table, const float *efficiency,
			  iso_pair_sums *sums);
/* Of rate[e] of both: [elements]. */
void iso_tails_rate_sums(const iso_tails *tails, const float *rate, iso_pair_sums *sums);

/* Counts as Poisson variables of mean randoms + scale[0] shape[0] + scale[1] shape[1], per group: the most likely scales >= 0. Randoms
 * are taken to be known within 0.2 %. */
typedef struct iso_tail_fit {
	double scale[2];
	double sd[2]; /* from the counts' noise; INFINITY: the counts say nothing */
	double information[2][2];
} iso_tail_fit;
/* shapes: 1 or 2 */
iso_tail_fit iso_tails_fit(const double *counts, const double *randoms, const double (*shape)[ISO_TAIL_GROUPS],
			   int shapes);

/* What else is known of the scales: all are `scale`, each within sd, from the simulation alone. */
typedef struct iso_scale_expected {
	double scale, sd[2];
} iso_scale_expected;
/* The fit and the expectation, each with the weight of its certainty. An expectation that the tails contradict by more than three standard deviations
 * is as uncertain as that says. weight: of the tails in scale[0], 0..1. */
iso_tail_fit iso_tails_combine(const iso_tail_fit *tails, int shapes, const iso_scale_expected *expected,
			       double *weight);

/* Counts of all lines, as simulated. */
typedef struct iso_scale_counts {
	double trues, scatter, gammas; /* gammas: the second shape; 0 without */
	double found;                  /* trues and all that is to be scaled, as measured */
} iso_scale_counts;
/* The same with what the counts expect: as many scattered per true as simulated, in all that was found and is not gammas, whose scale is their own (its
 * expectation is uncertain, and they may be as many as the trues). sd: of both expectations. */
iso_tail_fit iso_tails_weigh(const iso_tail_fit *tails, int shapes, const iso_scale_counts *counts, const double sd[2],
			     double *weight);

#endif
