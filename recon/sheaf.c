/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/sheaf.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { LINE = 64 }; /* bytes of a cache line, and of the widest vector */

/* The parts of `bytes` each that a work's memory is divided into. */
static char *take(char **memory, size_t bytes)
{
	char *mine = *memory;
	*memory += (bytes + LINE - 1) / LINE * LINE;
	return mine;
}

iso_status iso_sheaf_work_create(const int size[3], iso_sheaf_work **out, iso_error *err)
{
	const size_t most = (size_t)(size[0] > size[1] ? size[0] : size[1]) + 2 * ISO_SHEAF_PADDING;
	const size_t offsets = most * sizeof(ptrdiff_t), weights = most * sizeof(float);
	const size_t rows = (size_t)size[2] + 2 * ISO_SHEAF_GUARD + ISO_SHEAF_PADDING;
	const size_t panel = rows * ISO_SHEAF_PADDING * sizeof(float),
		     sums = (size_t)ISO_SHEAF_LINES * ISO_SHEAF_PADDING * sizeof(float);
	const size_t bytes = 2 * (offsets + weights) + panel + sums + 8 * LINE;
	*out = NULL;
	iso_sheaf_work *work = calloc(1, sizeof *work);
	char *memory = work ? calloc(1, bytes) : NULL;
	if (!memory) {
		free(work);
		return iso_fail_memory(err, "the projector", bytes + sizeof *work);
	}
	work->memory = memory;
	memory += (LINE - (uintptr_t)memory % LINE) % LINE;
	work->panel = (float *)take(&memory, panel);
	work->sums = (float *)take(&memory, sums);
	for (int side = 0; side < 2; side++) {
		work->walk.row[side] = (ptrdiff_t *)take(&memory, offsets);
		work->walk.weight[side] = (float *)take(&memory, weights);
	}
	*out = work;
	return ISO_OK;
}

void iso_sheaf_work_free(iso_sheaf_work *work)
{
	if (!work) return;
	free(work->memory);
	free(work);
}

/* Rows and weights of one plane. */
static void set_plane(const iso_joseph *joseph, iso_sheaf_walk *walk, int m, double u, double part)
{
	const int across = 1 - walk->axis, size = joseph->size[across];
	const int i = (int)floor(u);
	const ptrdiff_t plane = (walk->first + m) * joseph->stride[walk->axis];
	for (int side = 0; side < 2; side++) {
		const bool inside = i + side >= 0 && i + side < size;
		const double weight = side ? u - i : 1 - (u - i);
		walk->row[side][m] = plane + (inside ? i + side : 0) * joseph->stride[across];
		walk->weight[side][m] = inside ? (float)(part * weight) : 0;
	}
}

bool iso_sheaf_begin(const iso_joseph *joseph, const float start_mm[2], const float end_mm[2], iso_sheaf_walk *walk)
{
	double start[2], d[2];
	walk->across2_mm = 0;
	for (int a = 0; a < 2; a++) {
		const double along = (double)end_mm[a] - (double)start_mm[a];
		start[a] = ((double)start_mm[a] - joseph->origin_mm[a]) / joseph->voxel_mm[a];
		d[a] = along / joseph->voxel_mm[a];
		walk->across2_mm += along * along;
	}
	walk->planes = 0;
	if (!(walk->across2_mm > 0) || !isfinite(walk->across2_mm) || !isfinite(start[0] + start[1])) return false;
	const int axis = fabs(d[1]) > fabs(d[0]), other = 1 - axis;
	const double slope = d[other] / d[axis], across = start[other] - start[axis] * slope;
	const double ends[2] = {fmin(start[axis], start[axis] + d[axis]), fmax(start[axis], start[axis] + d[axis])};
	double low = fmax(0, ceil(ends[0] - 0.5)), high = fmin(joseph->size[axis] - 1, floor(ends[1] + 0.5));
	iso_planes_narrow(across, slope, -1, joseph->size[other], &low, &high);
	walk->axis = axis;
	walk->start = start[axis];
	walk->length_start = d[axis];
	if (!(high >= low)) return false;
	walk->first = (int)ceil(low);
	walk->planes = (int)floor(high) - walk->first + 1;
	if (walk->planes < 1) {
		walk->planes = 0;
		return false;
	}
	for (int m = 0; m < walk->planes; m++) {
		const double k = walk->first + m, part = fmin(ends[1], k + 0.5) - fmax(ends[0], k - 0.5);
		set_plane(joseph, walk, m, across + k * slope, fmax(0, part));
	}
	const int filled = (walk->planes + ISO_SHEAF_PADDING - 1) / ISO_SHEAF_PADDING * ISO_SHEAF_PADDING;
	for (int side = 0; side < 2; side++)
		for (int m = walk->planes; m < filled; m++) {
			walk->row[side][m] = walk->row[side][walk->planes - 1];
			walk->weight[side][m] = 0;
		}
	return true;
}

