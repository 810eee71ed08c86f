/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The store of a frame's events: which event is where, in memory and in the scratch file, and what happens when reading, a callback or the
 * disk fails. All comparisons are exact. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/error.h"
#include "recon/event_store.h"
#include "tests/recon/fixtures.h"

enum { SUBSETS = 3, REPLICATES = 4, BLOCK = 256, PROMPTS = 10000, DELAYEDS = 2500, EVENTS = PROMPTS + DELAYEDS };

/* Prompt n is the pair of elements n / 200 and 200 + n mod 200, so that it is known again wherever it turns up. Every fifth event is a
 * delayed. An event a ms. */
typedef struct source {
	iso_scanner *scanner;
	iso_columns *columns;
	iso_event events[EVENTS];
	iso_events *stream;
	/* for a stream that fails */
	size_t next, fail_at;
	bool fail_seek, slow;
	atomic_int reads;
} source;

static iso_status source_read(void *self, iso_event *buffer, size_t capacity, size_t *count, iso_error *err)
{
	source *s = self;
	s->reads++;
	if (s->slow) {
		usleep(20000);
		*buffer = s->events[0];
		*count = 1;
		return ISO_OK;
	}
	*count = EVENTS - s->next < 1000 ? EVENTS - s->next : 1000;
	if (*count > capacity) *count = capacity;
	if (s->next >= s->fail_at) return iso_fail(err, ISO_IO, "list.lm.h5", "mount it again", "the disk is gone");
	memcpy(buffer, s->events + s->next, *count * sizeof *buffer);
	s->next += *count;
	return ISO_OK;
}

static iso_status source_seek(void *self, uint64_t first, iso_error *err)
{
	source *s = self;
	if (s->fail_seek) return iso_fail(err, ISO_IO, "list.lm.h5", "mount it again", "cannot seek");
	s->next = (size_t)first;
	return ISO_OK;
}

static uint64_t source_total(void *self)
{
	(void)self;
	return UINT64_MAX; /* not known before the end */
}

static void source_counts(void *self, iso_event_counts *counts)
{
	(void)self;
	(void)counts;
}

static void source_close(void *self)
{
	(void)self;
}

static const iso_events_methods source_methods = {source_read, source_seek, source_total, source_counts, source_close};

static source *source_open(void)
{
	source *s = calloc(1, sizeof *s);
	s->scanner = small_scanner(10, 40);
	s->scanner->tof = (iso_tof){.fwhm_ps = 400, .bin_ps = 50, .bins = 21};
	s->fail_at = SIZE_MAX;
	uint32_t prompts = 0, delayeds = 0;
	for (uint32_t n = 0; n < EVENTS; n++) {
		s->events[n].time_ms = n;
		if (n % 5 == 4) {
			s->events[n].kind = ISO_EVENT_DELAYED;
			s->events[n].element[0] = delayeds % 400;
			s->events[n].element[1] = 399 - delayeds++ / 400;
			continue;
		}
		/* every other one the other way round */
		s->events[n].element[prompts % 2] = prompts / 200;
		s->events[n].element[!(prompts % 2)] = 200 + prompts % 200;
		s->events[n].tof_bin = (int16_t)(prompts % 21) - 10;
		prompts++;
	}
	iso_error err;
	iso_scanner *copy;
	const iso_acquisition facts = iso_acquisition_unknown();
	ISO_ASSERT_OK(iso_columns_create(s->scanner, &s->columns, &err), err);
	ISO_ASSERT_OK(iso_scanner_copy(s->scanner, &copy, &err), err);
	ISO_ASSERT_OK(iso_events_open(&source_methods, s, copy, &facts, &s->stream, &err), err);
	return s;
}

static void source_free(source *s)
{
	iso_events_close(s->stream);
	iso_columns_free(s->columns);
	iso_scanner_free(s->scanner);
	free(s);
}

static float factor_of(const iso_event *e)
{
	return (float)((e->element[0] * 31 + e->element[1] * 17) % 11); /* 0 for some */
}

