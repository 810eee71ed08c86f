/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Randoms of the events at hand, from delayeds or from singles, as a rate of each element. */
#ifndef ISOTRACE_RECON_CORRECT_ELEMENT_RANDOMS_H
#define ISOTRACE_RECON_CORRECT_ELEMENT_RANDOMS_H

#include "recon/correct/detector.h"
#include "recon/event_store.h"

typedef struct iso_element_randoms {
	float
	    *line_rates; /* s of recon/correct/background.h, in the order of iso_columns.element; NULL: not corrected */
	/* for itself */
	const iso_scanner *scanner; /* as the list-mode has it */
	const iso_detector *detector;
	const iso_columns *columns;
	uint64_t *fan_sums; /* [elements] of the delayeds, where randoms come from them */
	float *rates;       /* [elements] */
} iso_element_randoms;

/* By the method of the detector's options. What it is given is borrowed. */
iso_status iso_element_randoms_create(const iso_scanner *scanner, const iso_detector *detector,
				      const iso_columns *columns, iso_element_randoms *out, iso_error *err);
void iso_element_randoms_release(iso_element_randoms *randoms);
/* Of the events selected in the store: `part` of the span's. */
iso_status iso_element_randoms_find(const iso_element_randoms *randoms, const iso_event_store *store, iso_span span,
				    double part, iso_error *err);

#endif
