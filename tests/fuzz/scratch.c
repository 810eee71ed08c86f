/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "tests/fuzz/scratch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static char path[PATH_MAX];

static void clean(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	if (system(command) != 0) fprintf(stderr, "%s stays\n", folder);
}

const char *scratch_file(const char *name, const uint8_t *data, size_t size)
{
	if (!folder[0]) {
		strcpy(folder,
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm/isotrace-fuzz-XXXXXX" : "/tmp/isotrace-fuzz-XXXXXX");
		if (!mkdtemp(folder)) abort();
		(void)atexit(clean);
	}
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
	return path;
}