bool iso_sheaf_is_steep(const iso_joseph *joseph, const iso_sheaf_walk *walk, float start_mm, float end_mm)
{
	return fabs((double)end_mm - (double)start_mm) / joseph->voxel_mm[2] > fabs(walk->length_start);
}

/* The planes at which from < at + k slope < to; all of them, none, or some. */
static void limit(double at, double slope, double from, double to, int planes, int *begin, int *end)
{
	double low = *begin, high = *end - 1;
	iso_planes_narrow(at, slope, from, to, &low, &high);
	*begin = high >= low ? (int)ceil(low) : planes;
	*end = high >= low ? (int)floor(high) + 1 : 0;
}

void iso_sheaf_set_lines(const iso_joseph *joseph, const iso_kernels *kernels, iso_sheaf_work *work,
			 const iso_sheaf_ends *ends)
{
	const iso_sheaf_walk *walk = &work->walk;
	iso_sheaf_lines *lines = &work->lines;
	const bool tof = joseph->tof.weight != NULL;
	const double per_plane = 1 / walk->length_start, before = (walk->first - walk->start) * per_plane;
	const double to_voxels = 1 / joseph->voxel_mm[2], first_voxel = joseph->origin_mm[2] * to_voxels;
	double z[ISO_SHEAF_LINES], slope[ISO_SHEAF_LINES], length_mm[ISO_SHEAF_LINES];
	uint8_t steps[ISO_SHEAF_LINES];
	lines->count = ends->count;
	for (int n = 0; n < ends->count; n++) {
		const double start_mm = (double)ends->start_mm[n], rise_mm = (double)ends->end_mm[n] - start_mm;
		slope[n] = rise_mm * to_voxels * per_plane;
		z[n] = start_mm * to_voxels - first_voxel + rise_mm * to_voxels * before;
		length_mm[n] = sqrt(walk->across2_mm + rise_mm * rise_mm);
		/* one more than the voxels crossed: a line may begin anywhere in the first; and room for rounding */
		steps[n] = (uint8_t)(fabs(slope[n]) * (kernels->lanes - 1) * 1.00001 + 1.00001);
	}
	int at[ISO_SHEAF_STEPS + 1] = {0};
	for (int n = 0; n < ends->count; n++) at[steps[n] + 1]++;
	for (int k = 0; k < ISO_SHEAF_STEPS; k++) at[k + 1] += at[k];
	memcpy(lines->begin, at, sizeof at);
	for (int n = 0; n < ends->count; n++) {
		const int k = at[steps[n]]++;
		lines->number[k] = ends->number[n];
		lines->steps[k] = steps[n];
		lines->z[k] = (float)z[n];
		lines->slope[k] = (float)slope[n];
		lines->step_mm[k] = (float)(length_mm[n] * fabs(per_plane));
		int begin = 0, end = walk->planes;
		limit(z[n], slope[n], -1, joseph->size[2], walk->planes, &begin, &end);
		if (tof) {
			const double step_mm = length_mm[n] * per_plane, centre_mm = (double)ends->tof_centre_mm[n],
				     first_mm = (before - 0.5) * length_mm[n] - centre_mm, cut_mm = joseph->tof.cut_mm;
			lines->tof[k] = (float)(first_mm / cut_mm);
			lines->tof_slope[k] = (float)(step_mm / cut_mm);
			if (isfinite(centre_mm))
				limit(first_mm, step_mm, -cut_mm, cut_mm, walk->planes, &begin, &end);
			else
				end = 0;
		}
		lines->low[k] = begin;
		lines->high[k] = end;
	}
}

extern const iso_kernels iso_kernels_baseline, iso_kernels_avx2, iso_kernels_avx512;

const iso_kernels *iso_kernels_choose(const char *wanted)
{
#ifdef __x86_64__
	if (!wanted || strcmp(wanted, iso_kernels_avx512.name) == 0) {
		if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
			return &iso_kernels_avx512;
		if (wanted) return NULL;
	}
	if (!wanted || strcmp(wanted, iso_kernels_avx2.name) == 0) {
		if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &iso_kernels_avx2;
		if (wanted) return NULL;
	}
#endif
	return !wanted || strcmp(wanted, iso_kernels_baseline.name) == 0 ? &iso_kernels_baseline : NULL;
}
