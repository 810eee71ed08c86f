/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Three kinds of voxels. Far from thin tissue K is a sum of two Gaussians with the variances of the range's two Gamma distributions
 * in water; where the skin is in reach, the columns are scaled so that they sum to what does not leave through it: what does
 * travels through air for decimetres and is lost, or enters what lies behind the air. In thin tissue and in what positrons can
 * reach it from, K is a sparse column: from eight points of the voxel straight on in directions spread evenly over
 * the sphere, through the densities that mu tells, until the matter on the way equals one of a few distances in water (the
 * nodes of Gauss-Laguerre quadrature for the range's two Gamma distributions). Air keeps what is in it, but
 * for the air around the body next to the skin, which is barred. */
#include "recon/positron_range.h"

#include <gsl/gsl_integration.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/water_range.h"

enum { POINTS = 8, DIRECTIONS = 24, RAYS = POINTS * DIRECTIONS, NODES = 4, DISTANCES = 2 * NODES };

static const double water_mu_per_cm = 0.0960; /* at 511 keV */
/* Thin tissue is clearly thinner than water. Below density_air is air, and voxels that touch air hold a surface: their mean
 * density says nothing about the tissue in them. */
static const double density_most = 0.8, density_air = 0.15, density_least = 0.0012;
/* Beyond this many mean ranges 0.4 % of the positrons of any row of the table are left. */
static const double reach_means = 3.5;
static const double skin_mm = 3;
/* ... and beyond so many less than 0.1 % of those that a surface loses come from (their mean distance counts). */
static const double surface_means = 6;

typedef struct hit {
	size_t voxel;
	double weight;
} hit;

struct iso_range_model {
	iso_grid grid;
	double per_mm[3]; /* voxels per mm */
	size_t voxels, followed, columns, entries, room;
	size_t *from;  /* [columns] the voxel of decay, growing */
	size_t *first; /* [columns + 1] */
	size_t *to;    /* [entries] */
	float *weight; /* [entries] */
	iso_water_range *water;
	/* [voxels] K x = body (G (kept x)) + (1 - body) x + the columns, with body 1 where there is matter, else 0. kept is 0 in air and
	 * in voxels that are followed. */
	float *kept;
	bool *body;
	bool *barred;   /* air around the body, close to the skin: nothing decays there, and the columns are empty */
	float *scratch; /* an image */
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

static bool inside(const iso_range_model *m, const double point_mm[3], size_t *voxel)
{
	const iso_grid *grid = &m->grid;
	size_t index[3];
	for (int a = 0; a < 3; a++) {
		const double i = (point_mm[a] - grid->origin_mm[a]) * m->per_mm[a] + 0.5;
		if (!(i >= 0 && i < (double)grid->size[a])) return false;
		index[a] = (size_t)i;
	}
	*voxel = index[0] + grid->size[0] * (index[1] + grid->size[1] * index[2]);
	return true;
}

/* Air is followed, too, but never quite without density. */
static double at_least(double density)
{
	return density > density_least ? density : density_least;
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
		if (!inside(m, point, &voxel)) break;
		water += step * at_least((double)density[voxel]);
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

/* Where the positrons of a voxel annihilate; returns the number of hits. */
static size_t follow_all(const iso_range_model *m, const float *density, size_t voxel,
			 const double distance_mm[DISTANCES], const double probability[DISTANCES], hit *hits)
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
	return count;
}

/* Sorts a column's hits by voxel and adds up those of the same one; returns how many are left. */
static size_t gather(hit *hits, size_t count)
{
	size_t kept = 0;
	qsort(hits, count, sizeof *hits, by_voxel);
	for (size_t n = 0; n < count; n++) {
		if (kept > 0 && hits[kept - 1].voxel == hits[n].voxel)
			hits[kept - 1].weight += hits[n].weight;
		else
			hits[kept++] = hits[n];
	}
	return kept;
}

/* Appends a column of gathered hits to the sparse ones. */
static iso_status add_column(iso_range_model *m, size_t voxel, const hit *hits, size_t count, iso_error *err)
{
	const iso_status status = grow(m, count, err);
	if (status != ISO_OK) return status;
	m->from[m->columns] = voxel;
	m->first[m->columns++] = m->entries;
	for (size_t n = 0; n < count; n++) {
		m->to[m->entries] = hits[n].voxel;
		m->weight[m->entries++] = (float)hits[n].weight;
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

/* Probability that a positron goes farther than this in water. */
static double tail(const iso_positron_range *range, double water_mm)
{
	const double near = water_mm / range->scale_mm[0], far = water_mm / range->scale_mm[1];
	return range->near_probability * exp(-near) * (1 + near) +
	       (1 - range->near_probability) * exp(-far) * (1 + far);
}

/* Where a ray that leaves the body ends: in another voxel with matter, or nowhere (`lost`). Returns the probability that a positron comes
 * to the surface; 0 where the surface is out of reach or the grid ends in matter. */
static double leave(const iso_range_model *m, const float *density, const iso_positron_range *range,
		    const double start_mm[3], const double direction[3], size_t *entered, bool *lost)
{
	const double *edge = m->grid.voxel_mm, most = surface_means * range->mean_mm;
	const double step = 0.5 * fmin(edge[0], fmin(edge[1], edge[2]));
	double water = 0, point[3];
	bool air = false;
	size_t voxel;
	for (double at = 0.5 * step; water < most; at += step) {
		for (int a = 0; a < 3; a++) point[a] = start_mm[a] + at * direction[a];
		*lost = !inside(m, point, &voxel);
		if (*lost) return air ? tail(range, water) : 0;
		if (m->body[voxel] && air) {
			*entered = voxel;
			return tail(range, water);
		}
		air = !m->body[voxel];
		water += step * at_least((double)density[voxel]);
	}
	return 0;
}

/* Start points of a voxel's rays, in voxels from its centre: evenly spread in three dimensions (powers of 1/1.2207, the root of x^4 = x + 1). */
static void start_of(const iso_grid *grid, size_t voxel, int ray, double start_mm[3])
{
	static const double powers[3] = {0.8191725133961645, 0.6710436067037893, 0.5497004779019703};
	const size_t *size = grid->size;
	const double index[3] = {(double)(voxel % size[0]), (double)(voxel / size[0] % size[1]),
				 (double)(voxel / (size[0] * size[1]))};
	double at[3];
	for (int a = 0; a < 3; a++) at[a] = index[a] + fmod(0.5 + ray * powers[a], 1) - 0.5;
	iso_grid_point_mm(grid, at, start_mm);
}

/* The share of a voxel's positrons that come to the surface; with hits, those that enter other matter, *count of them. */
static double surfaced(const iso_range_model *m, const float *density, const iso_positron_range *range, size_t voxel,
		       hit *hits, size_t *count)
{
	double sum = 0;
	*count = 0;
	for (int ray = 0; ray < RAYS; ray++) {
		double start[3], direction[3];
		size_t entered = 0;
		bool lost = true;
		start_of(&m->grid, voxel, ray, start);
		direction_of(ray, direction);
		const double p = leave(m, density, range, start, direction, &entered, &lost);
		sum += p;
		if (p > 0 && !lost) hits[(*count)++] = (hit){entered, p / RAYS};
	}
	return sum / RAYS;
}

/* Marks the box around each voxel that is marked, one axis after the other. */
static void widen(const iso_range_model *m, double reach_mm, bool *near, bool *scratch)
{
	const size_t *size = m->grid.size;
	for (int a = 0; a < 3; a++) {
		const size_t stride = a == 0 ? 1 : a == 1 ? size[0] : size[0] * size[1];
		const size_t reach = (size_t)ceil(fmin(reach_mm / m->grid.voxel_mm[a], 1e6));
		memcpy(scratch, near, m->voxels * sizeof *near);
		for (size_t v = 0; v < m->voxels; v++) {
			if (!scratch[v]) continue;
			const size_t at = v / stride % size[a];
			const size_t below = at < reach ? at : reach;
			const size_t above = size[a] - 1 - at < reach ? size[a] - 1 - at : reach;
			for (size_t n = v - below * stride; n <= v + above * stride; n += stride) near[n] = true;
		}
	}
}

/* Air that is connected to the grid's faces and within skin_mm of matter. What lies in the body's cavities may be measured. Without this the
 * tails of the resolution leave a few percent of the skin's activity in the air. */
static iso_status bar_air(iso_range_model *m, bool *near, bool *scratch, iso_error *err)
{
	const size_t *size = m->grid.size, stride[3] = {1, size[0], size[0] * size[1]};
	size_t *stack = malloc(m->voxels * sizeof *stack), height = 0;
	if (!stack) return iso_fail_memory(err, "the positron range", m->voxels * sizeof *stack);
	for (size_t v = 0; v < m->voxels; v++) {
		bool face = false;
		for (int a = 0; a < 3; a++) {
			const size_t at = v / stride[a] % size[a];
			face = face || at == 0 || at + 1 == size[a];
		}
		m->barred[v] = face && !m->body[v];
		if (m->barred[v]) stack[height++] = v;
	}
	while (height) {
		const size_t v = stack[--height];
		for (int way = 0; way < 6; way++) {
			const size_t step = stride[way / 2], at = v / step % size[way / 2];
			if (way & 1 ? at + 1 == size[way / 2] : at == 0) continue;
			const size_t n = way & 1 ? v + step : v - step;
			if (m->body[n] || m->barred[n]) continue;
			m->barred[n] = true;
			stack[height++] = n;
		}
	}
	free(stack);
	memcpy(near, m->body, m->voxels * sizeof *near);
	widen(m, skin_mm, near, scratch);
	for (size_t v = 0; v < m->voxels; v++) m->barred[v] = m->barred[v] && near[v];
	return ISO_OK;
}

/* Fills kept, and crosses: whether positrons of a voxel enter other matter through air. near: scratch. */
static void let_escape(iso_range_model *m, const float *density, const iso_positron_range *range, const bool *followed,
		       bool *near, bool *crosses)
{
	float *inside_body = m->scratch;
	for (size_t v = 0; v < m->voxels; v++) m->kept[v] = m->body[v] ? 1 : 0;
	iso_water_range_blur(m->water, m->kept, inside_body);
	for (size_t v = 0; v < m->voxels; v++) near[v] = !m->body[v];
	widen(m, surface_means * range->mean_mm, near, crosses);
	const ptrdiff_t total = (ptrdiff_t)m->voxels;
#pragma omp parallel for schedule(dynamic, 512)
	for (ptrdiff_t v = 0; v < total; v++) {
		hit hits[RAYS];
		size_t count = 0;
		const bool blurred = m->body[v] && !followed[v];
		const double gone = blurred && near[v] ? surfaced(m, density, range, (size_t)v, hits, &count) : 0;
		crosses[v] = count > 0;
		m->kept[v] = blurred ? (float)((1 - gone) / (double)inside_body[v]) : 0;
	}
}

/* Columns that are made at a time, by all threads, before they are appended in order. */
enum { BATCH = 256 };
typedef struct batch {
	size_t count, voxel[BATCH], hits[BATCH];
	hit hit[BATCH][RAYS * DISTANCES];
} batch;

static void make_columns(const iso_range_model *m, const float *density, const iso_positron_range *range,
			 const bool *followed, const double distance_mm[DISTANCES], const double probability[DISTANCES],
			 batch *b)
{
#pragma omp parallel for schedule(dynamic, 8)
	for (size_t n = 0; n < b->count; n++) {
		size_t count;
		if (followed[b->voxel[n]])
			count = follow_all(m, density, b->voxel[n], distance_mm, probability, b->hit[n]);
		else
			surfaced(m, density, range, b->voxel[n], b->hit[n], &count);
		b->hits[n] = gather(b->hit[n], count);
	}
}

static iso_status fill_columns(iso_range_model *m, const float *density, const iso_positron_range *range,
			       const bool *followed, const bool *crosses, iso_error *err)
{
	double distance_mm[DISTANCES] = {0}, probability[DISTANCES] = {0};
	iso_status status = make_distances(range, distance_mm, probability, err);
	if (status != ISO_OK) return status;
	size_t most = 0;
	for (size_t v = 0; v < m->voxels; v++) most += followed[v] || crosses[v];
	batch *b = malloc(sizeof *b);
	m->from = calloc(most + 1, sizeof *m->from);
	m->first = calloc(most + 1, sizeof *m->first);
	if (!b || !m->from || !m->first)
		status = iso_fail_memory(err, "the positron range", sizeof *b + (most + 1) * 2 * sizeof *m->from);
	for (size_t v = 0; status == ISO_OK && v < m->voxels;) {
		for (b->count = 0; v < m->voxels && b->count < BATCH; v++)
			if (followed[v] || crosses[v]) b->voxel[b->count++] = v;
		make_columns(m, density, range, followed, distance_mm, probability, b);
		for (size_t n = 0; status == ISO_OK && n < b->count; n++)
			status = add_column(m, b->voxel[n], b->hit[n], b->hits[n], err);
	}
	free(b);
	return status;
}

static iso_status fill(iso_range_model *m, const float *density, const iso_positron_range *range, iso_error *err)
{
	m->kept = malloc(m->voxels * sizeof *m->kept);
	m->body = malloc(m->voxels * sizeof *m->body);
	m->barred = malloc(m->voxels * sizeof *m->barred);
	bool *followed = calloc(3 * m->voxels, sizeof *followed), *near = followed ? followed + m->voxels : NULL;
	m->scratch = malloc(m->voxels * sizeof *m->scratch);
	iso_status status = iso_water_range_create(&m->grid, range, &m->water, err);
	if (status == ISO_OK && !(m->kept && m->body && m->barred && m->scratch && followed))
		status = iso_fail_memory(err, "the positron range", m->voxels * (2 * sizeof *m->kept + 5));
	if (status == ISO_OK) {
		for (size_t v = 0; v < m->voxels; v++) m->body[v] = (double)density[v] >= density_air;
		status = bar_air(m, near, near + m->voxels, err);
	}
	if (status == ISO_OK) {
		m->followed = mark_followed(m, density, reach_means * range->mean_mm, followed);
		let_escape(m, density, range, followed, near, near + m->voxels);
		status = fill_columns(m, density, range, followed, near + m->voxels, err);
	}
	free(followed);
	return status;
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
		for (int a = 0; a < 3; a++) m->per_mm[a] = 1 / grid->voxel_mm[a];
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
	for (size_t v = 0; v < m->voxels; v++) m->scratch[v] = m->kept[v] * x[v];
	iso_water_range_blur(m->water, m->scratch, y);
	for (size_t v = 0; v < m->voxels; v++)
		if (!m->body[v]) y[v] = m->barred[v] ? 0 : x[v];
	for (size_t c = 0; c < m->columns; c++)
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) y[m->to[n]] += m->weight[n] * x[m->from[c]];
}

void iso_range_model_adjoint(const iso_range_model *m, const float *y, float *x)
{
	for (size_t v = 0; v < m->voxels; v++) m->scratch[v] = m->body[v] ? y[v] : 0;
	iso_water_range_blur(m->water, m->scratch, x);
	for (size_t v = 0; v < m->voxels; v++) x[v] = m->body[v] ? m->kept[v] * x[v] : m->barred[v] ? 0 : y[v];
	const ptrdiff_t columns = (ptrdiff_t)m->columns;
#pragma omp parallel for schedule(static)
	for (ptrdiff_t c = 0; c < columns; c++) {
		double sum = 0;
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) sum += (double)(m->weight[n] * y[m->to[n]]);
		x[m->from[c]] += (float)sum;
	}
}

size_t iso_range_model_voxels(const iso_range_model *m)
{
	return m->followed;
}

void iso_range_model_free(iso_range_model *m)
{
	if (!m) return;
	free(m->from);
	free(m->first);
	free(m->to);
	free(m->weight);
	free(m->kept);
	free(m->body);
	free(m->barred);
	free(m->scratch);
	iso_water_range_free(m->water);
	free(m);
}
