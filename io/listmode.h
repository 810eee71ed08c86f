/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the reader and the writer of native list-mode agree on; docs/listmode-format.md says it in words. */
#ifndef ISOTRACE_IO_LISTMODE_H
#define ISOTRACE_IO_LISTMODE_H

#include "isotrace/listmode.h"

#define ISO_LISTMODE_FORMAT "isotrace list-mode"
enum {
	ISO_LISTMODE_VERSION = 1,
	ISO_LISTMODE_BLOCK = 65536,    /* events per chunk, and per read and write */
	ISO_LISTMODE_INDEX_MS = 1000,  /* the index has one entry per this much time */
	ISO_LISTMODE_DEFLATE_LEVEL = 4 /* crystal numbers are nearly random: more effort gains 1 % */
};

/* The columns of /events, in the order of the arrays below. */
enum { ISO_COLUMN_TIME, ISO_COLUMN_ELEMENT, ISO_COLUMN_TOF, ISO_COLUMN_KIND, ISO_COLUMN_WINDOW, ISO_COLUMNS };
typedef struct iso_listmode_column {
	const char *name;
	size_t size; /* bytes of one number */
	unsigned per_event;
} iso_listmode_column;
extern const iso_listmode_column iso_listmode_columns[ISO_COLUMNS];
/* Names of iso_event_counts.rejected in /counts. */
extern const char *const iso_listmode_rejected[ISO_REJECT_REASONS];

/* One block of events as columns. */
typedef struct iso_listmode_block {
	uint32_t time_ms[ISO_LISTMODE_BLOCK];
	uint32_t element[ISO_LISTMODE_BLOCK][2];
	int16_t tof_bin[ISO_LISTMODE_BLOCK];
	uint8_t kind[ISO_LISTMODE_BLOCK];
	uint8_t window[ISO_LISTMODE_BLOCK];
} iso_listmode_block;
void *iso_listmode_block_column(iso_listmode_block *block, int column);

/* What is wrong with the event for this scanner, or NULL. */
const char *iso_listmode_event_fault(const iso_event *event, const iso_scanner *scanner);

#endif
