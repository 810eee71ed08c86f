/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The positrons' way: the image holds where nuclei decay, the scanner sees where positrons annihilate. In the lung that is
 * three times as far as in water and takes activity out of the organ and into it. docs/reconstruction.md has the model. */
#ifndef ISOTRACE_RECON_POSITRON_RANGE_H
#define ISOTRACE_RECON_POSITRON_RANGE_H

#include "core/positron.h"
#include "isotrace/image.h"

typedef struct iso_range_model iso_range_model;

/* mu: 1/cm at 511 keV, any grid; what it says of density is taken from there. */
iso_status iso_range_model_create(const iso_grid *grid, const iso_image *mu, const iso_positron_range *range,
				  iso_range_model **out, iso_error *err);
/* y = K x: decays to annihilations. x and y are different images. */
void iso_range_model_forward(const iso_range_model *model, const float *x, float *y);
/* x = K' y. */
void iso_range_model_adjoint(const iso_range_model *model, const float *y, float *x);
void iso_range_model_free(iso_range_model *model);

#endif
