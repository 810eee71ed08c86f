/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Columns of a scanner, and events packed and sorted into blocks of lines. All comparisons are exact: nothing is computed but the
 * order. */
#include <stdio.h>

#include "tests/recon/fixtures.h"

static iso_columns *columns_of(const iso_scanner *scanner)
{
	iso_columns *c = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_columns_create(scanner, &c, &err), err);
	return c;
}

/* What must hold for any scanner: every element is in one place, rows rise, and ranks are a permutation of the pairs. */
static void check_columns(const iso_columns *c, const iso_scanner *s)
{
	CU_ASSERT_EQUAL_FATAL(c->elements, s->elements);
	CU_ASSERT_EQUAL(c->first[0], 0);
	CU_ASSERT_EQUAL_FATAL(c->first[c->columns], c->elements);
	unsigned char *seen = calloc(c->elements, 1);
	uint32_t most = 0;
	bool good = true;
	for (uint32_t n = 0; n < c->columns; n++) {
		const uint32_t rows = c->first[n + 1] - c->first[n];
		CU_ASSERT_FATAL(rows >= 1 && rows <= 65536);
		if (rows > most) most = rows;
		for (uint32_t r = 0; r < rows; r++) {
			const uint32_t at = c->first[n] + r, e = c->element[at];
			good &= e < c->elements && !seen[e]++ && c->place[e].column == n && c->place[e].row == r;
			good &= memcmp(c->position_mm + 3 * (size_t)at, s->position_mm + 3 * (size_t)e, 12) == 0;
			if (!c->planar || r == 0) continue;
			const float *p = c->position_mm + 3 * (size_t)at;
			good &= memcmp(p, p - 3, 8) == 0 && p[2] >= p[-1];
		}
	}
	CU_ASSERT(good);
	CU_ASSERT_EQUAL(c->most_rows, most);
	const uint32_t pairs = iso_columns_pairs(c);
	unsigned char *ranks = calloc(pairs, 1);
	for (uint32_t a = 0; a < c->columns; a++)
		for (uint32_t b = a; b < c->columns; b++) {
			const uint32_t rank = iso_columns_rank(c, a, b);
			uint32_t back[2];
			CU_ASSERT_FATAL(rank < pairs);
			iso_columns_pair(c, rank, back);
			good &= !ranks[rank]++ && back[0] == a && back[1] == b;
		}
	CU_ASSERT(good);
	free(seen);
	free(ranks);
}

/* A ring scanner: a column per crystal, the numbers in a ring are the columns' and the rings are the rows. Of 48 crystals the pairs with
 * one a + b mod 48 are parallel. In the order of ranks eight directions are gone through together, to and fro in bands of six offsets: from
 * one pair to the next the direction changes by less than sixteen (two times eight), and the offset by no more than two bands (12 of 24
 * offsets) but where the next eight directions begin. */
static void test_ring(void)
{
	enum { CRYSTALS = 48, RINGS = 5 };
	iso_scanner *s = small_scanner(RINGS, CRYSTALS);
	iso_columns *c = columns_of(s);
	check_columns(c, s);
	CU_ASSERT(c->planar && c->rank);
	CU_ASSERT_EQUAL(c->columns, CRYSTALS);
	for (uint32_t e = 0; e < s->elements; e++) {
		CU_ASSERT_EQUAL(c->place[e].column, e % CRYSTALS);
		CU_ASSERT_EQUAL(c->place[e].row, e / CRYSTALS);
	}
	int far = 0, leaps = 0;
	uint32_t last[2] = {0, 0};
	for (uint32_t rank = 0; rank < CRYSTALS * (CRYSTALS - 1) / 2; rank++) {
		uint32_t p[2];
		iso_columns_pair(c, rank, p);
		CU_ASSERT_FATAL(p[0] < p[1]); /* columns with themselves come last */
		if (rank > 0) {
			const int turned = abs((int)((p[0] + p[1]) % CRYSTALS) - (int)((last[0] + last[1]) % CRYSTALS));
			far += turned >= 16 && turned <= CRYSTALS - 16;
			/* lines a and b of a direction are |(b - a) - (b' - a')| / 2 places apart, or on the axis' other side */
			const int width = (int)(p[1] - p[0]), other = (int)(last[1] - last[0]);
			const int apart = abs(width - other), across = abs(CRYSTALS - width - other);
			leaps += (apart < across ? apart : across) / 2 > 12;
		}
		memcpy(last, p, sizeof last);
	}
	CU_ASSERT_EQUAL(far, 0);
	CU_ASSERT(leaps <= 2 * CRYSTALS / 8);
	iso_columns_free(c);
	iso_scanner_free(s);
}

