/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"

void iso_file_list_free(iso_file_list *files)
{
	for (size_t i = 0; i < files->count; i++) free(files->path[i]);
	free(files->path);
}

static iso_status list_add(iso_file_list *files, const char *path, iso_error *err)
{
	if (files->count == files->room) {
		const size_t room = files->room ? 2 * files->room : 256;
		char **more = realloc(files->path, room * sizeof *more);
		if (!more) return iso_fail_memory(err, "a list of files", room * sizeof *more);
		files->path = more;
		files->room = room;
	}
	if (!(files->path[files->count] = strdup(path))) return iso_fail_memory(err, "a list of files", strlen(path));
	files->count++;
	return ISO_OK;
}

/* Everything below the path, in the order of names; links to folders are not followed, so that there is no circle. */
static iso_status collect(const char *path, int depth, iso_file_list *files, iso_error *err)
{
	struct stat info;
	if ((depth ? lstat(path, &info) : stat(path, &info)) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "check the name and that it may be read", "cannot open: %s",
				strerror(errno));
	if (!S_ISDIR(info.st_mode)) {
		struct stat target;
		const bool plain = stat(path, &target) == 0 && S_ISREG(target.st_mode);
		return plain ? list_add(files, path, err) : ISO_OK;
	}
	struct dirent **entry = NULL;
	const int count = depth < 32 ? scandir(path, &entry, NULL, alphasort) : 0;
	if (count < 0) return iso_fail_errno(err, path, "cannot list the folder");
	iso_status status = ISO_OK;
	for (int e = 0; e < count; e++) {
		char below[PATH_MAX];
		if (status == ISO_OK && entry[e]->d_name[0] != '.') {
			if ((size_t)snprintf(below, sizeof below, "%s/%s", path, entry[e]->d_name) >= sizeof below)
				status = iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path",
						  "a name below is too long");
			else
				status = collect(below, depth + 1, files, err);
		}
		free(entry[e]);
	}
	free(entry);
	return status;
}

iso_status iso_file_list_collect(const char *path, iso_file_list *files, iso_error *err)
{
	return collect(path, 0, files, err);
}
