/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The bytes of a NIfTI file. libnifti knows the header's layout, byte order and quaternions; it trusts what it reads, so
 * every field is checked here before use and every byte is counted. */
#ifndef ISOTRACE_IO_NIFTI_FILE_H
#define ISOTRACE_IO_NIFTI_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <znzlib.h>

#include "isotrace/image.h"

typedef struct iso_nifti {
	char path[512];
	znzFile stream;
	iso_grid grid;  /* LPS+, whatever the file's own world axes */
	size_t volumes; /* product of dim[4..7] */
	int datatype;   /* NIfTI's code */
	size_t voxel_bytes;
	bool swapped;
	double slope, intercept;
} iso_nifti;

/* Opens and checks the header; the stream then stands at the first voxel. */
iso_status iso_nifti_open(const char *path, iso_nifti *nifti, iso_error *err);
/* Reads the next `voxels` voxels as numbers. A file that ends early or holds something that is not finite is refused. */
iso_status iso_nifti_read(iso_nifti *nifti, float *values, size_t voxels, iso_error *err);
/* After the last voxel: the compressed stream must end whole, with its checksum right. */
iso_status iso_nifti_finish(iso_nifti *nifti, iso_error *err);
/* Gives the stream back; safe after any of the above. */
void iso_nifti_close(iso_nifti *nifti);

typedef struct iso_nifti_content {
	const iso_grid *grid;
	size_t volumes; /* 1: a 3-D file unless four_dimensional */
	bool four_dimensional;
	double time_step_s; /* 0 = not uniform or no time axis */
	bool labels;        /* whole numbers: stored as int16 or, when they are larger, int32 */
	const char *description;
	const float *values; /* [volumes][k][j][i] */
} iso_nifti_content;

/* Writes to exactly this path (the caller renames); compressed when it ends in .gz. Errors name `shown`. */
iso_status iso_nifti_write(const char *path, const char *shown, const iso_nifti_content *content, iso_error *err);

/* Does the name end in .nii or .nii.gz? Else ISO_BAD_USAGE. stem_length (may be NULL): of the path without that ending. */
iso_status iso_nifti_check_name(const char *path, size_t *stem_length, iso_error *err);

#endif
