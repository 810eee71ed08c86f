/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/hash.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"

void iso_hash_begin(iso_hash *hash)
{
	SHA256Init(&hash->context);
}

void iso_hash_bytes(iso_hash *hash, const void *bytes, size_t size)
{
	SHA256Update(&hash->context, bytes, size);
}

void iso_hash_text(iso_hash *hash, const char *text)
{
	iso_hash_bytes(hash, text, strlen(text) + 1);
}

void iso_hash_double(iso_hash *hash, double value)
{
	uint64_t bits = 0x7ff8000000000000u;
	if (!isnan(value)) {
		value += 0.0; /* -0 becomes 0 */
		memcpy(&bits, &value, sizeof bits);
	}
	iso_hash_u64(hash, bits);
}

void iso_hash_u64(iso_hash *hash, uint64_t value)
{
	uint8_t bytes[8];
	for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
	iso_hash_bytes(hash, bytes, sizeof bytes);
}

void iso_hash_grid(iso_hash *hash, const iso_grid *grid)
{
	for (int a = 0; a < 3; a++) {
		iso_hash_u64(hash, grid->size[a]);
		iso_hash_double(hash, grid->voxel_mm[a]);
		iso_hash_double(hash, grid->origin_mm[a]);
		for (int b = 0; b < 3; b++) iso_hash_double(hash, grid->direction[a][b]);
	}
}

void iso_hash_end(iso_hash *hash, char hex[65])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256Final(digest, &hash->context);
	for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void iso_hash_keyed(const void *key, size_t key_size, const void *bytes, size_t size, char hex[65])
{
	uint8_t block[SHA256_BLOCK_LENGTH] = {0}, pad[sizeof block], digest[SHA256_DIGEST_LENGTH];
	iso_hash hash;
	if (key_size > sizeof block) {
		iso_hash_begin(&hash);
		iso_hash_bytes(&hash, key, key_size);
		SHA256Final(block, &hash.context);
	} else
		memcpy(block, key, key_size);
	for (size_t i = 0; i < sizeof pad; i++) pad[i] = block[i] ^ 0x36;
	iso_hash_begin(&hash);
	iso_hash_bytes(&hash, pad, sizeof pad);
	iso_hash_bytes(&hash, bytes, size);
	SHA256Final(digest, &hash.context);
	for (size_t i = 0; i < sizeof pad; i++) pad[i] = block[i] ^ 0x5c;
	iso_hash_begin(&hash);
	iso_hash_bytes(&hash, pad, sizeof pad);
	iso_hash_bytes(&hash, digest, sizeof digest);
	iso_hash_end(&hash, hex);
}

iso_status iso_hash_file(const char *path, char hex[65], iso_error *err)
{
	FILE *file;
	const iso_status status = iso_open_to_read(path, &file, err);
	if (status != ISO_OK) return status;
	iso_hash hash;
	iso_hash_begin(&hash);
	unsigned char buffer[65536];
	size_t got;
	while ((got = fread(buffer, 1, sizeof buffer, file)) > 0) iso_hash_bytes(&hash, buffer, got);
	const int failed = ferror(file);
	fclose(file);
	if (failed) return iso_fail(err, ISO_IO, path, "check the disk", "cannot read");
	iso_hash_end(&hash, hex);
	return ISO_OK;
}
