/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the reader and the writer of native list-mode agree on; docs/listmode-format.md says it in words. */
#ifndef ISOTRACE_IO_LISTMODE_H
#define ISOTRACE_IO_LISTMODE_H

#include "io/hdf5.h"
#include "isotrace/gantry.h"
#include "isotrace/listmode.h"
#include "isotrace/singles.h"

#define ISO_LISTMODE_FORMAT "isotrace list-mode"
enum {
	ISO_LISTMODE_VERSION = 1,
	ISO_LISTMODE_BLOCK = 65536,       /* events per chunk, and per read and write */
	ISO_LISTMODE_INDEX_MS = 1000,     /* the index has one entry per this much time */
	ISO_LISTMODE_DEFLATE_LEVEL = 4,   /* crystal numbers are nearly random: more effort gains 1 % */
	ISO_LISTMODE_CHUNK_MOST = 1 << 25 /* numbers in a chunk that a reader takes */
};

/* The columns of /events, in the order of the arrays below. */
enum { ISO_COLUMN_TIME, ISO_COLUMN_ELEMENT, ISO_COLUMN_TOF, ISO_COLUMN_KIND, ISO_COLUMN_WINDOW, ISO_COLUMNS };
/* And those of /truth, which only the writer knows. */
enum { ISO_COLUMN_FATE = ISO_COLUMNS, ISO_COLUMN_SCATTERS, ISO_COLUMNS_WITH_TRUTH };
typedef struct iso_listmode_column {
	const char *name;
	size_t size; /* bytes of one number */
	unsigned per_event;
} iso_listmode_column;
extern const iso_listmode_column iso_listmode_columns[ISO_COLUMNS_WITH_TRUTH];
/* Names of iso_event_counts.rejected in /counts. */
extern const char *const iso_listmode_rejected[ISO_REJECT_REASONS];

/* One block of events as columns. */
typedef struct iso_listmode_block {
	uint32_t time_ms[ISO_LISTMODE_BLOCK];
	uint32_t element[ISO_LISTMODE_BLOCK][2];
	int16_t tof_bin[ISO_LISTMODE_BLOCK];
	uint8_t kind[ISO_LISTMODE_BLOCK];
	uint8_t window[ISO_LISTMODE_BLOCK];
	uint8_t fate[ISO_LISTMODE_BLOCK];
	uint8_t scatters[ISO_LISTMODE_BLOCK];
} iso_listmode_block;
void *iso_listmode_block_column(iso_listmode_block *block, int column);

/* /singles, when there are some. HDF5 to be entered. */
bool iso_listmode_put_singles(hid_t file, const iso_singles *singles);
/* *out NULL: the file has none. */
iso_status iso_listmode_get_singles(hid_t file, const char *path, const iso_scanner *scanner, double duration_s,
				    iso_singles **out, iso_error *err);

/* /gantry, the same way. scratch: of a double for each position. */
bool iso_listmode_put_gantry(hid_t file, const iso_gantry *gantry, void *scratch);
iso_status iso_listmode_get_gantry(hid_t file, const char *path, iso_gantry **out, iso_error *err);

/* /scanner, /acquisition, /counts and /provenance; numbers and texts that are not known are left out. HDF5 to be entered. */
bool iso_listmode_put_scanner(hid_t file, const iso_scanner *scanner);
bool iso_listmode_put_acquisition(hid_t file, const iso_acquisition *acquisition);
bool iso_listmode_put_counts(hid_t file, const iso_event_counts *counts);
/* NULL or "": none. */
bool iso_listmode_put_provenance(hid_t file, const char *json);
/* A table of floats; columns 0: one number a row. */
bool iso_listmode_put_floats(hid_t group, const char *name, const char *units, hsize_t rows, hsize_t columns,
			     const float *values);

/* What is wrong with the event for this scanner, or NULL. gantry: NULL when its positions are not known. */
const char *iso_listmode_event_fault(const iso_event *event, const iso_scanner *scanner, const iso_gantry *gantry);

#endif
