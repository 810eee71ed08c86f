/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_DICOM_IN_H
#define ISOTRACE_DICOM_IN_H

#include "isotrace/dicom.h"
#include "isotrace/organs.h"
#include "isotrace/progress.h"
#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an object can be used for. */
typedef enum iso_dicom_use {
	ISO_DICOM_NO_USE = 0,
	ISO_DICOM_CT,             /* attenuation: --ct */
	ISO_DICOM_PET,            /* a volume */
	ISO_DICOM_NM_IMAGE,       /* a volume (RECON TOMO, RECON GATED TOMO) */
	ISO_DICOM_NM_PROJECTIONS, /* list-mode (TOMO) */
	ISO_DICOM_SEGMENTATION,   /* organ labels */
	ISO_DICOM_STRUCTURES,     /* organ labels, from the contours of an RT structure set */
	ISO_DICOM_USES
} iso_dicom_use;
/* "PET image" ...; and what isotrace can do with it: "isotrace convert ..."; never NULL. */
const char *iso_dicom_use_text(iso_dicom_use use);
const char *iso_dicom_use_advice(iso_dicom_use use);

/* One series of a folder. No name and no ID of a patient is in it. */
typedef struct iso_dicom_series {
	iso_dicom_use use;
	char class_uid[65], series_uid[65], study_uid[65], frame_of_reference_uid[65];
	char modality[17], description[65];
	size_t files;
	char first_file[512]; /* as it was found, cut when longer */
	unsigned patient;     /* patients are numbered from 1 */
	size_t gates;         /* time slots that a gated image promises; 0: not gated, or it does not say how many */
} iso_dicom_series;
typedef struct iso_dicom_folder {
	size_t count;
	iso_dicom_series *series; /* owned; in the order of patient, study and series UID */
	unsigned patients;
	size_t no_dicom, damaged; /* files; */
	char first_damaged[512];
} iso_dicom_folder;
/* Looks at every file below a path (or at the one file that it is). Damaged files are counted and do not make it fail. */
iso_status iso_dicom_look(const char *path, iso_dicom_folder **out, iso_error *err);
void iso_dicom_folder_free(iso_dicom_folder *folder);

/* What the user states because the files do not. Start from iso_dicom_in_options_default(). */
typedef struct iso_dicom_in_options {
	const char *series_uid; /* which series; NULL: the only one */
	double zone_s;          /* offset of the scanner's clock from UTC; NAN: only what the files state */
	const char *nuclide;    /* NULL: as stated */
	/* NM, which has no element for it: the moment to which the values are decay-corrected; NAN: not stated, INFINITY: they are not
	 * decay-corrected. */
	double decay_reference_utc_s;
} iso_dicom_in_options;
iso_dicom_in_options iso_dicom_in_options_default(void);

/* What the files say beside the volume. */
typedef struct iso_dicom_in_facts {
	/* What was injected, as the console had it; NAN and "" = not stated, or not to be trusted (a warning says why). */
	iso_dicom_dose dose;
	char series_uid[65], frame_of_reference_uid[65], description[65], manufacturer[65];
	char source[256]; /* name of the file or folder, without the path */
	size_t files;
	char warnings[12][320]; /* what a reader of the numbers must know */
	size_t warning_count;
} iso_dicom_in_facts;

/* Reads an image of another program into a volume in Bq/mL: a PET series (static, whole-body, dynamic or gated, one file per slice)
 * or a reconstructed NM image (RECON TOMO, RECON GATED TOMO, one file), from a folder or a file. The rules are in docs/dicom-in.md. ISO_BAD_INPUT, naming
 * the file and the remedy: units that cannot be brought to Bq/mL, a decay correction to a moment that the file's own times
 * contradict, missing dates and zones, gates without times, several R-R intervals, several series, gaps. facts and progress may be NULL. */
iso_status iso_dicom_read_volume(const char *path, const iso_dicom_in_options *options, const iso_progress *progress,
				 iso_volume **out, iso_dicom_in_facts *facts, iso_error *err);

/* Projections of a gamma camera (NM, TOMO) into native list-mode: every count an event of its pixel, gantry position (isotrace/gantry.h)
 * and energy window, at the start of its view. facts and progress may be NULL. */
iso_status iso_dicom_convert_projections(const char *path, const iso_dicom_in_options *options,
					 const char *listmode_path, const iso_progress *progress,
					 iso_dicom_in_facts *facts, iso_error *err);

/* Where the organs of another program are to lie. */
typedef struct iso_dicom_organ_options {
	const iso_grid *grid; /* of the image on which they were drawn; NULL: not given; structure sets need it */
	const char *frame_of_reference_uid; /* of that image; NULL or "": not known, a warning */
	const char *const *name;            /* [names]; only these segments or regions; compared without case */
	size_t names;                       /* 0: all */
	unsigned finer; /* structure sets: so many label voxels along each voxel of the slices; 0: 4 */
} iso_dicom_organ_options;

/* Reads organs from one DICOM Segmentation or RT Structure Set into a label image and its table (organs: to be freed). Binary and
 * fractional segmentations (at one half), sparse frames; closed planar contours, even-odd within a slice, so that a contour inside
 * another is a hole. ISO_BAD_INPUT: another frame of reference, overlapping organs (a label image holds one organ per
 * voxel), contours that lie between the slices, frames that are on no common grid. */
iso_status iso_dicom_read_organs(const char *path, const iso_dicom_organ_options *options, iso_image **labels,
				 iso_organ **organs, size_t *count, iso_dicom_in_facts *facts, iso_error *err);

/* Grid and frame of reference of a CT or PET series, without its pixels. */
iso_status iso_dicom_read_grid(const char *path, const char *series_uid, iso_grid *grid,
			       char frame_of_reference_uid[65], iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
