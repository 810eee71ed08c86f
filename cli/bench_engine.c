/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The kernels as the bench sees them: the projector that the reconstruction uses, and the textbook. */
#include <stdlib.h>

#include "cli/bench.h"
#include "core/error.h"
#include "recon/joseph.h"
#include "recon/textbook.h"

typedef struct fast_state {
	const bench_data *data;
	size_t count;
	iso_tof_kernel tof; /* sigma_mm 0: none */
	iso_projector *projector;
} fast_state;

static void fast_free(void *self)
{
	fast_state *state = self;
	if (!state) return;
	iso_projector_free(state->projector);
	free(state);
}

static iso_status fast_prepare(const bench_data *data, size_t count, const iso_tof_kernel *tof, int threads, void **out,
			       iso_error *err)
{
	*out = NULL;
	fast_state *state = calloc(1, sizeof *state);
	if (!state) return iso_fail_memory(err, "the bench", sizeof *state);
	state->data = data;
	state->count = count;
	if (tof) state->tof = *tof;
	const iso_status status = iso_projector_create(&data->grid, tof, threads, &state->projector, err);
	if (status != ISO_OK) {
		fast_free(state);
		return status;
	}
	*out = state;
	return ISO_OK;
}

static const uint32_t *arrival_order(const void *self)
{
	(void)self;
	return NULL;
}

static iso_status fast_forward(void *self, const float *voxels, float *values, iso_error *err)
{
	fast_state *state = self;
	return iso_projector_forward(state->projector, state->data->lines, state->count, voxels, values, err);
}

static iso_status fast_back(void *self, const float *values, float *voxels, iso_error *err)
{
	fast_state *state = self;
	return iso_projector_adjoint(state->projector, state->data->lines, state->count, values, voxels, err);
}

/* Four voxels for each plane of a line; back, they are loaded and stored. */
static bench_traffic traffic_of(const void *self)
{
	const fast_state *state = self;
	const iso_grid *grid = &state->data->grid;
	iso_joseph joseph = {0};
	float some_weight = 0; /* its presence says that there is TOF; placing a line reads no weights */
	for (int a = 0; a < 3; a++) {
		joseph.origin_mm[a] = grid->origin_mm[a];
		joseph.voxel_mm[a] = grid->voxel_mm[a];
		joseph.size[a] = (int)grid->size[a];
	}
	if (state->tof.sigma_mm > 0)
		joseph.tof =
		    (iso_tof_table){.weight = &some_weight,
				    .cut_mm = 0.5 * state->tof.bin_mm + state->tof.cut_sigmas * state->tof.sigma_mm};
	double planes = 0;
	for (size_t n = 0; n < state->count; n++) {
		iso_ray ray;
		if (iso_ray_begin(&joseph, state->data->lines + n, &ray)) planes += ray.planes;
	}
	const double bytes = 4 * sizeof(float) * planes / (double)state->count;
	return (bench_traffic){bytes, bytes, bytes, iso_grid_voxels(grid) * sizeof(float)};
}

const bench_engine bench_fast = {.name = "fast",
				 .prepare = fast_prepare,
				 .order = arrival_order,
				 .forward = fast_forward,
				 .back = fast_back,
				 .traffic = traffic_of,
				 .free = fast_free};

typedef struct textbook_state {
	const bench_data *data;
	size_t count;
	int threads;
	iso_tof_kernel tof; /* sigma_mm 0: none */
} textbook_state;

/* Nothing is done once: every call begins with the line's two ends. */
static iso_status textbook_prepare(const bench_data *data, size_t count, const iso_tof_kernel *tof, int threads,
				   void **out, iso_error *err)
{
	textbook_state *state = calloc(1, sizeof *state);
	*out = state;
	if (!state) return iso_fail_memory(err, "the bench", sizeof *state);
	*state = (textbook_state){.data = data, .count = count, .threads = threads};
	if (tof) state->tof = *tof;
	return ISO_OK;
}

static iso_status textbook_forward(void *self, const float *voxels, float *values, iso_error *err)
{
	(void)err;
	const textbook_state *state = self;
	iso_textbook_forward(&state->data->grid, &state->tof, state->data->lines, state->count, state->threads, voxels,
			     values);
	return ISO_OK;
}

static iso_status textbook_back(void *self, const float *values, float *voxels, iso_error *err)
{
	(void)err;
	const textbook_state *state = self;
	iso_textbook_adjoint(&state->data->grid, &state->tof, state->data->lines, state->count, state->threads, values,
			     voxels);
	return ISO_OK;
}

/* traffic is only asked of the fast kernel */
const bench_engine bench_textbook = {.name = "textbook",
				     .prepare = textbook_prepare,
				     .order = arrival_order,
				     .forward = textbook_forward,
				     .back = textbook_back,
				     .free = free};
