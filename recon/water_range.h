/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Positrons in water: a sum of two Gaussians with the variances of the range's two Gamma distributions. */
#ifndef ISOTRACE_RECON_WATER_RANGE_H
#define ISOTRACE_RECON_WATER_RANGE_H

#include "core/positron.h"
#include "isotrace/image.h"

typedef struct iso_water_range iso_water_range;

iso_status iso_water_range_create(const iso_grid *grid, const iso_positron_range *range, iso_water_range **out,
				  iso_error *err);
void iso_water_range_free(iso_water_range *water);
/* out is in blurred, another image. Beyond a face an image is its mirror image: nothing is lost, and the matrix is symmetric. Not to be
 * called by two threads at once. */
void iso_water_range_blur(iso_water_range *water, const float *in, float *out);

#endif
