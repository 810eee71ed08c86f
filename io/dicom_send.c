/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sending: one association or HTTP session after the other until all is stored, refused, or the receiver has failed too often. The
 * conversations themselves are in io/dicom/store.cc and io/dicomweb_store.c. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/error.h"
#include "core/note.h"
#include "io/dicom/query.h"
#include "io/dicom/store.h"
#include "io/dicom_commitment.h"
#include "io/dicomweb.h"
#include "io/file_list.h"
#include "io/pacs_title.h"
#include "io/queue.h"
#include "isotrace/pacs.h"

/* One call: what is to be sent, and how far it is. Without a queue nothing is remembered. */
typedef struct sending {
	const iso_pacs *pacs;
	const iso_progress *progress;
	iso_queue *queue;
	iso_queue_item *item; /* [count] */
	enum { OPEN, STORED, REFUSED } * state;
	const char **shown; /* the name that the user knows */
	size_t count, stored, refused;
	char first[300], first_shown[600]; /* the first problem */
	bool cancelled;
} sending;

static iso_status check_pacs(const iso_pacs *pacs, iso_error *err)
{
	const bool dimse =
	    pacs->port >= 1 && pacs->port <= 65535 && iso_is_ae_title(pacs->ae_title, strlen(pacs->ae_title));
	if (!(pacs->timeout_s >= 1) || pacs->timeout_s > 86400 || (pacs->send_by_web ? !pacs->web.url[0] : !dimse) ||
	    !iso_is_ae_title(pacs->own_ae_title, strlen(pacs->own_ae_title)))
		return iso_fail(err, ISO_BAD_USAGE, NULL,
				"give titles of 1 to 16 characters and at least 1 s of timeout",
				"the PACS is not described in full");
	return ISO_OK;
}

static void keep_problem(sending *s, size_t i, const char *problem)
{
	iso_note(s->progress, "%s: %s", s->shown[i], problem);
	if (s->first[0]) return;
	snprintf(s->first, sizeof s->first, "%s", problem);
	snprintf(s->first_shown, sizeof s->first_shown, "%s", s->shown[i]);
}

static bool stop(sending *s)
{
	const double done = (double)(s->stored + s->refused) / (double)s->count;
	if (s->progress && s->progress->report && s->progress->report(s->progress->user, "sending", done) != 0)
		s->cancelled = true;
	return s->cancelled;
}

static iso_status settle(sending *s, size_t i, iso_delivery delivery, const char *problem, iso_error *err)
{
	if (delivery == ISO_DELIVERED) {
		s->state[i] = STORED;
		s->stored++;
	} else {
		if (delivery == ISO_REFUSED) {
			s->state[i] = REFUSED;
			s->refused++;
		}
		keep_problem(s, i, problem);
	}
	s->item[i].in_doubt = delivery == ISO_LOST;
	return s->queue ? iso_queue_settle(s->queue, &s->item[i], delivery, s->pacs->commitment, problem, err) : ISO_OK;
}

/* An object whose sending was interrupted may have arrived, or be on its way through the receiver. One that can say whether it has it is asked for a
 * second; one that cannot gets it again, which replaces the same by the same. */
static iso_status resolve_doubt(sending *s, size_t i, iso_error *err)
{
	const iso_dcm_object *object = &s->item[i].object;
	bool there = false;
	s->item[i].in_doubt = false;
	for (int ask = 0; ask < 5 && !there; ask++) {
		if (ask) nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
		iso_error why;
		const iso_status asked = s->pacs->send_by_web
					     ? iso_web_has(&s->pacs->web, s->pacs->timeout_s, object, &there, &why)
					     : iso_dcm_has(s->pacs, object, &there, &why);
		if (asked == ISO_NO_MEMORY && err) *err = why;
		if (asked != ISO_OK) return asked == ISO_NO_MEMORY ? asked : ISO_OK;
	}
	if (!there) return ISO_OK;
	iso_note(s->progress, "%s: arrived before the connection broke", s->shown[i]);
	return settle(s, i, ISO_DELIVERED, "", err);
}

/* What is open, over one association. lost: the association went, or the receiver asks to come back later. ISO_IO: it did not come about, or the
 * queue cannot be written: then `fatal`. */
