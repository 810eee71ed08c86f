/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How far the positrons of a nuclide travel before they annihilate. */
#ifndef ISOTRACE_CORE_POSITRON_H
#define ISOTRACE_CORE_POSITRON_H

#include "isotrace/status.h"

/* In water (1 g/mL) the distance is with probability `near_probability` from a Gamma distribution of shape 2 and scale
 * scale_mm[0], else from one with scale_mm[1]; the direction is isotropic. */
typedef struct iso_positron_range {
	const char *nuclide;
	double mean_mm; /* in water */
	double near_probability;
	double scale_mm[2];
} iso_positron_range;

/* A nuclide without a row: ISO_BAD_INPUT. */
iso_status iso_positron_range_find(const char *nuclide, iso_positron_range *range, iso_error *err);

#endif
