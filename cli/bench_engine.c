/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The kernels as the bench sees them: the projector that the reconstruction uses, and the textbook. */
#include <stdlib.h>

#include "cli/bench.h"
#include "core/error.h"
#include "recon/projector.h"
#include "recon/textbook.h"

/* The projector of the reconstruction, with the events packed and sorted as the reconstruction keeps them. */
typedef struct fast_state {
	iso_columns *columns;
	iso_line_block *block;
	uint32_t *order;
	iso_projector *projector;
} fast_state;

static void fast_free(void *self)
{
	fast_state *state = self;
	if (!state) return;
	iso_projector_free(state->projector);
	iso_line_block_free(state->block);
	iso_columns_free(state->columns);
	free(state->order);
	free(state);
}

/* Where each event went: the block's events of a sheaf stand as they came. */
static iso_status find_order(fast_state *state, const iso_event *events, size_t count, iso_error *err)
{
	const iso_columns *columns = state->columns;
	const size_t pairs = iso_columns_pairs(columns);
	uint32_t *next = calloc(pairs, sizeof *next);
	state->order = malloc(count * sizeof *state->order);
	if (!next || !state->order) {
		free(next);
		return iso_fail_memory(err, "the bench", (pairs + count) * sizeof *next);
	}
	for (size_t s = 0; s < state->block->sheaves; s++) {
		const iso_sheaf *sheaf = state->block->sheaf + s;
		next[iso_columns_number(columns, sheaf->column[0], sheaf->column[1])] = sheaf->first;
	}
	for (size_t n = 0; n < count; n++) {
		const uint32_t a = columns->place[events[n].element[0]].column,
			       b = columns->place[events[n].element[1]].column;
		state->order[next[a < b ? iso_columns_number(columns, a, b) : iso_columns_number(columns, b, a)]++] =
		    (uint32_t)n;
	}
	free(next);
	return ISO_OK;
}

static iso_status fast_prepare(const bench_data *data, size_t count, const iso_tof_kernel *tof, int threads,
			       const char *kernels, void **out, iso_error *err)
{
	*out = NULL;
	fast_state *state = calloc(1, sizeof *state);
	if (!state) return iso_fail_memory(err, "the bench", sizeof *state);
	iso_status status = iso_projector_create_for(&data->grid, tof, threads, kernels, &state->projector, err);
	if (status == ISO_OK) status = iso_columns_create(data->scanner, &state->columns, err);
	if (status == ISO_OK)
		status =
		    iso_line_block_create(state->columns, tof != NULL, data->events, NULL, count, &state->block, err);
	if (status == ISO_OK) status = find_order(state, data->events, count, err);
	if (status != ISO_OK) {
		fast_free(state);
		return status;
	}
	*out = state;
	return ISO_OK;
}

static const uint32_t *fast_order(const void *self)
{
	return ((const fast_state *)self)->order;
}

static iso_status fast_forward(void *self, const float *voxels, float *values, iso_error *err)
{
	fast_state *state = self;
	return iso_projector_forward_block(state->projector, state->block, voxels, values, err);
}

static iso_status fast_back(void *self, const float *values, float *voxels, iso_error *err)
{
	fast_state *state = self;
	return iso_projector_adjoint_block(state->projector, state->block, values, voxels, err);
}

static bench_moved per_event(const iso_moved_bytes *all, size_t working_set_bytes, double count)
{
	return (bench_moved){.forward_load_bytes = all->forward_load / count,
			     .forward_store_bytes = all->forward_store / count,
			     .back_load_bytes = all->back_load / count,
			     .back_store_bytes = all->back_store / count,
			     .working_set_bytes = working_set_bytes};
}

static bench_traffic fast_traffic(const void *self)
{
	const fast_state *state = self;
	const double count = (double)state->block->count;
	const iso_traffic t = iso_projector_block_traffic(state->projector, state->block);
	return (bench_traffic){per_event(&t.panel, t.panel_bytes, count), per_event(&t.image, t.image_bytes, count)};
}

static const uint32_t *arrival_order(const void *self)
{
	(void)self;
	return NULL;
}

const bench_engine bench_fast = {.name = "fast",
				 .prepare = fast_prepare,
				 .order = fast_order,
				 .forward = fast_forward,
				 .back = fast_back,
				 .traffic = fast_traffic,
				 .free = fast_free};

typedef struct textbook_state {
	const bench_data *data;
	size_t count;
	int threads;
	iso_tof_kernel tof; /* sigma_mm 0: none */
} textbook_state;

/* Nothing is done once: every call begins with the line's two ends. */
static iso_status textbook_prepare(const bench_data *data, size_t count, const iso_tof_kernel *tof, int threads,
				   const char *kernels, void **out, iso_error *err)
{
	(void)kernels; /* it has its own */
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
