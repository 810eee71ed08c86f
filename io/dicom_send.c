/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which files go to a PACS, and where it is. The conversation itself is in io/dicom/store.cc. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "io/dicom/store.h"
#include "isotrace/dicom.h"

#define FORM "write AET@HOST:PORT, as in ORTHANC@localhost:4242"

/* An application entity's title: 1 to 16 printable characters, no backslash, not only spaces. */
static bool is_title(const char *text, size_t length)
{
	bool visible = false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < ' ' || text[i] > '~' || text[i] == '\\') return false;
		visible = visible || text[i] != ' ';
	}
	return visible && length <= 16;
}

iso_status iso_pacs_parse(const char *text, iso_pacs *pacs, iso_error *err)
{
	memset(pacs, 0, sizeof *pacs);
	const char *at = strchr(text, '@'), *colon = strrchr(text, ':');
	if (!at || !colon || colon < at || colon == at + 1 || (size_t)(colon - at) > sizeof pacs->host)
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM, "'%s' is no PACS", text);
	if (!is_title(text, (size_t)(at - text)))
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM ": a title has 1 to 16 plain characters",
				"'%.*s' is no title of a DICOM application", (int)(at - text), text);
	char *end;
	errno = 0;
	const unsigned long port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || errno || port < 1 || port > 65535)
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM, "'%s' is no port", colon + 1);
	memcpy(pacs->ae_title, text, (size_t)(at - text));
	memcpy(pacs->host, at + 1, (size_t)(colon - at - 1));
	if (strpbrk(pacs->host, " @:/"))
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM, "'%s' is no name of a host", pacs->host);
	pacs->port = (unsigned)port;
	strcpy(pacs->own_ae_title, "ISOTRACE");
	pacs->timeout_s = 30;
	return ISO_OK;
}

typedef struct {
	char **path;
	size_t count, room;
} list;

static void list_free(list *files)
{
	for (size_t i = 0; i < files->count; i++) free(files->path[i]);
	free(files->path);
}

static iso_status list_add(list *files, const char *path, iso_error *err)
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
static iso_status collect(const char *path, int depth, list *files, iso_error *err)
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

iso_status iso_dicom_send(const char *path, const iso_pacs *pacs, const iso_progress *progress, size_t *stored,
			  size_t *failed, iso_error *err)
{
	size_t counts[2] = {0, 0};
	list files = {.path = NULL};
	iso_status status = ISO_OK;
	if (!(pacs->timeout_s >= 1) || pacs->timeout_s > 86400 || pacs->port < 1 || pacs->port > 65535 ||
	    !is_title(pacs->ae_title, strlen(pacs->ae_title)) ||
	    !is_title(pacs->own_ae_title, strlen(pacs->own_ae_title)))
		status =
		    iso_fail(err, ISO_BAD_USAGE, NULL, "give titles of 1 to 16 characters and at least 1 s of timeout",
			     "the PACS is not described in full");
	if (status == ISO_OK) status = collect(path, 0, &files, err);
	if (status == ISO_OK)
		status = iso_dcm_store(path, (const char *const *)files.path, files.count, pacs, progress, &counts[0],
				       &counts[1], err);
	list_free(&files);
	if (stored) *stored = counts[0];
	if (failed) *failed = counts[1];
	return status;
}
