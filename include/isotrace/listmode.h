/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_LISTMODE_H
#define ISOTRACE_LISTMODE_H

#include "isotrace/events.h"
#include "isotrace/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Native list-mode: one HDF5 file, described in docs/listmode-format.md. */

/* Opens a native list-mode file for reading in bounded memory. Truncated, damaged or foreign files:
 * ISO_BAD_INPUT. */
iso_status iso_listmode_open(const char *path, iso_events **out, iso_error *err);

/* The JSON provenance text that the writer stored ("" when none); valid until the events are closed. NULL when
 * the stream is not a native list-mode file. */
const char *iso_listmode_provenance(const iso_events *events);

typedef struct iso_listmode_writer iso_listmode_writer;

/* Starts a file beside `path`; nothing has the name `path` until iso_listmode_commit. provenance_json says where
 * the events come from (may be NULL). */
iso_status iso_listmode_create(const char *path, const iso_scanner *scanner, const iso_acquisition *acquisition,
			       const char *provenance_json, iso_listmode_writer **out, iso_error *err);
/* Events must come in time order. truth: of every event of the file or (NULL) of none. */
iso_status iso_listmode_append(iso_listmode_writer *writer, const iso_event *events, const iso_event_truth *truth,
			       size_t count, iso_error *err);
/* True efficiencies of the elements, for the truth and not for the scanner; once. */
iso_status iso_listmode_set_true_efficiencies(iso_listmode_writer *writer, const float *efficiency, iso_error *err);
/* A sink that appends to the file. */
iso_event_sink iso_listmode_sink(iso_listmode_writer *writer);
/* Writes the fate counts and the duration (acquisition.duration_s is replaced when duration_s is not NAN), closes
 * and renames. The writer is freed whatever happens. */
iso_status iso_listmode_commit(iso_listmode_writer *writer, const iso_event_counts *counts, double duration_s,
			       iso_error *err);
/* Removes what was written. Safe on NULL. */
void iso_listmode_discard(iso_listmode_writer *writer);

/* The whole of one stream into a native file; what `isotrace convert` does. counts may be NULL. */
iso_status iso_listmode_write_all(const char *path, iso_events *events, const char *provenance_json,
				  const iso_progress *progress, iso_event_counts *counts, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
