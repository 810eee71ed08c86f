/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who it was taken out of a data set: Basic Application Level Confidentiality Profile, with dates moved and the patient's
 * characteristics kept. Described in docs/dicom.md. */
#ifndef ISOTRACE_IO_DICOM_DEIDENTIFY_H
#define ISOTRACE_IO_DICOM_DEIDENTIFY_H

#include "isotrace/dicom.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a DICOM file and writes it without its identities. Errors name `from`, or `shown` when it is the writing that fails, and no
 * value of the file. */
iso_status iso_deidentify_file(const char *from, const char *to, const char *shown, const iso_dicom_key *key,
			       iso_error *err);

#ifdef __cplusplus
}

class DcmItem;
/* The same of a data set in memory. */
iso_status iso_deidentify_dataset(DcmItem &dataset, const iso_dicom_key &key, const char *shown, iso_error *err);
#endif
#endif
