/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_GANTRY_H
#define ISOTRACE_GANTRY_H

#include <stddef.h>
#include <stdint.h>

#include "isotrace/events.h"
#include "isotrace/listmode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a SPECT detector stands, and when. With the angle a (0: at the patient's back, +90 degrees: at the left side, as DICOM counts)
 * its outward direction is d = (sin a, cos a, 0) in patient coordinates, its centre lies at radius_mm d, and a detector pixel at
 * (u, v, w) of the scanner's table lies at radius_mm d + u (-cos a, sin a, 0) + v (0, 0, -1) - w d: u runs along the rows of the
 * picture that one who stands behind the detector sees, v down it, w towards the axis. */
typedef struct iso_gantry_position {
	double angle_deg;
	double radius_mm;           /* from the axis of rotation to the detector; NAN = not stated */
	double start_s, duration_s; /* since the start of the acquisition */
	uint32_t detector;          /* which head, from 0 */
} iso_gantry_position;

/* All positions of an acquisition: element[1] of a SPECT event is one's number. */
typedef struct iso_gantry {
	size_t count;
	iso_gantry_position *position; /* owned */
} iso_gantry;

iso_status iso_gantry_create(size_t count, iso_gantry **out, iso_error *err);
iso_status iso_gantry_copy(const iso_gantry *gantry, iso_gantry **out, iso_error *err);
void iso_gantry_free(iso_gantry *gantry);
/* Angles finite, times finite and not negative, radii positive or not stated. */
iso_status iso_gantry_check(const iso_gantry *gantry, const char *file, iso_error *err);

/* The positions that came with a stream of events; NULL: none. Belong to the stream. */
const iso_gantry *iso_events_gantry(const iso_events *events);
/* Gives a stream its positions; takes ownership. */
void iso_events_set_gantry(iso_events *events, iso_gantry *gantry);

/* To be called before the first event is appended; the positions are copied. NULL: none. */
iso_status iso_listmode_set_gantry(iso_listmode_writer *writer, const iso_gantry *gantry, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
