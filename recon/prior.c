/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/prior.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

iso_prior iso_prior_relative_difference(const iso_grid *grid, double gamma, double epsilon)
{
	iso_prior p = {.gamma = gamma, .epsilon = epsilon};
	double sum = 0;
	memcpy(p.size, grid->size, sizeof p.size);
	for (int n = 0; n < 27; n++) {
		const double step[3] = {n % 3 - 1, n / 3 % 3 - 1, n / 9 - 1};
		double square = 0;
		for (int a = 0; a < 3; a++) square += pow(step[a] * grid->voxel_mm[a], 2);
		if (n == 13) continue;
		p.weight[n] = 1 / sqrt(square);
		sum += p.weight[n] * square;
	}
	for (int n = 0; n < 27; n++) p.weight[n] /= sum;
	return p;
}

/* A row of voxels along x, and one of its nine rows of neighbours. */
typedef struct rows {
	size_t length;
	const float *x, *kappa;              /* of the row itself; kappa NULL: 1 */
	const float *near, *weight;          /* of the neighbours: values and kappa */
	const int32_t *region, *near_region; /* NULL: all are one */
	float gamma, epsilon;
} rows;

/* w_jk k_j k_k of voxel i and neighbour n; 0 across the border of two regions. */
static inline float pair_weight(const rows *r, float w, size_t i, size_t n)
{
	const float weight = r->kappa ? w * r->kappa[i] * r->weight[n] : w;
	return r->region && r->region[i] != r->near_region[n] ? 0 : weight;
}

/* Adds, for the neighbours `shift` voxels along x, dR/dx of this row; out: [length]. */
static void add_gradient(const rows *r, int shift, float w, float *out)
{
	const size_t first = shift < 0 ? 1 : 0, end = shift > 0 ? r->length - 1 : r->length;
	const float gamma = r->gamma, epsilon = r->epsilon;
	for (size_t i = first; i < end; i++) {
		const size_t n = i + (size_t)(ptrdiff_t)shift;
		const float d = r->x[i] - r->near[n], apart = fabsf(d);
		const float all = r->x[i] + r->near[n] + gamma * apart + epsilon;
		const float k = pair_weight(r, w, i, n);
		/* d/dx of d^2/all, as a product of ratios that neither overflow nor underflow */
		const float part = d / all;
		out[i] += k * part * (2.0F - (part + gamma * apart / all));
	}
}

static void add_curvature(const rows *r, int shift, float w, float *out)
{
	const size_t first = shift < 0 ? 1 : 0, end = shift > 0 ? r->length - 1 : r->length;
	for (size_t i = first; i < end; i++) out[i] += pair_weight(r, w, i, i + (size_t)(ptrdiff_t)shift);
}

typedef void add_function(const rows *r, int shift, float weight, float *out);

/* Each row of the image adds up over its 26 shifted rows, in the same order for any number of threads. */
static void add_up(const iso_prior *p, const float *x, int threads, add_function *add, float *out)
{
	const size_t *size = p->size;
	const int64_t all_rows = (int64_t)(size[1] * size[2]);
#pragma omp parallel for schedule(static) num_threads(threads)
	for (int64_t row = 0; row < all_rows; row++) {
		const size_t at = (size_t)row * size[0];
		const ptrdiff_t j = (ptrdiff_t)((size_t)row % size[1]), k = (ptrdiff_t)((size_t)row / size[1]);
		memset(out + at, 0, size[0] * sizeof *out);
		for (int n = 0; n < 27; n++) {
			const ptrdiff_t dj = n / 3 % 3 - 1, dk = n / 9 - 1;
			if (n == 13 || j + dj < 0 || j + dj >= (ptrdiff_t)size[1] || k + dk < 0 ||
			    k + dk >= (ptrdiff_t)size[2])
				continue;
			const size_t near = (size_t)((k + dk) * (ptrdiff_t)size[1] + j + dj) * size[0];
			const rows r = {.length = size[0],
					.x = x ? x + at : NULL,
					.near = x ? x + near : NULL,
					.kappa = p->kappa ? p->kappa + at : NULL,
					.weight = p->kappa ? p->kappa + near : NULL,
					.region = p->region ? p->region + at : NULL,
					.near_region = p->region ? p->region + near : NULL,
					.gamma = (float)p->gamma,
					.epsilon = (float)p->epsilon};
			add(&r, n % 3 - 1, (float)p->weight[n], out + at);
		}
	}
}

void iso_prior_gradient(const iso_prior *prior, const float *x, int threads, float *gradient)
{
	add_up(prior, x, threads, add_gradient, gradient);
}

void iso_prior_curvature(const iso_prior *prior, int threads, float *curvature)
{
	add_up(prior, NULL, threads, add_curvature, curvature);
}

typedef struct valued {
	const iso_prior *prior;
	const float *x;
} valued;

/* Of the pairs whose second voxel comes later in memory. */
static double value_of(const void *user, size_t first, size_t end)
{
	const valued *v = user;
	const iso_prior *p = v->prior;
	const ptrdiff_t size[3] = {(ptrdiff_t)p->size[0], (ptrdiff_t)p->size[1], (ptrdiff_t)p->size[2]};
	double sum = 0;
	for (size_t at = first; at < end; at++) {
		const ptrdiff_t i = (ptrdiff_t)(at % p->size[0]), j = (ptrdiff_t)(at / p->size[0] % p->size[1]),
				k = (ptrdiff_t)(at / p->size[0] / p->size[1]);
		for (int n = 14; n < 27; n++) {
			const ptrdiff_t x = i + n % 3 - 1, y = j + n / 3 % 3 - 1, z = k + n / 9 - 1;
			if (x < 0 || x >= size[0] || y < 0 || y >= size[1] || z >= size[2]) continue;
			const size_t near = (size_t)(x + size[0] * (y + size[1] * z));
			if (p->region && p->region[at] != p->region[near]) continue;
			const double d = (double)v->x[at] - (double)v->x[near];
			const double all = (double)v->x[at] + (double)v->x[near] + p->gamma * fabs(d) + p->epsilon;
			const double kappa = p->kappa ? (double)p->kappa[at] * (double)p->kappa[near] : 1;
			sum += p->weight[n] * kappa * d * (d / all);
		}
	}
	return sum;
}

double iso_prior_value(const iso_prior *prior, const iso_sums *sums, const float *x)
{
	const valued v = {prior, x};
	return iso_sum(sums, prior->size[0] * prior->size[1] * prior->size[2], value_of, &v);
}
