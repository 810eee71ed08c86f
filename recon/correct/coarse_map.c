/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/coarse_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

iso_status iso_coarse_map_create(const iso_grid *g, const float *values, size_t voxels, iso_image **out, iso_error *err)
{
	*out = NULL;
	double volume = 1;
	size_t times[3];
	for (int k = 0; k < 3; k++) volume *= g->voxel_mm[k] * (double)g->size[k];
	const double edge_mm = cbrt(volume / (double)voxels);
	iso_grid coarse = *g;
	for (int k = 0; k < 3; k++) {
		times[k] = (size_t)fmin(fmax(round(edge_mm / g->voxel_mm[k]), 1), (double)g->size[k]);
		coarse.voxel_mm[k] = (double)times[k] * g->voxel_mm[k];
		coarse.size[k] = (g->size[k] + times[k] - 1) / times[k] + 2;
		/* the border's outer face lies one coarse voxel before the image's first face */
		coarse.origin_mm[k] = g->origin_mm[k] - 0.5 * g->voxel_mm[k] - 0.5 * coarse.voxel_mm[k];
	}
	const iso_status status = iso_image_create(&coarse, ISO_UNIT_UNKNOWN, out, err);
	if (status != ISO_OK) return status;
	const float part = 1 / (float)(times[0] * times[1] * times[2]);
	for (size_t k = 0; k < g->size[2]; k++)
		for (size_t j = 0; j < g->size[1]; j++) {
			float *row = (*out)->voxels +
				     coarse.size[0] * (j / times[1] + 1 + coarse.size[1] * (k / times[2] + 1)) + 1;
			for (size_t i = 0; i < g->size[0]; i++) row[i / times[0]] += part * *values++;
		}
	return ISO_OK;
}

size_t iso_map_ray_most(const iso_image *map)
{
	double most = 3;
	for (int k = 0; k < 3; k++) most += (double)map->grid.size[k];
	return (size_t)most;
}

/* Linear between the eight neighbours. fmin and fmax would be calls. */
static float at(const iso_image *map, const double index[3])
{
	const size_t nx = map->grid.size[0], plane = nx * map->grid.size[1];
	int whole[3];
	float part[3];
	for (int k = 0; k < 3; k++) {
		const double most = (double)map->grid.size[k] - 2, from = index[k] > 0 ? index[k] : 0;
		whole[k] = (int)(from < most ? from : most);
		part[k] = (float)(index[k] - whole[k]);
	}
	const float *v = map->voxels + (size_t)whole[0] + nx * (size_t)whole[1] + plane * (size_t)whole[2];
	const float x = part[0], y = part[1], *w = v + plane;
	const float low = (v[0] + (v[1] - v[0]) * x) * (1 - y) + (v[nx] + (v[nx + 1] - v[nx]) * x) * y;
	const float high = (w[0] + (w[1] - w[0]) * x) * (1 - y) + (w[nx] + (w[nx + 1] - w[nx]) * x) * y;
	return low + (high - low) * part[2];
}

/* Between the middles of the border's voxels, where the map is 0. */
static iso_map_ray clip(const iso_image *map, const double from[3], const double along[3], double length_mm)
{
	double low = 0, high = length_mm, finest = (double)INFINITY;
	for (int k = 0; k < 3; k++) {
		const double first = map->grid.origin_mm[k] - from[k];
		const double last = first + map->grid.voxel_mm[k] * (double)(map->grid.size[k] - 1);
		finest = fmin(finest, map->grid.voxel_mm[k] / fmax(fabs(along[k]), 1e-9));
		if (fabs(along[k]) < 1e-9) {
			if (first > 0 || last < 0) return (iso_map_ray){0};
			continue;
		}
		low = fmax(low, fmin(first / along[k], last / along[k]));
		high = fmin(high, fmax(first / along[k], last / along[k]));
	}
	if (!(high > low)) return (iso_map_ray){0};
	/* about a sample for each voxel of the axis that the ray passes fastest */
	const double samples = ceil((high - low) / finest);
	return (iso_map_ray){.start_mm = low, .step_mm = (high - low) / samples, .samples = (size_t)samples};
}

/* Where the ray's sample n lies: at + n by, in voxels. */
typedef struct walk {
	double at[3], by[3];
} walk;

static walk walk_along(const iso_image *map, const iso_map_ray *ray, const double from[3], const double along[3])
{
	walk w;
	for (int k = 0; k < 3; k++) {
		const double per_mm = 1 / map->grid.voxel_mm[k];
		w.by[k] = ray->step_mm * along[k] * per_mm;
		w.at[k] = (from[k] + ray->start_mm * along[k] - map->grid.origin_mm[k]) * per_mm + 0.5 * w.by[k];
	}
	return w;
}

