/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which parts of a scan belong to which gate, from the times of its triggers. */
#ifndef ISOTRACE_GATES_H
#define ISOTRACE_GATES_H

#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_gate_wish {
	size_t gates; /* 2 to 1000 */
	iso_trigger trigger;
	iso_framing framing;                      /* share or time */
	double shortest_cycle_s, longest_cycle_s; /* shorter and longer cycles are rejected; NAN: no limit */
} iso_gate_wish;

/* Gates of a scan. */
typedef struct iso_gate_plan {
	iso_gating gating;  /* owned; all of it is known but for limits that nobody set */
	iso_frame *stretch; /* owned; when gate 0 was collected, then gate 1, ...; each gate's in order, in whole ms */
	size_t *first; /* [gates + 1], owned: gate g's are stretch[first[g]] to stretch[first[g + 1]], not included */
} iso_gate_plan;

/* A cycle goes from a trigger to the next one, and counts when it lies in the scan (0 to scan_s) as a whole. trigger_s: ascending, s from the
 * start of the acquisition. A gate is the same part of every cycle (share), or the same time after every trigger (time: a part of the
 * mean cycle, cut off by the next trigger; what is left of longer cycles belongs to no gate). Limits are rounded to
 * whole ms, which events count. ISO_BAD_INPUT: no cycle is accepted, gates shorter than a ms, a gate that no cycle reaches, triggers that do not
 * ascend; ISO_BAD_USAGE: wishes that make no sense. */
iso_status iso_gate_plan_make(const double *trigger_s, size_t triggers, double scan_s, const iso_gate_wish *wish,
			      iso_gate_plan *out, iso_error *err);
/* Also after a failure. */
void iso_gate_plan_release(iso_gate_plan *plan);

/* Reads a table of triggers (CSV) with a column time_s or time_ms, from the start of the acquisition; to be freed. ISO_BAD_INPUT
 * names the line: no number, not later than the one above. */
iso_status iso_trigger_table_read(const char *path, double **trigger_s, size_t *count, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
