/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A file without a name for what does not fit into memory; it is gone when it is closed, however the program ends. */
#ifndef ISOTRACE_RECON_SCRATCH_FILE_H
#define ISOTRACE_RECON_SCRATCH_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "isotrace/status.h"

typedef struct iso_scratch_file {
	char folder[512];
	int descriptor; /* -1: nothing written yet, no file */
	int64_t end;    /* bytes written */
} iso_scratch_file;

/* folder NULL: $TMPDIR, or /tmp. Makes no file yet. */
iso_status iso_scratch_begin(iso_scratch_file *scratch, const char *folder, iso_error *err);
/* Appends; *offset: where. */
iso_status iso_scratch_write(iso_scratch_file *scratch, const void *bytes, size_t size, int64_t *offset,
			     iso_error *err);
/* Any thread may read while nobody writes. */
iso_status iso_scratch_read(const iso_scratch_file *scratch, void *bytes, size_t size, int64_t offset, iso_error *err);
/* Gives the space of a part that is no longer needed back to the disk, where the file system can. */
void iso_scratch_forget(const iso_scratch_file *scratch, int64_t offset, size_t size);
void iso_scratch_end(iso_scratch_file *scratch);

#endif
