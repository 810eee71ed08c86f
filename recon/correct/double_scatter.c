/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/double_scatter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/correct/compton.h"

enum {
	POINTS = 120,   /* what is scattered twice changes less from place to place than what is scattered once */
	DIRECTIONS = 6, /* of each point */
	SHIFTS = 1024
};
static const double reference_mm2 = 100.0 * 100.0; /* of iso_pair_factor */
static const double pi = 3.14159265358979323846;
static const double least_accepted = 1e-5;
/* frac(n a), frac(n b), frac(n c) fill the cube evenly: 1/g, 1/g^2, 1/g^3 with g^4 = g + 1 (M. Roberts). */
static const double even[3] = {0.8191725133961645, 0.6710436067037893, 0.5497004779019703};

/* From a point to a detector. */
typedef struct leg {
	float along[3];
	float depth, cosine, solid; /* integral of mu; of incidence (0: seen from behind); cos / R^2 */
	float unscattered;          /* E exp(-M) g */
} leg;

/* By the shift of the wavelength in units of Compton's, sum of 1 - cos. */
typedef struct shift_table {
	float step, most;           /* beyond most nothing is measured */
	float accepted[SHIFTS + 1]; /* in the window, over that at 511 keV */
	float body[SHIFTS + 1], crystal[SHIFTS + 1];
} shift_table;

/* From S1 along w to S2. */
typedef struct way {
	float along[3];
	float weight;  /* mu V dw x optical depth of the whole ray */
	float between; /* E_12 exp(-M_12) */
	float depth;   /* M_12 */
	uint32_t to;   /* point that stands for S2 */
} way;

typedef struct simulation {
	const iso_scatter_model *model;
	const iso_image *activity;
	iso_image_points points;
	shift_table shifts;
	leg *legs;           /* [points][detectors] */
	way way[DIRECTIONS]; /* of the point at hand */
	float *again;        /* [DIRECTIONS][detectors]: shift from w to a detector, seen from S2; > most: none */
	float *first, *last; /* [DIRECTIONS][detectors]: h of S1 along -w, of S2 along w */
	float *rate;         /* [detectors][detectors] */
	float *mu, *x;       /* samples of rays: [points][most] */
	size_t most_mu, most_x;
} simulation;

static void fill_shifts(const iso_energy_response *response, shift_table *t)
{
	const double at_511 = iso_energy_accepted(response, ISO_ELECTRON_REST_KEV);
	t->most = 0;
	t->step = 4.0f / SHIFTS; /* two scatters backwards */
	for (int n = 0; n <= SHIFTS; n++) {
		const double kev = ISO_ELECTRON_REST_KEV / (1 + (double)t->step * n);
		const double accepted =
		    at_511 > 0 ? iso_energy_accepted(response, kev) / at_511 * iso_full_relative(kev) : 0;
		t->accepted[n] = (float)accepted;
		t->body[n] = (float)iso_compton_relative(kev);
		t->crystal[n] = (float)iso_crystal_relative(kev);
		if (accepted > least_accepted && n < SHIFTS) t->most = t->step * (float)n;
	}
}

static float between(const float *value, float at)
{
	const int low = (int)at;
	return value[low] + (value[low + 1] - value[low]) * (at - (float)low);
}

