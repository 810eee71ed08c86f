/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Between tissues: K x = land phi(kept x), with phi of recon/matter_range.h. To phi the air and the voxels that hold a surface are full of
 * water; what lands there counts by the matter that is really there (land, the density), and kept scales the columns so that they sum
 * to what neither ends in thin tissue nor leaves through the skin. What does travels through air for decimetres and is lost, or enters what
 * lies behind the air, by a sparse column. For a convex body of uniform density that is exact: positrons fly straight, and those
 * that end in it have never left it.
 * From thin tissue (lung): sparse columns of straight rays through the densities that mu tells. Into thin tissue: the same numbers, since
 * what ends at b from a, per density at b, is what ends at a from b, per density at a.
 * Air keeps what is in it, but for the air around the body next to the skin, which is barred. */
#include "recon/positron_range.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/mask.h"
#include "recon/matter_range.h"

/* Straight ways from a voxel, and positrons that end on each. */
enum { RAYS = 192, ENDS = 4 };

static const double water_mu_per_cm = 0.0960; /* at 511 keV */
/* Thin tissue is clearly thinner than water. Below density_air is air, and voxels that touch air hold a surface: their mean
 * density says nothing about the tissue in them. */
static const double density_most = 0.8, density_air = 0.15, density_least = 0.0012;
static const double skin_mm = 3;
/* Beyond so many mean ranges less than 0.1 % of those that a surface loses come from (their mean distance counts). */
static const double surface_means = 6;
/* Of a ray's positrons: so few are not followed. */
static const double hardly_any = 1e-5;

typedef struct hit {
	size_t voxel;
	double weight;
} hit;

/* Densities over water's, where rays through the skin meet them: mu's own voxels where they are the finer ones. */
typedef struct matter_map {
	iso_grid grid; /* axis-aligned */
	double per_mm[3];
	double step_mm;
	const float *voxels;
	double unit; /* of the voxels, over water */
} matter_map;

struct iso_range_model {
	iso_grid grid;
	double per_mm[3];                                    /* voxels per mm */
	size_t voxels, thin_columns, columns, entries, room; /* the columns of thin tissue come first */
	size_t *from;                                        /* [columns] the voxel of decay */
	size_t *first;                                       /* [columns + 1] */
	uint32_t *to;                                        /* [entries] */
	float *weight;                                       /* [entries] */
	iso_matter_range *matter;
	float *kept, *land; /* [voxels]; 0 in air, kept in thin tissue, too */
	bool *body, *thin;  /* [voxels] matter; thin tissue */
	uint8_t *clear;     /* voxels to the nearest that has matter */
	bool *barred;   /* air around the body, close to the skin: nothing decays there, and the columns are empty */
	float *scratch; /* an image */
};

