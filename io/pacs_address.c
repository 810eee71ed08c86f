/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * AET@HOST:PORT. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/pacs_title.h"
#include "isotrace/pacs.h"

#define FORM "write AET@HOST:PORT, as in ORTHANC@localhost:4242"

bool iso_is_ae_title(const char *text, size_t length)
{
	bool visible = false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < ' ' || text[i] > '~' || text[i] == '\\') return false;
		visible = visible || text[i] != ' ';
	}
	return visible && length <= 16;
}

bool iso_is_host(const char *text)
{
	return *text && !strpbrk(text, " @:/");
}

iso_status iso_pacs_parse(const char *text, iso_pacs *pacs, iso_error *err)
{
	*pacs = (iso_pacs){.own_ae_title = "ISOTRACE", .timeout_s = 30, .retries = 3, .commitment_wait_s = 60};
	const char *at = strchr(text, '@'), *colon = strrchr(text, ':');
	if (!at || !colon || colon < at || colon == at + 1 || (size_t)(colon - at) > sizeof pacs->host)
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM, "'%s' is no PACS", text);
	if (!iso_is_ae_title(text, (size_t)(at - text)))
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM ": a title has 1 to 16 plain characters",
				"'%.*s' is no title of a DICOM application", (int)(at - text), text);
	char *end;
	errno = 0;
	const unsigned long port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || errno || port < 1 || port > 65535)
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM, "'%s' is no port", colon + 1);
	memcpy(pacs->ae_title, text, (size_t)(at - text));
	memcpy(pacs->host, at + 1, (size_t)(colon - at - 1));
	if (!iso_is_host(pacs->host))
		return iso_fail(err, ISO_BAD_USAGE, NULL, FORM, "'%s' is no name of a host", pacs->host);
	pacs->port = (unsigned)port;
	snprintf(pacs->name, sizeof pacs->name, "%.*s", (int)sizeof pacs->name - 1, text);
	return ISO_OK;
}
