/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counts of pair (a, b) are Poisson with mean W_ab e_a e_b r(|s|) z(|dz|) h(k_a, s) h(k_b, -s), W known. The likelihood is largest where each
 * crystal's fan sum, and for each factor of r, z and h the sum of the counts that it multiplies, are what the model expects. Each factor is
 * multiplied by the ratio of the two to a power: half for what multiplies both ends (a full step would swing to and fro for ever, as in
 * recon/randoms.c, and half a step damps it at once), less than one for the others because all move at the same time. Where nodes are interpolated,
 * a count is shared by the nodes around it as the factor is: still an unbiased equation, if no longer exactly the likelihood's. */
#include "recon/correct/norm_fit.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/pair_components.h"

enum { MAX_PASSES = 200, CHUNKS = 64 };
static const double both_ends = 0.5, one_factor = 0.7;
/* Misfit of the sums, mean square in units of their Poisson variance, that no use of the result can notice. */
static const double least_misfit = 1e-4;
static const double least_ratio = 1e-7; /* or: all ratios within this of 1 */

static void share(double *sum, double x, double step, uint32_t nodes, double weight)
{
	uint32_t node[2];
	const double w = iso_nodes_between(x, step, nodes, node);
	sum[node[0]] += (1 - w) * weight;
	sum[node[1]] += w * weight;
}

static double middle_mm(const iso_pair_components *c)
{
	return 0.5 * (c->block_nodes - 1.0) * c->block_step_mm;
}

void iso_norm_sums_add(iso_norm_sums *sums, const iso_norm_model *model, uint32_t a, uint32_t b, double weight)
{
	const iso_pair_components *c = model->components;
	const float *p = model->pairs->nominal->position_mm + 3 * (size_t)a,
		    *q = model->pairs->nominal->position_mm + 3 * (size_t)b;
	const double offset = iso_signed_offset_mm(p, q);
	sums->fan[a] += weight;
	sums->fan[b] += weight;
	if (c->radial_nodes) share(sums->radial, fabs(offset), c->radial_step_mm, c->radial_nodes, weight);
	if (c->axial_nodes)
		share(sums->axial, fabs((double)q[2] - (double)p[2]), c->axial_step_mm, c->axial_nodes, weight);
	if (!c->block_nodes) return;
	share(sums->block[c->position[a]], middle_mm(c) + offset, c->block_step_mm, c->block_nodes, weight);
	share(sums->block[c->position[b]], middle_mm(c) - offset, c->block_step_mm, c->block_nodes, weight);
}

/* r h h of the lines between two columns. */
static double column_factor(const iso_norm_model *m, uint32_t a, uint32_t b, double offset)
{
	const iso_pair_components *c = m->components;
	uint32_t node[2];
	double factor = 1, w;
	if (c->radial_nodes) {
		w = iso_nodes_between(fabs(offset), c->radial_step_mm, c->radial_nodes, node);
		factor *= (1 - w) * (double)c->radial[node[0]] + w * (double)c->radial[node[1]];
	}
	for (int end = 0; end < 2 && c->block_nodes; end++) {
		const float *h = c->block[c->position[end ? b : a]];
		w = iso_nodes_between(middle_mm(c) + (end ? -offset : offset), c->block_step_mm, c->block_nodes, node);
		factor *= (1 - w) * (double)h[node[0]] + w * (double)h[node[1]];
	}
	return factor;
}

/* One thread's room. */
typedef struct work {
	float *room; /* [most_rows^2] */
	double *sum; /* [most_rows] */
} work;

static void add_axial(const iso_norm_model *m, uint32_t u, uint32_t v, const float *matrix, double factor,
		      iso_norm_sums *to)
{
	const iso_norm_pairs *p = m->pairs;
	const iso_pair_components *c = m->components;
	const uint32_t rows = iso_norm_rows(p, u), others = iso_norm_rows(p, v);
	for (uint32_t j = 0; j < others; j++)
		for (uint32_t i = 0; i < rows; i++) {
			const uint32_t a = p->element[p->first[u] + i], b = p->element[p->first[v] + j];
			const float *z = p->nominal->position_mm + 2;
			const double apart = fabs((double)z[3 * (size_t)a] - (double)z[3 * (size_t)b]);
			share(to->axial, apart, c->axial_step_mm, c->axial_nodes,
			      factor * m->efficiency[a] * m->efficiency[b] * (double)matrix[(size_t)j * rows + i]);
		}
}

