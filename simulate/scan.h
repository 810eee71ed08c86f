/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The two ways to make a scan of a scene. */
#ifndef ISOTRACE_SIMULATE_SCAN_H
#define ISOTRACE_SIMULATE_SCAN_H

#include "isotrace/progress.h"
#include "simulate/transport.h"

/* Every photon of every decay through the electronics. */
iso_status iso_full_scan(const iso_transport *transport, const iso_event_sink *sink, int threads,
			 const iso_progress *progress, iso_simulation_counts *counts, iso_error *err);
/* Trues as they would be recorded if nothing else happened, and randoms by their rate. */
iso_status iso_fast_scan(iso_transport *transport, const iso_event_sink *sink, int threads,
			 const iso_progress *progress, iso_simulation_counts *counts, iso_error *err);

#endif
