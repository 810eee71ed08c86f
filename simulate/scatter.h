/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Angles of scattered photons. */
#ifndef ISOTRACE_SIMULATE_SCATTER_H
#define ISOTRACE_SIMULATE_SCATTER_H

#include "simulate/material.h"

/* A free electron at rest (Klein and Nishina): returns the energy left, *cosine of the angle. */
double iso_scatter_compton(double energy_kev, iso_random *random, double *cosine);
/* Cosine of the angle: Thomson scattering with the material's form factor (independent atoms). */
double iso_scatter_rayleigh(const iso_material *material, double energy_kev, iso_random *random);
/* Turns the unit vector by the angle, at a random azimuth. */
void iso_scatter_turn(double direction[3], double cosine, iso_random *random);

#endif
