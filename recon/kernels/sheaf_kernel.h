/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The kernels of recon/sheaf.h, compiled once for each kind of processor: the including file defines ISO_KERNELS, the name
 * of the table of functions, and ISO_KERNELS_NAME.
 *
 * A block is LANES planes. Its panel has a row for each voxel along z, LANES floats long, one for each plane. A line moves by at most
 * n voxels along z within a block, n known before the loop: its lane p lies between rows k and k+1, k one of n+1. The sample is
 * picked row by row with a mask of the lanes that are there, which needs neither gather nor scatter, and no lane can meet another
 * one's cell. */
#include <math.h>

#include "recon/kernels/lanes.h"
#include "recon/sheaf.h"

/* What the lines of a block have in common. */
typedef struct block {
	const iso_sheaf_lines *lines;
	const iso_tof_series *tof;
	float *panel;                /* row z at panel + (z + guard) * LANES */
	int plane;                   /* the block's first */
	int lowest, highest;         /* rows lowest .. highest-1 are walked over, guards among them */
	int z_begin, z_end;          /* those of them that the image has, from a multiple of LANES on */
	float from[ISO_SHEAF_LINES]; /* z at the block's first plane above row[] */
	int row[ISO_SHEAF_LINES];
	int active;
	uint16_t which[ISO_SHEAF_LINES + 1]; /* the active lines, ascending */
	int begin[ISO_SHEAF_STEPS + 1];      /* in which[] */
} block;

/* Where lines enter the block, and the z that they need. */
static void place_lines(block *restrict b, int z_size)
{
	const iso_sheaf_lines *l = b->lines;
	const float plane = (float)b->plane, top = (float)z_size, bottom = -ISO_SHEAF_STEPS;
	int lowest = z_size, highest = -ISO_SHEAF_STEPS;
	for (int k = 0; k < l->count; k++) {
		const float at = l->z[k] + l->slope[k] * plane, fall = l->slope[k] * (LANES - 1);
		const float least = at + (fall < 0 ? fall : 0);
		/* beyond the image on either side all is 0 as far as the guards go */
		const float low = least < bottom ? bottom : least, clamped = low > top ? top : low;
		const int whole = (int)clamped, row = (float)whole > clamped ? whole - 1 : whole;
		const int end = row + l->steps[k] + 2;
		b->row[k] = row;
		b->from[k] = at - (float)row;
		lowest = row < lowest ? row : lowest;
		highest = end > highest ? end : highest;
	}
	b->lowest = lowest;
	b->highest = highest;
}

/* With TOF most lines have no part in most blocks: which do, and the z that these need. */
static void choose_lines(block *b, int z_size)
{
	const iso_sheaf_lines *l = b->lines;
	const int plane = b->plane;
	int active = 0, lowest = z_size, highest = -ISO_SHEAF_STEPS;
	for (int n = 0; n < ISO_SHEAF_STEPS; n++) {
		b->begin[n] = active;
		for (int k = l->begin[n]; k < l->begin[n + 1]; k++) {
			const bool in = l->low[k] < plane + LANES && l->high[k] > plane;
			const int row = b->row[k];
			b->which[active] = (uint16_t)k;
			active += in;
			lowest = in && row < lowest ? row : lowest;
			highest = in && row + n + 2 > highest ? row + n + 2 : highest;
		}
	}
	b->begin[ISO_SHEAF_STEPS] = active;
	b->lowest = lowest;
	b->highest = highest;
}

/* False when no line has a part in the block. */
static bool block_begin(block *b, int plane, int z_size)
{
	b->plane = plane;
	place_lines(b, z_size);
	if (b->tof->terms)
		choose_lines(b, z_size);
	else
		memcpy(b->begin, b->lines->begin, sizeof b->begin);
	b->z_begin = b->lowest < 0 ? 0 : b->lowest / LANES * LANES;
	b->z_end = b->highest > z_size ? z_size : b->highest;
	return b->begin[ISO_SHEAF_STEPS] > 0 && b->z_begin < b->z_end;
}

static void clear_rows(const block *b, int begin, int end)
{
	if (begin < end)
		memset(b->panel + (ptrdiff_t)(begin + ISO_SHEAF_GUARD) * LANES, 0,
		       (size_t)(end - begin) * LANES * sizeof(float));
}

