/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_GATING_H
#define ISOTRACE_GATING_H

#include <stddef.h>

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What begins a cycle. */
typedef enum iso_trigger { ISO_TRIGGER_UNKNOWN = 0, ISO_TRIGGER_CARDIAC, ISO_TRIGGER_RESPIRATORY } iso_trigger;

/* "cardiac", "respiratory" or "unknown". */
const char *iso_trigger_text(iso_trigger trigger);
iso_trigger iso_trigger_from_text(const char *text);

/* What a gate is of a cycle that is longer or shorter than the mean. */
typedef enum iso_framing {
	ISO_FRAMING_UNKNOWN = 0,
	ISO_FRAMING_SHARE, /* the same part of every cycle */
	ISO_FRAMING_TIME   /* the same time after every trigger */
} iso_framing;

/* "share", "time" or "unknown". */
const char *iso_framing_text(iso_framing framing);
iso_framing iso_framing_from_text(const char *text);

/* A part of the cycle; its image is of what was there in this part of all accepted cycles. */
typedef struct iso_gate {
	double start_s, duration_s; /* in the mean cycle, from the trigger on */
	double collected_s;         /* in all accepted cycles together; NAN = not known */
} iso_gate;

/* How a volume's images are gates of a cycle. NAN: not known, and for the limits: none. */
typedef struct iso_gating {
	size_t gates; /* 0: the images are frames in time, and the rest says nothing */
	iso_gate *gate;
	iso_trigger trigger;
	iso_framing framing;
	double cycle_s;                           /* mean length of the accepted cycles */
	double shortest_cycle_s, longest_cycle_s; /* cycles outside were rejected */
	double cycles, rejected_cycles;           /* how many; cycles: the accepted ones */
} iso_gating;

/* At least two gates in order, each with a start and a duration, and nothing negative; else ISO_BAD_INPUT. */
iso_status iso_gating_check(const iso_gating *gating, const char *file, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
