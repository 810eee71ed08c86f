/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Long sums that have the same bits for any number of threads: made in chunks of a fixed length, added up in order. */
#ifndef ISOTRACE_RECON_SUMS_H
#define ISOTRACE_RECON_SUMS_H

#include <stddef.h>

#include "isotrace/status.h"

typedef struct iso_sums {
	size_t longest;  /* terms that a sum may have */
	int threads;     /* > 0 */
	double *partial; /* owned: one per chunk */
} iso_sums;

/* Of the terms first <= n < end. */
typedef double iso_chunk_sum(const void *user, size_t first, size_t end);

/* threads 0: as many as OpenMP offers. */
iso_status iso_sums_create(size_t longest, int threads, iso_sums *out, iso_error *err);
void iso_sums_release(iso_sums *sums);

/* count <= longest. */
double iso_sum(const iso_sums *sums, size_t count, iso_chunk_sum *chunk, const void *user);
double iso_sum_product(const iso_sums *sums, size_t count, const float *a, const float *b);
double iso_sum_square_difference(const iso_sums *sums, size_t count, const float *a, const float *b);

#endif
