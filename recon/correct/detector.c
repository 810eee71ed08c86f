/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/detector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "core/number_text.h"
#include "isotrace/time.h"
#include "recon/correct/dead_time.h"
#include "recon/correct/singles_randoms.h"

/* Live fractions of blocks that are within this of those at hand leave the scanner as it is: 0.1 % of a pair. */
static const double least_change = 5e-4;
static const double year_s = 365.25 * 86400;

static double or_else(double stated, double otherwise)
{
	return isnan(stated) ? otherwise : stated;
}

static iso_dead_time_law dead_time_of(const iso_scanner *scanner, const iso_recon_options *o)
{
	const bool decays = o->nuclide && o->decay_correction;
	return (iso_dead_time_law){.model = o->dead_time_model ? o->dead_time_model : scanner->dead_time_model,
				   .dead_time_s = 1e-9 * or_else(o->dead_time_ns, scanner->dead_time_ns),
				   .half_life_s = decays ? o->nuclide->half_life_s : (double)INFINITY};
}

static double window_ns(const iso_scanner *scanner, const iso_recon_options *o)
{
	return or_else(o->coincidence_window_ns, scanner->coincidence_window_ns);
}

static iso_counted counted_of(const iso_detector *d)
{
	const double duration_s = iso_events_acquisition(d->events)->duration_s;
	return (iso_counted){.scanner = d->scanner,
			     .singles = iso_events_singles(d->events),
			     .end_s = duration_s > 0 ? duration_s : (double)INFINITY};
}

static iso_status check_dead_time(const iso_scanner *scanner, const iso_recon_options *o, iso_error *err)
{
	const iso_dead_time_law dt = dead_time_of(scanner, o);
	if (!isnan(o->dead_time_factor))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "choose one of them",
				"dead time from singles and by a factor");
	if (!iso_scanner_blocks(scanner))
		return iso_fail(
		    err, ISO_BAD_INPUT, NULL, "state block_crystals in the list-mode, or give --dead-time-factor",
		    "dead time from singles: scanner '%s' does not say which crystals make a block", scanner->name);
	if (dt.model == ISO_DEAD_TIME_NONE || !(dt.dead_time_s >= 0 && dt.dead_time_s < 1))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --dead-time-ns and --dead-time-model",
				"dead time from singles: scanner '%s' does not state its %s", scanner->name,
				dt.model == ISO_DEAD_TIME_NONE ? "model" : "dead time");
	return ISO_OK;
}

iso_status iso_detector_check(iso_events *events, const iso_recon_options *o, iso_error *err)
{
	const iso_scanner *scanner = iso_events_scanner(events);
	const bool dead = o->dead_time == ISO_DEAD_TIME_FROM_SINGLES, randoms = o->randoms == ISO_RANDOMS_SINGLES;
	if ((dead || randoms) && !iso_events_singles(events))
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				dead ? "give --dead-time-factor, or list-mode with singles"
				     : "use --randoms delayed or none, or list-mode with singles",
				"%s from singles: the list-mode holds no singles", dead ? "dead time" : "randoms");
	if (randoms && !(window_ns(scanner, o) > 0 && window_ns(scanner, o) < 1e6))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --coincidence-window-ns (full width)",
				"randoms from singles: scanner '%s' does not state its coincidence window",
				scanner->name);
	return dead ? check_dead_time(scanner, o, err) : ISO_OK;
}

static void note_age(const iso_detector *d)
{
	const iso_progress *progress = d->options->progress;
	const double made_s = d->options->normalisation->start_utc_s,
		     scan_s = iso_events_acquisition(d->events)->start_utc_s;
	const double apart_s = scan_s - made_s;
	if (apart_s < 0 || apart_s > year_s)
		iso_note(progress, "the normalisation was scanned %.0f days %s this scan", ceil(fabs(apart_s) / 86400),
			 apart_s < 0 ? "after" : "before");
}

