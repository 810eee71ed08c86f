/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One photon's trace in the electronics of one detector block: what coincidences are made of. */
#ifndef ISOTRACE_SIMULATE_SINGLE_H
#define ISOTRACE_SIMULATE_SINGLE_H

#include <stdint.h>

typedef enum iso_single_origin {
	ISO_SINGLE_ANNIHILATION,
	ISO_SINGLE_PROMPT_GAMMA,
	ISO_SINGLE_BACKGROUND
} iso_single_origin;

typedef struct iso_single {
	double
	    time_s; /* since the acquisition's start, of the crystal's timestamp: decay + flight + the detector's time blur */
	uint64_t
	    decay; /* number of the decay that it comes from, unique in the scan (slice number << 32 | number in slice) */
	uint32_t crystal;
	float energy_kev; /* measured: deposits in the crystal's block summed and blurred */
	uint8_t
	    scatters; /* Compton and Rayleigh scatters of the photon in the body before the detector, 255 = 255 or more */
	uint8_t origin; /* iso_single_origin */
} iso_single;

#endif
