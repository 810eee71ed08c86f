/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/events.h"
#include "core/number_text.h"
#include "io/exports/exports.h"

enum {
	BUFFER_BYTES = 1 << 18,
	/* A few damaged words lose a few events; a header or map of another scanner loses many. More than 1 in 1000 events
	 * outside the scanner, and at least so many, ends the reading. */
	OUTSIDE_LEAST = 16
};

typedef struct record_stream {
	char path[1024];
	FILE *file;
	int64_t offset;
	const iso_record_format *methods;
	void *format;
	uint64_t records, next; /* next: the record after those in the buffer that were taken */
	uint64_t first_ms, last_ms, tag_ms;
	uint64_t last_outside; /* the record that was last found outside the scanner */
	iso_event_counts counts;
	char *provenance;
	size_t held, taken; /* records in buffer */
	unsigned char buffer[BUFFER_BYTES];
} record_stream;

static uint64_t record_at(const record_stream *self, size_t n)
{
	const size_t bytes = self->methods->record_bytes;
	const unsigned char *b = self->buffer + n * bytes;
	uint64_t value = 0;
	for (size_t i = bytes; i-- > 0;) value = value << 8 | b[i];
	return value;
}

static int64_t byte_of(const record_stream *self, uint64_t record)
{
	return self->offset + (int64_t)(record * self->methods->record_bytes);
}

/* Fills the buffer from record number `first`. */
static iso_status fill_buffer(record_stream *self, uint64_t first, iso_error *err)
{
	const size_t bytes = self->methods->record_bytes, room = BUFFER_BYTES / bytes;
	const uint64_t left = self->records - first;
	const size_t wanted = left < room ? (size_t)left : room;
	self->held = self->taken = 0;
	if (fseeko(self->file, byte_of(self, first), SEEK_SET) != 0)
		return iso_fail_errno(err, self->path, "cannot seek");
	if (fread(self->buffer, bytes, wanted, self->file) != wanted) {
		if (ferror(self->file)) return iso_fail_errno(err, self->path, "cannot read");
		return iso_fail_at(err, ISO_BAD_INPUT, self->path, ISO_POSITION_BYTE, byte_of(self, first),
				   "do not write to the file while it is read", "the file became shorter");
	}
	self->held = wanted;
	return ISO_OK;
}

/* Time tag n of the buffer, if it is one. */
static bool is_tag(const record_stream *self, size_t n, uint64_t *tag_ms)
{
	iso_event event;
	return self->methods->decode(self->format, record_at(self, n), &event, tag_ms) == ISO_FATE_TIME;
}

/* First and last time tag, looked for from both ends: the duration is known before the events are read. */
static iso_status find_times(record_stream *self, iso_error *err)
{
	const uint64_t room = BUFFER_BYTES / self->methods->record_bytes;
	bool found = false;
	for (uint64_t first = 0; !found && first < self->records; first += room) {
		const iso_status status = fill_buffer(self, first, err);
		if (status != ISO_OK) return status;
		for (size_t n = 0; !found && n < self->held; n++) found = is_tag(self, n, &self->first_ms);
	}
	if (!found)
		return iso_fail(err, ISO_BAD_INPUT, self->path, "export the acquisition again",
				"%llu records and no time tag among them: the duration is not known",
				(unsigned long long)self->records);
	found = false;
	for (uint64_t end = self->records; !found && end > 0;) {
		const uint64_t first = end > room ? end - room : 0;
		const iso_status status = fill_buffer(self, first, err);
		if (status != ISO_OK) return status;
		for (size_t n = (size_t)(end - first); !found && n-- > 0;) found = is_tag(self, n, &self->last_ms);
		end = first;
	}
	if (self->last_ms < self->first_ms || self->last_ms - self->first_ms > UINT32_MAX)
		return iso_fail(err, ISO_BAD_INPUT, self->path, "export the acquisition again",
				"the time tags run from %llu ms to %llu ms", (unsigned long long)self->first_ms,
				(unsigned long long)self->last_ms);
	return ISO_OK;
}

static void rewind_stream(record_stream *self)
{
	memset(&self->counts, 0, sizeof self->counts);
	self->next = 0;
	self->held = self->taken = 0;
	self->tag_ms = self->first_ms;
}

static iso_status take_tag(record_stream *self, uint64_t tag_ms, iso_error *err)
{
	const int64_t byte = byte_of(self, self->next);
	if (tag_ms < self->tag_ms)
		return iso_fail_at(err, ISO_BAD_INPUT, self->path, ISO_POSITION_BYTE, byte,
				   "export the acquisition again; the file is damaged",
				   "the time tag %llu ms follows %llu ms: time runs backwards",
				   (unsigned long long)tag_ms, (unsigned long long)self->tag_ms);
	if (tag_ms > self->last_ms)
		return iso_fail_at(err, ISO_BAD_INPUT, self->path, ISO_POSITION_BYTE, byte,
				   "export the acquisition again; the file is damaged",
				   "the time tag %llu ms lies after the last one of the file, %llu ms",
				   (unsigned long long)tag_ms, (unsigned long long)self->last_ms);
	self->tag_ms = tag_ms;
	self->counts.tags_time++;
	self->counts.duration_s = 1e-3 * (double)(tag_ms - self->first_ms);
	return ISO_OK;
}

