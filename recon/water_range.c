/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/water_range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

typedef struct gaussian {
	float share;
	int reach;        /* in voxels, the same along all axes */
	float *weight[3]; /* [reach + 1] for each axis */
} gaussian;

struct iso_water_range {
	iso_grid grid;
	size_t voxels;
	gaussian part[2];
	float *scratch; /* two images */
};

/* Weights at the voxels' centres whose variance is the one wanted: those of a Gaussian that is narrower than half a voxel
 * have less. */
static void weigh(double variance_mm2, double edge_mm, int reach, float *weight)
{
	double low = 1e-3 * edge_mm * edge_mm, high = variance_mm2 + edge_mm * edge_mm;
	for (int round = 0; round < 60; round++) {
		const double middle = sqrt(low * high);
		double sum = 1, squares = 0;
		for (int r = 1; r <= reach; r++) {
			const double d = r * edge_mm, w = 2 * exp(-0.5 * d * d / middle);
			sum += w;
			squares += w * d * d;
		}
		for (int r = 0; r <= reach; r++)
			weight[r] = (float)(exp(-0.5 * r * r * edge_mm * edge_mm / middle) / sum);
		if (squares < variance_mm2 * sum)
			low = middle;
		else
			high = middle;
	}
}

/* The range in water has the variance 2 s^2 along each axis for a Gamma distribution of shape 2 and scale s (mean square
 * 6 s^2 in three dimensions). */
static iso_status make_gaussians(iso_water_range *m, const iso_positron_range *range, iso_error *err)
{
	const double *edge = m->grid.voxel_mm;
	for (int part = 0; part < 2; part++) {
		gaussian *g = &m->part[part];
		const double variance = 2 * range->scale_mm[part] * range->scale_mm[part];
		const double reach = ceil(4 * sqrt(variance) / fmin(edge[0], fmin(edge[1], edge[2])));
		g->share = (float)(part ? 1 - range->near_probability : range->near_probability);
		g->reach = (int)fmin(fmax(reach, 1), 64);
		for (int a = 0; a < 3; a++) {
			g->weight[a] = malloc(((size_t)g->reach + 1) * sizeof *g->weight[a]);
			if (!g->weight[a]) return iso_fail_memory(err, "the positron range", (size_t)g->reach * 4 + 4);
			weigh(variance, edge[a], g->reach, g->weight[a]);
		}
	}
	m->scratch = malloc(2 * m->voxels * sizeof *m->scratch);
	return m->scratch ? ISO_OK : iso_fail_memory(err, "the positron range", 2 * m->voxels * sizeof *m->scratch);
}

iso_status iso_water_range_create(const iso_grid *grid, const iso_positron_range *range, iso_water_range **out,
				  iso_error *err)
{
	*out = NULL;
	iso_water_range *m = calloc(1, sizeof *m);
	if (!m) return iso_fail_memory(err, "the positron range", sizeof *m);
	m->grid = *grid;
	m->voxels = iso_grid_voxels(grid);
	const iso_status status = make_gaussians(m, range, err);
	if (status == ISO_OK)
		*out = m;
	else
		iso_water_range_free(m);
	return status;
}

void iso_water_range_free(iso_water_range *m)
{
	if (!m) return;
	for (int part = 0; part < 2; part++)
		for (int a = 0; a < 3; a++) free(m->part[part].weight[a]);
	free(m->scratch);
	free(m);
}

/* Beyond a face the image is its mirror image, as in the resolution model: nothing is lost and the matrix is symmetric. */
static size_t mirrored(long index, size_t size)
{
	const long n = (long)size;
	while (index < 0 || index >= n) index = index < 0 ? -1 - index : 2 * n - 1 - index;
	return (size_t)index;
}

/* One row along x: out = sum over r of weight[r] times its neighbours. */
static void blur_row(const float *weight, int reach, size_t size, const float *in, float *out)
{
	for (size_t i = 0; i < size; i++) out[i] = weight[0] * in[i];
	for (int r = 1; r <= reach; r++) {
		const size_t far = (size_t)r, low = far < size ? far : size, high = far < size ? size - far : 0;
		const float w = weight[r];
		if (low <= high) {
			for (size_t i = low; i < high; i++) out[i] += w * (in[i - far] + in[i + far]);
			for (size_t i = 0; i < low; i++) out[i] += w * (in[mirrored((long)i - r, size)] + in[i + far]);
			for (size_t i = high; i < size; i++)
				out[i] += w * (in[i - far] + in[mirrored((long)i + r, size)]);
		} else
			for (size_t i = 0; i < size; i++)
				out[i] += w * (in[mirrored((long)i - r, size)] + in[mirrored((long)i + r, size)]);
	}
}

/* Along y or z whole rows of x are added. */
static void blur_across(const iso_water_range *m, const gaussian *g, int axis, size_t row, const float *in, float *out)
{
	const size_t nx = m->grid.size[0], ny = m->grid.size[1], stride = axis == 1 ? nx : nx * ny;
	const size_t at = axis == 1 ? row % ny : row / ny, base = row * nx - at * stride, size = m->grid.size[axis];
	const float *weight = g->weight[axis], *own = in + row * nx;
	for (size_t i = 0; i < nx; i++) out[i] = weight[0] * own[i];
	for (int r = 1; r <= g->reach; r++) {
		const float *below = in + base + stride * mirrored((long)at - r, size);
		const float *above = in + base + stride * mirrored((long)at + r, size);
		const float w = weight[r];
		for (size_t i = 0; i < nx; i++) out[i] += w * (below[i] + above[i]);
	}
}

void iso_water_range_blur(iso_water_range *m, const float *in, float *out)
{
	const size_t nx = m->grid.size[0];
	const ptrdiff_t rows = (ptrdiff_t)(m->voxels / nx);
	float *once = m->scratch, *twice = once + m->voxels;
	memset(out, 0, m->voxels * sizeof *out);
	for (int part = 0; part < 2; part++) {
		const gaussian *g = &m->part[part];
#pragma omp parallel
		{
#pragma omp for schedule(static)
			for (ptrdiff_t row = 0; row < rows; row++)
				blur_row(g->weight[0], g->reach, nx, in + (size_t)row * nx, once + (size_t)row * nx);
#pragma omp for schedule(static)
			for (ptrdiff_t row = 0; row < rows; row++)
				blur_across(m, g, 1, (size_t)row, once, twice + (size_t)row * nx);
#pragma omp for schedule(static)
			for (ptrdiff_t row = 0; row < rows; row++) {
				float *last = once + (size_t)row * nx, *sum = out + (size_t)row * nx;
				blur_across(m, g, 2, (size_t)row, twice, last);
				for (size_t i = 0; i < nx; i++) sum[i] += g->share * last[i];
			}
		}
	}
}