/* Two layers of crystals, the outer ones behind the inner ones, rings in falling order of z, and dead elements: they are elements
 * like others. */
static void test_layers(void)
{
	iso_scanner *inner = small_scanner(4, 24), *s = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_scanner_create(2 * inner->elements, "layers", &s, &err), err);
	for (uint32_t e = 0; e < inner->elements; e++)
		for (int layer = 0; layer < 2; layer++) {
			float *p = s->position_mm + 3 * (2 * (size_t)e + (size_t)layer);
			memcpy(p, inner->position_mm + 3 * (size_t)e, 12);
			for (int k = 0; k < 2; k++) p[k] *= layer ? 1.25F : 1.0F;
			p[2] = -p[2];
		}
	s->efficiency[7] = 0;
	iso_columns *c = columns_of(s);
	check_columns(c, s);
	CU_ASSERT(c->planar);
	CU_ASSERT_EQUAL(c->columns, 48);
	CU_ASSERT_EQUAL(c->most_rows, 4);
	CU_ASSERT_EQUAL(c->place[0].row, 3);
	iso_columns_free(c);
	iso_scanner_free(inner);
	iso_scanner_free(s);
}

/* Elements anywhere, and so many that pairs of their runs have no table of ranks; and two elements. */
static void test_irregular(void)
{
	iso_scanner *s = NULL;
	iso_error err;
	iso_random random = iso_random_begin(5, 0);
	const struct {
		uint32_t elements, columns;
		bool ranked;
	} sizes[] = {{2, 1, true}, {255, 1, true}, {1000, 4, true}, {256 * 2900, 2900, false}};
	for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
		ISO_ASSERT_OK(iso_scanner_create(sizes[n].elements, "anywhere", &s, &err), err);
		for (size_t k = 0; k < 3 * (size_t)s->elements; k++)
			s->position_mm[k] = (float)(100 * iso_random_uniform(&random));
		iso_columns *c = columns_of(s);
		check_columns(c, s);
		CU_ASSERT(!c->planar);
		CU_ASSERT_EQUAL(c->columns, sizes[n].columns);
		CU_ASSERT_EQUAL(c->rank != NULL, sizes[n].ranked);
		iso_columns_free(c);
		iso_scanner_free(s);
	}
	/* More elements in line than a row's 16 bits can tell apart: two columns. */
	ISO_ASSERT_OK(iso_scanner_create(70000, "a rod", &s, &err), err);
	for (size_t e = 0; e < s->elements; e++) s->position_mm[3 * e + 2] = (float)e;
	iso_columns *c = columns_of(s);
	check_columns(c, s);
	CU_ASSERT(c->planar);
	CU_ASSERT_EQUAL(c->columns, 2);
	iso_columns_free(c);
	iso_scanner_free(s);
}

/* Random events between all elements, with TOF bins. */
static iso_event *random_events(const iso_scanner *s, size_t count, uint64_t seed)
{
	iso_random random = iso_random_begin(seed, 0);
	iso_event *events = calloc(count + 1, sizeof *events);
	for (size_t n = 0; n < count; n++) {
		for (int end = 0; end < 2; end++)
			events[n].element[end] = (uint32_t)(iso_random_uniform(&random) * s->elements);
		events[n].tof_bin = (int16_t)(21 * iso_random_uniform(&random) - 10);
	}
	return events;
}

/* The event as a block holds it: from the lower place to the higher one. */
static iso_event turned(const iso_columns *c, iso_event e)
{
	const iso_place a = c->place[e.element[0]], b = c->place[e.element[1]];
	if (a.column < b.column || (a.column == b.column && a.row <= b.row)) return e;
	return (iso_event){.element = {e.element[1], e.element[0]}, .tof_bin = (int16_t)-e.tof_bin};
}

