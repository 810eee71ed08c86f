/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a sheaf's plane meets the grid, and its lines in that plane: what the kernels of sheaf_kernel.h start from. Compiled once for each
 * kind of processor, too, for the loops over planes and lines to be wide. */
#include <math.h>

#include "recon/kernels/lanes.h"
#include "recon/sheaf.h"

/* floor() is a function call on the oldest processors. */
static inline int round_down(double x)
{
	const int whole = (int)x;
	return whole - ((double)whole > x);
}

/* Rows and weights of all planes: `across` + m slope is where plane m is met. */
static void set_planes(const iso_joseph *joseph, iso_sheaf_walk *restrict walk, double across, double slope,
		       const double ends[2])
{
	const int other = 1 - walk->axis, size = joseph->size[other];
	const ptrdiff_t along = joseph->stride[walk->axis], beside = joseph->stride[other];
	ptrdiff_t *restrict near = walk->row[0], *restrict far = walk->row[1];
	float *restrict near_weight = walk->weight[0], *restrict far_weight = walk->weight[1];
	for (int m = 0; m < walk->planes; m++) {
		const double k = walk->first + m, u = across + k * slope;
		const double from = ends[0] > k - 0.5 ? ends[0] : k - 0.5, to = ends[1] < k + 0.5 ? ends[1] : k + 0.5;
		const double part = to > from ? to - from : 0;
		const int i = round_down(u);
		const double w = u - i;
		const ptrdiff_t plane = (walk->first + m) * along;
		/* rounding may carry a plane at the border one row too far */
		const bool near_in = i >= 0 && i < size, far_in = i + 1 >= 0 && i + 1 < size;
		near[m] = plane + (near_in ? i : 0) * beside;
		far[m] = plane + (far_in ? i + 1 : 0) * beside;
		near_weight[m] = (float)(near_in ? part * (1 - w) : 0);
		far_weight[m] = (float)(far_in ? part * w : 0);
	}
	const int filled = (walk->planes + ISO_SHEAF_PADDING - 1) / ISO_SHEAF_PADDING * ISO_SHEAF_PADDING;
	for (int m = walk->planes; m < filled; m++) {
		near[m] = near[walk->planes - 1];
		far[m] = far[walk->planes - 1];
		near_weight[m] = far_weight[m] = 0;
	}
}

static bool sheaf_begin(const iso_joseph *joseph, const float start_mm[2], const float end_mm[2], iso_sheaf_walk *walk)
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
	walk->length = 0;
	if (!(walk->across2_mm > 0) || !isfinite(walk->across2_mm) || !isfinite(start[0] + start[1])) return false;
	const int axis = fabs(d[1]) > fabs(d[0]), other = 1 - axis;
	const double slope = d[other] / d[axis], across = start[other] - start[axis] * slope;
	const double ends[2] = {fmin(start[axis], start[axis] + d[axis]), fmax(start[axis], start[axis] + d[axis])};
	double low = fmax(0, ceil(ends[0] - 0.5)), high = fmin(joseph->size[axis] - 1, floor(ends[1] + 0.5));
	iso_planes_narrow(across, slope, -1, joseph->size[other], &low, &high);
	walk->axis = axis;
	walk->start = start[axis];
	walk->length = d[axis];
	if (!(high >= low)) return false;
	walk->first = (int)ceil(low);
	walk->planes = (int)floor(high) - walk->first + 1;
	if (walk->planes < 1) {
		walk->planes = 0;
		return false;
	}
	set_planes(joseph, walk, across, slope, ends);
	return true;
}

/* Lines in the order in which they were given. */
typedef struct given_lines {
	float z[ISO_SHEAF_LINES], slope[ISO_SHEAF_LINES], step_mm[ISO_SHEAF_LINES], tof[ISO_SHEAF_LINES],
	    tof_slope[ISO_SHEAF_LINES];
	int steps[ISO_SHEAF_LINES], first_block[ISO_SHEAF_LINES], end_block[ISO_SHEAF_LINES];
} given_lines;

