/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/coarse_detectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "isotrace/projector.h"

enum { DEFAULT_ANGLES = 48, MOST_HEIGHTS = 12 };
static const double pi = 3.14159265358979323846;

typedef struct extent {
	double radius_mm, low_mm, high_mm; /* mean distance from the axis; along it */
} extent;

static extent find_extent(const iso_scanner *s)
{
	extent e = {.low_mm = (double)INFINITY, .high_mm = -(double)INFINITY};
	double live = 0;
	for (uint32_t n = 0; n < s->elements; n++) {
		const float *p = s->position_mm + 3 * (size_t)n;
		if (!(s->efficiency[n] > 0)) continue;
		e.radius_mm += hypot((double)p[0], (double)p[1]);
		e.low_mm = fmin(e.low_mm, (double)p[2]);
		e.high_mm = fmax(e.high_mm, (double)p[2]);
		live++;
	}
	e.radius_mm /= fmax(live, 1);
	if (live == 0) e.low_mm = e.high_mm = 0;
	return e;
}

static double turn_of(double radians)
{
	const double turn = radians / (2 * pi);
	return turn - floor(turn);
}

/* The element nearest to a node along the face. */
static uint32_t nearest(const iso_scanner *s, double radius_mm, double turn, double z)
{
	uint32_t best = 0;
	double least = (double)INFINITY;
	for (uint32_t n = 0; n < s->elements; n++) {
		const float *p = s->position_mm + 3 * (size_t)n;
		if (!(s->efficiency[n] > 0)) continue;
		const double apart = fabs(turn_of(atan2((double)p[1], (double)p[0])) - turn);
		const double across = 2 * pi * radius_mm * fmin(apart, 1 - apart), along = (double)p[2] - z;
		const double d2 = across * across + along * along;
		if (d2 < least) least = d2, best = n;
	}
	return best;
}

static void stand(const iso_scanner *s, double radius_mm, double turn, double z, double position[3], double normal[3])
{
	const uint32_t n = nearest(s, radius_mm, turn, z);
	const double ray[2] = {cos(2 * pi * turn), sin(2 * pi * turn)};
	for (int k = 0; k < 3; k++) {
		position[k] = (double)s->position_mm[3 * (size_t)n + (size_t)k];
		normal[k] = (double)s->normal[3 * (size_t)n + (size_t)k];
	}
	const double facing = ray[0] * normal[0] + ray[1] * normal[1];
	const double there = position[0] * normal[0] + position[1] * normal[1] + (position[2] - z) * normal[2];
	const double own = hypot(position[0], position[1]), r = fabs(facing) > 0.3 ? there / facing : -1;
	/* A face that is seen from the side, or far from here, says nothing about the node: the element stands for it. */
	if (!(r > 0.5 * own) || !(r < 2 * own)) return;
	position[0] = r * ray[0];
	position[1] = r * ray[1];
	position[2] = z;
}

static void place_element(const iso_coarse_detectors *d, const extent *e, const float *p, iso_net_place *place)
{
	const double turns = turn_of(atan2((double)p[1], (double)p[0])) * d->angles;
	const uint32_t angle = (uint32_t)turns % d->angles;
	double up = e->high_mm > e->low_mm ? ((double)p[2] - e->low_mm) / (e->high_mm - e->low_mm) : 0;
	up = fmin(fmax(up, 0), 1) * (d->heights - 1);
	uint32_t height = (uint32_t)up;
	if (height + 1 >= d->heights) height = d->heights > 1 ? d->heights - 2 : 0;
	*place = (iso_net_place){
	    .angle = {(uint16_t)angle, (uint16_t)((angle + 1) % d->angles)},
	    .height = {(uint16_t)height, (uint16_t)(d->heights > 1 ? height + 1 : height)},
	    .along_angle = (float)fmin(turns - floor(turns), 1),
	    .along_height = (float)fmin(up - height, 1),
	    .view = 1,
	};
}

iso_status iso_coarse_detectors_create(const iso_scanner *scanner, uint32_t angles, iso_coarse_detectors **out,
				       iso_error *err)
{
	*out = NULL;
	const extent e = find_extent(scanner);
	iso_coarse_detectors *d = calloc(1, sizeof *d);
	if (!d) return iso_fail_memory(err, "coarse detectors", sizeof *d);
	d->angles = angles ? angles : DEFAULT_ANGLES;
	d->heights = 1;
	/* three to a radius: what is seen from there does not change faster */
	if (e.high_mm > e.low_mm)
		d->heights = (uint32_t)fmin(fmax(ceil(3 * (e.high_mm - e.low_mm) / fmax(e.radius_mm, 1e-6)) + 1, 2),
					    MOST_HEIGHTS);
	d->count = d->angles * d->heights;
	d->position_mm = malloc(d->count * sizeof *d->position_mm);
	d->normal = malloc(d->count * sizeof *d->normal);
	d->view = malloc(d->count * sizeof *d->view);
	d->place = malloc(scanner->elements * sizeof *d->place);
	if (!d->position_mm || !d->normal || !d->view || !d->place) {
		iso_coarse_detectors_free(d);
		return iso_fail_memory(err, "coarse detectors", scanner->elements * sizeof *d->place);
	}
	const double rise = d->heights > 1 ? (e.high_mm - e.low_mm) / (d->heights - 1) : 0;
	for (uint32_t n = 0; n < d->count; n++) d->view[n] = 1;
	for (uint32_t a = 0; a < d->angles; a++)
		for (uint32_t h = 0; h < d->heights; h++)
			stand(scanner, e.radius_mm, (double)a / d->angles, e.low_mm + rise * h,
			      d->position_mm[a * d->heights + h], d->normal[a * d->heights + h]);
	for (uint32_t n = 0; n < scanner->elements; n++)
		place_element(d, &e, scanner->position_mm + 3 * (size_t)n, d->place + n);
	*out = d;
	return ISO_OK;
}

