/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_DICOM_H
#define ISOTRACE_DICOM_H

#include "isotrace/dose.h"
#include "isotrace/progress.h"
#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who and what, for the tags that a volume does not know. "" = not stated (type 2 tags stay empty). */
typedef struct iso_dicom_subject {
	char patient_id[65], patient_name[65];
	char sex[2];        /* "M", "F", "O" or "" */
	char birth_date[9]; /* "YYYYMMDD" or "" */
	char species[32];   /* "mouse", "rat", "rabbit", "human", ...; "" = not stated, no animal module */
	char strain[64];
	char responsible_person[65], responsible_organisation[65];
	char study_description[65], study_id[17], accession_number[17];
	char study_key[128]; /* what makes the study's UID: same key, same study; "" = the subject's id + start */
	char position[8];    /* "prone", "supine" or "" */
	char institution[65], manufacturer[65];
} iso_dicom_subject;
iso_dicom_subject iso_dicom_subject_unknown(void);

/* Writes the volume as a PET Image Storage series (one file per slice and frame) into directory, which appears whole
 * or not at all. Requires Bq/mL, absolute start, nuclide, decay correction to the start of the acquisition. dose
 * gives net injected activity, injection time and body mass for SUV. UIDs depend only on the content. files (may be
 * NULL) receives the number of files. */
iso_status iso_dicom_write_pet(const char *directory, const iso_volume *volume, const iso_dose *dose,
			       const iso_dicom_subject *subject, size_t *files, iso_error *err);

typedef struct iso_pacs {
	char ae_title[17], host[256];
	unsigned port;
	char own_ae_title[17]; /* "ISOTRACE" */
	double timeout_s;
} iso_pacs;
/* Parses "AET@HOST:PORT". */
iso_status iso_pacs_parse(const char *text, iso_pacs *pacs, iso_error *err);

/* C-STORE of every DICOM file below a path (file or folder). All stored: ISO_OK; some: ISO_PARTIAL with the first failure in
 * err; no connection: ISO_IO. stored and failed may be NULL. */
iso_status iso_dicom_send(const char *path, const iso_pacs *pacs, const iso_progress *progress, size_t *stored,
			  size_t *failed, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
