/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * DICOMweb through libcurl: STOW-RS, QIDO-RS and WADO-RS. */
#ifndef ISOTRACE_IO_DICOMWEB_H
#define ISOTRACE_IO_DICOMWEB_H

#include <stdbool.h>

#include "io/dicom/query.h"
#include "io/dicom/store.h"
#include "isotrace/pacs.h"

typedef struct iso_web_session iso_web_session;
/* Reads the secrets and sets up; connects only with the first request. */
iso_status iso_web_session_open(const iso_pacs_web *web, double timeout_s, iso_web_session **out, iso_error *err);
void iso_web_session_close(iso_web_session *session);

/* One file by STOW-RS, as iso_dcm_session_store. */
iso_delivery iso_web_store(iso_web_session *session, const char *path, const iso_dcm_object *object, char *problem,
			   size_t size);
/* As their namesakes in io/dicom/query.h. */
iso_status iso_web_has(const iso_pacs_web *web, double timeout_s, const iso_dcm_object *object, bool *there,
		       iso_error *err);
iso_status iso_web_find_series(const iso_pacs *pacs, const iso_fetch_key *key, iso_dcm_series **series, size_t *count,
			       iso_error *err);
iso_status iso_web_get(const iso_pacs *pacs, const iso_dcm_series *series, size_t count, const char *folder,
		       const iso_progress *progress, iso_error *err);

#endif
