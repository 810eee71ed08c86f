/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/prior_regions.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/error.h"

/* Points along each edge of a voxel, at most. */
enum { MOST_POINTS = 8 };

typedef struct search {
	const iso_image *labels;
	const iso_grid *grid;
	int points[3]; /* along each edge of a voxel: as many as the finest label voxels that it may hold */
} search;

static search begin(const iso_image *labels, const iso_grid *grid)
{
	const double *fine = labels->grid.voxel_mm;
	const double least = fmin(fine[0], fmin(fine[1], fine[2]));
	search s = {.labels = labels, .grid = grid};
	for (int a = 0; a < 3; a++)
		s.points[a] = (int)fmin(fmax(ceil(grid->voxel_mm[a] / least - 1e-3), 1), MOST_POINTS);
	return s;
}

static int32_t label_at(const iso_image *labels, const double point_mm[3])
{
	const size_t *size = labels->grid.size;
	double index[3];
	iso_grid_index(&labels->grid, point_mm, index);
	size_t at[3];
	for (int a = 0; a < 3; a++) {
		if (!(index[a] > -0.5 && index[a] < (double)size[a] - 0.5)) return 0;
		at[a] = (size_t)(index[a] + 0.5);
	}
	return (int32_t)labels->voxels[at[0] + size[0] * (at[1] + size[1] * at[2])];
}

static int by_label(const void *a, const void *b)
{
	const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* The value that occurs most often, of equals the smallest. Sorts them. */
static int32_t most_frequent(int32_t *label, size_t count)
{
	bool same = true;
	for (size_t n = 1; n < count; n++) same = same && label[n] == label[0];
	if (same) return label[0];
	qsort(label, count, sizeof *label, by_label);
	int32_t best = label[0];
	size_t most = 0, run = 0;
	for (size_t n = 0; n < count; n++) {
		run = n > 0 && label[n] == label[n - 1] ? run + 1 : 1;
		if (run <= most) continue;
		most = run;
		best = label[n];
	}
	return best;
}

static int32_t region_of(const search *s, const size_t voxel[3])
{
	int32_t label[MOST_POINTS * MOST_POINTS * MOST_POINTS];
	label[0] = 0; /* there is always a first; the compiler does not see it */
	const int *points = s->points;
	size_t count = 0;
	for (int k = 0; k < points[2]; k++)
		for (int j = 0; j < points[1]; j++)
			for (int i = 0; i < points[0]; i++) {
				const double index[3] = {(double)voxel[0] + (i + 0.5) / points[0] - 0.5,
							 (double)voxel[1] + (j + 0.5) / points[1] - 0.5,
							 (double)voxel[2] + (k + 0.5) / points[2] - 0.5};
				double point_mm[3];
				iso_grid_point_mm(s->grid, index, point_mm);
				label[count++] = label_at(s->labels, point_mm);
			}
	return most_frequent(label, count);
}

iso_status iso_prior_regions_find(const iso_image *labels, const iso_grid *grid, int threads, int32_t **out,
				  iso_error *err)
{
	const size_t voxels = iso_grid_voxels(grid);
	const int64_t rows = (int64_t)(grid->size[1] * grid->size[2]);
	const search s = begin(labels, grid);
	*out = NULL;
	int32_t *region = malloc(voxels * sizeof *region);
	if (!region) return iso_fail_memory(err, "the prior's regions", voxels * sizeof *region);
	bool met = false;
#pragma omp parallel for schedule(dynamic, 64) num_threads(threads) reduction(|| : met)
	for (int64_t row = 0; row < rows; row++)
		for (size_t i = 0; i < grid->size[0]; i++) {
			const size_t voxel[3] = {i, (size_t)row % grid->size[1], (size_t)row / grid->size[1]};
			int32_t *own = region + (size_t)row * grid->size[0] + i;
			*own = region_of(&s, voxel);
			met = met || *own != 0;
		}
	if (!met) {
		free(region);
		return iso_fail(err, ISO_BAD_INPUT, NULL, "bring the labels into the scanner's coordinates",
				"no label of the prior's regions lies in the image");
	}
	*out = region;
	return ISO_OK;
}
