/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the detector's geometry says about a line of response. */
#ifndef ISOTRACE_RECON_GEOMETRY_H
#define ISOTRACE_RECON_GEOMETRY_H

#include "isotrace/projector.h"
#include "isotrace/scanner.h"

/* The relative probability that a pair of photons along the line of elements a and b is recorded: the geometric factor of
 * recon.h times the elements' efficiencies, without attenuation. 0 for a pair that is not allowed. */
double iso_pair_factor(const iso_scanner *scanner, uint32_t a, uint32_t b);

/* Geometric and efficiency factors of events (PET): factor[n] = iso_pair_factor of event n's pair. */
void iso_pair_factors(const iso_scanner *scanner, const iso_event *events, size_t count, float *factor);

#endif
