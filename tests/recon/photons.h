/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the tests of scatter know of photons by themselves: Klein and Nishina's formula, the energy window and what stays in a crystal. */
#ifndef ISOTRACE_TESTS_RECON_PHOTONS_H
#define ISOTRACE_TESTS_RECON_PHOTONS_H

#include "tests/recon/cylinders.h"

static const double pi = 3.14159265358979323846;
/* Klein and Nishina, total and differential, in units of r_e^2. */
static inline double kn_total(double kev)
{
	double sum = 0;
	for (int n = 0; n < 4000; n++) {
		const double c = -1 + (n + 0.5) / 2000, p = 1 / (1 + kev / 511 * (1 - c));
		sum += p * p * (p + 1 / p - 1 + c * c) / 2 * 2 * pi / 2000;
	}
	return sum;
}

static inline double kn(double cosine)
{
	const double p = 1 / (2 - cosine);
	return p * p * (p + 1 / p - 1 + cosine * cosine) / 2;
}

static inline double accepted(double kev)
{
	const double sigma = resolution * sqrt(511 * kev) / 2.3548200450309493;
	return 0.5 * (erf((window_kev[1] - kev) / sigma / sqrt(2)) - erf((window_kev[0] - kev) / sigma / sqrt(2)));
}

/* Over 511 keV: the photoelectric part, and 0.4 of the rest, stay. */
static inline double stays(double kev, double rho)
{
	const double photo = 0.33 * pow(511 / kev, 2.7), part = photo / (photo + 0.67 * rho);
	return (part + 0.4 * (1 - part)) / (0.33 + 0.4 * 0.67);
}

#endif
