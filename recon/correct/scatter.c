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
	float over_cosine;            /* 1 / that of incidence; 0: seen from behind */
	float unscattered, scattered; /* g; and g' without the stopping power: cos / R^2 */
	float depth;                  /* integral of mu */
	float emission;               /* integral of the image, counts/s */
} leg;

/* What depends on the angle of scatter. */
typedef struct angle {
	float probability;   /* per sr, times the window's acceptance */
	float body, crystal; /* attenuation at the scattered energy over that at 511 keV */
} angle;
typedef struct angle_table {
	angle at[ANGLES + 1];
	float least_cosine; /* nothing below it */
} angle_table;

/* Profiles of the image along a leg as its TOF bins see them: E(u) = integral of x(s) K(u + s) ds at u = (n - zero) step. From one node of time to
 * the next go `phases` nodes, so that all of a pair's times lie equally far between two nodes; node n is row n / phases of phase n % phases, and the
 * times follow each other in memory. */
typedef struct profiles {
	double step_mm;
	size_t places, reach; /* nodes of s; of half the kernel */
	size_t nodes;         /* of u: places + 2 reach */
	size_t phases, rows;
	float *kernel; /* [2 reach + 1] */
	float *value;  /* [detectors][POINTS_AT_ONCE][phases][rows] */
} profiles;

typedef struct simulation {
	const iso_scatter_model *model;
	const iso_image *activity;
	iso_pair_table *table;
	iso_tof_kernel tof;
	angle_table angles;
	profiles profiles; /* with TOF */
	leg *legs;         /* [detectors][POINTS_AT_ONCE] */
	float *samples;    /* [detectors][room] */
	size_t room;       /* floats of a detector's working space */
	size_t most;       /* samples of a ray */
	float depth;       /* of a crystal */
	float over_stop;   /* 1 / what stops there at 511 keV */
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
		t->at[n] = (angle){.probability = (float)(iso_compton_density_511(cosine) * accepted),
				   .body = (float)iso_compton_relative(energy_kev),
				   .crystal = (float)iso_crystal_relative(energy_kev)};
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
	/* a quarter of what the kernel is wide, or less */
	const double time_mm = s->table->stride * bin;
	p->phases = (size_t)fmax(ceil(4 * time_mm / sqrt(sigma * sigma + bin * bin / 12) - 1e-9), 1);
	p->step_mm = time_mm / (double)p->phases;
	p->places = (size_t)ceil(sqrt(diagonal2) / p->step_mm) + 2;
	p->reach = (size_t)ceil((s->tof.cut_sigmas * sigma + bin / 2) / p->step_mm);
	p->nodes = p->places + 2 * p->reach;
	p->rows = (p->nodes + p->phases - 1) / p->phases;
	const size_t values = POINTS_AT_ONCE * s->model->detectors->count * p->phases * p->rows;
	p->kernel = malloc((2 * p->reach + 1) * sizeof *p->kernel);
	p->value = malloc(values * sizeof *p->value);
	if (!p->kernel || !p->value) return iso_fail_memory(err, "scatter", values * sizeof *p->value);
	for (size_t n = 0; n < 2 * p->reach + 1; n++) {
		const double v = ((double)n - (double)p->reach) * p->step_mm, unit = 1 / (sigma * sqrt(2));
		p->kernel[n] = (float)(0.5 * (erf((v + bin / 2) * unit) - erf((v - bin / 2) * unit)));
	}
	return ISO_OK;
}

/* Samples onto places of s, each shared by its two neighbours; then the kernel. work: [places + nodes] */
static void fill_profile(const profiles *p, const iso_map_ray *ray, const float *sample, float *work, float *profile)
{
	float *place = work, *value = work + p->places;
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
	for (size_t phase = 0; phase < p->phases; phase++)
		for (size_t row = 0; row < p->rows; row++, profile++)
			*profile = row * p->phases + phase < p->nodes ? value[row * p->phases + phase] : 0;
}

static float *profile_of(const profiles *p, uint32_t detector, size_t slot)
{
	return p->value + ((size_t)detector * POINTS_AT_ONCE + slot) * p->phases * p->rows;
}

static void fill_leg(simulation *s, const iso_image_point *point, size_t slot, uint32_t detector, float *work)
{
	const iso_scatter_model *m = s->model;
	const double *to = m->detectors->position_mm[detector], *normal = m->detectors->normal[detector];
	leg *l = s->legs + (size_t)detector * POINTS_AT_ONCE + slot;
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
	l->over_cosine = (float)(1 / cosine);
	l->scattered = (float)(cosine / distance2);
	l->unscattered = (float)(cosine / distance2 * iso_stopping(&m->response, 1, cosine));
	l->depth = (float)(0.1 * iso_map_ray_integral(m->mu, point->at_mm, along, distance));
	const iso_map_ray ray = iso_map_ray_trace(s->activity, point->at_mm, along, distance, work);
	double emission = 0;
	for (size_t n = 0; n < ray.samples; n++) emission += (double)work[n];
	l->emission = (float)(emission * ray.step_mm);
	if (s->tof.sigma_mm > 0)
		fill_profile(&s->profiles, &ray, work, work + s->most, profile_of(&s->profiles, detector, slot));
}

typedef float four __attribute__((vector_size(16)));
typedef int32_t four_int __attribute__((vector_size(16)));

/* e^x for x <= 0, within 2e-7 of it and 0 below -87: four at once in a fraction of the time of four calls. The powers of two apart, the polynomial
 * is that of S. L. Moshier's Cephes (expf). */
