/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The projector as an object: a plan for one grid and TOF kernel, and how the lines of a call are shared among threads.
 * docs/projector.md tells the method, its conventions and why the adjoint gives the same bits for any number of threads. */
#include "isotrace/projector.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/joseph.h"

enum {
	lanes_most = 16,
	lines_per_task = 256,
	voxels_per_task = 16384,
};

/* A private image into which a fixed share of a call's lines is added. All 0 between calls. */
typedef struct iso_lane {
	float *voxels;
	int begin, end; /* slices that may hold something */
} iso_lane;

struct iso_projector {
	iso_grid grid;
	iso_joseph joseph;
	int threads;
	iso_lane lanes[lanes_most]; /* made when first needed */
};

/* Linear interpolation in cells of h errs by at most h^2/8 max|w''|, and |w''| <= 2 * 0.242/sigma^2: with 512 cells per
 * sigma that is 2.3e-7. */
static const double cells_per_sigma = 512;

static iso_status make_tof_table(const iso_tof_kernel *tof, iso_tof_table *table, iso_error *err)
{
	if (!tof || tof->sigma_mm == 0) return ISO_OK;
	if (!(tof->sigma_mm > 0) || !(tof->bin_mm > 0) || !(tof->cut_sigmas > 0) || !(tof->cut_sigmas <= 40) ||
	    !(tof->bin_mm <= 1e4 * tof->sigma_mm) || !isfinite(tof->sigma_mm))
		return iso_fail(err, ISO_BAD_USAGE, NULL,
				"give sigma_mm > 0, bin_mm > 0 and cut_sigmas > 0 (usually 3 to 5)",
				"a TOF kernel of sigma %g mm, bin %g mm, cut at %g sigma is impossible", tof->sigma_mm,
				tof->bin_mm, tof->cut_sigmas);
	table->cut_mm = 0.5 * tof->bin_mm + tof->cut_sigmas * tof->sigma_mm;
	table->cells_per_mm = cells_per_sigma / tof->sigma_mm;
	table->cells = (size_t)ceil(table->cut_mm * table->cells_per_mm) + 1;
	table->weight = calloc(table->cells + 2, sizeof *table->weight);
	if (!table->weight) return iso_fail_memory(err, "the TOF kernel", (table->cells + 2) * sizeof *table->weight);
	for (size_t n = 0; n < table->cells; n++) {
		const double x = (double)n / table->cells_per_mm, scale = tof->sigma_mm * sqrt(2.0);
		table->weight[n] =
		    (float)(0.5 * (erfc((x - 0.5 * tof->bin_mm) / scale) - erfc((x + 0.5 * tof->bin_mm) / scale)));
	}
	return ISO_OK;
}

iso_status iso_projector_create(const iso_grid *grid, const iso_tof_kernel *tof, int threads, iso_projector **out,
				iso_error *err)
{
	*out = NULL;
	iso_status status = iso_grid_check(grid, NULL, err);
	if (status != ISO_OK) return status;
	if (!iso_grid_is_axis_aligned(grid))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "resample the image to an axis-aligned grid first",
				"the image's axes are turned against the scanner's");
	iso_projector *projector = calloc(1, sizeof *projector);
	if (!projector) return iso_fail_memory(err, "a projector", sizeof *projector);
	projector->grid = *grid;
	projector->threads = threads > 0 ? threads : omp_get_max_threads();
	iso_joseph *joseph = &projector->joseph;
	ptrdiff_t stride = 1;
	for (int a = 0; a < 3; a++) {
		joseph->origin_mm[a] = grid->origin_mm[a];
		joseph->voxel_mm[a] = grid->voxel_mm[a];
		joseph->size[a] = (int)grid->size[a];
		joseph->stride[a] = stride;
		stride *= (ptrdiff_t)grid->size[a];
	}
	status = make_tof_table(tof, &joseph->tof, err);
	if (status != ISO_OK) {
		iso_projector_free(projector);
		return status;
	}
	*out = projector;
	return ISO_OK;
}

const iso_grid *iso_projector_grid(const iso_projector *projector)
{
	return &projector->grid;
}

void iso_projector_free(iso_projector *projector)
{
	if (!projector) return;
	for (int n = 0; n < lanes_most; n++) free(projector->lanes[n].voxels);
	free(projector->joseph.tof.weight);
	free(projector);
}

