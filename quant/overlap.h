/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which part of one voxel of a source grid lies in which voxels of a target grid. The parts of a voxel always sum to one
 * minus what lies outside the target, so that no volume is gained or lost. */
#ifndef ISOTRACE_QUANT_OVERLAP_H
#define ISOTRACE_QUANT_OVERLAP_H

#include "isotrace/image.h"

/* Along one axis of the source: its index n covers target indices first[n], first[n] + 1 ... with the lengths
 * part[start[n] .. start[n+1]) as fractions of the source's edge. */
typedef struct iso_overlap_axis {
	int target_axis;
	size_t *start, *first; /* owned, [size + 1], [size] */
	double *part;          /* owned */
} iso_overlap_axis;

typedef struct iso_overlap {
	iso_grid source, target;
	bool aligned; /* the axes of both are parallel, in any order and sign: parts are exact */
	iso_overlap_axis axis[3];
	/* Otherwise: part of a voxel by points, points[a] along the source's axis a, each for an equal volume. */
	int points[3];
	double corner[3], along[3][3]; /* target index of source voxel (0,0,0) and its step per source index */
	double (*offset)[3];           /* owned: of every point from its voxel's centre, in target indices */
} iso_overlap;

iso_status iso_overlap_begin(const iso_grid *source, const iso_grid *target, iso_overlap *overlap, iso_error *err);
void iso_overlap_end(iso_overlap *overlap);
/* Adds weight x part to sum[target voxel] for source voxel (i,j,k). Returns the part that lies inside the target. low and high
 * are extended to the target indices touched. */
double iso_overlap_add(const iso_overlap *overlap, const size_t voxel[3], double weight, double *sum, size_t low[3],
		       size_t high[3]);

#endif
