/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_BSREM_H
#define ISOTRACE_RECON_BSREM_H

#include "recon/likelihood.h"
#include "recon/prior.h"

/* Penalised likelihood by block sequential regularised expectation maximisation (De Pierro & Yamagishi, IEEE TMI 20:280, 2001;
 * Ahn & Fessler, IEEE TMI 22:613, 2003): the image that maximises  Phi(x) = L(x) - beta R(x)  over x >= 0, with L of
 * recon/likelihood.h and R of recon/prior.h with k_j^2 = T s_j. After the pass over subset m of K in iteration n = 0, 1 ..
 *     x_j <- max(floor, x_j + r_n (x_j + floor) / (T s_j + 2 beta c_j) * K dPhi_m/dx_j),   r_n = 1 / (1 + relaxation (1 - 1/K) n),
 * where Phi_m = L_m - beta R / K. Because sum r_n diverges while r_n -> 0, the limit is that of Phi itself, for any number of
 * subsets and any start; with beta = 0 and one subset each step is MLEM's. (One subset has nothing to relax: its steps stay full.) The curvature c_j of the prior in the
 * denominator keeps the first, full steps stable for any beta.
 *
 * floor: 1e-4 of the uniform image that explains all counts, so that no line with counts ever expects none. Kept from below by
 * it, a voxel of no activity is as good as 0 and can still rise. */
typedef struct iso_bsrem {
	const iso_likelihood *likelihood; /* borrowed */
	iso_prior prior;
	double beta, relaxation, floor;
	float *kappa, *curvature, *gradient; /* owned: [voxels] */
} iso_bsrem;

typedef struct iso_penalty {
	double beta;           /* mm^2, >= 0 */
	double gamma;          /* >= 0 */
	const int32_t *region; /* as iso_prior's: borrowed, NULL: all are one */
} iso_penalty;

/* likelihood is borrowed; the image lies on grid. relaxation >= 0, per iteration. */
iso_status iso_bsrem_create(const iso_likelihood *likelihood, const iso_grid *grid, const iso_penalty *penalty,
			    double relaxation, iso_bsrem *out, iso_error *err);
void iso_bsrem_release(iso_bsrem *bsrem); /* safe on a zeroed one */

/* r_n */
double iso_bsrem_step(const iso_bsrem *bsrem, unsigned iteration);
/* After a pass of the likelihood at x. */
void iso_bsrem_update(const iso_bsrem *bsrem, unsigned iteration, float *x);
/* beta R(x) */
double iso_bsrem_penalty(const iso_bsrem *bsrem, const float *x);

#endif
