/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/joseph.h"

void iso_planes_narrow(double at, double slope, double from, double to, double *low, double *high)
{
	if (fabs(slope) < 1e-12) {
		if (!(at > from && at < to)) *high = *low - 1;
		return;
	}
	const double a = (from - at) / slope, b = (to - at) / slope;
	*low = fmax(*low, fmin(a, b));
	*high = fmin(*high, fmax(a, b));
}

static inline bool inner(const iso_joseph *joseph, const iso_ray *ray, int m)
{
	const float u = ray->u + (float)m * ray->du, v = ray->v + (float)m * ray->dv;
	const int k = ray->first + m;
	return u >= 0 && u < (float)(joseph->size[ray->u_axis] - 1) && v >= 0 &&
	       v < (float)(joseph->size[ray->v_axis] - 1) && ray->low <= k - 0.5 && ray->high >= k + 0.5;
}

/* The planes that need no care. The borders are solved in double and then made sure of with the very
 * expressions of the inner loops: these are monotonic in m, so that both ends inside means all inside. */
static void find_inner(const iso_joseph *joseph, iso_ray *ray, const double across[2], const double slope[2])
{
	double low = fmax(ray->first, ray->low + 0.5), high = fmin(ray->first + ray->planes - 1, ray->high - 0.5);
	const int axes[2] = {ray->u_axis, ray->v_axis};
	for (int n = 0; n < 2; n++)
		iso_planes_narrow(across[n], slope[n], -1e-6, joseph->size[axes[n]] - 1 + 1e-6, &low, &high);
	int begin = ray->planes, end = ray->planes;
	if (high >= low) {
		begin = (int)ceil(low) - ray->first;
		end = (int)floor(high) - ray->first + 1;
	}
	while (begin < end && !inner(joseph, ray, begin)) begin++;
	while (begin < end && !inner(joseph, ray, end - 1)) end--;
	if (begin >= end) begin = end = ray->planes;
	ray->inner_begin = begin;
	ray->inner_end = end;
}

bool iso_ray_begin(const iso_joseph *joseph, const iso_line *line, iso_ray *ray)
{
	double start[3], d[3], length2 = 0, widest = 0;
	int axis = 0;
	for (int a = 0; a < 3; a++) {
		const double s = (double)line->start_mm[a], along = (double)line->end_mm[a] - s;
		length2 += along * along;
		start[a] = (s - joseph->origin_mm[a]) / joseph->voxel_mm[a];
		d[a] = along / joseph->voxel_mm[a];
		if (fabs(d[a]) > widest) {
			widest = fabs(d[a]);
			axis = a;
		}
	}
	if (!(length2 > 0) || !isfinite(length2) || !isfinite(start[0] + start[1] + start[2])) return false;
	const double length = sqrt(length2), end = start[axis] + d[axis];
	ray->axis = axis;
	ray->u_axis = axis == 0 ? 1 : 0;
	ray->v_axis = axis == 2 ? 1 : 2;
	ray->low = fmin(start[axis], end);
	ray->high = fmax(start[axis], end);
	ray->step_mm = (float)(length / fabs(d[axis]));
	/* across[n] + k slope[n] is where plane k is met */
	const double slope[2] = {d[ray->u_axis] / d[axis], d[ray->v_axis] / d[axis]};
	const double across[2] = {start[ray->u_axis] - start[axis] * slope[0],
				  start[ray->v_axis] - start[axis] * slope[1]};
	/* A slab counts when the line has a part in it. */
	double low = fmax(0, ceil(ray->low - 0.5)), high = fmin(joseph->size[axis] - 1, floor(ray->high + 0.5));
	iso_planes_narrow(across[0], slope[0], -1, joseph->size[ray->u_axis], &low, &high);
	iso_planes_narrow(across[1], slope[1], -1, joseph->size[ray->v_axis], &low, &high);
	const double mm_per_plane = length / d[axis], middle = start[axis] + 0.5 * d[axis];
	if (joseph->tof.weight) {
		if (!isfinite(line->tof_centre_mm)) return false;
		iso_planes_narrow(-middle * mm_per_plane - (double)line->tof_centre_mm, mm_per_plane,
				  -joseph->tof.cut_mm, joseph->tof.cut_mm, &low, &high);
	}
	if (!(high >= low)) return false;
	ray->first = (int)ceil(low);
	ray->planes = (int)floor(high) - ray->first + 1;
	if (ray->planes < 1) return false;
	ray->u = (float)(across[0] + ray->first * slope[0]);
	ray->v = (float)(across[1] + ray->first * slope[1]);
	ray->du = (float)slope[0];
	ray->dv = (float)slope[1];
	ray->tof = ray->dtof = 0;
	if (joseph->tof.weight) {
		const double position_mm = (ray->first - middle) * mm_per_plane - (double)line->tof_centre_mm;
		ray->tof = (float)(position_mm * joseph->tof.cells_per_mm);
		ray->dtof = (float)(mm_per_plane * joseph->tof.cells_per_mm);
	}
	find_inner(joseph, ray, across, slope);
	return true;
}

