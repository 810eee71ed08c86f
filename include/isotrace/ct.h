/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_CT_H
#define ISOTRACE_CT_H

#include "isotrace/image.h"
#include "isotrace/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a CT says about itself; "" and NAN = not stated. */
typedef struct iso_ct_facts {
	double kvp; /* of the X-ray tube, kV */
	char series_uid[65], frame_of_reference_uid[65];
	char description[65];
	char manufacturer[65];
	char kernel[17];  /* convolution kernel */
	size_t slices;    /* files of the series; 0 = not from DICOM */
	char source[256]; /* name of the file or folder, without the path */
} iso_ct_facts;

/* Reads a CT into Hounsfield units (ISO_UNIT_HU): a NIfTI file in HU, one DICOM file, or a folder with DICOM files (also in
 * folders below it) of which one CT series is taken. Slices are put in order by their position; directions are as stated, oblique
 * ones too. Files that are no DICOM and objects that are no CT images are passed over; localizers too.
 *
 * series_uid: which series; NULL: the only one. ISO_BAD_INPUT, naming the file: several series (they are listed), two
 * patients in the series, a gap or two slices at one place, slices that differ in size or direction, gantry tilt, a missing
 * element, fewer pixels than promised, a damaged file, a compression that DCMTK does not decode, several tube voltages.
 * facts and progress (for notes) may be NULL. */
iso_status iso_ct_read(const char *path, const char *series_uid, const iso_progress *progress, iso_image **out,
		       iso_ct_facts *facts, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
