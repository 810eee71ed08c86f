/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The TOF kernel in the two forms that the walks want: a table for any kernel, and a polynomial for those that are smooth enough, which
 * needs no look-ups. */
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/sheaf.h"
#include "recon/tof_kernel.h"

/* Linear interpolation in cells of h errs by at most h^2/8 max|w''|, and |w''| <= 2 * 0.242/sigma^2: with 512 cells per
 * sigma that is 2.3e-7. */
static const double cells_per_sigma = 512;
/* Of the kernel's value at its centre; float's rounding is as much. */
static const double series_error = 1.5e-7;

/* The Gaussian of the resolution, integrated over the bin. */
static double weight_at(const iso_tof_kernel *tof, double x_mm)
{
	const double scale = tof->sigma_mm * sqrt(2.0);
	return 0.5 * (erfc((x_mm - 0.5 * tof->bin_mm) / scale) - erfc((x_mm + 0.5 * tof->bin_mm) / scale));
}

iso_status iso_tof_table_make(const iso_tof_kernel *tof, iso_tof_table *table, iso_error *err)
{
	if (!tof || tof->sigma_mm == 0) return ISO_OK;
	if (!(tof->sigma_mm > 0) || !(tof->bin_mm > 0) || !(tof->cut_sigmas > 0) || !(tof->cut_sigmas <= 40) ||
	    !(tof->bin_mm <= 1e4 * tof->sigma_mm) || !isfinite(tof->sigma_mm))
		return iso_fail(err, ISO_BAD_USAGE, NULL,
				"give sigma_mm > 0, bin_mm > 0 and cut_sigmas > 0 (usually 3 to 5)",
				"a TOF kernel of sigma %g mm, bin %g mm, cut at %g sigma is impossible", tof->sigma_mm,
				tof->bin_mm, tof->cut_sigmas);
	table->cut_mm = 0.5 * tof->bin_mm + tof->cut_sigmas * tof->sigma_mm;
	table->cells_per_mm = cells_per_sigma / tof->sigma_mm;
	table->cells = (size_t)ceil(table->cut_mm * table->cells_per_mm) + 1;
	table->weight = calloc(table->cells + 2, sizeof *table->weight);
	if (!table->weight) return iso_fail_memory(err, "the TOF kernel", (table->cells + 2) * sizeof *table->weight);
	for (size_t n = 0; n < table->cells; n++)
		table->weight[n] = (float)weight_at(tof, (double)n / table->cells_per_mm);
	return ISO_OK;
}

enum { NODES = 64, CHECKS = 1000 };

/* Chebyshev coefficients of the kernel over y = 2 (x/cut)^2 - 1, -1 .. 1. */
static void chebyshev(const iso_tof_kernel *tof, double cut_mm, double coefficient[ISO_TOF_TERMS])
{
	double value[NODES];
	for (int n = 0; n < NODES; n++) {
		const double y = cos(M_PI * (n + 0.5) / NODES);
		value[n] = weight_at(tof, cut_mm * sqrt(0.5 * (y + 1)));
	}
	for (int k = 0; k < ISO_TOF_TERMS; k++) {
		coefficient[k] = 0;
		for (int n = 0; n < NODES; n++) coefficient[k] += value[n] * cos(M_PI * k * (n + 0.5) / NODES);
		coefficient[k] *= (k ? 2.0 : 1.0) / NODES;
	}
}

/* sum of coefficient[k] T_k(y) as a polynomial of t = y/2. */
static void to_powers(const double *coefficient, int terms, float *term)
{
	double older[ISO_TOF_TERMS + 1] = {0}, old[ISO_TOF_TERMS + 1] = {1}, sum[ISO_TOF_TERMS] = {0};
	for (int k = 0; k < terms; k++) { /* old: T_k = 2 y T_(k-1) - T_(k-2); T_1 = y */
		for (int n = 0; n <= k; n++) sum[n] += coefficient[k] * old[n];
		double next[ISO_TOF_TERMS + 1] = {0};
		for (int n = 0; n <= k; n++) next[n + 1] = (k ? 2 : 1) * old[n];
		for (int n = 0; n < k; n++) next[n] -= older[n];
		memcpy(older, old, sizeof old);
		memcpy(old, next, sizeof next);
	}
	for (int n = 0; n < terms; n++) term[n] = (float)ldexp(sum[n], n);
}

void iso_tof_series_make(const iso_tof_kernel *tof, double cut_mm, iso_tof_series *series)
{
	double coefficient[ISO_TOF_TERMS];
	const double most = series_error * weight_at(tof, 0);
	chebyshev(tof, cut_mm, coefficient);
	series->terms = 0;
	double left = 0;
	int terms = ISO_TOF_TERMS;
	while (terms > 1 && left + fabs(coefficient[terms - 1]) <= most) left += fabs(coefficient[--terms]);
	if (terms == ISO_TOF_TERMS) return; /* not smooth enough */
	terms += terms % 2;
	to_powers(coefficient, terms, series->term);
	series->terms = terms;
}
