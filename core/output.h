/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Outputs are written beside their name and renamed when whole: whoever sees the name sees the whole file. */
#ifndef ISOTRACE_CORE_OUTPUT_H
#define ISOTRACE_CORE_OUTPUT_H

#include <limits.h>
#include <stddef.h>
#include <stdio.h>

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_output {
	char path[PATH_MAX];
	char temporary[PATH_MAX]; /* write here; same folder, same ending as path; "" = nothing begun */
} iso_output;

/* Chooses the temporary name; creates nothing. Removes temporaries of the same output whose process is no more: what a killed
 * run has left. */
iso_status iso_output_begin(iso_output *output, const char *path, iso_error *err);
/* Makes what was written at `temporary` (file or folder) durable and gives it its name. A folder replaces an existing
 * one, unless that holds things of another kind (by name or suffix) than the new one: ISO_BAD_USAGE, and nothing is lost.
 * A file never replaces a folder. On failure the temporary is removed. */
iso_status iso_output_commit(iso_output *output, iso_error *err);
/* Removes the temporary (file or folder). Safe when nothing was begun or written. */
void iso_output_discard(iso_output *output);

/* All of it in one: a small text or binary file. */
iso_status iso_output_write(const char *path, const void *bytes, size_t size, iso_error *err);

/* Name without its folder: part of path. */
const char *iso_base_name(const char *path);
/* mkdir -p. */
iso_status iso_make_directory(const char *path, iso_error *err);
/* rm -r of a file or folder; ignores what is not there. */
void iso_remove_tree(const char *path);
/* Opens a file for reading; what is not there, may not be read or is a folder: ISO_BAD_INPUT. */
iso_status iso_open_to_read(const char *path, FILE **out, iso_error *err);
/* Reads a whole file (at most max_bytes, else ISO_BAD_INPUT); *text is NUL-terminated and owned by the caller. */
iso_status iso_read_file(const char *path, size_t max_bytes, char **text, size_t *size, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
