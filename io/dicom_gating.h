/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Gates in the terms of DICOM: a time slot of an R-R interval, whatever the trigger was. */
#ifndef ISOTRACE_IO_DICOM_GATING_H
#define ISOTRACE_IO_DICOM_GATING_H

#include "io/dicom/dicom_file.h"
#include "isotrace/gating.h"

/* Gates of equal length without gaps, as far as whole ms tell: what one Frame Time can say. Else ISO_BAD_INPUT. */
iso_status iso_gating_check_equal(const iso_gating *gating, const char *file, iso_error *err);

/* PET Series and PET Multi-gated Acquisition (PS3.3 C.8.9.1, C.8.9.3): what all images share. */
void iso_gating_put_pet_series(iso_dcm *dcm, const iso_gating *gating);
/* PET Image (C.8.9.4): the gate of this image. */
void iso_gating_put_pet_image(iso_dcm *dcm, const iso_gating *gating, size_t gate);
/* NM Multi-gated Acquisition (C.8.4.12). */
void iso_gating_put_nm(iso_dcm *dcm, const iso_gating *gating);

#endif
