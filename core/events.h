/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What lies behind an iso_events: for sources that must recognise their own streams. */
#ifndef ISOTRACE_CORE_EVENTS_H
#define ISOTRACE_CORE_EVENTS_H

#include "isotrace/events.h"
#include "isotrace/gantry.h"
#include "isotrace/singles.h"

struct iso_events {
	const iso_events_methods *methods;
	void *self;
	iso_scanner *scanner;
	iso_acquisition acquisition;
	iso_singles *singles; /* NULL: none */
	iso_gantry *gantry;   /* NULL: none */
};

#endif
