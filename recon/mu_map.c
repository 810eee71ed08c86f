/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/mu_map.h"

#include <math.h>

/* The box of the voxels' centres along each patient axis, in steps of the voxel edge that lies along it most. */
static iso_grid around(const iso_grid *g)
{
	iso_grid box = {.direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
	for (int a = 0; a < 3; a++) {
		double low = g->origin_mm[a], high = low, best = -1;
		for (int axis = 0; axis < 3; axis++) {
			const double along = g->direction[axis][a];
			const double reach = along * g->voxel_mm[axis] * (double)(g->size[axis] - 1);
			low += fmin(reach, 0);
			high += fmax(reach, 0);
			if (fabs(along) > best) {
				best = fabs(along);
				box.voxel_mm[a] = g->voxel_mm[axis];
			}
		}
		box.origin_mm[a] = low;
		box.size[a] = (size_t)ceil((high - low) / box.voxel_mm[a] - 1e-3) + 1;
	}
	return box;
}

iso_status iso_mu_map_align(const iso_image *mu, iso_image **out, iso_error *err)
{
	*out = NULL;
	if (iso_grid_is_axis_aligned(&mu->grid)) return ISO_OK;
	const iso_grid box = around(&mu->grid);
	return iso_image_resample(mu, &box, 0, out, err);
}
