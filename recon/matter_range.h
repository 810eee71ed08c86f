/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Positrons in matter whose density varies: phi with
 *
 *     rho phi - div((s^2 / rho) grad phi) = x,
 *
 * x the decays, rho phi the annihilations, rho the density over water's. In uniform matter its point spread is exp(-rho d / s) / d,
 * which is exactly the range's Gamma distribution of shape 2 and scale s; what is uniform per gram stays so whatever the densities
 * (Fano's theorem); nothing is lost. Where densities change it is the diffusion of the positrons and not their straight ways. */
#ifndef ISOTRACE_RECON_MATTER_RANGE_H
#define ISOTRACE_RECON_MATTER_RANGE_H

#include "core/positron.h"
#include "isotrace/image.h"

typedef struct iso_matter_range iso_matter_range;

/* density: over water's, > 0 everywhere; read here only. */
iso_status iso_matter_range_create(const iso_grid *grid, const float *density, const iso_positron_range *range,
				   iso_matter_range **out, iso_error *err);
void iso_matter_range_free(iso_matter_range *matter);
/* phi of x, another image: both of the range's distributions with their shares. Symmetric. Beyond a face an image is its mirror image.
 * Not to be called by two threads at once. */
void iso_matter_range_solve(iso_matter_range *matter, const float *x, float *phi);

#endif
