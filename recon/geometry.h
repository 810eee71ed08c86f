/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the detector's geometry says about a line of response. */
#ifndef ISOTRACE_RECON_GEOMETRY_H
#define ISOTRACE_RECON_GEOMETRY_H

#include "isotrace/projector.h"
#include "isotrace/scanner.h"

/* What all pairs of a scanner share, worked out once: for loops over many pairs. The scanner must stay as it is meanwhile. */
typedef struct iso_pair_law {
	const iso_scanner *scanner;
	double optical_depth; /* of a crystal at normal incidence; 0: not known, as if all photons stopped */
	double straight;      /* -(the probability to stop there) */
} iso_pair_law;

iso_pair_law iso_pair_law_of(const iso_scanner *scanner);

/* The relative probability that a pair of photons along the line of elements a and b is recorded: the geometric factor of
 * recon.h times the elements' efficiencies, without attenuation. 0 for a pair that is not allowed. */
double iso_pair_law_factor(const iso_pair_law *law, uint32_t a, uint32_t b);

/* The same of a single pair. */
double iso_pair_factor(const iso_scanner *scanner, uint32_t a, uint32_t b);

/* Geometric and efficiency factors of events (PET): factor[n] = iso_pair_factor of event n's pair. */
void iso_pair_factors(const iso_scanner *scanner, const iso_event *events, size_t count, float *factor);

#endif
