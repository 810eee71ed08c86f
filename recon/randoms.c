/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Randoms from delayed coincidences, with the noise of a crystal's fan sum instead of that of a single pair.
 *
 * Model: delayeds of pair (a, b) are Poisson with mean s[a] s[b], for allowed pairs. The log-likelihood
 * sum_ab D_ab log(s_a s_b) - s_a s_b depends on the data through the fan sums F_a = sum_b D_ab alone, and is largest where
 * F_a = s_a S_a with S_a = sum over a's partners of s_b. The plain iteration s <- F / S oscillates (2 s maps to s / 2), so half
 * a step in the logarithm is taken: s <- s sqrt(F / (s S)). (Fan sums for
 * randoms: M. E. Casey and E. J. Hoffman, J. Comput. Assist. Tomogr. 10 (1986) 845-850.)
 *
 * The sums over partners are over all pairs of a scanner, too many for one by one. Elements that share x and y form a column:
 * across columns the rule's transaxial part holds for all or none of the pairs, and along z the partners are an interval (less
 * a hole where they would be too near), so that prefix sums and two moving pointers give S. A scanner without columns
 * still works, pair by pair. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "isotrace/recon.h"

enum { MAX_ITERATIONS = 200 };

typedef struct columns {
	const iso_scanner *scanner;
	uint32_t *element; /* live elements, by column, z ascending within */
	double *z, *rate;  /* beside element */
	double *prefix;    /* prefix[n] = sum of rate[0..n) */
	size_t *first;     /* [count + 1] */
	size_t elements, count;
} columns;

typedef struct placed {
	float x, y, z;
	uint32_t element;
} placed;

static int by_place(const void *left, const void *right)
{
	const placed *a = left, *b = right;
	if (a->x != b->x) return a->x < b->x ? -1 : 1;
	if (a->y != b->y) return a->y < b->y ? -1 : 1;
	if (a->z != b->z) return a->z < b->z ? -1 : 1;
	return a->element < b->element ? -1 : a->element > b->element;
}

static void columns_free(columns *c)
{
	free(c->element);
	free(c->z);
	free(c->rate);
	free(c->prefix);
	free(c->first);
}

static iso_status columns_make(columns *c, const iso_scanner *scanner, iso_error *err)
{
	const size_t n = scanner->elements;
	*c = (columns){.scanner = scanner};
	placed *order = malloc((n + 1) * sizeof *order);
	c->element = malloc((n + 1) * sizeof *c->element);
	c->z = malloc((n + 1) * sizeof *c->z);
	c->rate = malloc((n + 1) * sizeof *c->rate);
	c->prefix = malloc((n + 1) * sizeof *c->prefix);
	c->first = malloc((n + 1) * sizeof *c->first);
	if (!order || !c->element || !c->z || !c->rate || !c->prefix || !c->first) {
		free(order);
		columns_free(c);
		return iso_fail_memory(err, "randoms", n * (sizeof *order + 40));
	}
	for (uint32_t e = 0; e < n; e++) {
		const float *p = scanner->position_mm + 3 * (size_t)e;
		if (scanner->efficiency[e] > 0) order[c->elements++] = (placed){p[0], p[1], p[2], e};
	}
	qsort(order, c->elements, sizeof *order, by_place);
	for (size_t i = 0; i < c->elements; i++) {
		if (i == 0 || order[i].x != order[i - 1].x || order[i].y != order[i - 1].y) c->first[c->count++] = i;
		c->element[i] = order[i].element;
		c->z[i] = (double)order[i].z;
	}
	c->first[c->count] = c->elements;
	free(order);
	return ISO_OK;
}

/* The transaxial part of iso_scanner_pair_allowed, in the same arithmetic. */
static bool columns_allowed(const columns *c, size_t u, size_t v, double *across)
{
	const float *p = c->scanner->position_mm + 3 * (size_t)c->element[c->first[u]];
	const float *q = c->scanner->position_mm + 3 * (size_t)c->element[c->first[v]];
	const double dx = (double)q[0] - (double)p[0], dy = (double)q[1] - (double)p[1];
	*across = dx * dx + dy * dy;
	if (isinf(c->scanner->rule.max_transaxial_offset_mm)) return true;
	const double cross = (double)p[0] * (double)q[1] - (double)p[1] * (double)q[0],
		     widest = c->scanner->rule.max_transaxial_offset_mm + 1e-3;
	return *across > 0 ? cross * cross <= widest * widest * *across
			   : (double)p[0] * (double)p[0] + (double)p[1] * (double)p[1] <= widest * widest;
}

