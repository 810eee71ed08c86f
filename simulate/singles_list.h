/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Singles in the order of time, on their way through the electronics: taken at the front, added at the end. */
#ifndef ISOTRACE_SIMULATE_SINGLES_LIST_H
#define ISOTRACE_SIMULATE_SINGLES_LIST_H

#include <stddef.h>

#include "isotrace/status.h"
#include "simulate/single.h"

typedef struct iso_singles_list {
	iso_single *of; /* owned */
	size_t count, room;
	uint64_t first; /* how many were taken away before of[0] */
} iso_singles_list;

/* Room for so many more. */
iso_status iso_singles_list_reserve(iso_singles_list *list, size_t more, iso_error *err);
void iso_singles_list_take(iso_singles_list *list, size_t count);
/* Sorts from the one numbered `from` on, which is nearly done by then: singles come in the order of their decays. */
void iso_singles_sort(iso_single *singles, size_t count, size_t from);

#endif
