/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The C side of storage commitment (push model): N-ACTION, and N-EVENT-REPORT when it comes on the same association. */
#ifndef ISOTRACE_IO_DICOM_COMMITMENT_H
#define ISOTRACE_IO_DICOM_COMMITMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "io/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A new identity of a transaction. */
void iso_dcm_new_transaction(char uid[65]);

typedef struct iso_dcm_wait {
	void *user;
	/* Asked about once a second: has the answer come by another way, or was it long enough? */
	bool (*over)(void *user);
	/* The answer came on this association. */
	iso_status (*answer)(void *user, const char *transaction, const char *const *committed, size_t committed_count,
			     const char *const *failed, size_t failed_count, iso_error *err);
} iso_dcm_wait;
iso_status iso_dcm_commit(const iso_pacs *pacs, const char *transaction, const iso_queue_item *items, size_t count,
			  const iso_dcm_wait *wait, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
