/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_DICOM_REPORT_H
#define ISOTRACE_IO_DICOM_REPORT_H

#include "io/dicom_object.h"
#include "isotrace/biodistribution.h"

/* The table of uptake as a structured report (TID 1500) at `path`; errors name `shown`. segmentation: whose segments are the organs of the
 * table in their order; NULL: none. */
iso_status iso_dicom_write_report(const char *path, const char *shown, const iso_image_series *images,
				  const iso_biodistribution *table, const iso_object *segmentation, iso_error *err);

#endif
