/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The fast way through the image for lines that lie in one plane parallel to the z axis: a sheaf. Where the plane meets the
 * grid is worked out once; the kernels make of the image's slab a panel (planes x z), and every line is a walk in that panel, a block of
 * planes at a time. docs/projector.md has the picture, docs/performance.md what it gains. */
#ifndef ISOTRACE_RECON_SHEAF_H
#define ISOTRACE_RECON_SHEAF_H

#include <stdint.h>

#include "recon/joseph.h"

enum {
	ISO_SHEAF_LINES = 512,  /* lines that share one making of the panel, at most */
	ISO_SHEAF_PADDING = 16, /* images have z rows of a multiple of this; panels are as many planes */
	ISO_SHEAF_REACH = 12,   /* voxels that a line may be spread to either side along z */
	ISO_SHEAF_GUARD =
	    48, /* empty rows on either side of a panel: more than a line moves within a block, and reach */
	ISO_SHEAF_STEPS = 18 /* a line that is not steep crosses fewer voxels than this within a block */
};

/* Where the plane of a sheaf meets the grid. */
typedef struct iso_sheaf_walk {
	int axis, first, planes; /* planes first .. first+planes-1 along axis 0 or 1 */
	double start, length;    /* of the line along the axis, in voxels: start, and end - start; 0: along z */
	double across2_mm;       /* squared length seen along z */
	/* [planes, filled up with empty ones to a multiple of ISO_SHEAF_PADDING] the two z rows that a plane lies between: offset in the
	 * image and weight, which holds the part of the slab that the line runs through */
	ptrdiff_t *row[2];
	float *weight[2];
} iso_sheaf_walk;

/* Up to ISO_SHEAF_LINES lines of a sheaf, in the order of how many voxels they cross along z within a block of planes. */
typedef struct iso_sheaf_lines {
	int count;
	int begin[ISO_SHEAF_STEPS + 1];   /* lines begin[n] .. begin[n+1]-1 cross at most n voxels */
	int steps[ISO_SHEAF_LINES];       /* that n */
	uint16_t number[ISO_SHEAF_LINES]; /* of the line among those given */
	float z[ISO_SHEAF_LINES];         /* at the first plane, in voxels */
	float slope[ISO_SHEAF_LINES];     /* voxels per plane */
	float step_mm[ISO_SHEAF_LINES];   /* length between planes */
	float tof[ISO_SHEAF_LINES];       /* distance of the first plane from the TOF bin's centre, in cuts */
	float tof_slope[ISO_SHEAF_LINES]; /* cuts per plane */
	/* with TOF, blocks of planes first_block .. end_block-1 matter */
	int first_block[ISO_SHEAF_LINES], end_block[ISO_SHEAF_LINES];
} iso_sheaf_lines;

/* Lines as they are given: [count] each. */
typedef struct iso_sheaf_ends {
	int count;
	float start_mm[ISO_SHEAF_LINES], end_mm[ISO_SHEAF_LINES]; /* z */
	float tof_centre_mm[ISO_SHEAF_LINES];                     /* as in iso_line; not read without TOF */
	uint16_t number[ISO_SHEAF_LINES];                         /* what iso_sheaf_lines calls the line */
} iso_sheaf_ends;

/* A line that stands for count x count lines, whose starts and ends lie at these distances along z from its own. */
typedef struct iso_axial_spread {
	int count;
	const float *offset_mm; /* [count] */
} iso_axial_spread;

/* What a kernel works with; one per thread. */
typedef struct iso_sheaf_work {
	iso_sheaf_walk walk;
	iso_sheaf_lines lines;
	float *panel; /* (z + 2 guards) x lanes */
	float *sums;  /* ISO_SHEAF_LINES x lanes */
	float *wide;  /* like panel, when lines are spread */
	void *memory;
} iso_sheaf_work;

/* Bytes that a pass forward and one back load and store. */
typedef struct iso_moved_bytes {
	double forward_load, forward_store, back_load, back_store;
} iso_moved_bytes;

typedef struct iso_traffic {
	iso_moved_bytes panel, image;
	size_t panel_bytes, image_bytes; /* where that goes: a thread's panel, the image */
} iso_traffic;

/* A set of kernels for one kind of processor. values[] by number. */
typedef struct iso_kernels {
	const char *name;
	int lanes; /* planes in a block */
	/* Where the plane through (x, y) start and end in mm meets the grid. False when it does not. */
	bool (*sheaf_begin)(const iso_joseph *joseph, const float start_mm[2], const float end_mm[2],
			    iso_sheaf_walk *walk);
	/* Lines that are not steep into work->lines, for the walk in work->walk. */
	void (*sheaf_set_lines)(const iso_joseph *joseph, iso_sheaf_work *work, const iso_sheaf_ends *ends);
	void (*sheaf_forward)(const iso_joseph *joseph, iso_sheaf_work *work, const float *image, float *values);
	/* spread NULL: none. At most ISO_SHEAF_REACH voxels. */
	void (*sheaf_adjoint)(const iso_joseph *joseph, iso_sheaf_work *work, const iso_axial_spread *spread,
			      const float *values, float *image);
	/* Adds what the two would move. */
	void (*sheaf_traffic)(const iso_joseph *joseph, iso_sheaf_work *work, iso_traffic *traffic);
	/* The inner planes of a ray along x or y, in an image whose rows run along z; without step_mm. */
	double (*ray_forward)(const iso_joseph *joseph, const iso_ray *ray, const float *voxels);
	void (*ray_adjoint)(const iso_joseph *joseph, const iso_ray *ray, float value, float *voxels);
} iso_kernels;

/* The fastest set that this processor runs. wanted: "avx512", "avx2", "baseline" or NULL; NULL when it cannot run. */
const iso_kernels *iso_kernels_choose(const char *wanted);

iso_status iso_sheaf_work_create(const int size[3], iso_sheaf_work **out, iso_error *err);
void iso_sheaf_work_free(iso_sheaf_work *work);

/* Is the line from z start to end steeper than the sheaf's plane allows, so that it has to be followed along z? */
static inline bool iso_sheaf_is_steep(const iso_joseph *joseph, const iso_sheaf_walk *walk, float start_mm,
				      float end_mm)
{
	return fabs((double)end_mm - (double)start_mm) / joseph->voxel_mm[2] > fabs(walk->length);
}

#endif
