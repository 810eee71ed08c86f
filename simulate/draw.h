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

/* Two independent normal numbers (Box-Muller). */
static inline void draw_gaussian_pair(iso_random *random, double pair[2])
{
	const double radius = sqrt(-2 * log(draw_uniform(random))), azimuth = 6.283185307179586 * draw_uniform(random);
	pair[0] = radius * cos(azimuth);
	pair[1] = radius * sin(azimuth);
}

#endif
