/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_DOSE_H
#define ISOTRACE_DOSE_H

#include "isotrace/nuclide.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A reading of the dose calibrator. */
typedef struct iso_assay {
	double activity_bq;
	double utc_s;
} iso_assay;

/* What was injected, as the radiochemist wrote it down. */
typedef struct iso_dose {
	char nuclide[16];
	char tracer[64];
	iso_assay before; /* the full syringe */
	iso_assay after;  /* the emptied syringe; activity 0 and utc NAN: stated to be nothing */
	double injection_utc_s;
	double relative_uncertainty;    /* of the net injected activity, k = 1; NAN = not stated */
	double body_mass_g;             /* NAN = not known: no SUV */
	double body_mass_uncertainty_g; /* k = 1; NAN = not stated */
	/* Fraction of the injected activity that is known to have left the body or to lie outside the field of view, in %ID;
	 * 0 unless stated. The mass balance expects 100 - excreted. */
	double excreted_percent_id;
	char route[32]; /* "intravenous", ... ; "" = not stated */
} iso_dose;

/* dose.yaml; keys end in their units, clock times carry date and zone. Described in docs/dose-file.md. */
iso_status iso_dose_read(const char *path, iso_dose *dose, iso_error *err);
/* Writes one that iso_dose_read reads back; comment: one line. Uncertainties and what was excreted are left out. */
iso_status iso_dose_write(const char *path, const iso_dose *dose, const char *comment, iso_error *err);
iso_status iso_dose_check(const iso_dose *dose, const char *file, iso_error *err);

/* Net activity at the moment of injection: before decayed to injection minus after decayed back to it. Refuses a
 * result that is not positive, an injection before the first assay, a residual measured before injection. */
iso_status iso_dose_injected_bq(const iso_dose *dose, const iso_nuclide *nuclide, double *injected_bq, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
