/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The C side of C-FIND, C-GET and C-MOVE (Study Root). */
#ifndef ISOTRACE_IO_DICOM_QUERY_H
#define ISOTRACE_IO_DICOM_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "io/dicom/store.h"
#include "isotrace/pacs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_dcm_series {
	char study[65], series[65], modality[17];
	long instances; /* -1: the PACS does not say */
} iso_dcm_series;

/* Does the PACS have this instance? ISO_IO: it does not say. */
iso_status iso_dcm_has(const iso_pacs *pacs, const iso_dcm_object *object, bool *there, iso_error *err);
/* The series that fit; *series is owned by the caller (free()). */
iso_status iso_dcm_find_series(const iso_pacs *pacs, const iso_fetch_key *key, iso_dcm_series **series, size_t *count,
			       iso_error *err);
/* Brings one after the other into a folder, as files of any name. */
iso_status iso_dcm_get(const iso_pacs *pacs, const iso_dcm_series *series, size_t count, const char *folder,
		       const iso_progress *progress, iso_error *err);
/* Makes the PACS push them to our own title, at the port that it knows. */
iso_status iso_dcm_move(const iso_pacs *pacs, const iso_dcm_series *series, size_t count, const iso_progress *progress,
			iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
