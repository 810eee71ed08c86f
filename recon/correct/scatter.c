/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/scatter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "isotrace/projector.h"
#include "recon/correct/compton.h"

enum {
	POINTS_AT_ONCE = 16, /* the order of sums depends on it: a constant */
	ANGLES = 1024        /* of scatter, in steps of the cosine */
};
static const double reference_mm2 = 100.0 * 100.0; /* of iso_pair_factor */
static const double least_accepted = 1e-5;

/* From a scatter point to a detector. */
typedef struct leg {
	float along[3]; /* unit vector */
	float distance_mm;
	float cosine;                 /* of incidence; 0: seen from behind */
	float unscattered, scattered; /* g; and g' without the stopping power: cos / R^2 */
	float depth;                  /* integral of mu */
	float emission;               /* integral of the image, counts/s */
} leg;

/* What depends on the angle of scatter. */
typedef struct angle_table {
	float probability[ANGLES + 1]; /* per sr, times the window's acceptance */
	float body[ANGLES + 1];        /* attenuation at the scattered energy over that at 511 keV: in the body, */
	float crystal[ANGLES + 1];     /* in the crystal */
	float least_cosine;            /* nothing below it */
} angle_table;

/* Profiles of the image along a leg as its TOF bins see them: E(u) = integral of x(s) K(u + s) ds at u = (n - zero) step. */
typedef struct profiles {
	double step_mm;
	size_t places, reach; /* nodes of s; of half the kernel */
	size_t nodes;         /* of u: places + 2 reach */
	float *kernel;        /* [2 reach + 1] */
	float *value;         /* [POINTS_AT_ONCE][detectors][nodes] */
} profiles;

typedef struct simulation {
	const iso_scatter_model *model;
	const iso_image *activity;
	iso_pair_table *table;
	iso_tof_kernel tof;
	angle_table angles;
	profiles profiles; /* with TOF */
	leg *legs;         /* [POINTS_AT_ONCE][detectors] */
	float *samples;    /* [threads' turn: POINTS_AT_ONCE][room] */
	size_t room;       /* floats of a point's working space */
	size_t most;       /* samples of a ray */
} simulation;

static void fill_angles(const iso_energy_response *response, angle_table *t)
{
	const double at_511 = iso_energy_accepted(response, ISO_ELECTRON_REST_KEV);
	t->least_cosine = 1;
	for (int n = ANGLES; n >= 0; n--) {
		const double cosine = -1 + 2.0 * n / ANGLES;
		const double energy_kev = iso_compton_energy_kev(ISO_ELECTRON_REST_KEV, cosine);
		const double accepted =
		    at_511 > 0 ? iso_energy_accepted(response, energy_kev) / at_511 * iso_full_relative(energy_kev) : 0;
		t->probability[n] = (float)(iso_compton_density_511(cosine) * accepted);
		t->body[n] = (float)iso_compton_relative(energy_kev);
		t->crystal[n] = (float)iso_crystal_relative(energy_kev);
		if (accepted > least_accepted) t->least_cosine = (float)cosine;
	}
}

static iso_status prepare_profiles(simulation *s, iso_error *err)
{
	profiles *p = &s->profiles;
	const iso_grid *g = &s->activity->grid;
	if (!(s->tof.sigma_mm > 0)) return ISO_OK;
	double diagonal2 = 0;
	for (int k = 0; k < 3; k++) {
		/* a point may lie outside the image */
		const double low = g->origin_mm[k], high = low + g->voxel_mm[k] * (double)g->size[k];
		double least = low, most = high;
		for (size_t n = 0; n < s->model->points.count; n++) {
			least = fmin(least, s->model->points.point[n].at_mm[k]);
			most = fmax(most, s->model->points.point[n].at_mm[k]);
		}
		diagonal2 += (most - least) * (most - least);
	}
	const double sigma = s->tof.sigma_mm, bin = s->tof.bin_mm;
	p->step_mm = sqrt(sigma * sigma + bin * bin / 12) / 4;
	p->places = (size_t)ceil(sqrt(diagonal2) / p->step_mm) + 2;
	p->reach = (size_t)ceil((s->tof.cut_sigmas * sigma + bin / 2) / p->step_mm);
	p->nodes = p->places + 2 * p->reach;
	p->kernel = malloc((2 * p->reach + 1) * sizeof *p->kernel);
	p->value = malloc(POINTS_AT_ONCE * s->model->detectors->count * p->nodes * sizeof *p->value);
	if (!p->kernel || !p->value)
		return iso_fail_memory(err, "scatter", POINTS_AT_ONCE * s->model->detectors->count * p->nodes * 4);
	for (size_t n = 0; n < 2 * p->reach + 1; n++) {
		const double v = ((double)n - (double)p->reach) * p->step_mm, unit = 1 / (sigma * sqrt(2));
		p->kernel[n] = (float)(0.5 * (erf((v + bin / 2) * unit) - erf((v - bin / 2) * unit)));
	}
	return ISO_OK;
}

