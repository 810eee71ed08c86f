/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/filter.h"

#include <fftw3.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"

#define PI 3.14159265358979323846
/* Lines that one thread gathers at a time: neighbours along x share cache lines when the line runs along y or z. */
enum { TILE = 16 };

struct iso_filter_plan {
	iso_filter_kind kind;
	double cutoff_per_mm, order;
	size_t size[3];
	double voxel_mm[3];
	int threads;
	fftwf_plan forward[3], inverse[3]; /* NULL along an axis of one voxel */
	float *gain[3];                    /* Gaussian: per frequency, with FFTW's 1/(2 n) */
	float *buffer;                     /* TILE * longest per thread */
	size_t longest;
};

/* What a pass over one axis does with each line. */
enum { FORWARD = 1, GAIN = 2, RADIAL = 4, INVERSE = 8 };

iso_status iso_filter_check(const iso_filter *filter, iso_error *err)
{
	if (filter->kind == ISO_FILTER_GAUSSIAN && !(filter->fwhm_mm > 0 && filter->fwhm_mm < 1e6))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a FWHM > 0 mm", "a Gaussian of %g mm FWHM",
				filter->fwhm_mm);
	if (filter->kind == ISO_FILTER_BUTTERWORTH &&
	    !(filter->cutoff_per_mm > 0 && filter->cutoff_per_mm < 1e6 && filter->order > 0 && filter->order <= 100))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a cutoff > 0 per mm and an order from 0 to 100",
				"a Butterworth filter of cutoff %g per mm and order %g", filter->cutoff_per_mm,
				filter->order);
	if (filter->kind != ISO_FILTER_NONE && filter->kind != ISO_FILTER_GAUSSIAN &&
	    filter->kind != ISO_FILTER_BUTTERWORTH)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "use ISO_FILTER_NONE, _GAUSSIAN or _BUTTERWORTH",
				"filter kind %d", (int)filter->kind);
	return ISO_OK;
}

void iso_filter_text(const iso_filter *filter, char *text, size_t size)
{
	text[0] = '\0';
	if (filter->kind == ISO_FILTER_GAUSSIAN) iso_snprintf(text, size, "Gaussian %g mm FWHM", filter->fwhm_mm);
	if (filter->kind == ISO_FILTER_BUTTERWORTH)
		iso_snprintf(text, size, "Butterworth cutoff %g per mm, order %g", filter->cutoff_per_mm,
			     filter->order);
}

/* The eigenvalues of the mirrored convolution with a sampled Gaussian: k0 + 2 sum k_n cos(pi m n / size), divided by the
 * 2 size that FFTW's pair of transforms multiplies with. */
static float *gaussian_gain(double fwhm_mm, size_t size, double voxel_mm)
{
	const double sigma = fwhm_mm / voxel_mm / sqrt(8 * log(2.0));
	const size_t reach = (size_t)fmin(ceil(8 * sigma), 1e6); /* exp(-32) = 1e-14 */
	float *gain = malloc(size * sizeof *gain);
	double *weight = malloc((reach + 1) * sizeof *weight);
	if (gain && weight) {
		double sum = 0;
		for (size_t n = 0; n <= reach; n++) {
			weight[n] = exp(-0.5 * ((double)n / sigma) * ((double)n / sigma));
			sum += (n ? 2 : 1) * weight[n];
		}
		for (size_t m = 0; m < size; m++) {
			double value = weight[0];
			for (size_t n = 1; n <= reach; n++)
				value += 2 * weight[n] * cos(PI * (double)(m * n % (2 * size)) / (double)size);
			gain[m] = (float)(value / sum / (2 * (double)size));
		}
	} else {
		free(gain);
		gain = NULL;
	}
	free(weight);
	return gain;
}

static iso_status plan_axis(iso_filter_plan *plan, int axis, const iso_filter *filter, iso_error *err)
{
	const int size = (int)plan->size[axis];
	if (size < 2) return ISO_OK;
		/* FFTW's planner is not thread-safe, its plans are. */
#pragma omp critical(iso_fftw_planner)
	{
		plan->forward[axis] = fftwf_plan_r2r_1d(size, plan->buffer, plan->buffer, FFTW_REDFT10, FFTW_ESTIMATE);
		plan->inverse[axis] = fftwf_plan_r2r_1d(size, plan->buffer, plan->buffer, FFTW_REDFT01, FFTW_ESTIMATE);
	}
	if (!plan->forward[axis] || !plan->inverse[axis])
		return iso_fail_memory(err, "a filter's transforms", plan->size[axis] * sizeof(float));
	if (filter->kind != ISO_FILTER_GAUSSIAN) return ISO_OK;
	plan->gain[axis] = gaussian_gain(filter->fwhm_mm, plan->size[axis], plan->voxel_mm[axis]);
	return plan->gain[axis] ? ISO_OK : iso_fail_memory(err, "a filter", plan->size[axis] * sizeof(float));
}

