/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_CHECKS_H
#define ISOTRACE_RECON_CHECKS_H

#include "isotrace/recon.h"

/* Does what was asked for make sense, and does the list-mode hold what it needs? Reads events only to see whether there are
 * delayeds. */
iso_status iso_recon_check(iso_events *events, const iso_recon_options *options, iso_error *err);

/* What the scatter simulation knows of the energies: the options' numbers, else the acquisition's; NAN: not known. */
typedef struct iso_energy_facts {
	double window_kev[2], resolution; /* FWHM / energy at 511 keV */
} iso_energy_facts;
iso_energy_facts iso_recon_energy(const iso_acquisition *facts, const iso_recon_options *options);

#endif
