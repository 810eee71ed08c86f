/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/dicomweb.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/output.h"
#include "io/http.h"
#include "io/json.h"
#include "io/multipart.h"

#define JSON "application/dicom+json"

struct iso_web_session {
	iso_http *http;
};

iso_status iso_web_session_open(const iso_pacs_web *web, double timeout_s, iso_web_session **out, iso_error *err)
{
	*out = malloc(sizeof **out);
	if (!*out) return iso_fail_memory(err, "DICOMweb", sizeof **out);
	const iso_status status = iso_http_open(web, timeout_s, &(*out)->http, err);
	if (status != ISO_OK) {
		free(*out);
		*out = NULL;
	}
	return status;
}

void iso_web_session_close(iso_web_session *session)
{
	if (!session) return;
	iso_http_close(session->http);
	free(session);
}

/* ---- STOW-RS ---- */

/* Has the sequence an item with this instance? reason (may be NULL): its (0008,1197). */
static bool names_instance(const json_t *root, const char *sequence, const char *instance, long *reason)
{
	const json_t *items = json_object_get(json_object_get(root, sequence), "Value");
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		const json_t *uid = json_array_get(json_object_get(json_object_get(item, "00081155"), "Value"), 0);
		const json_t *why = json_array_get(json_object_get(json_object_get(item, "00081197"), "Value"), 0);
		if (!json_is_string(uid) || strcmp(json_string_value(uid), instance) != 0) continue;
		if (reason) *reason = (long)json_integer_value(why);
		return true;
	}
	return false;
}

static iso_delivery judge(const iso_http_answer *answer, const iso_dcm_object *object, char *problem, size_t size)
{
	const long status = answer->status;
	long reason = 0;
	snprintf(problem, size, "the server answers with HTTP status %ld", status);
	if (status == 401 || status == 403) {
		snprintf(problem, size, "the server does not let us in (HTTP status %ld): check the user or the token",
			 status);
		return ISO_LATER;
	}
	/* What stands between us and the server gave up waiting, or it broke down itself: the object may be stored all the same. */
	if (status == 500 || status == 502 || status == 504) return ISO_LOST;
	if (status == 404 || status == 408 || status == 429 || status >= 500 || status < 200 ||
	    (status >= 300 && status < 400))
		return ISO_LATER;
	json_t *root = NULL;
	iso_error err;
	/* What is no JSON names no instance. */
	if (answer->body && iso_json_parse(answer->body, answer->size, NULL, &root, &err) == ISO_NO_MEMORY) {
		snprintf(problem, size, "no memory for the server's answer (HTTP status %ld)", status);
		return ISO_LOST; /* it may have stored it */
	}
	iso_delivery delivery = ISO_REFUSED;
	if (names_instance(root, "00081199", object->sop_instance, NULL))
		delivery = ISO_DELIVERED;
	else if (names_instance(root, "00081198", object->sop_instance, &reason))
		snprintf(problem, size, "refused by the server: HTTP status %ld, reason %04lx", status,
			 (unsigned long)reason);
	else if (status < 300) {
		snprintf(problem, size, "HTTP status %ld, but the server does not say that it stored this object",
			 status);
		delivery = ISO_LOST;
	}
	json_decref(root);
	return delivery;
}

iso_delivery iso_web_store(iso_web_session *session, const char *path, const iso_dcm_object *object, char *problem,
			   size_t size)
{
	unsigned char noise[16];
	char boundary[48] = "isotrace-", before[200], after[80], type[160];
	iso_error err;
	FILE *file;
	struct stat info;
	iso_http_answer answer;
	/* What nobody can foresee cannot be in the file. */
	if (getrandom(noise, sizeof noise, 0) != sizeof noise) memset(noise, 0x5a, sizeof noise);
	for (int i = 0; i < 16; i++) sprintf(boundary + 9 + 2 * i, "%02x", noise[i]);
	snprintf(before, sizeof before, "--%s\r\nContent-Type: application/dicom\r\n\r\n", boundary);
	snprintf(after, sizeof after, "\r\n--%s--\r\n", boundary);
	snprintf(type, sizeof type, "multipart/related; type=\"application/dicom\"; boundary=%s", boundary);
	if (iso_open_to_read(path, &file, &err) != ISO_OK) {
		snprintf(problem, size, "%s", err.message);
		return ISO_REFUSED;
	}
	iso_status status = ISO_IO;
	if (fstat(fileno(file), &info) == 0) {
		const iso_http_body body = {
		    .before = before, .after = after, .file = file, .file_size = (size_t)info.st_size};
		status = iso_http_post(session->http, "/studies", type, JSON, &body, &answer, &err);
	}
	fclose(file);
	if (status != ISO_OK) {
		snprintf(problem, size, "%s; %.100s", err.message, err.remedy);
		return ISO_LOST;
	}
	const iso_delivery delivery = judge(&answer, object, problem, size);
	iso_http_answer_free(&answer);
	return delivery;
}

