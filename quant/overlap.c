/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quant/overlap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* A sliver thinner than this part of an edge is the rounding of a float32 affine and not anatomy. */
#define SLIVER 1e-4
/* Points per edge of the smaller voxel when the grids are turned against each other. */
#define POINTS_PER_EDGE 6
#define FEWEST_POINTS   4
#define MOST_POINTS     16

/* The target axis that source axis a runs along, or -1 when the two grids are turned by more than rounding: over the
 * whole length of the source the other axes may not be left by a sliver. */
static int parallel_axis(const iso_grid *source, const iso_grid *target, int a)
{
	int found = -1;
	double smallest = (double)INFINITY;
	for (int t = 0; t < 3; t++) smallest = fmin(smallest, fmin(source->voxel_mm[t], target->voxel_mm[t]));
	for (int t = 0; t < 3; t++) {
		double cosine = 0;
		for (int k = 0; k < 3; k++) cosine += source->direction[a][k] * target->direction[t][k];
		const double length = (double)source->size[a] * source->voxel_mm[a];
		if (fabs(cosine) > 0.999)
			found = t;
		else if (fabs(cosine) * length > SLIVER * 10 * smallest)
			return -1;
	}
	return found;
}

/* Part of the source's index n on axis a: from low to high in units of the target's index, -0.5 is the target's edge. */
static iso_status cut_axis(const iso_grid *source, const iso_grid *target, int a, iso_overlap_axis *axis,
			   iso_error *err)
{
	const size_t size = source->size[a];
	const int t = axis->target_axis;
	double cosine = 0;
	for (int k = 0; k < 3; k++) cosine += source->direction[a][k] * target->direction[t][k];
	const double step = (cosine > 0 ? 1 : -1) * source->voxel_mm[a] / target->voxel_mm[t];
	const double width = fabs(step), sliver = SLIVER * fmin(1, width);
	const size_t most = (size_t)ceil(width) + 2;
	axis->start = calloc(size + 1, sizeof *axis->start);
	axis->first = calloc(size, sizeof *axis->first);
	axis->part = calloc(size * most, sizeof *axis->part);
	if (!axis->start || !axis->first || !axis->part)
		return iso_fail_memory(err, "the overlap of two grids", size * most * sizeof *axis->part);
	double corner[3];
	iso_grid_index(target, source->origin_mm, corner);
	for (size_t n = 0; n < size; n++) {
		const double centre = corner[t] + step * (double)n;
		const double low = centre - 0.5 * width + 0.5, high = low + width; /* 0 is the target's edge */
		size_t used = axis->start[n];
		bool begun = false;
		double kept = 0, dropped = 0;
		const double begin = fmax(floor(low), 0), end = fmin(ceil(high), (double)target->size[t]);
		for (double cell = begin; cell < end; cell++) {
			const double length = fmin(high, cell + 1) - fmax(low, cell);
			if (length <= sliver) {
				dropped += fmax(length, 0);
				continue;
			}
			if (!begun) axis->first[n] = (size_t)cell;
			begun = true;
			axis->part[used++] = length / width;
			kept += length;
		}
		/* What the slivers held goes to the rest, and slivers outside count as inside. */
		const double outside = fmax(0, -low) + fmax(0, high - (double)target->size[t]);
		const double missing = dropped + (outside <= 2 * sliver ? width - kept - dropped : 0);
		for (size_t p = axis->start[n]; p < used; p++) axis->part[p] *= (kept + missing) / kept;
		axis->start[n + 1] = used;
	}
	return ISO_OK;
}

/* One table of points for all voxels: the step from source to target indices is the same everywhere. */
static iso_status place_points(iso_overlap *overlap, iso_error *err)
{
	const int *points = overlap->points;
	const size_t count = (size_t)points[0] * (size_t)points[1] * (size_t)points[2];
	overlap->offset = malloc(count * sizeof *overlap->offset);
	if (!overlap->offset) return iso_fail_memory(err, "the overlap of two grids", count * sizeof *overlap->offset);
	iso_grid_index(&overlap->target, overlap->source.origin_mm, overlap->corner);
	for (int a = 0; a < 3; a++) {
		double index[3] = {0, 0, 0}, point[3];
		index[a] = 1;
		iso_grid_point_mm(&overlap->source, index, point);
		iso_grid_index(&overlap->target, point, overlap->along[a]);
		for (int t = 0; t < 3; t++) overlap->along[a][t] -= overlap->corner[t];
	}
	size_t n = 0;
	for (int z = 0; z < points[2]; z++)
		for (int y = 0; y < points[1]; y++)
			for (int x = 0; x < points[0]; x++, n++) {
				const double from_centre[3] = {(x + 0.5) / points[0] - 0.5, (y + 0.5) / points[1] - 0.5,
							       (z + 0.5) / points[2] - 0.5};
				for (int t = 0; t < 3; t++) {
					overlap->offset[n][t] = 0;
					for (int a = 0; a < 3; a++)
						overlap->offset[n][t] += from_centre[a] * overlap->along[a][t];
				}
			}
	return ISO_OK;
}

