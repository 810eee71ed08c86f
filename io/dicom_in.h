/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the readers of PET and NM images share. */
#ifndef ISOTRACE_IO_DICOM_IN_H
#define ISOTRACE_IO_DICOM_IN_H

#include "io/dicom/dicom_read.h"
#include "isotrace/dicom_in.h"
#include "isotrace/nuclide.h"

#define ISO_PET_CLASS      "1.2.840.10008.5.1.4.1.1.128"
#define ISO_NM_CLASS       "1.2.840.10008.5.1.4.1.1.20"
#define ISO_SEG_CLASS      "1.2.840.10008.5.1.4.1.1.66.4"
#define ISO_RTSTRUCT_CLASS "1.2.840.10008.5.1.4.1.1.481.3"

void iso_dicom_warn(iso_dicom_in_facts *facts, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The zone of the file's clock in s: as the file states it, else as the user does. A contradiction, or none: ISO_BAD_INPUT. */
iso_status iso_dicom_find_zone(const iso_dicom_item *set, const iso_dicom_in_options *options, const char *path,
			       double *zone_s, iso_error *err);

/* The nuclide of the radiopharmaceutical: by its code (also SNOMED's old form), else by its name; checked against what
 * the user states and the half-life in the file. *out NULL: not stated. */
iso_status iso_dicom_find_nuclide(const iso_dicom_item *set, const char *stated, const char *path,
				  const iso_nuclide **out, double *half_life_s, iso_error *err);

/* The dose facts, the injection in clock seconds into facts->dose.injection_utc_s: the caller subtracts the zone. What cannot
 * be trusted is left out with a warning. unit_bq: what RadionuclideTotalDose counts. */
void iso_dicom_find_dose(const iso_dicom_item *set, double first_start_s, double half_life_s, double unit_bq,
			 iso_dicom_in_facts *facts);

/* The moment to which a PET series is decay-corrected, from several independent statements of its files; all times in clock
 * seconds, NAN where not stated. */
typedef struct iso_pet_clock {
	size_t images;
	const double *start_s, *duration_s, *frame_reference_s, *decay_factor; /* [images]; the last two may be NAN */
	double series_s;                                                       /* SeriesDate and SeriesTime */
	double scan_s;                                                         /* GE's private scan time */
	double injection_s;
	double half_life_s;
} iso_pet_clock;
iso_status iso_pet_reference_start(const iso_pet_clock *clock, const char *path, iso_dicom_in_facts *facts,
				   double *reference_s, iso_error *err);
iso_status iso_pet_reference_admin(const iso_pet_clock *clock, const char *path, iso_dicom_in_facts *facts,
				   double *reference_s, iso_error *err);

iso_status iso_dicom_read_pet(const char *path, const iso_dicom_in_options *options, const iso_progress *progress,
			      iso_volume **out, iso_dicom_in_facts *facts, iso_error *err);
iso_status iso_dicom_read_nm(const char *path, const iso_dicom_in_options *options, iso_volume **out,
			     iso_dicom_in_facts *facts, iso_error *err);

#endif
