/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/line_block.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

size_t iso_line_block_sheaf_of(const iso_line_block *block, size_t line)
{
	size_t low = 0, high = block->sheaves; /* sheaf[low].first <= line < sheaf[high].first */
	while (high - low > 1) {
		const size_t middle = low + (high - low) / 2;
		if (block->sheaf[middle].first <= line)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void iso_line_block_lines(const iso_line_block *block, const iso_tof *tof, size_t first, size_t count, iso_line *lines)
{
	const iso_columns *c = block->columns;
	const double bin_mm = iso_tof_bin_centre_mm(tof, 1);
	size_t sheaf = count ? iso_line_block_sheaf_of(block, first) : 0;
	for (size_t n = first; n < first + count; n++) {
		while (block->sheaf[sheaf + 1].first <= n) sheaf++;
		iso_line *line = lines + (n - first);
		const size_t a = c->first[block->sheaf[sheaf].column[0]] + block->row[n][0],
			     b = c->first[block->sheaf[sheaf].column[1]] + block->row[n][1];
		memcpy(line->start_mm, c->position_mm + 3 * a, sizeof line->start_mm);
		memcpy(line->end_mm, c->position_mm + 3 * b, sizeof line->end_mm);
		line->tof_centre_mm = block->tof_bin ? (float)(block->tof_bin[n] * bin_mm) : 0;
	}
}

void iso_line_block_events(const iso_line_block *block, size_t first, size_t count, iso_event *events)
{
	const iso_columns *c = block->columns;
	size_t sheaf = count ? iso_line_block_sheaf_of(block, first) : 0;
	for (size_t n = first; n < first + count; n++) {
		while (block->sheaf[sheaf + 1].first <= n) sheaf++;
		const uint32_t *column = block->sheaf[sheaf].column;
		events[n - first] = (iso_event){.element = {c->element[c->first[column[0]] + block->row[n][0]],
							    c->element[c->first[column[1]] + block->row[n][1]]},
						.tof_bin = block->tof_bin ? block->tof_bin[n] : 0};
	}
}

void iso_pack_events(const iso_columns *columns, const iso_event *events, size_t count, iso_packed_event *packed)
{
	for (size_t n = 0; n < count; n++) {
		const iso_place p = columns->place[events[n].element[0]], q = columns->place[events[n].element[1]];
		/* Which way round is a coin's toss: without a branch that could be foretold wrongly. */
		const uint64_t a = (uint64_t)p.column << 16 | p.row, b = (uint64_t)q.column << 16 | q.row;
		const bool turned = a > b;
		const uint64_t low = turned ? b : a, high = turned ? a : b;
		const int tof_bin = turned ? -events[n].tof_bin : events[n].tof_bin;
		packed[n] =
		    (iso_packed_event){.rank = iso_columns_rank(columns, (uint32_t)(low >> 16), (uint32_t)(high >> 16)),
				       .row = {(uint16_t)low, (uint16_t)high},
				       /* -32768, which no scanner has, has no opposite in 16 bits */
				       .tof_bin = (int16_t)(tof_bin > INT16_MAX ? INT16_MAX : tof_bin)};
	}
}

enum { most_digit_bits = 11 }; /* so many places to write to at once stay in the second-level cache */

/* One pass of a radix sort by bits [shift, shift + bits) of rank * groups + group: stable. */
static void sort_by_digit(const iso_packed_event *from, iso_packed_event *to, size_t count, uint32_t groups,
			  unsigned shift, unsigned bits)
{
	size_t start[1 << most_digit_bits] = {0};
	const uint64_t mask = (UINT64_C(1) << bits) - 1;
	for (size_t n = 0; n < count; n++) start[((uint64_t)from[n].rank * groups + from[n].group) >> shift & mask]++;
	for (size_t digit = 0, sum = 0; digit <= mask; digit++) {
		const size_t here = start[digit];
		start[digit] = sum;
		sum += here;
	}
	for (size_t n = 0; n < count; n++)
		to[start[((uint64_t)from[n].rank * groups + from[n].group) >> shift & mask]++] = from[n];
}

void iso_sort_packed(const iso_columns *columns, uint32_t groups, iso_packed_event *events, iso_packed_event *scratch,
		     size_t count)
{
	const uint64_t largest = (uint64_t)iso_columns_pairs(columns) * groups - 1;
	unsigned bits = 0;
	while (bits < 64 && largest >> bits) bits++;
	const unsigned passes = (bits + most_digit_bits - 1) / most_digit_bits;
	iso_packed_event *from = events, *to = scratch;
	for (unsigned pass = 0; pass < passes; pass++) {
		const unsigned low = bits * pass / passes, high = bits * (pass + 1) / passes;
		sort_by_digit(from, to, count, groups, low, high - low);
		iso_packed_event *last = from;
		from = to;
		to = last;
	}
	if (from != events && count) memcpy(events, from, count * sizeof *events);
}

static bool begins_sheaf(const iso_packed_event *sorted, size_t n)
{
	return n == 0 || sorted[n].rank != sorted[n - 1].rank || sorted[n].group != sorted[n - 1].group;
}

size_t iso_packed_sheaves(const iso_packed_event *sorted, size_t count)
{
	size_t sheaves = 0;
	for (size_t n = 0; n < count; n++) sheaves += begins_sheaf(sorted, n);
	return sheaves;
}

size_t iso_line_arrays_bytes(size_t count, size_t sheaves, bool tof, bool weighted)
{
	const size_t before = (sheaves + 1) * sizeof(iso_sheaf) + count * (2 + tof) * sizeof(uint16_t);
	return weighted ? (before + 3) / 4 * 4 + count * sizeof(float) : before;
}

iso_line_arrays iso_line_arrays_in(void *memory, size_t count, size_t sheaves, bool tof)
{
	unsigned char *bytes = memory;
	unsigned char *row = bytes + (sheaves + 1) * sizeof(iso_sheaf), *tof_bin = row + count * 2 * sizeof(uint16_t);
	const size_t weighted = iso_line_arrays_bytes(count, sheaves, tof, true);
	return (iso_line_arrays){.sheaf = memory,
				 .row = (void *)row,
				 .tof_bin = tof ? (void *)tof_bin : NULL,
				 .weight = (void *)(bytes + weighted - count * sizeof(float))};
}

iso_line_block iso_line_arrays_view(const iso_line_arrays *arrays, const iso_columns *columns, size_t count,
				    size_t sheaves)
{
	return (iso_line_block){.columns = columns,
				.count = count,
				.sheaves = sheaves,
				.sheaf = arrays->sheaf,
				.row = (const uint16_t(*)[2])arrays->row,
				.tof_bin = arrays->tof_bin};
}

void iso_line_arrays_unpack(const iso_line_arrays *arrays, const iso_columns *columns, const iso_packed_event *sorted,
			    size_t count)
{
	iso_sheaf *sheaf = arrays->sheaf;
	for (size_t n = 0; n < count; n++) {
		if (begins_sheaf(sorted, n)) {
			*sheaf = (iso_sheaf){.first = (uint32_t)n, .group = sorted[n].group};
			iso_columns_pair(columns, sorted[n].rank, sheaf->column);
			sheaf++;
		}
		memcpy(arrays->row[n], sorted[n].row, sizeof sorted->row);
		if (arrays->tof_bin) arrays->tof_bin[n] = sorted[n].tof_bin;
	}
	*sheaf = (iso_sheaf){.first = (uint32_t)count};
}

void iso_line_block_take_group(const iso_line_block *block, const float *weight, uint32_t group,
			       const iso_line_arrays *to, size_t *count, size_t *sheaves)
{
	*count = *sheaves = 0;
	for (size_t s = 0; s < block->sheaves; s++) {
		const iso_sheaf *from = block->sheaf + s;
		if (from->group != group) continue;
		const size_t lines = from[1].first - from->first;
		to->sheaf[*sheaves] = *from;
		to->sheaf[(*sheaves)++].first = (uint32_t)*count;
		memcpy(to->row + *count, block->row + from->first, lines * sizeof *to->row);
		if (block->tof_bin)
			memcpy(to->tof_bin + *count, block->tof_bin + from->first, lines * sizeof *to->tof_bin);
		if (weight) memcpy(to->weight + *count, weight + from->first, lines * sizeof *weight);
		*count += lines;
	}
	to->sheaf[*sheaves] = (iso_sheaf){.first = (uint32_t)*count};
}

/* The view first, then its arrays. */
typedef struct whole_block {
	iso_line_block view;
	max_align_t arrays[];
} whole_block;

iso_status iso_line_block_create(const iso_columns *columns, bool tof, const iso_event *events, const uint16_t *group,
				 size_t count, iso_line_block **out, iso_error *err)
{
	*out = NULL;
	iso_packed_event *packed = malloc((count + 1) * sizeof *packed),
			 *scratch = malloc((count + 1) * sizeof *scratch);
	whole_block *whole = NULL;
	uint32_t groups = 1;
	if (packed && scratch) {
		iso_pack_events(columns, events, count, packed);
		for (size_t n = 0; n < count && group; n++) {
			packed[n].group = group[n];
			if (group[n] >= groups) groups = group[n] + 1u;
		}
		iso_sort_packed(columns, groups, packed, scratch, count);
		const size_t sheaves = iso_packed_sheaves(packed, count);
		whole = malloc(sizeof *whole + iso_line_arrays_bytes(count, sheaves, tof, true));
		if (whole) {
			const iso_line_arrays arrays = iso_line_arrays_in(whole->arrays, count, sheaves, tof);
			iso_line_arrays_unpack(&arrays, columns, packed, count);
			whole->view = iso_line_arrays_view(&arrays, columns, count, sheaves);
		}
	}
	free(packed);
	free(scratch);
	if (!whole) return iso_fail_memory(err, "lines", count * (2 * sizeof *packed + 10));
	*out = &whole->view;
	return ISO_OK;
}

void iso_line_block_free(iso_line_block *block)
{
	free(block); /* the view is the first member */
}