iso_status iso_filter_plan_create(const iso_filter *filter, const iso_grid *grid, int threads, iso_filter_plan **out,
				  iso_error *err)
{
	*out = NULL;
	iso_status status = iso_filter_check(filter, err);
	if (status == ISO_OK) status = iso_grid_check(grid, NULL, err);
	if (status != ISO_OK) return status;
	iso_filter_plan *plan = calloc(1, sizeof *plan);
	if (!plan) return iso_fail_memory(err, "a filter", sizeof *plan);
	plan->kind = filter->kind;
	plan->cutoff_per_mm = filter->cutoff_per_mm;
	plan->order = filter->order;
	plan->threads = threads > 0 ? threads : omp_get_max_threads();
	for (int a = 0; a < 3; a++) {
		plan->size[a] = grid->size[a];
		plan->voxel_mm[a] = grid->voxel_mm[a];
		/* a multiple of 16 floats keeps every line of a tile as aligned as the one that was planned */
		const size_t length = (grid->size[a] + 15) / 16 * 16;
		if (length > plan->longest) plan->longest = length;
	}
	if (plan->kind != ISO_FILTER_NONE) {
		const size_t bytes = (size_t)plan->threads * TILE * plan->longest * sizeof(float);
		plan->buffer = plan->longest > INT32_MAX / 2 ? NULL : fftwf_malloc(bytes);
		if (!plan->buffer) status = iso_fail_memory(err, "a filter", bytes);
		for (int a = 0; a < 3 && status == ISO_OK; a++) status = plan_axis(plan, a, filter, err);
	}
	if (status != ISO_OK) {
		iso_filter_plan_free(plan);
		return status;
	}
	*out = plan;
	return ISO_OK;
}

void iso_filter_plan_free(iso_filter_plan *plan)
{
	if (!plan) return;
#pragma omp critical(iso_fftw_planner)
	for (int a = 0; a < 3; a++) {
		if (plan->forward[a]) fftwf_destroy_plan(plan->forward[a]);
		if (plan->inverse[a]) fftwf_destroy_plan(plan->inverse[a]);
	}
	for (int a = 0; a < 3; a++) free(plan->gain[a]);
	fftwf_free(plan->buffer);
	free(plan);
}

/* Butterworth's value at frequency index m[axis], with the transforms' normalisation of all three axes. */
static float radial_gain(const iso_filter_plan *plan, const size_t m[3])
{
	double f2 = 0, scale = 1;
	for (int a = 0; a < 3; a++) {
		if (plan->size[a] < 2) continue;
		const double f = (double)m[a] / (2 * (double)plan->size[a] * plan->voxel_mm[a]);
		f2 += f * f;
		scale *= 2 * (double)plan->size[a];
	}
	return (float)(1 / (1 + pow(f2 / (plan->cutoff_per_mm * plan->cutoff_per_mm), plan->order)) / scale);
}

static void filter_line(const iso_filter_plan *plan, int axis, unsigned what, size_t m[3], float *line)
{
	const size_t size = plan->size[axis];
	if (size > 1 && (what & FORWARD)) fftwf_execute_r2r(plan->forward[axis], line, line);
	if (size > 1 && (what & GAIN))
		for (size_t n = 0; n < size; n++) line[n] *= plan->gain[axis][n];
	if (what & RADIAL)
		for (m[axis] = 0; m[axis] < size; m[axis]++) line[m[axis]] *= radial_gain(plan, m);
	if (size > 1 && (what & INVERSE)) fftwf_execute_r2r(plan->inverse[axis], line, line);
}

/* All lines along one axis. A tile is up to TILE lines that lie side by side along the first other axis. */
static void pass(iso_filter_plan *plan, int axis, unsigned what, float *voxels)
{
	const size_t *size = plan->size;
	const size_t stride[3] = {1, size[0], size[0] * size[1]};
	const int beside = axis == 0 ? 1 : 0, outer = axis == 2 ? 1 : 2;
	const size_t tiles = (size[beside] + TILE - 1) / TILE;
	const int64_t jobs = (int64_t)(tiles * size[outer]);
#pragma omp parallel for schedule(static) num_threads(plan->threads)
	for (int64_t job = 0; job < jobs; job++) {
		float *buffer = plan->buffer + (size_t)omp_get_thread_num() * TILE * plan->longest;
		const size_t first = (size_t)job % tiles * TILE, other = (size_t)job / tiles;
		const size_t lines = size[beside] - first < TILE ? size[beside] - first : TILE;
		float *corner = voxels + first * stride[beside] + other * stride[outer];
		for (size_t n = 0; n < size[axis]; n++)
			for (size_t l = 0; l < lines; l++)
				buffer[l * plan->longest + n] = corner[l * stride[beside] + n * stride[axis]];
		for (size_t l = 0; l < lines; l++) {
			size_t m[3];
			m[axis] = 0;
			m[beside] = first + l;
			m[outer] = other;
			filter_line(plan, axis, what, m, buffer + l * plan->longest);
		}
		for (size_t n = 0; n < size[axis]; n++)
			for (size_t l = 0; l < lines; l++)
				corner[l * stride[beside] + n * stride[axis]] = buffer[l * plan->longest + n];
	}
}

void iso_filter_plan_apply(iso_filter_plan *plan, float *voxels)
{
	if (plan->kind == ISO_FILTER_GAUSSIAN)
		for (int a = 0; a < 3; a++)
			if (plan->size[a] > 1) pass(plan, a, FORWARD | GAIN | INVERSE, voxels);
	if (plan->kind == ISO_FILTER_BUTTERWORTH) {
		pass(plan, 0, FORWARD, voxels);
		pass(plan, 1, FORWARD, voxels);
		pass(plan, 2, FORWARD | RADIAL | INVERSE, voxels);
		pass(plan, 1, INVERSE, voxels);
		pass(plan, 0, INVERSE, voxels);
	}
}

iso_status iso_filter_apply(const iso_filter *filter, const iso_grid *grid, float *voxels, int threads, iso_error *err)
{
	iso_filter_plan *plan;
	const iso_status status = iso_filter_plan_create(filter, grid, threads, &plan, err);
	if (status != ISO_OK) return status;
	iso_filter_plan_apply(plan, voxels);
	iso_filter_plan_free(plan);
	return ISO_OK;
}
