/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_DICOM_SEGMENTATION_H
#define ISOTRACE_IO_DICOM_SEGMENTATION_H

#include "io/dicom_object.h"
#include "isotrace/organs.h"

#define ISO_SEGMENTATION_STORAGE "1.2.840.10008.5.1.4.1.1.66.4"

/* Organs as segments 1, 2, ... in the order of the table, at `path`; errors name `shown`. Binary: the labels on their own grid,
 * just as they are. Fractional: of each voxel of the images the part inside the organ, in steps of 1/255. *object
 * receives what the report must know of it. */
iso_status iso_dicom_write_segmentation(const char *path, const char *shown, const iso_image_series *images,
					const iso_image *labels, const iso_organs *organs, bool fractional,
					iso_object *object, iso_error *err);

#endif
