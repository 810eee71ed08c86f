/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a kernel's loads and stores alone would take: plain streams over a working set, with the widest registers that the
 * processor has, on as many threads. */
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/stopwatch.h"

enum {
	vectors_per_turn = 8,  /* enough that additions do not wait for one another */
	turn_bytes = 8 * 64,   /* of the widest vectors; working sets are multiples of it */
	most_bytes = 64 << 20, /* beyond all caches, larger working sets run no slower */
	tries = 3,             /* the best counts: a bound is what the machine can do */
};
static const double try_s = 4e-3;

typedef void stream(void *memory, size_t bytes, size_t passes);

/* Both streams for vectors of `width` bytes. Integers, because their addition costs least; the sum leaves through an empty
 * assembler statement, which the compiler must believe to read it and all memory, so that no load and no pass is left out. */
#define STREAMS(width, attribute)                                                                  \
	typedef uint32_t vector##width __attribute__((vector_size(width), may_alias));             \
	attribute static void load##width(void *memory, size_t bytes, size_t passes)               \
	{                                                                                          \
		vector##width sum[vectors_per_turn] = {{0}};                                       \
		for (size_t pass = 0; pass < passes; pass++) {                                     \
			const vector##width *at = memory;                                          \
			for (size_t turn = bytes / (width * vectors_per_turn); turn > 0; turn--) { \
				for (int n = 0; n < vectors_per_turn; n++) sum[n] += at[n];        \
				at += vectors_per_turn;                                            \
			}                                                                          \
			__asm__ volatile("" : : "r"(sum) : "memory");                              \
		}                                                                                  \
	}                                                                                          \
	attribute static void update##width(void *memory, size_t bytes, size_t passes)             \
	{                                                                                          \
		for (size_t pass = 0; pass < passes; pass++) {                                     \
			vector##width *at = memory;                                                \
			for (size_t turn = bytes / (width * vectors_per_turn); turn > 0; turn--) { \
				for (int n = 0; n < vectors_per_turn; n++) at[n] += 1;             \
				at += vectors_per_turn;                                            \
			}                                                                          \
			__asm__ volatile("" : : "r"(memory) : "memory");                           \
		}                                                                                  \
	}
#define EVERYWHERE
STREAMS(16, EVERYWHERE)
#ifdef __x86_64__
STREAMS(32, __attribute__((target("avx2"))))
STREAMS(64, __attribute__((target("avx512f"))))
#endif

enum { widths = 3 };
/* Those that this processor has. */
static int list_streams(bool store, stream *list[widths])
{
	int count = 0;
	list[count++] = store ? update16 : load16;
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) list[count++] = store ? update32 : load32;
	if (__builtin_cpu_supports("avx512f")) list[count++] = store ? update64 : load64;
#endif
	return count;
}

/* Bytes per second of all threads together, each in its part of the memory. */
static double rate_of(stream *run, char *memory, size_t bytes, int threads)
{
	run(memory, bytes, 1);
	double start = iso_clock_s();
	run(memory, bytes, 1);
	const double wanted = try_s / fmax(iso_clock_s() - start, 1e-9);
	const size_t passes = wanted < 1 ? 1 : (size_t)wanted;
	double best_s = (double)INFINITY;
	for (int n = 0; n < tries; n++) {
		double end = 0;
#pragma omp parallel num_threads(threads)
		{
#pragma omp barrier
#pragma omp master
			start = iso_clock_s();
			run(memory + (size_t)omp_get_thread_num() * bytes, bytes, passes);
#pragma omp barrier
#pragma omp master
			end = iso_clock_s();
		}
		best_s = fmin(best_s, end - start);
	}
	return (double)threads * (double)bytes * (double)passes / best_s;
}

static double best_rate(bool store, char *memory, size_t bytes, int threads)
{
	stream *list[widths];
	const int count = list_streams(store, list);
	double best = 0;
	for (int n = 0; n < count; n++) best = fmax(best, rate_of(list[n], memory, bytes, threads));
	return best;
}

double bench_bound(size_t load_bytes, size_t store_bytes, size_t working_set_bytes, int threads)
{
	if (working_set_bytes > most_bytes) working_set_bytes = most_bytes;
	const size_t bytes = (working_set_bytes + turn_bytes - 1) / turn_bytes * turn_bytes;
	char *memory = aligned_alloc(64, bytes * (size_t)threads);
	if (!memory) return (double)NAN;
#pragma omp parallel num_threads(threads)
	memset(memory + (size_t)omp_get_thread_num() * bytes, 1, bytes);
	/* what is stored is loaded first, as when something is added to it; the rest is only loaded */
	double seconds = 0;
	if (store_bytes > 0) seconds += (double)store_bytes / best_rate(true, memory, bytes, threads);
	if (load_bytes > store_bytes)
		seconds += (double)(load_bytes - store_bytes) / best_rate(false, memory, bytes, threads);
	free(memory);
	return seconds;
}
