/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/bench.h"
#include "core/error.h"
#include "core/stopwatch.h"

double bench_cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One kernel in the alternation, with its leading part of the events. */
typedef struct contender {
	const bench_engine *engine;
	size_t count;
	int threads;
	void *state;
	double prepare_s;
	float *weights, *values; /* in the engine's order */
	double forward_s[bench_rounds_most], back_s[bench_rounds_most], both_s[bench_rounds_most],
	    cpu_s[bench_rounds_most];
	double adjoint_error;
} contender;

static void leave(contender *c)
{
	if (c->state) c->engine->free(c->state);
	free(c->weights), free(c->values);
	c->state = NULL;
	c->weights = c->values = NULL;
}

static iso_status enter(contender *c, const bench_data *data, const iso_tof_kernel *tof, const char *kernels,
			iso_error *err)
{
	c->weights = malloc(c->count * sizeof *c->weights);
	c->values = malloc(c->count * sizeof *c->values);
	if (!c->weights || !c->values) return iso_fail_memory(err, "the bench", 2 * c->count * sizeof *c->values);
	const double start = iso_clock_s();
	const iso_status status = c->engine->prepare(data, c->count, tof, c->threads, kernels, &c->state, err);
	c->prepare_s = iso_clock_s() - start;
	if (status != ISO_OK) return status;
	const uint32_t *order = c->engine->order(c->state);
	for (size_t n = 0; n < c->count; n++) c->weights[n] = data->weights[order ? order[n] : n];
	return ISO_OK;
}

/* Forward and back once. back is cleared first; round < 0: not counted. */
static iso_status lap(contender *c, const bench_data *data, int round, float *back, iso_error *err)
{
	memset(back, 0, iso_grid_voxels(&data->grid) * sizeof *back);
	const double cpu_s = bench_cpu_s(), start = iso_clock_s();
	iso_status status = c->engine->forward(c->state, data->image, c->values, err);
	const double middle = iso_clock_s();
	if (status == ISO_OK) status = c->engine->back(c->state, c->weights, back, err);
	const double end = iso_clock_s();
	if (round < 0) return status;
	c->forward_s[round] = middle - start;
	c->back_s[round] = end - middle;
	c->both_s[round] = end - start;
	c->cpu_s[round] = bench_cpu_s() - cpu_s;
	return status;
}

/* |<Ax,y> - <x,A'y>| / <Ax,y> of the last lap */
static double adjoint_error(const contender *c, const bench_data *data, const float *back)
{
	double left = 0, right = 0;
	for (size_t n = 0; n < c->count; n++) left += (double)c->values[n] * (double)c->weights[n];
	for (size_t n = 0; n < iso_grid_voxels(&data->grid); n++) right += (double)data->image[n] * (double)back[n];
	return left > 0 ? fabs(left - right) / left : fabs(right);
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof *values, by_size);
	return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

static bench_speed speed_of(contender *c, int rounds)
{
	const double events = (double)c->count, both_s = median(c->both_s, rounds);
	return (bench_speed){.forward_per_s = events / median(c->forward_s, rounds),
			     .back_per_s = events / median(c->back_s, rounds),
			     .both_per_s = events / both_s,
			     .adjoint_error = c->adjoint_error,
			     .cpu_share = median(c->cpu_s, rounds) / (c->threads * both_s)};
}

/* The largest |a - b| over the largest b. */
static double difference(const float *a, const float *b, size_t count)
{
	double most = 0, largest = 0;
	for (size_t n = 0; n < count; n++) {
		/* written so that a NAN does not pass for agreement */
		const double away = fabs((double)a[n] - (double)b[n]);
		if (!(away <= most)) most = away;
		largest = fmax(largest, (double)b[n]);
	}
	return most / largest;
}

