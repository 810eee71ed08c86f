/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/system.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/stopwatch.h"
#include "recon/filter.h"
#include "recon/geometry.h"
#include "recon/projector.h"

enum { FACTORS_AT_ONCE = 2048 };

struct iso_system {
	const iso_scanner *scanner;
	iso_columns *columns;
	const iso_line_block *block;
	size_t voxels;
	int threads;
	iso_projector *projector;
	iso_projector *mu_projector; /* on mu's grid, without TOF */
	const iso_image *mu;
	iso_filter_plan *psf;  /* NULL: none */
	iso_filter_plan *tail; /* NULL: none */
	float tail_share, *tail_image;
	iso_range_model *range; /* NULL: none */
	float *scratch;         /* an image */
	iso_operator image_model, line_model;
	double forward_s, back_s;
};

/* The blur of a non-negative image is non-negative; what the transforms' rounding leaves below 0 (1e-7 of the maximum)
 * would become a negative expectation. */
static void apply_psf(const iso_system *s, float *image)
{
	if (!s->psf) return;
	if (s->tail) {
		memcpy(s->tail_image, image, s->voxels * sizeof *image);
		iso_filter_plan_apply(s->tail, s->tail_image);
	}
	iso_filter_plan_apply(s->psf, image);
	if (s->tail)
		for (size_t j = 0; j < s->voxels; j++) image[j] += s->tail_share * (s->tail_image[j] - image[j]);
	for (size_t j = 0; j < s->voxels; j++)
		if (image[j] < 0) image[j] = 0;
}

/* Decays to annihilations to what the detector's resolution leaves of them. */
static iso_status blur(void *self, const float *x, float *y, iso_error *err)
{
	(void)err;
	const iso_system *s = self;
	if (s->range)
		iso_range_model_forward(s->range, x, y);
	else
		memcpy(y, x, s->voxels * sizeof *y);
	apply_psf(s, y);
	return ISO_OK;
}

static iso_status blur_adjoint(void *self, const float *y, float *x, iso_error *err)
{
	(void)err;
	const iso_system *s = self;
	float *seen = s->scratch, *decays = s->scratch + s->voxels;
	memcpy(seen, y, s->voxels * sizeof *seen);
	apply_psf(s, seen);
	if (s->range)
		iso_range_model_adjoint(s->range, seen, decays);
	else
		decays = seen;
	for (size_t j = 0; j < s->voxels; j++) x[j] += decays[j];
	return ISO_OK;
}

static iso_status lines_forward(void *self, const float *x, float *y, iso_error *err)
{
	iso_system *s = self;
	const double start_s = iso_clock_s();
	const iso_status status = iso_projector_forward_block(s->projector, s->block, x, y, err);
	s->forward_s += iso_clock_s() - start_s;
	return status;
}

static iso_status lines_adjoint(void *self, const float *y, float *x, iso_error *err)
{
	iso_system *s = self;
	const double start_s = iso_clock_s();
	const iso_status status = iso_projector_adjoint_block(s->projector, s->block, y, x, err);
	s->back_s += iso_clock_s() - start_s;
	return status;
}

static iso_status create_parts(iso_system *s, const iso_grid *grid, const iso_resolution *resolution, int threads,
			       iso_error *err)
{
	const iso_tof_kernel tof = iso_tof_kernel_of(&s->scanner->tof);
	iso_status status = iso_columns_create(s->scanner, &s->columns, err);
	if (status == ISO_OK) status = iso_projector_create(grid, &tof, threads, &s->projector, err);
	if (status == ISO_OK && s->mu)
		status = iso_projector_create(&s->mu->grid, NULL, threads, &s->mu_projector, err);
	if (status == ISO_OK && resolution->psf_fwhm_mm > 0) {
		const iso_filter gaussian = {.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = resolution->psf_fwhm_mm};
		status = iso_filter_plan_create(&gaussian, grid, threads, &s->psf, err);
	}
	if (status == ISO_OK && s->psf && resolution->tail_share > 0) {
		const iso_filter gaussian = {.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = resolution->tail_fwhm_mm};
		s->tail_share = (float)resolution->tail_share;
		s->tail_image = malloc(s->voxels * sizeof *s->tail_image);
		if (!s->tail_image)
			return iso_fail_memory(err, "the resolution model", s->voxels * sizeof *s->tail_image);
		status = iso_filter_plan_create(&gaussian, grid, threads, &s->tail, err);
	}
	if (status == ISO_OK && resolution->range)
		status = iso_range_model_create(grid, s->mu, resolution->range, &s->range, err);
	if (status != ISO_OK || !(s->psf || s->range)) return status;
	s->scratch = malloc(2 * s->voxels * sizeof *s->scratch);
	if (!s->scratch) return iso_fail_memory(err, "the resolution model", 2 * s->voxels * sizeof *s->scratch);
	return ISO_OK;
}

