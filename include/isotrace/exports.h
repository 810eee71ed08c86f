/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_EXPORTS_H
#define ISOTRACE_EXPORTS_H

#include <stdbool.h>

#include "isotrace/events.h"

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
} iso_export_options;
iso_export_options iso_export_options_default(void);

/* Opens any supported scanner export (native list-mode too) as a stream of events. */
iso_status iso_export_open(const char *path, const iso_export_options *options, iso_events **out, iso_error *err);

/* Scanner from a text crystal map (ring, det, [layer,] x, y, z), in the map's own coordinates. The positions are taken as
 * they stand; normals point away from the z axis. Element number = (layer * rings + ring) * dets + det. */
iso_status iso_crystal_map_read(const char *path, iso_scanner **out, iso_error *err);

/* PETLINK bin addresses, in the scanner that iso_export_open makes for them: exact inverse of each other.
 * tof_index is 0 without TOF. */
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
