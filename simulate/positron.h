/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_SIMULATE_POSITRON_H
#define ISOTRACE_SIMULATE_POSITRON_H

#include "core/positron.h"
#include "core/random.h"

/* A random distance in water. */
double iso_positron_water_mm(const iso_positron_range *range, iso_random *random);

#endif