static iso_status check_outside(const record_stream *self, iso_error *err)
{
	const iso_event_counts *c = &self->counts;
	const uint64_t outside = c->rejected[ISO_REJECT_OUTSIDE_SCANNER];
	if (outside < OUTSIDE_LEAST || outside <= (c->prompts + c->delayeds + outside) / 1000) return ISO_OK;
	return iso_fail_at(err, ISO_BAD_INPUT, self->path, ISO_POSITION_BYTE, byte_of(self, self->last_outside),
			   self->methods->outside_remedy,
			   "%llu of %llu events name elements that the scanner does not have, the last of them here",
			   (unsigned long long)outside, (unsigned long long)(c->prompts + c->delayeds + outside));
}

static iso_status stream_read(void *pointer, iso_event *events, size_t capacity, size_t *count, iso_error *err)
{
	record_stream *self = pointer;
	*count = 0;
	while (*count < capacity && self->next < self->records) {
		if (self->taken == self->held) {
			/* Once per buffer, and at a moment when many events are known. */
			iso_status status = check_outside(self, err);
			if (status == ISO_OK) status = fill_buffer(self, self->next, err);
			if (status != ISO_OK) return status;
		}
		iso_event *event = &events[*count];
		uint64_t tag_ms = 0;
		const int fate = self->methods->decode(self->format, record_at(self, self->taken), event, &tag_ms);
		if (fate == ISO_FATE_PROMPT || fate == ISO_FATE_DELAYED) {
			event->time_ms = (uint32_t)(self->tag_ms - self->first_ms);
			event->kind = fate == ISO_FATE_PROMPT ? ISO_EVENT_PROMPT : ISO_EVENT_DELAYED;
			(*count)++;
			if (fate == ISO_FATE_PROMPT)
				self->counts.prompts++;
			else
				self->counts.delayeds++;
		} else if (fate == ISO_FATE_TIME) {
			const iso_status status = take_tag(self, tag_ms, err);
			if (status != ISO_OK) return status;
		} else if (fate == ISO_FATE_OTHER_TAG)
			self->counts.tags_other++;
		else {
			self->counts.rejected[fate - ISO_FATE_REJECTED]++;
			if (fate == ISO_FATE_REJECTED + ISO_REJECT_OUTSIDE_SCANNER) self->last_outside = self->next;
		}
		self->counts.records++;
		self->taken++;
		self->next++;
	}
	return self->next == self->records ? check_outside(self, err) : ISO_OK;
}

/* Events have no fixed place in an export: read up to it. */
static iso_status stream_seek(void *pointer, uint64_t first, iso_error *err)
{
	record_stream *self = pointer;
	iso_event skipped[256];
	rewind_stream(self);
	while (first > 0) {
		size_t count;
		const size_t wanted = first < 256 ? (size_t)first : 256;
		const iso_status status = stream_read(self, skipped, wanted, &count, err);
		if (status != ISO_OK) return status;
		if (count == 0) break;
		first -= count;
	}
	return ISO_OK;
}

static uint64_t stream_total(void *pointer)
{
	const record_stream *self = pointer;
	return self->next == self->records ? self->counts.prompts + self->counts.delayeds : UINT64_MAX;
}

static void stream_counts(void *pointer, iso_event_counts *counts)
{
	*counts = ((const record_stream *)pointer)->counts;
}

static void stream_close(void *pointer)
{
	record_stream *self = pointer;
	if (self->file) fclose(self->file);
	self->methods->free(self->format);
	free(self->provenance);
	free(self);
}

static const iso_events_methods stream_methods = {stream_read, stream_seek, stream_total, stream_counts, stream_close};

