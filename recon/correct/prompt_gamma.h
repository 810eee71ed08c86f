/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Coincidences of an annihilation photon with a gamma of the same decay. Their directions have nothing to do with one another, so that the
 * rate of the pair (a, b) is the sum over the image's points of
 *     x V d_ref^2 / (4 pi) sum over gammas of Y [ g_a h_b + g_b h_a ]
 * Y: gammas per positron; g: cos / R^2 x stopping power x exp(-integral of mu) at 511 keV, h the same at the gamma's energy times
 * the probability that what it leaves in the crystal is within the window. The units are those of recon/correct/scatter.h: two photons of 511 keV,
 * each into a pair of crystals with a gamma, against one line. */
#ifndef ISOTRACE_RECON_CORRECT_PROMPT_GAMMA_H
#define ISOTRACE_RECON_CORRECT_PROMPT_GAMMA_H

#include "isotrace/nuclide.h"
#include "recon/correct/scatter.h"

/* nuclide: with prompt gammas. The rest as in iso_scatter_simulate; the model's points are not used. */
iso_status iso_prompt_gamma_simulate(const iso_scatter_model *model, const iso_nuclide *nuclide,
				     const iso_image *activity, iso_pair_table *table, iso_error *err);

#endif