iso_status iso_detector_create(iso_events *events, const iso_recon_options *options, iso_detector *out, iso_error *err)
{
	*out = (iso_detector){
	    .options = options, .events = events, .live = 1, .least_live = (double)INFINITY, .most_live = 0};
	iso_status status = iso_scanner_copy(iso_events_scanner(events), &out->scanner, err);
	if (status == ISO_OK && options->normalisation) {
		status = iso_normalisation_apply(options->normalisation, out->scanner, err);
		if (status == ISO_OK) note_age(out);
	}
	if (status != ISO_OK || options->dead_time != ISO_DEAD_TIME_FROM_SINGLES) return status;
	const size_t elements = out->scanner->elements;
	out->normalised = malloc(elements * sizeof *out->normalised);
	out->relative = malloc(elements * sizeof *out->relative);
	out->next = malloc(elements * sizeof *out->next);
	if (!out->normalised || !out->relative || !out->next)
		return iso_fail_memory(err, "dead time", 3 * elements * sizeof *out->next);
	memcpy(out->normalised, out->scanner->efficiency, elements * sizeof *out->normalised);
	for (size_t e = 0; e < elements; e++) out->relative[e] = 1;
	return ISO_OK;
}

void iso_detector_release(iso_detector *d)
{
	iso_scanner_free(d->scanner);
	free(d->normalised);
	free(d->relative);
	free(d->next);
	*d = (iso_detector){0};
}

iso_status iso_detector_set_frame(iso_detector *d, iso_span span, bool *changed, iso_error *err)
{
	*changed = false;
	if (!d->relative) return ISO_OK;
	const iso_counted counted = counted_of(d);
	const iso_dead_time_law dt = dead_time_of(d->scanner, d->options);
	iso_live live = {.element = d->next};
	const iso_status status = iso_dead_time_live(&counted, &dt, span, &live, err);
	if (status != ISO_OK) return status;
	d->live = live.pair;
	d->least_live = fmin(d->least_live, live.pair);
	d->most_live = fmax(d->most_live, live.pair);
	for (uint32_t e = 0; e < d->scanner->elements && !*changed; e++)
		*changed = fabs((double)d->next[e] - (double)d->relative[e]) > least_change;
	for (uint32_t e = 0; e < d->scanner->elements && *changed; e++) {
		d->relative[e] = d->next[e];
		d->scanner->efficiency[e] = d->normalised[e] * d->relative[e];
	}
	return ISO_OK;
}

iso_status iso_detector_randoms(const iso_detector *d, iso_span span, double part, float *rates, iso_error *err)
{
	/* within a group, elements differ by their efficiencies and not by their blocks' dead time: groups are blocks or smaller */
	const iso_counted counted = counted_of(d);
	return iso_randoms_from_singles(&counted, span, part * window_ns(d->scanner, d->options), rates, err);
}

static void say_normalisation(const iso_detector *d, iso_corrections *c)
{
	const iso_normalisation *n = d->options->normalisation;
	char date[40];
	const char *components = n->components ? ", geometric" : "";
	(void)iso_time_text(n->start_utc_s, date);
	iso_snprintf(c->normalisation, sizeof c->normalisation, "crystal efficiencies%s: %.28s, %.10s, %.3g counts",
		     components, d->options->normalisation_name ? d->options->normalisation_name : "measured",
		     date[0] ? date : "no date", n->prompts);
}

void iso_detector_say(const iso_detector *d, iso_corrections *c)
{
	const iso_recon_options *o = d->options;
	if (o->normalisation) say_normalisation(d, c);
	if (o->randoms == ISO_RANDOMS_SINGLES)
		iso_snprintf(c->randoms, sizeof c->randoms, "singles rates, coincidence window %g ns",
			     window_ns(d->scanner, o));
	if (!d->relative) return;
	const iso_dead_time_law dt = dead_time_of(d->scanner, o);
	iso_snprintf(c->dead_time, sizeof c->dead_time, "singles of blocks, %s, %g ns: pairs live %.4f to %.4f",
		     iso_dead_time_model_text(dt.model), 1e9 * dt.dead_time_s, d->least_live, d->most_live);
}
