/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Brings an image onto another grid. Where the axes of the two grids are parallel (also flipped or exchanged) every axis
 * is a small table of weights and the result is exact; where they are not, trilinear samples are averaged. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/error.h"
#include "isotrace/image.h"

/* How many voxels of the source a target voxel may cover along an axis: more is a mistaken unit, not a wish. */
#define MAX_RATIO 4096.0

/* What target index t of one axis takes from the source: weight[first[t] + n] of source index from[t] + n. The
 * weights of one t sum to the part of it that lies inside the source. */
typedef struct axis_weights {
	size_t *first; /* [size + 1] */
	size_t *from;  /* [size] */
	double *weight;
	size_t step; /* in the source's memory */
} axis_weights;

static void free_axis(axis_weights *axis)
{
	free(axis->first);
	free(axis->from);
	free(axis->weight);
}

/* Fills the weights of one target voxel [low, high] in source indices, where source voxel s covers [s - 1/2, s + 1/2].
 * Returns how many there are; weight NULL: only counts. */
static size_t voxel_weights(double low, double high, size_t source_size, size_t *from, double *weight)
{
	const double width = high - low, centre = 0.5 * (low + high), last = (double)source_size - 1;
	*from = 0;
	if (width <=
	    1.001) { /* not coarser: linear between the two nearest centres, constant in the outermost half voxels */
		if (!(centre >= -0.5 - 1e-9 && centre <= last + 0.5 + 1e-9)) return 0;
		const double inside = fmin(fmax(centre, 0), last);
		*from = (size_t)inside;
		const double part = inside - (double)*from;
		if (weight) weight[0] = 1 - part;
		if (weight && part > 0) weight[1] = part;
		return part > 0 ? 2 : 1;
	}
	const double start = fmax(low, -0.5), stop = fmin(high, last + 0.5);
	if (!(stop > start)) return 0;
	*from = (size_t)fmin(floor(start + 0.5), last);
	size_t count = 0;
	for (size_t s = *from; s < source_size && (double)s - 0.5 < stop; s++, count++)
		if (weight) weight[count] = fmax(0, fmin(stop, (double)s + 0.5) - fmax(start, (double)s - 0.5)) / width;
	return count;
}

/* origin: source index of target index 0; slope: source indices per target index, may be negative. */
static iso_status make_axis(axis_weights *axis, size_t size, size_t source_size, double origin, double slope,
			    iso_error *err)
{
	axis->first = calloc(size + 1, sizeof *axis->first);
	axis->from = calloc(size, sizeof *axis->from);
	if (!axis->first || !axis->from) return iso_fail_memory(err, "resampling", (2 * size + 1) * sizeof(size_t));
	const double half = 0.5 * fabs(slope);
	for (size_t t = 0; t < size; t++) {
		const double centre = origin + slope * (double)t;
		axis->first[t + 1] =
		    axis->first[t] + voxel_weights(centre - half, centre + half, source_size, axis->from + t, NULL);
	}
	axis->weight = calloc(axis->first[size] + 1, sizeof *axis->weight);
	if (!axis->weight) return iso_fail_memory(err, "resampling", axis->first[size] * sizeof *axis->weight);
	for (size_t t = 0; t < size; t++) {
		const double centre = origin + slope * (double)t;
		(void)voxel_weights(centre - half, centre + half, source_size, axis->from + t,
				    axis->weight + axis->first[t]);
	}
	return ISO_OK;
}

static float weighted_sum(const axis_weights axis[3], const float *voxels, const size_t index[3], float outside_value)
{
	size_t begin[3], count[3];
	for (int a = 0; a < 3; a++) {
		begin[a] = axis[a].first[index[a]];
		count[a] = axis[a].first[index[a] + 1] - begin[a];
	}
	double sum = 0, inside = 0;
	for (size_t c = 0; c < count[2]; c++)
		for (size_t b = 0; b < count[1]; b++) {
			const double outer = axis[2].weight[begin[2] + c] * axis[1].weight[begin[1] + b];
			const size_t row = (axis[2].from[index[2]] + c) * axis[2].step +
					   (axis[1].from[index[1]] + b) * axis[1].step +
					   axis[0].from[index[0]] * axis[0].step;
			for (size_t a = 0; a < count[0]; a++) {
				const double weight = outer * axis[0].weight[begin[0] + a];
				sum += weight * (double)voxels[row + a * axis[0].step];
				inside += weight;
			}
		}
	/* Rounding must not let a trace of a huge or NAN outside value into a voxel that lies wholly inside. */
	return inside > 1 - 1e-9 ? (float)sum : (float)(sum + (1 - inside) * (double)outside_value);
}

/* partner[a]: the source axis that target axis a runs along; false when the axes are not parallel. */
static bool parallel_axes(const iso_grid *source, const iso_grid *target, int partner[3], double cosine[3])
{
	for (int a = 0; a < 3; a++) {
		partner[a] = -1;
		for (int s = 0; s < 3; s++) {
			cosine[a] = 0;
			for (int k = 0; k < 3; k++) cosine[a] += target->direction[a][k] * source->direction[s][k];
			if (fabs(fabs(cosine[a]) - 1) < 1e-6) {
				partner[a] = s;
				break;
			}
		}
		if (partner[a] < 0) return false;
	}
	return partner[0] != partner[1] && partner[1] != partner[2] && partner[0] != partner[2];
}

