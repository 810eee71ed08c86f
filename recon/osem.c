/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/osem.h"

#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* With subsets, a voxel that by chance meets no event of a subset would be 0 for good: one pass may shrink it at most this far.
 * MLEM needs no such limit and has none. */
static const double smallest_step = 0.1;
/* A line is taken to meet nothing when it expects less than this part of what the start image gives per mm. */
static const double nothing = 1e-20;
/* Sums are made in chunks of this many and then added up in order: the same bits for any number of threads. */
enum { CHUNK = 4096 };

typedef struct work {
	const iso_osem *osem;
	float *blurred, *back, *before;
	float *ratio;
	double *partial; /* one per chunk of voxels or lines */
	int threads;
	double largest, start;
	iso_osem_result *result;
} work;

typedef double chunk_function(const void *user, size_t first, size_t end);

static double chunked_sum(const work *w, size_t count, chunk_function *function, const void *user)
{
	const int64_t chunks = (int64_t)((count + CHUNK - 1) / CHUNK);
#pragma omp parallel for schedule(static) num_threads(w->threads)
	for (int64_t c = 0; c < chunks; c++) {
		const size_t first = (size_t)c * CHUNK;
		w->partial[c] = function(user, first, first + CHUNK < count ? first + CHUNK : count);
	}
	double sum = 0;
	for (int64_t c = 0; c < chunks; c++) sum += w->partial[c];
	return sum;
}

typedef struct pair {
	const float *a, *b;
} pair;

static double sum_product(const void *user, size_t first, size_t end)
{
	const pair *p = user;
	double sum = 0;
	for (size_t j = first; j < end; j++) sum += (double)p->a[j] * (double)p->b[j];
	return sum;
}

static double sum_square_difference(const void *user, size_t first, size_t end)
{
	const pair *p = user;
	double sum = 0;
	for (size_t j = first; j < end; j++) {
		const double d = (double)p->a[j] - (double)p->b[j];
		sum += d * d;
	}
	return sum;
}

/* Uniform over the support, with as many expected counts as were measured. */
static void start_image(work *w, float *x)
{
	const iso_osem *o = w->osem;
	double sum = 0;
	for (size_t j = 0; j < o->voxels; j++)
		if ((double)o->sensitivity[j] > w->largest) w->largest = (double)o->sensitivity[j];
	for (size_t j = 0; j < o->voxels; j++) {
		const bool inside = (double)o->sensitivity[j] > o->support * w->largest;
		x[j] = inside ? 1 : 0;
		if (inside) sum += (double)o->sensitivity[j];
	}
	w->start = sum > 0 ? o->data->total / (sum * o->sensitivity_scale) : 0;
	for (size_t j = 0; j < o->voxels; j++) x[j] *= (float)w->start;
}

