/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Images of yes and no: what lies near the voxels that are marked. */
#ifndef ISOTRACE_RECON_MASK_H
#define ISOTRACE_RECON_MASK_H

#include <stdbool.h>
#include <stdint.h>

#include "isotrace/image.h"

/* Marks the box around each voxel that is marked, reach_mm (rounded up to voxels) to each side. mask, scratch: [voxels]. */
void iso_mask_widen(const iso_grid *grid, double reach_mm, bool *mask, bool *scratch);
/* How many voxels the nearest marked one is away, along the axis where it is farthest; UINT8_MAX: so many or more, or none. mask, clear: [voxels]. */
void iso_mask_clearance(const iso_grid *grid, const bool *mask, uint8_t *clear);

#endif