/* Samples onto places of s, each shared by its two neighbours; then the kernel. */
static void fill_profile(const profiles *p, const iso_map_ray *ray, const float *sample, float *place, float *value)
{
	memset(place, 0, p->places * sizeof *place);
	for (size_t n = 0; n < ray->samples; n++) {
		const double at = (ray->start_mm + ((double)n + 0.5) * ray->step_mm) / p->step_mm;
		const size_t low = (size_t)at;
		if (low + 1 >= p->places) break;
		const float content = sample[n] * (float)ray->step_mm, part = (float)(at - (double)low);
		place[low] += content * (1 - part);
		place[low + 1] += content * part;
	}
	memset(value, 0, p->nodes * sizeof *value);
	/* node n is u = (n - (places - 1) - reach) step, place j is s = j step: u + s = (n + j - (places - 1) - reach) step */
	for (size_t j = 0; j < p->places; j++) {
		if (!(place[j] > 0)) continue;
		float *to = value + (p->places - 1 - j);
		for (size_t k = 0; k < 2 * p->reach + 1; k++) to[k] += place[j] * p->kernel[k];
	}
}

static void fill_leg(simulation *s, const iso_image_point *point, size_t slot, uint32_t detector, float *work)
{
	const iso_scatter_model *m = s->model;
	const double *to = m->detectors->position_mm[detector], *normal = m->detectors->normal[detector];
	leg *l = s->legs + slot * m->detectors->count + detector;
	double along[3], distance2 = 0, cosine = 0;
	for (int k = 0; k < 3; k++) {
		along[k] = to[k] - point->at_mm[k];
		distance2 += along[k] * along[k];
	}
	*l = (leg){0};
	const double distance = sqrt(distance2);
	if (!(distance > 1e-3)) return;
	for (int k = 0; k < 3; k++) {
		along[k] /= distance;
		l->along[k] = (float)along[k];
		cosine += along[k] * normal[k];
	}
	if (!(cosine > 1e-3)) return;
	l->distance_mm = (float)distance;
	l->cosine = (float)cosine;
	l->scattered = (float)(cosine / distance2);
	l->unscattered = (float)(cosine / distance2 * iso_stopping(&m->response, 1, cosine));
	l->depth = (float)(0.1 * iso_map_ray_integral(m->mu, point->at_mm, along, distance));
	const iso_map_ray ray = iso_map_ray_trace(s->activity, point->at_mm, along, distance, work);
	double emission = 0;
	for (size_t n = 0; n < ray.samples; n++) emission += (double)work[n];
	l->emission = (float)(emission * ray.step_mm);
	if (s->tof.sigma_mm > 0)
		fill_profile(&s->profiles, &ray, work, work + s->most,
			     s->profiles.value + (slot * m->detectors->count + detector) * s->profiles.nodes);
}

static float between(const float *value, float at)
{
	const int low = (int)at;
	return value[low] + (value[low + 1] - value[low]) * (at - (float)low);
}

/* value[t] += weight x profile at `at` + t `step`, for those t that lie in it. */
static void add_profile(const float *profile, float last, float weight, float at, float step, int times, float *value)
{
	const float from = step > 0 ? -at / step : (last - at) / step, to = step > 0 ? (last - at) / step : -at / step;
	const int first = from > 0 ? (int)ceilf(from) : 0, end = to < (float)(times - 1) ? (int)floorf(to) : times - 1;
	for (int t = first; t <= end; t++) {
		const float where = at + (float)t * step;
		const int low = where > 0 ? (int)where : 0; /* rounding may leave it just below */
		value[t] += weight * (profile[low] + (profile[low + 1] - profile[low]) * (where - (float)low));
	}
}

/* Adds one leg pair's two terms, weighted, to the pair's values: the image before a in `weight[0]`, before b in `weight[1]`. */
static void add_times(const simulation *s, size_t slot, const uint32_t node[2], const leg *a, const leg *b,
		      const float weight[2], float *value)
{
	const profiles *p = &s->profiles;
	const size_t detectors = s->model->detectors->count;
	const int times = (int)s->table->times;
	const float per_step = 1 / (float)p->step_mm, step = (float)(s->table->stride * s->tof.bin_mm) * per_step;
	const float zero = (float)(p->places - 1 + p->reach), last = (float)p->nodes - 1.01f;
	/* u of the first node of time */
	const float u = -(float)(times / 2) * step - (a->distance_mm - b->distance_mm) / 2 * per_step;
	add_profile(p->value + (slot * detectors + node[0]) * p->nodes, last, weight[0], zero + u, step, times, value);
	add_profile(p->value + (slot * detectors + node[1]) * p->nodes, last, weight[1], zero - u, -step, times, value);
}