static inline float tof_weight(const iso_joseph *joseph, const iso_ray *ray, int m)
{
	const float x = fabsf(ray->tof + (float)m * ray->dtof);
	/* rounding may carry a plane at the cut one cell too far, where the table is 0 */
	const int cell = (int)x < (int)joseph->tof.cells ? (int)x : (int)joseph->tof.cells;
	const float *w = joseph->tof.weight + cell;
	return w[0] + (x - (float)cell) * (w[1] - w[0]);
}

/* Part of slab m that the line runs through, 0..1. */
static inline float slab_part(const iso_ray *ray, int m)
{
	const double k = ray->first + m;
	return (float)fmax(0, fmin(ray->high, k + 0.5) - fmax(ray->low, k - 0.5));
}

/* The up to four neighbours of a plane near the border: offsets and weights. Returns how many there are. */
static int neighbours(const iso_joseph *joseph, const iso_ray *ray, int m, ptrdiff_t offset[4], float weight[4])
{
	const float u = ray->u + (float)m * ray->du, v = ray->v + (float)m * ray->dv;
	const float ulow = floorf(u), vlow = floorf(v);
	int count = 0;
	for (int n = 0; n < 4; n++) {
		const int i = (int)ulow + (n & 1), j = (int)vlow + (n >> 1);
		if (i < 0 || i >= joseph->size[ray->u_axis] || j < 0 || j >= joseph->size[ray->v_axis]) continue;
		const float wu = n & 1 ? u - ulow : 1 - (u - ulow), wv = n >> 1 ? v - vlow : 1 - (v - vlow);
		offset[count] = (ray->first + m) * joseph->stride[ray->axis] + i * joseph->stride[ray->u_axis] +
				j * joseph->stride[ray->v_axis];
		weight[count++] = wu * wv;
	}
	return count;
}

static double border_forward(const iso_joseph *joseph, const iso_ray *ray, int begin, int end, const float *voxels)
{
	double sum = 0;
	for (int m = begin; m < end; m++) {
		ptrdiff_t offset[4];
		float weight[4], sample = 0;
		const int count = neighbours(joseph, ray, m, offset, weight);
		for (int n = 0; n < count; n++) sample += weight[n] * voxels[offset[n]];
		sample *= slab_part(ray, m);
		if (joseph->tof.weight) sample *= tof_weight(joseph, ray, m);
		sum += (double)sample;
	}
	return sum;
}

static void border_adjoint(const iso_joseph *joseph, const iso_ray *ray, int begin, int end, float value, float *voxels)
{
	for (int m = begin; m < end; m++) {
		ptrdiff_t offset[4];
		float weight[4], part = value * slab_part(ray, m);
		const int count = neighbours(joseph, ray, m, offset, weight);
		if (joseph->tof.weight) part *= tof_weight(joseph, ray, m);
		for (int n = 0; n < count; n++) voxels[offset[n]] += part * weight[n];
	}
}

