/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/tails.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "isotrace/projector.h"
#include "recon/geometry.h"
#include "recon/projector.h"

enum { SAMPLES = 1 << 19, SUMS_AT_ONCE = 4096 };
static const double tissue_per_cm = 0.02;
/* Prompts' randoms differ from the delayeds' by up to so much where blocks are busy (docs/decisions/037). */
static const double randoms_known = 0.002;
/* How far the simulated scatter of lines that pass the body may be off when that of all lines is right, relative (there, too). */
static const double tails_shape = 0.05;
/* Tails contradict what is expected when they are off by more than three standard deviations (squared). */
static const double contradiction = 9;
/* frac(n a), frac(n b) fill the square evenly: 1/g and 1/g^2 with g^3 = g + 1 (M. Roberts). */
static const double even_first = 0.7548776662466927, even_second = 0.5698402909980532;

typedef struct sample {
	uint32_t element[2];
	uint8_t group; /* ISO_TAIL_GROUPS: not in the tails */
} sample;

struct iso_tails {
	const iso_scanner *scanner;
	const iso_columns *columns;
	int threads;
	double reach_mm; /* the largest distance of a line from the axis */
	iso_image *body; /* 1 within, else 0 */
	iso_projector *projector;
	sample *sample;
	size_t samples;
	double weight; /* pairs that a sample stands for */
};

static bool has_tissue(const iso_image *mu, const size_t at[3])
{
	return (double)mu->voxels[at[0] + mu->grid.size[0] * (at[1] + mu->grid.size[1] * at[2])] > tissue_per_cm;
}

/* Tissue on all sides: what is within the margin of this voxel is so of its neighbours, too. The map's border is air. */
static bool is_inner(const iso_image *mu, const size_t at[3])
{
	for (int k = 0; k < 3; k++)
		for (int side = -1; side <= 1; side += 2) {
			size_t beside[3] = {at[0], at[1], at[2]};
			beside[k] += (size_t)side;
			if (!has_tissue(mu, beside)) return false;
		}
	return true;
}

/* Marks a voxel at an index of the body's grid, and all around it within the margin. */
static void mark(iso_image *body, const size_t at[3], const size_t reach[3], double margin_mm)
{
	const iso_grid *g = &body->grid;
	for (size_t k = at[2] - reach[2]; k <= at[2] + reach[2]; k++)
		for (size_t j = at[1] - reach[1]; j <= at[1] + reach[1]; j++)
			for (size_t i = at[0] - reach[0]; i <= at[0] + reach[0]; i++) {
				const double x = ((double)i - (double)at[0]) * g->voxel_mm[0],
					     y = ((double)j - (double)at[1]) * g->voxel_mm[1],
					     z = ((double)k - (double)at[2]) * g->voxel_mm[2];
				if (x * x + y * y + z * z <= margin_mm * margin_mm)
					body->voxels[i + g->size[0] * (j + g->size[1] * k)] = 1;
			}
}

/* On the map's grid, with room around it for the margin. */
static iso_status make_body(iso_tails *t, const iso_image *mu, double margin_mm, iso_error *err)
{
	iso_grid grid = mu->grid;
	size_t reach[3];
	for (int k = 0; k < 3; k++) {
		reach[k] = (size_t)ceil(margin_mm / grid.voxel_mm[k]);
		grid.size[k] += 2 * reach[k];
		grid.origin_mm[k] -= (double)reach[k] * grid.voxel_mm[k];
	}
	const iso_status status = iso_image_create(&grid, ISO_UNIT_FRACTION, &t->body, err);
	if (status != ISO_OK) return status;
	const size_t *size = mu->grid.size;
	for (size_t k = 0; k < size[2]; k++)
		for (size_t j = 0; j < size[1]; j++)
			for (size_t i = 0; i < size[0]; i++) {
				const size_t from[3] = {i, j, k}, at[3] = {i + reach[0], j + reach[1], k + reach[2]};
				if (!has_tissue(mu, from)) continue;
				if (is_inner(mu, from))
					t->body->voxels[at[0] + grid.size[0] * (at[1] + grid.size[1] * at[2])] = 1;
				else
					mark(t->body, at, reach, margin_mm);
			}
	return ISO_OK;
}

/* Distance of the line from the axis, seen along it. */
static double offset_mm(const float *p, const float *q)
{
	const double x = (double)p[0], y = (double)p[1], dx = (double)q[0] - x, dy = (double)q[1] - y;
	const double length = hypot(dx, dy);
	return length > 0 ? fabs(x * dy - y * dx) / length : hypot(x, y);
}