iso_status iso_system_create(const iso_scanner *scanner, const iso_grid *grid, const iso_resolution *resolution,
			     const iso_image *mu, int threads, iso_system **out, iso_error *err)
{
	*out = NULL;
	iso_system *s = calloc(1, sizeof *s);
	if (!s) return iso_fail_memory(err, "the system model", sizeof *s);
	*s = (iso_system){.scanner = scanner,
			  .mu = mu,
			  .voxels = iso_grid_voxels(grid),
			  .threads = threads > 0 ? threads : omp_get_max_threads()};
	const iso_status status = create_parts(s, grid, resolution, threads, err);
	if (status != ISO_OK) {
		iso_system_free(s);
		return status;
	}
	s->image_model = (iso_operator){.self = s, .forward = blur, .adjoint = blur_adjoint};
	s->line_model = (iso_operator){.self = s, .forward = lines_forward, .adjoint = lines_adjoint};
	*out = s;
	return ISO_OK;
}

void iso_system_free(iso_system *s)
{
	if (!s) return;
	iso_columns_free(s->columns);
	iso_projector_free(s->projector);
	iso_projector_free(s->mu_projector);
	iso_filter_plan_free(s->psf);
	iso_filter_plan_free(s->tail);
	free(s->tail_image);
	iso_range_model_free(s->range);
	free(s->scratch);
	free(s);
}

const iso_operator *iso_system_image_model(const iso_system *s)
{
	return s->psf || s->range ? &s->image_model : NULL;
}

const iso_operator *iso_system_lines(const iso_system *s)
{
	return &s->line_model;
}

const iso_columns *iso_system_columns(const iso_system *s)
{
	return s->columns;
}

void iso_system_times(const iso_system *s, double *forward_s, double *back_s)
{
	*forward_s = s->forward_s;
	*back_s = s->back_s;
}

void iso_system_aim(iso_system *s, const iso_line_block *block)
{
	s->block = block;
}

iso_status iso_system_factors(iso_system *s, const iso_line_block *block, bool attenuation, float *factors,
			      iso_error *err)
{
	const int64_t total = (int64_t)block->count;
#pragma omp parallel for num_threads(s->threads) schedule(dynamic, 1)
	for (int64_t first = 0; first < total; first += FACTORS_AT_ONCE) {
		iso_event events[FACTORS_AT_ONCE];
		const size_t count = (size_t)(total - first < FACTORS_AT_ONCE ? total - first : FACTORS_AT_ONCE);
		iso_line_block_events(block, (size_t)first, count, events);
		iso_pair_factors(s->scanner, events, count, factors + first);
	}
	if (!attenuation || !s->mu) return ISO_OK;
	float *depths = malloc((size_t)total * sizeof *depths);
	if (!depths) return iso_fail_memory(err, "attenuation factors", (size_t)total * sizeof *depths);
	/* mu does not know of the time of flight */
	iso_line_block lines = *block;
	lines.tof_bin = NULL;
	const iso_status status = iso_projector_forward_block(s->mu_projector, &lines, s->mu->voxels, depths, err);
	/* mu in 1/cm, lengths in mm */
	for (int64_t n = 0; n < total && status == ISO_OK; n++) factors[n] *= (float)exp(-0.1 * (double)depths[n]);
	free(depths);
	return status;
}
