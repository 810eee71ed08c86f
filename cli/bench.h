/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the files of `isotrace bench` share: bench.c has the options and prints, bench_cases.c makes scanners and events,
 * bench_engine.c is the projector under test, bench_measure.c times it against the textbook kernel, bench_bound.c says what the
 * machine's loads and stores alone would take. */
#ifndef ISOTRACE_CLI_BENCH_H
#define ISOTRACE_CLI_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isotrace/isotrace.h"

/* A scanner, an image and a uniform cylinder of activity along the axis. */
typedef struct bench_case {
	const char *name;
	double radius_mm, ring_spacing_mm;
	uint32_t rings, crystals; /* crystals per ring */
	size_t size[3];
	double voxel_mm, source_radius_mm, source_length_mm;
} bench_case;

enum { bench_cases = 3 };
extern const bench_case bench_case_table[bench_cases];
extern const iso_tof_kernel bench_tof;

/* NULL when there is no such case. */
const bench_case *bench_case_named(const char *name);
/* tof: with the time resolution of bench_tof and enough bins for every event of the cylinder. */
iso_status bench_scanner(const bench_case *which, bool tof, iso_scanner **out, iso_error *err);

/* Events are made in blocks, each from random numbers of its own: any thread can make any block, and the first N events
 * are the same whatever is drawn after them. */
enum { bench_block = 65536 };
/* Events [first, first + count), first a multiple of bench_block; time_ms 0, TOF bins of bench_tof. */
void bench_draw(const bench_case *which, uint64_t first, size_t count, iso_event *events);

/* All that is projected. */
typedef struct bench_data {
	const bench_case *which;
	iso_grid grid;
	iso_scanner *scanner; /* with TOF; the lines are the same without */
	iso_event *events;    /* in arrival order */
	iso_line *lines;      /* of the events */
	float *weights;       /* one per event: what is projected back */
	float *image;         /* random and positive in every voxel */
	size_t count;
} bench_data;

iso_status bench_data_make(const bench_case *which, size_t events, bench_data *data, iso_error *err);
void bench_data_free(bench_data *data);

/* What one event moves between the kernel and a working set, means over the events. */
typedef struct bench_moved {
	double forward_load_bytes, forward_store_bytes, back_load_bytes, back_store_bytes;
	size_t working_set_bytes; /* that a thread walks through */
} bench_moved;

/* The lines' own walks go through a panel; the panel is made from the image, or added to it. */
typedef struct bench_traffic {
	bench_moved panel, image;
} bench_traffic;

/* A projector as the bench sees it. `prepare` takes the leading `count` events of the data and does all that is done once
 * per list of events (sorting, packing), with the kernels of that name (recon/sheaf.h); `forward` and `back` then go over these events as often as wanted. */
typedef struct bench_engine {
	const char *name;
	iso_status (*prepare)(const bench_data *data, size_t count, const iso_tof_kernel *tof, int threads,
			      const char *kernels, void **state, iso_error *err);
	/* The order in which values stand: value n belongs to event order[n]. NULL: as they arrived. */
	const uint32_t *(*order)(const void *state);
	iso_status (*forward)(void *state, const float *voxels, float *values, iso_error *err);
	iso_status (*back)(void *state, const float *values, float *voxels, iso_error *err); /* adds */
	bench_traffic (*traffic)(const void *state);
	void (*free)(void *state);
} bench_engine;

/* The one that the reconstruction uses, and recon/textbook.h. */
extern const bench_engine bench_fast, bench_textbook;

enum { bench_rounds_most = 99 };

typedef struct bench_settings {
	size_t events, textbook_events; /* timed with the fast and with the textbook kernel */
	int rounds, threads;
	const char *kernels; /* of the fast kernel, see recon/sheaf.h */
} bench_settings;

/* Medians over the rounds, events/s. */
typedef struct bench_speed {
	double forward_per_s, back_per_s, both_per_s;
	double adjoint_error; /* |<Ax,y> - <x,A'y>| / <Ax,y> */
	double cpu_share;     /* CPU time over threads x time: 1 when every thread ran all the time */
} bench_speed;

typedef struct bench_result {
	bench_speed textbook, fast, one_thread;     /* one_thread: the fast kernel, only when settings.threads > 1 */
	double forward_difference, back_difference; /* largest |fast - textbook| over the largest value or voxel */
	double prepare_s;
	bench_traffic traffic;
	double forward_bound_s, back_bound_s; /* per event, by the traffic alone */
} bench_result;

iso_status bench_measure(const bench_data *data, const iso_tof_kernel *tof, const bench_settings *settings,
			 bench_result *result, iso_error *err);

/* Seconds for which `threads` threads together are busy with one event, if it does nothing but load and store so many bytes, each
 * thread in order in a working set of its own. NAN when there is no memory. */
double bench_bound(size_t load_bytes, size_t store_bytes, size_t working_set_bytes, int threads);

/* Writes the case's events as native list-mode of duration_s, evenly in time, in bounded memory. */
iso_status bench_write_events(const bench_case *which, bool tof, uint64_t events, const char *path,
			      const iso_progress *progress, iso_error *err);

double bench_cpu_s(void); /* of all threads of the process */

#endif
