/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hostile scanner exports: whatever the bytes are, every reader must return. An input is one file, or two with a line "%%"
 * between them: a PETLINK header and its data (named x.l in the header), or a SAFIR file's crystal map and its events. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "isotrace/isotrace.h"
#include "tests/fuzz/scratch.h"

static void read_all(const char *path, const char *map)
{
	iso_error err;
	iso_events *events = NULL;
	iso_event batch[512];
	size_t count = 1;
	iso_export_options options = iso_export_options_default();
	options.crystal_map_path = map;
	options.count_only = !map;
	options.mean_depth_mm = 5;
	if (iso_export_open(path, &options, &events, &err) != ISO_OK) return;
	while (count && iso_events_read(events, batch, sizeof batch / sizeof *batch, &count, &err) == ISO_OK) continue;
	(void)iso_events_seek(events, 1, &err);
	(void)iso_events_read(events, batch, 2, &count, &err);
	iso_events_close(events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	iso_error err;
	iso_scanner *scanner;
	char map[4096];
	const uint8_t *cut = size ? memmem(data, size, "\n%%\n", 4) : NULL;
	const size_t first = cut ? (size_t)(cut - data) + 1 : 0, second = cut ? first + 3 : 0;
	if (cut) strncpy(map, scratch_file("map.txt", data, first), sizeof map - 1);
	map[sizeof map - 1] = '\0';
	if (cut && iso_crystal_map_read(map, &scanner, &err) == ISO_OK) iso_scanner_free(scanner);
	if (cut) {
		(void)scratch_file("x.l", data + second, size - second);
		read_all(scratch_file("x.l.hdr", data, first), NULL);
	}
	read_all(scratch_file("x.clm.safir", data + second, size - second), cut ? map : NULL);
	return 0;
}