static four exp_four(four x)
{
	const four_int in_range = x > -87.0f;
	x = (four)((four_int)x & in_range);
	const four_int power = __builtin_convertvector(x * 1.44269504f - 0.5f, four_int);
	const four n = __builtin_convertvector(power, four), r = x - n * 0.693359375f + n * 2.12194440e-4f;
	four p = 1.9875691500e-4f * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	const four y = p * r * r + r + 1.0f;
	return (four)(((four_int)y + power * (1 << 23)) & in_range);
}

/* sum[t] += weight x profile at node `at` + t phases, for those t whose neighbours lie in it. */
static void add_profile(const profiles *p, const float *profile, float weight, float at, int times, float *restrict sum)
{
	const int phases = (int)p->phases, rows = (int)p->rows, low = (int)floorf(at);
	const float part = at - (float)low, left = weight * (1 - part), right = weight * part;
	const int phase = ((low % phases) + phases) % phases, row = (low - phase) / phases;
	const bool wraps = phase + 1 == phases;
	const float *a = profile + phase * rows, *b = wraps ? profile : a + rows;
	const int from = row < 0 ? -row : 0, up = wraps ? 1 : 0;
	const int end = row + up + times > rows ? rows - row - up : times;
	for (int t = from; t < end; t++) sum[t] += left * a[row + t] + right * b[row + up + t];
}

/* The two terms' factors without E; false: this way nothing is measured. */
static bool weigh(const simulation *s, const leg *a, const leg *b, float weight[2])
{
	if (!(a->over_cosine > 0 && b->over_cosine > 0)) return false;
	const float cosine = -(a->along[0] * b->along[0] + a->along[1] * b->along[1] + a->along[2] * b->along[2]);
	if (cosine < s->angles.least_cosine) return false;
	float at = (cosine + 1) * (ANGLES / 2.0f);
	if (at > ANGLES - 1e-3f) at = ANGLES - 1e-3f;
	const int low = (int)at;
	const float part = at - (float)low;
	const angle *t = s->angles.at + low;
	const float density = t[0].probability + (t[1].probability - t[0].probability) * part;
	const float body = t[0].body + (t[1].body - t[0].body) * part;
	const float through = -s->depth * (t[0].crystal + (t[1].crystal - t[0].crystal) * part);
	const four passed = exp_four((four){-a->depth - body * b->depth, -b->depth - body * a->depth,
					    through * a->over_cosine, through * b->over_cosine});
	const float both = density * s->over_stop;
	weight[0] = both * passed[0] * a->unscattered * b->scattered * (1 - passed[3]);
	weight[1] = both * passed[1] * b->unscattered * a->scattered * (1 - passed[2]);
	return true;
}

/* Adds one pair's terms of the points at hand to its values: the image before a is weighted with `weight[0]`, before b with `weight[1]`. As seen from
 * b, times run backwards. work: [2 times] */
static void add_pair(const simulation *s, uint32_t a, uint32_t b, const iso_image_point *point, size_t count,
		     float *work)
{
	const profiles *p = &s->profiles;
	const uint32_t times = s->table->times;
	const float per_step = times > 1 ? 1 / (float)p->step_mm : 0;
	/* node of u = 0 at the first time */
	const float zero = (float)(p->places - 1 + p->reach) - (float)(times / 2 * p->phases);
	float *forwards = work, *backwards = work + times;
	memset(work, 0, 2 * times * sizeof *work);
	for (size_t n = 0; n < count; n++) {
		const leg *from = s->legs + (size_t)a * POINTS_AT_ONCE + n,
			  *to = s->legs + (size_t)b * POINTS_AT_ONCE + n;
		if (!(from->emission > 0 || to->emission > 0)) continue;
		float weight[2];
		if (!weigh(s, from, to, weight)) continue;
		const float content = (float)(0.1 * reference_mm2 * point[n].content);
		if (times == 1) {
			*forwards += content * (weight[0] * from->emission + weight[1] * to->emission);
			continue;
		}
		const float nearer = (from->distance_mm - to->distance_mm) / 2 * per_step;
		add_profile(p, profile_of(p, a, n), content * weight[0], zero - nearer, (int)times, forwards);
		add_profile(p, profile_of(p, b, n), content * weight[1], zero + nearer, (int)times, backwards);
	}
	float *value = s->table->value + ((size_t)a * s->model->detectors->count + b) * times;
	for (uint32_t t = 0; t < times; t++) value[t] += forwards[t] + backwards[times - 1 - t];
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
#pragma omp for schedule(dynamic, 8)
			for (uint32_t d = 0; d < detectors; d++)
				for (size_t n = 0; n < count; n++)
					fill_leg(s, m->points.point + first + n, n, d, s->samples + d * s->room);
#pragma omp for schedule(dynamic, 4)
			for (uint32_t a = 0; a < detectors; a++)
				for (uint32_t b = a + 1; b < detectors; b++)
					add_pair(s, a, b, m->points.point + first, count, s->samples + a * s->room);
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
	s.room = s.most + s.profiles.places + s.profiles.nodes;
	if (s.room < 2 * table->times) s.room = 2 * table->times;
	/* Without a crystal's depth all is stopped: nothing is left of e^-1000. */
	s.depth = model->response.optical_depth > 0 ? (float)model->response.optical_depth : 1000;
	s.over_stop = 1 / (1 - expf(-s.depth));
	if (status == ISO_OK) {
		s.legs = malloc(POINTS_AT_ONCE * (size_t)model->detectors->count * sizeof *s.legs);
		s.samples = malloc(model->detectors->count * s.room * sizeof *s.samples);
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
