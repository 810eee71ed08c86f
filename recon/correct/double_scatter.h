/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Coincidences whose photons were scattered twice in the body, by the same physics as single scatter (recon/correct/scatter.h), in its units:
 *     both photons once: 1/2 sum over S1 of d_ref^2 mu V int dw int ds mu E_12 exp(-M_12) h(S1, -w -> a) h(S2, w -> b) and a, b exchanged
 *     one of them twice: sum over S1 of d_ref^2 mu V E_a exp(-M_a) g_a int dw p(a -> w) int ds mu exp(-rho M_12) h(S2, w -> b) and a, b exchanged
 * w: direction from S1, along which S2 lies at s; h: p exp(-rho M) g' of the last scatter. The wavelengths' shifts of two scatters of one photon
 * add up. E_12: integral of the image between S1 and S2. Without TOF. */
#ifndef ISOTRACE_RECON_CORRECT_DOUBLE_SCATTER_H
#define ISOTRACE_RECON_CORRECT_DOUBLE_SCATTER_H

#include "recon/correct/scatter.h"

/* activity: coarse, counts/s/mm. table: of the model's detectors, of one time, is overwritten. The same bits for any number of threads. */
iso_status iso_double_scatter_simulate(const iso_scatter_model *model, const iso_image *activity, iso_pair_table *table,
				       iso_error *err);

#endif
