/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/prompt_gamma.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "isotrace/projector.h"
#include "recon/correct/compton.h"

enum { POINTS = 300, KERNEL = 256 };
static const double reference_mm2 = 100.0 * 100.0; /* of iso_pair_factor */
static const double pi = 3.14159265358979323846;

/* From a point of the image to a detector. */
typedef struct sight {
	float annihilation, gamma; /* g; sum of Y h */
	float distance_mm;
} sight;

typedef struct simulation {
	const iso_scatter_model *model;
	const iso_prompt_gamma *gamma;
	size_t gammas;
	double *yield, *body, *crystal; /* [gammas]: Y times the acceptance; attenuation over that at 511 keV */
	iso_tof_kernel tof;
	float kernel[KERNEL + 2]; /* a bin's probability, from 0 to where it is cut */
	float reach_mm;           /* there */
	iso_image_points points;
	sight *sights; /* [points][detectors] */
	iso_pair_table *table;
} simulation;

static void fill_sight(const simulation *s, const iso_image_point *point, uint32_t detector, sight *to)
{
	const iso_scatter_model *m = s->model;
	double along[3], distance2 = 0, cosine = 0;
	for (int k = 0; k < 3; k++) {
		along[k] = m->detectors->position_mm[detector][k] - point->at_mm[k];
		distance2 += along[k] * along[k];
	}
	*to = (sight){0};
	const double distance = sqrt(distance2);
	if (!(distance > 1e-3)) return;
	for (int k = 0; k < 3; k++) {
		along[k] /= distance;
		cosine += along[k] * m->detectors->normal[detector][k];
	}
	if (!(cosine > 1e-3)) return;
	const double depth = 0.1 * iso_map_ray_integral(m->mu, point->at_mm, along, distance);
	double gamma = 0;
	for (size_t n = 0; n < s->gammas; n++)
		gamma += s->yield[n] * exp(-s->body[n] * depth) * iso_stopping(&m->response, s->crystal[n], cosine);
	to->distance_mm = (float)distance;
	to->annihilation = (float)(exp(-depth) * iso_stopping(&m->response, 1, cosine) * cosine / distance2);
	to->gamma = (float)(gamma * cosine / distance2);
}

/* The probability of a bin by the distance of its middle, tabulated: pairs, points and bins are many. */
static void fill_kernel(simulation *s)
{
	const double sigma = s->tof.sigma_mm, bin = s->tof.bin_mm, unit = sigma > 0 ? 1 / (sigma * sqrt(2)) : 0;
	if (!(sigma > 0)) return;
	s->reach_mm = (float)(s->tof.cut_sigmas * sigma + bin / 2);
	for (int n = 0; n < KERNEL + 2; n++) {
		const double v = (double)s->reach_mm * n / KERNEL;
		s->kernel[n] = (float)(0.5 * (erf((v + bin / 2) * unit) - erf((v - bin / 2) * unit)));
	}
}

static void add_times(const simulation *s, float rate, float middle_mm, float *value)
{
	const int times = (int)s->table->times, half = times / 2;
	const float step_mm = (float)(s->table->stride * s->tof.bin_mm), scale = KERNEL / s->reach_mm;
	const float low = ceilf((middle_mm - s->reach_mm) / step_mm),
		    high = floorf((middle_mm + s->reach_mm) / step_mm);
	const int first = low > (float)-half ? (int)low : -half, last = high < (float)half ? (int)high : half;
	for (int t = first; t <= last; t++) {
		const float at = fabsf((float)t * step_mm - middle_mm) * scale;
		const int n = at < KERNEL ? (int)at : KERNEL;
		value[t + half] += rate * (s->kernel[n] + (s->kernel[n + 1] - s->kernel[n]) * (at - (float)n));
	}
}

static void add_pair(const simulation *s, uint32_t a, uint32_t b, float *value)
{
	const uint32_t detectors = s->model->detectors->count, times = s->table->times;
	for (size_t n = 0; n < s->points.count; n++) {
		const sight *from = s->sights + n * detectors + a, *to = s->sights + n * detectors + b;
		const float rate = (float)s->points.point[n].content *
				   (from->annihilation * to->gamma + to->annihilation * from->gamma);
		if (!(rate > 0)) continue;
		if (times == 1)
			*value += rate;
		else
			add_times(s, rate, (from->distance_mm - to->distance_mm) / 2, value);
	}
	for (uint32_t t = 0; t < times; t++) value[t] *= (float)(reference_mm2 / (4 * pi));
}

static void simulate(const simulation *s)
{
	const uint32_t detectors = s->model->detectors->count, times = s->table->times;
	float *value = s->table->value;
	memset(value, 0, iso_pair_table_values(s->table) * sizeof *value);
#pragma omp parallel num_threads(s->model->threads)
	{
#pragma omp for schedule(dynamic, 8)
		for (size_t n = 0; n < s->points.count; n++)
			for (uint32_t d = 0; d < detectors; d++)
				fill_sight(s, s->points.point + n, d, s->sights + n * detectors + d);
#pragma omp for schedule(dynamic, 2)
		for (uint32_t a = 0; a < detectors; a++)
			for (uint32_t b = a; b < detectors; b++)
				add_pair(s, a, b, value + ((size_t)a * detectors + b) * times);
	}
	iso_pair_table_finish(s->table);
}

static iso_status weigh_gammas(simulation *s, iso_error *err)
{
	s->yield = malloc((3 * s->gammas + 1) * sizeof *s->yield);
	if (!s->yield) return iso_fail_memory(err, "prompt gammas", 3 * s->gammas * sizeof *s->yield);
	s->body = s->yield + s->gammas;
	s->crystal = s->body + s->gammas;
	for (size_t n = 0; n < s->gammas; n++) {
		const double energy_kev = s->gamma[n].energy_kev;
		s->yield[n] = s->gamma[n].per_positron * iso_gamma_accepted(&s->model->response, energy_kev);
		s->body[n] = iso_compton_relative(energy_kev);
		s->crystal[n] = iso_crystal_relative(energy_kev);
	}
	return ISO_OK;
}

iso_status iso_prompt_gamma_simulate(const iso_scatter_model *model, const iso_nuclide *nuclide,
				     const iso_image *activity, iso_pair_table *table, iso_error *err)
{
	simulation s = {.model = model, .table = table, .tof = iso_tof_kernel_of(model->tof)};
	s.gamma = iso_nuclide_prompt_gammas(nuclide, &s.gammas);
	fill_kernel(&s);
	iso_status status = weigh_gammas(&s, err);
	if (status == ISO_OK) status = iso_image_points_create(activity, POINTS, &s.points, err);
	if (status == ISO_OK) {
		s.sights = malloc((s.points.count * model->detectors->count + 1) * sizeof *s.sights);
		if (!s.sights)
			status = iso_fail_memory(err, "prompt gammas",
						 s.points.count * model->detectors->count * sizeof *s.sights);
	}
	if (status == ISO_OK) simulate(&s);
	iso_image_points_free(&s.points);
	free(s.yield);
	free(s.sights);
	return status;
}