static uint8_t group_of(const iso_tails *t, const float *p, const float *q)
{
	const double group = offset_mm(p, q) / t->reach_mm * ISO_TAIL_GROUPS;
	return group < ISO_TAIL_GROUPS ? (uint8_t)group : ISO_TAIL_GROUPS - 1;
}

/* group[n] of a block's lines; ISO_TAIL_GROUPS: it meets the body. */
static iso_status classify(const iso_tails *t, const iso_line_block *block, uint8_t *group, iso_error *err)
{
	iso_line_block lines = *block;
	lines.tof_bin = NULL;
	float *depth = malloc((block->count + 1) * sizeof *depth);
	if (!depth) return iso_fail_memory(err, "the tails' lines", block->count * sizeof *depth);
	const iso_status status = iso_projector_forward_block(t->projector, &lines, t->body->voxels, depth, err);
	for (size_t s = 0; s < block->sheaves && status == ISO_OK; s++) {
		const iso_sheaf *sheaf = block->sheaf + s;
		const float *p = t->columns->position_mm + 3 * (size_t)t->columns->first[sheaf->column[0]],
			    *q = t->columns->position_mm + 3 * (size_t)t->columns->first[sheaf->column[1]];
		for (size_t n = sheaf->first; n < sheaf[1].first; n++)
			group[n] = depth[n] > 0 ? ISO_TAIL_GROUPS
						: group_of(t, p + 3 * (size_t)block->row[n][0],
							   q + 3 * (size_t)block->row[n][1]);
	}
	free(depth);
	return status;
}

/* Pairs of elements, one of them an n-th of all; all of them when they are few. */
static size_t draw_pairs(iso_tails *t, iso_event *events)
{
	const uint64_t elements = t->scanner->elements, pairs = elements * (elements - 1) / 2;
	size_t count = 0;
	if (pairs <= SAMPLES) {
		t->weight = 1;
		for (uint32_t a = 0; a < elements; a++)
			for (uint32_t b = a + 1; b < elements; b++)
				if (iso_pair_factor(t->scanner, a, b) > 0)
					events[count++] = (iso_event){.element = {a, b}};
		return count;
	}
	t->weight = (double)elements * (double)elements / 2 / SAMPLES;
	for (uint32_t n = 0; n < SAMPLES; n++) {
		const double first = (n + 0.5) * even_first, second = (n + 0.5) * even_second;
		const uint32_t a = t->columns->element[(uint32_t)((first - floor(first)) * (double)elements)],
			       b = t->columns->element[(uint32_t)((second - floor(second)) * (double)elements)];
		if (a != b && iso_pair_factor(t->scanner, a, b) > 0) events[count++] = (iso_event){.element = {a, b}};
	}
	return count;
}

static iso_status sample_pairs(iso_tails *t, iso_error *err)
{
	iso_event *events = malloc(SAMPLES * sizeof *events);
	uint8_t *group = malloc(SAMPLES);
	iso_line_block *block = NULL;
	if (!events || !group) {
		free(events);
		free(group);
		return iso_fail_memory(err, "the tails' lines", SAMPLES * sizeof *events);
	}
	t->samples = draw_pairs(t, events);
	for (size_t n = 0; n < t->samples; n++)
		t->reach_mm = fmax(t->reach_mm, offset_mm(t->scanner->position_mm + 3 * (size_t)events[n].element[0],
							  t->scanner->position_mm + 3 * (size_t)events[n].element[1]));
	iso_status status = iso_line_block_create(t->columns, false, events, NULL, t->samples, &block, err);
	if (status == ISO_OK) status = classify(t, block, group, err);
	if (status == ISO_OK) {
		iso_line_block_events(block, 0, t->samples, events);
		t->sample = malloc((t->samples + 1) * sizeof *t->sample);
		if (!t->sample) status = iso_fail_memory(err, "the tails' lines", t->samples * sizeof *t->sample);
	}
	for (size_t n = 0; n < t->samples && status == ISO_OK; n++)
		t->sample[n] = (sample){.element = {events[n].element[0], events[n].element[1]}, .group = group[n]};
	iso_line_block_free(block);
	free(events);
	free(group);
	return status;
}

