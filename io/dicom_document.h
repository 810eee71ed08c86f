/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_DICOM_DOCUMENT_H
#define ISOTRACE_IO_DICOM_DOCUMENT_H

#include "io/dicom_object.h"

/* A PDF as an Encapsulated PDF at `path`. What is no PDF, or not a whole one, is refused (ISO_BAD_INPUT). */
iso_status iso_dicom_write_pdf(const char *path, const char *shown, const iso_image_series *images, const char *pdf,
			       iso_error *err);

#endif
