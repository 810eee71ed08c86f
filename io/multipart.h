/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * multipart/related (RFC 2387), as WADO-RS answers: one DICOM file per part. */
#ifndef ISOTRACE_IO_MULTIPART_H
#define ISOTRACE_IO_MULTIPART_H

#include <stddef.h>

#include "isotrace/status.h"

/* Takes the body in a file apart into FOLDER/PREFIX-N.dcm. content_type: of the whole; "application/dicom" is one part without a frame. */
iso_status iso_multipart_split(const char *path, const char *content_type, const char *folder, const char *prefix,
			       size_t *parts, iso_error *err);

#endif
