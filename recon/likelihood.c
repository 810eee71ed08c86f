/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/likelihood.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* A line is taken to meet nothing when it expects less than this part of what the start image gives per mm. */
static const double nothing = 1e-20;

/* The largest sensitivity is exact in any order; the sum's order is fixed. */
static void find_support(iso_likelihood *l)
{
	const iso_data_model *m = &l->model;
	double largest = 0, sum = 0;
	for (size_t j = 0; j < m->voxels; j++) largest = fmax(largest, (double)m->sensitivity[j]);
	l->least = m->support * largest;
	for (size_t j = 0; j < m->voxels; j++)
		if (iso_likelihood_supports(l, j)) sum += (double)m->sensitivity[j];
	l->start = sum > 0 ? m->data->total / (sum * m->sensitivity_scale) : 0;
}

iso_status iso_likelihood_create(const iso_data_model *model, iso_likelihood *out, iso_error *err)
{
	const size_t most = model->data->most, longest = model->voxels > most ? model->voxels : most;
	*out = (iso_likelihood){.model = *model};
	iso_status status = iso_sums_create(longest, model->threads, &out->sums, err);
	if (status != ISO_OK) return status;
	out->blurred = malloc(model->voxels * sizeof(float));
	out->back = malloc(model->voxels * sizeof(float));
	out->ratio = malloc((most + 1) * sizeof(float));
	if (!out->blurred || !out->back || !out->ratio) {
		iso_likelihood_release(out);
		return iso_fail_memory(err, "the reconstruction's images", (2 * model->voxels + most) * sizeof(float));
	}
	find_support(out);
	return ISO_OK;
}

void iso_likelihood_release(iso_likelihood *likelihood)
{
	free(likelihood->blurred);
	free(likelihood->back);
	free(likelihood->ratio);
	iso_sums_release(&likelihood->sums);
	*likelihood = (iso_likelihood){0};
}

void iso_likelihood_start(const iso_likelihood *likelihood, float *x)
{
	for (size_t j = 0; j < likelihood->model.voxels; j++)
		x[j] = iso_likelihood_supports(likelihood, j) ? (float)likelihood->start : 0;
}

double iso_likelihood_explained(const iso_likelihood *likelihood, const float *x)
{
	const iso_data_model *m = &likelihood->model;
	return m->sensitivity_scale * iso_sum_product(&likelihood->sums, m->voxels, m->sensitivity, x);
}

/* In place: expected -> counts / expected, and the logarithms' sum. */
typedef struct ratios {
	float *value;
	const float *additive, *counts;
	double nothing;
	uint64_t *outside; /* exact integers: their order is free */
} ratios;

static double make_ratios(const void *user, size_t first, size_t end)
{
	const ratios *r = user;
	double sum = 0;
	uint64_t outside = 0;
	for (size_t i = first; i < end; i++) {
		const double expected = (double)r->value[i] + (double)r->additive[i];
		const double counts = r->counts ? (double)r->counts[i] : 1;
		if (isfinite(expected) && expected > r->nothing) {
			r->value[i] = (float)(counts / expected);
			sum += counts * log(expected);
		} else {
			r->value[i] = 0;
			outside++;
		}
	}
	if (outside) {
#pragma omp atomic
		*r->outside += outside;
	}
	return sum;
}

/* back = P' [counts / (P blurred + additive)] */
static iso_status project(iso_likelihood *l, unsigned subset, const iso_pass_watch *watch, iso_subset_sums *sums,
			  iso_error *err)
{
	iso_data *data = l->model.data;
	const double total = data->total / l->model.subsets;
	double done = 0;
	uint64_t fresh = 0;
	memset(l->back, 0, l->model.voxels * sizeof *l->back);
	iso_status status = data->rewind(data->self, subset, err);
	while (status == ISO_OK) {
		if (watch) status = watch->told(watch->user, total > 0 ? fmin(done / total, 1) : 1, fresh, err);
		iso_data_block block;
		if (status == ISO_OK) status = data->next(data->self, &block, err);
		if (status != ISO_OK || block.count == 0) break;
		status = block.lines->forward(block.lines->self, l->blurred, l->ratio, err);
		if (status != ISO_OK) break;
		const ratios r = {l->ratio, block.additive, block.counts, nothing * l->start, &sums->outside};
		sums->log_sum += iso_sum(&l->sums, block.count, make_ratios, &r);
		status = block.lines->adjoint(block.lines->self, l->ratio, l->back, err);
		sums->lines += block.count;
		fresh = block.count;
		done += (double)block.count;
	}
	return status;
}

static iso_status image_forward(iso_likelihood *l, const float *x, iso_error *err)
{
	const iso_operator *g = l->model.image_model;
	if (g) return g->forward(g->self, x, l->blurred, err);
	memcpy(l->blurred, x, l->model.voxels * sizeof *x);
	return ISO_OK;
}

static iso_status image_adjoint(iso_likelihood *l, iso_error *err)
{
	const iso_operator *g = l->model.image_model;
	if (!g) return ISO_OK;
	/* `blurred` is done with: back -> G' back by way of it */
	memset(l->blurred, 0, l->model.voxels * sizeof *l->blurred);
	const iso_status status = g->adjoint(g->self, l->back, l->blurred, err);
	memcpy(l->back, l->blurred, l->model.voxels * sizeof *l->back);
	return status;
}

iso_status iso_likelihood_pass(iso_likelihood *likelihood, unsigned subset, const float *x, const iso_pass_watch *watch,
			       iso_subset_sums *sums, iso_error *err)
{
	*sums = (iso_subset_sums){.expected = iso_likelihood_explained(likelihood, x)};
	iso_status status = image_forward(likelihood, x, err);
	if (status == ISO_OK) status = project(likelihood, subset, watch, sums, err);
	return status == ISO_OK ? image_adjoint(likelihood, err) : status;
}
