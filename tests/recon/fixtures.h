/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small scanners and analytic objects for the tests of the reconstruction. No line integral in here uses the projector. */
#ifndef ISOTRACE_TESTS_RECON_FIXTURES_H
#define ISOTRACE_TESTS_RECON_FIXTURES_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "isotrace/isotrace.h"
#include "recon/geometry.h"
#include "recon/solver.h"
#include "recon/system.h"
#include "tests/harness.h"

/* Rings of crystals 40 mm from the axis, 4 mm apart, lines up to 22 mm from the axis. */
static inline iso_scanner *small_scanner(uint32_t rings, uint32_t crystals)
{
	const iso_ring_description d = {.name = "test ring",
					.rings = rings,
					.crystals_per_ring = crystals,
					.radius_mm = 38,
					.mean_depth_mm = 2,
					.ring_spacing_mm = 4,
					.first_angle_rad = 0.01,
					.crystal_size_mm = {3.5, 3.5, 10},
					.attenuation_per_mm = 0.087};
	iso_scanner *scanner = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_scanner_from_rings(&d, &scanner, &err), err);
	scanner->modality = ISO_MODALITY_PET;
	scanner->rule.max_transaxial_offset_mm = 22;
	scanner->rule.min_distance_mm = 10;
	return scanner;
}

/* Length of the line from p to q in the cylinder of `radius_mm` around the z axis, |z| <= half_mm. */
static inline double chord_mm(const float *p, const float *q, double radius_mm, double half_mm)
{
	const double d[3] = {(double)(q[0] - p[0]), (double)(q[1] - p[1]), (double)(q[2] - p[2])};
	const double a = d[0] * d[0] + d[1] * d[1], b = (double)p[0] * d[0] + (double)p[1] * d[1];
	const double c = (double)p[0] * (double)p[0] + (double)p[1] * (double)p[1] - radius_mm * radius_mm;
	const double root = b * b - a * c;
	if (root <= 0) return 0;
	double low = fmax((-b - sqrt(root)) / a, 0), high = fmin((-b + sqrt(root)) / a, 1);
	if (fabs(d[2]) > 1e-9) {
		const double t1 = (-half_mm - (double)p[2]) / d[2], t2 = (half_mm - (double)p[2]) / d[2];
		low = fmax(low, fmin(t1, t2));
		high = fmin(high, fmax(t1, t2));
	} else if (fabs((double)p[2]) > half_mm)
		return 0;
	return high > low ? (high - low) * sqrt(a + d[2] * d[2]) : 0;
}

/* Every allowed pair once, as events. */
static inline size_t all_pairs(const iso_scanner *s, iso_event **out)
{
	size_t count = 0;
	iso_event *events = malloc((size_t)s->elements * s->elements / 2 * sizeof *events);
	for (uint32_t a = 0; a < s->elements; a++)
		for (uint32_t b = a + 1; b < s->elements; b++)
			if (iso_scanner_pair_allowed(s, a, b)) events[count++] = (iso_event){.element = {a, b}};
	*out = events;
	return count;
}

/* A block of the events' lines, and the events in its order, turned as it turns them. */
static inline iso_line_block *block_of(const iso_system *system, const iso_scanner *scanner, iso_event *events,
				       size_t count)
{
	iso_line_block *block = NULL;
	iso_error err;
	ISO_ASSERT_OK(
	    iso_line_block_create(iso_system_columns(system), scanner->tof.bins > 0, events, NULL, count, &block, &err),
	    err);
	iso_line_block_events(block, 0, count, events);
	return block;
}

/* Measured counts per line as iso_data: what list-mode is compared with. */
typedef struct binned {
	iso_system *system;
	const iso_line_block *lines;
	const float *counts, *additive; /* in the order of lines */
	bool done;
} binned;

static inline iso_status binned_rewind(void *self, unsigned subset, iso_error *err)
{
	(void)err;
	(void)subset;
	((binned *)self)->done = false;
	return ISO_OK;
}

static inline iso_status binned_next(void *self, iso_data_block *block, iso_error *err)
{
	(void)err;
	binned *b = self;
	*block = (iso_data_block){.lines = iso_system_lines(b->system), .counts = b->counts, .additive = b->additive};
	if (b->done) return ISO_OK;
	b->done = true;
	block->count = b->lines->count;
	iso_system_aim(b->system, b->lines);
	return ISO_OK;
}

static inline iso_data binned_data(binned *b, double total)
{
	return (iso_data){
	    .self = b, .total = total, .most = b->lines->count, .rewind = binned_rewind, .next = binned_next};
}

/* Poisson events of a list of pairs with the given means, in random order over [0, duration_ms): each kind apart, then merged by time. */
static inline int by_time(const void *left, const void *right)
{
	const iso_event *a = left, *b = right;
	if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
	if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
	if (a->element[0] != b->element[0]) return a->element[0] < b->element[0] ? -1 : 1;
	return a->element[1] < b->element[1] ? -1 : a->element[1] > b->element[1];
}

static inline size_t draw_events(const iso_event *pairs, const double *mean, size_t count, uint8_t kind,
				 uint32_t duration_ms, uint64_t seed, iso_event **events, size_t have)
{
	iso_random random = iso_random_begin(seed, kind);
	size_t room = have;
	for (size_t n = 0; n < count; n++) {
		const uint64_t hits = iso_random_poisson(&random, mean[n]);
		if (have + hits > room) *events = realloc(*events, (room = 2 * (have + hits)) * sizeof **events);
		for (uint64_t h = 0; h < hits; h++) {
			iso_event e = pairs[n];
			e.kind = kind;
			e.time_ms = (uint32_t)(iso_random_uniform(&random) * duration_ms);
			(*events)[have++] = e;
		}
	}
	qsort(*events, have, sizeof **events, by_time);
	return have;
}

static inline iso_grid cube_grid(size_t nx, size_t nz, double voxel_mm)
{
	const size_t size[3] = {nx, nx, nz};
	const double voxel[3] = {voxel_mm, voxel_mm, voxel_mm}, centre[3] = {0, 0, 0};
	return iso_grid_centred(size, voxel, centre);
}

/* Mean over voxels with centres in the cylinder. */
static inline double cylinder_mean(const iso_grid *g, const float *voxels, double radius_mm, double half_mm)
{
	double sum = 0, n = 0;
	for (size_t k = 0; k < g->size[2]; k++)
		for (size_t j = 0; j < g->size[1]; j++)
			for (size_t i = 0; i < g->size[0]; i++) {
				const double index[3] = {(double)i, (double)j, (double)k};
				double p[3];
				iso_grid_point_mm(g, index, p);
				if (hypot(p[0], p[1]) > radius_mm || fabs(p[2]) > half_mm) continue;
				sum += (double)voxels[i + g->size[0] * (j + g->size[1] * k)];
				n++;
			}
	return sum / n;
}

#endif