static iso_status weigh(void *user, const iso_line_block *block, float *values, iso_error *err)
{
	if (user && ++*(int *)user > 5) return iso_fail(err, ISO_BAD_INPUT, NULL, "none", "no more factors");
	for (size_t n = 0; n < block->count; n++) {
		iso_event e;
		iso_line_block_events(block, n, 1, &e);
		values[n] = factor_of(&e);
	}
	return ISO_OK;
}

static iso_status weigh_one(void *user, const iso_line_block *block, float *values, iso_error *err)
{
	(void)user;
	(void)err;
	for (size_t n = 0; n < block->count; n++) values[n] = 1;
	return ISO_OK;
}

static iso_status add(void *user, const iso_line_block *block, const float *m, float *additive, iso_error *err)
{
	(void)user;
	(void)err;
	for (size_t n = 0; n < block->count; n++) additive[n] = m ? 100 + m[n] : 1;
	return ISO_OK;
}

static iso_event_store_plan plan_of(const source *s)
{
	return (iso_event_store_plan){.events = s->stream,
				      .columns = s->columns,
				      .subsets = SUBSETS,
				      .replicates = REPLICATES,
				      .fan_sums = true,
				      .background = true,
				      .max_bytes = 1 << 28,
				      .scratch_folder = iso_test_folder(),
				      .factors = weigh,
				      .additive = add,
				      .label = "",
				      .block_lines = BLOCK};
}

static const iso_selected_frame whole = {.start_ms = -(double)INFINITY, .end_ms = (double)INFINITY};

static iso_event_store *fill(const iso_event_store_plan *plan, const iso_selected_frame *frame)
{
	iso_event_store *store = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_event_store_create(plan, &store, &err), err);
	iso_event_store_begin(store, frame);
	ISO_ASSERT_OK(iso_event_store_finish(store, &err), err);
	return store;
}

/* Which prompt a line was: of its elements one is below 200, the other is not. */
static size_t prompt_of(const iso_event *e)
{
	const uint32_t low = e->element[0] < e->element[1] ? e->element[0] : e->element[1],
		       high = e->element[0] + e->element[1] - low;
	return low * 200 + high - 200;
}

/* One pass: marks[n] counts how often prompt n was seen. first: number of the frame's first prompt. */
static void pass(iso_event_store *store, unsigned subset, uint64_t replicate, size_t first, unsigned char *marks)
{
	iso_error err;
	iso_event_store_select(store, replicate);
	iso_event_store_rewind(store, subset);
	for (size_t number = 0;; number++) {
		const iso_line_block *block;
		const float *additive;
		ISO_ASSERT_OK(iso_event_store_next(store, &block, &additive, &err), err);
		if (!block) break;
		CU_ASSERT_FATAL(block->count > 0 && block->count <= BLOCK);
		CU_ASSERT(iso_event_store_most_lines(store) >= block->count);
		bool good = true;
		for (size_t n = 0; n < block->count; n++) {
			iso_event e;
			iso_line_block_events(block, n, 1, &e);
			const size_t prompt = prompt_of(&e), turn = (prompt - first) / SUBSETS;
			good &= (prompt - first) % SUBSETS == subset && turn / BLOCK == number;
			good &= replicate == ISO_ALL_EVENTS || turn % REPLICATES == replicate;
			good &= block->sheaf[iso_line_block_sheaf_of(block, n)].group == turn % REPLICATES;
			/* weight and TOF bin have come along; turned round, the bin has its other sign */
			const int bin = (int)(prompt % 21) - 10;
			const bool same = (prompt % 2 == 0) == (e.element[0] < 200);
			good &= additive[n] == 100 + factor_of(&e) && e.tof_bin == (same ? bin : -bin);
			marks[prompt]++;
		}
		CU_ASSERT_FATAL(good);
	}
}

