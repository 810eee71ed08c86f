/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/event_reader.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/pages.h"

enum { BATCH = 16384, least_piece_lines = 256, most_piece_lines = 65536 };

/* Events come for all subsets in turn; those of a block that is not yet full wait unsorted, in pieces. How long a piece is and
 * whether it is in memory follows from the memory allowed, and nothing else does. */
typedef struct piece {
	iso_packed_event *memory; /* NULL: in the file */
	int64_t offset;
} piece;

typedef struct open_block {
	iso_packed_event *at, *end; /* in the last piece: where the next event goes, and the piece's end */
	piece *piece;
	size_t pieces, room;
	uint32_t turn; /* the next event's replicate */
} open_block;

typedef struct filling {
	iso_event_reader *reader;
	const iso_event_store_plan *plan;
	open_block *open; /* [subsets] */
	unsigned subset;  /* the next prompt's */
	uint32_t part;    /* the next delayed's replicate */
	size_t block_lines, piece_lines;
	uint64_t used, allowed; /* bytes of pieces and finished blocks in memory */
	/* sorting */
	iso_packed_event *sorted, *scratch;
	size_t sorting_room;
	/* reading */
	iso_event *batch;
	iso_packed_event *packed;
} filling;

uint64_t iso_store_working_bytes(const iso_event_store_plan *plan, uint64_t lines)
{
	const uint64_t pairs = (uint64_t)iso_columns_pairs(plan->columns) * iso_store_parts(plan);
	const uint64_t sheaves = pairs < lines ? pairs : lines;
	const uint64_t block = iso_line_arrays_bytes(lines, sheaves, true, true);
	/* either sorting: two arrays and the block that is made; or a pass: two blocks from the file, additive terms, and a replicate's
	 * lines, which are at most half */
	const uint64_t sorting = 2 * lines * sizeof(iso_packed_event) + block,
		       passing = 2 * block + lines * sizeof(float) + (plan->replicates ? block / 2 : 0);
	return sorting > passing ? sorting : passing;
}

static iso_status prepare(filling *f, iso_error *err)
{
	const iso_event_store_plan *plan = f->plan;
	f->block_lines = plan->block_lines ? plan->block_lines : ISO_STORE_BLOCK_LINES;
	uint64_t lines = iso_events_total(plan->events);
	lines =
	    lines == UINT64_MAX || lines / plan->subsets >= f->block_lines ? f->block_lines : lines / plan->subsets + 1;
	const uint64_t working = iso_store_working_bytes(plan, lines);
	f->allowed = plan->max_bytes > working ? plan->max_bytes - working : 0;
	/* The last pieces of all subsets are always in memory: an eighth of what is allowed at most, or a MB. A piece of more than an eighth
	 * of a block would be empty for the most part. */
	const uint64_t last_pieces = f->allowed / 8 > 1 << 20 ? f->allowed / 8 : 1 << 20;
	f->piece_lines = most_piece_lines;
	while (f->piece_lines > least_piece_lines &&
	       (f->piece_lines * plan->subsets * sizeof(iso_packed_event) > last_pieces || f->piece_lines > lines / 8))
		f->piece_lines /= 2;
	if (f->piece_lines > f->block_lines) f->piece_lines = f->block_lines;
	f->open = calloc(plan->subsets, sizeof *f->open);
	f->batch = malloc(BATCH * sizeof *f->batch);
	f->packed = malloc(BATCH * sizeof *f->packed);
	if (!f->open || !f->batch || !f->packed)
		return iso_fail_memory(
		    err, "events", plan->subsets * sizeof *f->open + BATCH * (sizeof *f->batch + sizeof *f->packed));
	return ISO_OK;
}

/* Puts a finished block into the list of its subset, in memory or in the file. Takes over memory, on failure too. */
static iso_status keep_block(filling *f, unsigned subset, iso_kept_block block, iso_error *err)
{
	iso_kept_blocks *blocks = f->reader->blocks;
	if (blocks->count == blocks->room) {
		const size_t room = 2 * blocks->room + 16;
		iso_kept_block *larger = realloc(blocks->block, room * sizeof *larger);
		if (!larger) {
			free(block.memory);
			return iso_fail_memory(err, "events", room * sizeof *larger);
		}
		blocks->block = larger;
		blocks->room = room;
	}
	if (f->used + block.bytes <= f->allowed) {
		f->used += block.bytes;
		/* gives back the room of weights that are not needed; where that fails it stays as it is */
		void *smaller = block.weighted ? NULL : realloc(block.memory, block.bytes);
		if (smaller) block.memory = smaller;
	} else {
		const iso_status status =
		    iso_scratch_write(&blocks->scratch, block.memory, block.bytes, &block.offset, err);
		free(block.memory);
		block.memory = NULL;
		if (status != ISO_OK) return status;
		if (block.bytes > blocks->most_spilled_bytes) blocks->most_spilled_bytes = block.bytes;
	}
	if (block.count > blocks->most_lines) blocks->most_lines = block.count;
	if (block.sheaves > blocks->most_sheaves) blocks->most_sheaves = block.sheaves;
	block.next = SIZE_MAX;
	const size_t number = blocks->count++;
	blocks->block[number] = block;
	if (blocks->first[subset] == SIZE_MAX)
		blocks->first[subset] = number;
	else
		blocks->block[blocks->last[subset]].next = number;
	blocks->last[subset] = number;
	return ISO_OK;
}