/* From every so-many-th point; 0 from behind. */
static double look(const double position[3], const double normal[3], const iso_energy_response *response,
		   const iso_image_points *points)
{
	const size_t step = points->count / 64 + 1;
	double sum = 0, content = 0;
	for (size_t n = step / 2; n < points->count; n += step) {
		const iso_image_point *p = points->point + n;
		double distance2 = 0, along = 0;
		for (int k = 0; k < 3; k++) {
			const double d = position[k] - p->at_mm[k];
			distance2 += d * d;
			along += d * normal[k];
		}
		content += p->content;
		if (!(along > 1e-3 * sqrt(distance2))) continue;
		const double cosine = along / sqrt(distance2);
		sum += p->content * cosine / distance2 * iso_stopping(response, 1, cosine);
	}
	return content > 0 ? sum / content : 1;
}

void iso_coarse_detectors_look(iso_coarse_detectors *d, const iso_scanner *scanner, const iso_energy_response *response,
			       const iso_image_points *points)
{
	for (uint32_t n = 0; n < d->count; n++) d->view[n] = look(d->position_mm[n], d->normal[n], response, points);
#pragma omp parallel for schedule(static)
	for (uint32_t e = 0; e < scanner->elements; e++) {
		double position[3], normal[3];
		for (size_t k = 0; k < 3; k++) {
			position[k] = (double)scanner->position_mm[3 * (size_t)e + k];
			normal[k] = (double)scanner->normal[3 * (size_t)e + k];
		}
		d->place[e].view = (float)look(position, normal, response, points);
	}
}

void iso_coarse_detectors_free(iso_coarse_detectors *d)
{
	if (!d) return;
	free(d->position_mm);
	free(d->normal);
	free(d->view);
	free(d->place);
	free(d);
}

iso_status iso_pair_table_create(const iso_coarse_detectors *detectors, const iso_tof *tof, iso_pair_table **out,
				 iso_error *err)
{
	*out = NULL;
	iso_pair_table *t = calloc(1, sizeof *t);
	if (!t) return iso_fail_memory(err, "scatter", sizeof *t);
	*t = (iso_pair_table){.detectors = detectors, .times = 1, .stride = 1};
	const iso_tof_kernel kernel = iso_tof_kernel_of(tof);
	if (kernel.sigma_mm > 0) {
		/* Between nodes of time a quarter of a sigma apart the straight line misses a Gaussian by less than 1 % of its peak. */
		const uint32_t half = (uint32_t)(tof->bins - 1) / 2;
		t->stride = (uint32_t)fmin(fmax(floor(kernel.sigma_mm / (4 * kernel.bin_mm)), 1), fmax(half, 1));
		t->times = 2 * ((half + t->stride - 1) / t->stride) + 1;
	}
	t->value = calloc(iso_pair_table_values(t), sizeof *t->value);
	t->spare = malloc(iso_pair_table_values(t) * sizeof *t->spare);
	if (!t->value || !t->spare) {
		const size_t bytes = iso_pair_table_values(t) * sizeof *t->value;
		iso_pair_table_free(t);
		return iso_fail_memory(err, "scatter", bytes);
	}
	*out = t;
	return ISO_OK;
}

void iso_pair_table_free(iso_pair_table *t)
{
	if (!t) return;
	free(t->value);
	free(t->spare);
	free(t);
}

size_t iso_pair_table_values(const iso_pair_table *t)
{
	return (size_t)t->detectors->count * t->detectors->count * t->times;
}

/* Second differences from node to node, of both ends around and along the axis; none beyond the first and last height. */
static float bend(const iso_pair_table *t, uint32_t a, uint32_t b, uint32_t time)
{
	const uint32_t detectors = t->detectors->count, heights = t->detectors->heights;
	const uint32_t end[2] = {a, b};
	const float *value = t->value + time, middle = value[((size_t)a * detectors + b) * t->times];
	float sum = 0;
	for (int e = 0; e < 2; e++) {
		const uint32_t height = end[e] % heights, own = end[e] - height;
		const uint32_t beside[2][2] = {
		    {(own + heights) % detectors + height, (own + detectors - heights) % detectors + height},
		    {end[e] + 1, end[e] - 1}};
		for (int k = 0; k < (height > 0 && height + 1 < heights ? 2 : 1); k++)
			for (int n = 0; n < 2; n++) {
				const size_t from =
				    e ? (size_t)a * detectors + beside[k][n] : (size_t)beside[k][n] * detectors + b;
				sum += value[from * t->times] - middle;
			}
	}
	return sum;
}

