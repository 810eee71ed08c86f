/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Random numbers for geometry: one 32-bit word each, which is finer (2e-10) than any length here needs. */
#ifndef ISOTRACE_SIMULATE_DRAW_H
#define ISOTRACE_SIMULATE_DRAW_H

#include <math.h>

#include "core/random.h"

/* (0, 1) */
static inline double draw_uniform(iso_random *random)
{
	return ((double)iso_random_u32(random) + 0.5) * 0x1p-32;
}

/* A point of the unit disc, by rejection, and the square of its distance from the middle: an azimuth without sine or cosine. */
static inline double draw_in_disc(iso_random *random, double *a, double *b)
{
	double r2;
	do {
		*a = 2 * draw_uniform(random) - 1;
		*b = 2 * draw_uniform(random) - 1;
		r2 = *a * *a + *b * *b;
	} while (r2 > 1);
	return r2;
}

/* Two independent normal numbers (the polar method of G. Marsaglia and T. A. Bray, SIAM Rev. 6 (1964) 260). */
static inline void draw_gaussian_pair(iso_random *random, double pair[2])
{
	double a, b;
	const double r2 = draw_in_disc(random, &a, &b);
	const double scale = sqrt(-2 * log(r2) / r2);
	pair[0] = scale * a;
	pair[1] = scale * b;
}

/* Isotropic unit vector (G. Marsaglia, Ann. Math. Stat. 43 (1972) 645). */
static inline void draw_direction(iso_random *random, double direction[3])
{
	double a, b;
	const double r2 = draw_in_disc(random, &a, &b);
	const double scale = 2 * sqrt(1 - r2);
	direction[0] = scale * a;
	direction[1] = scale * b;
	direction[2] = 1 - 2 * r2;
}

#endif
