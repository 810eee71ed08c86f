/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/event_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/error.h"
#include "recon/event_reader.h"

/* Reads a block back from the file while another one is projected. */
typedef struct prefetch {
	const iso_kept_blocks *blocks;
	size_t number; /* of the block; SIZE_MAX: nothing is being read */
	void *to;
	bool threaded; /* false: not even begun, the system had no thread to give */
	pthread_t thread;
	iso_status status;
	iso_error err;
} prefetch;

struct iso_event_store {
	iso_event_store_plan plan;
	bool tof;
	iso_kept_blocks blocks;
	iso_event_reader reader;
	bool reading, threaded; /* begun and not yet finished; in a thread */
	bool read;              /* the thread is done; under the lock */
	pthread_mutex_t lock;
	pthread_cond_t done;
	pthread_t thread;
	uint64_t total; /* events of the stream, UINT64_MAX: not known */
	iso_status read_status;
	iso_error read_err;
	/* passes */
	uint64_t replicate;
	size_t next;      /* number of the next block, or SIZE_MAX */
	void *buffer[2];  /* for blocks from the file: one in use, one being filled */
	unsigned filling; /* which of them is next to be filled */
	prefetch prefetch;
	float *additive; /* [most_lines] */
	void *replicate_memory;
	iso_line_block view;
	const float *factors; /* of the view; NULL: none */
};

iso_status iso_event_store_create(const iso_event_store_plan *plan, iso_event_store **out, iso_error *err)
{
	*out = NULL;
	if (plan->replicates > ISO_STORE_MOST_REPLICATES)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "ask for fewer", "%zu replicates, at most %d can be made",
				plan->replicates, ISO_STORE_MOST_REPLICATES);
	iso_event_store *s = calloc(1, sizeof *s);
	if (!s) return iso_fail_memory(err, "events", sizeof *s);
	s->plan = *plan;
	s->tof = iso_events_scanner(plan->events)->tof.bins > 0;
	s->replicate = ISO_ALL_EVENTS;
	s->prefetch.number = SIZE_MAX;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->done, NULL);
	const size_t subsets = plan->subsets, parts = iso_store_parts(plan), elements = plan->columns->elements;
	iso_status status = iso_scratch_begin(&s->blocks.scratch, plan->scratch_folder, err);
	s->blocks.first = malloc(subsets * sizeof *s->blocks.first);
	s->blocks.last = malloc(subsets * sizeof *s->blocks.last);
	if (plan->fan_sums) s->reader.fan_sums = malloc(parts * elements * sizeof *s->reader.fan_sums);
	if (status == ISO_OK && (!s->blocks.first || !s->blocks.last || (plan->fan_sums && !s->reader.fan_sums)))
		status = iso_fail_memory(err, "events", 2 * subsets * sizeof(size_t) + parts * elements * 8);
	if (status != ISO_OK) {
		iso_event_store_free(s);
		return status;
	}
	s->reader.plan = &s->plan;
	s->reader.blocks = &s->blocks;
	*out = s;
	return ISO_OK;
}

static void *prefetch_run(void *argument)
{
	prefetch *p = argument;
	const iso_kept_block *block = p->blocks->block + p->number;
	p->status = iso_scratch_read(&p->blocks->scratch, p->to, block->bytes, block->offset, &p->err);
	return NULL;
}

/* Waits until the block is in prefetch.to, or reads it now. */
static iso_status prefetch_take(prefetch *p, iso_error *err)
{
	if (p->threaded)
		pthread_join(p->thread, NULL);
	else
		prefetch_run(p);
	p->threaded = false;
	p->number = SIZE_MAX;
	if (p->status != ISO_OK && err) *err = p->err;
	return p->status;
}

/* Of a pass that was broken off: whether it failed is nobody's business any more. */
static void prefetch_drop(prefetch *p)
{
	if (p->threaded) pthread_join(p->thread, NULL);
	p->threaded = false;
	p->number = SIZE_MAX;
}

/* Of the first block in the file from `number` on. */
static void prefetch_begin(iso_event_store *s, size_t number)
{
	while (number != SIZE_MAX && s->blocks.block[number].memory) number = s->blocks.block[number].next;
	prefetch *p = &s->prefetch;
	*p = (prefetch){.blocks = &s->blocks, .number = number, .to = s->buffer[s->filling]};
	if (number == SIZE_MAX) return;
	s->filling = !s->filling;
	p->threaded = pthread_create(&p->thread, NULL, prefetch_run, p) == 0;
}

/* Ends reading, or what is left of it. */
static void stop_reading(iso_event_store *s)
{
	if (!s->reading) return;
	atomic_store(&s->reader.stop, true);
	if (s->threaded) pthread_join(s->thread, NULL);
	s->reading = s->threaded = false;
}

