/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/background_profiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/columns.h"
#include "recon/geometry.h"

enum { PAIRS = 1 << 23, PAIRS_AT_ONCE = 1 << 15, KINDS = 3 };
/* frac(n a), frac(n b) fill the square evenly: 1/g and 1/g^2 with g^3 = g + 1 (M. Roberts). */
static const double even_first = 0.7548776662466927, even_second = 0.5698402909980532;

/* Counts of a pair, or of a bin: randoms, scatter, gammas. */
typedef struct counts {
	double kind[KINDS];
} counts;

typedef struct sums {
	counts all, radial[ISO_BACKGROUND_BINS], axial[ISO_BACKGROUND_BINS];
} sums;

typedef struct survey {
	iso_background_parts parts;
	const iso_columns *columns;
	double scale_s;
	iso_pair_table table[2]; /* of scatter and gammas, summed over TOF bins; value NULL: none */
	uint64_t pairs;          /* visited */
	bool all;
	double weight; /* pairs that each stands for */
	double reach_mm, low_mm, high_mm;
} survey;

/* The n-th pair, in the order of the columns; false: it may not count. */
static bool pair_of(const survey *s, uint64_t n, uint32_t *i, uint32_t *j)
{
	const uint32_t elements = s->columns->elements;
	if (s->all) {
		*i = (uint32_t)(n / elements);
		*j = (uint32_t)(n % elements);
		if (*i >= *j) return false;
	} else {
		const double first = ((double)n + 0.5) * even_first, second = ((double)n + 0.5) * even_second;
		*i = (uint32_t)((first - floor(first)) * elements);
		*j = (uint32_t)((second - floor(second)) * elements);
		if (*i == *j) return false;
	}
	return iso_pair_factor(s->parts.plan->scanner, s->columns->element[*i], s->columns->element[*j]) > 0;
}

static double distance_mm(const float *p, const float *q)
{
	const double x = (double)p[0], y = (double)p[1], dx = (double)q[0] - x, dy = (double)q[1] - y;
	const double length = hypot(dx, dy);
	return length > 0 ? fabs(x * dy - y * dx) / length : hypot(x, y);
}

static counts counts_of(const survey *s, uint32_t i, uint32_t j)
{
	const iso_background_parts *p = &s->parts;
	const double alpha[2] = {p->scatter_scale, p->gamma_scale};
	counts c = {{0}};
	if (p->rate) c.kind[0] = s->weight * (double)p->rate[i] * (double)p->rate[j];
	for (int t = 0; t < 2; t++)
		if (s->table[t].value)
			c.kind[1 + t] = s->weight * s->scale_s * alpha[t] * (double)p->efficiency[i] *
					(double)p->efficiency[j] *
					iso_pair_table_at(&s->table[t], p->place + i, p->place + j, 0);
	return c;
}

static void add(counts *to, const counts *c)
{
	for (int k = 0; k < KINDS; k++) to->kind[k] += c->kind[k];
}

static int bin_of(double value, double low, double high)
{
	const int bin = (int)((value - low) / (high - low) * ISO_BACKGROUND_BINS);
	return bin < 0 ? 0 : bin < ISO_BACKGROUND_BINS ? bin : ISO_BACKGROUND_BINS - 1;
}

static void add_piece(const survey *s, uint64_t first, uint64_t end, sums *part)
{
	memset(part, 0, sizeof *part);
	for (uint64_t n = first; n < end; n++) {
		uint32_t i, j;
		if (!pair_of(s, n, &i, &j)) continue;
		const float *p = s->columns->position_mm + 3 * (size_t)i, *q = s->columns->position_mm + 3 * (size_t)j;
		const counts c = counts_of(s, i, j);
		add(&part->all, &c);
		add(&part->radial[bin_of(distance_mm(p, q), 0, s->reach_mm)], &c);
		add(&part->axial[bin_of(0.5 * ((double)p[2] + (double)q[2]), s->low_mm, s->high_mm)], &c);
	}
}

