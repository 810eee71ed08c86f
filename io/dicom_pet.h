/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The arithmetic behind a few tags of a PET image, apart so that tests can reach it. */
#ifndef ISOTRACE_IO_DICOM_PET_H
#define ISOTRACE_IO_DICOM_PET_H

#include <stddef.h>
#include <stdint.h>

#include "io/dicom/dicom_file.h"
#include "isotrace/dicom.h"
#include "isotrace/nuclide.h"

/* The moment within the frame at which the activity equals its mean over the frame, in s from the decay reference
 * (FrameReferenceTime), and the factor that brings the mean to the reference (DecayFactor): DICOM PS3.3 C.8.9.4.1.3. */
void iso_pet_frame_reference(double half_life_s, double start_s, double duration_s, double *reference_s,
			     double *factor);

/* Stored values and the slope that turns them back, which is the number that a reader will parse from *slope_text. */
void iso_pet_quantise(const float *values, size_t count, int16_t *stored, char slope_text[17], double *slope);

/* What all files of a series share, worked out once. */
typedef struct iso_pet_series {
	const iso_volume *volume;
	const iso_dicom_dose *dose; /* NULL: none */
	const iso_dicom_subject *subject;
	const iso_nuclide *nuclide;
	double half_life_s;
	double maximum; /* of all voxels */
	char study_uid[65], series_uid[65], frame_of_reference_uid[65];
} iso_pet_series;

/* Puts all that does not change from slice to slice (dicom_series.c). */
void iso_pet_series_tags(iso_dcm *dcm, const iso_pet_series *series);

#endif
