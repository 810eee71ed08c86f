/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The kernels of recon/sheaf.h, compiled once for each kind of processor.
 *
 * A block is LANES planes. Its panel has a row for each voxel along z, LANES floats long, one for each plane. A line moves by at most
 * n voxels along z within a block, n known before the loop: its lane p lies between rows k and k+1, k one of n+1. The sample is
 * picked row by row with a mask of the lanes that are there, which needs neither gather nor scatter, and no lane can meet another
 * one's cell. */
#include <math.h>

#include "recon/kernels/lanes.h"
#include "recon/sheaf.h"

enum { CACHE_LINE_FLOATS = 16 };

/* A block of planes, and the lines that have a part in it. */
typedef struct block {
	const iso_sheaf_lines *lines;
	const iso_tof_series *tof;
	float *panel;        /* row z at panel + (z + guard) * LANES */
	int plane;           /* the block's first */
	int planes_end;      /* no line has a part in blocks from here on */
	int lowest, highest; /* rows lowest .. highest-1 are walked over, guards among them */
	int z_begin, z_end;  /* those of them that the image has, from a multiple of LANES on */
	int count;           /* of lines */
	/* [count, and room for what lanes_pack leaves behind them] numbers of the lines, ascending, with TOF; where a line enters: z at the
	 * block's first plane, above row[] */
	int which[ISO_SHEAF_LINES + LANES], row[ISO_SHEAF_LINES + LANES];
	float from[ISO_SHEAF_LINES + LANES];
} block;

/* The lines that have a part in the block, where they enter it, and the rows that they need. With TOF all lines of the sheaf are looked at:
 * a loop over all without branches is faster than one over a list. */
__attribute__((always_inline)) static inline void place_lines(block *b, int z_size, bool tof)
{
	const iso_sheaf_lines *l = b->lines;
	const lanes plane = lanes_all((float)b->plane), steepest = lanes_all(LANES - 1), none = lanes_all(0);
	/* beyond the image on either side all is 0 as far as the guards go */
	const lanes top = lanes_all((float)(z_size + ISO_SHEAF_REACH)),
		    bottom = lanes_all(-(ISO_SHEAF_STEPS + ISO_SHEAF_REACH));
	lanes lowest = top, highest = bottom;
	b->count = 0;
	for (int k = 0; k < l->count; k += LANES) {
		lanes_mask here = lanes_first(l->count - k);
		if (tof) here = here & lanes_between(l->first_block + k, l->end_block + k, b->plane / LANES);
		const lanes slope = lanes_load(l->slope + k), at = lanes_load(l->z + k) + slope * plane;
		const lanes least = at + lanes_smaller(slope * steepest, none);
		const lanes row = lanes_floor(lanes_smaller(lanes_larger(least, bottom), top));
		const lanes past = row + lanes_load_as_float(l->steps + k) + lanes_all(2);
		lowest = lanes_smaller(lowest, lanes_select(here, row, top));
		highest = lanes_larger(highest, lanes_select(here, past, bottom));
		lanes_pack(here, at - row, b->from + b->count);
		lanes_pack_whole(here, lanes_to_whole(row), b->row + b->count);
		if (tof) lanes_pack_whole(here, lanes_counted(k), b->which + b->count);
		b->count += lanes_count(here);
	}
	b->lowest = (int)lanes_smallest(lowest);
	b->highest = (int)lanes_largest(highest);
}

/* The first plane of the first block in which a line has a part; and where they end. */
static int block_first(block *b, const iso_sheaf_walk *walk)
{
	const iso_sheaf_lines *l = b->lines;
	b->planes_end = walk->planes;
	if (!b->tof->terms) return 0;
	int first = walk->planes, end = 0;
	for (int k = 0; k < l->count; k++) {
		first = l->first_block[k] < first ? l->first_block[k] : first;
		end = l->end_block[k] > end ? l->end_block[k] : end;
	}
	if (end * LANES < b->planes_end) b->planes_end = end * LANES;
	return first * LANES;
}

/* False when no line comes nearer to the image than `reach` in the block. */
static bool block_begin(block *b, int plane, int z_size, int reach)
{
	b->plane = plane;
	if (b->tof->terms)
		place_lines(b, z_size, true);
	else
		place_lines(b, z_size, false);
	const int from = b->lowest - reach, to = b->highest + reach;
	b->z_begin = from < 0 ? 0 : from / LANES * LANES;
	b->z_end = to > z_size ? z_size : to;
	return b->z_begin < b->z_end;
}