static float sample_of(const iso_image *map, const walk *w, size_t n)
{
	const double step = (double)n;
	return at(map,
		  (const double[]){w->at[0] + step * w->by[0], w->at[1] + step * w->by[1], w->at[2] + step * w->by[2]});
}

iso_map_ray iso_map_ray_trace(const iso_image *map, const double from[3], const double along[3], double length_mm,
			      float *sample)
{
	const iso_map_ray ray = clip(map, from, along, length_mm);
	const walk w = walk_along(map, &ray, from, along);
	for (size_t n = 0; n < ray.samples; n++) sample[n] = sample_of(map, &w, n);
	return ray;
}

double iso_map_ray_integral(const iso_image *map, const double from[3], const double along[3], double length_mm)
{
	const iso_map_ray ray = clip(map, from, along, length_mm);
	const walk w = walk_along(map, &ray, from, along);
	double sum = 0;
	for (size_t n = 0; n < ray.samples; n++) sum += (double)sample_of(map, &w, n);
	return sum * ray.step_mm;
}

/* Cells of an edge that makes about `points` of those that are not empty: the volume in which the content would fit at the value that
 * most of it has. */
static double cell_edge_mm(const iso_image *image, size_t points)
{
	const size_t count = iso_grid_voxels(&image->grid);
	double sum = 0, squares = 0;
	for (size_t n = 0; n < count; n++) {
		const double value = fmax((double)image->voxels[n], 0);
		sum += value;
		squares += value * value;
	}
	if (!(squares > 0)) return 0;
	const double voxel_mm3 = 1000 * iso_grid_voxel_ml(&image->grid);
	double edge = cbrt(sum * sum / squares * voxel_mm3 / (double)points);
	for (int k = 0; k < 3; k++) edge = fmax(edge, image->grid.voxel_mm[k]);
	return edge;
}

static void gather(const iso_image *image, const size_t cells[3], double edge_mm, iso_image_point *cell)
{
	const iso_grid *g = &image->grid;
	const double voxel_mm3 = 1000 * iso_grid_voxel_ml(g);
	const float *value = image->voxels;
	for (size_t k = 0; k < g->size[2]; k++)
		for (size_t j = 0; j < g->size[1]; j++)
			for (size_t i = 0; i < g->size[0]; i++, value++) {
				if (!(*value > 0)) continue;
				const size_t index[3] = {i, j, k};
				size_t to = 0;
				for (int n = 2; n >= 0; n--) {
					const double along = ((double)index[n] + 0.5) * g->voxel_mm[n] / edge_mm;
					const size_t c = (size_t)along;
					to = to * cells[n] + (c < cells[n] ? c : cells[n] - 1);
				}
				const double content = (double)*value * voxel_mm3;
				cell[to].content += content;
				for (int n = 0; n < 3; n++)
					cell[to].at_mm[n] +=
					    content * (g->origin_mm[n] + g->voxel_mm[n] * (double)index[n]);
			}
}

iso_status iso_image_points_create(const iso_image *image, size_t points, iso_image_points *out, iso_error *err)
{
	*out = (iso_image_points){0};
	const double edge_mm = cell_edge_mm(image, points);
	if (!(edge_mm > 0)) return ISO_OK; /* nothing there */
	size_t cells[3], total = 1;
	for (int k = 0; k < 3; k++) {
		cells[k] = (size_t)ceil(image->grid.voxel_mm[k] * (double)image->grid.size[k] / edge_mm - 1e-9);
		if (cells[k] < 1) cells[k] = 1;
		total *= cells[k];
	}
	out->point = calloc(total, sizeof *out->point);
	if (!out->point) return iso_fail_memory(err, "scatter points", total * sizeof *out->point);
	gather(image, cells, edge_mm, out->point);
	double fullest = 0;
	for (size_t n = 0; n < total; n++) fullest = fmax(fullest, out->point[n].content);
	for (size_t n = 0; n < total; n++) {
		const iso_image_point p = out->point[n];
		if (!(p.content > 0.01 * fullest)) continue;
		iso_image_point *to = out->point + out->count++;
		*to = p;
		for (int k = 0; k < 3; k++) to->at_mm[k] /= p.content;
	}
	return ISO_OK;
}

void iso_image_points_free(iso_image_points *points)
{
	free(points->point);
	*points = (iso_image_points){0};
}