static iso_status pass(sending *s, bool *lost, bool *fatal, iso_error *err)
{
	iso_dcm_session *session = NULL;
	iso_web_session *web = NULL;
	iso_status status = ISO_OK;
	*lost = *fatal = false;
	iso_dcm_object *objects = malloc((s->count + 1) * sizeof *objects);
	size_t open = 0;
	if (!objects) return iso_fail_memory(err, "the objects to send", s->count * sizeof *objects);
	for (size_t i = 0; i < s->count; i++)
		if (s->state[i] == OPEN) objects[open++] = s->item[i].object;
	if (open)
		status = s->pacs->send_by_web ? iso_web_session_open(&s->pacs->web, s->pacs->timeout_s, &web, err)
					      : iso_dcm_session_open(s->pacs, objects, open, &session, err);
	free(objects);
	for (size_t i = 0; open && status == ISO_OK && i < s->count && !*lost; i++) {
		char problem[300] = "";
		if (s->state[i] != OPEN) continue;
		if (stop(s)) break;
		iso_queue_item *item = &s->item[i];
		/* Only now that the receiver is there: no answer means that it cannot be asked. */
		if (item->in_doubt) status = resolve_doubt(s, i, err);
		*fatal = status != ISO_OK;
		if (status != ISO_OK || s->state[i] != OPEN) continue;
		if (s->queue) status = iso_queue_sending(s->queue, item, err);
		iso_delivery delivery = ISO_LATER;
		if (status == ISO_OK) {
			delivery =
			    web ? iso_web_store(web, item->copy, &item->object, problem, sizeof problem)
				: iso_dcm_session_store(session, item->copy, &item->object, problem, sizeof problem);
			status = settle(s, i, delivery, problem, err);
		}
		*fatal = status != ISO_OK;
		*lost = delivery == ISO_LOST || delivery == ISO_LATER;
	}
	iso_dcm_session_close(session, *lost || s->cancelled);
	iso_web_session_close(web);
	return status;
}