static int by_all(const void *left, const void *right)
{
	const iso_event *a = left, *b = right;
	for (int e = 0; e < 2; e++)
		if (a->element[e] != b->element[e]) return a->element[e] < b->element[e] ? -1 : 1;
	return a->tof_bin - b->tof_bin;
}

/* Sheaves partition the lines, are sorted by rank and then by group, none is empty, no two are the same. */
static void check_sheaves(const iso_line_block *block)
{
	CU_ASSERT_EQUAL_FATAL(block->sheaf[block->sheaves].first, block->count);
	bool good = block->count == 0 || block->sheaf[0].first == 0;
	uint64_t before = 0;
	for (size_t n = 0; n < block->sheaves; n++) {
		const iso_sheaf *s = block->sheaf + n;
		const uint64_t key =
		    ((uint64_t)iso_columns_rank(block->columns, s->column[0], s->column[1]) << 32) + s->group;
		good &= s->column[0] <= s->column[1] && s[1].first > s->first && (n == 0 || key > before);
		before = key;
		good &= iso_line_block_sheaf_of(block, s->first) == n &&
			iso_line_block_sheaf_of(block, s[1].first - 1) == n;
	}
	CU_ASSERT(good);
}

static void check_round_trip(const iso_scanner *s, size_t count, unsigned groups)
{
	iso_columns *c = columns_of(s);
	iso_event *events = random_events(s, count, 77 + count), *back = calloc(count + 1, sizeof *back);
	iso_line *lines = calloc(count + 1, sizeof *lines), *want = calloc(count + 1, sizeof *want);
	uint16_t *group = calloc(count + 1, sizeof *group);
	for (size_t n = 0; n < count; n++) group[n] = (uint16_t)(n % groups);
	iso_line_block *block = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_line_block_create(c, true, events, group, count, &block, &err), err);
	CU_ASSERT_EQUAL_FATAL(block->count, count);
	check_sheaves(block);
	/* in pieces that begin and end within sheaves */
	for (size_t n = 0; n < count; n += 101)
		iso_line_block_events(block, n, count - n < 101 ? count - n : 101, back + n);
	/* the lines are those of the events, which iso_lines_of_events knows by its own way */
	for (size_t n = 0; n < count; n += 97)
		iso_line_block_lines(block, &s->tof, n, count - n < 97 ? count - n : 97, lines + n);
	iso_lines_of_events(s, back, count, want);
	CU_ASSERT(memcmp(lines, want, count * sizeof *lines) == 0);
	/* each sheaf's lines stay in the order in which they came: look each one up by group and order of arrival */
	size_t *next = calloc(groups, sizeof *next);
	for (size_t n = 0; n < count; n++) events[n] = turned(c, events[n]);
	bool stable = true;
	for (size_t n = 0; n < block->sheaves && stable; n++) {
		size_t at = block->sheaf[n].group;
		for (size_t i = block->sheaf[n].first; i < block->sheaf[n + 1].first; i++, at += groups) {
			while (at < count && by_all(events + at, back + i) != 0) at += groups;
			stable &= at < count;
		}
	}
	CU_ASSERT(stable);
	qsort(events, count, sizeof *events, by_all);
	qsort(back, count, sizeof *back, by_all);
	CU_ASSERT(memcmp(events, back, count * sizeof *events) == 0);
	iso_line_block_free(block);
	iso_columns_free(c);
	free(next);
	free(events);
	free(back);
	free(lines);
	free(want);
	free(group);
}

static void test_round_trip(void)
{
	iso_scanner *ring = small_scanner(5, 24), *anywhere = NULL;
	ring->tof = (iso_tof){.fwhm_ps = 400, .bin_ps = 50, .bins = 21};
	iso_error err;
	iso_random random = iso_random_begin(6, 0);
	ISO_ASSERT_OK(iso_scanner_create(700, "anywhere", &anywhere, &err), err);
	anywhere->tof = ring->tof;
	for (size_t k = 0; k < 2100; k++) anywhere->position_mm[k] = (float)iso_random_uniform(&random);
	const size_t counts[] = {0, 1, 2, 5000};
	for (size_t n = 0; n < sizeof counts / sizeof *counts; n++)
		for (unsigned groups = 1; groups < 40; groups += 19) {
			check_round_trip(ring, counts[n], groups);
			check_round_trip(anywhere, counts[n], groups);
		}
	iso_scanner_free(ring);
	iso_scanner_free(anywhere);
}