/* In place: expected -> counts / expected, and the logarithms' sum. */
typedef struct ratios {
	float *value;
	const float *additive, *counts;
	double nothing;
	uint64_t *outside; /* per chunk, exact integers: their order is free */
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

static iso_status report(const work *w, unsigned iteration, unsigned subset, double done, iso_error *err)
{
	const iso_progress *progress = w->osem->progress;
	if (!progress || !progress->report) return ISO_OK;
	char stage[96];
	snprintf(stage, sizeof stage, "%siteration %u subset %u", w->osem->label, iteration + 1, subset + 1);
	if (progress->report(progress->user, stage, fmin(done, 1)) == 0) return ISO_OK;
	return iso_fail(err, ISO_CANCELLED, NULL, "", "reconstruction cancelled");
}

/* back = P' [counts / (P blurred + additive)] over one subset. */
static iso_status subset_pass(work *w, unsigned iteration, unsigned subset, double *log_sum, uint64_t *lines,
			      iso_error *err)
{
	const iso_osem *o = w->osem;
	const double total = o->data->total / o->subsets;
	double done = 0;
	iso_status status = o->data->rewind(o->data->self, subset, err);
	*log_sum = 0;
	*lines = 0;
	memset(w->back, 0, o->voxels * sizeof *w->back);
	while (status == ISO_OK) {
		status = report(w, iteration, subset, total > 0 ? done / total : 1, err);
		iso_data_block block;
		if (status == ISO_OK) status = o->data->next(o->data->self, &block, err);
		if (status != ISO_OK || block.count == 0) break;
		status = block.lines->forward(block.lines->self, w->blurred, w->ratio, err);
		if (status != ISO_OK) break;
		const ratios r = {w->ratio, block.additive, block.counts, nothing * w->start, &w->result->outside};
		*log_sum += chunked_sum(w, block.count, make_ratios, &r);
		status = block.lines->adjoint(block.lines->self, w->ratio, w->back, err);
		*lines += block.count;
		done += (double)block.count;
	}
	return status;
}

/* x <- x * G' back * K / s inside the support. */
static void update(const work *w, float *x)
{
	const iso_osem *o = w->osem;
	const double scale = o->subsets / o->sensitivity_scale, low = o->subsets > 1 ? smallest_step : 0;
	const double least = o->support * w->largest;
	const int64_t voxels = (int64_t)o->voxels;
#pragma omp parallel for schedule(static) num_threads(w->threads)
	for (int64_t j = 0; j < voxels; j++) {
		if (!((double)o->sensitivity[j] > least)) continue;
		const double step = scale * (double)w->back[j] / (double)o->sensitivity[j];
		const double value = (double)x[j] * fmax(step, low);
		x[j] = isfinite(value) ? (float)fmin(value, 1e30) : x[j];
	}
}

static iso_status image_forward(const work *w, const float *x, iso_error *err)
{
	if (w->osem->image_model) return w->osem->image_model->forward(w->osem->image_model->self, x, w->blurred, err);
	memcpy(w->blurred, x, w->osem->voxels * sizeof *x);
	return ISO_OK;
}

static iso_status image_adjoint(const work *w, iso_error *err)
{
	if (!w->osem->image_model) return ISO_OK;
	/* `blurred` is done with: back -> G' back by way of it */
	memset(w->blurred, 0, w->osem->voxels * sizeof *w->blurred);
	const iso_status status = w->osem->image_model->adjoint(w->osem->image_model->self, w->back, w->blurred, err);
	memcpy(w->back, w->blurred, w->osem->voxels * sizeof *w->back);
	return status;
}

static iso_status iterate(work *w, unsigned iteration, float *x, iso_error *err)
{
	const iso_osem *o = w->osem;
	const pair sx = {o->sensitivity, x};
	w->result->objective = 0;
	w->result->outside = 0;
	w->result->empty_subsets = 0;
	memcpy(w->before, x, o->voxels * sizeof *x);
	for (unsigned subset = 0; subset < o->subsets; subset++) {
		double log_sum = 0;
		uint64_t lines = 0;
		const double expected = o->sensitivity_scale * chunked_sum(w, o->voxels, sum_product, &sx);
		iso_status status = image_forward(w, x, err);
		if (status == ISO_OK) status = subset_pass(w, iteration, subset, &log_sum, &lines, err);
		if (status == ISO_OK) status = image_adjoint(w, err);
		if (status != ISO_OK) return status;
		w->result->objective += log_sum - expected / o->subsets;
		/* A subset without any event says nothing about where the activity is. (MLEM without events: the answer is 0.) */
		if (lines == 0 && o->subsets > 1 && o->data->total > 0)
			w->result->empty_subsets++;
		else
			update(w, x);
	}
	const pair both = {x, w->before}, old = {w->before, w->before};
	const double norm = chunked_sum(w, o->voxels, sum_product, &old);
	w->result->change = norm > 0 ? sqrt(chunked_sum(w, o->voxels, sum_square_difference, &both) / norm) : 0;
	w->result->explained = o->sensitivity_scale * chunked_sum(w, o->voxels, sum_product, &sx);
	if (o->progress && o->progress->note) {
		char line[240];
		snprintf(line, sizeof line,
			 "%siteration %u of %u: change %.4g, the image explains %.0f of %.0f prompts, log-likelihood "
			 "%.8g",
			 o->label, iteration + 1, o->iterations, w->result->change, w->result->explained,
			 o->data->total, w->result->objective);
		o->progress->note(o->progress->user, line);
	}
	return ISO_OK;
}

iso_status iso_osem_run(const iso_osem *osem, float *x, double *objectives, iso_osem_result *result, iso_error *err)
{
	iso_osem_result unwanted;
	const size_t most = osem->data->most, longest = osem->voxels > most ? osem->voxels : most;
	work w = {.osem = osem,
		  .threads = osem->threads > 0 ? osem->threads : omp_get_max_threads(),
		  .result = result ? result : &unwanted};
	memset(w.result, 0, sizeof *w.result);
	w.blurred = malloc(osem->voxels * sizeof(float));
	w.back = malloc(osem->voxels * sizeof(float));
	w.before = malloc(osem->voxels * sizeof(float));
	w.ratio = malloc((most + 1) * sizeof(float));
	w.partial = malloc((longest / CHUNK + 1) * sizeof(double));
	iso_status status = ISO_OK;
	if (!w.blurred || !w.back || !w.before || !w.ratio || !w.partial)
		status = iso_fail_memory(err, "the reconstruction's images", (3 * osem->voxels + most) * sizeof(float));
	if (status == ISO_OK) start_image(&w, x);
	for (unsigned i = 0; i < osem->iterations && status == ISO_OK; i++) {
		status = iterate(&w, i, x, err);
		if (objectives && status == ISO_OK) objectives[i] = w.result->objective;
	}
	free(w.blurred);
	free(w.back);
	free(w.before);
	free(w.ratio);
	free(w.partial);
	return status;
}
