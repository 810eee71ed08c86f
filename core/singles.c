/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/singles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/events.h"

iso_status iso_singles_create(uint32_t elements, uint32_t groups, size_t intervals, double interval_s,
			      iso_singles **out, iso_error *err)
{
	*out = NULL;
	if (elements < 1 || groups < 1 || intervals < 1 || intervals > ISO_MOST_SINGLES_COUNTS / groups)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "count in longer intervals or larger groups",
				"singles of %u elements in %u groups and %zu intervals are none, or too many", elements,
				groups, intervals);
	iso_singles *singles = calloc(1, sizeof *singles);
	if (!singles) return iso_fail_memory(err, "singles", sizeof *singles);
	*singles =
	    (iso_singles){.interval_s = interval_s, .intervals = intervals, .elements = elements, .groups = groups};
	singles->group = calloc(elements, sizeof *singles->group);
	singles->counts = calloc(intervals * groups, sizeof *singles->counts);
	if (!singles->group || !singles->counts) {
		iso_singles_free(singles);
		return iso_fail_memory(err, "counts of singles", (elements + intervals * groups) * sizeof(uint32_t));
	}
	*out = singles;
	return ISO_OK;
}

iso_status iso_singles_copy(const iso_singles *singles, iso_singles **out, iso_error *err)
{
	const iso_status status =
	    iso_singles_create(singles->elements, singles->groups, singles->intervals, singles->interval_s, out, err);
	if (status != ISO_OK) return status;
	memcpy((*out)->group, singles->group, singles->elements * sizeof *singles->group);
	memcpy((*out)->counts, singles->counts, singles->intervals * singles->groups * sizeof *singles->counts);
	return ISO_OK;
}

void iso_singles_free(iso_singles *singles)
{
	if (!singles) return;
	free(singles->group);
	free(singles->counts);
	free(singles);
}

size_t iso_singles_intervals(double duration_s, double interval_s)
{
	/* a millionth of an interval is rounding of the two numbers and no interval of its own */
	return (size_t)fmin(fmax(1, ceil(duration_s / interval_s - 1e-6)), 1e15);
}

iso_status iso_singles_check(const iso_singles *singles, const iso_scanner *scanner, double duration_s,
			     const char *file, iso_error *err)
{
	static const char remedy[] = "give every element a group and every second of the acquisition an interval";
	if (singles->elements != scanner->elements)
		return iso_fail(err, ISO_BAD_INPUT, file, remedy, "singles of %u elements for a scanner of %u",
				singles->elements, scanner->elements);
	for (uint32_t e = 0; e < singles->elements; e++)
		if (singles->group[e] >= singles->groups)
			return iso_fail(err, ISO_BAD_INPUT, file, remedy,
					"element %u belongs to group %u of the singles; there are %u groups", e,
					singles->group[e], singles->groups);
	if (!(singles->interval_s > 0) || !isfinite(singles->interval_s) ||
	    (isfinite(duration_s) && singles->intervals != iso_singles_intervals(duration_s, singles->interval_s)))
		return iso_fail(err, ISO_BAD_INPUT, file, remedy,
				"singles in %zu intervals of %g s for an acquisition of %g s", singles->intervals,
				singles->interval_s, duration_s);
	return ISO_OK;
}

uint64_t iso_singles_total(const iso_singles *singles)
{
	uint64_t total = 0;
	for (size_t n = 0; n < singles->intervals * singles->groups; n++) total += singles->counts[n];
	return total;
}

const iso_singles *iso_events_singles(const iso_events *events)
{
	return events->singles;
}

void iso_events_set_singles(iso_events *events, iso_singles *singles)
{
	iso_singles_free(events->singles);
	events->singles = singles;
}
