/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/geometry.h"

#include <math.h>
#include <string.h>

/* A difference of arrival times dt moves the point of emission by c dt / 2. */
static const double half_c_mm_per_ps = 0.5 * 0.299792458;
static const double sigma_of_fwhm = 0.42466090014400953; /* 1 / (2 sqrt(2 ln 2)) */
static const double reference_distance_mm = 100;

iso_tof_kernel iso_tof_kernel_of(const iso_tof *tof)
{
	iso_tof_kernel kernel = {0};
	if (!tof || !(tof->fwhm_ps > 0) || tof->bins <= 0) return kernel;
	kernel.sigma_mm = tof->fwhm_ps * half_c_mm_per_ps * sigma_of_fwhm;
	kernel.bin_mm = tof->bin_ps * half_c_mm_per_ps;
	kernel.cut_sigmas = 4; /* loses 6e-5 of an emission; 3 would lose 0.3 % and bias the activity by as much */
	return kernel;
}

double iso_tof_bin_centre_mm(const iso_tof *tof, int tof_bin)
{
	return tof && tof->bins > 0 ? tof_bin * tof->bin_ps * half_c_mm_per_ps : 0;
}

void iso_lines_of_events(const iso_scanner *scanner, const iso_event *events, size_t count, iso_line *lines)
{
	const double bin_mm = iso_tof_bin_centre_mm(&scanner->tof, 1);
	for (size_t n = 0; n < count; n++) {
		const size_t a = events[n].element[0], b = events[n].element[1];
		/* Of no length when the scanner lacks the elements, and for SPECT, whose lines need the gantry's position. */
		memset(lines + n, 0, sizeof *lines);
		if (a >= scanner->elements || b >= scanner->elements || scanner->modality == ISO_MODALITY_SPECT)
			continue;
		memcpy(lines[n].start_mm, scanner->position_mm + 3 * a, sizeof lines->start_mm);
		memcpy(lines[n].end_mm, scanner->position_mm + 3 * b, sizeof lines->end_mm);
		lines[n].tof_centre_mm = (float)(events[n].tof_bin * bin_mm);
	}
}

iso_pair_law iso_pair_law_of(const iso_scanner *scanner)
{
	const double optical_depth = scanner->attenuation_per_mm * scanner->element_size_mm[2];
	iso_pair_law law = {.scanner = scanner};
	if (!(optical_depth > 0) || !isfinite(optical_depth)) return law;
	law.optical_depth = optical_depth;
	law.straight = expm1(-optical_depth);
	return law;
}

/* What the crystals' depth does at an angle of cosine c: the probability to stop there, over that at normal incidence. */
static double stopping(const iso_pair_law *law, double c)
{
	return expm1(-law->optical_depth / c) / law->straight;
}

double iso_pair_law_factor(const iso_pair_law *law, uint32_t a, uint32_t b)
{
	const iso_scanner *scanner = law->scanner;
	if (a >= scanner->elements || b >= scanner->elements || !iso_scanner_pair_allowed(scanner, a, b)) return 0;
	const float *p = scanner->position_mm + 3 * (size_t)a, *q = scanner->position_mm + 3 * (size_t)b;
	const float *n = scanner->normal + 3 * (size_t)a, *m = scanner->normal + 3 * (size_t)b;
	double distance2 = 0, cosine[2] = {0, 0};
	for (int k = 0; k < 3; k++) {
		const double along = (double)q[k] - (double)p[k];
		distance2 += along * along;
		cosine[0] += along * (double)n[k];
		cosine[1] += along * (double)m[k];
	}
	if (!(distance2 > 0)) return 0;
	/* both cosines times the distance, over its fourth power */
	const double cosines = fabs(cosine[0] * cosine[1]);
	double factor = (double)scanner->efficiency[a] * (double)scanner->efficiency[b] * reference_distance_mm *
			reference_distance_mm * cosines / (distance2 * distance2);
	if (scanner->components) factor *= iso_scanner_pair_components(scanner, a, b);
	if (!(cosines > 0) || !(law->optical_depth > 0)) return factor;
	const double distance = sqrt(distance2);
	for (int end = 0; end < 2; end++) factor *= stopping(law, fabs(cosine[end]) / distance);
	return factor;
}

double iso_pair_factor(const iso_scanner *scanner, uint32_t a, uint32_t b)
{
	const iso_pair_law law = iso_pair_law_of(scanner);
	return iso_pair_law_factor(&law, a, b);
}

void iso_pair_factors(const iso_scanner *scanner, const iso_event *events, size_t count, float *factor)
{
	const iso_pair_law law = iso_pair_law_of(scanner);
	for (size_t n = 0; n < count; n++)
		factor[n] = (float)iso_pair_law_factor(&law, events[n].element[0], events[n].element[1]);
}
