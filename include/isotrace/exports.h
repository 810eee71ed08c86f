/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_EXPORTS_H
#define ISOTRACE_EXPORTS_H

#include <stdbool.h>

#include "isotrace/events.h"
#include "isotrace/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a file is, from its content and not from its name. */
typedef enum iso_file_kind {
	ISO_FILE_UNKNOWN = 0,
	ISO_FILE_LISTMODE,       /* native */
	ISO_FILE_PETLINK_HEADER, /* Siemens PETLINK bin-address list-mode, text header */
	ISO_FILE_SAFIR,          /* .clm.safir */
	ISO_FILE_NIFTI,
	ISO_FILE_DICOM
} iso_file_kind;
iso_status iso_file_identify(const char *path, iso_file_kind *kind, iso_error *err);
const char *iso_file_kind_text(iso_file_kind kind);

/* What a reader needs beside the export itself. */
typedef struct iso_export_options {
	const char *crystal_map_path; /* SAFIR: required */
	/* Facts that the export does not state; the reader keeps its own where it has them, and a contradiction is an
	 * error. Start from iso_acquisition_unknown(). */
	iso_acquisition stated;
	/* PETLINK: mean depth of interaction behind the crystals' front faces, mm. No header states it; it is built in for
	 * the scanners that docs/exports.md lists and must be given for any other. NAN = not given. */
	double mean_depth_mm;
	double calibration_factor;      /* for the scanner, see recon.h; NAN = not calibrated */
	double calibration_uncertainty; /* relative, k = 1; NAN = not stated */
	/* A file that holds fewer whole records than its header says is refused; otherwise what is there is read, the
	 * duration is that of its time tags, and a warning stays in the provenance. A record cut in two is always refused. */
	bool require_complete;
	/* Only the counts are wanted: a missing crystal map is no error, the stream's scanner then has no geometry. */
	bool count_only;
} iso_export_options;
iso_export_options iso_export_options_default(void);

/* Opens any supported scanner export (native list-mode too) as a stream of events. options: NULL = the default. A PETLINK
 * export is named by its header, or by its data file when exactly one header in that folder points to it.
 * Time 0 is the export's first time tag (acquisition.start_utc_s is moved accordingly), an event's time is that of the last
 * tag before it, and acquisition.duration_s is last tag - first tag. Seeking reads from the start. */
iso_status iso_export_open(const char *path, const iso_export_options *options, iso_events **out, iso_error *err);

/* What the export said of itself, as a JSON object (format, files, header's facts, warnings: [texts]); valid until the
 * events are closed. NULL when the stream is not from an export. */
const char *iso_export_provenance(const iso_events *events);

/* Passes the warnings that the export's reader left in the provenance (cut short, ...) to progress->note, a line each. */
void iso_export_note_warnings(const iso_events *events, const iso_progress *progress);

/* The whole of an export into a native list-mode file, whose provenance has iso_export_provenance, the files' SHA-256 and
 * the options; what `isotrace convert` does. counts and provenance_json (to be freed with free()) may be NULL. */
iso_status iso_export_convert(const char *path, const iso_export_options *options, const char *listmode_path,
			      const iso_progress *progress, iso_event_counts *counts, char **provenance_json,
			      iso_error *err);

/* Scanner from a text crystal map (ring, det, [layer,] x, y, z), in the map's own coordinates. The positions are taken as
 * they stand; normals point away from the z axis. Element number = (layer * rings + ring) * dets + det. */
iso_status iso_crystal_map_read(const char *path, iso_scanner **out, iso_error *err);

/* PETLINK bin addresses, in the scanner that iso_export_open makes for them: exact inverse of each other. tof_index is
 * the TOF number within the address, 0 without TOF. pair_to_address takes the two elements in either order when
 * there is no TOF; with TOF the order decides about the sign and must be that of address_to_pair. */
typedef struct iso_petlink_layout {
	uint32_t tangs, views, rings, crystals_per_ring, max_ring_difference, sinograms, tof_bins;
} iso_petlink_layout;
iso_status iso_petlink_header_layout(const char *header_path, iso_petlink_layout *layout, iso_error *err);
/* false: the address lies outside the layout. */
bool iso_petlink_address_to_pair(const iso_petlink_layout *layout, uint32_t address, uint32_t element[2],
				 int32_t *tof_index);
bool iso_petlink_pair_to_address(const iso_petlink_layout *layout, const uint32_t element[2], int32_t tof_index,
				 uint32_t *address);

#ifdef __cplusplus
}
#endif
#endif
