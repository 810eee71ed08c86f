/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The C side of one association that somebody else has opened: C-ECHO, C-STORE, and N-EVENT-REPORT of storage commitment. */
#ifndef ISOTRACE_IO_DICOM_SERVE_H
#define ISOTRACE_IO_DICOM_SERVE_H

#include <stddef.h>
#include <stdint.h>

#include "isotrace/pacs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_dcm_service {
	const iso_pacs_listener *listener;
	const char *const *titles; /* who may speak from this address */
	size_t title_count;
	const char *folder; /* where objects go; NULL: none are taken */
	const char *queue;  /* whose transactions are answered; NULL: none */
	int notes;          /* a pipe: "+STUDY MODALITY\n" for an object that is filed, "!TEXT\n" for the log */
} iso_dcm_service;

/* Holds the conversation on a socket that was accepted, to its end. For a process of its own: DCMTK keeps the socket for all threads, SIGALRM ends a
 * conversation that stands still, and what hostile bytes may do to DCMTK they do to this process alone. */
void iso_dcm_serve(int socket, const iso_dcm_service *service);

#ifdef __cplusplus
}
#endif
#endif
