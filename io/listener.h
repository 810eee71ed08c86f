/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A port at which other applications speak to us. Each association is a process of its own, so that nothing that one peer sends, and no slowness of
 * it, concerns another. */
#ifndef ISOTRACE_IO_LISTENER_H
#define ISOTRACE_IO_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "isotrace/pacs.h"

typedef struct iso_listener iso_listener;

/* Opens the port. peers: who may speak; owned by the caller for as long. folder NULL: no objects are taken; queue NULL: no answers on storage
 * commitment are. *busy (may be NULL): the port is taken by another process; *out is NULL then, and the status ISO_IO. */
iso_status iso_listener_open(const iso_pacs_listener *settings, const iso_pacs_peer *peers, size_t peer_count,
			     const char *folder, const char *queue, iso_listener **out, bool *busy, iso_error *err);
void iso_listener_close(iso_listener *listener);
/* Waits up to wait_ms for something to happen, and deals with it. line(user, "...") receives what the associations tell (io/dicom/serve.h). */
void iso_listener_step(iso_listener *listener, int wait_ms, void (*line)(void *user, const char *text), void *user);
/* Lets a process of its own step until it is ended by iso_listener_end. */
iso_status iso_listener_start(iso_listener *listener, pid_t *process, iso_error *err);
void iso_listener_end(pid_t process);

#endif
