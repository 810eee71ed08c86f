/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/lutetium.h"

#include <math.h>

#include "simulate/draw.h"

#define ELECTRON_KEV 510.99895

/* Emission per decay: ENSDF. What is not emitted as a photon is converted, and its energy stays where the beta is. */
const struct iso_lutetium_gamma iso_lutetium_gamma[ISO_LUTETIUM_GAMMAS] = {
    {306.78, 0.936}, {201.83, 0.78}, {88.34, 0.145}};

double iso_lutetium_bq_per_g(void)
{
	const double atoms = 0.0259 * 6.02214076e23 / 174.967, half_life_s = 3.76e10 * 365.25 * 86400;
	return atoms * 0.6931471805599453 / half_life_s;
}

/* Shape of an allowed spectrum with the non-relativistic Fermi function of hafnium; the transition is forbidden (first
 * order, not unique), and the allowed shape's mean, 192 keV, is 5 % above the evaluated 182 keV. */
static double density(double kev)
{
	const double w = 1 + kev / ELECTRON_KEV, p = sqrt(w * w - 1), left = ISO_LUTETIUM_BETA_KEV - kev;
	if (!(p > 0)) return 0;
	const double y = 6.283185307179586 * 72 / 137.035999 * w / p;
	return p * w * left * left * y / -expm1(-y);
}

void iso_lutetium_fill(iso_lutetium *lutetium)
{
	const double width = ISO_LUTETIUM_BETA_KEV / ISO_LUTETIUM_STEPS;
	double *sum = lutetium->cumulative;
	sum[0] = 0;
	for (int i = 0; i < ISO_LUTETIUM_STEPS; i++) sum[i + 1] = sum[i] + density((i + 0.5) * width);
	for (int i = 1; i <= ISO_LUTETIUM_STEPS; i++) sum[i] /= sum[ISO_LUTETIUM_STEPS];
}

double iso_lutetium_beta_kev(const iso_lutetium *lutetium, iso_random *random)
{
	const double u = draw_uniform(random), *sum = lutetium->cumulative;
	int low = 0, high = ISO_LUTETIUM_STEPS;
	while (high - low > 1) {
		const int middle = (low + high) / 2;
		if (sum[middle] > u)
			high = middle;
		else
			low = middle;
	}
	return ISO_LUTETIUM_BETA_KEV / ISO_LUTETIUM_STEPS * (low + (u - sum[low]) / (sum[high] - sum[low]));
}
