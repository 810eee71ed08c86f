/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_NUCLIDE_H
#define ISOTRACE_NUCLIDE_H

#include <stddef.h>

#include <stdbool.h>

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One row of the table of nuclides. Uncertainties are absolute, k = 1; NAN = not stated by the source. */
typedef struct iso_nuclide {
	const char *name; /* "Cu-64" */
	double half_life_s, half_life_uncertainty_s;
	double branching_fraction,
	    branching_uncertainty; /* PET: positrons per decay; SPECT: photons of photon_kev per decay */
	double photon_kev;         /* 511 for positron emitters, else the main imaging line */
	double positron_max_kev, positron_mean_kev;            /* NAN for single-photon emitters */
	const char *source;                                    /* evaluation that the numbers come from */
	const char *dicom_code, *dicom_scheme, *dicom_meaning; /* CID 4020 / CID 18 */
} iso_nuclide;

/* The table, sorted by name; valid for the life of the program. */
const iso_nuclide *iso_nuclide_table(size_t *rows);

/* A gamma that leaves within the coincidence window of a positron. */
typedef struct iso_prompt_gamma {
	double energy_kev;
	double per_positron; /* mean number in the decays that emit a positron */
} iso_prompt_gamma;
/* Of a positron emitter, strongest first; *count 0 and NULL when it has none worth the name (less than 1 % per positron). Valid for
 * the life of the program. */
const iso_prompt_gamma *iso_nuclide_prompt_gammas(const iso_nuclide *nuclide, size_t *count);

/* Finds "Cu-64", "64Cu", "Cu64", "cu-64", "^64^Copper"; metastable "Tc-99m". Unknown: ISO_BAD_INPUT naming file (may be NULL). */
iso_status iso_nuclide_find(const char *name, const char *file, const iso_nuclide **out, iso_error *err);

/* exp(-ln2 * elapsed_s / half_life_s): the fraction that is left after elapsed_s (which may be negative). */
double iso_decay_factor(double half_life_s, double elapsed_s);
/* Integral of the decay factor from start_s to start_s + duration_s, in s; duration_s when half_life_s is INFINITY. */
double iso_decay_integral_s(double half_life_s, double start_s, double duration_s);

#ifdef __cplusplus
}
#endif
#endif
