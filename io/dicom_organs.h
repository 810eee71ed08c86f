/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the readers of segmentations and of structure sets share. */
#ifndef ISOTRACE_IO_DICOM_ORGANS_H
#define ISOTRACE_IO_DICOM_ORGANS_H

#include "io/dicom_in.h"

/* An object with organs, and what becomes of it. */
typedef struct iso_organ_source {
	const char *path;
	iso_dicom *file;
	const iso_dicom_item *set;
	const iso_dicom_organ_options *options;
	iso_dicom_in_facts *facts;
	iso_image *labels;
	iso_organ *organ; /* [room] */
	size_t *voxels;   /* [room]: of each organ */
	size_t count, room;
	size_t overlapping; /* voxels that two organs claim; the first pair of them: */
	size_t pair[2];
} iso_organ_source;

/* Was this name asked for? */
bool iso_organ_wanted(const iso_organ_source *s, const char *name);
/* Adds an organ of that label; the density is that of its name, else of its meaning. *number: its place in the table. */
iso_status iso_organ_add(iso_organ_source *s, int label, const char *name, const char *meaning, size_t *number,
			 iso_error *err);
/* Gives a voxel to an organ. */
void iso_organ_claim(iso_organ_source *s, size_t voxel, size_t number);
/* The frame of reference must be that of the image; "" where it is not stated. */
iso_status iso_organ_check_frame(const iso_organ_source *s, const char *uid, iso_error *err);

iso_status iso_seg_read(iso_organ_source *s, iso_error *err);
iso_status iso_rtstruct_read(iso_organ_source *s, iso_error *err);

#endif
