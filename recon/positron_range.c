/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two kinds of voxels. Far from thin tissue K is a Gaussian with the variance of the range in water. In thin tissue and in
 * what positrons can reach it from, K is a sparse column: from eight points of the voxel straight on in directions spread evenly over
 * the sphere, through the densities that mu tells, until the matter on the way equals one of a few distances in water (the
 * nodes of Gauss-Laguerre quadrature for the range's two Gamma distributions). Columns sum to one minus what leaves the grid. */
#include "recon/positron_range.h"

#include <gsl/gsl_integration.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { POINTS = 8, DIRECTIONS = 24, RAYS = POINTS * DIRECTIONS, NODES = 4, DISTANCES = 2 * NODES };

static const double water_mu_per_cm = 0.0960; /* at 511 keV */
/* Thin tissue is clearly thinner than water. Below density_air is air, and voxels that touch air hold a surface: their mean
 * density says nothing about the tissue in them. */
static const double density_most = 0.8, density_air = 0.15, density_least = 0.0012;
/* Beyond this many mean ranges 0.4 % of the positrons of any row of the table are left. */
static const double reach_means = 3.5;

typedef struct hit {
	size_t voxel;
	double weight;
} hit;

struct iso_range_model {
	iso_grid grid;
	size_t voxels, columns, entries, room;
	size_t *from;    /* [columns] the voxel of decay, growing */
	size_t *first;   /* [columns + 1] */
	size_t *to;      /* [entries] */
	float *weight;   /* [entries] */
	int reach;       /* of the Gaussian, in voxels, the same along all axes */
	float *gauss[3]; /* [reach + 1] for each axis */
	float *scratch;  /* two images */
};

/* Distances in water and their probabilities, sorted by distance. */
static iso_status make_distances(const iso_positron_range *range, double distance_mm[DISTANCES],
				 double probability[DISTANCES], iso_error *err)
{
	/* weight x exp(-x): the density of a Gamma distribution of shape 2 and scale 1 */
	gsl_integration_fixed_workspace *w =
	    gsl_integration_fixed_alloc(gsl_integration_fixed_laguerre, NODES, 0, 1, 1, 0);
	if (!w) return iso_fail_memory(err, "the positron range", NODES * 2 * sizeof(double));
	const double *node = gsl_integration_fixed_nodes(w), *weight = gsl_integration_fixed_weights(w);
	for (int part = 0; part < 2; part++)
		for (int n = 0; n < NODES; n++) {
			const double d = node[n] * range->scale_mm[part];
			const double p = weight[n] * (part ? 1 - range->near_probability : range->near_probability);
			int at = part * NODES + n;
			for (; at > 0 && distance_mm[at - 1] > d; at--) {
				distance_mm[at] = distance_mm[at - 1];
				probability[at] = probability[at - 1];
			}
			distance_mm[at] = d;
			probability[at] = p;
		}
	gsl_integration_fixed_free(w);
	return ISO_OK;
}

/* Even over the sphere: a spiral by the golden angle. */
static void direction_of(int number, double direction[3])
{
	const double z = 1 - (2 * number + 1) / (double)RAYS, rho = sqrt(1 - z * z);
	const double azimuth = number * 2.399963229728653;
	direction[0] = rho * cos(azimuth);
	direction[1] = rho * sin(azimuth);
	direction[2] = z;
}

static bool inside(const iso_grid *grid, const double point_mm[3], size_t *voxel)
{
	size_t index[3];
	for (int a = 0; a < 3; a++) {
		const double i = floor((point_mm[a] - grid->origin_mm[a]) / grid->voxel_mm[a] + 0.5);
		if (!(i >= 0 && i < (double)grid->size[a])) return false;
		index[a] = (size_t)i;
	}
	*voxel = index[0] + grid->size[0] * (index[1] + grid->size[1] * index[2]);
	return true;
}

/* Follows one ray; returns the number of hits, at most DISTANCES. */
static size_t follow(const iso_range_model *m, const float *density, const double start_mm[3],
		     const double direction[3], const double distance_mm[DISTANCES],
		     const double probability[DISTANCES], hit *hits)
{
	const double *edge = m->grid.voxel_mm;
	const double step = 0.25 * fmin(edge[0], fmin(edge[1], edge[2]));
	double water = 0;
	size_t count = 0, voxel;
	int next = 0;
	for (double at = 0.5 * step; next < DISTANCES; at += step) {
		double point[3];
		for (int a = 0; a < 3; a++) point[a] = start_mm[a] + at * direction[a];
		if (!inside(&m->grid, point, &voxel)) break;
		water += step * fmax((double)density[voxel], density_least);
		for (; next < DISTANCES && distance_mm[next] <= water; next++)
			hits[count++] = (hit){voxel, probability[next] / RAYS};
	}
	return count;
}

static int by_voxel(const void *a, const void *b)
{
	const size_t x = ((const hit *)a)->voxel, y = ((const hit *)b)->voxel;
	return x < y ? -1 : x > y;
}

/* Makes room for one more column and `more` entries. */
static iso_status grow(iso_range_model *m, size_t more, iso_error *err)
{
	if (m->entries + more <= m->room) return ISO_OK;
	const size_t room = 2 * (m->entries + more);
	size_t *to = realloc(m->to, room * sizeof *to);
	if (to) m->to = to;
	float *weight = to ? realloc(m->weight, room * sizeof *weight) : NULL;
	if (!weight) return iso_fail_memory(err, "the positron range", room * (sizeof *to + sizeof *weight));
	m->weight = weight;
	m->room = room;
	return ISO_OK;
}

static iso_status add_column(iso_range_model *m, const float *density, size_t voxel,
			     const double distance_mm[DISTANCES], const double probability[DISTANCES], hit *hits,
			     iso_error *err)
{
	const size_t *size = m->grid.size;
	const double index[3] = {(double)(voxel % size[0]), (double)(voxel / size[0] % size[1]),
				 (double)(voxel / (size[0] * size[1]))};
	size_t count = 0;
	for (int ray = 0; ray < RAYS; ray++) {
		double direction[3], at[3], start[3];
		for (int a = 0; a < 3; a++) at[a] = index[a] + (ray >> a & 1 ? 0.25 : -0.25);
		iso_grid_point_mm(&m->grid, at, start);
		direction_of(ray, direction);
		count += follow(m, density, start, direction, distance_mm, probability, hits + count);
	}
	qsort(hits, count, sizeof *hits, by_voxel);
	const iso_status status = grow(m, count, err);
	if (status != ISO_OK) return status;
	m->from[m->columns] = voxel;
	m->first[m->columns++] = m->entries;
	for (size_t n = 0; n < count;) {
		double sum = 0;
		const size_t to = hits[n].voxel;
		for (; n < count && hits[n].voxel == to; n++) sum += hits[n].weight;
		m->to[m->entries] = to;
		m->weight[m->entries++] = (float)sum;
	}
	m->first[m->columns] = m->entries;
	return ISO_OK;
}

/* Thin tissue: low density, and no air in the 26 neighbours. */
static bool is_thin(const iso_grid *grid, const float *density, size_t voxel)
{
	if ((double)density[voxel] >= density_most || (double)density[voxel] < density_air) return false;
	const size_t *size = grid->size;
	const size_t at[3] = {voxel % size[0], voxel / size[0] % size[1], voxel / (size[0] * size[1])};
	for (int a = 0; a < 3; a++)
		if (at[a] == 0 || at[a] + 1 == size[a]) return false;
	for (size_t k = at[2] - 1; k <= at[2] + 1; k++)
		for (size_t j = at[1] - 1; j <= at[1] + 1; j++)
			for (size_t i = at[0] - 1; i <= at[0] + 1; i++)
				if ((double)density[i + size[0] * (j + size[1] * k)] < density_air) return false;
	return true;
}

/* Thin tissue and the tissue from which positrons reach it; returns how many voxels. */
static size_t mark_followed(const iso_range_model *m, const float *density, double reach_mm, bool *followed)
{
	const size_t *size = m->grid.size;
	size_t count = 0;
	for (size_t v = 0; v < m->voxels; v++) {
		if (!is_thin(&m->grid, density, v)) continue;
		long low[3], high[3];
		const size_t at[3] = {v % size[0], v / size[0] % size[1], v / (size[0] * size[1])};
		for (int a = 0; a < 3; a++) {
			const long reach = (long)ceil(reach_mm / m->grid.voxel_mm[a]);
			low[a] = (long)at[a] < reach ? 0 : (long)at[a] - reach;
			high[a] = (long)at[a] + reach < (long)size[a] ? (long)at[a] + reach : (long)size[a] - 1;
		}
		for (long k = low[2]; k <= high[2]; k++)
			for (long j = low[1]; j <= high[1]; j++)
				for (long i = low[0]; i <= high[0]; i++) {
					const size_t n = (size_t)i + size[0] * ((size_t)j + size[1] * (size_t)k);
					if (followed[n] || !((double)density[n] >= density_most || n == v)) continue;
					followed[n] = true;
					count++;
				}
	}
	return count;
}

/* The range in water has the variance 2 s^2 along each axis for a Gamma distribution of shape 2 and scale s (mean square
 * 6 s^2 in three dimensions). */
static iso_status make_gaussian(iso_range_model *m, const iso_positron_range *range, iso_error *err)
{
	const double *s = range->scale_mm, p = range->near_probability;
	const double variance = 2 * (p * s[0] * s[0] + (1 - p) * s[1] * s[1]);
	const double *edge = m->grid.voxel_mm;
	const double reach = ceil(4 * sqrt(variance) / fmin(edge[0], fmin(edge[1], edge[2])));
	m->reach = (int)fmin(fmax(reach, 1), 64);
	m->scratch = malloc(2 * m->voxels * sizeof *m->scratch);
	for (int a = 0; a < 3; a++) {
		m->gauss[a] = malloc(((size_t)m->reach + 1) * sizeof *m->gauss[a]);
		if (!m->gauss[a] || !m->scratch)
			return iso_fail_memory(err, "the positron range", 2 * m->voxels * sizeof *m->scratch);
		double sum = 0;
		for (int r = m->reach; r >= 0; r--) {
			const double weight = exp(-0.5 * r * r * edge[a] * edge[a] / variance);
			m->gauss[a][r] = (float)weight;
			sum += r ? 2 * weight : weight;
		}
		for (int r = 0; r <= m->reach; r++) m->gauss[a][r] = (float)((double)m->gauss[a][r] / sum);
	}
	return ISO_OK;
}

/* Beyond a face the image is its mirror image, as in the resolution model: nothing is lost and the matrix is symmetric. */
static size_t mirrored(long index, size_t size)
{
	const long n = (long)size;
	while (index < 0 || index >= n) index = index < 0 ? -1 - index : 2 * n - 1 - index;
	return (size_t)index;
}

static void blur_axis(const iso_range_model *m, int axis, const float *in, float *out)
{
	const size_t *size = m->grid.size, stride = axis == 0 ? 1 : axis == 1 ? size[0] : size[0] * size[1];
	const float *gauss = m->gauss[axis];
	const ptrdiff_t total = (ptrdiff_t)m->voxels;
#pragma omp parallel for schedule(static)
	for (ptrdiff_t v = 0; v < total; v++) {
		const size_t at = (size_t)v / stride % size[axis], base = (size_t)v - at * stride;
		float sum = gauss[0] * in[v];
		for (int r = 1; r <= m->reach; r++)
			sum += gauss[r] * (in[base + stride * mirrored((long)at - r, size[axis])] +
					   in[base + stride * mirrored((long)at + r, size[axis])]);
		out[v] = sum;
	}
}

/* The range in water, in place of out; in is not changed. */
static void blur_water(const iso_range_model *m, const float *in, float *out)
{
	float *between = m->scratch + m->voxels;
	blur_axis(m, 0, in, out);
	blur_axis(m, 1, out, between);
	blur_axis(m, 2, between, out);
}

static iso_status fill(iso_range_model *m, const float *density, const iso_positron_range *range, iso_error *err)
{
	double distance_mm[DISTANCES] = {0}, probability[DISTANCES] = {0};
	iso_status status = make_distances(range, distance_mm, probability, err);
	if (status != ISO_OK) return status;
	bool *followed = calloc(m->voxels, sizeof *followed);
	hit *hits = malloc((size_t)RAYS * DISTANCES * sizeof *hits);
	const size_t count = followed ? mark_followed(m, density, reach_means * range->mean_mm, followed) : 0;
	m->from = calloc(count + 1, sizeof *m->from);
	m->first = calloc(count + 1, sizeof *m->first);
	if (!followed || !hits || !m->from || !m->first)
		status = iso_fail_memory(err, "the positron range", (count + 1) * 2 * sizeof *m->from);
	for (size_t v = 0; status == ISO_OK && v < m->voxels; v++)
		if (followed[v]) status = add_column(m, density, v, distance_mm, probability, hits, err);
	free(followed);
	free(hits);
	return status == ISO_OK ? make_gaussian(m, range, err) : status;
}

iso_status iso_range_model_create(const iso_grid *grid, const iso_image *mu, const iso_positron_range *range,
				  iso_range_model **out, iso_error *err)
{
	*out = NULL;
	iso_image *density = NULL;
	iso_status status = iso_image_resample(mu, grid, 0, &density, err);
	if (status != ISO_OK) return status;
	iso_range_model *m = calloc(1, sizeof *m);
	if (m) {
		*m = (iso_range_model){.grid = *grid, .voxels = iso_grid_voxels(grid)};
		for (size_t v = 0; v < m->voxels; v++)
			density->voxels[v] = (float)((double)density->voxels[v] / water_mu_per_cm);
		status = fill(m, density->voxels, range, err);
	} else
		status = iso_fail_memory(err, "the positron range", sizeof *m);
	iso_image_free(density);
	if (status != ISO_OK) {
		iso_range_model_free(m);
		return status;
	}
	*out = m;
	return ISO_OK;
}

void iso_range_model_forward(const iso_range_model *m, const float *x, float *y)
{
	memcpy(m->scratch, x, m->voxels * sizeof *y);
	for (size_t c = 0; c < m->columns; c++) m->scratch[m->from[c]] = 0;
	blur_water(m, m->scratch, y);
	for (size_t c = 0; c < m->columns; c++)
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) y[m->to[n]] += m->weight[n] * x[m->from[c]];
}

void iso_range_model_adjoint(const iso_range_model *m, const float *y, float *x)
{
	blur_water(m, y, x);
	for (size_t c = 0; c < m->columns; c++) {
		double sum = 0;
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) sum += (double)(m->weight[n] * y[m->to[n]]);
		x[m->from[c]] = (float)sum;
	}
}

size_t iso_range_model_voxels(const iso_range_model *m)
{
	return m->columns;
}

void iso_range_model_free(iso_range_model *m)
{
	if (!m) return;
	free(m->from);
	free(m->first);
	free(m->to);
	free(m->weight);
	free(m->scratch);
	for (int a = 0; a < 3; a++) free(m->gauss[a]);
	free(m);
}
