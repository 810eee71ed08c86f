/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The arithmetic behind a few tags of an image, apart so that tests can reach it. */
#ifndef ISOTRACE_IO_DICOM_PET_H
#define ISOTRACE_IO_DICOM_PET_H

#include <stddef.h>
#include <stdint.h>

/* The moment within the frame at which the activity equals its mean over the frame, in s from the decay reference
 * (FrameReferenceTime), and the factor that brings the mean to the reference (DecayFactor): DICOM PS3.3 C.8.9.4.1.3. */
void iso_pet_frame_reference(double half_life_s, double start_s, double duration_s, double *reference_s,
			     double *factor);

/* The slope of stored values of which the largest, `steps`, stands for `most`; it is the number that a reader will parse
 * from the text. */
double iso_dicom_step(double most, double steps, char slope_text[17]);
/* value = slope * stored + intercept, to the nearest step within low..high. */
int iso_dicom_stored(double value, double slope, double intercept, int low, int high);

#endif
