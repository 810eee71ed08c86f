/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_NIFTI_H
#define ISOTRACE_NIFTI_H

#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Any 3-D NIfTI-1/2 (.nii, .nii.gz) of integer or float type; scl_slope applied; sform preferred, else qform, neither: ISO_BAD_INPUT. The
 * unit is `unit`: the caller knows whether it reads labels, mu or activity. Sheared affines are refused. */
iso_status iso_nifti_read_image(const char *path, iso_unit unit, iso_image **out, iso_error *err);
/* float32 .nii.gz (int16 for labels that fit); sform and qform in RAS+ as NIfTI wants them. Written whole or not at all. */
iso_status iso_nifti_write_image(const char *path, const iso_image *image, const char *description, iso_error *err);

/* A volume: PATH.nii.gz (3-D or 4-D), its BIDS-PET sidecar PATH.json and, with replicates, PATH_replicates.nii.gz
 * (4-D, replicate slowest). The sidecar is renamed into place last: without it there is no volume. */
iso_status iso_volume_write(const char *path, const iso_volume *volume, iso_error *err);
/* Reads the three back. A missing sidecar, a missing unit, a sidecar that contradicts the image: ISO_BAD_INPUT. */
iso_status iso_volume_read(const char *path, iso_volume **out, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
