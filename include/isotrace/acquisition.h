/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_ACQUISITION_H
#define ISOTRACE_ACQUISITION_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum iso_modality { ISO_MODALITY_UNKNOWN = 0, ISO_MODALITY_PET, ISO_MODALITY_SPECT } iso_modality;

/* "PET", "SPECT" or "unknown". */
const char *iso_modality_text(iso_modality modality);
iso_modality iso_modality_from_text(const char *text);

/* What is known about a scan, as the export stated it. Nothing is filled in by guessing: an empty string or a
 * NAN means that it was not stated. */
typedef struct iso_acquisition {
	iso_modality modality;
	char scanner_name[64];
	char nuclide[16]; /* "F-18", "Cu-64" ... as in the nuclide table */
	char tracer[64];  /* name of the particle or pharmaceutical */
	char subject[64];
	double start_utc_s; /* start of the acquisition */
	double duration_s;  /* of the acquisition that the events cover */
	double injection_utc_s;
	double injected_activity_bq; /* as the scanner's console had it; quantification takes the dose file */
	double energy_window_kev[2];
	double energy_resolution;  /* FWHM / energy at 511 keV, such as 0.14 */
	double half_life_s;        /* as stated in the export; checked against the nuclide table */
	double branching_fraction; /* as stated in the export */
} iso_acquisition;

/* Everything not known. */
iso_acquisition iso_acquisition_unknown(void);

#ifdef __cplusplus
}
#endif
#endif
