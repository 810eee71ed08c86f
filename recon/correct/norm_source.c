/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/norm_source.h"

#include <math.h>
#include <stdio.h>

#include "core/error.h"
#include "core/number_text.h"

static const double pi = 3.14159265358979323846;
/* Rings into which the orbit of a rod is cut; the middle of a ring stands for it. */
enum { RINGS = 24 };
/* Lines flatter than this (sine) along a slab do not make a pair count: its edge and evenness would matter too much. */
static const double flattest = 0.2;
/* So that rounding does not decide about lines that pass at just the limit. */
static const double slack_mm = 1e-4;

iso_norm_source iso_norm_source_default(iso_norm_source_kind kind)
{
	return (iso_norm_source){.kind = kind, .length_mm = (double)INFINITY, .rod_radius_mm = 1, .positions = 1};
}

iso_status iso_norm_source_check(const iso_norm_source *s, iso_error *err)
{
	const bool plane = s->kind == ISO_NORM_PLANE, line = s->kind == ISO_NORM_LINE;
	if ((int)s->kind < 0 || s->kind > ISO_NORM_PLANE)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "use one of iso_norm_source_kind", "source %d", (int)s->kind);
	if (!isfinite(s->centre_mm[0] + s->centre_mm[1] + s->centre_mm[2]) || !(s->length_mm > 0))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "state a length > 0 mm and a centre in mm",
				"a source of length %g mm", s->length_mm);
	if (!plane && !(s->radius_mm > 0 && s->radius_mm < 1e5))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "state the radius in mm", "a source of radius %g mm",
				s->radius_mm);
	if (line && !(s->rod_radius_mm > 0 && s->rod_radius_mm < s->radius_mm))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "state the rod's radius, below that of its orbit",
				"a rod of radius %g mm on an orbit of %g mm", s->rod_radius_mm, s->radius_mm);
	if (line && s->mu_per_cm != 0)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "leave it out", "the attenuation of a thin rod");
	if (plane &&
	    (!(s->width_mm > 0 && s->width_mm < 1e5) || !(s->thickness_mm > 0 && s->thickness_mm < s->width_mm)))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "state width and thickness in mm",
				"a plane source %g mm wide and %g mm thick", s->width_mm, s->thickness_mm);
	if (plane && (s->positions < 1 || s->positions > ISO_NORM_MOST_PIECES || !isfinite(s->angle_deg)))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 1 to 64 positions", "a plane source in %u positions",
				s->positions);
	if (!(s->mu_per_cm >= 0 && s->mu_per_cm < 50))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give it in 1/cm; water has 0.096",
				"an attenuation of %g per cm", s->mu_per_cm);
	return ISO_OK;
}

void iso_norm_source_text(const iso_norm_source *s, char *text, size_t size)
{
	char length[40] = "longer than the scanner";
	if (isfinite(s->length_mm)) iso_snprintf(length, sizeof length, "%g mm long", s->length_mm);
	if (s->kind == ISO_NORM_CYLINDER)
		iso_snprintf(text, size, "cylinder of radius %g mm, %s, mu %g per cm", s->radius_mm, length,
			     s->mu_per_cm);
	else if (s->kind == ISO_NORM_LINE)
		iso_snprintf(text, size, "rotating line source of radius %g mm on an orbit of %g mm, %s",
			     s->rod_radius_mm, s->radius_mm, length);
	else
		iso_snprintf(text, size,
			     "plane source %g mm wide, %g mm thick, %s, at %u angle%s from %g degrees, mu %g per cm",
			     s->width_mm, s->thickness_mm, length, s->positions, s->positions == 1 ? "" : "s",
			     s->angle_deg, s->mu_per_cm);
}

bool iso_norm_source_is_round(const iso_norm_source *s)
{
	return s->kind != ISO_NORM_PLANE && s->centre_mm[0] == 0 && s->centre_mm[1] == 0;
}

/* p relative to the source's centre, and the way to q, seen along z. */
typedef struct seen {
	double x, y, dx, dy, across2;
} seen;

static bool cross_circle(const seen *line, double radius_mm, double *low, double *high)
{
	const double b = line->x * line->dx + line->y * line->dy;
	const double c = line->x * line->x + line->y * line->y - radius_mm * radius_mm,
		     root = b * b - line->across2 * c;
	if (!(root > 0)) return false;
	*low = (-b - sqrt(root)) / line->across2;
	*high = (-b + sqrt(root)) / line->across2;
	return true;
}

static void add_piece(iso_norm_chords *chords, double low, double high, double weight)
{
	low = fmax(low, 0);
	high = fmin(high, 1);
	if (!(high > low)) return;
	chords->low[chords->count] = low;
	chords->high[chords->count] = high;
	chords->weight[chords->count++] = weight;
}