/* Straight lines between nodes of a curve f a step h apart are too high by h^2 / 12 f'' on average (and by twice that in places): as much is taken from
 * the nodes, half of their value at most. What scatters by large angles falls by a factor of e within a node or less, and was 5 to 30 % too much. */
static void straighten(iso_pair_table *t)
{
	const uint32_t detectors = t->detectors->count, times = t->times;
	const size_t values = iso_pair_table_values(t);
#pragma omp parallel for schedule(static)
	for (uint32_t a = 0; a < detectors; a++)
		for (uint32_t b = 0; b < detectors; b++)
			for (uint32_t n = 0; n < times; n++) {
				const size_t at = ((size_t)a * detectors + b) * times + n;
				const float value = t->value[at], less = bend(t, a, b, n) / 12;
				t->spare[at] = value - fmaxf(fminf(less, 0.5f * value), -0.5f * value);
			}
	memcpy(t->value, t->spare, values * sizeof *t->value);
}

void iso_pair_table_finish(iso_pair_table *t)
{
	const uint32_t detectors = t->detectors->count, times = t->times;
	for (uint32_t a = 0; a < detectors; a++)
		for (uint32_t b = a; b < detectors; b++) {
			const double views = t->detectors->view[a] * t->detectors->view[b];
			const float part = views > 0 ? (float)(1 / views) : 0;
			for (uint32_t n = 0; n < times; n++) {
				float *value = t->value + ((size_t)a * detectors + b) * times + n;
				*value *= part;
				if (b > a) t->value[((size_t)b * detectors + a) * times + times - 1 - n] = *value;
			}
		}
	straighten(t);
}

/* At a node of time. */
static double at_time(const iso_pair_table *t, const iso_net_place *a, const iso_net_place *b, size_t time)
{
	const uint32_t heights = t->detectors->heights;
	const size_t row = (size_t)t->detectors->count * t->times;
	const float wa[2] = {1 - a->along_angle, a->along_angle}, wb[2] = {1 - b->along_angle, b->along_angle};
	const float ua[2] = {1 - a->along_height, a->along_height}, ub[2] = {1 - b->along_height, b->along_height};
	double sum = 0;
	for (int i = 0; i < 4; i++) {
		const float *from = t->value + row * ((size_t)a->angle[i >> 1] * heights + a->height[i & 1]) + time;
		double part = 0;
		for (int j = 0; j < 4; j++) {
			const size_t node = (size_t)b->angle[j >> 1] * heights + b->height[j & 1];
			part += (double)(wb[j >> 1] * ub[j & 1] * from[node * t->times]);
		}
		sum += (double)(wa[i >> 1] * ua[i & 1]) * part;
	}
	return sum;
}

double iso_pair_table_at(const iso_pair_table *t, const iso_net_place *a, const iso_net_place *b, int tof_bin)
{
	const double views = (double)a->view * (double)b->view;
	if (t->times == 1) return views * at_time(t, a, b, 0);
	const int shifted = tof_bin + (int)(t->times / 2 * t->stride), stride = (int)t->stride;
	if (shifted < 0 || shifted > (int)(t->times - 1) * stride) return 0;
	const int time = shifted / stride, rest = shifted % stride;
	const double low = at_time(t, a, b, (size_t)time);
	return views * (rest ? low + (at_time(t, a, b, (size_t)time + 1) - low) * rest / stride : low);
}

/* A value between nodes of time is linear in theirs: the sum over bins is a weighted sum of the nodes. */
iso_status iso_pair_table_sum_times(const iso_pair_table *from, int bins, iso_pair_table *to, iso_error *err)
{
	*to = (iso_pair_table){.detectors = from->detectors, .times = 1, .stride = 1};
	const size_t nodes = (size_t)from->detectors->count * from->detectors->count;
	double *weight = calloc(from->times + 1, sizeof *weight);
	to->value = malloc(nodes * sizeof *to->value);
	if (!weight || !to->value) {
		free(weight);
		free(to->value);
		to->value = NULL;
		return iso_fail_memory(err, "scatter", nodes * sizeof *to->value);
	}
	const int stride = (int)from->stride, half = (bins - 1) / 2, middle = (int)(from->times / 2) * stride;
	for (int bin = -half; bin <= half; bin++) {
		const int shifted = bin + middle, time = shifted / stride, rest = shifted % stride;
		if (shifted < 0 || shifted > (int)(from->times - 1) * stride) continue;
		weight[time] += 1 - (double)rest / stride;
		weight[time + 1] += (double)rest / stride;
	}
	if (from->times == 1) weight[0] = 1;
	for (size_t n = 0; n < nodes; n++) {
		double sum = 0;
		for (uint32_t t = 0; t < from->times; t++) sum += weight[t] * (double)from->value[n * from->times + t];
		to->value[n] = (float)sum;
	}
	free(weight);
	return ISO_OK;
}
