/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_DICOM_H
#define ISOTRACE_DICOM_H

#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who and what, for the tags that a volume does not know. "" = not stated (type 2 tags stay empty). */
typedef struct iso_dicom_subject {
	char patient_id[65], patient_name[65];
	char sex[2];        /* "M", "F", "O" or "" */
	char birth_date[9]; /* "YYYYMMDD" or "" */
	/* One of iso_dicom_species_names, or the Latin name; anything else is refused. "" = not stated and "human": no
	 * animal module. */
	char species[32];
	char strain[64];
	char responsible_person[65], responsible_organisation[65];
	char study_description[65], study_id[17], accession_number[17];
	char study_key[128]; /* what makes the study's UID: same key, same study; "" = the subject's id + start */
	char series_description[65]; /* "" = made from nuclide and reconstruction */
	unsigned series_number;      /* 0 = not stated: 1 */
	char position[8];            /* "prone", "supine" or "" */
	char body_part[17];          /* "WHOLEBODY", "HEAD", ... as DICOM spells them, or "" */
	char institution[65], manufacturer[65];
} iso_dicom_subject;
iso_dicom_subject iso_dicom_subject_unknown(void);
/* "mouse, rat, rabbit, ..." for help texts. */
const char *iso_dicom_species_names(void);

/* What the SUV needs. How the net activity follows from the syringe's assays is iso_dose_injected_bq's business. */
typedef struct iso_dicom_dose {
	double injected_bq; /* net, at the moment of injection */
	double injection_utc_s;
	double body_mass_g; /* NAN = not known: no weight in the files, no SUV */
	char tracer[64];    /* "" = as the volume has it */
	char route[32];     /* "intravenous", "intraperitoneal", "subcutaneous", "intratumoral", free text, or "" */
} iso_dicom_dose;

/* Writes the volume as a PET Image Storage series (one file per slice and frame) into directory, which appears whole
 * or not at all and replaces an existing one. Requires Bq/mL, a known start of the acquisition, a positron emitter of
 * the nuclide table and decay correction to the start of the acquisition: else ISO_BAD_INPUT. dose may be NULL: the files
 * then have images but no SUV. The same input gives the same files, UIDs included. files (may be NULL) receives
 * their number. Described in docs/dicom.md. */
iso_status iso_dicom_write_pet(const char *directory, const iso_volume *volume, const iso_dicom_dose *dose,
			       const iso_dicom_subject *subject, size_t *files, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