/* In pieces of fixed size, added in their order. */
static void add_up(const survey *s, sums *whole)
{
	const int64_t pieces = (int64_t)((s->pairs + PAIRS_AT_ONCE - 1) / PAIRS_AT_ONCE);
	memset(whole, 0, sizeof *whole);
#pragma omp parallel for ordered num_threads(s->parts.plan->threads) schedule(static, 1)
	for (int64_t piece = 0; piece < pieces; piece++) {
		const uint64_t first = (uint64_t)piece * PAIRS_AT_ONCE, end = first + PAIRS_AT_ONCE;
		sums part;
		add_piece(s, first, end < s->pairs ? end : s->pairs, &part);
#pragma omp ordered
		{
			add(&whole->all, &part.all);
			for (int b = 0; b < ISO_BACKGROUND_BINS; b++) {
				add(&whole->radial[b], &part.radial[b]);
				add(&whole->axial[b], &part.axial[b]);
			}
		}
	}
}

/* A little more than the pairs reach: no edge but the first is where the lines of a regular scanner lie. */
static void find_reach(survey *s)
{
	const float *position = s->columns->position_mm;
	for (uint64_t n = 0; n < s->pairs; n++) {
		uint32_t i, j;
		if (!pair_of(s, n, &i, &j)) continue;
		const double distance = distance_mm(position + 3 * (size_t)i, position + 3 * (size_t)j);
		if (distance > s->reach_mm) s->reach_mm = distance;
	}
	s->low_mm = (double)INFINITY;
	s->high_mm = -s->low_mm;
	for (uint32_t n = 0; n < s->columns->elements; n++) {
		s->low_mm = fmin(s->low_mm, (double)position[3 * (size_t)n + 2]);
		s->high_mm = fmax(s->high_mm, (double)position[3 * (size_t)n + 2]);
	}
	s->reach_mm = 1.003 * s->reach_mm + 0.01;
	s->low_mm -= 0.013;
	s->high_mm += 0.017;
}

static void fill_profile(const counts *bin, double low, double high, iso_background_profile *to)
{
	for (int b = 0; b <= ISO_BACKGROUND_BINS; b++) to->edges_mm[b] = low + (high - low) * b / ISO_BACKGROUND_BINS;
	for (int b = 0; b < ISO_BACKGROUND_BINS; b++) {
		to->randoms[b] = bin[b].kind[0];
		to->scatter[b] = bin[b].kind[1];
		to->gammas[b] = bin[b].kind[2];
	}
}

iso_status iso_background_profiles(const iso_background *background, double scale_s, iso_background_totals *totals,
				   iso_error *err)
{
	survey s = {.parts = iso_background_now(background), .scale_s = scale_s, .weight = 1, .all = true};
	const iso_background_plan *plan = s.parts.plan;
	s.columns = plan->columns;
	const uint64_t elements = s.columns->elements, square = elements * elements;
	s.pairs = square;
	if (square / 2 > PAIRS) {
		s.all = false;
		s.pairs = PAIRS;
		s.weight = (double)square / 2 / PAIRS;
	}
	iso_status status = ISO_OK;
	const iso_pair_table *part[2] = {s.parts.scatter, s.parts.gammas};
	for (int t = 0; t < 2 && status == ISO_OK; t++)
		if (part[t]) status = iso_pair_table_sum_times(part[t], plan->scanner->tof.bins, &s.table[t], err);
	if (status == ISO_OK) {
		sums whole;
		find_reach(&s);
		add_up(&s, &whole);
		*totals = (iso_background_totals){
		    .randoms = whole.all.kind[0], .scatter = whole.all.kind[1], .gammas = whole.all.kind[2]};
		fill_profile(whole.radial, 0, s.reach_mm, &totals->radial);
		fill_profile(whole.axial, s.low_mm, s.high_mm, &totals->axial);
	}
	free(s.table[0].value);
	free(s.table[1].value);
	return status;
}
