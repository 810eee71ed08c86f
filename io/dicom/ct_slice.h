/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One file of a CT series: what its header says, and its pixels. The C side of the shim over DCMTK. */
#ifndef ISOTRACE_IO_DICOM_CT_SLICE_H
#define ISOTRACE_IO_DICOM_CT_SLICE_H

#include <stdbool.h>
#include <stddef.h>

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum iso_ct_kind {
	ISO_CT_NO_DICOM, /* has not the first 132 bytes of a DICOM file */
	ISO_CT_OTHER,    /* another object, or a localizer */
	ISO_CT_ENHANCED, /* Enhanced CT: all slices in one file */
	ISO_CT_SLICE     /* a CT image */
} iso_ct_kind;

/* "" and NAN = not in the file. */
typedef struct iso_ct_slice {
	char instance_uid[65], series_uid[65], frame_of_reference_uid[65];
	char description[65], manufacturer[65], kernel[17];
	char patient[65]; /* the ID, or the name when there is none: to tell patients apart, never to be shown */
	double position_mm[3], direction[2][3]; /* of the first voxel; along a row, along a column */
	double spacing_mm[2];                   /* between rows, between columns */
	double thickness_mm, slope, intercept, kvp, tilt_deg;
	unsigned rows, columns;
	const char *missing; /* name of the first element that a CT needs and this lacks; NULL = none */
} iso_ct_slice;

/* Reads the header. A DICOM file that cannot be read: ISO_BAD_INPUT. */
iso_status iso_ct_slice_look(const char *path, iso_ct_kind *kind, iso_ct_slice *out, iso_error *err);
/* The pixels in HU, [rows][columns], decompressed when need be. slice: what iso_ct_slice_look said of this file. */
iso_status iso_ct_slice_read(const char *path, const iso_ct_slice *slice, float *hu, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