/* Every prompt is in one subset and one replicate; a subset of all events is the union of the replicates'. In memory, and in the file. */
static void test_partition(void)
{
	source *s = source_open();
	iso_event_store_plan plan = plan_of(s);
	for (plan.max_bytes = 1; plan.max_bytes < 1 << 30; plan.max_bytes *= 1 << 28) {
		iso_event_store *store = fill(&plan, &whole);
		unsigned char marks[PROMPTS] = {0};
		for (unsigned k = 0; k < SUBSETS; k++) pass(store, k, ISO_ALL_EVENTS, 0, marks);
		for (uint64_t r = 0; r < REPLICATES; r++)
			for (unsigned k = 0; k < SUBSETS; k++) pass(store, k, r, 0, marks);
		bool good = true;
		for (size_t n = 0; n < PROMPTS; n++) good &= marks[n] == 2;
		CU_ASSERT(good);
		iso_event_store_free(store);
	}
	source_free(s);
}

/* What replicates and all are said to have is what they have, for several lengths of the frame; delayeds take turns too. */
static void test_counts_and_fan_sums(void)
{
	source *s = source_open();
	const iso_event_store_plan plan = plan_of(s);
	iso_event_store *store = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_event_store_create(&plan, &store, &err), err);
	for (unsigned end = 0; end < 200; end += 17) {
		/* the frame begins within the events that are read */
		const iso_selected_frame frame = {.first = 5, .start_ms = 10, .end_ms = 10 + end};
		iso_event_store_begin(store, &frame);
		ISO_ASSERT_OK(iso_event_store_finish(store, &err), err);
		uint64_t prompts[REPLICATES] = {0}, delayeds[REPLICATES] = {0}, sums[REPLICATES][400] = {{0}}, p = 0,
			 d = 0;
		for (unsigned n = 10; n < 10 + end; n++) {
			if (n % 5 != 4) {
				prompts[p++ / SUBSETS % REPLICATES]++;
				continue;
			}
			for (int e = 0; e < 2; e++) sums[d % REPLICATES][s->events[n].element[e]]++;
			delayeds[d++ % REPLICATES]++;
		}
		iso_event_store_select(store, ISO_ALL_EVENTS);
		const iso_selection_counts all = iso_event_store_counts(store);
		CU_ASSERT(all.prompts == p && all.delayeds == d && all.end == 10 + end);
		uint64_t got[400], total[400] = {0};
		for (uint64_t r = 0; r < REPLICATES; r++) {
			iso_event_store_select(store, r);
			const iso_selection_counts counts = iso_event_store_counts(store);
			CU_ASSERT(counts.prompts == prompts[r] && counts.delayeds == delayeds[r]);
			iso_event_store_fan_sums(store, got);
			CU_ASSERT(memcmp(got, sums[r], sizeof got) == 0);
			for (size_t e = 0; e < 400; e++) total[e] += got[e];
		}
		iso_event_store_select(store, ISO_ALL_EVENTS);
		iso_event_store_fan_sums(store, got);
		CU_ASSERT(memcmp(got, total, sizeof got) == 0);
	}
	iso_event_store_free(store);
	source_free(s);
}

/* All that passes see, in one piece of memory that can be compared. */
static size_t record(iso_event_store *store, unsigned char **out)
{
	size_t have = 0, room = 1 << 20;
	*out = malloc(room);
	iso_error err;
	for (uint64_t r = 0; r <= REPLICATES; r++)
		for (unsigned k = 0; k < SUBSETS; k++) {
			iso_event_store_select(store, r < REPLICATES ? r : ISO_ALL_EVENTS);
			iso_event_store_rewind(store, k);
			for (;;) {
				const iso_line_block *b;
				const float *additive;
				ISO_ASSERT_OK(iso_event_store_next(store, &b, &additive, &err), err);
				if (!b) break;
				const void *part[4] = {b->sheaf, b->row, b->tof_bin, additive};
				const size_t bytes[4] = {(b->sheaves + 1) * sizeof *b->sheaf, b->count * sizeof *b->row,
							 b->count * sizeof *b->tof_bin, b->count * sizeof *additive};
				for (int n = 0; n < 4; n++) {
					if (have + bytes[n] > room) *out = realloc(*out, room *= 2);
					memcpy(*out + have, part[n], bytes[n]);
					have += bytes[n];
				}
			}
		}
	return have;
}

