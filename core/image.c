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
    {ISO_UNIT_HU, "HU"},
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
