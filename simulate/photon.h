/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One photon's way through the body and the crystals, and what the electronics make of the energy that it leaves there. */
#ifndef ISOTRACE_SIMULATE_PHOTON_H
#define ISOTRACE_SIMULATE_PHOTON_H

#include "simulate/transport.h"

typedef struct iso_photon {
	double point_mm[3], direction[3];
	double energy_kev;
	double path_mm; /* flown since the decay */
	uint8_t scatters, origin;
} iso_photon;

/* Energy left at one place. */
typedef struct iso_deposit {
	double kev, path_mm;
	uint32_t crystal;
	uint8_t scatters, origin;
} iso_deposit;

/* Of one decay. No photon of 2 MeV scatters so often that this fills; should it, the rest stays where the last was. */
enum { ISO_MOST_DEPOSITS = 128 };
typedef struct iso_deposits {
	int count;
	iso_deposit of[ISO_MOST_DEPOSITS];
} iso_deposits;

/* From a point of the bore, or of the annulus of crystals. */
void iso_photon_follow(const iso_transport *transport, iso_random *random, iso_photon *photon, bool in_crystals,
		       iso_deposits *deposits);
void iso_photon_deposit(const iso_transport *transport, const iso_photon *photon, double kev, iso_deposits *deposits);
/* Sums the deposits by block (by crystal where the detector states no blocks) and blurs energy and time. */
int iso_photon_singles(const iso_transport *transport, iso_random *random, double time_s, uint64_t decay,
		       const iso_deposits *deposits, iso_single out[ISO_MOST_SINGLES]);

#endif
