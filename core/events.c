/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/events.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

const char *iso_reject_text(int reason)
{
	switch (reason) {
	case ISO_REJECT_OUTSIDE_SCANNER: return "element outside the scanner";
	case ISO_REJECT_SAME_ELEMENT: return "both ends in the same element";
	case ISO_REJECT_PAIR_RULE: return "pair excluded by the scanner's rule";
	case ISO_REJECT_MALFORMED: return "bits that the format does not define";
	default: return "unknown reason";
	}
}

iso_status iso_events_open(const iso_events_methods *methods, void *self, iso_scanner *scanner,
			   const iso_acquisition *acquisition, iso_events **out, iso_error *err)
{
	*out = calloc(1, sizeof **out);
	if (!*out) {
		methods->close(self);
		iso_scanner_free(scanner);
		return iso_fail_memory(err, "a stream of events", sizeof **out);
	}
	**out = (iso_events){.methods = methods, .self = self, .scanner = scanner, .acquisition = *acquisition};
	return ISO_OK;
}

iso_status iso_events_read(iso_events *events, iso_event *buffer, size_t capacity, size_t *count, iso_error *err)
{
	*count = 0;
	return events->methods->read(events->self, buffer, capacity, count, err);
}

iso_status iso_events_seek(iso_events *events, uint64_t first, iso_error *err)
{
	return events->methods->seek(events->self, first, err);
}

uint64_t iso_events_total(iso_events *events)
{
	return events->methods->total(events->self);
}

void iso_events_counts(iso_events *events, iso_event_counts *counts)
{
	memset(counts, 0, sizeof *counts);
	events->methods->counts(events->self, counts);
}

const iso_scanner *iso_events_scanner(const iso_events *events)
{
	return events->scanner;
}

const iso_acquisition *iso_events_acquisition(const iso_events *events)
{
	return &events->acquisition;
}

void iso_events_close(iso_events *events)
{
	if (!events) return;
	events->methods->close(events->self);
	iso_scanner_free(events->scanner);
	iso_singles_free(events->singles);
	iso_gantry_free(events->gantry);
	free(events);
}

/* A stream over the caller's array. */
typedef struct array_source {
	const iso_event *events;
	size_t count, next;
} array_source;

static iso_status array_read(void *self, iso_event *buffer, size_t capacity, size_t *count, iso_error *err)
{
	(void)err;
	array_source *source = self;
	const size_t left = source->count - source->next;
	*count = left < capacity ? left : capacity;
	if (*count) memcpy(buffer, source->events + source->next, *count * sizeof *buffer);
	source->next += *count;
	return ISO_OK;
}

static iso_status array_seek(void *self, uint64_t first, iso_error *err)
{
	(void)err;
	array_source *source = self;
	source->next = first < source->count ? (size_t)first : source->count;
	return ISO_OK;
}

static uint64_t array_total(void *self)
{
	return ((array_source *)self)->count;
}

static void array_counts(void *self, iso_event_counts *counts)
{
	const array_source *source = self;
	for (size_t n = 0; n < source->next; n++) {
		counts->records++;
		if (source->events[n].kind == ISO_EVENT_DELAYED)
			counts->delayeds++;
		else
			counts->prompts++;
	}
	if (source->next)
		counts->duration_s = 1e-3 * (source->events[source->next - 1].time_ms - source->events[0].time_ms);
}

static const iso_events_methods array_methods = {array_read, array_seek, array_total, array_counts, free};

iso_status iso_events_from_array(const iso_event *events, size_t count, const iso_scanner *scanner,
				 const iso_acquisition *acquisition, iso_events **out, iso_error *err)
{
	*out = NULL;
	iso_scanner *copy = NULL;
	array_source *source = malloc(sizeof *source);
	if (!source) return iso_fail_memory(err, "a stream of events", sizeof *source);
	*source = (array_source){.events = events, .count = count};
	const iso_status status = iso_scanner_copy(scanner, &copy, err);
	if (status != ISO_OK) {
		free(source);
		return status;
	}
	return iso_events_open(&array_methods, source, copy, acquisition, out, err);
}