/* In (0, 1), the same for no two rays. */
static double evenly(int ray)
{
	return fmod(0.5 + ray * 0.41421356237309505, 1);
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

static bool voxel_at(const iso_grid *grid, const double per_mm[3], const double point_mm[3], size_t *voxel)
{
	size_t index[3];
	for (int a = 0; a < 3; a++) {
		const double i = (point_mm[a] - grid->origin_mm[a]) * per_mm[a] + 0.5;
		if (!(i >= 0 && i < (double)grid->size[a])) return false;
		index[a] = (size_t)i;
	}
	*voxel = index[0] + grid->size[0] * (index[1] + grid->size[1] * index[2]);
	return true;
}

static bool inside(const iso_range_model *m, const double point_mm[3], size_t *voxel)
{
	return voxel_at(&m->grid, m->per_mm, point_mm, voxel);
}

/* A surface is blurred over a voxel: of a mouse with Ga-68, 4 % too many leave through voxels of 0.8 mm, 1.5 % with a mu of 0.5 mm. */
static matter_map map_of(const iso_range_model *m, const iso_image *mu, const float *density)
{
	const double *edge = m->grid.voxel_mm, *fine = mu->grid.voxel_mm;
	bool finer = iso_grid_is_axis_aligned(&mu->grid);
	for (int a = 0; a < 3; a++) finer = finer && fine[a] <= edge[a];
	matter_map map = {.grid = finer ? mu->grid : m->grid,
			  .voxels = finer ? mu->voxels : density,
			  .unit = finer ? 1 / water_mu_per_cm : 1};
	const double *own = map.grid.voxel_mm;
	for (int a = 0; a < 3; a++) map.per_mm[a] = 1 / own[a];
	map.step_mm = fmax(0.5 * fmin(own[0], fmin(own[1], own[2])), 0.25 * fmin(edge[0], fmin(edge[1], edge[2])));
	return map;
}

/* Beyond the map there is air. */
static double density_at(const matter_map *map, const double point_mm[3])
{
	size_t voxel;
	return voxel_at(&map->grid, map->per_mm, point_mm, &voxel) ? map->unit * (double)map->voxels[voxel] : 0;
}

/* Air is followed, too, but never quite without density. */
static double at_least(double density)
{
	return density > density_least ? density : density_least;
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
	uint32_t *to = realloc(m->to, room * sizeof *to);
	if (to) m->to = to;
	float *weight = to ? realloc(m->weight, room * sizeof *weight) : NULL;
	if (!weight) return iso_fail_memory(err, "the positron range", room * (sizeof *to + sizeof *weight));
	m->weight = weight;
	m->room = room;
	return ISO_OK;
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
		m->to[m->entries] = (uint32_t)hits[n].voxel;
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

/* Probability that a positron goes farther than this in water. */
static double tail(const iso_positron_range *range, double water_mm)
{
	const double near = water_mm / range->scale_mm[0], far = water_mm / range->scale_mm[1];
	return range->near_probability * exp(-near) * (1 + near) +
	       (1 - range->near_probability) * exp(-far) * (1 + far);
}

/* What a ray that leaves the body brings out of it, and how much of that stops in matter beyond. */
typedef struct outing {
	/* probability that a positron comes to the surface; 0 where that is out of reach or the grid ends in matter */
	double surfaced;
	double stopped; /* ... and ends in matter beyond the air */
	size_t voxel;   /* one of those that it ends in */
} outing;

/* How far the ray goes before it leaves the grid. */
static double way_out(const iso_grid *grid, const double start_mm[3], const double direction[3])
{
	double least = (double)INFINITY;
	for (int a = 0; a < 3; a++) {
		const double low = grid->origin_mm[a] - 0.5 * grid->voxel_mm[a],
			     high = low + grid->voxel_mm[a] * (double)grid->size[a];
		if (direction[a] != 0)
			least = fmin(least, ((direction[a] > 0 ? high : low) - start_mm[a]) / direction[a]);
	}
	return least;
}

static void along(const double start_mm[3], const double direction[3], double at, double point_mm[3])
{
	for (int a = 0; a < 3; a++) point_mm[a] = start_mm[a] + at * direction[a];
}

/* Matter beyond is passed as far as the positron goes: the steps of a round body's surface are in the way of many rays, with a fraction of a
 * voxel each. choice, in (0, 1): which of the voxels it is, each with the probability that the positron ends there. */
static outing leave(const iso_range_model *m, const matter_map *map, const iso_positron_range *range,
		    const double start_mm[3], const double direction[3], double choice)
{
	const double most = surface_means * range->mean_mm, end = way_out(&m->grid, start_mm, direction),
		     *edge = m->grid.voxel_mm;
	const double voxel_steps = fmin(edge[0], fmin(edge[1], edge[2])) / map->step_mm;
	double water = 0, point[3] = {start_mm[0], start_mm[1], start_mm[2]}, at = 0.5 * map->step_mm, density = 0;
	outing out = {.surfaced = 0};
	for (; at < end; at += map->step_mm) {
		along(start_mm, direction, at, point);
		density = density_at(map, point);
		if (density < density_air) break;
		water += map->step_mm * density;
		if (water >= most) return out;
	}
	if (at >= end) return out;
	double flying = out.surfaced = tail(range, water); /* not yet ended, or ended in air just now */
	size_t voxel;
	bool in_matter = false;
	while (flying > hardly_any && inside(m, point, &voxel)) {
		/* so many steps meet no matter */
		const double free_steps = m->clear[voxel] ? fmax(floor((m->clear[voxel] - 1) * voxel_steps), 1) : 1;
		water += free_steps * map->step_mm * at_least(density);
		in_matter = m->body[voxel];
		if (in_matter) {
			const double left = water < most ? tail(range, water) : 0, ends = flying - left;
			if (ends > 0) {
				/* what has been chosen stays so with the probability of what ended before */
				const double part = ends / (out.stopped += ends);
				if (choice < part) out.voxel = voxel;
				choice = choice < part ? choice / part : (choice - part) / (1 - part);
				flying = left;
			}
		} else if (water >= most)
			break;
		at += free_steps * map->step_mm;
		along(start_mm, direction, at, point);
		density = density_at(map, point);
	}
	if (in_matter && out.stopped > 0) out.stopped += flying; /* matter goes on beyond the grid */
	return out;
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

/* The share of a voxel's positrons that come to the surface; with hits, those that end in other matter, *count of them. Decays are where
 * matter is. */
static double surfaced(const iso_range_model *m, const matter_map *map, const iso_positron_range *range, size_t voxel,
		       hit *hits, size_t *count)
{
	double sum = 0, starts = 0;
	*count = 0;
	for (int ray = 0; ray < RAYS; ray++) {
		double start[3], direction[3];
		start_of(&m->grid, voxel, ray, start);
		const double filled = fmin(density_at(map, start), 1);
		if (!(filled > 0)) continue;
		direction_of(ray, direction);
		const outing out = leave(m, map, range, start, direction, evenly(ray));
		starts += filled;
		sum += filled * out.surfaced;
		if (out.stopped > 0 && !m->thin[out.voxel]) hits[(*count)++] = (hit){out.voxel, filled * out.stopped};
	}
	for (size_t n = 0; n < *count; n++) hits[n].weight /= starts;
	return starts > 0 ? sum / starts : 0;
}

/* Where ENDS positrons of one straight way end: one in each ENDS-th of the distances' distribution, the same for no two rays; what ends in
 * air is lost. Each hit weighs as much as the way: as the density where it begins, which is returned; *count of them. */
static double fly(const iso_range_model *m, const matter_map *map, const iso_positron_range *range, size_t from,
		  int ray, hit *hits, size_t *count)
{
	const double offset = evenly(ray);
	double water = 0, start[3], direction[3], point[3];
	size_t voxel;
	int ended = 0;
	start_of(&m->grid, from, ray, start);
	direction_of(ray, direction);
	const double begins = density_at(map, start);
	if (!(begins > 0)) return 0;
	for (double at = 0.5 * map->step_mm; ended < ENDS; at += map->step_mm) {
		along(start, direction, at, point);
		if (!inside(m, point, &voxel)) break;
		water += map->step_mm * at_least(density_at(map, point));
		const double share = ENDS * (1 - tail(range, water));
		for (; ended < ENDS && ended + offset < share; ended++)
			if (m->body[voxel]) hits[(*count)++] = (hit){voxel, begins / ENDS};
	}
	return begins;
}

/* The straight ways of a voxel of thin tissue. Decays in it are uniform per gram: one that holds a surface has most of them in its dense part, and
 * what goes from one voxel to another is then the same both ways, per gram. Returns the number of hits. */
static size_t fly_all_ways(const iso_range_model *m, const matter_map *map, const iso_positron_range *range,
			   size_t voxel, hit *hits)
{
	double begun = 0;
	size_t count = 0;
	for (int ray = 0; ray < RAYS; ray++) begun += fly(m, map, range, voxel, ray, hits, &count);
	for (size_t n = 0; n < count; n++) hits[n].weight /= begun;
	return count;
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
	iso_mask_widen(&m->grid, skin_mm, near, scratch);
	for (size_t v = 0; v < m->voxels; v++) m->barred[v] = m->barred[v] && near[v];
	return ISO_OK;
}

/* Which voxels are what; full: what phi takes for the densities, air and surfaces as water. */
static void sort_voxels(iso_range_model *m, const float *density, float *full)
{
	for (size_t v = 0; v < m->voxels; v++) {
		m->body[v] = (double)density[v] >= density_air;
		m->thin[v] = is_thin(&m->grid, density, v);
		m->land[v] = m->body[v] ? density[v] : 0;
		full[v] = m->thin[v] || (double)density[v] >= density_most ? density[v] : 1;
	}
	iso_mask_clearance(&m->grid, m->body, m->clear);
}

/* Columns that are made at a time, by all threads, before they are appended in order. */
enum { BATCH = 256 };

/* The columns of the chosen voxels: straight ways from thin tissue, or, with gone, what enters other matter through air, and into gone the share
 * that comes to the surface. */
static iso_status fill_columns(iso_range_model *m, const matter_map *map, const iso_positron_range *range,
			       const bool *chosen, float *gone, iso_error *err)
{
	const size_t most = gone ? RAYS : RAYS * ENDS;
	size_t more = 0, voxel[BATCH], hits[BATCH];
	for (size_t v = 0; v < m->voxels; v++) more += chosen[v];
	if (more == 0) return ISO_OK;
	hit *hit_of = malloc(BATCH * most * sizeof *hit_of);
	size_t *from = realloc(m->from, (m->columns + more) * sizeof *from);
	if (from) m->from = from;
	size_t *first = realloc(m->first, (m->columns + more + 1) * sizeof *first);
	if (first) m->first = first;
	iso_status status =
	    hit_of && from && first
		? ISO_OK
		: iso_fail_memory(err, "the positron range", BATCH * most * sizeof *hit_of + more * 2 * sizeof *from);
	for (size_t v = 0; status == ISO_OK && v < m->voxels;) {
		size_t count = 0;
		for (; v < m->voxels && count < BATCH; v++)
			if (chosen[v]) voxel[count++] = v;
#pragma omp parallel for schedule(dynamic, 8)
		for (size_t n = 0; n < count; n++) {
			hit *own = hit_of + n * most;
			if (gone)
				gone[voxel[n]] = (float)surfaced(m, map, range, voxel[n], own, &hits[n]);
			else
				hits[n] = fly_all_ways(m, map, range, voxel[n], own);
			hits[n] = gather(own, hits[n]);
		}
		for (size_t n = 0; status == ISO_OK && n < count; n++)
			if (hits[n]) status = add_column(m, voxel[n], hit_of + n * most, hits[n], err);
	}
	free(hit_of);
	return status;
}

/* y += what ends in tissue of decays x in thin tissue, and the other way round. per_land: scratch. */
static void exchange(const iso_range_model *m, const float *x, float *per_land, float *y)
{
	for (size_t v = 0; v < m->voxels; v++) per_land[v] = m->body[v] && !m->thin[v] ? x[v] / m->land[v] : 0;
	for (size_t c = 0; c < m->thin_columns; c++) {
		const size_t own = m->from[c];
		const float x_own = x[own];
		float sum = 0;
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) {
			y[m->to[n]] += m->weight[n] * x_own;
			sum += m->weight[n] * per_land[m->to[n]];
		}
		y[own] += m->land[own] * sum;
	}
}

/* x += its transpose of y. */
static void exchange_back(const iso_range_model *m, const float *y, float *per_land, float *x)
{
	memset(per_land, 0, m->voxels * sizeof *per_land);
	for (size_t c = 0; c < m->thin_columns; c++) {
		const size_t own = m->from[c];
		const float y_own = m->land[own] * y[own];
		float sum = 0;
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) {
			sum += m->weight[n] * y[m->to[n]];
			per_land[m->to[n]] += m->weight[n] * y_own;
		}
		x[own] += sum;
	}
	for (size_t v = 0; v < m->voxels; v++)
		if (m->body[v] && !m->thin[v]) x[v] += per_land[v] / m->land[v];
}

/* Fills kept, and the columns of what enters other matter through air. into_thin, near, chosen: scratch. */
static iso_status let_escape(iso_range_model *m, const matter_map *map, const iso_positron_range *range,
			     float *into_thin, bool *near, bool *chosen, iso_error *err)
{
	for (size_t v = 0; v < m->voxels; v++) {
		near[v] = !m->body[v];
		m->kept[v] = m->thin[v] ? 1 : 0;
		into_thin[v] = 0;
	}
	exchange_back(m, m->kept, m->scratch, into_thin);
	for (size_t v = 0; v < m->voxels; v++) m->kept[v] = m->thin[v] ? 0 : m->land[v];
	iso_matter_range_solve(m->matter, m->kept, m->scratch); /* the sums of phi's columns */
	iso_mask_widen(&m->grid, surface_means * range->mean_mm, near, chosen);
	float *gone = m->kept;
	for (size_t v = 0; v < m->voxels; v++) {
		chosen[v] = m->body[v] && !m->thin[v] && near[v];
		gone[v] = 0;
	}
	const iso_status status = fill_columns(m, map, range, chosen, gone, err);
	for (size_t v = 0; v < m->voxels; v++) {
		const float stays = fmaxf(1 - gone[v] - into_thin[v], 0);
		m->kept[v] = m->body[v] && !m->thin[v] ? stays / m->scratch[v] : 0;
	}
	return status;
}

static iso_status fill(iso_range_model *m, const iso_image *mu, const float *density, const iso_positron_range *range,
		       iso_error *err)
{
	const matter_map map = map_of(m, mu, density);
	m->kept = malloc(m->voxels * sizeof *m->kept);
	m->land = malloc(m->voxels * sizeof *m->land);
	m->body = malloc(m->voxels * sizeof *m->body);
	m->thin = malloc(m->voxels * sizeof *m->thin);
	m->clear = malloc(m->voxels * sizeof *m->clear);
	m->barred = malloc(m->voxels * sizeof *m->barred);
	m->scratch = malloc(m->voxels * sizeof *m->scratch);
	bool *near = calloc(2 * m->voxels, sizeof *near);
	float *image = malloc(m->voxels * sizeof *image);
	iso_status status = ISO_OK;
	if (!(m->kept && m->land && m->body && m->thin && m->clear && m->barred && m->scratch && near && image))
		status = iso_fail_memory(err, "the positron range", m->voxels * (4 * sizeof *image + 6));
	if (status == ISO_OK) {
		sort_voxels(m, density, image);
		status = iso_matter_range_create(&m->grid, image, range, &m->matter, err);
	}
	if (status == ISO_OK) status = bar_air(m, near, near + m->voxels, err);
	if (status == ISO_OK) status = fill_columns(m, &map, range, m->thin, NULL, err);
	m->thin_columns = m->columns;
	if (status == ISO_OK) status = let_escape(m, &map, range, image, near, near + m->voxels, err);
	free(near);
	free(image);
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
		status = fill(m, mu, density->voxels, range, err);
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
	iso_matter_range_solve(m->matter, m->scratch, y);
	/* The polynomials of the iteration may leave 1e-5 below 0 where nothing is: a negative expectation. */
	for (size_t v = 0; v < m->voxels; v++) {
		if (m->body[v])
			y[v] = m->thin[v] ? 0 : m->land[v] * fmaxf(y[v], 0);
		else
			y[v] = m->barred[v] ? 0 : x[v];
	}
	exchange(m, x, m->scratch, y);
	for (size_t c = m->thin_columns; c < m->columns; c++)
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) y[m->to[n]] += m->weight[n] * x[m->from[c]];
}

void iso_range_model_adjoint(const iso_range_model *m, const float *y, float *x)
{
	for (size_t v = 0; v < m->voxels; v++) m->scratch[v] = m->thin[v] ? 0 : m->land[v] * y[v];
	iso_matter_range_solve(m->matter, m->scratch, x);
	for (size_t v = 0; v < m->voxels; v++) x[v] = m->body[v] ? m->kept[v] * x[v] : m->barred[v] ? 0 : y[v];
	exchange_back(m, y, m->scratch, x);
	for (size_t c = m->thin_columns; c < m->columns; c++) {
		float sum = 0;
		for (size_t n = m->first[c]; n < m->first[c + 1]; n++) sum += m->weight[n] * y[m->to[n]];
		x[m->from[c]] += sum;
	}
}

void iso_range_model_free(iso_range_model *m)
{
	if (!m) return;
	free(m->from);
	free(m->first);
	free(m->to);
	free(m->weight);
	free(m->kept);
	free(m->land);
	free(m->body);
	free(m->thin);
	free(m->clear);
	free(m->barred);
	free(m->scratch);
	iso_matter_range_free(m->matter);
	free(m);
}