iso_status iso_projector_forward(iso_projector *projector, const iso_line *lines, size_t count, const float *voxels,
				 float *values, iso_error *err)
{
	(void)err;
	const iso_joseph *joseph = &projector->joseph;
	const ptrdiff_t total = (ptrdiff_t)count;
#pragma omp parallel for num_threads(projector->threads) schedule(dynamic, lines_per_task)
	for (ptrdiff_t n = 0; n < total; n++) {
		iso_ray ray;
		values[n] =
		    iso_ray_begin(joseph, lines + n, &ray) ? (float)iso_ray_forward(joseph, &ray, voxels) : 0.0f;
	}
	return ISO_OK;
}

/* How many private images: enough to keep threads busy, few enough that adding them up is a small part of the work
 * (walking a line costs about as much as 500 voxels of adding up, a lane about 1 per voxel) and that they fit into memory.
 * Never from the number of threads: the order of additions, and so the bits, follow from this number. */
static int choose_lanes(size_t lines, size_t voxels)
{
	size_t lanes = lines / 8 * 500 / voxels;
	const size_t fit = ((size_t)1 << 28) / voxels;
	if (lanes > fit) lanes = fit;
	return lanes < 2 ? 2 : lanes > lanes_most ? lanes_most : (int)lanes;
}

static iso_status make_lanes(iso_projector *projector, int lanes, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&projector->grid);
	for (int n = 0; n < lanes; n++) {
		iso_lane *lane = projector->lanes + n;
		if (!lane->voxels) lane->voxels = calloc(voxels, sizeof *lane->voxels);
		if (!lane->voxels) return iso_fail_memory(err, "back projection", voxels * sizeof *lane->voxels);
		lane->begin = projector->joseph.size[2];
		lane->end = 0;
	}
	return ISO_OK;
}

static void fill_lane(const iso_joseph *joseph, const iso_line *lines, const float *values, ptrdiff_t begin,
		      ptrdiff_t end, iso_lane *lane)
{
	for (ptrdiff_t n = begin; n < end; n++) {
		iso_ray ray;
		if (values[n] == 0 || !iso_ray_begin(joseph, lines + n, &ray)) continue;
		int first, last;
		iso_ray_slices(joseph, &ray, &first, &last);
		if (first < lane->begin) lane->begin = first;
		if (last > lane->end) lane->end = last;
		iso_ray_adjoint(joseph, &ray, values[n], lane->voxels);
	}
}

/* Adds the lanes up in their order and leaves them 0 again, a piece of the image at a time. */
static void add_lanes(iso_projector *projector, int lanes, float *voxels)
{
	const ptrdiff_t total = (ptrdiff_t)iso_grid_voxels(&projector->grid), slice = projector->joseph.stride[2];
#pragma omp parallel for num_threads(projector->threads) schedule(static)
	for (ptrdiff_t begin = 0; begin < total; begin += voxels_per_task) {
		const ptrdiff_t end = begin + voxels_per_task < total ? begin + voxels_per_task : total;
		float sum[voxels_per_task];
		bool any = false;
		for (int n = 0; n < lanes; n++) {
			iso_lane *lane = projector->lanes + n;
			if (lane->begin * slice >= end || lane->end * slice <= begin) continue;
			const float *from = lane->voxels + begin;
			if (!any)
				memcpy(sum, from, (size_t)(end - begin) * sizeof *sum);
			else
				for (ptrdiff_t i = 0; i < end - begin; i++) sum[i] += from[i];
			memset(lane->voxels + begin, 0, (size_t)(end - begin) * sizeof *sum);
			any = true;
		}
		if (any)
			for (ptrdiff_t i = 0; i < end - begin; i++) voxels[begin + i] += sum[i];
	}
}

iso_status iso_projector_adjoint(iso_projector *projector, const iso_line *lines, size_t count, const float *values,
				 float *voxels, iso_error *err)
{
	if (count == 0) return ISO_OK;
	const int lanes = choose_lanes(count, iso_grid_voxels(&projector->grid));
	const iso_status status = make_lanes(projector, lanes, err);
	if (status != ISO_OK) return status;
	const iso_joseph *joseph = &projector->joseph;
#pragma omp parallel for num_threads(projector->threads) schedule(dynamic, 1)
	for (int n = 0; n < lanes; n++) {
		iso_lane mine = projector->lanes[n];
		fill_lane(joseph, lines, values, (ptrdiff_t)(count * (size_t)n / (size_t)lanes),
			  (ptrdiff_t)(count * ((size_t)n + 1) / (size_t)lanes), &mine);
		projector->lanes[n] = mine;
	}
	add_lanes(projector, lanes, voxels);
	return ISO_OK;
}