/* Adds to sum[] of column u's elements what their partners in column v give. */
static void add_column(const columns *c, size_t u, size_t v, double across, double *sum)
{
	const double reach = c->scanner->rule.max_axial_difference_mm + 1e-3,
		     shortest = c->scanner->rule.min_distance_mm - 1e-3;
	const double near2 = shortest > 0 ? shortest * shortest : -1;
	const size_t begin = c->first[v], end = c->first[v + 1];
	size_t low = begin, high = begin, hole_low = begin, hole_high = begin;
	for (size_t i = c->first[u]; i < c->first[u + 1]; i++) {
		const double z = c->z[i];
		while (low < end && c->z[low] - z < -reach) low++;
		while (high < end && c->z[high] - z <= reach) high++;
		double value = c->prefix[high] - c->prefix[low];
		bool self = u == v;
		if (near2 > across) {
			/* pairs with across + dz^2 < near2 are too near: an interval of dz around 0 */
			if (hole_low < low) hole_low = low;
			while (hole_low < end && c->z[hole_low] < z &&
			       !(across + (c->z[hole_low] - z) * (c->z[hole_low] - z) < near2))
				hole_low++;
			if (hole_high < hole_low) hole_high = hole_low;
			while (hole_high < end &&
			       (c->z[hole_high] <= z || across + (c->z[hole_high] - z) * (c->z[hole_high] - z) < near2))
				hole_high++;
			const size_t hole_end = hole_high < high ? hole_high : high;
			if (hole_end > hole_low) {
				value -= c->prefix[hole_end] - c->prefix[hole_low];
				if (self && i >= hole_low && i < hole_end) self = false;
			}
		}
		if (self) value -= c->rate[i];
		sum[i] += value;
	}
}

/* sum[i] = rates of the partners of element[i]. Each sum is added up in the same order whatever the threads. */
static void partner_sums(columns *c, const uint8_t *allowed, double *sum)
{
	c->prefix[0] = 0;
	for (size_t i = 0; i < c->elements; i++) c->prefix[i + 1] = c->prefix[i] + c->rate[i];
	const int64_t count = (int64_t)c->count;
#pragma omp parallel for schedule(dynamic, 4)
	for (int64_t u = 0; u < count; u++) {
		for (size_t i = c->first[u]; i < c->first[u + 1]; i++) sum[i] = 0;
		for (size_t v = 0; v < c->count; v++) {
			double across;
			if (allowed && !allowed[(size_t)u * c->count + v]) continue;
			if (columns_allowed(c, (size_t)u, v, &across)) add_column(c, (size_t)u, v, across, sum);
		}
	}
}

/* Which columns see each other, kept when that takes little memory (NULL: asked anew each time). */
static uint8_t *allowed_table(const columns *c)
{
	if (c->count > 8192) return NULL;
	uint8_t *allowed = malloc(c->count * c->count + 1);
	double across;
	for (size_t u = 0; allowed && u < c->count; u++)
		for (size_t v = 0; v < c->count; v++) allowed[u * c->count + v] = columns_allowed(c, u, v, &across);
	return allowed;
}

/* Half steps in the logarithm until the misfit of the fan sums is a thousandth of their Poisson noise (root mean square), which
 * no use of the result can notice. At the end one factor makes the total right. */
static void solve(columns *c, const uint64_t *fan_sums, double total, double *sum)
{
	uint8_t *allowed = allowed_table(c);
	/* A pair's mean is s^2 when all are alike: total / pairs. */
	for (size_t i = 0; i < c->elements; i++) c->rate[i] = fan_sums[c->element[i]] > 0;
	double explained = 0;
	for (int iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
		partner_sums(c, allowed, sum);
		double misfit = 0;
		explained = 0;
		for (size_t i = 0; i < c->elements; i++) {
			const double wanted = (double)fan_sums[c->element[i]], got = c->rate[i] * sum[i];
			explained += got;
			misfit += (got - wanted) * (got - wanted) / (wanted + 1);
		}
		if (misfit <= 1e-6 * (double)c->elements) break;
		for (size_t i = 0; i < c->elements; i++) {
			const double got = c->rate[i] * sum[i];
			if (got > 0) c->rate[i] *= sqrt((double)fan_sums[c->element[i]] / got);
		}
	}
	const double scale = explained > 0 ? sqrt(total / explained) : 0;
	for (size_t i = 0; i < c->elements; i++) c->rate[i] *= scale;
	free(allowed);
}

iso_status iso_randoms_from_delayeds(const iso_scanner *scanner, const uint64_t *fan_sums, float *s, iso_error *err)
{
	double total = 0;
	for (uint32_t e = 0; e < scanner->elements; e++) {
		s[e] = 0;
		total += (double)fan_sums[e];
		if (fan_sums[e] > 0 && scanner->efficiency[e] <= 0)
			return iso_fail(err, ISO_BAD_INPUT, NULL,
					"reject events of dead elements when reading, or correct the efficiencies",
					"element %u of efficiency 0 has %llu delayed events", e,
					(unsigned long long)fan_sums[e]);
	}
	if (total <= 0) return ISO_OK;
	columns c;
	const iso_status status = columns_make(&c, scanner, err);
	if (status != ISO_OK) return status;
	double *sum = calloc(c.elements + 1, sizeof *sum);
	if (!sum) {
		columns_free(&c);
		return iso_fail_memory(err, "randoms", c.elements * sizeof *sum);
	}
	solve(&c, fan_sums, total, sum);
	for (size_t i = 0; i < c.elements; i++) s[c.element[i]] = (float)c.rate[i];
	free(sum);
	columns_free(&c);
	return ISO_OK;
}