/* Lines first .. end-1 of the block cross at most as many voxels as the first, which is returned. */
static inline int steps_of(const block *b, bool tof, int first, int *end)
{
	const iso_sheaf_lines *l = b->lines;
	const int n = l->steps[tof ? b->which[first] : first];
	if (!tof) {
		*end = l->begin[n + 1];
		return n;
	}
	const int last = l->begin[n + 1];
	for (*end = first + 1; *end < b->count && b->which[*end] < last;) ++*end;
	return n;
}

static void clear_rows(const block *b, int begin, int end)
{
	if (begin < end)
		memset(b->panel + (ptrdiff_t)(begin + ISO_SHEAF_GUARD) * LANES, 0,
		       (size_t)(end - begin) * LANES * sizeof(float));
}

/* Asks for the image's rows of the next block while there is other work. */
static inline void fetch_next(const block *b, const iso_sheaf_walk *walk, const float *image)
{
	const int first = b->plane + LANES;
	if (first >= b->planes_end) return;
	for (int p = first; p < first + LANES; p++)
		for (int z = b->z_begin; z < b->z_end; z += CACHE_LINE_FLOATS) {
			__builtin_prefetch(image + walk->row[0][p] + z);
			__builtin_prefetch(image + walk->row[1][p] + z);
		}
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
	const float slope = b->lines->tof_slope[k];
	return lanes_tof_weight(b->tof->term, b->tof->terms, b->lines->tof[k] + slope * (float)b->plane, slope);
}

