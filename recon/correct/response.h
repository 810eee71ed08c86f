/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a crystal makes of a photon that is not of 511 keV, in units of what it makes of one that is. */
#ifndef ISOTRACE_RECON_CORRECT_RESPONSE_H
#define ISOTRACE_RECON_CORRECT_RESPONSE_H

#include "isotrace/scanner.h"

typedef struct iso_energy_response {
	double window_kev[2];
	double resolution; /* FWHM / energy at 511 keV; grows as 1/sqrt(energy) */
	double
	    optical_depth; /* of the crystal at 511 keV, along its depth; 0: not known, it stops at all energies alike */
} iso_energy_response;

iso_energy_response iso_energy_response_of(const iso_scanner *scanner, const double window_kev[2], double resolution);

/* The part of the photons that deposit all of energy_kev that is measured within the window. */
double iso_energy_accepted(const iso_energy_response *response, double energy_kev);
/* The crystals' attenuation coefficient at energy_kev over that at 511 keV: of a heavy scintillator, of whose coefficient at 511 keV a third
 * is the photoelectric effect (LSO 0.33, BGO 0.41, GSO 0.26), which falls with the energy to the power of 2.7; the rest is
 * Compton scattering. */
double iso_crystal_relative(double energy_kev);
/* The probability to stop in the crystal at an angle of incidence of this cosine when its coefficient is `relative` times that at 511 keV,
 * over the probability to stop there at 511 keV and normal incidence (as in iso_pair_factor). */
double iso_stopping(const iso_energy_response *response, double relative, double cosine);
/* The part of the photons that interact whose whole energy stays in the crystal and its neighbours, over that at 511 keV: by the
 * photoelectric effect, or after Compton scattering in 40 % of all cases. Photons of less energy stay more often. */
double iso_full_relative(double energy_kev);
/* The probability that a gamma of energy_kev that interacts is measured in the window: by what one Compton scatter leaves, or by all
 * of its energy; over that of a photon of 511 keV. Coarse (a second interaction in the block is not followed): a shape is scaled by it. */
double iso_gamma_accepted(const iso_energy_response *response, double energy_kev);

#endif