static void forget_blocks(iso_event_store *s)
{
	stop_reading(s);
	prefetch_drop(&s->prefetch);
	iso_kept_blocks *b = &s->blocks;
	for (size_t n = 0; n < b->count; n++) free(b->block[n].memory);
	iso_scratch_end(&b->scratch);
	b->count = b->most_lines = b->most_sheaves = b->most_spilled_bytes = 0;
	for (int n = 0; n < 2; n++) {
		free(s->buffer[n]);
		s->buffer[n] = NULL;
	}
	free(s->additive);
	free(s->replicate_memory);
	s->additive = s->replicate_memory = NULL;
	s->next = SIZE_MAX;
}

static void *read_run(void *argument)
{
	iso_event_store *s = argument;
	s->read_status = iso_event_reader_run(&s->reader, &s->read_err);
	pthread_mutex_lock(&s->lock);
	s->read = true;
	pthread_cond_signal(&s->done);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void iso_event_store_begin(iso_event_store *s, const iso_selected_frame *frame)
{
	forget_blocks(s);
	for (unsigned k = 0; k < s->plan.subsets; k++) s->blocks.first[k] = s->blocks.last[k] = SIZE_MAX;
	if (s->reader.fan_sums)
		memset(s->reader.fan_sums, 0,
		       iso_store_parts(&s->plan) * (size_t)s->plan.columns->elements * sizeof *s->reader.fan_sums);
	s->reader.frame = *frame;
	s->total = iso_events_total(s->plan.events); /* asked here: the stream is the thread's from now on */
	s->read = false;
	atomic_store(&s->reader.stop, false);
	atomic_store(&s->reader.number, frame->first);
	s->reading = true;
	s->threaded = pthread_create(&s->thread, NULL, read_run, s) == 0;
}

/* What passes need, known when all blocks are. */
static iso_status make_room_for_passes(iso_event_store *s, iso_error *err)
{
	const iso_kept_blocks *b = &s->blocks;
	s->additive = malloc((b->most_lines + 1) * sizeof *s->additive);
	size_t bytes = 0;
	if (s->plan.replicates) {
		/* a replicate's lines of a block: they take turns within a subset */
		const size_t lines = b->most_lines / iso_store_parts(&s->plan) + 1;
		bytes = iso_line_arrays_bytes(lines, b->most_sheaves < lines ? b->most_sheaves : lines, s->tof, true);
		s->replicate_memory = malloc(bytes);
	}
	for (int n = 0; n < 2 && b->most_spilled_bytes; n++) {
		s->buffer[n] = malloc(b->most_spilled_bytes);
		bytes += b->most_spilled_bytes;
	}
	if (!s->additive || (s->plan.replicates && !s->replicate_memory) ||
	    (b->most_spilled_bytes && (!s->buffer[0] || !s->buffer[1])))
		return iso_fail_memory(err, "events", b->most_lines * sizeof *s->additive + bytes);
	return ISO_OK;
}

/* Waits for the reading thread to be done, a tenth of a second at most. */
static bool wait_a_while(iso_event_store *s)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 100000000;
	if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
	pthread_mutex_lock(&s->lock);
	for (int failed = 0; !s->read && !failed;) failed = pthread_cond_timedwait(&s->done, &s->lock, &until);
	const bool read = s->read;
	pthread_mutex_unlock(&s->lock);
	return read;
}

static iso_status wait_for_reader(iso_event_store *s, iso_error *err)
{
	const iso_progress *progress = s->plan.progress;
	char stage[160];
	snprintf(stage, sizeof stage, "%sreading events", s->plan.label ? s->plan.label : "");
	while (!wait_a_while(s)) {
		if (!progress || !progress->report) continue;
		const double done = s->total == UINT64_MAX || s->total == 0
					? 0
					: (double)atomic_load(&s->reader.number) / (double)s->total;
		if (progress->report(progress->user, stage, done < 1 ? done : 1) == 0) continue;
		stop_reading(s);
		return iso_fail(err, ISO_CANCELLED, NULL, "", "reconstruction cancelled");
	}
	pthread_join(s->thread, NULL);
	s->threaded = false;
	return ISO_OK;
}

iso_status iso_event_store_finish(iso_event_store *s, iso_error *err)
{
	if (!s->reading)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "call iso_event_store_begin first",
				"no events are being read");
	if (s->threaded) {
		const iso_status status = wait_for_reader(s, err);
		if (status != ISO_OK) return status;
	} else
		(void)read_run(s);
	s->reading = false;
	if (s->read_status != ISO_OK) {
		if (err) *err = s->read_err;
		return s->read_status;
	}
	return make_room_for_passes(s, err);
}