/* Lines first .. end-1, which cross at most n voxels, n a constant to the compiler: sums += samples. */
__attribute__((always_inline)) static inline void walk_forward(const block *b, int first, int end, int n, bool tof,
							       float *sums)
{
	for (int c = first; c < end; c++) {
		const int k = tof ? b->which[c] : c;
		const float *row = b->panel + (ptrdiff_t)(b->row[c] + ISO_SHEAF_GUARD) * LANES;
		const lanes t = lanes_all(b->lines->slope[k]) * lanes_numbers() + lanes_all(b->from[c]);
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
__attribute__((always_inline)) static inline void walk_adjoint(const block *b, int first, int end, int n, bool tof,
							       const float *factors)
{
	for (int c = first; c < end; c++) {
		const int k = tof ? b->which[c] : c;
		float *row = b->panel + (ptrdiff_t)(b->row[c] + ISO_SHEAF_GUARD) * LANES;
		const lanes t = lanes_all(b->lines->slope[k]) * lanes_numbers() + lanes_all(b->from[c]);
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

#define ISO_EACH_STEP(WALK) \
	WALK(1)             \
	WALK(2)             \
	WALK(3)             \
	WALK(4)             \
	WALK(5) WALK(6) WALK(7) WALK(8) WALK(9) WALK(10) WALK(11) WALK(12) WALK(13) WALK(14) WALK(15) WALK(16) WALK(17)
#define ISO_FORWARD(n)                                     \
	case n:                                            \
		walk_forward(b, first, end, n, tof, sums); \
		break;
#define ISO_ADJOINT(n) \
	case n: walk_adjoint(b, first, end, n, tof, factors); break;

__attribute__((always_inline)) static inline void all_forward(const block *b, bool tof, float *sums)
{
	for (int first = 0, end; first < b->count; first = end) switch (steps_of(b, tof, first, &end)) {
			ISO_EACH_STEP(ISO_FORWARD)
		}
}

__attribute__((always_inline)) static inline void all_adjoint(const block *b, bool tof, const float *factors)
{
	for (int first = 0, end; first < b->count; first = end) switch (steps_of(b, tof, first, &end)) {
			ISO_EACH_STEP(ISO_ADJOINT)
		}
}

static void sheaf_forward(const iso_joseph *joseph, iso_sheaf_work *work, const float *image, float *values)
{
	const iso_sheaf_lines *l = &work->lines;
	block b = {.lines = l, .tof = &joseph->series, .panel = work->panel};
	memset(work->sums, 0, (size_t)l->count * LANES * sizeof(float));
	for (int plane = block_first(&b, &work->walk); plane < b.planes_end; plane += LANES) {
		if (!block_begin(&b, plane, joseph->size[2], 0)) continue;
		fill_panel(&b, &work->walk, image);
		fetch_next(&b, &work->walk, image);
		if (b.tof->terms)
			all_forward(&b, true, work->sums);
		else
			all_forward(&b, false, work->sums);
	}
	for (int k = 0; k < l->count; k++)
		values[l->number[k]] = l->step_mm[k] * lanes_sum(lanes_load(work->sums + (ptrdiff_t)k * LANES));
}

/* How far a spread reaches, in whole voxels. */
static int reach_of(const iso_joseph *joseph, const iso_axial_spread *spread)
{
	float widest = 0;
	for (int n = 0; n < spread->count; n++) widest = fmaxf(widest, fabsf(spread->offset_mm[n]));
	return (int)ceil((double)widest / joseph->voxel_mm[2]);
}

/* Rows of b->panel over the rows around them, as the lines that each stands for lie around it: into b->panel of its own. */
static void spread_lines(block *b, const iso_joseph *joseph, const iso_sheaf_walk *walk, const iso_axial_spread *spread,
			 int reach, float *wide)
{
	enum { MOST = 2 * ISO_SHEAF_REACH + 2 };
	float tap[MOST][LANES];
	memset(tap, 0, sizeof tap);
	const double share = 1.0 / ((double)spread->count * spread->count), per_voxel = 1 / joseph->voxel_mm[2];
	for (int p = 0; p < LANES; p++) {
		const double at = (walk->first + b->plane + p - walk->start) / walk->length;
		for (int n = 0; n < spread->count; n++)
			for (int m = 0; m < spread->count; m++) {
				const double shift =
				    ((1 - at) * (double)spread->offset_mm[n] + at * (double)spread->offset_mm[m]) *
					per_voxel +
				    reach;
				const int k = shift > 0 ? (int)shift : 0;
				tap[k][p] += (float)(share * (1 - (shift - k)));
				tap[k + 1][p] += (float)(share * (shift - k));
			}
	}
	for (int z = b->z_begin; z < (b->z_end + LANES - 1) / LANES * LANES; z++) {
		lanes sum = lanes_all(0);
		/* a row's own tap is `reach`; it comes from the row that lies as much lower as it is shifted up */
		const float *from = b->panel + (ptrdiff_t)(z + reach + ISO_SHEAF_GUARD) * LANES;
		for (int k = 0; k <= 2 * reach; k++)
			sum = sum + lanes_load(tap[k]) * lanes_load(from - (ptrdiff_t)k * LANES);
		lanes_store(wide + (ptrdiff_t)(z + ISO_SHEAF_GUARD) * LANES, sum);
	}
}

static void sheaf_adjoint(const iso_joseph *joseph, iso_sheaf_work *work, const iso_axial_spread *spread,
			  const float *values, float *image)
{
	const iso_sheaf_lines *l = &work->lines;
	const int z_size = joseph->size[2], reach = spread ? reach_of(joseph, spread) : 0;
	block b = {.lines = l, .tof = &joseph->series, .panel = work->panel};
	float *factors = work->sums;
	for (int k = 0; k < l->count; k++) factors[k] = l->step_mm[k] * values[l->number[k]];
	for (int plane = block_first(&b, &work->walk); plane < b.planes_end; plane += LANES) {
		if (!block_begin(&b, plane, z_size, reach)) continue;
		clear_rows(&b, b.z_begin - reach, b.z_end + LANES + reach);
		fetch_next(&b, &work->walk, image);
		if (b.tof->terms)
			all_adjoint(&b, true, factors);
		else
			all_adjoint(&b, false, factors);
		if (spread) {
			spread_lines(&b, joseph, &work->walk, spread, reach, work->wide);
			b.panel = work->wide;
		}
		spread_panel(&b, &work->walk, image);
		b.panel = work->panel;
		/* what went beyond the image is lost; guards are empty again */
		clear_rows(&b, b.lowest, 0);
		clear_rows(&b, z_size, b.highest);
	}
}

static void sheaf_traffic(const iso_joseph *joseph, iso_sheaf_work *work, iso_traffic *traffic)
{
	const double row = LANES * sizeof(float);
	block b = {.lines = &work->lines, .tof = &joseph->series, .panel = work->panel};
	const bool tof = b.tof->terms > 0;
	for (int plane = block_first(&b, &work->walk); plane < b.planes_end; plane += LANES) {
		if (!block_begin(&b, plane, joseph->size[2], 0)) continue;
		const double rows = b.z_end - b.z_begin;
		/* forward the panel is made from two rows of the image, back it is added to them */
		traffic->image.forward_load += 2 * rows * row;
		traffic->image.back_load += 2 * rows * row;
		traffic->image.back_store += 2 * rows * row;
		traffic->panel.forward_store += rows * row;
		traffic->panel.back_load += rows * row;
		traffic->panel.back_store += rows * row;
		for (int first = 0, end; first < b.count; first = end) {
			const int n = steps_of(&b, tof, first, &end);
			traffic->panel.forward_load += (end - first) * (2 * (n + 1) + 1) * row;
			traffic->panel.forward_store += (end - first) * row;
			traffic->panel.back_load += (end - first) * (n + 2) * row;
			traffic->panel.back_store += (end - first) * (n + 2) * row;
		}
	}
}
