/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Slices that came as one file each, put together: which belong to one series, and in which order they lie. For CT and PET. */
#ifndef ISOTRACE_IO_DICOM_STACK_H
#define ISOTRACE_IO_DICOM_STACK_H

#include "io/dicom/dicom_read.h"
#include "io/file_list.h"
#include "isotrace/image.h"

enum { ISO_SLICE_FACTS = 8 };
/* Images of one place lie closer together than two places ever do. */
#define ISO_SAME_PLACE_MM 1e-3

/* What the header of one slice says; "" and NAN = not in the file. */
typedef struct iso_slice {
	const char *path; /* of the list of files */
	char instance_uid[65], series_uid[65], frame_of_reference_uid[65];
	char description[65];
	char patient[65]; /* the ID, or the name when there is none: to tell patients apart, never to be shown */
	double position_mm[3], direction[2][3]; /* of the first voxel; along a row, along a column */
	double spacing_mm[2];                   /* between rows, between columns */
	double thickness_mm, slope, intercept;
	unsigned rows, columns;
	const char *missing;          /* name of the first element that a slice needs and this lacks; NULL = none */
	double along_mm;              /* position along the normal of the slices */
	double time_s;                /* of a series that has several images at one place: their order; else 0 */
	double fact[ISO_SLICE_FACTS]; /* what only the chooser knows */
} iso_slice;

typedef struct iso_stack {
	const char *path;   /* what was asked for */
	const char *what;   /* "CT": for messages */
	const char *option; /* "--ct-series" */
	iso_file_list files;
	iso_slice *slice; /* owned; sorted by the calls below */
	size_t count;
	size_t no_dicom, other,
	    enhanced; /* files that were passed over; the last are objects that could be exported as slices */
	double step_mm;
} iso_stack;

/* What an object is to the one who collects: a slice, something else, or slices that were put into one file. Of a slice that is
 * wanted the chooser states time_s and fact. */
typedef enum iso_slice_kind { ISO_SLICE_OTHER, ISO_SLICE_ENHANCED, ISO_SLICE_WANTED } iso_slice_kind;
typedef iso_slice_kind (*iso_slice_chooser)(const iso_dicom *file, iso_slice *slice);

/* Looks at all files of the path. s: zero but for path, what and option; to be freed also after a failure. */
iso_status iso_stack_collect(iso_stack *s, iso_slice_chooser chooser, iso_error *err);
/* Keeps one series: that of the UID, or with NULL the only one. */
iso_status iso_stack_choose(iso_stack *s, const char *uid, iso_error *err);
/* One patient, one frame of reference, one size and direction, nothing missing. */
iso_status iso_stack_check(const iso_stack *s, iso_error *err);
/* Sorts by place, and by time at each place; the grid's directions, sizes of a plane and voxels in it. */
iso_status iso_stack_sort(iso_stack *s, iso_grid *grid, iso_error *err);
/* Slices [first, first + slices) step stride apart in the sorted array: completes the grid, refuses gaps, doubles and shear. */
iso_status iso_stack_measure(iso_stack *s, size_t first, size_t stride, size_t slices, iso_grid *grid, iso_error *err);
/* Opens the file that the slice came from. */
iso_status iso_slice_open(const iso_slice *slice, iso_dicom **file, iso_error *err);
/* The pixels of one slice as numbers, slope and intercept applied: [rows][columns]; file: opened by iso_slice_open. */
iso_status iso_slice_pixels(iso_dicom *file, const iso_slice *slice, float *value, iso_error *err);
iso_status iso_slice_read(const iso_slice *slice, float *value, iso_error *err);
/* Opens the file, reads, closes. */
iso_status iso_slice_read(const iso_slice *slice, float *value, iso_error *err);
void iso_stack_free(iso_stack *s);

/* The last part of a path, without slashes at its end. */
void iso_stack_source(const char *path, char *name, size_t size);

#endif
