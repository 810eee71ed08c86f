/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which gammas leave a nuclide's decay, and with which of them a positron comes. */
#ifndef ISOTRACE_SIMULATE_EMISSION_H
#define ISOTRACE_SIMULATE_EMISSION_H

#include <stdbool.h>

#include "isotrace/status.h"

enum { ISO_MOST_GAMMAS = 5, ISO_MOST_BRANCHES = 7 };

typedef struct iso_gamma {
	double kev, yield; /* yield: probability, given the branch; independent of the branch's other gammas */
} iso_gamma;

typedef struct iso_decay_branch {
	double probability; /* per decay; those of a nuclide add up to 1 */
	bool positron;
	iso_gamma gamma[ISO_MOST_GAMMAS]; /* up to the first of 0 keV */
} iso_decay_branch;

typedef struct iso_decay_scheme {
	const char *nuclide;
	iso_decay_branch branch[ISO_MOST_BRANCHES]; /* up to the first of probability 0 */
	iso_gamma delayed;                          /* seconds later; per decay */
} iso_decay_scheme;

/* A nuclide without a row: ISO_BAD_INPUT. */
iso_status iso_decay_scheme_find(const char *nuclide, const iso_decay_scheme **out, iso_error *err);

#endif