/* ---- QIDO-RS ---- */

/* The array that a search answers with; 204 is an empty one. */
static iso_status search(iso_http *http, const iso_pacs_web *web, const char *path, json_t **found, iso_error *err)
{
	iso_http_answer answer;
	*found = NULL;
	iso_status status = iso_http_get(http, path, JSON, NULL, &answer, err);
	if (status != ISO_OK) return status;
	if (answer.status == 204)
		*found = json_array();
	else if (answer.status != 200)
		status =
		    iso_fail(err, ISO_IO, NULL,
			     answer.status == 401 || answer.status == 403 ? "check the user or the token"
									  : "check that the URL is a DICOMweb service",
			     "%s: the search is answered with HTTP status %ld", web->url, answer.status);
	else
		status = iso_json_parse(answer.body ? answer.body : "", answer.size, web->url, found, err);
	iso_http_answer_free(&answer);
	/* It is the server that is wrong and not what the user gave. */
	if (status == ISO_BAD_INPUT) status = ISO_IO;
	if (err && status == ISO_IO) err->status = ISO_IO;
	if (status == ISO_OK && !json_is_array(*found)) {
		json_decref(*found);
		*found = NULL;
		status = iso_fail(err, ISO_IO, NULL, "check that the URL is a DICOMweb service",
				  "%s: the search is not answered with a list", web->url);
	}
	return status;
}

static const char *value_of(const json_t *item, const char *tag)
{
	const char *text = json_string_value(json_array_get(json_object_get(json_object_get(item, tag), "Value"), 0));
	return text ? text : "";
}

iso_status iso_web_has(const iso_pacs_web *web, double timeout_s, const iso_dcm_object *object, bool *there,
		       iso_error *err)
{
	iso_http *http;
	char path[400];
	json_t *found = NULL, *item;
	size_t i;
	*there = false;
	iso_status status = iso_http_open(web, timeout_s, &http, err);
	if (status != ISO_OK) return status;
	snprintf(path, sizeof path, "/studies/%s/series/%s/instances?SOPInstanceUID=%s", object->study, object->series,
		 object->sop_instance);
	status = search(http, web, path, &found, err);
	json_array_foreach(found, i, item) *there =
	    *there || strcmp(value_of(item, "00080018"), object->sop_instance) == 0;
	json_decref(found);
	iso_http_close(http);
	return status;
}

/* Appends "&name=value" to a URL, or "?...", when there is a value. */
static iso_status add_key(iso_http *http, char url[1024], const char *name, const char *value, iso_error *err)
{
	if (!*value) return ISO_OK;
	char *escaped = iso_http_escape(http, value);
	if (!escaped) return iso_fail_memory(err, "DICOMweb", strlen(value));
	const size_t used = strlen(url);
	snprintf(url + used, 1024 - used, "%c%s=%s", strchr(url, '?') ? '&' : '?', name, escaped);
	iso_http_free(escaped);
	return ISO_OK;
}

static iso_status series_of(iso_http *http, const iso_pacs *pacs, const iso_fetch_key *key, const char *study,
			    iso_dcm_series **series, size_t *count, iso_error *err)
{
	char url[1024];
	json_t *found = NULL, *item;
	size_t i;
	snprintf(url, sizeof url, "/studies/%s/series?includefield=00201209", study);
	iso_status status = add_key(http, url, "Modality", key->modality, err);
	if (status == ISO_OK) status = add_key(http, url, "SeriesInstanceUID", key->series, err);
	if (status == ISO_OK) status = search(http, &pacs->web, url, &found, err);
	if (status != ISO_OK || json_array_size(found) == 0) {
		json_decref(found);
		return status;
	}
	iso_dcm_series *more = realloc(*series, (*count + json_array_size(found)) * sizeof *more);
	if (!more) {
		json_decref(found);
		return iso_fail_memory(err, "a list of series", json_array_size(found) * sizeof *more);
	}
	*series = more;
	json_array_foreach(found, i, item)
	{
		iso_dcm_series *s = &more[*count];
		const char *uid = value_of(item, "0020000E"), *modality = value_of(item, "00080060");
		const json_t *number = json_array_get(json_object_get(json_object_get(item, "00201209"), "Value"), 0);
		if (!*uid || strlen(uid) >= sizeof s->series || strlen(modality) >= sizeof s->modality) continue;
		if (key->modality[0] && strcmp(modality, key->modality) != 0) continue;
		snprintf(s->study, sizeof s->study, "%s", study);
		snprintf(s->series, sizeof s->series, "%s", uid);
		snprintf(s->modality, sizeof s->modality, "%s", modality);
		s->instances = json_is_integer(number) ? (long)json_integer_value(number) : -1;
		++*count;
	}
	json_decref(found);
	return ISO_OK;
}

