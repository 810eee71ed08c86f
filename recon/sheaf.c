/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/sheaf.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { LINE = 64 }; /* bytes of a cache line, and of the widest vector */

/* The parts of `bytes` each that a work's memory is divided into. */
static char *take(char **memory, size_t bytes)
{
	char *mine = *memory;
	*memory += (bytes + LINE - 1) / LINE * LINE;
	return mine;
}

iso_status iso_sheaf_work_create(const int size[3], iso_sheaf_work **out, iso_error *err)
{
	const size_t most = (size_t)(size[0] > size[1] ? size[0] : size[1]) + 2 * ISO_SHEAF_PADDING;
	const size_t offsets = most * sizeof(ptrdiff_t), weights = most * sizeof(float);
	const size_t rows = (size_t)size[2] + 2 * ISO_SHEAF_GUARD + ISO_SHEAF_PADDING;
	const size_t panel = rows * ISO_SHEAF_PADDING * sizeof(float),
		     sums = (size_t)ISO_SHEAF_LINES * ISO_SHEAF_PADDING * sizeof(float);
	const size_t bytes = 2 * (offsets + weights) + 2 * panel + sums + 9 * LINE;
	*out = NULL;
	iso_sheaf_work *work = calloc(1, sizeof *work);
	char *memory = work ? calloc(1, bytes) : NULL;
	if (!memory) {
		free(work);
		return iso_fail_memory(err, "the projector", bytes + sizeof *work);
	}
	work->memory = memory;
	memory += (LINE - (uintptr_t)memory % LINE) % LINE;
	work->panel = (float *)take(&memory, panel);
	work->wide = (float *)take(&memory, panel);
	work->sums = (float *)take(&memory, sums);
	for (int side = 0; side < 2; side++) {
		work->walk.row[side] = (ptrdiff_t *)take(&memory, offsets);
		work->walk.weight[side] = (float *)take(&memory, weights);
	}
	*out = work;
	return ISO_OK;
}

void iso_sheaf_work_free(iso_sheaf_work *work)
{
	if (!work) return;
	free(work->memory);
	free(work);
}

extern const iso_kernels iso_kernels_baseline, iso_kernels_avx2, iso_kernels_avx512;

const iso_kernels *iso_kernels_choose(const char *wanted)
{
#ifdef __x86_64__
	if (!wanted || strcmp(wanted, iso_kernels_avx512.name) == 0) {
		if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
			return &iso_kernels_avx512;
		if (wanted) return NULL;
	}
	if (!wanted || strcmp(wanted, iso_kernels_avx2.name) == 0) {
		if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &iso_kernels_avx2;
		if (wanted) return NULL;
	}
#endif
	return !wanted || strcmp(wanted, iso_kernels_baseline.name) == 0 ? &iso_kernels_baseline : NULL;
}
