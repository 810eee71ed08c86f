/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The phantom as photons meet it: materials with densities, and where on a flight the next collision is. */
#ifndef ISOTRACE_SIMULATE_MATTER_H
#define ISOTRACE_SIMULATE_MATTER_H

#include "simulate/body.h"
#include "simulate/material.h"

typedef struct iso_matter iso_matter;

/* One collision. */
typedef struct iso_collision {
	double distance_mm;
	iso_process process;
	const iso_material *material;
} iso_collision;

/* The body must outlive it. */
iso_status iso_matter_create(const iso_phantom *phantom, const iso_body *body, iso_matter **out, iso_error *err);
void iso_matter_free(iso_matter *matter);

/* The next collision on the ray (a unit vector); false: it leaves the phantom. Exact at the surfaces: tentative collisions at
 * the rate of the densest matter, of which those stay that the matter at the place accounts for (E. R. Woodcock et al.,
 * ANL-7050 (1965) 557). Air outside the shapes is a vacuum. */
bool iso_matter_collide(const iso_matter *matter, iso_random *random, const double point_mm[3],
			const double direction[3], double energy_kev, iso_collision *collision);

#endif