/* The rod's activity at a distance rho from the orbit's centre, averaged over a turn: the part of the circle rho that the rod covers. */
static double rod_density(const iso_norm_source *s, double rho)
{
	const double r = s->radius_mm, a = s->rod_radius_mm, cosine = (rho * rho + r * r - a * a) / (2 * rho * r);
	return cosine < 1 ? acos(cosine) / pi : 0;
}

/* Rings of even density as differences of discs. */
static void add_rod(const iso_norm_source *s, const seen *line, iso_norm_chords *chords)
{
	const double width = 2 * s->rod_radius_mm / RINGS;
	double inside = 0, low, high;
	for (int n = 0; n <= RINGS; n++) {
		const double edge = s->radius_mm - s->rod_radius_mm + n * width;
		const double outside = n < RINGS ? rod_density(s, edge + width / 2) : 0;
		if (cross_circle(line, edge, &low, &high)) add_piece(chords, low, high, inside - outside);
		inside = outside;
	}
}

/* Returns whether the line crosses the slab from face to face. */
static bool add_slab(const iso_norm_source *s, double angle, const seen *line, iso_norm_chords *chords)
{
	const double along[2] = {cos(angle), sin(angle)}, normal[2] = {-along[1], along[0]};
	const double half[2] = {s->width_mm / 2, s->thickness_mm / 2};
	double low = 0, high = 1, faces = 0;
	for (int k = 0; k < 2; k++) {
		const double *axis = k ? normal : along;
		const double at = line->x * axis[0] + line->y * axis[1], step = line->dx * axis[0] + line->dy * axis[1];
		if (step == 0) {
			if (fabs(at) >= half[k]) return false;
			continue;
		}
		const double t1 = (-half[k] - at) / step, t2 = (half[k] - at) / step;
		low = fmax(low, fmin(t1, t2));
		high = fmin(high, fmax(t1, t2));
		if (k) faces = fabs(t2 - t1);
	}
	if (!(high > low)) return false;
	add_piece(chords, low, high, 1.0 / s->positions);
	const double steep = fabs(line->dx * normal[0] + line->dy * normal[1]);
	return high - low > (1 - 1e-9) * faces && steep * steep > flattest * flattest * line->across2;
}

bool iso_norm_chords_of(const iso_norm_source *s, double inner_part, const float *p, const float *q,
			iso_norm_chords *chords)
{
	const seen line = {.x = (double)p[0] - s->centre_mm[0],
			   .y = (double)p[1] - s->centre_mm[1],
			   .dx = (double)q[0] - (double)p[0],
			   .dy = (double)q[1] - (double)p[1],
			   .across2 = ((double)q[0] - (double)p[0]) * ((double)q[0] - (double)p[0]) +
				      ((double)q[1] - (double)p[1]) * ((double)q[1] - (double)p[1])};
	chords->count = 0;
	chords->mu_per_mm = 0.1 * s->mu_per_cm;
	chords->bottom_mm = s->centre_mm[2] - s->length_mm / 2;
	chords->top_mm = s->centre_mm[2] + s->length_mm / 2;
	if (!(line.across2 > 0)) return false;
	bool counts = false;
	if (s->kind == ISO_NORM_PLANE) {
		for (unsigned n = 0; n < s->positions; n++)
			counts |= add_slab(s, pi * (s->angle_deg / 180 + (double)n / s->positions), &line, chords);
		return counts && chords->count > 0;
	}
	const double away = fabs(line.x * line.dy - line.y * line.dx) / sqrt(line.across2);
	if (away > inner_part * s->radius_mm + slack_mm) return false;
	double low, high;
	if (s->kind == ISO_NORM_LINE)
		add_rod(s, &line, chords);
	else if (cross_circle(&line, s->radius_mm, &low, &high))
		add_piece(chords, low, high, 1);
	return chords->count > 0;
}

double iso_norm_integral(const iso_norm_chords *chords, const float *p, const float *q)
{
	const double dx = (double)q[0] - (double)p[0], dy = (double)q[1] - (double)p[1], z = (double)p[2],
		     dz = (double)q[2] - z, length = sqrt(dx * dx + dy * dy + dz * dz);
	double bottom = 0, top = 1; /* of the line, between the source's ends */
	if (dz != 0) {
		const double t1 = (chords->bottom_mm - z) / dz, t2 = (chords->top_mm - z) / dz;
		bottom = fmin(t1, t2);
		top = fmax(t1, t2);
	} else if (z < chords->bottom_mm || z > chords->top_mm)
		return 0;
	double sum = 0, all = 0, cut = 0;
	for (int n = 0; n < chords->count; n++) {
		const double low = fmax(chords->low[n], bottom), high = fmin(chords->high[n], top);
		all += chords->high[n] - chords->low[n];
		if (!(high > low)) continue;
		const double part = (high - low) * length;
		cut += high - low;
		sum += chords->weight[n] * part * (chords->mu_per_mm > 0 ? exp(-chords->mu_per_mm * part) : 1);
	}
	return cut >= 0.5 * all && sum > 0 ? sum : 0;
}
