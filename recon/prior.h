/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_PRIOR_H
#define ISOTRACE_RECON_PRIOR_H

#include <stdint.h>

#include "isotrace/image.h"
#include "recon/sums.h"

/* The relative difference prior (Nuyts et al., IEEE TNS 49:56, 2002), smoothed at the origin as by Tsai et al. (IEEE TMI
 * 37:1000, 2018):
 *     R(x) = sum over pairs of neighbours, each once:  w_jk k_j k_k (x_j - x_k)^2 / (x_j + x_k + gamma |x_j - x_k| + epsilon)
 * over the 26 neighbours. It smooths by relative differences, so that cold tissue is smoothed as much as hot, and spares
 * edges the more, the larger gamma is (gamma = 0: close to a quadratic prior on the square root of x).
 *
 * w_jk is 1/distance, normalised so that sum_k w_jk distance_jk^2 = 1 over a whole neighbourhood: w is in 1/mm^2, and for a
 * smooth image R is the sum over voxels of about k^2 |grad x|^2 / (12 x), whatever the voxels' size.
 * k_j weighs each voxel (NULL: 1). With k^2 = T s, as the penalised reconstruction has it, beta R balances the likelihood with
 * a beta in mm^2 that depends neither on voxel size, counts, duration nor on the scanner's sensitivity, and that smooths alike
 * where the sensitivity falls (Fessler & Rogers, IEEE TIP 5:1346, 1996, for the principle).
 *
 * Pairs of voxels of different regions are left out: nothing is smoothed across the border of two organs.
 *
 * R(x) >= 0, R(uniform) = 0, R is convex, R(a x; a epsilon) = a R(x; epsilon). */
typedef struct iso_prior {
	size_t size[3];
	double gamma;          /* >= 0 */
	double epsilon;        /* > 0, in the image's unit, small against its values */
	const float *kappa;    /* [voxels], borrowed; NULL: 1 each */
	const int32_t *region; /* [voxels], borrowed; NULL: all are one */
	double weight[3 * 9];  /* 1/mm^2, of the neighbour at (dx, dy, dz) + 1, x fastest; 0 at the centre */
} iso_prior;

/* kappa and region NULL. */
iso_prior iso_prior_relative_difference(const iso_grid *grid, double gamma, double epsilon);

double iso_prior_value(const iso_prior *prior, const iso_sums *sums, const float *x);
/* dR/dx: [voxels], overwritten. Never NAN for finite x >= 0. */
void iso_prior_gradient(const iso_prior *prior, const float *x, int threads, float *gradient);
/* c_j = sum_k w_jk k_j k_k: near an image that is uniform in each region x_j d2R/dx_j^2 is c_j, whatever its value. [voxels], overwritten. */
void iso_prior_curvature(const iso_prior *prior, int threads, float *curvature);

#endif