__attribute__((always_inline)) static inline double inner_forward(const iso_joseph *joseph, const iso_ray *ray,
								  const float *voxels, bool tof)
{
	const ptrdiff_t along = joseph->stride[ray->axis], across_u = joseph->stride[ray->u_axis],
			across_v = joseph->stride[ray->v_axis];
	const float *plane = voxels + (ray->first + ray->inner_begin) * along;
	double sum = 0;
	for (int m = ray->inner_begin; m < ray->inner_end; m++, plane += along) {
		const float u = ray->u + (float)m * ray->du, v = ray->v + (float)m * ray->dv;
		const int i = (int)u, j = (int)v;
		const float wu = u - (float)i, wv = v - (float)j;
		const float *p = plane + i * across_u + j * across_v, *q = p + across_v;
		const float a = p[0] + wu * (p[across_u] - p[0]), b = q[0] + wu * (q[across_u] - q[0]);
		const float sample = a + wv * (b - a);
		sum += (double)(tof ? sample * tof_weight(joseph, ray, m) : sample);
	}
	return sum;
}

__attribute__((always_inline)) static inline void inner_adjoint(const iso_joseph *joseph, const iso_ray *ray,
								float value, float *voxels, bool tof)
{
	const ptrdiff_t along = joseph->stride[ray->axis], across_u = joseph->stride[ray->u_axis],
			across_v = joseph->stride[ray->v_axis];
	float *plane = voxels + (ray->first + ray->inner_begin) * along;
	for (int m = ray->inner_begin; m < ray->inner_end; m++, plane += along) {
		const float u = ray->u + (float)m * ray->du, v = ray->v + (float)m * ray->dv;
		const int i = (int)u, j = (int)v;
		const float wu = u - (float)i, wv = v - (float)j;
		float *p = plane + i * across_u + j * across_v, *q = p + across_v;
		const float c = tof ? value * tof_weight(joseph, ray, m) : value;
		const float b = c * wv, a = c - b, a1 = a * wu, b1 = b * wu;
		p[0] += a - a1;
		p[across_u] += a1;
		q[0] += b - b1;
		q[across_u] += b1;
	}
}

double iso_ray_forward(const iso_joseph *joseph, const iso_ray *ray, const float *voxels)
{
	double sum = border_forward(joseph, ray, 0, ray->inner_begin, voxels);
	sum +=
	    joseph->tof.weight ? inner_forward(joseph, ray, voxels, true) : inner_forward(joseph, ray, voxels, false);
	sum += border_forward(joseph, ray, ray->inner_end, ray->planes, voxels);
	return sum * (double)ray->step_mm;
}

void iso_ray_adjoint(const iso_joseph *joseph, const iso_ray *ray, float value, float *voxels)
{
	value *= ray->step_mm;
	border_adjoint(joseph, ray, 0, ray->inner_begin, value, voxels);
	if (joseph->tof.weight)
		inner_adjoint(joseph, ray, value, voxels, true);
	else
		inner_adjoint(joseph, ray, value, voxels, false);
	border_adjoint(joseph, ray, ray->inner_end, ray->planes, value, voxels);
}

void iso_ray_slices(const iso_joseph *joseph, const iso_ray *ray, int *begin, int *end)
{
	if (ray->axis == 2) {
		*begin = ray->first;
		*end = ray->first + ray->planes;
		return;
	}
	const float a = ray->v, b = ray->v + (float)(ray->planes - 1) * ray->dv;
	*begin = (int)floorf(fminf(a, b));
	*end = (int)floorf(fmaxf(a, b)) + 2;
	if (*begin < 0) *begin = 0;
	if (*end > joseph->size[2]) *end = joseph->size[2];
}
