/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the activity of a voxel that several organs share is divided among them: docs/quantification.md has the equations. */
#ifndef ISOTRACE_QUANT_SHARES_H
#define ISOTRACE_QUANT_SHARES_H

#include "isotrace/organs.h"

typedef struct iso_shares iso_shares;

/* Finds the voxels that must be divided; once for all frames. organs must outlive it. */
iso_status iso_shares_begin(const iso_organs *organs, iso_shares **out, iso_error *err);

/* share: caller's, one per entry of organs->fraction: the part of the voxel's activity that is the organ's. voxels: the
 * activity concentration on organs->grid. The shares of one voxel are in [0, 1] and so is their sum; the rest is unlabelled.
 * Values that are no numbers make no error here: whoever sums such voxels gets no number either. */
void iso_shares_of(iso_shares *shares, const float *voxels, float *share);

void iso_shares_end(iso_shares *shares);

#endif
