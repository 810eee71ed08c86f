/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What PET and NM images of a volume have in common. */
#ifndef ISOTRACE_IO_DICOM_IMAGE_H
#define ISOTRACE_IO_DICOM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "io/dicom/dicom_file.h"
#include "isotrace/dicom.h"
#include "isotrace/nuclide.h"

/* value = slope * stored + intercept */
typedef struct iso_image_scale {
	double slope, intercept;
} iso_image_scale;

/* What all files of a series share, worked out once. */
typedef struct iso_image_series {
	const iso_volume *volume;
	const iso_dicom_dose *dose; /* NULL: none */
	const iso_dicom_subject *subject;
	iso_dicom_options options;
	const iso_nuclide *nuclide;
	double half_life_s;
	double minimum, maximum; /* of all voxels */
	double largest_step;     /* of a stored value, so far, in the volume's unit */
	const char *image_class; /* SOP Class UID */
	bool is_signed;          /* the stored values: -32768..32767, else 0..65535 */
	size_t images;           /* files that the series has: slices and frames, or of NM frames; gates are in one */
	iso_image_scale *scale;  /* [images], owned; of those written so far */
	char study_uid[65], series_uid[65], frame_of_reference_uid[65];
} iso_image_series;

bool iso_image_is_spect(const iso_image_series *series);
/* Date and time of the study. Scans that share a study by its key share its date, too: that of the injection which they
 * follow. */
double iso_image_study_utc_s(const iso_image_series *series);
/* Of the image with this number, from 0. */
void iso_image_uid(const iso_image_series *series, size_t image, char uid[65]);

/* --- dicom_series.c: the tags that they share ------------------------------------------------------------------ */

/* Character set and zone, patient, study, body part, software: what other objects of the study have, too. */
void iso_image_put_context(iso_dcm *dcm, const iso_image_series *series);
/* That, the series, the scanner, the plane of the pixels. */
void iso_image_series_tags(iso_dcm *dcm, const iso_image_series *series);
/* The radiopharmaceutical; its dose counts in dose_unit_bq: PET has Bq, NM has MBq. */
void iso_image_put_isotope(iso_dcm *dcm, const iso_image_series *series, double dose_unit_bq);
/* Where the pixels of a slice begin. */
void iso_image_put_corner(iso_dcm *dcm, const iso_image_series *series, size_t slice);
void iso_image_put_orientation(iso_dcm *dcm, const iso_image_series *series);
/* Date and time of a frame. */
void iso_image_put_frame_start(iso_dcm *dcm, const iso_image_series *series, size_t frame);
/* CorrectedImage, "RAN\ATTN\DECY": what the corrections' texts say was done, in the terms of the IOD. */
typedef struct iso_image_correction {
	const char *text, *term;
} iso_image_correction;
void iso_image_put_corrected(iso_dcm *dcm, const iso_image_correction *corrections, size_t count);
/* "list-mode OSEM 4i8s" */
void iso_image_method_text(const iso_image_series *series, char text[160]);

/* The start of a real world value mapping item: first of its sequence or one more; iso_image_end_mapping ends it. */
typedef struct iso_image_mapping {
	const char *explanation, *label, *unit, *unit_meaning; /* unit: UCUM */
	double slope, intercept;
	bool is_signed; /* as in the series */
} iso_image_mapping;
void iso_image_put_mapping(iso_dcm *dcm, const iso_image_mapping *mapping, bool first);
/* A value of the volume times this is percent of the injected activity per gram, tissue taken as 1 g/mL. NAN without a dose. */
double iso_image_percent_per_gram(const iso_image_series *series);
#define ISO_IMAGE_PERCENT_TEXT "percent injected activity per gram, density 1 g/mL"

/* --- the two kinds ----------------------------------------------------------------------------------------------- */

/* Each writes the files of the series into a folder; errors name `shown`. *files counts them. */
iso_status iso_pet_write_files(const char *folder, const char *shown, iso_image_series *series, size_t *files,
			       iso_error *err);
iso_status iso_nm_write_files(const char *folder, const char *shown, iso_image_series *series, size_t *files,
			      iso_error *err);

/* And of both: the object that maps their stored values to %/g. Needs a dose, and the scales of all images. */
#define ISO_RWVM_NAME "real-world-values.dcm"
iso_status iso_rwvm_write_file(const char *folder, const char *shown, const iso_image_series *series, iso_error *err);

#endif