/* The two terms' factors without E; false: this way nothing is measured. */
static bool weigh(const simulation *s, const leg *a, const leg *b, float weight[2])
{
	const angle_table *t = &s->angles;
	if (!(a->cosine > 0 && b->cosine > 0)) return false;
	const float cosine = -(a->along[0] * b->along[0] + a->along[1] * b->along[1] + a->along[2] * b->along[2]);
	if (cosine < t->least_cosine) return false;
	float at = (cosine + 1) * (ANGLES / 2.0f);
	if (at > ANGLES - 1e-3f) at = ANGLES - 1e-3f;
	const float density = between(t->probability, at), body = between(t->body, at),
		    crystal = between(t->crystal, at);
	const float depth = (float)s->model->response.optical_depth;
	float stop_a = 1, stop_b = 1;
	if (depth > 0) {
		const float whole = 1 / (1 - expf(-depth));
		stop_a = (1 - expf(-depth * crystal / a->cosine)) * whole;
		stop_b = (1 - expf(-depth * crystal / b->cosine)) * whole;
	}
	weight[0] = density * expf(-a->depth - body * b->depth) * a->unscattered * b->scattered * stop_b;
	weight[1] = density * expf(-b->depth - body * a->depth) * b->unscattered * a->scattered * stop_a;
	return true;
}

/* All pairs of detector a with later ones, for the points at hand. */
static void add_detector(const simulation *s, uint32_t a, size_t first, size_t count)
{
	const uint32_t detectors = s->model->detectors->count, times = s->table->times;
	for (uint32_t b = a + 1; b < detectors; b++) {
		float *value = s->table->value + ((size_t)a * detectors + b) * times;
		for (size_t n = 0; n < count; n++) {
			const leg *from = s->legs + n * detectors + a, *to = s->legs + n * detectors + b;
			if (!(from->emission > 0 || to->emission > 0)) continue;
			float weight[2];
			if (!weigh(s, from, to, weight)) continue;
			const float content = (float)(0.1 * reference_mm2 * s->model->points.point[first + n].content);
			weight[0] *= content;
			weight[1] *= content;
			if (times > 1)
				add_times(s, n, (const uint32_t[]){a, b}, from, to, weight, value);
			else
				*value += weight[0] * from->emission + weight[1] * to->emission;
		}
	}
}

static void simulate(simulation *s)
{
	const iso_scatter_model *m = s->model;
	const uint32_t detectors = m->detectors->count;
	memset(s->table->value, 0, iso_pair_table_values(s->table) * sizeof *s->table->value);
	for (size_t first = 0; first < m->points.count; first += POINTS_AT_ONCE) {
		const size_t rest = m->points.count - first, count = rest < POINTS_AT_ONCE ? rest : POINTS_AT_ONCE;
#pragma omp parallel num_threads(m->threads)
		{
#pragma omp for schedule(dynamic, 1)
			for (size_t n = 0; n < count; n++)
				for (uint32_t d = 0; d < detectors; d++)
					fill_leg(s, m->points.point + first + n, n, d, s->samples + n * s->room);
#pragma omp for schedule(dynamic, 4)
			for (uint32_t a = 0; a < detectors; a++) add_detector(s, a, first, count);
		}
	}
	iso_pair_table_finish(s->table);
}

iso_status iso_scatter_simulate(const iso_scatter_model *model, const iso_image *activity, iso_pair_table *table,
				iso_error *err)
{
	simulation s = {.model = model, .activity = activity, .table = table, .tof = iso_tof_kernel_of(model->tof)};
	fill_angles(&model->response, &s.angles);
	iso_status status = prepare_profiles(&s, err);
	s.most = iso_map_ray_most(activity);
	s.room = s.most + s.profiles.places;
	if (status == ISO_OK) {
		s.legs = malloc(POINTS_AT_ONCE * (size_t)model->detectors->count * sizeof *s.legs);
		s.samples = malloc(POINTS_AT_ONCE * s.room * sizeof *s.samples);
		if (!s.legs || !s.samples)
			status =
			    iso_fail_memory(err, "scatter", POINTS_AT_ONCE * model->detectors->count * sizeof *s.legs);
	}
	if (status == ISO_OK) simulate(&s);
	free(s.legs);
	free(s.samples);
	free(s.profiles.kernel);
	free(s.profiles.value);
	return status;
}
