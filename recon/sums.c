/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/sums.h"

#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/error.h"

enum { CHUNK = 4096 };

iso_status iso_sums_create(size_t longest, int threads, iso_sums *out, iso_error *err)
{
	const size_t chunks = longest / CHUNK + 1;
	*out = (iso_sums){.longest = longest, .threads = threads > 0 ? threads : omp_get_max_threads()};
	out->partial = malloc(chunks * sizeof *out->partial);
	return out->partial ? ISO_OK : iso_fail_memory(err, "sums", chunks * sizeof *out->partial);
}

void iso_sums_release(iso_sums *sums)
{
	free(sums->partial);
	*sums = (iso_sums){0};
}

double iso_sum(const iso_sums *sums, size_t count, iso_chunk_sum *chunk, const void *user)
{
	const int64_t chunks = (int64_t)((count + CHUNK - 1) / CHUNK);
#pragma omp parallel for schedule(static) num_threads(sums->threads)
	for (int64_t c = 0; c < chunks; c++) {
		const size_t first = (size_t)c * CHUNK;
		sums->partial[c] = chunk(user, first, first + CHUNK < count ? first + CHUNK : count);
	}
	double sum = 0;
	for (int64_t c = 0; c < chunks; c++) sum += sums->partial[c];
	return sum;
}

typedef struct pair {
	const float *a, *b;
} pair;

static double product(const void *user, size_t first, size_t end)
{
	const pair *p = user;
	double sum = 0;
	for (size_t j = first; j < end; j++) sum += (double)p->a[j] * (double)p->b[j];
	return sum;
}

static double square_difference(const void *user, size_t first, size_t end)
{
	const pair *p = user;
	double sum = 0;
	for (size_t j = first; j < end; j++) {
		const double d = (double)p->a[j] - (double)p->b[j];
		sum += d * d;
	}
	return sum;
}

double iso_sum_product(const iso_sums *sums, size_t count, const float *a, const float *b)
{
	const pair p = {a, b};
	return iso_sum(sums, count, product, &p);
}

double iso_sum_square_difference(const iso_sums *sums, size_t count, const float *a, const float *b)
{
	const pair p = {a, b};
	return iso_sum(sums, count, square_difference, &p);
}
