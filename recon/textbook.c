/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/textbook.h"

#include <math.h>
#include <omp.h>
#include <stdbool.h>

/* A line in the grid. u and v are the two axes across the dominant one; planes are numbered along it. */
typedef struct textbook_path {
	int first, last;                       /* planes that the line may meet */
	float u, du, v, dv;                    /* in voxels: at plane `first`, and from plane to plane */
	int u_size, v_size;                    /* voxels across */
	ptrdiff_t along, du_stride, dv_stride; /* from voxel to voxel */
	double low, high;                      /* the line's ends along the axis, in voxels */
	float step_mm;                         /* length from plane to plane */
	float tof_mm, dtof_mm; /* distance from the bin's centre, at plane `first` and from plane to plane */
	float half_bin_mm, root2_sigma_mm, cut_mm; /* root2_sigma_mm 0: no TOF */
} textbook_path;

/* Narrows [*low, *high] to where from <= at + k slope <= to, and leaves a plane more on either side: what is met exactly is
 * decided plane by plane. */
static void clip(double at, double slope, double from, double to, double *low, double *high)
{
	if (slope == 0) {
		if (at < from || at > to) *high = *low - 1;
		return;
	}
	const double a = (from - at) / slope, b = (to - at) / slope;
	*low = fmax(*low, fmin(a, b) - 1);
	*high = fmin(*high, fmax(a, b) + 1);
}

/* False when the line meets nothing. */
static bool follow(const iso_grid *grid, const iso_tof_kernel *tof, const iso_line *line, textbook_path *path)
{
	const ptrdiff_t stride[3] = {1, (ptrdiff_t)grid->size[0], (ptrdiff_t)(grid->size[0] * grid->size[1])};
	double start[3], d[3], length_mm = 0;
	for (int a = 0; a < 3; a++) {
		const double d_mm = (double)line->end_mm[a] - (double)line->start_mm[a];
		start[a] = ((double)line->start_mm[a] - grid->origin_mm[a]) / grid->voxel_mm[a];
		d[a] = d_mm / grid->voxel_mm[a];
		length_mm += d_mm * d_mm;
	}
	length_mm = sqrt(length_mm);
	if (!(length_mm > 0) || !isfinite(length_mm) || !isfinite(start[0] + start[1] + start[2])) return false;
	int axis = 0;
	for (int a = 1; a < 3; a++)
		if (fabs(d[a]) > fabs(d[axis])) axis = a;
	const int u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
	const double u_slope = d[u] / d[axis], v_slope = d[v] / d[axis], mm_per_plane = length_mm / d[axis];
	const double u_at = start[u] - start[axis] * u_slope, v_at = start[v] - start[axis] * v_slope;
	path->low = fmin(start[axis], start[axis] + d[axis]);
	path->high = fmax(start[axis], start[axis] + d[axis]);
	double low = fmax(0, ceil(path->low - 0.5)), high = fmin((double)grid->size[axis] - 1, floor(path->high + 0.5));
	clip(u_at, u_slope, -1, (double)grid->size[u], &low, &high);
	clip(v_at, v_slope, -1, (double)grid->size[v], &low, &high);
	path->root2_sigma_mm = 0;
	/* plane k lies at tof_at + k mm_per_plane from the bin's centre */
	const double tof_at = -(start[axis] + 0.5 * d[axis]) * mm_per_plane - (double)line->tof_centre_mm;
	if (tof && tof->sigma_mm > 0) {
		if (!isfinite(tof_at)) return false;
		const double cut_mm = 0.5 * tof->bin_mm + tof->cut_sigmas * tof->sigma_mm;
		clip(tof_at, mm_per_plane, -cut_mm, cut_mm, &low, &high);
		path->cut_mm = (float)cut_mm;
		path->half_bin_mm = (float)(0.5 * tof->bin_mm);
		path->root2_sigma_mm = (float)(sqrt(2.0) * tof->sigma_mm);
	}
	if (!(low <= high)) return false;
	path->first = (int)ceil(low);
	path->last = (int)floor(high);
	path->u = (float)(u_at + path->first * u_slope);
	path->v = (float)(v_at + path->first * v_slope);
	path->du = (float)u_slope;
	path->dv = (float)v_slope;
	path->tof_mm = (float)(tof_at + path->first * mm_per_plane);
	path->dtof_mm = (float)mm_per_plane;
	path->step_mm = (float)fabs(mm_per_plane);
	path->u_size = (int)grid->size[u];
	path->v_size = (int)grid->size[v];
	path->along = stride[axis];
	path->du_stride = stride[u];
	path->dv_stride = stride[v];
	return true;
}

