/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/detector.h"

#include <math.h>

#define TWO_PI 6.283185307179586

iso_annulus iso_annulus_of(const iso_simulated_detector *detector)
{
	const iso_ring_description *rings = &detector->rings;
	return (iso_annulus){
	    .inner_mm = rings->radius_mm,
	    .outer_mm = rings->radius_mm + rings->crystal_size_mm[2],
	    .half_length_mm = 0.5 * rings->rings * rings->ring_spacing_mm,
	    .mu_per_mm = rings->attenuation_per_mm,
	    .ring_spacing_mm = rings->ring_spacing_mm,
	    .first_angle_rad = rings->first_angle_rad,
	    .crystals_per_rad = rings->crystals_per_ring / TWO_PI,
	    .rings = rings->rings,
	    .crystals_per_ring = rings->crystals_per_ring,
	};
}

bool iso_annulus_cross(const iso_annulus *annulus, const double p[3], const double d[3], iso_crossing *crossing)
{
	const double across2 = d[0] * d[0] + d[1] * d[1];
	const double rho2 = p[0] * p[0] + p[1] * p[1], inner = rho2 - annulus->inner_mm * annulus->inner_mm;
	if (!(inner < 0) || across2 < 1e-18) return false;
	const double b = p[0] * d[0] + p[1] * d[1];
	const double entry = (-b + sqrt(b * b - across2 * inner)) / across2;
	const double z = p[2] + entry * d[2];
	if (fabs(z) >= annulus->half_length_mm) return false;
	const double outer = rho2 - annulus->outer_mm * annulus->outer_mm;
	double leave = (-b + sqrt(b * b - across2 * outer)) / across2;
	if (d[2] != 0) leave = fmin(leave, (copysign(annulus->half_length_mm, d[2]) - p[2]) / d[2]);
	crossing->entry_mm = entry;
	crossing->path_mm = leave - entry;
	crossing->stopping = -expm1(-annulus->mu_per_mm * crossing->path_mm);
	return true;
}

double iso_annulus_depth_mm(const iso_annulus *annulus, const iso_crossing *crossing, double uniform)
{
	return -log1p(-uniform * crossing->stopping) / annulus->mu_per_mm;
}

bool iso_annulus_meet(const iso_annulus *annulus, const double p[3], const double d[3], double *distance_mm)
{
	const double across2 = d[0] * d[0] + d[1] * d[1], half = annulus->half_length_mm;
	const double rho2 = p[0] * p[0] + p[1] * p[1], inner2 = annulus->inner_mm * annulus->inner_mm;
	if (fabs(p[2]) >= half) {
		/* from beyond an end: to the plane of that end first */
		if (p[2] * d[2] >= 0) return false;
		const double plane = (copysign(half, p[2]) - p[2]) / d[2];
		const double x = p[0] + plane * d[0], y = p[1] + plane * d[1], there2 = x * x + y * y;
		if (there2 >= annulus->outer_mm * annulus->outer_mm) return false;
		if (there2 >= inner2) {
			*distance_mm = plane;
			return true;
		}
	}
	if (across2 < 1e-18) return false;
	const double b = p[0] * d[0] + p[1] * d[1], inside = fmin(rho2 - inner2, 0);
	const double entry = (-b + sqrt(b * b - across2 * inside)) / across2;
	*distance_mm = entry;
	return fabs(p[2] + entry * d[2]) < half;
}

double iso_annulus_leave(const iso_annulus *annulus, const double p[3], const double d[3], bool *inwards)
{
	const double across2 = d[0] * d[0] + d[1] * d[1], b = p[0] * d[0] + p[1] * d[1];
	const double rho2 = p[0] * p[0] + p[1] * p[1];
	double end = (double)INFINITY;
	*inwards = false;
	if (d[2] != 0) end = fmax((copysign(annulus->half_length_mm, d[2]) - p[2]) / d[2], 0);
	if (across2 < 1e-18) return end;
	const double outside = fmax(rho2 - annulus->inner_mm * annulus->inner_mm, 0);
	const double at_inner = b * b - across2 * outside;
	if (b < 0 && at_inner > 0) {
		const double reach = outside / (-b + sqrt(at_inner));
		if (reach < end) {
			*inwards = true;
			return reach;
		}
		return end;
	}
	const double inside = fmin(rho2 - annulus->outer_mm * annulus->outer_mm, 0);
	return fmin(end, (-b + sqrt(b * b - across2 * inside)) / across2);
}

uint32_t iso_annulus_crystal(const iso_annulus *annulus, const double point_mm[3])
{
	const double ring = floor((point_mm[2] + annulus->half_length_mm) / annulus->ring_spacing_mm);
	const double last = (double)annulus->rings - 1;
	const double turn = atan2(point_mm[1], point_mm[0]) - annulus->first_angle_rad;
	const double n = annulus->crystals_per_ring;
	double sector = floor(turn * annulus->crystals_per_rad + 0.5);
	sector -= n * floor(sector / n);
	return (uint32_t)fmin(fmax(ring, 0), last) * annulus->crystals_per_ring + (uint32_t)fmin(sector, n - 1);
}

/* Probability that a deposit is measured inside the window. The variance of the measured energy grows in proportion to the
 * energy (counting of scintillation light), so that FWHM/E goes as 1/sqrt(E). */
static double inside_window(const iso_simulated_detector *detector, double deposit_kev)
{
	const double fwhm = detector->energy_resolution * sqrt(511.0 * deposit_kev);
	const double root2_sigma = fwhm / 2.3548200450309493 * 1.4142135623730951;
	const double low = detector->energy_window_kev[0] - deposit_kev,
		     high = detector->energy_window_kev[1] - deposit_kev;
	if (!(root2_sigma > 0)) return low <= 0 && high >= 0;
	return 0.5 * (erf(high / root2_sigma) - erf(low / root2_sigma));
}

double iso_detector_energy_acceptance(const iso_simulated_detector *detector, double photon_kev)
{
	/* One Compton scatter after O. Klein and Y. Nishina, Z. Phys. 52 (1929) 853: with e = E'/E the density of e is
	 * proportional to e + 1/e - sin^2(angle), cos(angle) = 1 - (1/e - 1)/alpha. Midpoint rule; the deposit is E(1 - e). */
	enum { STEPS = 4000 };
	const double alpha = photon_kev / 510.99895, least = 1 / (1 + 2 * alpha);
	double weights = 0, kept = 0;
	for (int i = 0; i < STEPS; i++) {
		const double e = least + (1 - least) * (i + 0.5) / STEPS, cosine = 1 - (1 / e - 1) / alpha;
		const double weight = e + 1 / e - (1 - cosine * cosine);
		weights += weight;
		kept += weight * inside_window(detector, photon_kev * (1 - e));
	}
	return detector->photofraction * inside_window(detector, photon_kev) +
	       (1 - detector->photofraction) * kept / weights;
}

bool iso_tof_bin(const iso_tof *tof, double difference_ps, int16_t *bin)
{
	*bin = 0;
	if (tof->bins == 0) return true;
	const double number = floor(difference_ps / tof->bin_ps + 0.5);
	if (fabs(number) > 0.5 * (tof->bins - 1)) return false;
	*bin = (int16_t)number;
	return true;
}