static void free_sorting(filling *f)
{
	iso_pages_free(f->sorted, f->sorting_room * sizeof *f->sorted);
	iso_pages_free(f->scratch, f->sorting_room * sizeof *f->scratch);
}

/* All events of an open block, in the order in which they came, into f->sorted; the pieces are freed. */
static iso_status gather(filling *f, open_block *open, size_t count, iso_error *err)
{
	const iso_scratch_file *scratch = &f->reader->blocks->scratch;
	if (count > f->sorting_room) {
		free_sorting(f);
		f->sorted = iso_pages_create(count * sizeof *f->sorted);
		f->scratch = iso_pages_create(count * sizeof *f->scratch);
		f->sorting_room = count;
		if (!f->sorted || !f->scratch) return iso_fail_memory(err, "events", 2 * count * sizeof *f->sorted);
	}
	iso_packed_event *to = f->sorted;
	for (size_t p = 0; p < open->pieces; p++) {
		piece *from = open->piece + p;
		const size_t lines = p + 1 < open->pieces ? f->piece_lines : count - p * f->piece_lines;
		const size_t bytes = f->piece_lines * sizeof *to;
		if (from->memory) {
			memcpy(to, from->memory, lines * sizeof *to);
			iso_pages_free(from->memory, bytes);
			from->memory = NULL;
			f->used -= bytes;
		} else {
			const iso_status status = iso_scratch_read(scratch, to, lines * sizeof *to, from->offset, err);
			if (status != ISO_OK) return status;
			iso_scratch_forget(scratch, from->offset, bytes);
		}
		to += lines;
	}
	open->pieces = 0;
	open->at = open->end = NULL;
	return ISO_OK;
}

static bool all_count(const float *factors, size_t count)
{
	for (size_t n = 0; n < count; n++)
		if (!(factors[n] > 0)) return false;
	return true;
}

/* Sorts and weighs what is in an open block, and empties it. */
static iso_status finish_block(filling *f, unsigned subset, iso_error *err)
{
	const iso_event_store_plan *plan = f->plan;
	const bool tof = iso_events_scanner(plan->events)->tof.bins > 0;
	open_block *open = f->open + subset;
	const size_t count = open->pieces * f->piece_lines - (size_t)(open->end - open->at);
	iso_status status = gather(f, open, count, err);
	if (status != ISO_OK) return status;
	iso_sort_packed(plan->columns, iso_store_parts(plan), f->sorted, f->scratch, count);
	const size_t sheaves = iso_packed_sheaves(f->sorted, count);
	iso_kept_block block = {.count = count, .sheaves = sheaves, .weighted = true};
	block.bytes = iso_line_arrays_bytes(count, sheaves, tof, true);
	block.memory = malloc(block.bytes);
	if (!block.memory) return iso_fail_memory(err, "events", block.bytes);
	const iso_line_arrays arrays = iso_line_arrays_in(block.memory, count, sheaves, tof);
	iso_line_arrays_unpack(&arrays, plan->columns, f->sorted, count);
	const iso_line_block view = iso_line_arrays_view(&arrays, plan->columns, count, sheaves);
	status = plan->factors(plan->user, &view, arrays.weight, err);
	if (status != ISO_OK) {
		free(block.memory);
		return status;
	}
	if (!plan->background && all_count(arrays.weight, count)) {
		block.weighted = false;
		block.bytes = iso_line_arrays_bytes(count, sheaves, tof, false);
	}
	return keep_block(f, subset, block, err);
}

/* Room for the next event of a subset. */
static iso_status make_room(filling *f, unsigned subset, iso_error *err)
{
	open_block *open = f->open + subset;
	iso_packed_event *memory = NULL;
	const size_t bytes = f->piece_lines * sizeof *memory;
	if (open->pieces * f->piece_lines == f->block_lines) {
		const iso_status status = finish_block(f, subset, err);
		if (status != ISO_OK) return status;
	} else if (open->pieces && f->used > f->allowed) {
		piece *last = open->piece + open->pieces - 1;
		const iso_status status = iso_scratch_write(&f->reader->blocks->scratch, last->memory,
							    f->piece_lines * sizeof *last->memory, &last->offset, err);
		if (status != ISO_OK) return status;
		memory = last->memory;
		last->memory = NULL;
	}
	if (open->pieces == open->room) {
		const size_t room = 2 * open->room + 4;
		piece *larger = realloc(open->piece, room * sizeof *larger);
		if (!larger) {
			iso_pages_free(memory, bytes);
			return iso_fail_memory(err, "events", room * sizeof *larger);
		}
		open->piece = larger;
		open->room = room;
	}
	if (!memory) {
		memory = iso_pages_create(bytes);
		if (!memory) return iso_fail_memory(err, "events", bytes);
		f->used += bytes;
	}
	open->piece[open->pieces++] = (piece){.memory = memory};
	open->at = memory;
	open->end = memory + f->piece_lines;
	return ISO_OK;
}

