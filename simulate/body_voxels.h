/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A phantom given as a volume of organ labels. Its organs stand in the body's list of shapes (kind ISO_SHAPE_VOXELS), so that
 * whatever asks a body which shape owns a point works for both. */
#ifndef ISOTRACE_SIMULATE_BODY_VOXELS_H
#define ISOTRACE_SIMULATE_BODY_VOXELS_H

#include "core/random.h"
#include "simulate/body.h"

/* Makes the shapes of a phantom that has labels. Labels that no organ has, other than 0: ISO_BAD_INPUT. */
iso_status iso_body_voxels_create(const iso_phantom *phantom, iso_body *body, iso_error *err);
void iso_body_voxels_free(iso_body_voxels *voxels);

/* -1: none. */
int iso_body_voxels_owner(const iso_body_voxels *voxels, const double point_mm[3]);
/* A uniform point of the organ. */
void iso_body_voxels_point(const iso_body_voxels *voxels, size_t shape, iso_random *random, double point_mm[3]);
void iso_body_voxels_box(const iso_body_voxels *voxels, size_t shape, double box_mm[2][3]);

/* A walk from voxel to voxel. */
typedef struct iso_voxel_walk {
	const iso_body_voxels *voxels;
	double from_mm, to_mm; /* of the voxel the walk is in, along the ray */
	int owner;             /* of that voxel; -1: air */
	double end_mm, next_mm[3], step_mm[3];
	long index[3];
	int way[3];
} iso_voxel_walk;

/* False: the ray misses the volume. Else the walk stands in the first voxel. */
bool iso_voxel_walk_begin(const iso_body_voxels *voxels, const double point_mm[3], const double direction[3],
			  iso_voxel_walk *walk);
/* False: it has left the volume. */
bool iso_voxel_walk_on(iso_voxel_walk *walk);

#endif
