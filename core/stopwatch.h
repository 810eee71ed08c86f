/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_CORE_STOPWATCH_H
#define ISOTRACE_CORE_STOPWATCH_H

#include <time.h>

/* Of a clock that is never set; only differences mean anything. */
static inline double iso_clock_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