static float dot(const float *a, const float *b)
{
	return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void fill_leg(const simulation *s, size_t point, uint32_t detector, float *sample)
{
	const iso_scatter_model *m = s->model;
	const iso_image_point *from = s->points.point + point;
	leg *l = s->legs + point * m->detectors->count + detector;
	double along[3], distance2 = 0, cosine = 0, emission = 0;
	*l = (leg){0};
	for (int k = 0; k < 3; k++) {
		along[k] = m->detectors->position_mm[detector][k] - from->at_mm[k];
		distance2 += along[k] * along[k];
	}
	const double distance = sqrt(distance2);
	if (!(distance > 1e-3)) return;
	for (int k = 0; k < 3; k++) {
		along[k] /= distance;
		l->along[k] = (float)along[k];
		cosine += along[k] * m->detectors->normal[detector][k];
	}
	if (!(cosine > 1e-3)) return;
	l->cosine = (float)cosine;
	l->solid = (float)(cosine / distance2);
	const double depth = 0.1 * iso_map_ray_integral(m->mu, from->at_mm, along, distance);
	l->depth = (float)depth;
	const iso_map_ray ray = iso_map_ray_trace(s->activity, from->at_mm, along, distance, sample);
	for (size_t n = 0; n < ray.samples; n++) emission += (double)sample[n];
	l->unscattered =
	    (float)(emission * ray.step_mm * exp(-depth) * cosine / distance2 * iso_stopping(&m->response, 1, cosine));
}

static float stopping(const iso_energy_response *r, float relative, float cosine)
{
	const float depth = (float)r->optical_depth;
	return depth > 0 ? (1 - expf(-depth * relative / cosine)) / (1 - expf(-depth)) : 1;
}

/* Escape and detection of a photon whose wavelength is shifted by `shift`. */
static float seen(const simulation *s, const leg *l, float shift)
{
	const shift_table *t = &s->shifts;
	const float at = shift / t->step;
	return between(t->accepted, at) * expf(-between(t->body, at) * l->depth) * l->solid *
	       stopping(&s->model->response, between(t->crystal, at), l->cosine);
}

/* Klein and Nishina's differential cross-section, in units of r_e^2, of a photon that was shifted by `before` and is by `shift` more. */
static float differential(float before, float shift)
{
	const float p = (1 + before) / (1 + before + shift), cosine = 1 - shift;
	return 0.5f * p * p * (p + 1 / p - 1 + cosine * cosine);
}

static float unit_cross_section(void)
{
	return (float)(differential(0, 0.5f) / (float)iso_compton_density_511(0.5));
}

static uint32_t nearest(const iso_image_points *points, const double at[3])
{
	uint32_t best = 0;
	double least = (double)INFINITY;
	for (size_t n = 0; n < points->count; n++) {
		double d2 = 0;
		for (int k = 0; k < 3; k++) {
			const double d = points->point[n].at_mm[k] - at[k];
			d2 += d * d;
		}
		if (d2 < least) least = d2, best = (uint32_t)n;
	}
	return best;
}

static double fraction(double v)
{
	return v - floor(v);
}

/* The n-th of all ways, which starts at a point. */
static void fill_way(const simulation *s, size_t point, size_t n, float *mu, float *x, way *w)
{
	const iso_image_point *from = s->points.point + point;
	const double z = 1 - 2 * fraction((double)(n + 1) * even[0]),
		     turn = 2 * pi * fraction((double)(n + 1) * even[1]);
	const double along[3] = {sqrt(1 - z * z) * cos(turn), sqrt(1 - z * z) * sin(turn), z}, far = 1e6;
	*w = (way){.along = {(float)along[0], (float)along[1], (float)along[2]}};
	const iso_map_ray ray = iso_map_ray_trace(s->model->mu, from->at_mm, along, far, mu);
	double whole = 0, depth = 0, end = ray.start_mm;
	for (size_t k = 0; k < ray.samples; k++) whole += 0.1 * (double)mu[k] * ray.step_mm;
	if (!(whole > 0)) return;
	const double wanted = whole * fraction((double)(n + 1) * even[2]);
	for (size_t k = 0; k < ray.samples && depth < wanted; k++) {
		const double piece = 0.1 * (double)mu[k] * ray.step_mm, part = fmin((wanted - depth) / piece, 1);
		if (!(piece > 0)) {
			end += ray.step_mm;
			continue;
		}
		depth += part * piece;
		end += part * ray.step_mm;
	}
	const double at[3] = {from->at_mm[0] + end * along[0], from->at_mm[1] + end * along[1],
			      from->at_mm[2] + end * along[2]};
	const iso_map_ray active = iso_map_ray_trace(s->activity, from->at_mm, along, end, x);
	double emission = 0;
	for (size_t k = 0; k < active.samples; k++) emission += (double)x[k] * active.step_mm;
	w->weight = (float)(0.1 * reference_mm2 * from->content * 4 * pi / DIRECTIONS * whole);
	w->between = (float)(emission * exp(-depth));
	w->depth = (float)depth;
	w->to = nearest(&s->points, at);
}

/* h of the last scatter of a photon of 511 keV along w (sign -1: -w), and its shift; of all detectors. */
static void fill_last(const simulation *s, size_t point, const way *w, float sign, float *h, float *shifts)
{
	const uint32_t detectors = s->model->detectors->count;
	const float unit = unit_cross_section(), most = s->shifts.most;
	for (uint32_t d = 0; d < detectors; d++) {
		const leg *l = s->legs + point * detectors + d;
		const float shift = l->cosine > 0 ? fmaxf(1 - sign * dot(w->along, l->along), 0) : 2 * most;
		h[d] = shift < most ? differential(0, shift) / unit * seen(s, l, shift) : 0;
		if (shifts) shifts[d] = shift;
	}
}

static void prepare_point(simulation *s, size_t point)
{
	const uint32_t detectors = s->model->detectors->count;
#pragma omp parallel for num_threads(s->model->threads) schedule(static, 1)
	for (int k = 0; k < DIRECTIONS; k++) {
		way *w = s->way + k;
		fill_way(s, point, point * DIRECTIONS + (size_t)k, s->mu + (size_t)k * s->most_mu,
			 s->x + (size_t)k * s->most_x, w);
		if (!(w->weight > 0)) continue;
		fill_last(s, point, w, -1, s->first + (size_t)k * detectors, NULL);
		fill_last(s, w->to, w, 1, s->last + (size_t)k * detectors, s->again + (size_t)k * detectors);
	}
}

/* One photon to detector a without scatter, the other by S1 and S2. */
static void add_same_photon(const simulation *s, size_t point, int k, uint32_t a, float *row)
{
	const way *w = s->way + k;
	const uint32_t detectors = s->model->detectors->count;
	const leg *from = s->legs + point * detectors + a, *to = s->legs + (size_t)w->to * detectors;
	const float turned = fmaxf(1 + dot(w->along, from->along), 0), most = s->shifts.most;
	if (!(from->unscattered > 0) || !(turned < most)) return;
	const float unit = unit_cross_section();
	const float weight = w->weight * from->unscattered * differential(0, turned) / (unit * unit) *
			     expf(-between(s->shifts.body, turned / s->shifts.step) * w->depth);
	const float *again = s->again + (size_t)k * detectors;
	for (uint32_t b = 0; b < detectors; b++)
		if (turned + again[b] < most)
			row[b] += weight * differential(turned, again[b]) * seen(s, to + b, turned + again[b]);
}

static void add_point(simulation *s, size_t point)
{
	const uint32_t detectors = s->model->detectors->count;
#pragma omp parallel for num_threads(s->model->threads) schedule(dynamic, 8)
	for (uint32_t a = 0; a < detectors; a++) {
		float *row = s->rate + (size_t)a * detectors;
		for (int k = 0; k < DIRECTIONS; k++) {
			const way *w = s->way + k;
			if (!(w->weight > 0)) continue;
			const float *last = s->last + (size_t)k * detectors;
			/* half: each pair of points comes twice */
			const float first = 0.5f * w->weight * w->between * s->first[(size_t)k * detectors + a];
			for (uint32_t b = 0; b < detectors && first > 0; b++) row[b] += first * last[b];
			add_same_photon(s, point, k, a, row);
		}
	}
}

static void simulate(simulation *s, iso_pair_table *table)
{
	const iso_scatter_model *m = s->model;
	const uint32_t detectors = m->detectors->count;
	for (size_t point = 0; point < s->points.count; point++) {
#pragma omp parallel for num_threads(m->threads) schedule(static, 1)
		for (uint32_t part = 0; part < DIRECTIONS; part++)
			for (uint32_t d = part; d < detectors; d += DIRECTIONS)
				fill_leg(s, point, d, s->x + part * s->most_x);
	}
	for (size_t point = 0; point < s->points.count; point++) {
		prepare_point(s, point);
		add_point(s, point);
	}
	for (size_t a = 0; a < detectors; a++)
		for (size_t b = a + 1; b < detectors; b++)
			table->value[a * detectors + b] = s->rate[a * detectors + b] + s->rate[b * detectors + a];
	iso_pair_table_finish(table);
}

iso_status iso_double_scatter_simulate(const iso_scatter_model *model, const iso_image *activity, iso_pair_table *table,
				       iso_error *err)
{
	simulation s = {.model = model, .activity = activity};
	memset(table->value, 0, iso_pair_table_values(table) * sizeof *table->value);
	iso_status status = iso_image_points_create(model->mu, POINTS, &s.points, err);
	if (status != ISO_OK || s.points.count == 0) return status;
	const size_t detectors = model->detectors->count;
	fill_shifts(&model->response, &s.shifts);
	s.most_mu = iso_map_ray_most(model->mu);
	s.most_x = iso_map_ray_most(activity);
	s.legs = malloc(s.points.count * detectors * sizeof *s.legs);
	s.first = malloc(DIRECTIONS * detectors * sizeof *s.first);
	s.last = malloc(DIRECTIONS * detectors * sizeof *s.last);
	s.again = malloc(DIRECTIONS * detectors * sizeof *s.again);
	s.rate = calloc(detectors * detectors, sizeof *s.rate);
	s.mu = malloc(DIRECTIONS * s.most_mu * sizeof *s.mu);
	s.x = malloc(DIRECTIONS * s.most_x * sizeof *s.x);
	if (s.legs && s.first && s.last && s.again && s.rate && s.mu && s.x)
		simulate(&s, table);
	else
		status = iso_fail_memory(err, "scatter", s.points.count * detectors * sizeof *s.legs);
	free(s.legs);
	free(s.first);
	free(s.last);
	free(s.again);
	free(s.rate);
	free(s.mu);
	free(s.x);
	iso_image_points_free(&s.points);
	return status;
}
