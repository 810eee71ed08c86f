/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The likelihood of a norm scan: its sufficient sums, and the components that explain them. */
#ifndef ISOTRACE_RECON_CORRECT_NORM_FIT_H
#define ISOTRACE_RECON_CORRECT_NORM_FIT_H

#include "isotrace/progress.h"
#include "recon/correct/norm_pairs.h"

/* Counts added up by each component that they depend on; or what a model expects in their place. */
typedef struct iso_norm_sums {
	double *fan;                                          /* owned; [elements]: both ends of each pair */
	double radial[ISO_PAIR_NODES], axial[ISO_PAIR_NODES]; /* each pair once, shared by the two nodes around it */
	double block[ISO_BLOCK_POSITIONS][ISO_BLOCK_NODES];   /* both ends */
} iso_norm_sums;

typedef struct iso_norm_model {
	const iso_norm_pairs *pairs;
	iso_pair_components *components; /* counts of nodes and steps are set; the factors are fitted */
	double *efficiency;              /* [elements] */
} iso_norm_model;

/* Adds `weight` for the pair a, b. fan by element. */
void iso_norm_sums_add(iso_norm_sums *sums, const iso_norm_model *model, uint32_t a, uint32_t b, double weight);

/* Fits efficiencies (0 stays 0) and the components, from what they are. counts: prompts less delayeds. keep_block: the block factors stay. */
iso_status iso_norm_fit(iso_norm_model *model, iso_norm_pairs *pairs, const iso_norm_sums *counts, bool keep_block,
			int threads, const iso_progress *progress, iso_error *err);
/* Expected counts of each crystal, when all are alike: [elements]. */
iso_status iso_norm_expect(const iso_norm_model *model, int threads, double *fan, iso_error *err);

#endif
