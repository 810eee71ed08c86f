/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The moment to which a PET series is decay-corrected. The standard makes it SeriesTime, and makers put other things there: the
 * end of the reconstruction, the time of an export. Several elements imply it, each by its own way; two that agree are
 * believed. Rules and their source: docs/dicom-in.md. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "io/dicom_in.h"

typedef struct witness {
	const char *name;
	double time_s; /* NAN: says nothing */
} witness;
enum { SERIES, FIRST, FRAME, FACTOR, SCAN, WITNESSES };

static double lambda_of(const iso_pet_clock *c)
{
	return log(2.0) / c->half_life_s;
}

/* Two statements of one moment: times are kept to the second, decay factors to five digits or so. */
static double tolerance_s(const iso_pet_clock *c)
{
	return 1 + (c->half_life_s > 0 ? 2e-5 / lambda_of(c) : 0);
}

/* s from the frame's start at which the activity equals its mean over the frame. */
static double mean_s(const iso_pet_clock *c, double duration_s)
{
	if (!(c->half_life_s > 0)) return duration_s / 2;
	const double x = lambda_of(c) * duration_s;
	return x > 1e-4 ? log(x / -expm1(-x)) / lambda_of(c) : duration_s / 2;
}

/* The common moment that all images imply, NAN when one implies none or they do not agree. */
typedef double (*implication)(const iso_pet_clock *c, size_t image);

static double by_frame_reference(const iso_pet_clock *c, size_t n)
{
	return c->start_s[n] + mean_s(c, c->duration_s[n]) - c->frame_reference_s[n];
}

static double by_factor(const iso_pet_clock *c, size_t n)
{
	return c->start_s[n] + mean_s(c, c->duration_s[n]) - log(c->decay_factor[n]) / lambda_of(c);
}

/* As if the decay within the frame had not been corrected. */
static double by_factor_of_start(const iso_pet_clock *c, size_t n)
{
	return c->start_s[n] - log(c->decay_factor[n]) / lambda_of(c);
}

static double common(const iso_pet_clock *c, implication implied)
{
	const double first_s = implied(c, 0);
	double sum_s = 0;
	for (size_t n = 0; n < c->images; n++) {
		const double time_s = implied(c, n);
		if (!(fabs(time_s - first_s) <= tolerance_s(c))) return (double)NAN;
		sum_s += time_s - first_s;
	}
	return first_s + sum_s / (double)c->images;
}

static double first_start_s(const iso_pet_clock *c)
{
	double first_s = (double)INFINITY;
	for (size_t n = 0; n < c->images; n++) first_s = fmin(first_s, c->start_s[n]);
	return first_s;
}

static bool any_factor(const iso_pet_clock *c)
{
	for (size_t n = 0; n < c->images; n++)
		if (isfinite(c->decay_factor[n])) return true;
	return false;
}

static bool agree(const iso_pet_clock *c, const witness *a, const witness *b)
{
	return fabs(a->time_s - b->time_s) <= tolerance_s(c);
}

/* "SeriesTime +3600 s, DecayFactor +0 s": all that say something, as s after the first image's start. */
static void list(const witness w[WITNESSES], double origin_s, char *text, size_t size)
{
	size_t used = 0;
	text[0] = '\0';
	for (int n = 0; n < WITNESSES; n++)
		if (isfinite(w[n].time_s) && used < size)
			used += (size_t)iso_snprintf(text + used, size - used, "%s%s %+.1f s", used ? ", " : "",
						     w[n].name, w[n].time_s - origin_s);
}

static int voices_of(const iso_pet_clock *c, const witness w[WITNESSES], int n)
{
	int voices = 0;
	for (int m = 0; m < WITNESSES && isfinite(w[n].time_s); m++) voices += agree(c, w + n, w + m);
	return voices;
}

/* The witness with most voices on its side; *divided: two others, or more, agree on another moment. */
static int choose(const iso_pet_clock *c, const witness w[WITNESSES], int *voices, bool *divided)
{
	int best = FIRST;
	for (int n = 0; n < WITNESSES; n++)
		if (voices_of(c, w, n) > voices_of(c, w, best)) best = n;
	*voices = voices_of(c, w, best);
	*divided = false;
	for (int n = 0; n < WITNESSES; n++)
		if (!agree(c, w + n, w + best) && voices_of(c, w, n) > 1) *divided = true;
	return best;
}

