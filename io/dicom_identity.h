/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * UIDs that follow from what an object is made of: the same input gives the same UIDs, so that sending twice makes no double. An object's
 * own UID must be made of all that is written into it. */
#ifndef ISOTRACE_IO_DICOM_IDENTITY_H
#define ISOTRACE_IO_DICOM_IDENTITY_H

#include "core/hash.h"
#include "isotrace/dicom.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "2.25." and the decimal digits of a UUID (version 8) made from the first 128 bits of a SHA-256 in hex. */
void iso_dicom_uid(const char hex[65], char uid[65]);

/* kind: "series", "image", ...: the same facts of two kinds give two UIDs. */
void iso_dicom_uid_begin(iso_hash *hash, const char *kind);
void iso_dicom_uid_end(iso_hash *hash, char uid[65]);

/* The study is that of its key, or of the subject and the scan's start; the frame of reference that of subject and scan, so that two
 * reconstructions of one scan lie in the same space. */
void iso_dicom_study_uid(const iso_dicom_subject *subject, const iso_acquisition *acquisition, char uid[65]);
void iso_dicom_frame_of_reference_uid(const iso_dicom_subject *subject, const iso_acquisition *acquisition,
				      char uid[65]);

/* All that is written of them. */
void iso_dicom_hash_subject(iso_hash *hash, const iso_dicom_subject *subject);
void iso_dicom_hash_corrections(iso_hash *hash, const iso_corrections *done);
void iso_dicom_hash_dose(iso_hash *hash, const iso_dicom_dose *dose);
void iso_dicom_hash_grid(iso_hash *hash, const iso_grid *grid);

#ifdef __cplusplus
}
#endif
#endif
