/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Finite volumes: a voxel's balance with its six neighbours is diagonal x phi = x + sum of coupling x phi of the neighbour, with the harmonic
 * mean of s^2 / rho at the face between two. phi comes from Jacobi's iteration, accelerated by Chebyshev's polynomials (G. H. Golub and
 * R. S. Varga, Numer. Math. 3 (1961) 147-156). Rows are dominated by their diagonals, so Jacobi's matrix has the spectral
 * radius 1 - min(rho / diagonal) at most. The number of steps is fixed by that: phi is linear in x and the matrix symmetric. */
#include "recon/matter_range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* What is left of the error after the iteration; whoever scales columns to their sum corrects most of that, too. */
static const double left_over = 1e-5;

typedef struct distribution {
	float share;
	float coupling[3]; /* s^2 / edge^2 */
	double radius;     /* of Jacobi's matrix */
	int steps;
	float *over; /* [voxels] 1 / diagonal */
} distribution;

struct iso_matter_range {
	size_t size[3], voxels, margin; /* images with a margin of a plane: neighbours of the first and last voxels */
	float *face[3];                 /* 2 / (rho + rho of the next voxel along the axis); 0 at the grid's end */
	float *iterate[2];
	distribution part[2];
};

static void fill_faces(iso_matter_range *m, const float *density)
{
	const size_t stride[3] = {1, m->size[0], m->size[0] * m->size[1]};
	for (int a = 0; a < 3; a++)
		for (size_t v = 0; v < m->voxels; v++)
			if (v / stride[a] % m->size[a] + 1 < m->size[a])
				m->face[a][v] = 2 / (density[v] + density[v + stride[a]]);
}

static void fill_distribution(const iso_matter_range *m, const float *density, distribution *d)
{
	const size_t stride[3] = {1, m->size[0], m->size[0] * m->size[1]};
	double least = 1;
	for (size_t v = 0; v < m->voxels; v++) {
		double diagonal = (double)density[v];
		for (int a = 0; a < 3; a++) {
			const float below = v < stride[a] ? 0 : m->face[a][v - stride[a]];
			diagonal += (double)(d->coupling[a] * (m->face[a][v] + below));
		}
		d->over[v] = (float)(1 / diagonal);
		least = fmin(least, (double)density[v] / diagonal);
	}
	d->radius = 1 - least;
	const double rate = d->radius / (1 + sqrt(1 - d->radius * d->radius));
	d->steps = rate > 0 ? (int)ceil(log(2 / left_over) / -log(rate)) : 1;
}

iso_status iso_matter_range_create(const iso_grid *grid, const float *density, const iso_positron_range *range,
				   iso_matter_range **out, iso_error *err)
{
	*out = NULL;
	iso_matter_range *m = calloc(1, sizeof *m);
	if (!m) return iso_fail_memory(err, "the positron range", sizeof *m);
	memcpy(m->size, grid->size, sizeof m->size);
	m->voxels = iso_grid_voxels(grid);
	m->margin = m->size[0] * m->size[1];
	bool whole = true;
	for (int a = 0; a < 3; a++) {
		float *face = calloc(m->voxels + m->margin, sizeof *face);
		m->face[a] = face ? face + m->margin : NULL;
		whole = whole && face;
	}
	for (int n = 0; n < 2; n++) {
		float *iterate = calloc(m->voxels + 2 * m->margin, sizeof *iterate);
		m->iterate[n] = iterate ? iterate + m->margin : NULL;
		m->part[n].over = malloc(m->voxels * sizeof *m->part[n].over);
		whole = whole && iterate && m->part[n].over;
	}
	if (!whole) {
		const size_t bytes = 7 * m->voxels * sizeof(float);
		iso_matter_range_free(m);
		return iso_fail_memory(err, "the positron range", bytes);
	}
	fill_faces(m, density);
	for (int n = 0; n < 2; n++) {
		distribution *d = &m->part[n];
		d->share = (float)(n ? 1 - range->near_probability : range->near_probability);
		for (int a = 0; a < 3; a++) {
			const double voxels = range->scale_mm[n] / grid->voxel_mm[a];
			d->coupling[a] = (float)(voxels * voxels);
		}
		fill_distribution(m, density, d);
	}
	*out = m;
	return ISO_OK;
}

void iso_matter_range_free(iso_matter_range *m)
{
	if (!m) return;
	for (int a = 0; a < 3; a++)
		if (m->face[a]) free(m->face[a] - m->margin);
	for (int n = 0; n < 2; n++) {
		if (m->iterate[n]) free(m->iterate[n] - m->margin);
		free(m->part[n].over);
	}
	free(m);
}

/* One step in one row of x: next = weight x (Jacobi's step from now - before) + before, and before stands in `next`. The faces at the grid's
 * ends are 0, so that what stands beyond them does not matter. */
static void step_row(const iso_matter_range *m, const distribution *d, size_t from, float weight, const float *x,
		     const float *now, float *next)
{
	const ptrdiff_t y = (ptrdiff_t)m->size[0], z = y * (ptrdiff_t)m->size[1];
	const float *over = d->over + from, *fx = m->face[0] + from, *fy = m->face[1] + from, *fz = m->face[2] + from;
	const float cx = d->coupling[0], cy = d->coupling[1], cz = d->coupling[2];
#pragma omp simd
	for (ptrdiff_t i = 0; i < y; i++) {
		const float sum = x[i] + cx * (fx[i] * now[i + 1] + fx[i - 1] * now[i - 1]) +
				  cy * (fy[i] * now[i + y] + fy[i - y] * now[i - y]) +
				  cz * (fz[i] * now[i + z] + fz[i - z] * now[i - z]);
		next[i] += weight * (sum * over[i] - next[i]);
	}
}

static void solve_part(iso_matter_range *m, const distribution *d, const float *x, float *phi)
{
	const size_t row = m->size[0];
	const ptrdiff_t rows = (ptrdiff_t)(m->voxels / row);
	float *now = m->iterate[0], *next = m->iterate[1];
	memset(now, 0, m->voxels * sizeof *now);
	memset(next, 0, m->voxels * sizeof *next);
	double weight = 1;
	for (int n = 0; n < d->steps; n++) {
		if (n == 1) weight = 1 / (1 - d->radius * d->radius / 2);
		if (n > 1) weight = 1 / (1 - d->radius * d->radius * weight / 4);
#pragma omp parallel for schedule(static)
		for (ptrdiff_t r = 0; r < rows; r++) {
			const size_t from = (size_t)r * row;
			step_row(m, d, from, (float)weight, x + from, now + from, next + from);
		}
		float *swap = now;
		now = next;
		next = swap;
	}
	for (size_t v = 0; v < m->voxels; v++) phi[v] += d->share * now[v];
}

void iso_matter_range_solve(iso_matter_range *m, const float *x, float *phi)
{
	memset(phi, 0, m->voxels * sizeof *phi);
	for (int n = 0; n < 2; n++) solve_part(m, &m->part[n], x, phi);
}