static void place_in_plane(const iso_joseph *joseph, const iso_sheaf_walk *walk, const iso_sheaf_ends *restrict ends,
			   given_lines *restrict given)
{
	const double per_plane = 1 / walk->length, before = (walk->first - walk->start) * per_plane;
	const double to_voxels = 1 / joseph->voxel_mm[2], first_voxel = joseph->origin_mm[2] * to_voxels;
	const double along_mm = fabs(per_plane);
	for (int n = 0; n < ends->count; n++) {
		const double start_mm = (double)ends->start_mm[n], rise_mm = (double)ends->end_mm[n] - start_mm;
		const double slope = rise_mm * to_voxels * per_plane;
		given->slope[n] = (float)slope;
		given->z[n] = (float)(start_mm * to_voxels - first_voxel + rise_mm * to_voxels * before);
		given->step_mm[n] = (float)(sqrt(walk->across2_mm + rise_mm * rise_mm) * along_mm);
		/* one more than the voxels crossed: a line may begin anywhere in the first; and room for rounding */
		given->steps[n] = (int)(fabs(slope) * (LANES - 1) * 1.00001 + 1.00001);
	}
}

/* The blocks of planes within the TOF cut, with a plane to spare: the kernel itself knows where the cut is. */
static void place_in_time(const iso_joseph *joseph, const iso_sheaf_walk *walk, const iso_sheaf_ends *restrict ends,
			  given_lines *restrict given)
{
	const double per_plane = 1 / walk->length, before = (walk->first - walk->start) * per_plane;
	const double per_cut = 1 / joseph->tof.cut_mm;
	const float planes = (float)walk->planes;
	for (int n = 0; n < ends->count; n++) {
		const double rise_mm = (double)ends->end_mm[n] - (double)ends->start_mm[n];
		const double length_mm = sqrt(walk->across2_mm + rise_mm * rise_mm);
		const double first_mm = (before - 0.5) * length_mm - (double)ends->tof_centre_mm[n];
		given->tof[n] = (float)(first_mm * per_cut);
		given->tof_slope[n] = (float)(length_mm * per_plane * per_cut);
		const float middle = -given->tof[n] / given->tof_slope[n], reach = fabsf(1 / given->tof_slope[n]) + 1;
		const float low = middle - reach, high = middle + reach;
		const int first = low > 0 ? (low < planes ? (int)low : walk->planes) : 0,
			  end = high < planes ? (high > 0 ? (int)high : 0) : walk->planes;
		given->first_block[n] = first / LANES;
		given->end_block[n] = (end + LANES - 1) / LANES;
	}
}

static void sheaf_set_lines(const iso_joseph *joseph, iso_sheaf_work *work, const iso_sheaf_ends *ends)
{
	iso_sheaf_lines *lines = &work->lines;
	given_lines given;
	int at[ISO_SHEAF_STEPS + 2] = {0};
	place_in_plane(joseph, &work->walk, ends, &given);
	if (joseph->tof.weight) place_in_time(joseph, &work->walk, ends, &given);
	lines->count = ends->count;
	for (int n = 0; n < ends->count; n++) at[given.steps[n] + 1]++;
	for (int k = 0; k < ISO_SHEAF_STEPS; k++) at[k + 1] += at[k];
	memcpy(lines->begin, at, sizeof lines->begin);
	for (int n = 0; n < ends->count; n++) {
		const int k = at[given.steps[n]]++;
		lines->number[k] = ends->number[n];
		lines->steps[k] = given.steps[n];
		lines->z[k] = given.z[n];
		lines->slope[k] = given.slope[n];
		lines->step_mm[k] = given.step_mm[n];
		if (!joseph->tof.weight) continue;
		lines->tof[k] = given.tof[n];
		lines->tof_slope[k] = given.tof_slope[n];
		lines->first_block[k] = given.first_block[n];
		lines->end_block[k] = given.end_block[n];
	}
}
