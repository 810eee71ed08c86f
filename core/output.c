/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/output.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

iso_status iso_output_begin(iso_output *output, const char *path, iso_error *err)
{
	output->temporary[0] = '\0';
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/') length--;
	if (length == 0 || length >= sizeof output->path)
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the output's name is %s",
				length ? "too long" : "empty");
	memcpy(output->path, path, length);
	output->path[length] = '\0';
	const char *slash = strrchr(output->path, '/');
	const char *name = slash ? slash + 1 : output->path;
	const int folder = (int)(name - output->path);
	const int n = snprintf(output->temporary, sizeof output->temporary, "%.*s.part-%ld-%s", folder, output->path,
			       (long)getpid(), name);
	if (n < 0 || (size_t)n >= sizeof output->temporary) {
		output->temporary[0] = '\0';
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the output's name is too long");
	}
	iso_remove_tree(output->temporary);
	return ISO_OK;
}

/* Flushes one file to the disk, so that a rename never names an empty file after a power cut. */
static iso_status flush(const char *path, iso_error *err)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return iso_fail_errno(err, path, "cannot open what was just written");
	const int failed = fsync(fd);
	const int saved = errno;
	close(fd);
	errno = saved;
	if (failed && errno != EINVAL && errno != EROFS) return iso_fail_errno(err, path, "cannot flush to disk");
	return ISO_OK;
}

iso_status iso_output_commit(iso_output *output, iso_error *err)
{
	struct stat info;
	iso_status status = flush(output->temporary, err);
	if (status == ISO_OK && lstat(output->path, &info) == 0 && S_ISDIR(info.st_mode)) {
		/* rename() cannot replace a folder that has something in it: move the old one aside first. */
		iso_output old;
		status = iso_output_begin(&old, output->path, err);
		if (status == ISO_OK) {
			char aside[PATH_MAX];
			if ((size_t)snprintf(aside, sizeof aside, "%s.old", output->temporary) >= sizeof aside ||
			    rename(output->path, aside) != 0)
				status = iso_fail_errno(err, output->path, "cannot move the old folder aside");
			else if (rename(output->temporary, output->path) != 0) {
				status = iso_fail_errno(err, output->path, "cannot rename into place");
				(void)rename(aside, output->path);
			} else
				iso_remove_tree(aside);
		}
	} else if (status == ISO_OK && rename(output->temporary, output->path) != 0)
		status = iso_fail_errno(err, output->path, "cannot rename into place");
	if (status != ISO_OK) iso_output_discard(output);
	output->temporary[0] = '\0';
	return status;
}

void iso_output_discard(iso_output *output)
{
	if (output->temporary[0]) iso_remove_tree(output->temporary);
	output->temporary[0] = '\0';
}

iso_status iso_output_write(const char *path, const void *bytes, size_t size, iso_error *err)
{
	iso_output output;
	iso_status status = iso_output_begin(&output, path, err);
	if (status != ISO_OK) return status;
	FILE *file = fopen(output.temporary, "wb");
	if (!file) return iso_fail_errno(err, path, "cannot create");
	const int written = fwrite(bytes, 1, size, file) == size && fflush(file) == 0;
	const int saved = errno;
	const int closed = fclose(file) == 0;
	if (!written || !closed) {
		if (!written) errno = saved;
		status = iso_fail_errno(err, path, "cannot write");
		iso_output_discard(&output);
		return status;
	}
	return iso_output_commit(&output, err);
}

iso_status iso_make_directory(const char *path, iso_error *err)
{
	char part[PATH_MAX];
	if (strlen(path) >= sizeof part)
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the name is too long");
	strcpy(part, path);
	for (char *at = part + 1;; at++) {
		if (*at != '/' && *at != '\0') continue;
		const char kept = *at;
		*at = '\0';
		if (mkdir(part, 0777) != 0 && errno != EEXIST)
			return iso_fail_errno(err, part, "cannot make the folder");
		*at = kept;
		if (!kept) break;
	}
	struct stat info;
	if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
		return iso_fail(err, ISO_IO, path, "choose another folder", "there is a file of this name");
	return ISO_OK;
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *where)
{
	(void)info, (void)flag, (void)where;
	(void)remove(path);
	return 0;
}

void iso_remove_tree(const char *path)
{
	(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

iso_status iso_read_file(const char *path, size_t max_bytes, char **text, size_t *size, iso_error *err)
{
	*text = NULL;
	FILE *file = fopen(path, "rb");
	if (!file) {
		const iso_status kind = errno == ENOENT || errno == EACCES || errno == ENOTDIR ? ISO_BAD_INPUT : ISO_IO;
		return iso_fail(err, kind, path, "check the name and that it may be read", "cannot open: %s",
				strerror(errno));
	}
	struct stat info;
	if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
		fclose(file);
		return iso_fail(err, ISO_BAD_INPUT, path, "name a file", "this is a folder");
	}
	size_t used = 0, room = 4096;
	char *bytes = malloc(room + 1);
	iso_status status = bytes ? ISO_OK : iso_fail_memory(err, "reading a file", room);
	while (status == ISO_OK) {
		const size_t got = fread(bytes + used, 1, room - used, file);
		used += got;
		if (used < room) {
			if (ferror(file)) status = iso_fail_errno(err, path, "cannot read");
			break;
		}
		if (room > max_bytes) {
			status = iso_fail(err, ISO_BAD_INPUT, path, "check that this is the right file",
					  "larger than the %zu bytes that such a file may have", max_bytes);
			break;
		}
		char *more = realloc(bytes, 2 * room + 1);
		if (!more) {
			status = iso_fail_memory(err, "reading a file", 2 * room);
			break;
		}
		bytes = more;
		room *= 2;
	}
	fclose(file);
	if (status != ISO_OK) {
		free(bytes);
		return status;
	}
	bytes[used] = '\0';
	*text = bytes;
	if (size) *size = used;
	return ISO_OK;
}
