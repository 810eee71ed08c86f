/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What DICOMweb needs of HTTP, through libcurl: requests with our proof of who we are, over TLS whose certificate is checked. */
#ifndef ISOTRACE_IO_HTTP_H
#define ISOTRACE_IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "isotrace/pacs.h"

typedef struct iso_http iso_http;

iso_status iso_http_open(const iso_pacs_web *web, double timeout_s, iso_http **out, iso_error *err);
void iso_http_close(iso_http *http);
/* Makes a text fit for a URL; to be freed with iso_http_free. */
char *iso_http_escape(iso_http *http, const char *text);
void iso_http_free(char *escaped);

typedef struct iso_http_answer {
	long status;
	char content_type[300];
	char *body; /* NUL-terminated, owned; NULL when it went into a file */
	size_t size;
	bool no_memory; /* for more of the body */
} iso_http_answer;
void iso_http_answer_free(iso_http_answer *answer);

/* GET of the service's root + path. into: the body goes there, else into the answer. Any status of the server is ISO_OK. */
iso_status iso_http_get(iso_http *http, const char *path, const char *accept, FILE *into, iso_http_answer *answer,
			iso_error *err);
/* POST of before + the file + after. */
typedef struct iso_http_body {
	const char *before, *after;
	FILE *file;
	size_t file_size;
} iso_http_body;
iso_status iso_http_post(iso_http *http, const char *path, const char *content_type, const char *accept,
			 const iso_http_body *body, iso_http_answer *answer, iso_error *err);

#endif
