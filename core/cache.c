/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/cache.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"

/* In the machine's byte order, which byte_order tells: another machine's entry counts as not there. */
typedef struct cache_header {
	char magic[8];
	uint32_t version, byte_order;
	uint64_t count;
	char key[64];
	char payload_sha256[64];
} cache_header;

static cache_header describe(const char *key, const float *values, size_t count)
{
	cache_header header = {.version = 1, .byte_order = 0x01020304, .count = count};
	memcpy(header.magic, "ISOCACHE", sizeof header.magic);
	memcpy(header.key, key, sizeof header.key);
	char hex[65];
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_bytes(&hash, values, count * sizeof *values);
	iso_hash_end(&hash, hex);
	memcpy(header.payload_sha256, hex, sizeof header.payload_sha256);
	return header;
}

static bool entry_name(const char *folder, const char *key, char path[PATH_MAX])
{
	const int n = snprintf(path, PATH_MAX, "%s/%s.cache", folder, key);
	return strlen(key) == 64 && n > 0 && n < PATH_MAX;
}

bool iso_cache_load(const char *folder, const char *key, float *values, size_t count)
{
	char path[PATH_MAX];
	FILE *file = entry_name(folder, key, path) ? fopen(path, "rb") : NULL;
	if (!file) return false;
	cache_header found;
	const bool whole = fread(&found, sizeof found, 1, file) == 1 && found.count == count &&
			   fread(values, sizeof *values, count, file) == count && fgetc(file) == EOF;
	fclose(file);
	if (!whole) return false;
	const cache_header expected = describe(key, values, count);
	return memcmp(&found, &expected, sizeof found) == 0;
}

iso_status iso_cache_store(const char *folder, const char *key, const float *values, size_t count, iso_error *err)
{
	char path[PATH_MAX];
	if (!entry_name(folder, key, path))
		return iso_fail(err, ISO_BAD_USAGE, folder, "give a shorter path", "cannot name an entry of the cache");
	iso_output output;
	iso_status status = iso_make_directory(folder, err);
	if (status == ISO_OK) status = iso_output_begin(&output, path, err);
	if (status != ISO_OK) return status;
	const cache_header header = describe(key, values, count);
	FILE *file = fopen(output.temporary, "wb");
	if (!file) return iso_fail_errno(err, path, "cannot create");
	const bool written = fwrite(&header, sizeof header, 1, file) == 1 &&
			     fwrite(values, sizeof *values, count, file) == count && fflush(file) == 0;
	const int saved = errno;
	const bool closed = fclose(file) == 0;
	if (!written || !closed) {
		if (!written) errno = saved;
		status = iso_fail_errno(err, path, "cannot write");
		iso_output_discard(&output);
		return status;
	}
	return iso_output_commit(&output, err);
}
