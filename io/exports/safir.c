/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SAFIR coincidence list-mode (.clm.safir): a signature of 32 bytes, then little-endian words of 64 bits.
 *   bit 63 = 1: time tag, bits 0..47 milliseconds.
 *   bit 63 = 0: event, ring A 0..7, ring B 8..15, det A 16..31, det B 32..47, layer A 48..51, layer B 52..55,
 *               reserved 56..61, delayed 62.
 * NeuroLF files use three bits for each layer and carry the same signature: nothing in them tells the two apart, so they
 * are not read; a word with reserved bits set is counted as malformed. */
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/output.h"
#include "io/exports/exports.h"

enum { SIGNATURE_BYTES = 32 };

typedef struct safir_format {
	iso_crystal_grid grid;
} safir_format;

static int decode(const void *format, uint64_t w, iso_event *event, uint64_t *tag_ms)
{
	const iso_crystal_grid *grid = &((const safir_format *)format)->grid;
	if (w >> 63) {
		*tag_ms = w & 0xffffffffffffu;
		return (w >> 48) == 0x8000u ? ISO_FATE_TIME : ISO_FATE_REJECTED + ISO_REJECT_MALFORMED;
	}
	if (w >> 56 & 0x3fu) return ISO_FATE_REJECTED + ISO_REJECT_MALFORMED;
	for (int end = 0; end < 2; end++) {
		const uint32_t ring = (uint32_t)(w >> (8 * end) & 0xffu),
			       det = (uint32_t)(w >> (16 + 16 * end) & 0xffffu),
			       layer = (uint32_t)(w >> (48 + 4 * end) & 0xfu);
		if (ring >= grid->rings || det >= grid->dets || layer >= grid->layers)
			return ISO_FATE_REJECTED + ISO_REJECT_OUTSIDE_SCANNER;
		event->element[end] = (layer * grid->rings + ring) * grid->dets + det;
	}
	if (event->element[0] == event->element[1]) return ISO_FATE_REJECTED + ISO_REJECT_SAME_ELEMENT;
	event->tof_bin = 0;
	event->window = 0;
	return w >> 62 & 1u ? ISO_FATE_DELAYED : ISO_FATE_PROMPT;
}

static const iso_record_format safir_records = {.name = "SAFIR list-mode",
						.record_bytes = 8,
						.outside_remedy = "give the crystal map of this scanner",
						.decode = decode,
						.free = free};

static iso_status load_scanner(const char *path, const iso_export_options *options, iso_crystal_grid *grid,
			       iso_scanner **scanner, iso_json *facts, iso_error *err)
{
	if (options->crystal_map_path) {
		const iso_status status = iso_crystal_map_load(options->crystal_map_path, scanner, grid, err);
		if (status != ISO_OK) return status;
		(*scanner)->calibration_factor = options->calibration_factor;
		(*scanner)->calibration_uncertainty = options->calibration_uncertainty;
		iso_json_put(facts, "crystal_map", iso_json_readable(iso_base_name(options->crystal_map_path)));
		return ISO_OK;
	}
	if (!options->count_only)
		return iso_fail(err, ISO_BAD_USAGE, path, "give it with --crystal-map FILE",
				"a SAFIR export says where its crystals are in a crystal map");
	/* Whatever the bits can say. */
	*grid = (iso_crystal_grid){.layers = 16, .rings = 256, .dets = 65536};
	return iso_scanner_create(2, "", scanner, err);
}

iso_status iso_safir_open(const char *path, const iso_export_options *options, iso_events **out, iso_error *err)
{
	iso_scanner *scanner = NULL;
	iso_acquisition acquisition = iso_acquisition_unknown();
	acquisition.modality = ISO_MODALITY_PET;
	safir_format *format = calloc(1, sizeof *format);
	iso_json facts = iso_json_begin();
	iso_json_put(&facts, "format", json_string(safir_records.name));
	iso_json_put(&facts, "data", iso_json_readable(iso_base_name(path)));
	iso_status status = ISO_OK;
	if (!format) status = iso_fail_memory(err, "reading an export", sizeof *format);
	if (status == ISO_OK) status = iso_export_merge(&acquisition, &options->stated, path, err);
	if (status == ISO_OK) status = load_scanner(path, options, &format->grid, &scanner, &facts, err);
	if (status != ISO_OK) {
		iso_scanner_free(scanner);
		free(format);
		iso_json_end(&facts);
		return status;
	}
	/* What the format does not state is what the user stated: the scanner's name too. */
	snprintf(scanner->name, sizeof scanner->name, "%s", acquisition.scanner_name);
	const iso_record_file file = {.path = path,
				      .offset = SIGNATURE_BYTES,
				      .methods = &safir_records,
				      .format = format,
				      .stated_duration_s = options->stated.duration_s};
	/* The tags' zero is the clock of the electronics: the first tag is the start. */
	return iso_record_stream_open(&file, scanner, &acquisition, &facts, out, err);
}
