/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The scanner as it is in a frame: with the normalisation's efficiencies and components, and with what its blocks lose to dead time. */
#ifndef ISOTRACE_RECON_CORRECT_DETECTOR_H
#define ISOTRACE_RECON_CORRECT_DETECTOR_H

#include "isotrace/recon.h"
#include "recon/span.h"

typedef struct iso_detector {
	iso_scanner *scanner; /* owned; what lines and the sensitivity image are to take */
	double live;          /* of an average pair in the frame at hand: a factor of T */
	/* over all frames so far */
	double least_live, most_live;
	/* for itself */
	const iso_recon_options *options;
	iso_events *events;
	float *normalised; /* [elements] efficiencies without dead time; as the three below NULL where not needed */
	float *relative;   /* [elements] live fractions in scanner */
	float *next;       /* of the frame that is looked at */
} iso_detector;

/* What the corrections need and do not have. */
iso_status iso_detector_check(iso_events *events, const iso_recon_options *options, iso_error *err);
/* Both are borrowed. */
iso_status iso_detector_create(iso_events *events, const iso_recon_options *options, iso_detector *out, iso_error *err);
void iso_detector_release(iso_detector *detector);
/* Goes to the time of an image. *changed: the scanner is another one, and the sensitivity image with it. */
iso_status iso_detector_set_frame(iso_detector *detector, iso_span span, bool *changed, iso_error *err);
/* ISO_RANDOMS_SINGLES of the span, of which `part` of the events are at hand. rates: [elements]. */
iso_status iso_detector_randoms(const iso_detector *detector, iso_span span, double part, float *rates, iso_error *err);
/* The texts of normalisation and dead time; randoms only where they are from singles. */
void iso_detector_say(const iso_detector *detector, iso_corrections *corrections);

#endif
