/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/positron.h"

#include <math.h>

#include "simulate/draw.h"

double iso_positron_water_mm(const iso_positron_range *range, iso_random *random)
{
	const double scale = range->scale_mm[draw_uniform(random) < range->near_probability ? 0 : 1];
	return -log(draw_uniform(random) * draw_uniform(random)) * scale;
}