/* What plane k counts, in mm: the length of the line in its slab, times the Gaussian integrated over the TOF bin. */
static inline float plane_weight_mm(const textbook_path *path, int k)
{
	float weight = path->step_mm;
	if (path->low > k - 0.5 || path->high < k + 0.5)
		weight *= (float)fmax(0, fmin(path->high, k + 0.5) - fmax(path->low, k - 0.5));
	if (path->root2_sigma_mm > 0) {
		const float x = path->tof_mm + (float)(k - path->first) * path->dtof_mm;
		if (fabsf(x) > path->cut_mm) return 0;
		weight *= 0.5f * (erff((x + path->half_bin_mm) / path->root2_sigma_mm) -
				  erff((x - path->half_bin_mm) / path->root2_sigma_mm));
	}
	return weight;
}

/* Where plane k is met: between voxels (i, j) and (i+1, j+1), of which some may lie outside the grid, and how far along.
 * False: beside the grid. */
static inline bool place(const textbook_path *path, int k, int *i, int *j, float *wu, float *wv)
{
	const float u = path->u + (float)(k - path->first) * path->du,
		    v = path->v + (float)(k - path->first) * path->dv;
	if (!(u > -1 && u < (float)path->u_size && v > -1 && v < (float)path->v_size)) return false;
	/* rounds down, because u and v are above -1; floorf would be a call of the library for each */
	*i = (int)(u + 1) - 1;
	*j = (int)(v + 1) - 1;
	*wu = u - (float)*i;
	*wv = v - (float)*j;
	return true;
}

static inline bool inside(const textbook_path *path, int i, int j)
{
	return i >= 0 && i < path->u_size && j >= 0 && j < path->v_size;
}

static inline float voxel(const textbook_path *path, const float *plane, int i, int j)
{
	return inside(path, i, j) ? plane[i * path->du_stride + j * path->dv_stride] : 0;
}

static inline void add(const textbook_path *path, float *plane, int i, int j, float value)
{
	if (!inside(path, i, j)) return;
#pragma omp atomic
	plane[i * path->du_stride + j * path->dv_stride] += value;
}

static double integral(const textbook_path *path, const float *voxels)
{
	double sum = 0;
	for (int k = path->first; k <= path->last; k++) {
		const float *plane = voxels + k * path->along;
		int i, j;
		float wu, wv;
		if (!place(path, k, &i, &j, &wu, &wv)) continue;
		const float sample =
		    (1 - wv) * ((1 - wu) * voxel(path, plane, i, j) + wu * voxel(path, plane, i + 1, j)) +
		    wv * ((1 - wu) * voxel(path, plane, i, j + 1) + wu * voxel(path, plane, i + 1, j + 1));
		sum += (double)(plane_weight_mm(path, k) * sample);
	}
	return sum;
}

static void smear(const textbook_path *path, float value, float *voxels)
{
	for (int k = path->first; k <= path->last; k++) {
		float *plane = voxels + k * path->along;
		int i, j;
		float wu, wv;
		if (!place(path, k, &i, &j, &wu, &wv)) continue;
		const float part = value * plane_weight_mm(path, k);
		if (part == 0) continue;
		add(path, plane, i, j, part * (1 - wu) * (1 - wv));
		add(path, plane, i + 1, j, part * wu * (1 - wv));
		add(path, plane, i, j + 1, part * (1 - wu) * wv);
		add(path, plane, i + 1, j + 1, part * wu * wv);
	}
}

void iso_textbook_forward(const iso_grid *grid, const iso_tof_kernel *tof, const iso_line *lines, size_t count,
			  int threads, const float *voxels, float *values)
{
	const ptrdiff_t total = (ptrdiff_t)count;
#pragma omp parallel for num_threads(threads > 0 ? threads : omp_get_max_threads())
	for (ptrdiff_t n = 0; n < total; n++) {
		textbook_path path;
		values[n] = follow(grid, tof, lines + n, &path) ? (float)integral(&path, voxels) : 0;
	}
}

void iso_textbook_adjoint(const iso_grid *grid, const iso_tof_kernel *tof, const iso_line *lines, size_t count,
			  int threads, const float *values, float *voxels)
{
	const ptrdiff_t total = (ptrdiff_t)count;
#pragma omp parallel for num_threads(threads > 0 ? threads : omp_get_max_threads())
	for (ptrdiff_t n = 0; n < total; n++) {
		textbook_path path;
		if (follow(grid, tof, lines + n, &path)) smear(&path, values[n], voxels);
	}
}