/* The panel's rows [z_begin, z_end) from the image. */
static void fill_panel(const block *b, const iso_sheaf_walk *walk, const float *image)
{
	const ptrdiff_t *near = walk->row[0] + b->plane, *far = walk->row[1] + b->plane;
	const float *w = walk->weight[0] + b->plane, *v = walk->weight[1] + b->plane;
	for (int z = b->z_begin; z < b->z_end; z += LANES) {
		lanes tile[LANES];
#pragma GCC unroll 16
		for (int p = 0; p < LANES; p++)
			tile[p] = lanes_all(w[p]) * lanes_load(image + near[p] + z) +
				  lanes_all(v[p]) * lanes_load(image + far[p] + z);
		lanes_transpose(tile);
		float *to = b->panel + (ptrdiff_t)(z + ISO_SHEAF_GUARD) * LANES;
#pragma GCC unroll 16
		for (int k = 0; k < LANES; k++) lanes_store(to + k * LANES, tile[k]);
	}
}

/* Adds the panel's rows to the image. */
static void spread_panel(const block *b, const iso_sheaf_walk *walk, float *image)
{
	const ptrdiff_t *near = walk->row[0] + b->plane, *far = walk->row[1] + b->plane;
	const float *w = walk->weight[0] + b->plane, *v = walk->weight[1] + b->plane;
	for (int z = b->z_begin; z < b->z_end; z += LANES) {
		lanes tile[LANES];
		const float *from = b->panel + (ptrdiff_t)(z + ISO_SHEAF_GUARD) * LANES;
#pragma GCC unroll 16
		for (int k = 0; k < LANES; k++) tile[k] = lanes_load(from + k * LANES);
		lanes_transpose(tile);
#pragma GCC unroll 16
		for (int p = 0; p < LANES; p++) {
			float *at = image + near[p] + z;
			lanes_store(at, lanes_load(at) + lanes_all(w[p]) * tile[p]);
			at = image + far[p] + z;
			lanes_store(at, lanes_load(at) + lanes_all(v[p]) * tile[p]);
		}
	}
}

static inline lanes tof_weight(const block *b, int k)
{
	const iso_tof_series *tof = b->tof;
	const float start = b->lines->tof[k] + b->lines->tof_slope[k] * (float)b->plane;
	const lanes x = lanes_all(b->lines->tof_slope[k]) * lanes_numbers() + lanes_all(start);
	const lanes square = x * x, t = square - lanes_all(0.5f);
	lanes sum = lanes_all(tof->term[tof->terms - 1]);
	for (int n = tof->terms - 2; n >= 0; n--) sum = sum * t + lanes_all(tof->term[n]);
	return lanes_only(lanes_below(square, lanes_all(1)), sum);
}

/* The lines that cross at most n voxels, n a constant to the compiler: sums += samples. */
__attribute__((always_inline)) static inline void walk_forward(const block *b, int n, bool tof, float *sums)
{
	for (int c = b->begin[n]; c < b->begin[n + 1]; c++) {
		const int k = tof ? b->which[c] : c;
		const float *row = b->panel + (ptrdiff_t)(b->row[k] + ISO_SHEAF_GUARD) * LANES;
		const lanes t = lanes_all(b->lines->slope[k]) * lanes_numbers() + lanes_all(b->from[k]);
		const lanes whole = lanes_whole(t);
		lanes low = lanes_load(row), high = lanes_load(row + LANES);
#pragma GCC unroll 18
		for (int r = 1; r <= n; r++) {
			const lanes_mask there = lanes_at_least(t, lanes_all((float)r));
			low = lanes_load_where(low, there, row + (ptrdiff_t)r * LANES);
			high = lanes_load_where(high, there, row + (ptrdiff_t)(r + 1) * LANES);
		}
		lanes sample = low + (t - whole) * (high - low);
		if (tof) sample = sample * tof_weight(b, k);
		lanes_store(sums + (ptrdiff_t)k * LANES, lanes_load(sums + (ptrdiff_t)k * LANES) + sample);
	}
}

