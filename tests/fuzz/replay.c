/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs a fuzzing target over the files of a folder and prints TAP: one test, that all of them return. A crash ends it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/output.h"
#include "tests/fuzz/scratch.h"

/* The slowest takes milliseconds; under sanitizers, and on a busy machine, still far from this. */
#define HANG_S 30.0

int main(int count, char **arguments)
{
	struct dirent **entry;
	int files = 0, slow = 0;
	puts("1..1");
	const int entries = count == 3 ? scandir(arguments[2], &entry, NULL, alphasort) : -1;
	for (int e = 0; e < entries; e++) {
		char path[PATH_MAX], *bytes;
		size_t size;
		snprintf(path, sizeof path, "%s/%s", arguments[2], entry[e]->d_name);
		if (entry[e]->d_name[0] != '.' && iso_read_file(path, 1u << 24, &bytes, &size, NULL) == ISO_OK) {
			struct timespec from, to;
			/* should it die, the last name is the culprit's */
			printf("# %s\n", entry[e]->d_name);
			fflush(stdout);
			clock_gettime(CLOCK_MONOTONIC, &from);
			(void)LLVMFuzzerTestOneInput((const uint8_t *)bytes, size);
			clock_gettime(CLOCK_MONOTONIC, &to);
			if (difftime(to.tv_sec, from.tv_sec) > HANG_S) slow++;
			free(bytes);
			files++;
		}
		free(entry[e]);
	}
	if (entries >= 0) free(entry);
	printf("%s 1 - %s: the fuzzing corpus returns (%d files, %d slow)\n", files && !slow ? "ok" : "not ok",
	       count == 3 ? arguments[1] : "?", files, slow);
	return files && !slow ? 0 : 1;
}