/* Blocks are the same bit for bit whatever memory there is: none, some (a part of the blocks is in the file), plenty. Without a background and
 * with nothing but factors > 0 no weights are kept. */
static void test_same_from_the_file(void)
{
	source *s = source_open();
	iso_event_store_plan plan = plan_of(s);
	iso_event_store *store = fill(&plan, &whole);
	const char *folder;
	CU_ASSERT_EQUAL(iso_event_store_spilled_bytes(store, &folder), 0);
	CU_ASSERT_STRING_EQUAL(folder, iso_test_folder());
	unsigned char *want, *got;
	const size_t size = record(store, &want);
	CU_ASSERT(size > 2 * PROMPTS * 10);
	iso_event_store_free(store);
	uint64_t most = 0, between = 0;
	for (plan.max_bytes = 1; plan.max_bytes < 1 << 21; plan.max_bytes += plan.max_bytes / 5 + 1) {
		store = fill(&plan, &whole);
		const uint64_t spilled = iso_event_store_spilled_bytes(store, NULL);
		if (plan.max_bytes == 1) most = spilled;
		between += spilled > 0 && spilled < most;
		const size_t bytes = record(store, &got);
		CU_ASSERT_FATAL(bytes == size && memcmp(got, want, size) == 0);
		/* a pass that is broken off while the next block is on its way */
		const iso_line_block *block;
		const float *additive;
		iso_error err;
		iso_event_store_rewind(store, 0);
		ISO_ASSERT_OK(iso_event_store_next(store, &block, &additive, &err), err);
		iso_event_store_rewind(store, 1);
		free(got);
		iso_event_store_free(store);
	}
	CU_ASSERT(most > PROMPTS * 10 && between > 3);
	free(want);
	plan.background = false;
	plan.factors = weigh_one;
	plan.max_bytes = 1;
	store = fill(&plan, &whole);
	/* a weight each, and up to 2 bytes before a block's weights that bring them to a multiple of 4 */
	const uint64_t saved = most - iso_event_store_spilled_bytes(store, NULL);
	CU_ASSERT(saved >= PROMPTS * sizeof(float));
	CU_ASSERT(saved <= PROMPTS * sizeof(float) + 2 * (PROMPTS / BLOCK + SUBSETS));
	iso_event_store_rewind(store, 0);
	const iso_line_block *block;
	const float *additive;
	CU_ASSERT(iso_event_store_next(store, &block, &additive, NULL) == ISO_OK && block && additive[0] == 1);
	iso_event_store_free(store);
	source_free(s);
}

static void expect(const iso_event_store_plan *plan, iso_status status, const char *word)
{
	iso_event_store *store = NULL;
	iso_error err = {0};
	ISO_ASSERT_OK(iso_event_store_create(plan, &store, &err), err);
	iso_event_store_begin(store, &whole);
	const iso_status got = iso_event_store_finish(store, &err);
	char text[1600];
	CU_ASSERT_EQUAL(got, status);
	if (!strstr(iso_error_text(&err, text, sizeof text), word)) {
		printf("# wanted '%s' in '%s'\n", word, text);
		CU_FAIL("another error");
	}
	iso_event_store_free(store);
}

/* A stream that fails at its beginning, in the middle or at a seek, an event that is wrong, factors that fail: the error comes out as it
 * was. */
