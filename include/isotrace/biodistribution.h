/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_BIODISTRIBUTION_H
#define ISOTRACE_BIODISTRIBUTION_H

#include "isotrace/dose.h"
#include "isotrace/organs.h"
#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One organ of one subject at one time. Activities are decay-corrected to the moment of injection. Uncertainties are
 * relative, k = 1; NAN = that component is not known (and then it is not in the total: see `warnings`). */
typedef struct iso_uptake {
	char organ[32];
	double volume_ml;
	double mass_g;
	char mass_source[24]; /* "entered" or "volume x density" */
	double activity_bq;
	double concentration_bq_per_ml;
	double percent_id;
	double percent_id_per_g;
	double percent_id_per_g_low, percent_id_per_g_high; /* 95 % interval */
	double suv_bw;                                      /* g/mL; NAN when the body mass is not known */
	/* Of %ID/g. A component that does not enter (the density of a weighed organ) is 0. */
	double u_counting, u_calibration, u_volume, u_density, u_mass, u_injected, u_half_life, u_branching, u_total;
	double degrees_of_freedom; /* effective, Welch-Satterthwaite; INFINITY when no component has few */
	/* Of %ID: the volume enters with another weight, the mass not at all; the rest as above. */
	double u_volume_percent_id, u_total_percent_id;
	/* Of the other numbers. The concentration is of the labels' volume, whatever the mass is; it and the activity do not
	 * know the dose, and so the half-life acts on them with less than on %ID; SUVbw has the dose and the body mass too. */
	double u_volume_concentration, u_half_life_activity, u_body_mass;
	/* nothing but the boundary and the density, or the balance: NAN when one is not known */
	double u_total_volume, u_total_mass;
	double u_total_activity, u_total_concentration;
	double u_total_suv_bw; /* NAN when the body mass is not known */
} iso_uptake;

/* The biodistribution of one subject, one row per frame and organ: row[f * organs + o]. */
typedef struct iso_biodistribution {
	char subject[64], group[64];
	iso_dose dose; /* as used; its injection is what all activities are decay-corrected to */
	/* What the volume says of itself. */
	double start_utc_s;
	double decay_reference_s, half_life_s, branching_fraction, calibration_factor, calibration_uncertainty;
	iso_corrections corrections;
	iso_reconstruction_facts facts;
	size_t frames, organs;
	iso_frame *frame; /* owned, [frames] */
	double *time_h;   /* owned, [frames]: middle of the frame after injection */
	iso_gate *gate;   /* owned, [frames] when the frames are gates of a cycle, all of one time; else NULL */
	iso_uptake *row;  /* owned */
	double injected_bq, injected_relative_uncertainty;
	/* Mass balance per frame: all activity in the volume, in %ID (whole field of view), what it should be and its k = 1
	 * uncertainty. */
	double *recovered_percent_id, *recovered_uncertainty; /* owned, [frames]; absolute uncertainty in
						* %ID, NAN when that of calibration or dose is not known */
	double expected_percent_id;
	char warnings[8][256]; /* mass balance off, component of uncertainty missing ... */
	size_t warning_count;
} iso_biodistribution;

/* Volume in Bq/mL (else ISO_BAD_INPUT: missing calibration), organs on the volume's grid, dose. The volume's nuclide and
 * the dose's must agree. The volume must have an absolute start (else ISO_BAD_INPUT). */
iso_status iso_quantify(const iso_volume *volume, const iso_organs *organs, const iso_dose *dose, const char *subject,
			const char *group, iso_biodistribution **out, iso_error *err);
void iso_biodistribution_free(iso_biodistribution *result);

/* DIR/biodistribution.csv and .json; several subjects in one table. Columns are in docs/results.md. Written whole or not
 * at all. provenance_json (may be NULL) is kept in the .json. */
iso_status iso_biodistribution_write(const char *directory, iso_biodistribution *const *results, size_t count,
				     const char *provenance_json, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
