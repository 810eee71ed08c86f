/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the background holds, to be set against a measurement or a simulation that knows it. */
#ifndef ISOTRACE_RECON_CORRECT_BACKGROUND_PROFILES_H
#define ISOTRACE_RECON_CORRECT_BACKGROUND_PROFILES_H

#include "recon/correct/background.h"

/* Counts of the terms as they are now, summed over TOF bins and all pairs that may count: over all of them where they are at most 8 million, else over
 * an even sample of 8 million. T: scale_s. The same bits for any number of threads. */
iso_status iso_background_profiles(const iso_background *background, double scale_s, iso_background_totals *totals,
				   iso_error *err);

#endif
