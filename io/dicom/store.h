/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The C side of C-ECHO and C-STORE. */
#ifndef ISOTRACE_IO_DICOM_STORE_H
#define ISOTRACE_IO_DICOM_STORE_H

#include "isotrace/dicom.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As iso_dicom_send, over a list of files; shown names what the user gave. */
iso_status iso_dcm_store(const char *shown, const char *const *path, size_t count, const iso_pacs *pacs,
			 const iso_progress *progress, size_t *stored, size_t *failed, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
