/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_DICOM_OBJECTS_H
#define ISOTRACE_IO_DICOM_OBJECTS_H

#include "io/dicom_object.h"

/* What the options ask for beside the images. Is all there that it needs? ISO_BAD_INPUT and ISO_BAD_USAGE say what is missing. */
iso_status iso_dicom_check_objects(const iso_image_series *images, iso_error *err);
/* Writes them into the folder of the images, and adds their number to *files; errors name `shown`. */
iso_status iso_dicom_write_objects(const char *folder, const char *shown, const iso_image_series *images, size_t *files,
				   iso_error *err);
/* Is it the name of one of their files? */
bool iso_dicom_is_object_file(const char *name);

#endif
