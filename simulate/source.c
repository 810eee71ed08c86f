/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/source.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "simulate/draw.h"

#define LN2 0.6931471805599453

/* activity_bq exp(-rate_per_s t) of one organ; an uptake that rises has terms below zero. */
typedef struct term {
	double activity_bq, rate_per_s;
	size_t organ;
} term;

/* The shapes of an organ share its terms; wholes is the shape's whole volume over the organ's. */
typedef struct place {
	size_t first, last; /* terms */
	double wholes;
} place;

struct iso_source {
	const iso_scene *scene;
	double decay_per_s;
	bool changes;
	size_t terms, places;
	term *term;         /* those of an organ together, organs in order */
	place *place;       /* one per shape */
	double *cumulative; /* [places] of the shapes' weights while nothing changes, last = 1 */
};

void iso_source_free(iso_source *source)
{
	if (!source) return;
	free(source->term);
	free(source->place);
	free(source->cumulative);
	free(source);
}

/* Each term of an uptake, decay-corrected to the injection, as activity at the start of the scan. */
static void set_terms(iso_source *source)
{
	const iso_scene *scene = source->scene;
	const double waited_s = scene->start_utc_s - scene->injection_utc_s;
	term *to = source->term;
	for (size_t o = 0; o < scene->phantom.organs; o++) {
		const iso_phantom_organ *organ = &scene->phantom.organ[o];
		if (organ->terms == 0)
			*to++ =
			    (term){.activity_bq = organ->activity_bq, .rate_per_s = source->decay_per_s, .organ = o};
		for (size_t k = 0; k < organ->terms; k++) {
			const double own = LN2 / organ->term[k].half_life_s; /* 0: constant */
			const double rate = own + source->decay_per_s;
			const double at_injection =
			    organ->term[k].percent_id_per_g / 100 * organ->mass_g * scene->injected_bq;
			*to++ =
			    (term){.activity_bq = at_injection * exp(-rate * waited_s), .rate_per_s = rate, .organ = o};
			source->changes |= own > 0;
		}
	}
}

static void set_places(iso_source *source, const iso_body *body)
{
	for (size_t s = 0; s < source->places; s++) {
		place *to = &source->place[s];
		while (to->first < source->terms && source->term[to->first].organ != body->shape[s].organ) to->first++;
		to->last = to->first;
		while (to->last < source->terms && source->term[to->last].organ == body->shape[s].organ) to->last++;
		to->wholes = body->shape[s].whole_ml / source->scene->phantom.organ[body->shape[s].organ].volume_ml;
	}
}

/* All weights are relative to the nuclide's decay, which all organs share. */
static double weight(const iso_source *source, const place *at, double time_s)
{
	double sum = 0;
	for (size_t k = at->first; k < at->last; k++) {
		const double own = source->term[k].rate_per_s - source->decay_per_s;
		sum += own > 0 ? source->term[k].activity_bq * exp(-own * time_s) : source->term[k].activity_bq;
	}
	return fmax(sum, 0) * at->wholes;
}

iso_status iso_source_create(const iso_scene *scene, const iso_body *body, double decay_per_s, iso_source **out,
			     iso_error *err)
{
	*out = NULL;
	iso_source *source = calloc(1, sizeof *source);
	if (!source) return iso_fail_memory(err, "a source", sizeof *source);
	source->scene = scene;
	source->decay_per_s = decay_per_s;
	source->places = body->shapes;
	for (size_t o = 0; o < scene->phantom.organs; o++)
		source->terms += scene->phantom.organ[o].terms ? scene->phantom.organ[o].terms : 1;
	source->term = calloc(source->terms, sizeof *source->term);
	source->place = calloc(source->places, sizeof *source->place);
	source->cumulative = calloc(source->places, sizeof *source->cumulative);
	if (!source->term || !source->place || !source->cumulative) {
		iso_source_free(source);
		return iso_fail_memory(err, "a source", body->shapes * sizeof(place));
	}
	set_terms(source);
	set_places(source, body);
	double sum = 0;
	for (size_t s = 0; s < source->places; s++) source->cumulative[s] = sum += weight(source, &source->place[s], 0);
	for (size_t s = 0; s < source->places; s++) source->cumulative[s] /= sum;
	*out = source;
	return ISO_OK;
}

