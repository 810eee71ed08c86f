/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the tests on real list-mode share. */
#ifndef ISOTRACE_TESTS_RECON_REAL_H
#define ISOTRACE_TESTS_RECON_REAL_H

#include <stdio.h>

#include "recon/sensitivity.h"
#include "tests/recon/fixtures.h"

/* All events of a stream; the caller frees. */
static inline size_t read_all(iso_events *events, iso_event **out)
{
	size_t have = 0, room = 1 << 16, got = 1;
	iso_error err;
	*out = malloc(room * sizeof **out);
	ISO_ASSERT_OK(iso_events_seek(events, 0, &err), err);
	while (got) {
		if (have == room) *out = realloc(*out, (room *= 2) * sizeof **out);
		ISO_ASSERT_OK(iso_events_read(events, *out + have, room - have, &got, &err), err);
		have += got;
	}
	return have;
}

static inline int by_pair(const void *left, const void *right)
{
	const iso_event *a = left, *b = right;
	for (int e = 0; e < 2; e++)
		if (a->element[e] != b->element[e]) return a->element[e] < b->element[e] ? -1 : 1;
	return 0;
}

/* The prompts' unique pairs with their counts. Returns the number of pairs, *total the prompts. */
static inline size_t bin_prompts(iso_event *events, size_t count, float *counts, double *total)
{
	size_t kept = 0, pairs = 0;
	for (size_t n = 0; n < count; n++)
		if (events[n].kind == ISO_EVENT_PROMPT) events[kept++] = events[n];
	qsort(events, kept, sizeof *events, by_pair);
	for (size_t n = 0; n < kept; n++) {
		if (pairs && by_pair(events + pairs - 1, events + n) == 0) {
			counts[pairs - 1]++;
			continue;
		}
		events[pairs] = events[n];
		counts[pairs++] = 1;
	}
	*total = (double)kept;
	return pairs;
}

/* MLEM of the binned prompts without a background, with the sensitivity that a list-mode reconstruction with the same
 * options has. x: the caller's. Sorts `events` in place. */
static inline void reconstruct_binned(const iso_scanner *scanner, const iso_recon_options *o, double duration_s,
				      iso_event *events, size_t count, float *x)
{
	iso_error err;
	iso_image *sensitivity;
	iso_system *system;
	ISO_ASSERT_OK(
	    iso_sensitivity_cached(NULL, scanner, &o->grid, NULL, o->sensitivity_lines, 0, NULL, &sensitivity, &err),
	    err);
	const iso_resolution sharp = {.psf_fwhm_mm = 0};
	ISO_ASSERT_OK(iso_system_create(scanner, &o->grid, &sharp, NULL, 0, &system, &err), err);
	size_t kept = 0;
	for (size_t n = 0; n < count; n++)
		if (events[n].kind == ISO_EVENT_PROMPT) events[kept++] = events[n];
	/* A pair is one line whichever way round it was measured: turn all as blocks do, then bin, then make the block of pairs. */
	iso_line_block_free(block_of(system, scanner, events, kept));
	float *binned_counts = calloc(kept, sizeof *binned_counts), *counts = calloc(kept, sizeof *counts),
	      *none = calloc(kept, sizeof *none);
	double total;
	const size_t pairs = bin_prompts(events, kept, binned_counts, &total);
	iso_event *ordered = malloc(pairs * sizeof *ordered);
	memcpy(ordered, events, pairs * sizeof *ordered);
	iso_line_block *block = block_of(system, scanner, ordered, pairs);
	for (size_t n = 0; n < pairs; n++) {
		const iso_event *found = bsearch(ordered + n, events, pairs, sizeof *events, by_pair);
		counts[n] = binned_counts[found - events];
		if (!(iso_pair_factor(scanner, ordered[n].element[0], ordered[n].element[1]) > 0)) none[n] = INFINITY;
	}
	binned b = {.system = system, .lines = block, .counts = counts, .additive = none};
	iso_data data = binned_data(&b, total);
	const iso_data_model model = {.voxels = iso_grid_voxels(&o->grid),
				      .sensitivity = sensitivity->voxels,
				      .sensitivity_scale = duration_s,
				      .support = ISO_SUPPORT,
				      .data = &data,
				      .subsets = 1};
	const iso_method method = {.algorithm = ISO_ALGORITHM_MLEM, .iterations = o->iterations};
	iso_solution solution = {0};
	ISO_ASSERT_OK(iso_solve(&model, &method, &o->grid, NULL, &solution, x, NULL, &err), err);
	printf("# %zu pairs hold %.0f prompts\n", pairs, total);
	free(binned_counts);
	free(counts);
	free(none);
	free(ordered);
	iso_line_block_free(block);
	iso_system_free(system);
	iso_image_free(sensitivity);
}

#endif