/* Expected sums of column u with all others. to->fan by element: only u's are touched. */
static void expect_column(const iso_norm_model *m, uint32_t u, const work *w, iso_norm_sums *to)
{
	const iso_norm_pairs *p = m->pairs;
	const iso_pair_components *c = m->components;
	const uint32_t rows = iso_norm_rows(p, u), *mine = p->element + p->first[u];
	for (uint32_t v = 0; v < p->columns; v++) {
		/* as lines from v to u: rows of u are neighbours */
		const float *matrix = iso_norm_pairs_matrix(p, v, u, c, w->room);
		if (!matrix) continue;
		const uint32_t others = iso_norm_rows(p, v), *its = p->element + p->first[v];
		const double offset = iso_signed_offset_mm(p->nominal->position_mm + 3 * (size_t)mine[0],
							   p->nominal->position_mm + 3 * (size_t)its[0]);
		const double factor = column_factor(m, mine[0], its[0], offset);
		double whole = 0;
		for (uint32_t i = 0; i < rows; i++) w->sum[i] = 0;
		for (uint32_t j = 0; j < others; j++) {
			const double e = m->efficiency[its[j]];
			const float *line = matrix + (size_t)j * rows;
			for (uint32_t i = 0; i < rows; i++) w->sum[i] += e * (double)line[i];
		}
		for (uint32_t i = 0; i < rows; i++) {
			const double expected = factor * m->efficiency[mine[i]] * w->sum[i];
			to->fan[mine[i]] += expected;
			whole += expected;
		}
		if (c->block_nodes)
			share(to->block[c->position[mine[0]]], middle_mm(c) + offset, c->block_step_mm, c->block_nodes,
			      whole);
		if (v < u) continue;
		if (c->radial_nodes) share(to->radial, fabs(offset), c->radial_step_mm, c->radial_nodes, whole);
		if (c->axial_nodes) add_axial(m, u, v, matrix, factor, to);
	}
}

/* Adds the sums but for fan. */
static void add_nodes(iso_norm_sums *to, const iso_norm_sums *from)
{
	for (int n = 0; n < ISO_PAIR_NODES; n++) {
		to->radial[n] += from->radial[n];
		to->axial[n] += from->axial[n];
	}
	for (int k = 0; k < ISO_BLOCK_POSITIONS; k++)
		for (int n = 0; n < ISO_BLOCK_NODES; n++) to->block[k][n] += from->block[k][n];
}

/* What is needed for a pass over all pairs. */
typedef struct pass {
	int threads;
	work *work;          /* [threads] */
	iso_norm_sums *part; /* [CHUNKS]: columns u with u mod CHUNKS the same, in order */
} pass;

static void pass_free(pass *p)
{
	for (int t = 0; p->work && t < p->threads; t++) {
		free(p->work[t].room);
		free(p->work[t].sum);
	}
	free(p->work);
	free(p->part);
}

static iso_status pass_create(const iso_norm_pairs *pairs, int threads, pass *p, iso_error *err)
{
	const size_t rows = pairs->most_rows;
	*p = (pass){.threads = threads > 0 ? threads : omp_get_max_threads()};
	p->work = calloc((size_t)p->threads, sizeof *p->work);
	p->part = malloc(CHUNKS * sizeof *p->part);
	bool good = p->work && p->part;
	for (int t = 0; good && t < p->threads; t++) {
		p->work[t].room = malloc(rows * rows * sizeof(float));
		p->work[t].sum = malloc(rows * sizeof(double));
		good = p->work[t].room && p->work[t].sum;
	}
	if (good) return ISO_OK;
	pass_free(p);
	return iso_fail_memory(err, "the normalisation", (size_t)p->threads * rows * rows * sizeof(float));
}