bool iso_source_changes(const iso_source *source)
{
	return source->changes;
}

static double organ_sum(const iso_source *source, size_t organ, bool all,
			double (*value)(const term *, const double[2]), const double times_s[2])
{
	double sum = 0;
	for (size_t k = 0; k < source->terms; k++)
		if (all || source->term[k].organ == organ) sum += value(&source->term[k], times_s);
	return sum;
}

static double activity(const term *t, const double times_s[2])
{
	return t->activity_bq * exp(-t->rate_per_s * times_s[0]);
}

static double decays(const term *t, const double times_s[2])
{
	const double span_s = times_s[1] - times_s[0];
	return activity(t, times_s) * (t->rate_per_s > 0 ? -expm1(-t->rate_per_s * span_s) / t->rate_per_s : span_s);
}

double iso_source_activity_bq(const iso_source *source, double time_s)
{
	return organ_sum(source, 0, true, activity, (double[2]){time_s, time_s});
}

double iso_source_organ_activity_bq(const iso_source *source, size_t organ, double time_s)
{
	return organ_sum(source, organ, false, activity, (double[2]){time_s, time_s});
}

double iso_source_decays(const iso_source *source, double from_s, double to_s)
{
	return organ_sum(source, 0, true, decays, (double[2]){from_s, to_s});
}

double iso_source_organ_decays(const iso_source *source, size_t organ, double from_s, double to_s)
{
	return organ_sum(source, organ, false, decays, (double[2]){from_s, to_s});
}

static double within(double time_s, double from_s, double to_s)
{
	/* the last moment still belongs to it */
	return fmin(fmax(time_s, from_s), to_s * (1 - 1e-15));
}

/* Inverse of one exponential's distribution function. */
static double moment_of_decay_s(double lambda, double from_s, double to_s, double fraction)
{
	const double exponent = lambda * (to_s - from_s);
	return from_s + (exponent < 1e-9 ? fraction * (to_s - from_s) : -log1p(fraction * expm1(-exponent)) / lambda);
}

double iso_source_moment_s(const iso_source *source, double from_s, double to_s, double fraction)
{
	if (!source->changes)
		return within(moment_of_decay_s(source->decay_per_s, from_s, to_s, fraction), from_s, to_s);
	/* The decays until t grow with t, so that halving finds them; 60 halvings leave nothing of a double. */
	const double wanted = fraction * iso_source_decays(source, from_s, to_s);
	double low = from_s, high = to_s;
	for (int i = 0; i < 60; i++) {
		const double middle = 0.5 * (low + high);
		if (iso_source_decays(source, from_s, middle) < wanted)
			low = middle;
		else
			high = middle;
	}
	return within(low, from_s, to_s);
}

double iso_source_draw_time_s(const iso_source *source, iso_random *random, double from_s, double to_s)
{
	if (!source->changes) return iso_source_moment_s(source, from_s, to_s, draw_uniform(random));
	/* No activity in between exceeds that of the rising terms' end and the falling terms' start. A slice is short against
	 * the half-lives where there are many decays, so that nearly every moment is taken. */
	double bound = 0, time_s;
	for (size_t k = 0; k < source->terms; k++) {
		const double at_s = source->term[k].activity_bq > 0 ? from_s : to_s;
		bound += activity(&source->term[k], (double[2]){at_s, at_s});
	}
	do {
		time_s = from_s + (to_s - from_s) * draw_uniform(random);
	} while (draw_uniform(random) * bound >= iso_source_activity_bq(source, time_s));
	return within(time_s, from_s, to_s);
}

size_t iso_source_shape(const iso_source *source, double time_s, double u)
{
	size_t s = 0;
	if (!source->changes) {
		while (s + 1 < source->places && source->cumulative[s] < u) s++;
		return s;
	}
	double left = 0;
	for (size_t i = 0; i < source->places; i++) left += weight(source, &source->place[i], time_s);
	left *= u;
	for (; s + 1 < source->places; s++) {
		left -= weight(source, &source->place[s], time_s);
		if (left < 0) break;
	}
	return s;
}
