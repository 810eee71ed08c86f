/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_CORRECT_SINGLES_RANDOMS_H
#define ISOTRACE_RECON_CORRECT_SINGLES_RANDOMS_H

#include "recon/correct/singles_intervals.h"

/* Rates s such that the randoms of pair (a, b) in the span are s[a] s[b]; the window's full width is 2 tau. Counts of a group are shared by
 * its elements as their efficiencies are. s: [elements], the caller's. */
iso_status iso_randoms_from_singles(const iso_counted *counted, iso_span span, double coincidence_window_ns, float *s,
				    iso_error *err);

#endif
