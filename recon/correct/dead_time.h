/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What detector blocks lose while they are busy, from the rates of singles that they still record. */
#ifndef ISOTRACE_RECON_CORRECT_DEAD_TIME_H
#define ISOTRACE_RECON_CORRECT_DEAD_TIME_H

#include "isotrace/recon.h"
#include "recon/correct/singles_intervals.h"

/* Fraction of its singles that a block records, when it records `rate_per_s` with a dead time of dead_time_s: non-paralyzable 1 - m tau;
 * paralyzable exp(-n tau), n the smaller solution of m = n exp(-n tau). NAN: no true rate gives that many. */
double iso_live_fraction(iso_dead_time_model model, double dead_time_s, double rate_per_s);

typedef struct iso_dead_time_law {
	iso_dead_time_model model;
	double dead_time_s;
	double half_life_s; /* INFINITY: no weighing by the decay */
} iso_dead_time_law;

/* Live fractions in a span. A pair's is pair * element[a] * element[b]. */
typedef struct iso_live {
	double
	    pair; /* of an average pair: the mean of the squared mean over blocks, over time as the decay weighs it */
	float *element; /* the caller's, [elements]: of the element's block relative to the mean of blocks */
} iso_live;

/* The scanner must state its blocks, singles cover the span. A block that records more than it can: ISO_BAD_INPUT. */
iso_status iso_dead_time_live(const iso_counted *counted, const iso_dead_time_law *dead_time, iso_span span,
			      iso_live *live, iso_error *err);

#endif
