/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Linear filters of images, planned once and applied many times. */
#ifndef ISOTRACE_RECON_FILTER_H
#define ISOTRACE_RECON_FILTER_H

#include "isotrace/recon.h"

/* The image is continued by its mirror image at every face (voxel -1 equals voxel 0), so nothing wraps around, the sum is
 * kept, and the filter is a symmetric matrix: its own adjoint. In that continuation the discrete cosine transform
 * (FFTW's REDFT10 and REDFT01) makes the filter a multiplication; no padding is needed.
 *
 * A Gaussian's weights are the Gaussian at the voxel centres, normalised: never negative, unlike the inverse transform of a
 * Gaussian cut off at the Nyquist frequency. Each line of voxels is transformed by itself with a plan for one thread: the
 * bits do not depend on the number of threads. */
typedef struct iso_filter_plan iso_filter_plan;

iso_status iso_filter_plan_create(const iso_filter *filter, const iso_grid *grid, int threads, iso_filter_plan **out,
				  iso_error *err);
/* In place. One plan serves one caller at a time. */
void iso_filter_plan_apply(iso_filter_plan *plan, float *voxels);
void iso_filter_plan_free(iso_filter_plan *plan);

/* Values that make sense, else ISO_BAD_USAGE. */
iso_status iso_filter_check(const iso_filter *filter, iso_error *err);
/* "Gaussian 2.5 mm FWHM", "" for none. */
void iso_filter_text(const iso_filter *filter, char *text, size_t size);

#endif