static iso_status resample_parallel(const iso_image *source, const int partner[3], const double cosine[3],
				    float outside_value, iso_image *image, iso_error *err)
{
	const iso_grid *target = &image->grid;
	axis_weights axis[3] = {{0}};
	double origin[3];
	iso_grid_index(&source->grid, target->origin_mm, origin);
	const size_t steps[3] = {1, source->grid.size[0], source->grid.size[0] * source->grid.size[1]};
	iso_status status = ISO_OK;
	for (int a = 0; a < 3 && status == ISO_OK; a++) {
		const int s = partner[a];
		axis[a].step = steps[s];
		status = make_axis(&axis[a], target->size[a], source->grid.size[s], origin[s],
				   copysign(target->voxel_mm[a] / source->grid.voxel_mm[s], cosine[a]), err);
	}
	const ptrdiff_t slices = status == ISO_OK ? (ptrdiff_t)target->size[2] : 0;
#pragma omp parallel for schedule(static)
	for (ptrdiff_t k = 0; k < slices; k++)
		for (size_t j = 0; j < target->size[1]; j++)
			for (size_t i = 0; i < target->size[0]; i++) {
				const size_t index[3] = {i, j, (size_t)k};
				image->voxels[i + target->size[0] * (j + target->size[1] * (size_t)k)] =
				    weighted_sum(axis, source->voxels, index, outside_value);
			}
	for (int a = 0; a < 3; a++) free_axis(&axis[a]);
	return status;
}

/* Trilinear value at a fractional index; outside_value beyond half a voxel from the outermost centres. */
static float sample(const iso_image *image, const double index[3], float outside_value)
{
	size_t low[3], high[3];
	double part[3];
	for (int a = 0; a < 3; a++) {
		const double last = (double)image->grid.size[a] - 1;
		if (!(index[a] >= -0.5 && index[a] <= last + 0.5)) return outside_value;
		const double inside = fmin(fmax(index[a], 0), last);
		low[a] = (size_t)inside;
		high[a] = low[a] + (low[a] + 1 < image->grid.size[a]);
		part[a] = inside - (double)low[a];
	}
	double sum = 0;
	for (int corner = 0; corner < 8; corner++) {
		const size_t i = corner & 1 ? high[0] : low[0], j = corner & 2 ? high[1] : low[1],
			     k = corner & 4 ? high[2] : low[2];
		const double weight = (corner & 1 ? part[0] : 1 - part[0]) * (corner & 2 ? part[1] : 1 - part[1]) *
				      (corner & 4 ? part[2] : 1 - part[2]);
		sum += weight * (double)image->voxels[i + image->grid.size[0] * (j + image->grid.size[1] * k)];
	}
	return (float)sum;
}

/* Mean of samples[0] x samples[1] x samples[2] trilinear values, evenly spread over one target voxel. */
static float sample_mean(const iso_image *source, const iso_grid *target, const int samples[3], const size_t voxel[3],
			 float outside_value)
{
	double sum = 0;
	for (int c = 0; c < samples[2]; c++)
		for (int b = 0; b < samples[1]; b++)
			for (int a = 0; a < samples[0]; a++) {
				const double at[3] = {(double)voxel[0] + (a + 0.5) / samples[0] - 0.5,
						      (double)voxel[1] + (b + 0.5) / samples[1] - 0.5,
						      (double)voxel[2] + (c + 0.5) / samples[2] - 0.5};
				double point[3], index[3];
				iso_grid_point_mm(target, at, point);
				iso_grid_index(&source->grid, point, index);
				sum += (double)sample(source, index, outside_value);
			}
	return (float)(sum / ((double)samples[0] * samples[1] * samples[2]));
}

static void resample_oblique(const iso_image *source, const int samples[3], float outside_value, iso_image *image)
{
	const iso_grid *target = &image->grid;
	const ptrdiff_t slices = (ptrdiff_t)target->size[2];
#pragma omp parallel for schedule(static)
	for (ptrdiff_t k = 0; k < slices; k++)
		for (size_t j = 0; j < target->size[1]; j++)
			for (size_t i = 0; i < target->size[0]; i++) {
				const size_t voxel[3] = {i, j, (size_t)k};
				image->voxels[i + target->size[0] * (j + target->size[1] * (size_t)k)] =
				    sample_mean(source, target, samples, voxel, outside_value);
			}
}

iso_status iso_image_resample(const iso_image *source, const iso_grid *target, float outside_value, iso_image **out,
			      iso_error *err)
{
	*out = NULL;
	iso_status status = iso_grid_check(target, NULL, err);
	if (status != ISO_OK) return status;
	/* Samples per target voxel along each of its axes: two per source voxel that it covers. */
	int samples[3];
	for (int a = 0; a < 3; a++) {
		double ratio = 0;
		for (int s = 0; s < 3; s++) {
			double cosine = 0;
			for (int k = 0; k < 3; k++) cosine += target->direction[a][k] * source->grid.direction[s][k];
			ratio = fmax(ratio, fabs(cosine) * target->voxel_mm[a] / source->grid.voxel_mm[s]);
		}
		if (ratio > MAX_RATIO)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "check that both images are in mm",
					"resampling to voxels that are %g times larger", ratio);
		samples[a] = ratio <= 1.001 ? 1 : (int)ceil(ratio) * 2;
	}
	status = iso_image_create(target, source->unit, out, err);
	if (status != ISO_OK) return status;
	int partner[3];
	double cosine[3];
	if (parallel_axes(&source->grid, target, partner, cosine))
		status = resample_parallel(source, partner, cosine, outside_value, *out, err);
	else
		resample_oblique(source, samples, outside_value, *out);
	if (status != ISO_OK) {
		iso_image_free(*out);
		*out = NULL;
	}
	return status;
}
