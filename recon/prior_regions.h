/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_PRIOR_REGIONS_H
#define ISOTRACE_RECON_PRIOR_REGIONS_H

#include <stdint.h>

#include "isotrace/image.h"

/* The region of each voxel of grid: the label that fills most of it, of two that fill it alike the smaller one; 0 where no label is. labels:
 * ISO_UNIT_LABEL, any grid. *out: [voxels], free(). Labels that do not meet the grid: ISO_BAD_INPUT. */
iso_status iso_prior_regions_find(const iso_image *labels, const iso_grid *grid, int threads, int32_t **out,
				  iso_error *err);

#endif