void iso_event_store_select(iso_event_store *s, uint64_t replicate)
{
	s->replicate = replicate;
	s->next = SIZE_MAX;
}

/* Of `count` things of which `run` in a row go to each of `parts` in turn: how many the part has. */
static uint64_t share(uint64_t count, uint64_t run, uint64_t parts, uint64_t part)
{
	const uint64_t rounds = count / (run * parts), rest = count % (run * parts), before = run * part;
	return rounds * run + (rest > before ? (rest - before < run ? rest - before : run) : 0);
}

iso_selection_counts iso_event_store_counts(const iso_event_store *s)
{
	iso_selection_counts counts = s->reader.counts;
	if (s->replicate == ISO_ALL_EVENTS) return counts;
	const uint64_t parts = iso_store_parts(&s->plan);
	counts.prompts = share(counts.prompts, s->plan.subsets, parts, s->replicate);
	counts.delayeds = share(counts.delayeds, 1, parts, s->replicate);
	return counts;
}

void iso_event_store_fan_sums(const iso_event_store *s, uint64_t *fan_sums)
{
	const size_t elements = s->plan.columns->elements;
	for (size_t e = 0; e < elements; e++) fan_sums[e] = 0;
	for (uint64_t part = 0; part < iso_store_parts(&s->plan) && s->reader.fan_sums; part++)
		if (s->replicate == ISO_ALL_EVENTS || s->replicate == part)
			for (size_t e = 0; e < elements; e++) fan_sums[e] += s->reader.fan_sums[part * elements + e];
}

size_t iso_event_store_most_lines(const iso_event_store *s)
{
	return s->blocks.most_lines;
}

uint64_t iso_event_store_spilled_bytes(const iso_event_store *s, const char **folder)
{
	uint64_t bytes = 0;
	for (size_t n = 0; n < s->blocks.count; n++)
		if (!s->blocks.block[n].memory) bytes += s->blocks.block[n].bytes;
	if (folder) *folder = s->blocks.scratch.folder;
	return bytes;
}

void iso_event_store_rewind(iso_event_store *s, unsigned subset)
{
	prefetch_drop(&s->prefetch);
	s->next = s->blocks.first[subset];
	prefetch_begin(s, s->next);
}

/* Where a block's arrays are, read from the file if need be. */
static iso_status load(iso_event_store *s, size_t number, void **memory, iso_error *err)
{
	const iso_kept_block *block = s->blocks.block + number;
	*memory = block->memory;
	if (block->memory) return ISO_OK;
	/* The prefetch at hand is of the first block in the file from here on: of this one. */
	*memory = s->prefetch.to;
	return prefetch_take(&s->prefetch, err);
}

iso_status iso_event_store_next(iso_event_store *s, const iso_line_block **out, const float **additive, iso_error *err)
{
	*out = NULL;
	while (s->next != SIZE_MAX) {
		const iso_kept_block *block = s->blocks.block + s->next;
		void *memory;
		iso_status status = load(s, s->next, &memory, err);
		if (status != ISO_OK) return status;
		if (!block->memory) prefetch_begin(s, block->next);
		s->next = block->next;
		iso_line_arrays arrays = iso_line_arrays_in(memory, block->count, block->sheaves, s->tof);
		s->view = iso_line_arrays_view(&arrays, s->plan.columns, block->count, block->sheaves);
		if (s->replicate != ISO_ALL_EVENTS) {
			const size_t room = s->blocks.most_lines / iso_store_parts(&s->plan) + 1;
			const iso_line_arrays part =
			    iso_line_arrays_in(s->replicate_memory, room,
					       s->blocks.most_sheaves < room ? s->blocks.most_sheaves : room, s->tof);
			size_t count, sheaves;
			iso_line_block_take_group(&s->view, block->weighted ? arrays.weight : NULL,
						  (uint32_t)s->replicate, &part, &count, &sheaves);
			s->view = iso_line_arrays_view(&part, s->plan.columns, count, sheaves);
			arrays = part;
			if (count == 0) continue;
		}
		s->factors = block->weighted ? arrays.weight : NULL;
		status = s->plan.additive(s->plan.user, &s->view, s->factors, s->additive, err);
		if (status != ISO_OK) return status;
		*out = &s->view;
		*additive = s->additive;
		return ISO_OK;
	}
	return ISO_OK;
}

const float *iso_event_store_factors(const iso_event_store *s)
{
	return s->factors;
}

void iso_event_store_free(iso_event_store *s)
{
	if (!s) return;
	forget_blocks(s);
	free(s->blocks.block);
	free(s->blocks.first);
	free(s->blocks.last);
	free(s->reader.fan_sums);
	pthread_cond_destroy(&s->done);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
