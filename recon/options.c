/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "isotrace/recon.h"

iso_recon_options iso_recon_options_default(void)
{
	return (iso_recon_options){.frames = 1,
				   .iterations = 4,
				   .subsets = 8,
				   .beta_mm2 = 1,
				   .gamma = 2,
				   .relaxation = 0.1,
				   .decay_correction = true,
				   .dead_time_factor = (double)NAN,
				   .dead_time_ns = (double)NAN,
				   .coincidence_window_ns = (double)NAN,
				   .calibration_factor = (double)NAN,
				   .calibration_uncertainty = (double)NAN,
				   .scatter_updates = 3,
				   .energy_window_kev = {(double)NAN, (double)NAN},
				   .energy_resolution = (double)NAN,
				   .randoms = ISO_RANDOMS_NONE};
}
