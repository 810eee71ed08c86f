/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Coincidences of which one photon was scattered once in the body, by single-scatter simulation (C. C. Watson, IEEE Trans. Nucl. Sci. 47 (2000)
 * 1587-1594; J. M. Ollinger, Phys. Med. Biol. 41 (1996) 153-176; with time of flight C. C. Watson, IEEE Trans. Nucl. Sci. 54 (2007) 1679-1686).
 *
 * The rate of the pair (a, b), in the units of recon.h (counts/s where a crystal's efficiency is 1), is the sum over scatter points S of
 *     d_ref^2 mu V p(theta) [ E_a exp(-M_a - rho M_b) g_a g'_b + E_b exp(-M_b - rho M_a) g_b g'_a ]
 * mu V: attenuation coefficient times volume of the point; p: probability per sr of the angle; E_a: line integral of the image from S to a;
 * M: of mu; rho: how much larger the body's attenuation is at the scattered energy E'; g = cos / R^2 times the stopping power at 511 keV,
 * g' the same at E' times the probability to be measured in the energy window at E' over that at 511 keV. That is what iso_pair_factor's convention leaves of
 * the geometry: a true line has d_ref^2 cos cos / R^2 times its integral. With TOF, E_a is weighted by the probability that the
 * difference of the two ways is measured in the bin. */
#ifndef ISOTRACE_RECON_CORRECT_SCATTER_H
#define ISOTRACE_RECON_CORRECT_SCATTER_H

#include "recon/correct/coarse_detectors.h"
#include "recon/correct/coarse_map.h"
#include "recon/correct/response.h"

typedef struct iso_scatter_model {
	const iso_tof *tof;
	iso_energy_response response;
	const iso_coarse_detectors *detectors;
	const iso_image *mu;     /* coarse (recon/correct/coarse_map.h), 1/cm */
	iso_image_points points; /* of mu, about 1/cm x mm^3 */
	int threads;
} iso_scatter_model;

/* activity: coarse, counts/s/mm, any grid. table: of the model's detectors, is overwritten. The same bits for any number of threads. */
iso_status iso_scatter_simulate(const iso_scatter_model *model, const iso_image *activity, iso_pair_table *table,
				iso_error *err);

#endif
