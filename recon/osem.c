/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/osem.h"

#include <math.h>

/* With subsets, a voxel that by chance meets no event of a subset would be 0 for good: one pass may shrink it at most this far.
 * MLEM needs no such limit and has none. */
static const double smallest_step = 0.1;

void iso_osem_update(const iso_likelihood *likelihood, float *x)
{
	const iso_data_model *m = &likelihood->model;
	const double scale = m->subsets / m->sensitivity_scale, low = m->subsets > 1 ? smallest_step : 0;
	const int64_t voxels = (int64_t)m->voxels;
#pragma omp parallel for schedule(static) num_threads(likelihood->sums.threads)
	for (int64_t j = 0; j < voxels; j++) {
		if (!iso_likelihood_supports(likelihood, (size_t)j)) continue;
		const double step = scale * (double)likelihood->back[j] / (double)m->sensitivity[j];
		const double value = (double)x[j] * (step > low ? step : low);
		x[j] = isfinite(value) ? (float)(value < 1e30 ? value : 1e30) : x[j];
	}
}