static void test_failing_reads(void)
{
	source *s = source_open();
	iso_event_store_plan plan = plan_of(s);
	for (s->fail_at = 0; s->fail_at < EVENTS; s->fail_at += 4000) expect(&plan, ISO_IO, "the disk is gone");
	s->fail_at = SIZE_MAX;
	s->fail_seek = true;
	expect(&plan, ISO_IO, "cannot seek");
	s->fail_seek = false;
	int calls = 0;
	plan.user = &calls;
	expect(&plan, ISO_BAD_INPUT, "no more factors");
	plan.user = NULL;
	s->events[7777].element[1] = 400;
	expect(&plan, ISO_BAD_INPUT, "event 7777 names elements");
	iso_event_store *store;
	plan.replicates = 65536;
	CU_ASSERT_EQUAL(iso_event_store_create(&plan, &store, NULL), ISO_BAD_USAGE);
	source_free(s);
}

static int stop_at_once(void *user, const char *stage, double done)
{
	CU_ASSERT_STRING_EQUAL(stage, "frame 1, reading events");
	CU_ASSERT(done >= 0 && done <= 1);
	return ++*(int *)user >= 2;
}

/* A stream without an end: the caller's wish to stop ends it, and so does freeing the store without waiting. */
static void test_stopping(void)
{
	source *s = source_open();
	int calls = 0;
	const iso_progress progress = {.report = stop_at_once, .user = &calls};
	iso_event_store_plan plan = plan_of(s);
	plan.label = "frame 1, ";
	plan.progress = &progress;
	s->slow = true;
	expect(&plan, ISO_CANCELLED, "cancelled");
	CU_ASSERT_EQUAL(calls, 2);
	const int reads = s->reads;
	CU_ASSERT(reads > 0);
	usleep(100000);
	CU_ASSERT_EQUAL(s->reads, reads);
	iso_event_store *store = NULL;
	CU_ASSERT_FATAL(iso_event_store_create(&plan, &store, NULL) == ISO_OK);
	CU_ASSERT_EQUAL(iso_event_store_finish(store, NULL), ISO_BAD_USAGE);
	iso_event_store_begin(store, &whole);
	iso_event_store_free(store);
	source_free(s);
}

/* A folder that is not there, and a file that may not become as long as it would have to (as on a disk that is full in the middle): the
 * error names the folder and says what helps. With enough memory neither matters. */
static void test_full_disk(void)
{
	source *s = source_open();
	iso_event_store_plan plan = plan_of(s);
	struct rlimit before;
	CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &before) == 0);
	signal(SIGXFSZ, SIG_IGN);
	plan.scratch_folder = iso_test_path("absent");
	expect(&plan, ISO_OK, "");
	plan.max_bytes = 1;
	expect(&plan, ISO_IO, "absent");
	plan.scratch_folder = iso_test_folder();
	for (rlim_t limit = 0; limit < 200000; limit += 33333) {
		const struct rlimit tight = {limit, before.rlim_max};
		CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &tight) == 0);
		iso_event_store *store = NULL;
		iso_error err = {0};
		CU_ASSERT_FATAL(iso_event_store_create(&plan, &store, &err) == ISO_OK);
		iso_event_store_begin(store, &whole);
		const iso_status status = iso_event_store_finish(store, &err);
		setrlimit(RLIMIT_FSIZE, &before);
		/* 10,000 events of 14 bytes and their sheaves, after their unsorted pieces: more than the limit */
		CU_ASSERT_EQUAL(status, ISO_IO);
		CU_ASSERT_STRING_EQUAL(err.file, iso_test_folder());
		CU_ASSERT(strstr(err.message, "File too large") != NULL);
		CU_ASSERT(strstr(err.remedy, "--max-memory") && strstr(err.remedy, "--scratch"));
		iso_event_store_free(store);
	}
	source_free(s);
}

static const iso_test tests[] = {
    {"subsets and replicates partition the events", test_partition},
    {"counts and fan sums", test_counts_and_fan_sums},
    {"the same blocks from memory and from the file", test_same_from_the_file},
    {"failing reads", test_failing_reads},
    {"stopping", test_stopping},
    {"a full disk", test_full_disk},
};

ISO_TEST_MAIN("event-store", tests)
