/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_CORRECT_SINGLES_INTERVALS_H
#define ISOTRACE_RECON_CORRECT_SINGLES_INTERVALS_H

#include <math.h>

#include "isotrace/singles.h"
#include "isotrace/volume.h"

/* Singles and what they belong to. */
typedef struct iso_counted {
	const iso_scanner *scanner;
	const iso_singles *singles;
	double end_s; /* of the acquisition, which cuts the last interval; INFINITY: not known */
} iso_counted;

/* The part of an interval that lies in a frame. */
typedef struct iso_interval_part {
	double interval_s; /* that the interval's counts took */
	double start_s, overlap_s;
} iso_interval_part;

static inline iso_interval_part iso_interval_in_frame(const iso_counted *c, size_t number, const iso_frame *frame)
{
	const double begin = (double)number * c->singles->interval_s,
		     end = fmin(begin + c->singles->interval_s, c->end_s);
	const double low = fmax(begin, frame->start_s), high = fmin(end, frame->start_s + frame->duration_s);
	return (iso_interval_part){
	    .interval_s = fmax(end - begin, 1e-9), .start_s = low, .overlap_s = high > low ? high - low : 0};
}

#endif