static void expect(const iso_norm_model *m, pass *p, iso_norm_sums *to)
{
	const uint32_t columns = m->pairs->columns;
	double *fan = to->fan;
	memset(fan, 0, m->pairs->nominal->elements * sizeof *fan);
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
	for (int chunk = 0; chunk < CHUNKS; chunk++) {
		iso_norm_sums *part = p->part + chunk;
		*part = (iso_norm_sums){.fan = fan};
		for (uint32_t u = (uint32_t)chunk; u < columns; u += CHUNKS)
			expect_column(m, u, p->work + omp_get_thread_num(), part);
	}
	*to = (iso_norm_sums){.fan = fan};
	for (int chunk = 0; chunk < CHUNKS; chunk++) add_nodes(to, p->part + chunk);
}

iso_status iso_norm_expect(const iso_norm_model *model, int threads, double *fan, iso_error *err)
{
	pass p;
	const iso_status status = pass_create(model->pairs, threads, &p, err);
	if (status != ISO_OK) return status;
	iso_norm_sums sums = {.fan = fan};
	expect(model, &p, &sums);
	pass_free(&p);
	return ISO_OK;
}

typedef struct misfit {
	double square, terms, worst;
} misfit;

/* The power of counts / expected, 1 where nothing is to be learned. */
static double step(double counts, double expected, double power, misfit *m)
{
	if (!(expected > 0) || !(counts > 0)) return 1;
	const double ratio = counts / expected;
	m->square += (counts - expected) * (counts - expected) / counts;
	m->terms++;
	m->worst = fmax(m->worst, fabs(ratio - 1));
	return pow(ratio, power);
}

/* One step of all factors. got is first scaled to as many counts as there are: the scale is nobody's. */
static misfit improve(iso_norm_model *m, const iso_norm_sums *counts, const iso_norm_sums *got, bool keep_block)
{
	iso_pair_components *c = m->components;
	const uint32_t elements = m->pairs->nominal->elements;
	double wanted = 0, sum = 0;
	for (uint32_t e = 0; e < elements; e++) {
		if (!(m->efficiency[e] > 0)) continue;
		wanted += counts->fan[e];
		sum += got->fan[e];
	}
	const double scale = sum > 0 ? wanted / sum : 0;
	misfit fit = {0};
	for (uint32_t e = 0; e < elements; e++)
		if (m->efficiency[e] > 0)
			m->efficiency[e] *= step(counts->fan[e], scale * got->fan[e], both_ends, &fit);
	for (uint32_t n = 0; n < c->radial_nodes; n++)
		c->radial[n] *= (float)step(counts->radial[n], scale * got->radial[n], one_factor, &fit);
	for (uint32_t n = 0; n < c->axial_nodes; n++)
		c->axial[n] *= (float)step(counts->axial[n], scale * got->axial[n], one_factor, &fit);
	for (uint32_t k = 0; k < c->block_positions && !keep_block; k++)
		for (uint32_t n = 0; n < c->block_nodes; n++)
			c->block[k][n] *= (float)step(counts->block[k][n], scale * got->block[k][n], both_ends, &fit);
	return fit;
}

iso_status iso_norm_fit(iso_norm_model *model, iso_norm_pairs *pairs, const iso_norm_sums *counts, bool keep_block,
			int threads, const iso_progress *progress, iso_error *err)
{
	pass p;
	iso_status status = pass_create(pairs, threads, &p, err);
	if (status != ISO_OK) return status;
	iso_norm_sums got = {.fan = malloc(pairs->nominal->elements * sizeof *got.fan)};
	if (!got.fan) status = iso_fail_memory(err, "the normalisation", pairs->nominal->elements * sizeof *got.fan);
	for (int n = 0; n < MAX_PASSES && status == ISO_OK; n++) {
		char stage[60];
		expect(model, &p, &got);
		const misfit fit = improve(model, counts, &got, keep_block);
		if (fit.square <= least_misfit * fit.terms || fit.worst <= least_ratio) break;
		iso_norm_pairs_weigh(pairs, model->components, p.threads);
		iso_snprintf(stage, sizeof stage, "normalisation, pass %d, misfit %.2g", n + 1,
			     sqrt(fit.square / fmax(fit.terms, 1)));
		if (progress && progress->report && progress->report(progress->user, stage, (double)n / MAX_PASSES))
			status = iso_fail(err, ISO_CANCELLED, NULL, "run it again", "normalisation cancelled");
	}
	free(got.fan);
	pass_free(&p);
	return status;
}