/* Does the size agree with whole records and with what the header says? */
static iso_status check_size(record_stream *self, const iso_record_file *file, iso_json *facts, iso_error *err)
{
	struct stat info;
	if (fstat(fileno(self->file), &info) != 0) return iso_fail_errno(err, self->path, "cannot read");
	if (!S_ISREG(info.st_mode))
		return iso_fail(err, ISO_BAD_INPUT, self->path, "name the file itself", "this is no regular file");
	const int64_t bytes = (int64_t)info.st_size - file->offset;
	const int64_t each = (int64_t)file->methods->record_bytes;
	if (bytes < each)
		return iso_fail(err, ISO_BAD_INPUT, self->path, "export the acquisition again",
				"%lld bytes, and no record among them", (long long)info.st_size);
	if (bytes % each)
		return iso_fail_at(err, ISO_BAD_INPUT, self->path, ISO_POSITION_BYTE, info.st_size - bytes % each,
				   "copy the file again; it was cut short",
				   "the last record has %lld bytes instead of %lld", (long long)(bytes % each),
				   (long long)each);
	self->records = (uint64_t)(bytes / each);
	iso_json_put(facts, "data_bytes", json_integer(info.st_size));
	iso_json_put(facts, "records", json_integer((json_int_t)self->records));
	if (!file->stated_records || file->stated_records == self->records) return ISO_OK;
	const bool shorter = self->records < file->stated_records;
	if (!shorter || file->require_complete)
		return iso_fail(err, ISO_BAD_INPUT, self->path,
				shorter ? "copy the file again, or leave out --require-complete to take what is there"
					: "give the header that belongs to this file",
				"the file holds %llu records, its header says %llu: %s",
				(unsigned long long)self->records, (unsigned long long)file->stated_records,
				shorter ? "it was cut short" : "they do not belong together");
	iso_json_put(facts, "truncated", json_true());
	iso_export_warn(facts, "truncated: %llu of the %llu records that the header says are there",
			(unsigned long long)self->records, (unsigned long long)file->stated_records);
	return ISO_OK;
}

/* Tags against the header's duration. */
static iso_status check_duration(record_stream *self, const iso_record_file *file, double duration_s, iso_json *facts,
				 iso_error *err)
{
	if (isnan(file->stated_duration_s)) return ISO_OK;
	const double slack_s = 1 + 0.01 * file->stated_duration_s;
	if (duration_s > file->stated_duration_s + slack_s)
		return iso_fail(err, ISO_BAD_INPUT, self->path, "give the header that belongs to this file",
				"the time tags cover %.3f s, the header says %.3f s", duration_s,
				file->stated_duration_s);
	if (duration_s < file->stated_duration_s - slack_s)
		iso_export_warn(facts, "the time tags cover %.3f s of the %.3f s that the header states", duration_s,
				file->stated_duration_s);
	return ISO_OK;
}

static iso_status open_file(record_stream *self, const iso_record_file *file, iso_acquisition *acquisition,
			    iso_json *facts, iso_error *err)
{
	if ((size_t)snprintf(self->path, sizeof self->path, "%s", file->path) >= sizeof self->path)
		return iso_fail(err, ISO_BAD_USAGE, file->path, "give a shorter path", "the name is too long");
	self->file = fopen(file->path, "rb");
	if (!self->file)
		return iso_fail(err, ISO_BAD_INPUT, file->path, "check the name and that it may be read",
				"cannot open: %s", strerror(errno));
	iso_status status = check_size(self, file, facts, err);
	if (status == ISO_OK) status = find_times(self, err);
	if (status != ISO_OK) return status;
	acquisition->duration_s = 1e-3 * (double)(self->last_ms - self->first_ms);
	if (file->tags_from_start) acquisition->start_utc_s += 1e-3 * (double)self->first_ms;
	iso_json_put(facts, "first_time_tag_ms", json_integer((json_int_t)self->first_ms));
	iso_json_put(facts, "last_time_tag_ms", json_integer((json_int_t)self->last_ms));
	status = check_duration(self, file, acquisition->duration_s, facts, err);
	if (status != ISO_OK) return status;
	status = iso_json_text(facts, JSON_COMPACT, self->path, &self->provenance, err);
	if (status != ISO_OK) return status;
	rewind_stream(self);
	return ISO_OK;
}

iso_status iso_record_stream_open(const iso_record_file *file, iso_scanner *scanner, const iso_acquisition *acquisition,
				  iso_json *facts, iso_events **out, iso_error *err)
{
	*out = NULL;
	iso_acquisition covered = *acquisition;
	record_stream *self = calloc(1, sizeof *self);
	if (!self) {
		file->methods->free(file->format);
		iso_scanner_free(scanner);
		iso_json_end(facts);
		return iso_fail_memory(err, "reading an export", sizeof *self);
	}
	self->offset = file->offset;
	self->methods = file->methods;
	self->format = file->format;
	const iso_status status = open_file(self, file, &covered, facts, err);
	iso_json_end(facts);
	if (status == ISO_OK) return iso_events_open(&stream_methods, self, scanner, &covered, out, err);
	stream_close(self);
	iso_scanner_free(scanner);
	return status;
}

const char *iso_export_provenance(const iso_events *events)
{
	if (!events || events->methods != &stream_methods) return NULL;
	return ((const record_stream *)events->self)->provenance;
}

uint64_t iso_record_stream_records(const iso_events *events)
{
	return events->methods == &stream_methods ? ((const record_stream *)events->self)->records : 0;
}

void iso_export_warn(iso_json *facts, const char *format, ...)
{
	char line[512];
	va_list values;
	va_start(values, format);
	iso_vsnprintf(line, sizeof line, format, values);
	va_end(values);
	json_t *list = json_object_get(facts->root, "warnings");
	if (!list) {
		list = json_array();
		iso_json_put(facts, "warnings", list);
	}
	iso_json_append(facts, list, iso_json_readable(line));
}
