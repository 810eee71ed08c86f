/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/gating.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/error.h"

const char *iso_trigger_text(iso_trigger trigger)
{
	return trigger == ISO_TRIGGER_CARDIAC       ? "cardiac"
	       : trigger == ISO_TRIGGER_RESPIRATORY ? "respiratory"
						    : "unknown";
}

iso_trigger iso_trigger_from_text(const char *text)
{
	if (strcmp(text, "cardiac") == 0) return ISO_TRIGGER_CARDIAC;
	if (strcmp(text, "respiratory") == 0) return ISO_TRIGGER_RESPIRATORY;
	return ISO_TRIGGER_UNKNOWN;
}

const char *iso_framing_text(iso_framing framing)
{
	return framing == ISO_FRAMING_SHARE ? "share" : framing == ISO_FRAMING_TIME ? "time" : "unknown";
}

iso_framing iso_framing_from_text(const char *text)
{
	if (strcmp(text, "share") == 0) return ISO_FRAMING_SHARE;
	if (strcmp(text, "time") == 0) return ISO_FRAMING_TIME;
	return ISO_FRAMING_UNKNOWN;
}

static bool is_stated(double value, double least)
{
	return isnan(value) || (isfinite(value) && value >= least);
}

iso_status iso_gating_check(const iso_gating *gating, const char *file, iso_error *err)
{
	if (gating->gates < 2)
		return iso_fail(err, ISO_BAD_INPUT, file, "give at least two gates, or none", "a cycle of one gate");
	for (size_t g = 0; g < gating->gates; g++) {
		const iso_gate *gate = gating->gate + g;
		const bool good = isfinite(gate->start_s) && gate->start_s >= 0 && gate->duration_s > 0 &&
				  isfinite(gate->duration_s) && is_stated(gate->collected_s, 0);
		if (!good || (g && !(gate->start_s > gate[-1].start_s)))
			return iso_fail(err, ISO_BAD_INPUT, file, "state the gates in the order of the cycle, in s",
					"gate %zu begins %g s after the trigger, lasts %g s and was collected for %g s",
					g + 1, gate->start_s, gate->duration_s, gate->collected_s);
	}
	if (!is_stated(gating->cycle_s, 1e-6) || !is_stated(gating->shortest_cycle_s, 0) ||
	    !is_stated(gating->longest_cycle_s, 0) || !is_stated(gating->cycles, 0) ||
	    !is_stated(gating->rejected_cycles, 0) || gating->shortest_cycle_s > gating->longest_cycle_s)
		return iso_fail(err, ISO_BAD_INPUT, file, "state lengths in s, and numbers of 0 or more",
				"%g cycles of %g s, between %g and %g s, and %g others", gating->cycles,
				gating->cycle_s, gating->shortest_cycle_s, gating->longest_cycle_s,
				gating->rejected_cycles);
	return ISO_OK;
}