/* Takes one batch's events of the frame: `begin` of them lie before it, those from `end` on behind it. */
static iso_status take(filling *f, size_t begin, size_t end, iso_error *err)
{
	iso_event_reader *reader = f->reader;
	const uint32_t elements = f->plan->columns->elements, parts = iso_store_parts(f->plan);
	iso_pack_events(f->plan->columns, f->batch + begin, end - begin, f->packed + begin);
	for (size_t n = begin; n < end; n++) {
		const iso_event *event = f->batch + n;
		if (event->kind == ISO_EVENT_DELAYED) {
			if (reader->fan_sums) {
				uint64_t *sums = reader->fan_sums + (size_t)f->part * elements;
				sums[event->element[0]]++;
				sums[event->element[1]]++;
			}
			if (++f->part == parts) f->part = 0;
			reader->counts.delayeds++;
			continue;
		}
		open_block *open = f->open + f->subset;
		if (open->at == open->end) {
			const iso_status status = make_room(f, f->subset, err);
			if (status != ISO_OK) return status;
		}
		*open->at = f->packed[n];
		open->at++->group = (uint16_t)open->turn;
		if (++open->turn == parts) open->turn = 0;
		if (++f->subset == f->plan->subsets) f->subset = 0;
		reader->counts.prompts++;
	}
	return ISO_OK;
}

static iso_status check_elements(const filling *f, size_t begin, size_t end, uint64_t number, iso_error *err)
{
	const uint32_t elements = f->plan->columns->elements;
	for (size_t n = begin; n < end; n++)
		if (f->batch[n].element[0] >= elements || f->batch[n].element[1] >= elements)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "convert the scanner's export again",
					"event %llu names elements %u and %u of a scanner of %u",
					(unsigned long long)(number + n), f->batch[n].element[0],
					f->batch[n].element[1], elements);
	return ISO_OK;
}

/* Of the events from begin on keeps those of the gate, next to each other; their new end. at: the gate's part that comes next. */
static size_t keep_gate(filling *f, size_t begin, size_t end, size_t *at)
{
	const iso_span gate = f->reader->frame.gate;
	size_t kept = begin;
	for (size_t n = begin; n < end; n++) {
		/* events of a whole ms lie in it: half of it is far from both ends */
		const double time_s = ((double)f->batch[n].time_ms + 0.5) / 1000;
		while (*at < gate.parts && iso_part_end_s(gate.part + *at) <= time_s) ++*at;
		if (*at < gate.parts && gate.part[*at].start_s <= time_s) f->batch[kept++] = f->batch[n];
	}
	return kept;
}

static iso_status read_events(filling *f, iso_error *err)
{
	iso_event_reader *reader = f->reader;
	const iso_selected_frame *frame = &reader->frame;
	uint64_t number = frame->first;
	size_t at = 0;
	iso_status status = iso_events_seek(f->plan->events, number, err);
	while (status == ISO_OK) {
		size_t count, begin = 0, end;
		if (atomic_load(&reader->stop))
			return iso_fail(err, ISO_CANCELLED, NULL, "", "reading of the events was stopped");
		status = iso_events_read(f->plan->events, f->batch, BATCH, &count, err);
		if (status != ISO_OK || count == 0) break;
		while (begin < count && f->batch[begin].time_ms < frame->start_ms) begin++;
		for (end = begin; end < count && f->batch[end].time_ms < frame->end_ms;) end++;
		status = check_elements(f, begin, end, number, err);
		if (status == ISO_OK)
			status = take(f, begin, frame->gate.parts ? keep_gate(f, begin, end, &at) : end, err);
		number += end;
		atomic_store(&reader->number, number);
		if (end < count) break;
	}
	reader->counts.end = number;
	return status;
}

iso_status iso_event_reader_run(iso_event_reader *reader, iso_error *err)
{
	filling f = {.reader = reader, .plan = reader->plan};
	reader->counts = (iso_selection_counts){0};
	iso_status status = prepare(&f, err);
	if (status == ISO_OK) status = read_events(&f, err);
	for (unsigned k = 0; k < f.plan->subsets && status == ISO_OK; k++) {
		if (atomic_load(&reader->stop))
			status = iso_fail(err, ISO_CANCELLED, NULL, "", "reading of the events was stopped");
		else if (f.open[k].pieces)
			status = finish_block(&f, k, err);
	}
	for (unsigned k = 0; k < f.plan->subsets && f.open; k++) {
		for (size_t p = 0; p < f.open[k].pieces; p++)
			iso_pages_free(f.open[k].piece[p].memory, f.piece_lines * sizeof(iso_packed_event));
		free(f.open[k].piece);
	}
	free(f.open);
	free(f.batch);
	free(f.packed);
	free_sorting(&f);
	return status;
}
