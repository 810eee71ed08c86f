/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/secret.h"

/* What a server may say in JSON; images go into files. */
enum { MOST_IN_MEMORY = 256 << 20 };

struct iso_http {
	CURL *curl;
	const iso_pacs_web *web;
	char problem[CURL_ERROR_SIZE];
};

void iso_http_close(iso_http *http)
{
	if (!http) return;
	if (http->curl) curl_easy_cleanup(http->curl);
	free(http);
}

/* curl keeps a copy of its own, which it does not wipe; ours goes at once. */
static iso_status set_secrets(iso_http *http, iso_error *err)
{
	char secret[ISO_SECRET_SIZE];
	const bool token = iso_secret_given(&http->web->token);
	if (!token && !http->web->user[0]) return ISO_OK;
	iso_status status = iso_secret_read(token ? &http->web->token : &http->web->password, secret, err);
	if (status != ISO_OK) return status;
	CURLcode done = curl_easy_setopt(http->curl, CURLOPT_HTTPAUTH, token ? CURLAUTH_BEARER : CURLAUTH_BASIC);
	if (!done && !token) done = curl_easy_setopt(http->curl, CURLOPT_USERNAME, http->web->user);
	if (!done) done = curl_easy_setopt(http->curl, token ? CURLOPT_XOAUTH2_BEARER : CURLOPT_PASSWORD, secret);
	iso_secret_wipe(secret);
	return done ? iso_fail_memory(err, "HTTP", 0) : ISO_OK;
}

static iso_status set_up(iso_http *http, double timeout_s, iso_error *err)
{
	CURL *c = http->curl;
	const long timeout = (long)(timeout_s + 0.5);
	CURLcode done = curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->problem);
	if (!done) done = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	if (!done) done = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	/* A secret is for the server that the configuration names, not for where that one points. */
	if (!done) done = curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	if (!done) done = curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!done) done = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	if (!done) done = curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (!done && http->web->ca[0]) done = curl_easy_setopt(c, CURLOPT_CAINFO, http->web->ca);
	if (!done) done = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, timeout);
	if (!done) done = curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	if (!done) done = curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, timeout);
	if (done)
		return iso_fail(err, ISO_IO, NULL, "check the installation of libcurl", "HTTP cannot be set up: %s",
				curl_easy_strerror(done));
	return set_secrets(http, err);
}

iso_status iso_http_open(const iso_pacs_web *web, double timeout_s, iso_http **out, iso_error *err)
{
	*out = NULL;
	iso_http *http = calloc(1, sizeof *http);
	if (!http) return iso_fail_memory(err, "HTTP", sizeof *http);
	http->web = web;
	http->curl = curl_easy_init();
	const iso_status status = http->curl ? set_up(http, timeout_s, err) : iso_fail_memory(err, "HTTP", 0);
	if (status == ISO_OK)
		*out = http;
	else
		iso_http_close(http);
	return status;
}

char *iso_http_escape(iso_http *http, const char *text)
{
	return curl_easy_escape(http->curl, text, 0);
}

void iso_http_free(char *escaped)
{
	curl_free(escaped);
}

void iso_http_answer_free(iso_http_answer *answer)
{
	free(answer->body);
	*answer = (iso_http_answer){.status = 0};
}

static size_t keep(char *bytes, size_t one, size_t size, void *user)
{
	iso_http_answer *answer = user;
	(void)one; /* curl: always 1 */
	if (answer->size + size > MOST_IN_MEMORY) return 0;
	/* grows by doubling: its room is the power of two that is not smaller than what it holds */
	size_t room = 4096;
	while (room < answer->size + 1) room *= 2;
	if (!answer->body || answer->size + size + 1 > room) {
		while (room < answer->size + size + 1) room *= 2;
		char *more = realloc(answer->body, room);
		answer->no_memory = !more;
		if (!more) return 0; /* curl then ends with an error of writing */
		answer->body = more;
	}
	memcpy(answer->body + answer->size, bytes, size);
	answer->size += size;
	answer->body[answer->size] = '\0';
	return size;
}

