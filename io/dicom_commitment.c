/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Storage commitment: who asks, who listens for the answer, and how long. The conversation is in io/dicom/commitment.cc; answers on
 * associations of the PACS's own come through io/dicom/serve.cc, from whatever process listens at our port, into the queue. */
#define _GNU_SOURCE
#include "io/dicom_commitment.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "core/stopwatch.h"
#include "io/dicom/commitment.h"
#include "io/listener.h"

enum { MOST_AT_ONCE = 1000 };

typedef struct waiting {
	iso_queue *queue;
	const iso_progress *progress;
	char transaction[65];
	double until_s, wait_s;
	size_t open, bad;
	bool cancelled;
} waiting;

static bool over(void *user)
{
	waiting *w = user;
	const double left_s = w->until_s - iso_clock_s();
	if (w->progress && w->progress->report &&
	    w->progress->report(w->progress->user, "storage commitment", 1 - left_s / (w->wait_s + 1)) != 0)
		w->cancelled = true;
	if (iso_queue_answered(w->queue, w->transaction, &w->open, &w->bad, NULL) != ISO_OK) return true;
	return w->cancelled || w->open == 0 || left_s <= 0;
}

static iso_status answer(void *user, const char *transaction, const char *const *committed, size_t committed_count,
			 const char *const *failed, size_t failed_count, iso_error *err)
{
	const waiting *w = user;
	return iso_queue_answer(w->queue, transaction, committed, committed_count, failed, failed_count, err);
}

/* Somebody must be there when the PACS calls back. Where another process has the port, that is `isotrace listen`, which writes into the same
 * queue. */
static iso_status open_door(const iso_pacs *pacs, const iso_pacs_listener *listener, const char *folder,
			    const iso_pacs_peer *peer, const iso_progress *progress, pid_t *process, iso_error *err)
{
	iso_listener *door;
	bool busy;
	*process = -1;
	if (!listener || !listener->port) {
		iso_note(progress,
			 "%s: the configuration has no `listen`: an answer on storage commitment can only come on the "
			 "association that asks",
			 pacs->name);
		return ISO_OK;
	}
	iso_status status = iso_listener_open(listener, peer, 1, NULL, folder, &door, &busy, err);
	if (status != ISO_OK) return busy ? ISO_OK : status;
	status = iso_listener_start(door, process, err);
	iso_listener_close(door);
	return status;
}

iso_status iso_commitment(iso_queue *queue, const char *folder, const iso_pacs *pacs, const iso_pacs_listener *listener,
			  const iso_progress *progress, iso_error *err)
{
	iso_queue_item *items;
	size_t count, open = 0, bad = 0;
	pid_t process = -1;
	iso_pacs_peer peer;
	strcpy(peer.ae_title, pacs->ae_title);
	strcpy(peer.host, pacs->host);
	iso_status status = iso_queue_uncommitted(queue, pacs->name, &items, &count, err);
	if (status != ISO_OK || count == 0) {
		free(items);
		return status;
	}
	status = open_door(pacs, listener, folder, &peer, progress, &process, err);
	for (size_t first = 0; status == ISO_OK && first < count; first += MOST_AT_ONCE) {
		const size_t some = count - first < MOST_AT_ONCE ? count - first : MOST_AT_ONCE;
		waiting w = {.queue = queue,
			     .progress = progress,
			     .until_s = iso_clock_s() + pacs->commitment_wait_s,
			     .wait_s = pacs->commitment_wait_s};
		const iso_dcm_wait wait = {.user = &w, .over = over, .answer = answer};
		iso_dcm_new_transaction(w.transaction);
		/* Written down before it is asked: the answer may be faster than we are. */
		status = iso_queue_asked(queue, items + first, some, w.transaction, err);
		if (status == ISO_OK) status = iso_dcm_commit(pacs, w.transaction, items + first, some, &wait, err);
		if (status == ISO_OK) status = iso_queue_answered(queue, w.transaction, &w.open, &w.bad, err);
		open += w.open;
		bad += w.bad;
		if (status == ISO_OK && w.cancelled)
			status = iso_fail(err, ISO_CANCELLED, NULL, "isotrace send asks again",
					  "stopped before the commitment came");
	}
	iso_listener_end(process);
	free(items);
	if (status != ISO_OK || (!open && !bad)) return status;
	return iso_fail(
	    err, ISO_PARTIAL, NULL,
	    bad ? "they wait in the queue: isotrace send sends them again"
		: "isotrace send asks again; a later answer is taken by isotrace listen",
	    "PACS %s: of %zu objects that were stored, %zu have no storage commitment yet, and %zu were refused it",
	    pacs->name, count, open, bad);
}
