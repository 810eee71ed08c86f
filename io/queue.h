/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is to be sent, is being sent and was sent: an SQLite database and copies of the files in a folder (docs/decisions/043). A change is on the
 * disk before the call returns. Many processes may look and add; one, which holds the lock, sends. */
#ifndef ISOTRACE_IO_QUEUE_H
#define ISOTRACE_IO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/dicom/store.h"
#include "io/file_list.h"
#include "isotrace/pacs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_queue iso_queue;

/* Opens the queue, or makes an empty one. */
iso_status iso_queue_open(const char *folder, iso_queue **out, iso_error *err);
void iso_queue_close(iso_queue *queue);
/* Becomes the one sender until the queue is closed. ISO_IO: another process is it. Removes copies that a killed process left. */
iso_status iso_queue_lock(iso_queue *queue, iso_error *err);

typedef struct iso_queue_added {
	size_t added, waiting, sent,
	    no_dicom; /* new; were waiting already; were sent already (same bytes, same receiver) */
} iso_queue_added;
/* Copies the files into the queue, all or none. An object that this receiver refused before waits again. */
iso_status iso_queue_add(iso_queue *queue, const char *receiver, const iso_file_list *files,
			 const iso_progress *progress, iso_queue_added *added, iso_error *err);

typedef struct iso_queue_item {
	int64_t id;
	iso_dcm_object object;
	bool in_doubt; /* a process ended while it sent this */
	char copy[600];
} iso_queue_item;
/* What is to be sent to a receiver, in the order in which it came; *items is owned by the caller (free()). */
iso_status iso_queue_waiting(iso_queue *queue, const char *receiver, iso_queue_item **items, size_t *count,
			     iso_error *err);
/* Before the first byte goes out. */
iso_status iso_queue_sending(iso_queue *queue, const iso_queue_item *item, iso_error *err);
/* What came of it. keep_copy: until the receiver has committed itself to keeping it. problem: for ISO_REFUSED, ISO_LATER, ISO_LOST. */
iso_status iso_queue_settle(iso_queue *queue, const iso_queue_item *item, iso_delivery delivery, bool keep_copy,
			    const char *problem, iso_error *err);

/* Storage commitment. What was sent and is not yet asked for: *items as above. */
iso_status iso_queue_uncommitted(iso_queue *queue, const char *receiver, iso_queue_item **items, size_t *count,
				 iso_error *err);
iso_status iso_queue_asked(iso_queue *queue, const iso_queue_item *items, size_t count, const char *transaction,
			   iso_error *err);
/* An answer of the receiver, from whatever process took it: instance by instance. A transaction that was never asked for changes nothing.
 * What is not committed waits to be sent again. */
iso_status iso_queue_answer(iso_queue *queue, const char *transaction, const char *const *committed,
			    size_t committed_count, const char *const *failed, size_t failed_count, iso_error *err);
/* How many of a transaction have no answer, and how many a bad one. */
iso_status iso_queue_answered(iso_queue *queue, const char *transaction, size_t *open, size_t *bad, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