iso_status iso_pet_reference_start(const iso_pet_clock *c, const char *path, iso_dicom_in_facts *facts,
				   double *reference_s, iso_error *err)
{
	const double origin_s = first_start_s(c);
	const bool factors = c->half_life_s > 0 && any_factor(c);
	witness w[WITNESSES] = {{"SeriesTime", c->series_s},
				{"first AcquisitionTime", origin_s},
				{"FrameReferenceTime", common(c, by_frame_reference)},
				{"DecayFactor", factors ? common(c, by_factor) : (double)NAN},
				{"GE scan time", c->scan_s}};
	char text[256];
	int voices;
	bool divided, at_start = false;
	/* A series that began after its first image bears the time of something else. */
	if (w[SERIES].time_s > origin_s + tolerance_s(c)) {
		iso_dicom_warn(facts, "SeriesTime is %.0f s after the first image's start and was not used",
			       w[SERIES].time_s - origin_s);
		w[SERIES].time_s = (double)NAN;
	}
	const int best = choose(c, w, &voices, &divided);
	/* The factor is what the values were multiplied with: against it nothing is certain. */
	if (factors && !agree(c, w + FACTOR, w + best)) {
		const witness start = {"DecayFactor", common(c, by_factor_of_start)};
		at_start = agree(c, &start, w + best);
		if (!at_start) divided = true;
	}
	list(w, origin_s, text, sizeof text);
	if (voices < 2 || divided)
		return iso_fail(
		    err, ISO_BAD_INPUT, path,
		    "reconstruct or export the series anew; the decay cannot be undone without its reference",
		    "it is not certain to which moment the decay is corrected (START): seconds after the "
		    "first image's start: %s%s",
		    text, factors && !isfinite(w[FACTOR].time_s) ? ", DecayFactor: contradicts them" : "");
	double longest_s = 0;
	for (size_t n = 0; n < c->images; n++) longest_s = fmax(longest_s, c->duration_s[n]);
	if (at_start) {
		/* mean over the frame against the activity at its start: half the decay within it */
		const double missing = lambda_of(c) * longest_s / 2;
		if (missing > 0.005)
			return iso_fail(err, ISO_BAD_INPUT, path, "export the series with its decay fully corrected",
					"DecayFactor does not hold the decay within the frames (%.1f %%)",
					100 * missing);
		iso_dicom_warn(facts, "DecayFactor does not hold the decay within the frames: up to %.2f %%",
			       100 * missing);
	}
	*reference_s = w[best].time_s;
	for (int n = 0; n < WITNESSES; n++)
		if (isfinite(w[n].time_s) && n != FIRST && !agree(c, w + n, w + best)) {
			iso_dicom_warn(facts,
				       "%s implies another moment of decay correction than %s: seconds after the "
				       "first image's start: %s",
				       w[n].name, w[best].name, text);
			break;
		}
	return ISO_OK;
}

iso_status iso_pet_reference_admin(const iso_pet_clock *c, const char *path, iso_dicom_in_facts *facts,
				   double *reference_s, iso_error *err)
{
	if (!isfinite(c->injection_s))
		return iso_fail(err, ISO_BAD_INPUT, path, "export the series with the injection, or corrected to START",
				"the decay is corrected to the injection (ADMIN), whose time is not known");
	*reference_s = c->injection_s;
	if (!(c->half_life_s > 0) || !any_factor(c)) {
		iso_dicom_warn(facts, "the decay is corrected to the injection (ADMIN) and no DecayFactor confirms it");
		return ISO_OK;
	}
	const double implied_s = common(c, by_factor);
	if (fabs(implied_s - c->injection_s) <= tolerance_s(c)) return ISO_OK;
	return iso_fail(
	    err, ISO_BAD_INPUT, path,
	    "reconstruct or export the series anew; the decay cannot be undone without its reference",
	    "the decay is said to be corrected to the injection (ADMIN), but DecayFactor implies a moment %.0f s "
	    "from it",
	    implied_s - c->injection_s);
}
