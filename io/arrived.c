/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/arrived.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static size_t count_entries(const char *folder)
{
	size_t count = 0;
	DIR *entries = opendir(folder);
	for (const struct dirent *e; entries && (e = readdir(entries)) != NULL;) count += e->d_name[0] != '.';
	if (entries) closedir(entries);
	return count;
}

size_t iso_arrived_objects(const char *study_folder, struct timespec *newest)
{
	size_t count = 0;
	if (newest) *newest = (struct timespec){.tv_sec = 0};
	DIR *series = opendir(study_folder);
	for (const struct dirent *s; series && (s = readdir(series)) != NULL;) {
		char path[PATH_MAX];
		struct stat info;
		if (s->d_name[0] == '.') continue;
		if ((size_t)snprintf(path, sizeof path, "%s/%s", study_folder, s->d_name) >= sizeof path) continue;
		/* A folder changes when an object gets its name in it. */
		if (newest && stat(path, &info) == 0 &&
		    (info.st_mtim.tv_sec > newest->tv_sec ||
		     (info.st_mtim.tv_sec == newest->tv_sec && info.st_mtim.tv_nsec > newest->tv_nsec)))
			*newest = info.st_mtim;
		count += count_entries(path);
	}
	if (series) closedir(series);
	return count;
}
