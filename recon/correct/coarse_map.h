/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Images as the scatter simulation needs them: few voxels, few points, and rays through them. Shares no line integral with the projector,
 * whose lines end in crystals. */
#ifndef ISOTRACE_RECON_CORRECT_COARSE_MAP_H
#define ISOTRACE_RECON_CORRECT_COARSE_MAP_H

#include "isotrace/image.h"

/* The same content in about so many voxels at most, none finer than the image's, with a border of zeros that is one voxel wide, by
 * averaging. The grid must be axis-aligned. */
iso_status iso_coarse_map_create(const iso_grid *grid, const float *values, size_t voxels, iso_image **out,
				 iso_error *err);

/* An image as points: its cells of one size, each at the centroid of its content. */
typedef struct iso_image_point {
	double at_mm[3];
	double content; /* value x mm^3 */
} iso_image_point;
typedef struct iso_image_points {
	size_t count;
	iso_image_point *point; /* owned */
} iso_image_points;

/* About so many points; content that hardly anything else has is left out: cells with less than a hundredth of the fullest one's. Negative
 * values count as 0. */
iso_status iso_image_points_create(const iso_image *image, size_t points, iso_image_points *out, iso_error *err);
void iso_image_points_free(iso_image_points *points);

/* A ray within a map: sample n stands for a piece of step_mm around start_mm + (n + 1/2) step_mm. */
typedef struct iso_map_ray {
	double start_mm, step_mm;
	size_t samples; /* 0: the ray misses the map */
} iso_map_ray;
/* The most samples of any ray through the map. */
size_t iso_map_ray_most(const iso_image *map);
/* From `from` along the unit vector, length_mm far. sample: [iso_map_ray_most] */
iso_map_ray iso_map_ray_trace(const iso_image *map, const double from_mm[3], const double along[3], double length_mm,
			      float *sample);
/* value x mm. */
double iso_map_ray_integral(const iso_image *map, const double from_mm[3], const double along[3], double length_mm);

#endif
