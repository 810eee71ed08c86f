/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/response.h"

#include <math.h>

#include "recon/correct/compton.h"

static const double sigma_of_fwhm = 0.42466090014400953; /* 1 / (2 sqrt(2 ln 2)) */
static const double photoelectric = 0.33, photoelectric_power = 2.7;
/* Of the photons that Compton scattering leaves in a block, the part that is absorbed there, too: 60 % of those of 511 keV that interact leave all
 * of their energy. */
static const double recaptured = 0.40;

iso_energy_response iso_energy_response_of(const iso_scanner *scanner, const double window_kev[2], double resolution)
{
	const double depth = scanner->attenuation_per_mm * scanner->element_size_mm[2];
	return (iso_energy_response){.window_kev = {window_kev[0], window_kev[1]},
				     .resolution = resolution,
				     .optical_depth = depth > 0 && isfinite(depth) ? depth : 0};
}

double iso_energy_accepted(const iso_energy_response *r, double energy_kev)
{
	const double sigma_kev = sigma_of_fwhm * r->resolution * sqrt(ISO_ELECTRON_REST_KEV * energy_kev);
	if (!(sigma_kev > 0)) return energy_kev >= r->window_kev[0] && energy_kev < r->window_kev[1];
	const double unit = 1 / (sigma_kev * sqrt(2));
	return 0.5 * (erf((r->window_kev[1] - energy_kev) * unit) - erf((r->window_kev[0] - energy_kev) * unit));
}

double iso_crystal_relative(double energy_kev)
{
	return (1 - photoelectric) * iso_compton_relative(energy_kev) +
	       photoelectric * pow(ISO_ELECTRON_REST_KEV / energy_kev, photoelectric_power);
}

double iso_stopping(const iso_energy_response *r, double relative, double cosine)
{
	if (!(r->optical_depth > 0)) return 1;
	return expm1(-r->optical_depth * relative / cosine) / expm1(-r->optical_depth);
}

static double photofraction(double energy_kev)
{
	return photoelectric * pow(ISO_ELECTRON_REST_KEV / energy_kev, photoelectric_power) /
	       iso_crystal_relative(energy_kev);
}

static double full(double energy_kev)
{
	const double photo = photofraction(energy_kev);
	return photo + (1 - photo) * recaptured;
}

double iso_full_relative(double energy_kev)
{
	return full(energy_kev) / full(ISO_ELECTRON_REST_KEV);
}

double iso_gamma_accepted(const iso_energy_response *r, double energy_kev)
{
	/* the photopeak as blurred; for the continuum the blur is small beside the window */
	const double peak = full(energy_kev) * iso_energy_accepted(r, energy_kev);
	const double part =
	    (1 - full(energy_kev)) * iso_compton_deposit(energy_kev, r->window_kev[0], r->window_kev[1]);
	return (peak + part) / (full(ISO_ELECTRON_REST_KEV) * iso_energy_accepted(r, ISO_ELECTRON_REST_KEV));
}
