/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/singles_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

iso_status iso_singles_list_reserve(iso_singles_list *list, size_t more, iso_error *err)
{
	const size_t needed = list->count + more;
	if (needed <= list->room) return ISO_OK;
	const size_t room = needed + needed / 2;
	iso_single *larger = realloc(list->of, room * sizeof *larger);
	if (!larger) return iso_fail_memory(err, "singles", room * sizeof *larger);
	list->of = larger;
	list->room = room;
	return ISO_OK;
}

void iso_singles_list_take(iso_singles_list *list, size_t count)
{
	list->count -= count;
	list->first += count;
	if (list->count) memmove(list->of, list->of + count, list->count * sizeof *list->of);
}

static bool before(const iso_single *a, const iso_single *b)
{
	if (a->time_s != b->time_s) return a->time_s < b->time_s;
	if (a->decay != b->decay) return a->decay < b->decay;
	return a->crystal < b->crystal;
}

void iso_singles_sort(iso_single *singles, size_t count, size_t from)
{
	for (size_t n = from > 0 ? from : 1; n < count; n++) {
		const iso_single single = singles[n];
		size_t at = n;
		for (; at > 0 && before(&single, &singles[at - 1]); at--) singles[at] = singles[at - 1];
		singles[at] = single;
	}
}
