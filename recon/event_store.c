/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/event_store.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "recon/operator.h"

enum { BATCH = 16384 };

/* A pass over the selected events. */
typedef struct pass {
	const iso_selection *selection;
	iso_event *batch;
	size_t have, at;
	uint64_t number;            /* of batch[at] in the stream */
	uint64_t prompts, delayeds; /* in the frame so far, all replicates */
} pass;

static iso_status pass_begin(pass *p, const iso_selection *selection, iso_event *batch, iso_error *err)
{
	*p = (pass){.selection = selection, .batch = batch, .number = selection->first};
	return iso_events_seek(selection->events, selection->first, err);
}

/* The next event of the selection; *event NULL at the end. *turn: its number within frame and replicate, by kind. */
static iso_status pass_next(pass *p, const iso_event **event, uint64_t *turn, iso_error *err)
{
	const iso_selection *s = p->selection;
	const uint32_t elements = iso_events_scanner(s->events)->elements;
	for (*event = NULL;; p->at++, p->number++) {
		if (p->at == p->have) {
			const iso_status status = iso_events_read(s->events, p->batch, BATCH, &p->have, err);
			p->at = 0;
			if (status != ISO_OK || p->have == 0) return status;
		}
		const iso_event *e = p->batch + p->at;
		if (e->time_ms < s->start_ms) continue;
		if (e->time_ms >= s->end_ms) return ISO_OK;
		if (e->element[0] >= elements || e->element[1] >= elements)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "convert the scanner's export again",
					"event %llu names elements %u and %u of a scanner of %u",
					(unsigned long long)p->number, e->element[0], e->element[1], elements);
		uint64_t *counter = e->kind == ISO_EVENT_DELAYED ? &p->delayeds : &p->prompts;
		const uint64_t n = (*counter)++;
		if (n % s->replicates != s->replicate) continue;
		*turn = n / s->replicates;
		*event = e;
		p->at++, p->number++;
		return ISO_OK;
	}
}

iso_status iso_selection_scan(const iso_selection *selection, uint64_t *fan_sums, iso_selection_counts *counts,
			      iso_error *err)
{
	*counts = (iso_selection_counts){0};
	iso_event *batch = malloc(BATCH * sizeof *batch);
	if (!batch) return iso_fail_memory(err, "events", BATCH * sizeof *batch);
	pass p;
	iso_status status = pass_begin(&p, selection, batch, err);
	while (status == ISO_OK) {
		const iso_event *event;
		uint64_t turn;
		status = pass_next(&p, &event, &turn, err);
		if (status != ISO_OK || !event) break;
		if (event->kind != ISO_EVENT_DELAYED) {
			counts->prompts++;
			continue;
		}
		counts->delayeds++;
		if (fan_sums) {
			fan_sums[event->element[0]]++;
			fan_sums[event->element[1]]++;
		}
	}
	counts->end = p.number;
	free(batch);
	return status;
}

struct iso_event_store {
	iso_selection selection;
	uint64_t prompts;
	iso_event_additive *additive;
	void *user;
	unsigned subset;
	uint64_t next; /* number within the subset */
	/* in memory: all events, subset after subset */
	iso_event *events;
	float *terms;
	/* streamed: one block */
	iso_event *block, *batch;
	float *block_terms;
	pass pass;
};

/* Subset k holds the numbers k, k + K, ... below prompts. */
static uint64_t subset_size(const iso_event_store *store, unsigned subset)
{
	return store->prompts > subset ? (store->prompts - subset - 1) / store->selection.subsets + 1 : 0;
}

static uint64_t subset_start(const iso_event_store *store, unsigned subset)
{
	uint64_t start = 0;
	for (unsigned k = 0; k < subset; k++) start += subset_size(store, k);
	return start;
}

static size_t block_size(const iso_event_store *store)
{
	const uint64_t left = subset_size(store, store->subset) - store->next;
	return left < ISO_BLOCK_LINES ? (size_t)left : ISO_BLOCK_LINES;
}

