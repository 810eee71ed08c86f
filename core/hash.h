/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SHA-256 (libmd) of values and files: keys of caches, provenance, DICOM UIDs. */
#ifndef ISOTRACE_CORE_HASH_H
#define ISOTRACE_CORE_HASH_H

#include <sha2.h>
#include <stddef.h>
#include <stdint.h>

#include "isotrace/image.h"
#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_hash {
	SHA2_CTX context;
} iso_hash;

void iso_hash_begin(iso_hash *hash);
void iso_hash_bytes(iso_hash *hash, const void *bytes, size_t size);
void iso_hash_text(iso_hash *hash, const char *text); /* with its terminator, so that "ab","c" is not "a","bc" */
void iso_hash_double(iso_hash *hash, double value);   /* every NAN alike, -0 as 0 */
void iso_hash_u64(iso_hash *hash, uint64_t value);
void iso_hash_grid(iso_hash *hash, const iso_grid *grid);
void iso_hash_end(iso_hash *hash, char hex[65]);

/* HMAC-SHA-256 (RFC 2104): what only those can work out who have the key. */
void iso_hash_keyed(const void *key, size_t key_size, const void *bytes, size_t size, char hex[65]);

iso_status iso_hash_file(const char *path, char hex[65], iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