iso_status iso_overlap_begin(const iso_grid *source, const iso_grid *target, iso_overlap *overlap, iso_error *err)
{
	*overlap = (iso_overlap){.source = *source, .target = *target, .aligned = true};
	for (int a = 0; a < 3; a++) {
		overlap->axis[a].target_axis = parallel_axis(source, target, a);
		if (overlap->axis[a].target_axis < 0) overlap->aligned = false;
	}
	if (overlap->aligned) {
		iso_status status = ISO_OK;
		for (int a = 0; a < 3 && status == ISO_OK; a++)
			status = cut_axis(source, target, a, &overlap->axis[a], err);
		if (status != ISO_OK) iso_overlap_end(overlap);
		return status;
	}
	const double edge = fmin(fmin(target->voxel_mm[0], target->voxel_mm[1]), target->voxel_mm[2]);
	for (int a = 0; a < 3; a++)
		overlap->points[a] =
		    (int)fmin(fmax(ceil(POINTS_PER_EDGE * source->voxel_mm[a] / edge), FEWEST_POINTS), MOST_POINTS);
	return place_points(overlap, err);
}

void iso_overlap_end(iso_overlap *overlap)
{
	free(overlap->offset);
	overlap->offset = NULL;
	for (int a = 0; a < 3; a++) {
		free(overlap->axis[a].start);
		free(overlap->axis[a].first);
		free(overlap->axis[a].part);
		overlap->axis[a] = (iso_overlap_axis){0};
	}
}

static void touch(const size_t at[3], size_t low[3], size_t high[3])
{
	for (int a = 0; a < 3; a++) {
		if (at[a] < low[a]) low[a] = at[a];
		if (at[a] > high[a]) high[a] = at[a];
	}
}

static double add_boxes(const iso_overlap *overlap, const size_t voxel[3], double weight, double *sum, size_t low[3],
			size_t high[3])
{
	const iso_overlap_axis *axis = overlap->axis;
	const size_t *size = overlap->target.size;
	double inside = 0;
	size_t at[3];
	for (size_t z = axis[2].start[voxel[2]]; z < axis[2].start[voxel[2] + 1]; z++)
		for (size_t y = axis[1].start[voxel[1]]; y < axis[1].start[voxel[1] + 1]; y++)
			for (size_t x = axis[0].start[voxel[0]]; x < axis[0].start[voxel[0] + 1]; x++) {
				at[axis[0].target_axis] = axis[0].first[voxel[0]] + x - axis[0].start[voxel[0]];
				at[axis[1].target_axis] = axis[1].first[voxel[1]] + y - axis[1].start[voxel[1]];
				at[axis[2].target_axis] = axis[2].first[voxel[2]] + z - axis[2].start[voxel[2]];
				const double part = axis[0].part[x] * axis[1].part[y] * axis[2].part[z];
				sum[at[0] + size[0] * (at[1] + size[1] * at[2])] += weight * part;
				inside += part;
				touch(at, low, high);
			}
	return inside;
}

static double add_points(const iso_overlap *overlap, const size_t voxel[3], double weight, double *sum, size_t low[3],
			 size_t high[3])
{
	const size_t *size = overlap->target.size;
	const int *points = overlap->points;
	const size_t count = (size_t)points[0] * (size_t)points[1] * (size_t)points[2];
	double centre[3]; /* half a cell further than the index: the whole part is then the cell */
	for (int t = 0; t < 3; t++) {
		centre[t] = overlap->corner[t] + 0.5;
		for (int a = 0; a < 3; a++) centre[t] += (double)voxel[a] * overlap->along[a][t];
	}
	size_t landed = 0;
	for (size_t n = 0; n < count; n++) {
		const double x = centre[0] + overlap->offset[n][0], y = centre[1] + overlap->offset[n][1],
			     z = centre[2] + overlap->offset[n][2];
		if (!(x >= 0 && y >= 0 && z >= 0 && x < (double)size[0] && y < (double)size[1] && z < (double)size[2]))
			continue;
		const size_t at[3] = {(size_t)x, (size_t)y, (size_t)z};
		sum[at[0] + size[0] * (at[1] + size[1] * at[2])] += weight / (double)count;
		landed++;
		touch(at, low, high);
	}
	const double inside = (double)landed / (double)count;
	return inside;
}

double iso_overlap_add(const iso_overlap *overlap, const size_t voxel[3], double weight, double *sum, size_t low[3],
		       size_t high[3])
{
	return overlap->aligned ? add_boxes(overlap, voxel, weight, sum, low, high)
				: add_points(overlap, voxel, weight, sum, low, high);
}
