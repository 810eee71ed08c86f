/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the readers of scanner exports share. A format says how one record is decoded; record_stream.c reads the file in
 * bounded memory, keeps the time and counts every record's fate. */
#ifndef ISOTRACE_IO_EXPORTS_EXPORTS_H
#define ISOTRACE_IO_EXPORTS_EXPORTS_H

#include "io/json.h"
#include "isotrace/exports.h"

/* The fate of one record. */
typedef enum iso_fate {
	ISO_FATE_PROMPT,
	ISO_FATE_DELAYED,
	ISO_FATE_TIME, /* a time tag; *tag_ms is set */
	ISO_FATE_OTHER_TAG,
	ISO_FATE_REJECTED /* + reason */
} iso_fate;

typedef struct iso_record_format {
	const char *name;
	size_t record_bytes;        /* 4 or 8, little-endian */
	const char *outside_remedy; /* what to do when many events name elements that the scanner does not have */
	/* Sets event->element, tof_bin and window for an event, *tag_ms for a time tag. */
	int (*decode)(const void *format, uint64_t record, iso_event *event, uint64_t *tag_ms);
	void (*free)(void *format);
} iso_record_format;

typedef struct iso_record_file {
	const char *path;
	int64_t offset; /* of the first record, bytes */
	const iso_record_format *methods;
	void *format; /* owned by the stream, freed on failure too */
	/* As the header states them; 0 and NAN = not stated. */
	uint64_t stated_records;
	double stated_duration_s;
	bool require_complete; /* fewer records than stated are an error and not a warning */
	bool tags_from_start;  /* the time tags count from acquisition.start_utc_s */
} iso_record_file;

/* Takes ownership of file->format, scanner and facts (the JSON of iso_export_provenance, to which it adds). */
iso_status iso_record_stream_open(const iso_record_file *file, iso_scanner *scanner, const iso_acquisition *acquisition,
				  iso_json *facts, iso_events **out, iso_error *err);
/* Number of records in the file of a stream made by iso_record_stream_open, else 0. */
uint64_t iso_record_stream_records(const iso_events *events);

/* Adds to the array facts["warnings"]. */
void iso_export_warn(iso_json *facts, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The export's own facts, completed by what the user stated; a contradiction is ISO_BAD_INPUT. */
iso_status iso_export_merge(iso_acquisition *own, const iso_acquisition *stated, const char *path, iso_error *err);

/* A crystal map and the grid of its numbers. */
typedef struct iso_crystal_grid {
	uint32_t layers, rings, dets;
} iso_crystal_grid;
iso_status iso_crystal_map_load(const char *path, iso_scanner **out, iso_crystal_grid *grid, iso_error *err);

iso_status iso_petlink_open(const char *header_path, const iso_export_options *options, iso_events **out,
			    iso_error *err);
iso_status iso_safir_open(const char *path, const iso_export_options *options, iso_events **out, iso_error *err);

/* A PETLINK text header: keys are compared without regard to case, spaces, underscores, '!' and '%'. */
typedef struct iso_petlink_header {
	char path[512];
	char data_path[1024]; /* resolved */
	int64_t data_offset;
	char originating_system[64];
	char orientation[16];
	iso_petlink_layout layout;
	double radius_mm, ring_spacing_mm;
	uint64_t words;
	double duration_s;
	iso_acquisition acquisition;
	char warning[256]; /* "" = none */
} iso_petlink_header;
iso_status iso_petlink_header_read(const char *path, iso_petlink_header *header, iso_error *err);
/* Is this text the beginning of a PETLINK header? */
bool iso_petlink_header_recognised(const char *text);
/* The data file that a header names, resolved; false when it names none or is no PETLINK header. */
bool iso_petlink_header_data(const char *path, char data_path[1024]);

/* Parts of an address. */
void iso_petlink_transaxial(const iso_petlink_layout *layout, uint32_t tang, uint32_t view, uint32_t det[2]);
bool iso_petlink_axial(const iso_petlink_layout *layout, uint32_t sinogram, uint32_t ring[2]);
/* NULL, or what makes the layout impossible. Sets sinograms. */
const char *iso_petlink_layout_finish(iso_petlink_layout *layout);

#endif