static iso_status fill(iso_event_store *store, iso_error *err)
{
	const unsigned subsets = store->selection.subsets;
	uint64_t *start = malloc(subsets * sizeof *start);
	if (!start) return iso_fail_memory(err, "events", subsets * sizeof *start);
	for (unsigned k = 0; k < subsets; k++) start[k] = k ? start[k - 1] + subset_size(store, k - 1) : 0;
	pass p;
	iso_status status = pass_begin(&p, &store->selection, store->batch, err);
	uint64_t seen = 0;
	while (status == ISO_OK) {
		const iso_event *event;
		uint64_t turn;
		status = pass_next(&p, &event, &turn, err);
		if (status != ISO_OK || !event) break;
		if (event->kind == ISO_EVENT_DELAYED || turn >= store->prompts) continue;
		store->events[start[turn % subsets] + turn / subsets] = *event;
		seen++;
	}
	free(start);
	if (status == ISO_OK && seen != store->prompts)
		status = iso_fail(err, ISO_IO, NULL, "leave the file alone while it is reconstructed",
				  "the list-mode changed between two passes");
	for (unsigned k = 0; k < subsets && status == ISO_OK; k++) {
		const uint64_t first = subset_start(store, k);
		store->subset = k;
		for (store->next = 0; status == ISO_OK && block_size(store) > 0; store->next += block_size(store))
			status = store->additive(store->user, store->events + first + store->next, block_size(store),
						 store->terms + first + store->next, err);
	}
	return status;
}

iso_status iso_event_store_create(const iso_selection *selection, uint64_t prompts, uint64_t max_bytes,
				  iso_event_additive *additive, void *user, iso_event_store **out, iso_error *err)
{
	*out = NULL;
	iso_event_store *store = calloc(1, sizeof *store);
	if (!store) return iso_fail_memory(err, "events", sizeof *store);
	*store = (iso_event_store){.selection = *selection, .prompts = prompts, .additive = additive, .user = user};
	const uint64_t each = sizeof(iso_event) + sizeof(float);
	iso_status status = ISO_OK;
	store->batch = malloc(BATCH * sizeof *store->batch);
	if (prompts <= max_bytes / each && prompts < SIZE_MAX / each) {
		/* Not enough memory after all is no failure: the events can be streamed. */
		store->events = malloc((size_t)(prompts + 1) * sizeof *store->events);
		store->terms = malloc((size_t)(prompts + 1) * sizeof *store->terms);
	}
	if (store->batch && store->events && store->terms) {
		status = fill(store, err);
	} else {
		free(store->events);
		free(store->terms);
		store->events = NULL;
		store->terms = NULL;
		store->block = malloc(ISO_BLOCK_LINES * sizeof *store->block);
		store->block_terms = malloc(ISO_BLOCK_LINES * sizeof *store->block_terms);
		if (!store->batch || !store->block || !store->block_terms)
			status = iso_fail_memory(err, "events", ISO_BLOCK_LINES * each);
	}
	if (status != ISO_OK) {
		iso_event_store_free(store);
		return status;
	}
	*out = store;
	return ISO_OK;
}

bool iso_event_store_in_memory(const iso_event_store *store)
{
	return store->events != NULL;
}

iso_status iso_event_store_rewind(iso_event_store *store, unsigned subset, iso_error *err)
{
	store->subset = subset;
	store->next = 0;
	return store->events ? ISO_OK : pass_begin(&store->pass, &store->selection, store->batch, err);
}

iso_status iso_event_store_next(iso_event_store *store, const iso_event **events, const float **additive, size_t *count,
				iso_error *err)
{
	*count = block_size(store);
	if (*count == 0) return ISO_OK;
	if (store->events) {
		const uint64_t at = subset_start(store, store->subset) + store->next;
		*events = store->events + at;
		*additive = store->terms + at;
		store->next += *count;
		return ISO_OK;
	}
	for (size_t have = 0; have < *count;) {
		const iso_event *event;
		uint64_t turn;
		const iso_status status = pass_next(&store->pass, &event, &turn, err);
		if (status != ISO_OK) return status;
		if (!event)
			return iso_fail(err, ISO_IO, NULL, "leave the file alone while it is reconstructed",
					"the list-mode changed between two passes");
		if (event->kind == ISO_EVENT_DELAYED || turn % store->selection.subsets != store->subset) continue;
		store->block[have++] = *event;
	}
	store->next += *count;
	*events = store->block;
	*additive = store->block_terms;
	return store->additive(store->user, store->block, *count, store->block_terms, err);
}

void iso_event_store_free(iso_event_store *store)
{
	if (!store) return;
	free(store->events);
	free(store->terms);
	free(store->block);
	free(store->block_terms);
	free(store->batch);
	free(store);
}