/* Likewise: panel += factors' shares. */
__attribute__((always_inline)) static inline void walk_adjoint(const block *b, int n, bool tof, const float *factors)
{
	for (int c = b->begin[n]; c < b->begin[n + 1]; c++) {
		const int k = tof ? b->which[c] : c;
		float *row = b->panel + (ptrdiff_t)(b->row[k] + ISO_SHEAF_GUARD) * LANES;
		const lanes t = lanes_all(b->lines->slope[k]) * lanes_numbers() + lanes_all(b->from[k]);
		const lanes whole = lanes_whole(t);
		lanes factor = lanes_all(factors[k]);
		if (tof) factor = factor * tof_weight(b, k);
		const lanes high = factor * (t - whole), low = factor - high;
		lanes_mask before = lanes_nowhere();
#pragma GCC unroll 18
		for (int r = 0; r <= n; r++) {
			const lanes_mask there = lanes_equal(whole, lanes_all((float)r));
			lanes x = lanes_load(row + (ptrdiff_t)r * LANES);
			x = lanes_add_where(x, there, low);
			x = lanes_add_where(x, before, high);
			lanes_store(row + (ptrdiff_t)r * LANES, x);
			before = there;
		}
		float *last = row + (ptrdiff_t)(n + 1) * LANES;
		lanes_store(last, lanes_add_where(lanes_load(last), before, high));
	}
}

#define ISO_EACH_STEP(DO) \
	DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15) DO(16) DO(17)
#define ISO_FORWARD(n)                         \
	if (b->begin[n] < b->begin[n + 1]) {   \
		walk_forward(b, n, tof, sums); \
	}
#define ISO_ADJOINT(n)                            \
	if (b->begin[n] < b->begin[n + 1]) {      \
		walk_adjoint(b, n, tof, factors); \
	}

__attribute__((always_inline)) static inline void each_forward(const block *b, bool tof, float *sums)
{
	ISO_EACH_STEP(ISO_FORWARD)
}

__attribute__((always_inline)) static inline void each_adjoint(const block *b, bool tof, const float *factors)
{
	ISO_EACH_STEP(ISO_ADJOINT)
}

static void sheaf_forward(iso_sheaf_work *work, const iso_tof_series *tof, int z_size, const float *image,
			  float *values)
{
	const iso_sheaf_lines *l = &work->lines;
	block b = {.lines = l, .tof = tof, .panel = work->panel};
	memset(work->sums, 0, (size_t)l->count * LANES * sizeof(float));
	for (int plane = 0; plane < work->walk.planes; plane += LANES) {
		if (!block_begin(&b, plane, z_size)) continue;
		fill_panel(&b, &work->walk, image);
		if (tof->terms)
			each_forward(&b, true, work->sums);
		else
			each_forward(&b, false, work->sums);
	}
	for (int k = 0; k < l->count; k++)
		values[l->number[k]] = l->step_mm[k] * lanes_sum(lanes_load(work->sums + (ptrdiff_t)k * LANES));
}

static void sheaf_adjoint(iso_sheaf_work *work, const iso_tof_series *tof, int z_size, const float *values,
			  float *image)
{
	const iso_sheaf_lines *l = &work->lines;
	block b = {.lines = l, .tof = tof, .panel = work->panel};
	float *factors = work->sums;
	for (int k = 0; k < l->count; k++) factors[k] = l->step_mm[k] * values[l->number[k]];
	for (int plane = 0; plane < work->walk.planes; plane += LANES) {
		if (!block_begin(&b, plane, z_size)) continue;
		clear_rows(&b, b.z_begin, b.z_end + LANES);
		if (tof->terms)
			each_adjoint(&b, true, factors);
		else
			each_adjoint(&b, false, factors);
		spread_panel(&b, &work->walk, image);
		/* what went beyond the image is lost; guards are empty again */
		clear_rows(&b, b.lowest, 0);
		clear_rows(&b, z_size, b.highest);
	}
}

static void sheaf_traffic(iso_sheaf_work *work, const iso_tof_series *tof, int z_size, iso_traffic *traffic)
{
	const double row = LANES * sizeof(float);
	block b = {.lines = &work->lines, .tof = tof, .panel = work->panel};
	for (int plane = 0; plane < work->walk.planes; plane += LANES) {
		if (!block_begin(&b, plane, z_size)) continue;
		const double rows = b.z_end - b.z_begin;
		traffic->forward_load_bytes +=
		    2 * rows * row; /* of the image; back: read the panel, add to the image */
		traffic->back_load_bytes += 3 * rows * row;
		traffic->back_store_bytes += 3 * rows * row;
		for (int n = 0; n < ISO_SHEAF_STEPS; n++) {
			const double lines = b.begin[n + 1] - b.begin[n];
			traffic->forward_load_bytes += lines * (2 * (n + 1) + 1) * row;
			traffic->back_load_bytes += lines * (n + 2) * row;
			traffic->back_store_bytes += lines * (n + 2) * row;
		}
	}
}

const iso_kernels ISO_KERNELS = {ISO_KERNELS_NAME, LANES, sheaf_forward, sheaf_adjoint, sheaf_traffic};
