/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which files go to a PACS, and where it is. The conversation itself is in io/dicom/store.cc. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom/store.h"
#include "io/file_list.h"
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

iso_status iso_dicom_send(const char *path, const iso_pacs *pacs, const iso_progress *progress, size_t *stored,
			  size_t *failed, iso_error *err)
{
	size_t counts[2] = {0, 0};
	iso_file_list files = {.path = NULL};
	iso_status status = ISO_OK;
	if (!(pacs->timeout_s >= 1) || pacs->timeout_s > 86400 || pacs->port < 1 || pacs->port > 65535 ||
	    !is_title(pacs->ae_title, strlen(pacs->ae_title)) ||
	    !is_title(pacs->own_ae_title, strlen(pacs->own_ae_title)))
		status =
		    iso_fail(err, ISO_BAD_USAGE, NULL, "give titles of 1 to 16 characters and at least 1 s of timeout",
			     "the PACS is not described in full");
	if (status == ISO_OK) status = iso_file_list_collect(path, &files, err);
	if (status == ISO_OK)
		status = iso_dcm_store(path, (const char *const *)files.path, files.count, pacs, progress, &counts[0],
				       &counts[1], err);
	iso_file_list_free(&files);
	if (stored) *stored = counts[0];
	if (failed) *failed = counts[1];
	return status;
}
