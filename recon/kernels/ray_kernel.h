/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A line on its own, of which too few others share the plane: LANES planes are set up at once, and each takes two neighbours along z
 * with one load from each of two rows. */
#include "recon/kernels/lanes.h"
#include "recon/sheaf.h"

/* LANES planes of a ray. */
typedef struct ray_planes {
	int offset[LANES]; /* of the lower neighbours */
	float weight[4 * LANES];
} ray_planes;

/* Planes m to m + LANES-1. Those beyond the ray's inner part come out wrong and must not be used. */
static inline void place_planes(const iso_joseph *joseph, const iso_ray *ray, int m, ray_planes *p)
{
	const lanes plane = lanes_numbers() + lanes_all((float)m);
	const lanes u = plane * lanes_all(ray->du) + lanes_all(ray->u),
		    v = plane * lanes_all(ray->dv) + lanes_all(ray->v);
	const lanes wu = u - lanes_whole(u), wv = v - lanes_whole(v);
	int i[LANES], j[LANES];
	lanes_store_whole(i, u);
	lanes_store_whole(j, v);
	const int beside = (int)joseph->stride[ray->u_axis], along = (int)joseph->stride[ray->axis];
	for (int k = 0; k < LANES; k++) p->offset[k] = (m + k) * along + i[k] * beside + j[k];
	lanes far = wu, near = lanes_all(1) - wu, out[4];
	if (joseph->series.terms) {
		const float per_cut = (float)(1 / (joseph->tof.cells_per_mm * joseph->tof.cut_mm));
		const lanes weight = lanes_tof_weight(joseph->series.term, joseph->series.terms,
						      (ray->tof + (float)m * ray->dtof) * per_cut, ray->dtof * per_cut);
		far = far * weight;
		near = near * weight;
	}
	const lanes near_up = near * wv, far_up = far * wv;
	lanes_interleave(near - near_up, near_up, far - far_up, far_up, out);
	for (int n = 0; n < 4; n++) lanes_store(p->weight + n * LANES, out[n]);
}

/* Of plane k: near row z, z+1, far row z, z+1. */
static inline four weights_of(const ray_planes *p, int k)
{
	return four_load(p->weight + k % 4 * LANES + k / 4 * 4);
}

static double ray_forward(const iso_joseph *joseph, const iso_ray *ray, const float *voxels)
{
	const float *base = voxels + ray->first * joseph->stride[ray->axis];
	const ptrdiff_t beside = joseph->stride[ray->u_axis];
	four sum = four_none();
	for (int m = ray->inner_begin; m < ray->inner_end; m += LANES) {
		ray_planes p;
		place_planes(joseph, ray, m, &p);
		const int count = ray->inner_end - m < LANES ? ray->inner_end - m : LANES;
		for (int k = 0; k < count; k++) {
			const float *near = base + p.offset[k];
			sum += weights_of(&p, k) * four_pairs(near, near + beside);
		}
	}
	return (double)((sum[0] + sum[2]) + (sum[1] + sum[3]));
}

static void ray_adjoint(const iso_joseph *joseph, const iso_ray *ray, float value, float *voxels)
{
	float *base = voxels + ray->first * joseph->stride[ray->axis];
	const ptrdiff_t beside = joseph->stride[ray->u_axis];
	const four factor = four_all(value);
	for (int m = ray->inner_begin; m < ray->inner_end; m += LANES) {
		ray_planes p;
		place_planes(joseph, ray, m, &p);
		const int count = ray->inner_end - m < LANES ? ray->inner_end - m : LANES;
		for (int k = 0; k < count; k++) {
			float *near = base + p.offset[k];
			four_set_pairs(near, near + beside,
				       four_pairs(near, near + beside) + weights_of(&p, k) * factor);
		}
	}
}
