/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IMAGE_H
#define ISOTRACE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where voxels lie. Patient coordinates are DICOM's LPS+ in mm. Voxel (i,j,k)'s centre is
 *     origin_mm + direction[0]*voxel_mm[0]*i + direction[1]*voxel_mm[1]*j + direction[2]*voxel_mm[2]*k
 * with direction[axis] the unit vector along which that index grows. The reconstruction works on
 * grids whose direction is the identity; readers may deliver any orthonormal one. */
typedef struct iso_grid {
	size_t size[3];      /* voxels along i (fastest in memory), j, k */
	double voxel_mm[3];  /* voxel edge lengths, > 0 */
	double origin_mm[3]; /* centre of voxel (0,0,0) */
	double direction[3][3];
} iso_grid;

/* What a voxel value is. */
typedef enum iso_unit {
	ISO_UNIT_UNKNOWN = 0,
	ISO_UNIT_BQ_PER_ML,       /* activity concentration */
	ISO_UNIT_COUNTS_PER_S_MM, /* uncalibrated reconstruction: expected counts/s per mm of a line of response */
	ISO_UNIT_PER_CM,          /* linear attenuation coefficient */
	ISO_UNIT_LABEL,           /* whole-number organ labels */
	ISO_UNIT_FRACTION,        /* 0..1 */
	ISO_UNIT_MM,              /* sensitivity: summed weighted line lengths */
	ISO_UNIT_HU               /* CT: 1000 (mu / mu of water - 1) at the tube's energies */
} iso_unit;

/* The unit as written into files: "Bq/mL", "counts/s/mm (uncalibrated)", "1/cm", "label", "fraction", "mm", "HU",
 * "unknown". Never NULL. */
const char *iso_unit_text(iso_unit unit);
iso_unit iso_unit_from_text(const char *text);

/* One volume in memory; voxels are x fastest: voxels[i + size[0]*(j + size[1]*k)]. */
typedef struct iso_image {
	iso_grid grid;
	iso_unit unit;
	float *voxels; /* owned */
} iso_image;

/* A grid with identity direction whose centre of volume is at centre_mm. */
iso_grid iso_grid_centred(const size_t size[3], const double voxel_mm[3], const double centre_mm[3]);

size_t iso_grid_voxels(const iso_grid *grid);
double iso_grid_voxel_ml(const iso_grid *grid);
bool iso_grid_is_axis_aligned(const iso_grid *grid);       /* identity direction within 1e-6 */
bool iso_grid_equal(const iso_grid *a, const iso_grid *b); /* same size; mm within 1e-4 */
void iso_grid_point_mm(const iso_grid *grid, const double index[3], double point_mm[3]);
void iso_grid_index(const iso_grid *grid, const double point_mm[3], double index[3]); /* inverse; fractional */
/* Sizes >= 1 and not overflowing, voxel edges finite and > 0, direction orthonormal; else ISO_BAD_INPUT. */
iso_status iso_grid_check(const iso_grid *grid, const char *file, iso_error *err);

/* A zero-filled image. Free with iso_image_free. */
iso_status iso_image_create(const iso_grid *grid, iso_unit unit, iso_image **out, iso_error *err);
void iso_image_free(iso_image *image);

/* Resamples: along an axis where the target is coarser, by averaging weighted with the overlap in volume; where it is not,
 * by linear interpolation between voxel centres. Outside the source: outside_value, in proportion. Exact for grids
 * whose axes are parallel, also flipped or exchanged; else by averaging trilinear samples, two per source voxel
 * along each axis. The unit is kept; not meant for labels. */
iso_status iso_image_resample(const iso_image *source, const iso_grid *target, float outside_value, iso_image **out,
			      iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
