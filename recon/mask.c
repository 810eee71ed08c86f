/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/mask.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

void iso_mask_widen(const iso_grid *grid, double reach_mm, bool *mask, bool *scratch)
{
	const size_t *size = grid->size, voxels = iso_grid_voxels(grid);
	for (int a = 0; a < 3; a++) {
		const size_t stride = a == 0 ? 1 : a == 1 ? size[0] : size[0] * size[1];
		const size_t reach = (size_t)ceil(fmin(reach_mm / grid->voxel_mm[a], 1e6));
		memcpy(scratch, mask, voxels * sizeof *mask);
		for (size_t v = 0; v < voxels; v++) {
			if (!scratch[v]) continue;
			const size_t at = v / stride % size[a];
			const size_t below = at < reach ? at : reach;
			const size_t above = size[a] - 1 - at < reach ? size[a] - 1 - at : reach;
			for (size_t n = v - below * stride; n <= v + above * stride; n += stride) mask[n] = true;
		}
	}
}

/* A first pass from what half of the neighbours have, and one more; a second one from the other half. */
void iso_mask_clearance(const iso_grid *grid, const bool *mask, uint8_t *clear)
{
	const size_t *size = grid->size, voxels = iso_grid_voxels(grid);
	for (size_t v = 0; v < voxels; v++) clear[v] = mask[v] ? 0 : UINT8_MAX;
	for (int back = 0; back < 2; back++)
		for (size_t n = 0; n < voxels; n++) {
			const size_t v = back ? voxels - 1 - n : n;
			const ptrdiff_t at[3] = {(ptrdiff_t)(v % size[0]), (ptrdiff_t)(v / size[0] % size[1]),
						 (ptrdiff_t)(v / size[0] / size[1])};
			for (int half = 0; half < 13 && clear[v]; half++) {
				const int other = back ? 26 - half : half;
				const ptrdiff_t next[3] = {at[0] + other % 3 - 1, at[1] + other / 3 % 3 - 1,
							   at[2] + other / 9 - 1};
				bool within = true;
				for (int a = 0; a < 3; a++)
					within = within && next[a] >= 0 && next[a] < (ptrdiff_t)size[a];
				if (!within) continue;
				const uint8_t near =
				    clear[(size_t)next[0] + size[0] * ((size_t)next[1] + size[1] * (size_t)next[2])];
				if (near + 1 < clear[v]) clear[v] = (uint8_t)(near + 1);
			}
		}
}