/* A bin that is nearer to the second element is nearer to the first one when the line is turned round. */
static void test_tof_sign(void)
{
	iso_scanner *s = small_scanner(2, 24);
	s->tof = (iso_tof){.fwhm_ps = 400, .bin_ps = 50, .bins = 21};
	iso_columns *c = columns_of(s);
	const iso_event both[2] = {{.element = {3, 40}, .tof_bin = 4}, {.element = {40, 3}, .tof_bin = -4}};
	iso_packed_event packed[2];
	iso_pack_events(c, both, 2, packed);
	CU_ASSERT(memcmp(packed, packed + 1, sizeof *packed) == 0);
	CU_ASSERT_EQUAL(packed[0].tof_bin, 4);
	/* one above the other: from the lower row to the higher one */
	const iso_event above[2] = {{.element = {5, 29}, .tof_bin = 2}, {.element = {29, 5}, .tof_bin = -2}};
	iso_pack_events(c, above, 2, packed);
	CU_ASSERT(memcmp(packed, packed + 1, sizeof *packed) == 0);
	CU_ASSERT(packed[0].row[0] == 0 && packed[0].row[1] == 1 && packed[0].tof_bin == 2);
	const iso_event extreme = {.element = {40, 3}, .tof_bin = INT16_MIN};
	iso_pack_events(c, &extreme, 1, packed);
	CU_ASSERT_EQUAL(packed[0].tof_bin, INT16_MAX);
	iso_columns_free(c);
	iso_scanner_free(s);
}

/* The groups' lines, one group after the other, are all lines. */
static void test_groups(void)
{
	enum { COUNT = 3000, GROUPS = 3 };
	iso_scanner *s = small_scanner(5, 24);
	iso_columns *c = columns_of(s);
	iso_event *events = random_events(s, COUNT, 8);
	uint16_t group[COUNT];
	float weight[COUNT];
	for (size_t n = 0; n < COUNT; n++) group[n] = (uint16_t)(n % GROUPS), weight[n] = (float)n;
	iso_line_block *block = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_line_block_create(c, true, events, group, COUNT, &block, &err), err);
	unsigned char seen[COUNT] = {0};
	void *memory = malloc(iso_line_arrays_bytes(COUNT, COUNT, true, true));
	const iso_line_arrays arrays = iso_line_arrays_in(memory, COUNT, COUNT, true);
	size_t total = 0;
	for (uint32_t g = 0; g < GROUPS; g++) {
		size_t count, sheaves;
		iso_line_block_take_group(block, weight, g, &arrays, &count, &sheaves);
		const iso_line_block part = iso_line_arrays_view(&arrays, c, count, sheaves);
		check_sheaves(&part);
		CU_ASSERT_EQUAL(count, COUNT / GROUPS);
		total += count;
		iso_event one, same;
		for (size_t n = 0; n < count; n++) {
			/* the weight tells where in the whole block the line was */
			const size_t from = (size_t)arrays.weight[n];
			iso_line_block_events(&part, n, 1, &one);
			iso_line_block_events(block, from, 1, &same);
			CU_ASSERT_FATAL(memcmp(&one, &same, sizeof one) == 0 && !seen[from]++);
			CU_ASSERT_FATAL(block->sheaf[iso_line_block_sheaf_of(block, from)].group == g);
		}
	}
	CU_ASSERT_EQUAL(total, COUNT);
	free(memory);
	free(events);
	iso_line_block_free(block);
	iso_columns_free(c);
	iso_scanner_free(s);
}

static const iso_test tests[] = {
    {"columns of a ring, ranks by direction", test_ring},
    {"columns of two layers", test_layers},
    {"runs of a scanner without columns", test_irregular},
    {"every event comes back from its block", test_round_trip},
    {"the sign of TOF bins", test_tof_sign},
    {"groups of a block", test_groups},
};

ISO_TEST_MAIN("line-blocks", tests)
