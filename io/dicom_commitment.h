/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_DICOM_COMMITMENT_H2
#define ISOTRACE_IO_DICOM_COMMITMENT_H2

#include "io/queue.h"

/* Asks for the storage commitment of what was sent and is not committed yet, and waits for the answers. They are recorded in the queue, also those that come
 * after this has ended, to `isotrace listen`. ISO_PARTIAL: some have no answer yet, or a bad one. */
iso_status iso_commitment(iso_queue *queue, const char *folder, const iso_pacs *pacs, const iso_pacs_listener *listener,
			  const iso_progress *progress, iso_error *err);

#endif
