/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_SINGLES_H
#define ISOTRACE_SINGLES_H

#include <stddef.h>
#include <stdint.h>

#include "isotrace/events.h"
#include "isotrace/listmode.h"
#include "isotrace/scanner.h"
#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Photons counted one by one, with a partner in coincidence or not: inside the energy window and not lost to dead time.
 * They are counted per group of elements (a crystal, a block, a module: whatever the scanner counts) and per interval. */
typedef struct iso_singles {
	double
	    interval_s; /* interval n covers [n, n+1) * interval_s since the acquisition's start; the last may be cut by its end */
	size_t intervals;
	uint32_t elements; /* of the scanner: length of group[] */
	uint32_t groups;
	uint32_t *group;  /* owned; [elements]: the group that an element belongs to, below groups */
	uint32_t *counts; /* owned; [intervals x groups] */
} iso_singles;

/* All counts 0, every element in group 0. Refuses more than ISO_MOST_SINGLES_COUNTS numbers. */
#define ISO_MOST_SINGLES_COUNTS (UINT64_C(1) << 28)
iso_status iso_singles_create(uint32_t elements, uint32_t groups, size_t intervals, double interval_s,
			      iso_singles **out, iso_error *err);
iso_status iso_singles_copy(const iso_singles *singles, iso_singles **out, iso_error *err);
void iso_singles_free(iso_singles *singles);

/* As many elements as the scanner, every one in a group that there is, and intervals that cover duration_s (NAN: not
 * checked) with none to spare. */
iso_status iso_singles_check(const iso_singles *singles, const iso_scanner *scanner, double duration_s,
			     const char *file, iso_error *err);
/* How many intervals of interval_s cover duration_s. */
size_t iso_singles_intervals(double duration_s, double interval_s);
/* Sum of all counts. */
uint64_t iso_singles_total(const iso_singles *singles);

/* The singles that came with a stream of events; NULL: none. Belong to the stream. */
const iso_singles *iso_events_singles(const iso_events *events);
/* Gives a stream its singles; takes ownership. */
void iso_events_set_singles(iso_events *events, iso_singles *singles);

/* To be called before iso_listmode_commit; the singles are copied. NULL: none. */
iso_status iso_listmode_set_singles(iso_listmode_writer *writer, const iso_singles *singles, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
