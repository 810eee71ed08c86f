/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The crystals' own activity: Lu-176. */
#ifndef ISOTRACE_SIMULATE_LUTETIUM_H
#define ISOTRACE_SIMULATE_LUTETIUM_H

#include "core/random.h"

/* End point of the beta spectrum. */
#define ISO_LUTETIUM_BETA_KEV 593.0

enum { ISO_LUTETIUM_STEPS = 512, ISO_LUTETIUM_GAMMAS = 3 };

/* Decays per second in a gram of natural lutetium: 2.59 % Lu-176, half-life 3.76e10 years. */
double iso_lutetium_bq_per_g(void);

typedef struct iso_lutetium {
	double cumulative[ISO_LUTETIUM_STEPS + 1]; /* of the beta's energy, in equal steps up to the end point */
} iso_lutetium;

/* Energy of the gammas of the cascade and how often each leaves as a photon; else as an electron. */
extern const struct iso_lutetium_gamma {
	double kev, photon;
} iso_lutetium_gamma[ISO_LUTETIUM_GAMMAS];

void iso_lutetium_fill(iso_lutetium *lutetium);
double iso_lutetium_beta_kev(const iso_lutetium *lutetium, iso_random *random);

#endif
