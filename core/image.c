/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/image.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static const struct {
	iso_unit unit;
	const char *text;
} unit_texts[] = {
    {ISO_UNIT_UNKNOWN, "unknown"},
    {ISO_UNIT_BQ_PER_ML, "Bq/mL"},
    {ISO_UNIT_COUNTS_PER_S_MM, "counts/s/mm (uncalibrated)"},
    {ISO_UNIT_PER_CM, "1/cm"},
    {ISO_UNIT_LABEL, "label"},
    {ISO_UNIT_FRACTION, "fraction"},
    {ISO_UNIT_MM, "mm"},
};

const char *iso_unit_text(iso_unit unit)
{
	for (size_t i = 0; i < sizeof unit_texts / sizeof *unit_texts; i++)
		if (unit_texts[i].unit == unit) return unit_texts[i].text;
	return "unknown";
}

iso_unit iso_unit_from_text(const char *text)
{
	for (size_t i = 0; i < sizeof unit_texts / sizeof *unit_texts; i++)
		if (strcmp(unit_texts[i].text, text) == 0) return unit_texts[i].unit;
	return ISO_UNIT_UNKNOWN;
}

iso_grid iso_grid_centred(const size_t size[3], const double voxel_mm[3], const double centre_mm[3])
{
	iso_grid grid = {.direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
	for (int a = 0; a < 3; a++) {
		grid.size[a] = size[a];
		grid.voxel_mm[a] = voxel_mm[a];
		grid.origin_mm[a] = centre_mm[a] - 0.5 * voxel_mm[a] * ((double)size[a] - 1);
	}
	return grid;
}

size_t iso_grid_voxels(const iso_grid *grid)
{
	return grid->size[0] * grid->size[1] * grid->size[2];
}

double iso_grid_voxel_ml(const iso_grid *grid)
{
	return grid->voxel_mm[0] * grid->voxel_mm[1] * grid->voxel_mm[2] / 1000.0;
}

bool iso_grid_is_axis_aligned(const iso_grid *grid)
{
	for (int a = 0; a < 3; a++)
		for (int b = 0; b < 3; b++)
			if (fabs(grid->direction[a][b] - (a == b)) > 1e-6) return false;
	return true;
}

bool iso_grid_equal(const iso_grid *a, const iso_grid *b)
{
	for (int i = 0; i < 3; i++) {
		if (a->size[i] != b->size[i] || fabs(a->origin_mm[i] - b->origin_mm[i]) > 1e-4) return false;
		for (int k = 0; k < 3; k++) /* compared where it matters: at the far end of the axis */
			if (fabs(a->direction[i][k] * a->voxel_mm[i] - b->direction[i][k] * b->voxel_mm[i]) *
				(double)a->size[i] >
			    1e-4)
				return false;
	}
	return true;
}

void iso_grid_point_mm(const iso_grid *grid, const double index[3], double point_mm[3])
{
	for (int k = 0; k < 3; k++) {
		point_mm[k] = grid->origin_mm[k];
		for (int a = 0; a < 3; a++) point_mm[k] += grid->direction[a][k] * grid->voxel_mm[a] * index[a];
	}
}

void iso_grid_index(const iso_grid *grid, const double point_mm[3], double index[3])
{
	for (int a = 0; a < 3; a++) {
		double along = 0;
		for (int k = 0; k < 3; k++) along += grid->direction[a][k] * (point_mm[k] - grid->origin_mm[k]);
		index[a] = along / grid->voxel_mm[a];
	}
}

iso_status iso_grid_check(const iso_grid *grid, const char *file, iso_error *err)
{
	size_t voxels = 1;
	for (int a = 0; a < 3; a++) {
		if (grid->size[a] < 1 || grid->size[a] > 65535 || voxels > SIZE_MAX / 64 / grid->size[a])
			return iso_fail(err, ISO_BAD_INPUT, file, "give 1 to 65535 voxels along each axis",
					"a grid of %zu x %zu x %zu voxels is impossible", grid->size[0], grid->size[1],
					grid->size[2]);
		voxels *= grid->size[a];
		if (!(grid->voxel_mm[a] > 0) || !isfinite(grid->voxel_mm[a]) || !isfinite(grid->origin_mm[a]))
			return iso_fail(err, ISO_BAD_INPUT, file, "state the voxel size and origin in mm",
					"voxel size %g mm, origin %g mm along axis %d", grid->voxel_mm[a],
					grid->origin_mm[a], a);
		for (int b = 0; b <= a; b++) {
			double dot = 0;
			for (int k = 0; k < 3; k++) dot += grid->direction[a][k] * grid->direction[b][k];
			if (!(fabs(dot - (a == b)) < 1e-3))
				return iso_fail(err, ISO_BAD_INPUT, file, "resample the image to a grid without shear",
						"the image's axes are not at right angles");
		}
	}
	return ISO_OK;
}

iso_status iso_image_create(const iso_grid *grid, iso_unit unit, iso_image **out, iso_error *err)
{
	*out = NULL;
	iso_status status = iso_grid_check(grid, NULL, err);
	if (status != ISO_OK) return status;
	iso_image *image = calloc(1, sizeof *image);
	float *voxels = image ? calloc(iso_grid_voxels(grid), sizeof *voxels) : NULL;
	if (!voxels) {
		free(image);
		return iso_fail_memory(err, "an image", iso_grid_voxels(grid) * sizeof *voxels);
	}
	*image = (iso_image){.grid = *grid, .unit = unit, .voxels = voxels};
	*out = image;
	return ISO_OK;
}

void iso_image_free(iso_image *image)
{
	if (!image) return;
	free(image->voxels);
	free(image);
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

iso_status iso_image_resample(const iso_image *source, const iso_grid *target, float outside_value, iso_image **out,
			      iso_error *err)
{
	iso_status status = iso_image_create(target, source->unit, out, err);
	if (status != ISO_OK) return status;
	/* Samples per target voxel along each of its axes: enough that every source voxel under it is met. */
	int samples[3];
	for (int a = 0; a < 3; a++) {
		double ratio = 0;
		for (int s = 0; s < 3; s++) {
			double cosine = 0;
			for (int k = 0; k < 3; k++) cosine += target->direction[a][k] * source->grid.direction[s][k];
			ratio = fmax(ratio, fabs(cosine) * target->voxel_mm[a] / source->grid.voxel_mm[s]);
		}
		samples[a] = ratio <= 1.001 ? 1 : (int)fmin(ceil(ratio) * 2, 64);
	}
	const double total = (double)samples[0] * samples[1] * samples[2];
	iso_image *image = *out;
	const ptrdiff_t slices = (ptrdiff_t)target->size[2];
#pragma omp parallel for schedule(static)
	for (ptrdiff_t k = 0; k < slices; k++)
		for (size_t j = 0; j < target->size[1]; j++)
			for (size_t i = 0; i < target->size[0]; i++) {
				double sum = 0;
				for (int c = 0; c < samples[2]; c++)
					for (int b = 0; b < samples[1]; b++)
						for (int a = 0; a < samples[0]; a++) {
							const double at[3] = {(double)i + (a + 0.5) / samples[0] - 0.5,
									      (double)j + (b + 0.5) / samples[1] - 0.5,
									      (double)k + (c + 0.5) / samples[2] - 0.5};
							double point[3], index[3];
							iso_grid_point_mm(target, at, point);
							iso_grid_index(&source->grid, point, index);
							sum += (double)sample(source, index, outside_value);
						}
				image->voxels[i + target->size[0] * (j + target->size[1] * (size_t)k)] =
				    (float)(sum / total);
			}
	return ISO_OK;
}