static bool wait_s(const sending *s, double seconds)
{
	iso_note(s->progress, "%s: trying again in %.0f s", s->pacs->name, seconds);
	for (double waited = 0; waited < seconds; waited += 0.1) {
		if (s->progress && s->progress->report &&
		    s->progress->report(s->progress->user, "waiting", waited / seconds) != 0)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	return true;
}

static iso_status outcome(const sending *s, const char *shown, iso_status last, iso_error *err)
{
	const size_t failed = s->count - s->stored;
	char who[600];
	if (s->pacs->send_by_web)
		snprintf(who, sizeof who, "%s", s->pacs->web.url);
	else
		snprintf(who, sizeof who, "%s at %s port %u", s->pacs->ae_title, s->pacs->host, s->pacs->port);
	if (s->cancelled)
		return iso_fail(err, ISO_CANCELLED, shown, "send again: what the PACS has is replaced by the same",
				"stopped after %zu of %zu files", s->stored, s->count);
	if (!failed) return ISO_OK;
	/* Nobody was reached: the connection's own message says more. */
	if (last != ISO_OK && !s->stored && !s->first[0]) return last;
	return iso_fail(err, s->stored ? ISO_PARTIAL : ISO_IO, s->first_shown[0] ? s->first_shown : shown,
			s->queue ? "see the PACS's log; what was not refused waits in the queue: isotrace send again"
				 : "see the PACS's log, then send again: what it has is replaced by the same",
			"PACS %s did not store %zu of %zu files: %s", who, failed, s->count,
			s->first[0] ? s->first : "no connection");
}

/* Passes, with a wait that doubles after each that failed. One that got on starts the count anew. */
static iso_status send_all(sending *s, const char *shown, iso_error *err)
{
	unsigned failures = 0;
	iso_status status = ISO_OK;
	for (;;) {
		bool lost, fatal;
		const size_t before = s->stored + s->refused;
		status = pass(s, &lost, &fatal, err);
		if (fatal || (status != ISO_OK && status != ISO_IO)) return status;
		if (s->cancelled || (status == ISO_OK && !lost)) break;
		failures = s->stored + s->refused > before ? 1 : failures + 1;
		if (failures > s->pacs->retries) break;
		if (!wait_s(s, fmin(60, ldexp(1, (int)(failures > 6 ? 6 : failures) - 1)))) {
			s->cancelled = true;
			break;
		}
	}
	return outcome(s, shown, status, err);
}

static iso_status sending_begin(sending *s, size_t count, iso_error *err)
{
	s->state = calloc(count + 1, sizeof *s->state);
	s->shown = calloc(count + 1, sizeof *s->shown);
	return s->state && s->shown ? ISO_OK : iso_fail_memory(err, "the objects to send", count * sizeof *s->state);
}

static void sending_end(sending *s, size_t *stored, size_t *failed)
{
	if (stored) *stored = s->stored;
	if (failed) *failed = s->count - s->stored;
	free(s->item);
	free(s->state);
	free(s->shown);
}

/* The files that are DICOM. */
static iso_status take_files(sending *s, const iso_file_list *files, const char *path, iso_error *err)
{
	iso_status status = sending_begin(s, files->count, err);
	s->item = calloc(files->count + 1, sizeof *s->item);
	if (status == ISO_OK && !s->item)
		status = iso_fail_memory(err, "the objects to send", files->count * sizeof *s->item);
	for (size_t f = 0; status == ISO_OK && f < files->count; f++) {
		bool found;
		iso_queue_item *item = &s->item[s->count];
		status = iso_dcm_look(files->path[f], &item->object, &found, err);
		if (status != ISO_OK) break;
		if (!found) {
			iso_note(s->progress, "%s: no DICOM file, skipped", files->path[f]);
			continue;
		}
		if ((size_t)snprintf(item->copy, sizeof item->copy, "%s", files->path[f]) >= sizeof item->copy)
			status =
			    iso_fail(err, ISO_BAD_USAGE, files->path[f], "give a shorter path", "the name is too long");
		s->shown[s->count++] = item->copy;
	}
	if (status == ISO_OK && !s->count)
		status = iso_fail(err, ISO_BAD_INPUT, path, "name a DICOM file or a folder of them",
				  "there is no DICOM file here");
	return status;
}

iso_status iso_dicom_send(const char *path, const iso_pacs *pacs, const iso_progress *progress, size_t *stored,
			  size_t *failed, iso_error *err)
{
	sending s = {.pacs = pacs, .progress = progress};
	iso_file_list files = {.path = NULL};
	iso_status status = check_pacs(pacs, err);
	if (status == ISO_OK) status = iso_file_list_collect(path, &files, err);
	if (status == ISO_OK) status = take_files(&s, &files, path, err);
	if (status == ISO_OK) status = send_all(&s, path, err);
	sending_end(&s, stored, failed);
	iso_file_list_free(&files);
	return status;
}

iso_status iso_pacs_queue_add(const char *folder, const char *path, const iso_pacs *pacs, const iso_progress *progress,
			      size_t *added, size_t *known, iso_error *err)
{
	iso_file_list files = {.path = NULL};
	iso_queue_added counts = {.added = 0};
	iso_queue *queue = NULL;
	iso_status status = check_pacs(pacs, err);
	if (status == ISO_OK) status = iso_file_list_collect(path, &files, err);
	if (status == ISO_OK) status = iso_queue_open(folder, &queue, err);
	if (status == ISO_OK) status = iso_queue_add(queue, pacs->name, &files, progress, &counts, err);
	if (status == ISO_OK && counts.no_dicom == files.count)
		status = iso_fail(err, ISO_BAD_INPUT, path, "name a DICOM file or a folder of them",
				  "there is no DICOM file here");
	iso_queue_close(queue);
	iso_file_list_free(&files);
	if (added) *added = counts.added;
	if (known) *known = counts.waiting + counts.sent;
	return status;
}

iso_status iso_pacs_queue_send(const char *folder, const iso_pacs *pacs, const iso_pacs_listener *listener,
			       const iso_progress *progress, size_t *stored, size_t *failed, iso_error *err)
{
	sending s = {.pacs = pacs, .progress = progress};
	iso_status status = check_pacs(pacs, err);
	if (status == ISO_OK) status = iso_queue_open(folder, &s.queue, err);
	if (status == ISO_OK) status = iso_queue_lock(s.queue, err);
	if (status == ISO_OK) status = iso_queue_waiting(s.queue, pacs->name, &s.item, &s.count, err);
	if (status == ISO_OK) status = sending_begin(&s, s.count, err);
	/* The files came from folders that may be gone: an object is shown by its identity. */
	for (size_t i = 0; status == ISO_OK && i < s.count; i++) s.shown[i] = s.item[i].object.sop_instance;
	if (status == ISO_OK && s.count) status = send_all(&s, NULL, err);
	if ((status == ISO_OK || status == ISO_PARTIAL) && pacs->commitment) {
		iso_error later;
		const iso_status committed = iso_commitment(s.queue, folder, pacs, listener, progress, &later);
		if (status == ISO_OK && committed != ISO_OK) {
			status = committed;
			if (err) *err = later;
		}
	}
	sending_end(&s, stored, failed);
	iso_queue_close(s.queue);
	return status;
}