iso_status iso_tails_create(const iso_scanner *scanner, const iso_columns *columns, const iso_image *mu,
			    double margin_mm, int threads, iso_tails **out, iso_error *err)
{
	*out = NULL;
	iso_tails *t = calloc(1, sizeof *t);
	if (!t) return iso_fail_memory(err, "the tails' lines", sizeof *t);
	*t = (iso_tails){.scanner = scanner, .columns = columns, .threads = threads, .reach_mm = 1e-3};
	iso_status status = make_body(t, mu, margin_mm, err);
	if (status == ISO_OK) status = iso_projector_create(&t->body->grid, NULL, threads, &t->projector, err);
	if (status == ISO_OK) status = sample_pairs(t, err);
	if (status == ISO_OK)
		*out = t;
	else
		iso_tails_free(t);
	return status;
}

void iso_tails_free(iso_tails *t)
{
	if (!t) return;
	iso_image_free(t->body);
	iso_projector_free(t->projector);
	free(t->sample);
	free(t);
}

iso_status iso_tails_count(const iso_tails *t, const iso_line_block *block, const float *m, double *counts,
			   iso_error *err)
{
	uint8_t *group = malloc(block->count + 1);
	if (!group) return iso_fail_memory(err, "the tails' lines", block->count);
	const iso_status status = classify(t, block, group, err);
	for (size_t n = 0; n < block->count && status == ISO_OK; n++)
		if (group[n] < ISO_TAIL_GROUPS && (!m || m[n] > 0)) counts[group[n]]++;
	free(group);
	return status;
}

/* Of one pair, over its TOF bins. */
typedef double pair_value(const void *what, const sample *s);

/* In pieces of fixed size, so that the sums' bits do not depend on the threads. */
static void add_up(const iso_tails *t, pair_value *value, const void *what, iso_pair_sums *sums)
{
	const size_t pieces = (t->samples + SUMS_AT_ONCE - 1) / SUMS_AT_ONCE;
	*sums = (iso_pair_sums){0};
#pragma omp parallel for ordered num_threads(t->threads) schedule(static, 1)
	for (size_t piece = 0; piece < pieces; piece++) {
		const size_t first = piece * SUMS_AT_ONCE, rest = t->samples - first;
		iso_pair_sums part = {0};
		for (size_t n = first; n < first + (rest < SUMS_AT_ONCE ? rest : SUMS_AT_ONCE); n++) {
			const double v = t->weight * value(what, t->sample + n);
			part.all += v;
			if (t->sample[n].group < ISO_TAIL_GROUPS) part.tails[t->sample[n].group] += v;
		}
#pragma omp ordered
		{
			sums->all += part.all;
			for (int g = 0; g < ISO_TAIL_GROUPS; g++) sums->tails[g] += part.tails[g];
		}
	}
}

typedef struct table_values {
	const iso_pair_table *table;
	const float *efficiency;
	int half; /* TOF bins from -half to half */
} table_values;

static double table_value(const void *what, const sample *s)
{
	const table_values *v = what;
	const iso_net_place *place = v->table->detectors->place;
	double sum = 0;
	for (int bin = -v->half; bin <= v->half; bin++)
		sum += iso_pair_table_at(v->table, place + s->element[0], place + s->element[1], bin);
	return sum * (double)v->efficiency[s->element[0]] * (double)v->efficiency[s->element[1]];
}

void iso_tails_table_sums(const iso_tails *t, const iso_pair_table *table, const float *efficiency, iso_pair_sums *sums)
{
	const int bins = t->scanner->tof.bins;
	const table_values what = {table, efficiency, table->times > 1 ? (bins - 1) / 2 : 0};
	add_up(t, table_value, &what, sums);
}

static double rate_value(const void *what, const sample *s)
{
	const float *rate = what;
	return (double)rate[s->element[0]] * (double)rate[s->element[1]];
}

void iso_tails_rate_sums(const iso_tails *t, const float *rate, iso_pair_sums *sums)
{
	add_up(t, rate_value, rate, sums);
}

/* Expectation maximisation: each step keeps the scales >= 0 and never makes the counts less likely. The start, and the variance
 * where nothing is expected, count one event more. */
