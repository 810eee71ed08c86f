/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The SHA-256 of a file, found in another thread while there is other work. */
#ifndef ISOTRACE_CORE_FILE_HASH_H
#define ISOTRACE_CORE_FILE_HASH_H

#include "isotrace/status.h"

typedef struct iso_file_hash iso_file_hash;

/* path is copied. What is wrong with the file is said by iso_file_hash_finish. */
iso_status iso_file_hash_begin(const char *path, iso_file_hash **out, iso_error *err);
/* Waits for it; frees. hex NULL: not wanted any more. NULL-safe. */
iso_status iso_file_hash_finish(iso_file_hash *hash, char hex[65], iso_error *err);

/* Tells a file from others, and from itself before it was changed, without reading it: its size and when it was last written.
 * "" when there is no such file. */
void iso_file_identity(const char *path, char text[64]);

#endif
