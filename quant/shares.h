/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the activity of a voxel that several organs share is divided among them. */
#ifndef ISOTRACE_QUANT_SHARES_H
#define ISOTRACE_QUANT_SHARES_H

#include "isotrace/organs.h"

/* share: caller's, one per entry of organs->fraction: the part of the voxel's activity that is the organ's. voxels: the
 * activity concentration on organs->grid. docs/quantification.md has the equations. */
iso_status iso_shares_of_activity(const iso_organs *organs, const float *voxels, float *share, iso_error *err);

#endif