static iso_status perform(iso_http *http, const char *path, const char *const *headers, FILE *into,
			  iso_http_answer *answer, iso_error *err)
{
	char *url = NULL;
	struct curl_slist *list = NULL;
	*answer = (iso_http_answer){.status = 0};
	if (asprintf(&url, "%s%s", http->web->url, path) < 0) return iso_fail_memory(err, "HTTP", strlen(path));
	CURLcode done = CURLE_OK;
	for (; *headers && !done; headers++) {
		struct curl_slist *more = curl_slist_append(list, *headers);
		if (more)
			list = more;
		else
			done = CURLE_OUT_OF_MEMORY;
	}
	CURL *c = http->curl;
	if (!done) done = curl_easy_setopt(c, CURLOPT_URL, url);
	if (!done) done = curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	if (!done) done = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, into ? NULL : keep);
	if (!done) done = curl_easy_setopt(c, CURLOPT_WRITEDATA, into ? (void *)into : (void *)answer);
	http->problem[0] = '\0';
	if (!done) done = curl_easy_perform(c);
	const char *type = NULL;
	(void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &answer->status);
	if (curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type)
		snprintf(answer->content_type, sizeof answer->content_type, "%s", type);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(list);
	free(url);
	if (!done) return ISO_OK;
	const bool no_memory = done == CURLE_OUT_OF_MEMORY || answer->no_memory;
	iso_http_answer_free(answer);
	if (no_memory) return iso_fail_memory(err, "HTTP", 0);
	const bool trust = done == CURLE_PEER_FAILED_VERIFICATION || done == CURLE_SSL_CACERT_BADFILE;
	return iso_fail(err, ISO_IO, NULL,
			trust ? "give dicomweb.ca, the PEM file of the authority that signed it"
			      : "check that the PACS runs, its URL, and the firewall between",
			"%s: %s", http->web->url, http->problem[0] ? http->problem : curl_easy_strerror(done));
}

iso_status iso_http_get(iso_http *http, const char *path, const char *accept, FILE *into, iso_http_answer *answer,
			iso_error *err)
{
	char header[200];
	snprintf(header, sizeof header, "Accept: %s", accept);
	(void)curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
	return perform(http, path, (const char *[]){header, NULL}, into, answer, err);
}

/* The body that is being sent: where in it we are. */
typedef struct upload {
	const iso_http_body *body;
	size_t at;
} upload;

static size_t give(char *to, size_t one, size_t room, void *user)
{
	upload *u = user;
	const size_t before = strlen(u->body->before), file_end = before + u->body->file_size,
		     end = file_end + strlen(u->body->after);
	size_t n = 0;
	(void)one;
	if (u->at < before) {
		n = before - u->at < room ? before - u->at : room;
		memcpy(to, u->body->before + u->at, n);
	} else if (u->at < file_end) {
		n = fread(to, 1, file_end - u->at < room ? file_end - u->at : room, u->body->file);
		if (n == 0) return CURL_READFUNC_ABORT; /* the file has become shorter */
	} else if (u->at < end) {
		n = end - u->at < room ? end - u->at : room;
		memcpy(to, u->body->after + (u->at - file_end), n);
	}
	u->at += n;
	return n;
}

/* When a connection that was kept has gone, curl begins again. */
static int rewind_upload(void *user, curl_off_t offset, int origin)
{
	upload *u = user;
	if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
	rewind(u->body->file);
	u->at = 0;
	return CURL_SEEKFUNC_OK;
}

iso_status iso_http_post(iso_http *http, const char *path, const char *content_type, const char *accept,
			 const iso_http_body *body, iso_http_answer *answer, iso_error *err)
{
	char type[300], header[200];
	upload u = {.body = body};
	snprintf(type, sizeof type, "Content-Type: %s", content_type);
	snprintf(header, sizeof header, "Accept: %s", accept);
	CURL *c = http->curl;
	const curl_off_t size = (curl_off_t)(strlen(body->before) + body->file_size + strlen(body->after));
	CURLcode done = curl_easy_setopt(c, CURLOPT_POST, 1L);
	if (!done) done = curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, size);
	if (!done) done = curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
	if (!done) done = curl_easy_setopt(c, CURLOPT_READDATA, &u);
	if (!done) done = curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_upload);
	if (!done) done = curl_easy_setopt(c, CURLOPT_SEEKDATA, &u);
	if (done) return iso_fail_memory(err, "HTTP", 0);
	return perform(http, path, (const char *[]){type, header, "Expect:", NULL}, NULL, answer, err);
}
