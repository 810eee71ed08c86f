/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_DICOM_MAP_H
#define ISOTRACE_IO_DICOM_MAP_H

#include "io/dicom_object.h"

/* All frames and slices as one Parametric Map of floats at `path`; errors name `shown`. The images must have a dose, and a body
 * mass for SUVbw. */
iso_status iso_dicom_write_map(const char *path, const char *shown, const iso_image_series *images, iso_dicom_map kind,
			       iso_error *err);

#endif
