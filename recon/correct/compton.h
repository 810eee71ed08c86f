/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Compton scattering of photons on free electrons (O. Klein and Y. Nishina, Z. Phys. 52 (1929) 853-868). */
#ifndef ISOTRACE_RECON_CORRECT_COMPTON_H
#define ISOTRACE_RECON_CORRECT_COMPTON_H

#define ISO_ELECTRON_REST_KEV 510.99895

/* What a photon of energy_kev keeps when it is turned by an angle of this cosine. */
double iso_compton_energy_kev(double energy_kev, double cosine);
/* The probability per sr that a photon of 511 keV that scatters is turned by an angle of this cosine. */
double iso_compton_density_511(double cosine);
/* Total cross-section at energy_kev over that at 511 keV. Where Compton scattering is nearly all of it (soft tissue above 200 keV),
 * this is what the attenuation coefficient varies by. */
double iso_compton_relative(double energy_kev);
/* The fraction of the scatters of a photon of energy_kev that leave between low_kev and high_kev in the electron. */
double iso_compton_deposit(double energy_kev, double low_kev, double high_kev);

#endif
