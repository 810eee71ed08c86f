/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/compton.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double iso_compton_energy_kev(double energy_kev, double cosine)
{
	return energy_kev / (1 + energy_kev / ISO_ELECTRON_REST_KEV * (1 - cosine));
}

/* d sigma / d Omega in units of r_e^2; k: energy over the electron's rest energy. */
static double differential(double k, double cosine)
{
	const double p = 1 / (1 + k * (1 - cosine));
	return 0.5 * p * p * (p + 1 / p - (1 - cosine * cosine));
}

/* sigma in units of r_e^2. */
static double total(double k)
{
	const double one = 1 + 2 * k, log_one = log1p(2 * k);
	return 2 * pi *
	       ((1 + k) / (k * k) * (2 * (1 + k) / one - log_one / k) + log_one / (2 * k) - (1 + 3 * k) / (one * one));
}

double iso_compton_density_511(double cosine)
{
	return differential(1, cosine) / total(1);
}

double iso_compton_relative(double energy_kev)
{
	return total(energy_kev / ISO_ELECTRON_REST_KEV) / total(1);
}

double iso_compton_deposit(double energy_kev, double low_kev, double high_kev)
{
	enum { STEPS = 2000 };
	const double k = energy_kev / ISO_ELECTRON_REST_KEV;
	double sum = 0;
	for (int n = 0; n < STEPS; n++) {
		const double cosine = -1 + (n + 0.5) * 2 / STEPS;
		const double left = energy_kev - iso_compton_energy_kev(energy_kev, cosine);
		if (left >= low_kev && left <= high_kev) sum += differential(k, cosine);
	}
	return sum * 2 * pi * 2 / STEPS / total(k);
}
