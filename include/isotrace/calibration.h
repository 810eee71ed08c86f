/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_CALIBRATION_H
#define ISOTRACE_CALIBRATION_H

#include "isotrace/nuclide.h"
#include "isotrace/progress.h"
#include "isotrace/scanner.h"
#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The factor between the reconstruction's counts/s/mm and Bq/mL, from a phantom of known concentration. Described in
 * docs/calibration.md. */

/* Where the phantom's activity is even: a voxel counts when its centre lies inside. */
typedef enum iso_region_kind { ISO_REGION_SPHERE, ISO_REGION_CYLINDER, ISO_REGION_LABEL } iso_region_kind;
typedef struct iso_calibration_region {
	iso_region_kind kind;
	double centre_mm[3], radius_mm;
	double height_mm;        /* of the cylinder, whose axis is z */
	const iso_image *labels; /* of the label; any grid */
	int label;
} iso_calibration_region;

/* What was filled in. Uncertainties are relative, k = 1. */
typedef struct iso_assayed_phantom {
	double activity_bq, volume_ml;                /* or */
	double concentration_bq_per_ml;               /* one of the two is NAN */
	double assay_utc_s;                           /* the moment for which they hold */
	double assay_uncertainty, volume_uncertainty; /* volume's: 0 when the concentration was measured */
	double scan_start_utc_s;                      /* NAN: as the volume states it */
} iso_assayed_phantom;

typedef struct iso_calibration {
	double factor;      /* Bq/mL = counts/s/mm x factor / branching fraction: as of a nuclide of branching 1 */
	double uncertainty; /* relative, k = 1: the four below together; that of the branching fraction is not in it */
	double u_assay, u_volume, u_noise, u_half_life; /* NAN = not known */
	char scanner_name[64], scanner_hash[65];        /* hash "" = not known */
	char nuclide[16];
	double branching_fraction, branching_uncertainty /* relative */, half_life_s; /* that were used */
	double scan_utc_s;                                                            /* when the phantom was scanned */
	double assay_utc_s, concentration_bq_per_ml;                                  /* as assayed */
	double expected_bq_per_ml; /* at the moment to which the image belongs */
	/* of the region, in counts/s/mm */
	size_t voxels;
	double region_ml, mean, sd, lowest, highest;
	double slices_deviation;     /* the largest relative deviation of a slice's mean from the mean of all */
	double earlier_factor;       /* with which the image was in Bq/mL already; NAN = none */
	iso_corrections corrections; /* of the image */
	char image[256], image_sha256[65], software[64];
} iso_calibration;

/* frame: number from 0. ISO_BAD_INPUT: nuclide or times not known, region empty or without activity. progress for notes; may be NULL. */
iso_status iso_calibrate(const iso_volume *volume, size_t frame, const iso_assayed_phantom *phantom,
			 const iso_calibration_region *region, const iso_progress *progress, iso_calibration *out,
			 iso_error *err);

/* Is it of this scanner, and of images corrected like this one? Another scanner; attenuation, scatter or normalisation corrected in one and
 * not in the other: ISO_BAD_INPUT. Noted: other changes of the scanner, other randoms, dead time or normalisation, more than a year between
 * the scans. *uncertainty: relative, k = 1, with that of the calibration's branching fraction when nuclide is another one. */
iso_status iso_calibration_check(const iso_calibration *calibration, const iso_scanner *scanner,
				 const iso_acquisition *acquisition, const iso_nuclide *nuclide,
				 const iso_corrections *corrections, const iso_progress *progress, double *uncertainty,
				 iso_error *err);

iso_status iso_calibration_write(const char *path, const iso_calibration *calibration, iso_error *err);
iso_status iso_calibration_read(const char *path, iso_calibration *out, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
