/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/recon_grid.h"

#include <math.h>

/* Half a crystal; from the distance of the nearest elements when the crystals' size is not known. */
static double default_voxel_mm(const iso_scanner *s)
{
	const double width = fmin(s->element_size_mm[0], s->element_size_mm[1]);
	if (width > 0) return width / 2;
	double nearest2 = (double)INFINITY;
	for (uint32_t e = 1; e < s->elements; e++) {
		double d2 = 0;
		for (int k = 0; k < 3; k++) {
			const double d = (double)s->position_mm[3 * (size_t)e + (size_t)k] - (double)s->position_mm[k];
			d2 += d * d;
		}
		if (d2 > 0.01 && d2 < nearest2) nearest2 = d2;
	}
	return isfinite(nearest2) ? sqrt(nearest2) / 2 : 1;
}

/* What lines can reach: across, the pair rule's offset but at most 0.7 of the way to the crystals (where the resolution
 * across the line is lost to the crystals' depth anyway); along z, the crystals. At most 400 voxels along an axis. */
iso_grid cli_choose_grid(cli_grid_wish *wish, const iso_scanner *s)
{
	double low[3] = {(double)INFINITY, (double)INFINITY, (double)INFINITY},
	       high[3] = {-(double)INFINITY, -(double)INFINITY, -(double)INFINITY};
	for (uint32_t e = 0; e < s->elements; e++)
		for (int k = 0; k < 3; k++) {
			const double x = (double)s->position_mm[3 * (size_t)e + (size_t)k];
			low[k] = fmin(low[k], x);
			high[k] = fmax(high[k], x);
		}
	const double voxel = default_voxel_mm(s);
	size_t size[3];
	for (int k = 0; k < 3; k++) {
		double half = (high[k] - low[k]) / 2 * (k < 2 ? 0.7 : 1);
		if (k < 2) half = fmin(half, s->rule.max_transaxial_offset_mm);
		if (k == 2) half += voxel; /* the outer halves of the last crystals */
		if (!wish->have_voxel) wish->voxel[k] = fmax(voxel, 2 * half / 400);
		if (!wish->have_centre) wish->centre[k] = (low[k] + high[k]) / 2;
		size[k] = wish->have_grid ? (size_t)fmax(wish->grid[k], 0)
					  : (size_t)fmax(ceil(2 * half / wish->voxel[k] - 1e-6), 1);
	}
	return iso_grid_centred(size, wish->voxel, wish->centre);
}
