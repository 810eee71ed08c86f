/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"

/* .part-PID-NAME of a process that is no more, beside path, whose last part starts at `name`. On a folder that several
 * machines share, the number may be that of a process elsewhere: what was touched within the last ten minutes stays. */
static void remove_stale(const char *path, size_t name)
{
	char folder[PATH_MAX], stale[PATH_MAX + 300];
	snprintf(folder, sizeof folder, "%.*s", (int)name, name ? path : "");
	DIR *entries = opendir(name ? folder : ".");
	if (!entries) return;
	for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
		char *end;
		struct stat info;
		if (strncmp(entry->d_name, ".part-", 6) != 0) continue;
		const long pid = strtol(entry->d_name + 6, &end, 10);
		if (pid <= 0 || *end != '-' || strcmp(end + 1, path + name) != 0) continue;
		snprintf(stale, sizeof stale, "%s%s", folder, entry->d_name);
		if (kill((pid_t)pid, 0) == 0 || errno != ESRCH || lstat(stale, &info) != 0) continue;
		if (difftime(time(NULL), info.st_mtime) > 600) iso_remove_tree(stale);
	}
	closedir(entries);
}

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
	const char *name = iso_base_name(output->path);
	const int folder = (int)(name - output->path);
	const int n = snprintf(output->temporary, sizeof output->temporary, "%.*s.part-%ld-%s", folder, output->path,
			       (long)getpid(), name);
	if (n < 0 || (size_t)n >= sizeof output->temporary) {
		output->temporary[0] = '\0';
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the output's name is too long");
	}
	iso_remove_tree(output->temporary);
	remove_stale(output->path, (size_t)folder);
	return ISO_OK;
}

/* Flushes a file, or all that a folder holds, to the disk: a rename then never names an empty file after a power cut, and
 * a disk that only now finds itself full says so before anything has the final name. */
static iso_status flush(const char *path, bool folder, iso_error *err)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return iso_fail_errno(err, path, "cannot open what was just written");
	/* One call for the whole file system is far cheaper than one per file of a DICOM series. */
	const int failed = folder ? syncfs(fd) : fsync(fd);
	const int saved = errno;
	close(fd);
	errno = saved;
	if (failed && errno != EINVAL && errno != EROFS) return iso_fail_errno(err, path, "cannot flush to disk");
	return ISO_OK;
}

static const char *suffix_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot && dot != name ? dot : "";
}

/* Has the folder an entry of this name, or, for a file, one with the same non-empty suffix? */
static bool has_kind(const char *folder, const struct dirent *wanted)
{
	DIR *entries = opendir(folder);
	if (!entries) return false;
	bool found = false;
	const char *suffix = wanted->d_type == DT_DIR ? "" : suffix_of(wanted->d_name);
	for (const struct dirent *entry; !found && (entry = readdir(entries)) != NULL;)
		found = strcmp(entry->d_name, wanted->d_name) == 0 ||
			(*suffix && strcmp(suffix, suffix_of(entry->d_name)) == 0);
	closedir(entries);
	return found;
}

/* A folder is replaced as a whole. That must never cost somebody the photographs that lie in the folder which he named
 * by mistake: everything in the old one must be of a kind that the new one has, too. */