iso_status iso_web_find_series(const iso_pacs *pacs, const iso_fetch_key *key, iso_dcm_series **series, size_t *count,
			       iso_error *err)
{
	iso_http *http;
	json_t *studies = NULL, *item;
	size_t i;
	char url[1024] = "/studies";
	*series = NULL;
	*count = 0;
	iso_status status = iso_http_open(&pacs->web, pacs->timeout_s, &http, err);
	if (status != ISO_OK) return status;
	status = add_key(http, url, "PatientID", key->patient_id, err);
	if (status == ISO_OK) status = add_key(http, url, "StudyInstanceUID", key->study, err);
	if (status == ISO_OK) status = add_key(http, url, "AccessionNumber", key->accession, err);
	if (status == ISO_OK) status = search(http, &pacs->web, url, &studies, err);
	json_array_foreach(studies, i, item)
	{
		const char *study = value_of(item, "0020000D"), *patient = value_of(item, "00100020");
		if (status != ISO_OK || !*study || strlen(study) > 64 || strspn(study, "0123456789.") != strlen(study))
			continue;
		/* A PACS may take a key for a beginning, or without regard to case: what does not fit exactly is another one's. */
		if (key->patient_id[0] && strcmp(patient, key->patient_id) != 0) continue;
		status = series_of(http, pacs, key, study, series, count, err);
	}
	json_decref(studies);
	iso_http_close(http);
	if (status != ISO_OK) {
		free(*series);
		*series = NULL;
		*count = 0;
	}
	return status;
}

/* ---- WADO-RS ---- */

static iso_status get_one(iso_http *http, const iso_pacs *pacs, const iso_dcm_series *series, const char *folder,
			  const char *prefix, iso_error *err)
{
	char path[PATH_MAX], url[300];
	size_t parts;
	iso_http_answer answer;
	if ((size_t)snprintf(path, sizeof path, "%s/.answer", folder) >= sizeof path)
		return iso_fail(err, ISO_BAD_USAGE, folder, "give a shorter path", "the folder's name is too long");
	FILE *file = fopen(path, "wb");
	if (!file) return iso_fail_errno(err, path, "cannot create");
	snprintf(url, sizeof url, "/studies/%s/series/%s", series->study, series->series);
	iso_status status = iso_http_get(http, url, "multipart/related; type=\"application/dicom\"; transfer-syntax=*",
					 file, &answer, err);
	if (fclose(file) != 0 && status == ISO_OK) status = iso_fail_errno(err, path, "cannot write");
	if (status == ISO_OK && answer.status != 200)
		status = iso_fail(err, ISO_IO, NULL, "check the log of the PACS, and whether we may fetch",
				  "%s: the request for a series is answered with HTTP status %ld", pacs->web.url,
				  answer.status);
	if (status == ISO_OK) status = iso_multipart_split(path, answer.content_type, folder, prefix, &parts, err);
	(void)unlink(path);
	return status;
}

iso_status iso_web_get(const iso_pacs *pacs, const iso_dcm_series *series, size_t count, const char *folder,
		       const iso_progress *progress, iso_error *err)
{
	iso_http *http;
	iso_status status = iso_http_open(&pacs->web, pacs->timeout_s, &http, err);
	for (size_t i = 0; status == ISO_OK && i < count; i++) {
		char prefix[32];
		if (progress && progress->report &&
		    progress->report(progress->user, "fetching", (double)i / (double)count) != 0) {
			status = iso_fail(err, ISO_CANCELLED, NULL, "fetch again", "stopped; nothing was written");
			break;
		}
		snprintf(prefix, sizeof prefix, "series%zu", i + 1);
		status = get_one(http, pacs, &series[i], folder, prefix, err);
	}
	iso_http_close(http);
	return status;
}
