/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The phantom as the photons see it: which shape owns a point, and how much matter a ray meets. */
#ifndef ISOTRACE_SIMULATE_BODY_H
#define ISOTRACE_SIMULATE_BODY_H

#include "isotrace/simulate.h"

/* A shape with its frame worked out. u = to_unit (p - centre); the shape is |u| <= 1 (ellipsoid) or
 * u0^2 + u1^2 <= 1 and |u2| <= 1 (cylinder). */
typedef struct iso_body_shape {
	iso_shape_kind kind;
	double centre_mm[3], to_unit[3][3], from_unit[3][3];
	double bound_mm, bound_mm2; /* radius, and its square, of a sphere about the centre that holds the shape */
	double smallest_mm;         /* smallest half axis */
	double whole_ml;            /* volume of the whole shape, not carved, in closed form */
	double owned_ml;            /* what later shapes leave of it */
	double mu_per_mm;           /* of its organ */
	double density_g_ml;        /* of its organ */
	unsigned organ;
	double reach_mm; /* of ISO_SHAPE_VOXELS: from the axis x = y = 0 */
} iso_body_shape;

typedef struct iso_body_voxels iso_body_voxels;

typedef struct iso_body {
	size_t shapes;
	iso_body_shape *shape;   /* owned */
	iso_body_voxels *voxels; /* owned; NULL: analytic shapes. Else shape s is all voxels of organ s */
} iso_body;

/* Works out the frames. Free with iso_body_free. */
iso_status iso_body_create(const iso_phantom *phantom, iso_body *body, iso_error *err);
/* Works out owned_ml, to some 3e-4 of whole_ml. */
void iso_body_integrate(iso_body *body);
void iso_body_free(iso_body *body);

bool iso_body_shape_holds(const iso_body_shape *shape, const double point_mm[3]);
/* Number of the last shape, not before `first`, that holds the point; -1: none. */
int iso_body_owner(const iso_body *body, size_t first, const double point_mm[3]);
/* Integral of mu from point_mm along the unit vector to infinity (no unit). */
double iso_body_optical_depth(const iso_body *body, const double point_mm[3], const double direction[3]);
/* How far a particle gets that stops after water_mm of water: its path from point_mm along the unit vector through the
 * shapes' densities, and through air outside them. */
double iso_body_travel_mm(const iso_body *body, const double point_mm[3], const double direction[3], double water_mm);
/* Largest distance of the shape from the axis x = y = 0, and from the plane z = 0. */
double iso_body_shape_reach_mm(const iso_body_shape *shape);
double iso_body_shape_axial_reach_mm(const iso_body_shape *shape);
/* The box along the axes that holds a shape. */
void iso_body_shape_box(const iso_body *body, size_t shape, double box_mm[2][3]);

#endif