iso_tail_fit iso_tails_fit(const double *counts, const double *randoms, const double (*shape)[ISO_TAIL_GROUPS],
			   int shapes)
{
	enum { STEPS = 3000 };
	iso_tail_fit fit = {.sd = {(double)INFINITY, (double)INFINITY}};
	double whole[2] = {0, 0};
	for (int s = 0; s < shapes; s++) {
		for (int g = 0; g < ISO_TAIL_GROUPS; g++) whole[s] += shape[s][g];
		fit.scale[s] = 1;
		if (!(whole[s] > 0)) return fit;
	}
	for (int step = 0; step < STEPS; step++) {
		double explained[2] = {0, 0};
		for (int g = 0; g < ISO_TAIL_GROUPS; g++) {
			double expected = randoms ? randoms[g] : 0;
			for (int s = 0; s < shapes; s++) expected += fit.scale[s] * shape[s][g];
			for (int s = 0; s < shapes && expected > 0; s++)
				explained[s] += counts[g] * shape[s][g] / expected;
		}
		for (int s = 0; s < shapes; s++) fit.scale[s] *= explained[s] / whole[s];
	}
	double(*const information)[2] = fit.information;
	for (int g = 0; g < ISO_TAIL_GROUPS; g++) {
		double expected = (randoms ? randoms[g] : 0) + 1.0 / ISO_TAIL_GROUPS;
		for (int s = 0; s < shapes; s++) expected += fit.scale[s] * shape[s][g];
		const double doubt = randoms ? randoms_known * randoms[g] : 0, variance = expected + doubt * doubt;
		for (int s = 0; s < shapes; s++)
			for (int r = 0; r < shapes; r++) information[s][r] += shape[s][g] * shape[r][g] / variance;
	}
	if (shapes == 1) {
		fit.sd[0] = 1 / sqrt(information[0][0]);
		return fit;
	}
	const double determinant = information[0][0] * information[1][1] - information[0][1] * information[0][1];
	if (determinant > 1e-9 * information[0][0] * information[1][1])
		for (int s = 0; s < 2; s++) fit.sd[s] = sqrt(information[1 - s][1 - s] / determinant);
	return fit;
}

/* The tails' own scale is the scale times a factor of 1 within tails_shape. */
iso_tail_fit iso_tails_combine(const iso_tail_fit *tails, int shapes, const iso_scale_expected *expected,
			       double *weight)
{
	iso_tail_fit out = {.sd = {(double)INFINITY, (double)INFINITY}};
	const double shape2 = tails_shape * tails_shape;
	double variance[2], a[2][2], right[2];
	for (int s = 0; s < 2; s++) {
		const double apart = tails->scale[s] - expected->scale;
		variance[s] = expected->sd[s] * expected->sd[s];
		if (s < shapes && isfinite(tails->sd[s]))
			variance[s] =
			    fmax(variance[s], apart * apart - contradiction * (tails->sd[s] * tails->sd[s] + shape2));
	}
	for (int s = 0; s < 2; s++) {
		const double precision = 1 / (variance[s] + shape2);
		right[s] = precision * expected->scale;
		for (int r = 0; r < 2; r++) {
			const double known = s < shapes && r < shapes ? tails->information[s][r] : 0;
			a[s][r] = known + (s == r ? precision : 0);
			right[s] += known * tails->scale[r];
		}
	}
	const double determinant = a[0][0] * a[1][1] - a[0][1] * a[1][0];
	for (int s = 0; s < 2; s++) {
		const double there = (right[s] * a[1 - s][1 - s] - a[s][1 - s] * right[1 - s]) / determinant,
			     left = a[1 - s][1 - s] / determinant, taken = variance[s] / (variance[s] + shape2);
		out.scale[s] = fmax(expected->scale + taken * (there - expected->scale), 0);
		out.sd[s] = sqrt(taken * shape2 + taken * taken * left);
		if (s == 0) *weight = taken * (1 - left / (variance[s] + shape2));
	}
	return out;
}

iso_tail_fit iso_tails_weigh(const iso_tail_fit *tails, int shapes, const iso_scale_counts *counts, const double sd[2],
			     double *weight)
{
	/* What is expected follows from the gammas' scale and it from what is expected: each round is nearer by gammas / (trues + scatter), or
	 * much more where tails know the gammas. The first one is right where they know nothing. */
	enum { ROUNDS = 30 };
	const double pairs = counts->trues + counts->scatter, all = pairs + counts->gammas;
	iso_scale_expected expected = {.scale = all > 0 ? counts->found / all : 1, .sd = {sd[0], sd[1]}};
	iso_tail_fit fit = iso_tails_combine(tails, shapes, &expected, weight);
	for (int round = 0; round < ROUNDS && counts->gammas > 0 && pairs > 0; round++) {
		expected.scale = fmax(counts->found - fit.scale[1] * counts->gammas, 0) / pairs;
		fit = iso_tails_combine(tails, shapes, &expected, weight);
	}
	return fit;
}
