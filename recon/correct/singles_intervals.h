/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_CORRECT_SINGLES_INTERVALS_H
#define ISOTRACE_RECON_CORRECT_SINGLES_INTERVALS_H

#include <math.h>

#include "isotrace/nuclide.h"
#include "isotrace/singles.h"
#include "recon/span.h"

/* Singles and what they belong to. */
typedef struct iso_counted {
	const iso_scanner *scanner;
	const iso_singles *singles;
	double end_s; /* of the acquisition, which cuts the last interval; INFINITY: not known */
} iso_counted;

/* What an interval has in common with a span. */
typedef struct iso_interval_part {
	double interval_s; /* that the interval's counts took */
	double start_s;    /* of the first overlap */
	double overlap_s;  /* of all parts */
	double weight_s;   /* integral of the decay over them */
} iso_interval_part;

/* at: the first part of the span that may reach into this interval or a later one; 0 for interval 0, kept by the caller from one to the next.
 * half_life_s: INFINITY for no decay. */
static inline iso_interval_part iso_interval_in_span(const iso_counted *c, size_t number, iso_span span,
						     double half_life_s, size_t *at)
{
	const double begin = (double)number * c->singles->interval_s,
		     end = fmin(begin + c->singles->interval_s, c->end_s);
	iso_interval_part part = {.interval_s = fmax(end - begin, 1e-9)};
	while (*at < span.parts && iso_part_end_s(span.part + *at) <= begin) ++*at;
	for (size_t p = *at; p < span.parts && span.part[p].start_s < end; p++) {
		const double low = fmax(begin, span.part[p].start_s), high = fmin(end, iso_part_end_s(span.part + p));
		if (!(high > low)) continue;
		if (!(part.overlap_s > 0)) part.start_s = low;
		part.overlap_s += high - low;
		part.weight_s += iso_decay_integral_s(half_life_s, low, high - low);
	}
	return part;
}

#endif