static iso_status check_replaceable(const char *old, const char *new, iso_error *err)
{
	DIR *entries = opendir(old);
	if (!entries) return iso_fail_errno(err, old, "cannot look into the folder that is to be replaced");
	iso_status status = ISO_OK;
	for (const struct dirent *entry; status == ISO_OK && (entry = readdir(entries)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		if (!has_kind(new, entry))
			status = iso_fail(err, ISO_BAD_USAGE, old, "choose another folder or move its contents away",
					  "this folder would be replaced, but it holds other things, such as '%.200s'",
					  entry->d_name);
	}
	closedir(entries);
	return status;
}

/* Puts a folder in the place of an existing one: in one step where the file system can swap two names, else by moving the
 * old one aside first, because rename() does not replace a folder that has something in it. */
static iso_status replace_folder(const char *temporary, const char *path, iso_error *err)
{
	const iso_status status = check_replaceable(path, temporary, err);
	if (status != ISO_OK) return status;
	if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
		iso_remove_tree(temporary);
		return ISO_OK;
	}
	char aside[PATH_MAX + 8];
	snprintf(aside, sizeof aside, "%s.old", temporary);
	iso_remove_tree(aside);
	if (rename(path, aside) != 0) return iso_fail_errno(err, path, "cannot move the old folder aside");
	if (rename(temporary, path) != 0) {
		const iso_status failed = iso_fail_errno(err, path, "cannot rename into place");
		(void)rename(aside, path);
		return failed;
	}
	iso_remove_tree(aside);
	return ISO_OK;
}

iso_status iso_output_commit(iso_output *output, iso_error *err)
{
	struct stat written, old;
	iso_status status = ISO_OK;
	if (lstat(output->temporary, &written) != 0)
		status = iso_fail_errno(err, output->path, "cannot find what was just written");
	const bool folder = status == ISO_OK && S_ISDIR(written.st_mode);
	if (status == ISO_OK) status = flush(output->temporary, folder, err);
	if (status == ISO_OK) {
		if (folder && lstat(output->path, &old) == 0 && S_ISDIR(old.st_mode))
			status = replace_folder(output->temporary, output->path, err);
		else if (rename(output->temporary, output->path) != 0)
			status = iso_fail_errno(err, output->path, "cannot rename into place");
	}
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

const char *iso_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

iso_status iso_make_directory(const char *path, iso_error *err)
{
	char part[PATH_MAX];
	if (!*path || strlen(path) >= sizeof part)
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the folder's name is %s",
				*path ? "too long" : "empty");
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

iso_status iso_open_to_read(const char *path, FILE **out, iso_error *err)
{
	*out = NULL;
	FILE *file = fopen(path, "rb");
	if (!file) {
		const int code = errno;
		const bool shortage = code == EMFILE || code == ENFILE || code == ENOMEM || code == EIO;
		return iso_fail(err, shortage ? ISO_IO : ISO_BAD_INPUT, path, "check the name and that it may be read",
				"cannot open: %s", strerror(code));
	}
	struct stat info;
	if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
		fclose(file);
		return iso_fail(err, ISO_BAD_INPUT, path, "name a file", "this is a folder");
	}
	*out = file;
	return ISO_OK;
}

static iso_status read_all(FILE *file, const char *path, size_t max_bytes, char **text, size_t *size, iso_error *err)
{
	size_t room = 4096;
	*size = 0;
	*text = malloc(room + 1);
	if (!*text) return iso_fail_memory(err, "reading a file", room);
	for (;;) {
		*size += fread(*text + *size, 1, room - *size, file);
		if (ferror(file)) return iso_fail_errno(err, path, "cannot read");
		if (*size > max_bytes)
			return iso_fail(err, ISO_BAD_INPUT, path, "check that this is the right file",
					"larger than the %zu bytes that such a file may have", max_bytes);
		if (*size < room) break;
		char *more = realloc(*text, 2 * room + 1);
		if (!more) return iso_fail_memory(err, "reading a file", 2 * room);
		*text = more;
		room *= 2;
	}
	(*text)[*size] = '\0';
	return ISO_OK;
}

iso_status iso_read_file(const char *path, size_t max_bytes, char **text, size_t *size, iso_error *err)
{
	*text = NULL;
	FILE *file;
	iso_status status = iso_open_to_read(path, &file, err);
	if (status != ISO_OK) return status;
	size_t used;
	status = read_all(file, path, max_bytes, text, &used, err);
	fclose(file);
	if (status != ISO_OK) {
		free(*text);
		*text = NULL;
		return status;
	}
	if (size) *size = used;
	return ISO_OK;
}
