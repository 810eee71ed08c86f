/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/file_hash.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/hash.h"

struct iso_file_hash {
	pthread_t thread;
	bool started;
	char hex[65];
	iso_status status;
	iso_error err;
	char path[]; /* behind the rest */
};

static void *run(void *self)
{
	iso_file_hash *hash = self;
	hash->status = iso_hash_file(hash->path, hash->hex, &hash->err);
	return NULL;
}

iso_status iso_file_hash_begin(const char *path, iso_file_hash **out, iso_error *err)
{
	*out = NULL;
	iso_file_hash *hash = calloc(1, sizeof *hash + strlen(path) + 1);
	if (!hash) return iso_fail_memory(err, "the hash of a file", sizeof *hash + strlen(path) + 1);
	strcpy(hash->path, path);
	hash->started = pthread_create(&hash->thread, NULL, run, hash) == 0;
	*out = hash;
	return ISO_OK;
}

iso_status iso_file_hash_finish(iso_file_hash *hash, char hex[65], iso_error *err)
{
	if (!hash) return ISO_OK;
	if (hash->started)
		pthread_join(hash->thread, NULL);
	else if (hex)
		run(hash); /* the system had no thread to give */
	const iso_status status = hex ? hash->status : ISO_OK;
	if (status == ISO_OK && hex) memcpy(hex, hash->hex, sizeof hash->hex);
	if (status != ISO_OK && err) *err = hash->err;
	free(hash);
	return status;
}

void iso_file_identity(const char *path, char text[64])
{
	struct stat info;
	text[0] = '\0';
	if (stat(path, &info) != 0) return;
	snprintf(text, 64, "%lld bytes of %lld.%09ld", (long long)info.st_size, (long long)info.st_mtim.tv_sec,
		 info.st_mtim.tv_nsec);
}
