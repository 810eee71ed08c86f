/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Joseph's method for one line: where it runs through the grid (iso_ray, worked out once per line in double) and the two
 * walks along it. The inner loops know neither scanner nor bounds; docs/projector.md has the picture.
 *
 * In index coordinates voxel k along the dominant axis fills [k-1/2, k+1/2] and is sampled once, at its middle plane. Its
 * weight is the length of the line inside that slab: full slabs count step_mm, the two slabs in which the line ends count
 * the part that the line has in them. Across, a sample is bilinear between the four nearest centres, with zeros
 * outside the grid. */
#ifndef ISOTRACE_RECON_JOSEPH_H
#define ISOTRACE_RECON_JOSEPH_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "isotrace/projector.h"

/* The kernel over |distance from the bin's centre|, linearly interpolated; [cells + 2], the last ones 0. */
typedef struct iso_tof_table {
	float *weight; /* NULL: no TOF */
	size_t cells;
	double cut_mm;
	double cells_per_mm;
} iso_tof_table;

enum { ISO_TOF_TERMS = 26 };

/* The TOF kernel as a polynomial of (distance/cut)^2 - 1/2, 0 beyond the cut. */
typedef struct iso_tof_series {
	int terms; /* an even number; 0: no TOF, or a kernel that is not smooth enough for it */
	float term[ISO_TOF_TERMS];
} iso_tof_series;

struct iso_ray;
struct iso_kernels;

/* What all lines have in common. */
typedef struct iso_joseph {
	double origin_mm[3], voxel_mm[3];
	int size[3];
	ptrdiff_t stride[3]; /* in voxels */
	iso_tof_table tof;
	iso_tof_series series;
	const struct iso_kernels *kernels; /* for the planes inside; NULL: plain C */
} iso_joseph;

/* One line in one grid. Planes are numbered along the dominant axis; m counts from `first`. */
typedef struct iso_ray {
	int axis, u_axis, v_axis;
	int first, planes;          /* planes first .. first+planes-1 matter */
	int inner_begin, inner_end; /* m in [begin, end): all four neighbours exist and the slab is full */
	float u, du, v, dv;         /* place of plane m across: u + m du, v + m dv, in voxels */
	double low, high;           /* the line's ends along the axis, in voxels, low <= high */
	float step_mm;              /* length of the line in one slab */
	float tof, dtof;            /* (position of plane m - bin centre) in cells: tof + m dtof */
} iso_ray;

/* Narrows the planes [*low, *high] to those where from < at + k slope < to. */
void iso_planes_narrow(double at, double slope, double from, double to, double *low, double *high);
/* False when the line meets nothing: no length, not finite, outside the grid or the TOF cut. */
bool iso_ray_begin(const iso_joseph *joseph, const iso_line *line, iso_ray *ray);
/* Integral over the line, mm times the voxels' unit. */
double iso_ray_forward(const iso_joseph *joseph, const iso_ray *ray, const float *voxels);
/* Adds value times the line's row of the matrix. */
void iso_ray_adjoint(const iso_joseph *joseph, const iso_ray *ray, float value, float *voxels);

#endif