/* Both kernels over the same leading events. */
static iso_status compare(const bench_data *data, const iso_tof_kernel *tof, const bench_settings *settings,
			  bench_result *result, float *back, iso_error *err)
{
	enum { textbook, fast, both };
	const size_t count = settings->textbook_events, voxels = iso_grid_voxels(&data->grid);
	contender c[both] = {{.engine = &bench_textbook, .count = count, .threads = settings->threads},
			     {.engine = &bench_fast, .count = count, .threads = settings->threads}};
	float *other = malloc(voxels * sizeof *other), *arrived = malloc(count * sizeof *arrived);
	iso_status status = ISO_OK;
	if (!other || !arrived) status = iso_fail_memory(err, "the bench", (voxels + count) * sizeof(float));
	for (int k = 0; k < both && status == ISO_OK; k++) status = enter(c + k, data, tof, settings->kernels, err);
	for (int k = 0; k < both && status == ISO_OK; k++) status = lap(c + k, data, -1, k == fast ? other : back, err);
	if (status == ISO_OK) {
		const uint32_t *order = bench_fast.order(c[fast].state);
		for (size_t n = 0; n < count; n++) arrived[order ? order[n] : n] = c[fast].values[n];
		result->forward_difference = difference(arrived, c[textbook].values, count);
		result->back_difference = difference(other, back, voxels);
	}
	for (int k = 0; k < both; k++) leave(c + k);
	free(other), free(arrived);
	return status;
}

/* Rounds in which all kernels take turns, so that whatever else the machine does meets all of them. */
static iso_status alternate(const bench_data *data, const iso_tof_kernel *tof, const bench_settings *settings,
			    bench_result *result, float *back, iso_error *err)
{
	enum { textbook, fast, one_thread, all };
	contender c[all] = {
	    {.engine = &bench_textbook, .count = settings->textbook_events, .threads = settings->threads},
	    {.engine = &bench_fast, .count = settings->events, .threads = settings->threads},
	    {.engine = &bench_fast, .count = settings->events, .threads = 1}};
	const int contenders = settings->threads > 1 ? all : one_thread;
	double forward_bound_s[bench_rounds_most], back_bound_s[bench_rounds_most];
	iso_status status = ISO_OK;
	for (int k = 0; k < contenders && status == ISO_OK; k++)
		status = enter(c + k, data, tof, settings->kernels, err);
	if (status == ISO_OK) result->traffic = bench_fast.traffic(c[fast].state);
	const bench_traffic *traffic = &result->traffic;
	/* one round more than is counted: the first touches the memory */
	for (int round = -1; round < settings->rounds && status == ISO_OK; round++) {
		for (int k = 0; k < contenders && status == ISO_OK; k++) {
			status = lap(c + k, data, round, back, err);
			if (status == ISO_OK && round == settings->rounds - 1)
				c[k].adjoint_error = adjoint_error(c + k, data, back);
		}
		if (round < 0) continue;
		forward_bound_s[round] = back_bound_s[round] = 0;
		for (int part = 0; part < 2; part++) {
			const bench_moved *moved = part ? &traffic->image : &traffic->panel;
			forward_bound_s[round] +=
			    bench_bound((size_t)moved->forward_load_bytes, (size_t)moved->forward_store_bytes,
					moved->working_set_bytes, settings->threads);
			back_bound_s[round] +=
			    bench_bound((size_t)moved->back_load_bytes, (size_t)moved->back_store_bytes,
					moved->working_set_bytes, settings->threads);
		}
	}
	if (status == ISO_OK) {
		result->textbook = speed_of(c + textbook, settings->rounds);
		result->fast = speed_of(c + fast, settings->rounds);
		if (contenders > one_thread) result->one_thread = speed_of(c + one_thread, settings->rounds);
		result->prepare_s = c[fast].prepare_s;
		result->forward_bound_s = median(forward_bound_s, settings->rounds);
		result->back_bound_s = median(back_bound_s, settings->rounds);
	}
	for (int k = 0; k < contenders; k++) leave(c + k);
	return status;
}

iso_status bench_measure(const bench_data *data, const iso_tof_kernel *tof, const bench_settings *settings,
			 bench_result *result, iso_error *err)
{
	*result = (bench_result){0};
	const size_t bytes = iso_grid_voxels(&data->grid) * sizeof(float);
	float *back = malloc(bytes);
	if (!back) return iso_fail_memory(err, "the bench", bytes);
	iso_status status = alternate(data, tof, settings, result, back, err);
	if (status == ISO_OK) status = compare(data, tof, settings, result, back, err);
	free(back);
	return status;
}
