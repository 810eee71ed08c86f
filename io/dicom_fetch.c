/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Fetching: what there is, all of it into a hidden folder, counted and sorted, and only then under its name. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/output.h"
#include "io/dicom/query.h"
#include "io/dicomweb.h"
#include "io/file_list.h"
#include "io/listener.h"
#include "isotrace/pacs.h"

static bool has_wildcard(const char *text)
{
	return strpbrk(text, "*?\\") != NULL;
}

static iso_status check_key(const iso_fetch_key *key, iso_error *err)
{
	if (!key->patient_id[0] && !key->study[0] && !key->accession[0])
		return iso_fail(err, ISO_BAD_USAGE, NULL, "name a patient, a study or an accession number",
				"fetch what?");
	const char *const all[] = {key->patient_id, key->study, key->accession, key->series, key->modality};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (has_wildcard(all[i]))
			return iso_fail(err, ISO_BAD_USAGE, NULL, "name them one by one",
					"'%s' has a wildcard in it and could mean several", all[i]);
	return ISO_OK;
}

/* C-MOVE: the PACS brings the objects to a listener of ours, which ends as soon as they are there. */
static iso_status move(const iso_pacs *pacs, const iso_pacs_listener *listener, const iso_dcm_series *series,
		       size_t count, const char *raw, const iso_progress *progress, iso_error *err)
{
	iso_listener *door;
	pid_t process;
	iso_pacs_peer peer;
	if (!listener || !listener->port)
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"add `listen` with the port that the PACS knows for our title",
				"C-MOVE needs a port of ours to bring the objects to");
	strcpy(peer.ae_title, pacs->ae_title);
	strcpy(peer.host, pacs->host);
	iso_pacs_listener settings = *listener;
	strcpy(settings.ae_title, pacs->own_ae_title);
	iso_status status = iso_listener_open(&settings, &peer, 1, raw, NULL, &door, NULL, err);
	if (status != ISO_OK) return status;
	status = iso_listener_start(door, &process, err);
	iso_listener_close(door);
	if (status == ISO_OK) status = iso_dcm_move(pacs, series, count, progress, err);
	iso_listener_end(process);
	return status;
}

static size_t find_series(const iso_dcm_series *series, size_t count, const char *uid)
{
	size_t s = 0;
	while (s < count && strcmp(series[s].series, uid) != 0) s++;
	return s;
}

/* One object from the heap to its place. got[s] counts. */
static iso_status place(const char *from, const char *folder, const iso_dcm_series *series, size_t count, size_t *got,
			iso_error *err)
{
	iso_dcm_object object;
	bool found;
	char path[PATH_MAX];
	iso_status status = iso_dcm_look(from, &object, &found, err);
	if (status != ISO_OK) return status;
	const size_t s = found ? find_series(series, count, object.series) : count;
	if (s == count || strspn(object.sop_instance, "0123456789.") != strlen(object.sop_instance) ||
	    strspn(object.modality, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(object.modality))
		return iso_fail(err, ISO_IO, NULL, "check the PACS", "the PACS sends something that was not asked for");
	int n =
	    snprintf(path, sizeof path, "%s/%s_%s", folder, object.modality[0] ? object.modality : "OT", object.series);
	if (n > 0 && (size_t)n < sizeof path) status = iso_make_directory(path, err);
	if (status == ISO_OK && n > 0 && (size_t)n < sizeof path)
		n += snprintf(path + n, sizeof path - (size_t)n, "/%s.dcm", object.sop_instance);
	if (status == ISO_OK && (n < 0 || (size_t)n >= sizeof path))
		return iso_fail(err, ISO_BAD_USAGE, folder, "give a shorter path", "the folder's name is too long");
	if (status == ISO_OK && access(path, F_OK) == 0) return ISO_OK; /* the same instance twice */
	if (status == ISO_OK && rename(from, path) != 0) status = iso_fail_errno(err, path, "cannot rename into place");
	got[s] += status == ISO_OK;
	return status;
}

static iso_status sort_out(const char *raw, const char *folder, const iso_dcm_series *series, size_t count,
			   size_t *objects, iso_error *err)
{
	iso_file_list files = {.path = NULL};
	size_t *got = calloc(count + 1, sizeof *got);
	if (!got) return iso_fail_memory(err, "a count of objects", count * sizeof *got);
	iso_status status = iso_file_list_collect(raw, &files, err);
	for (size_t f = 0; status == ISO_OK && f < files.count; f++)
		status = place(files.path[f], folder, series, count, got, err);
	for (size_t s = 0; status == ISO_OK && s < count; s++) {
		if (got[s] == 0 || (series[s].instances >= 0 && got[s] < (size_t)series[s].instances))
			status = iso_fail(err, ISO_IO, NULL, "check the log of the PACS, then fetch again",
					  "series %s has %ld objects, and %zu came: nothing was written",
					  series[s].series, series[s].instances, got[s]);
		*objects += got[s];
	}
	iso_file_list_free(&files);
	free(got);
	return status;
}

/* Everything into the output's temporary folder. */
static iso_status fill(const iso_pacs *pacs, const iso_pacs_listener *listener, const iso_dcm_series *series,
		       size_t count, const char *temporary, const iso_progress *progress, size_t *objects,
		       iso_error *err)
{
	char raw[PATH_MAX];
	if ((size_t)snprintf(raw, sizeof raw, "%s/.raw", temporary) >= sizeof raw)
		return iso_fail(err, ISO_BAD_USAGE, temporary, "give a shorter path", "the folder's name is too long");
	iso_status status = iso_make_directory(raw, err);
	if (status != ISO_OK) return status;
	if (pacs->fetch_by == ISO_FETCH_WADO)
		status = iso_web_get(pacs, series, count, raw, progress, err);
	else if (pacs->fetch_by == ISO_FETCH_C_MOVE)
		status = move(pacs, listener, series, count, raw, progress, err);
	else
		status = iso_dcm_get(pacs, series, count, raw, progress, err);
	if (status == ISO_OK) status = sort_out(raw, temporary, series, count, objects, err);
	iso_remove_tree(raw);
	return status;
}

iso_status iso_pacs_fetch(const iso_pacs *pacs, const iso_fetch_key *key, const iso_pacs_listener *listener,
			  const char *folder, const iso_progress *progress, size_t *series_count, size_t *objects,
			  iso_error *err)
{
	iso_dcm_series *series = NULL;
	iso_output output = {.temporary = ""};
	size_t count = 0, fetched = 0;
	iso_status status = check_key(key, err);
	if (status == ISO_OK)
		status = pacs->fetch_by == ISO_FETCH_WADO ? iso_web_find_series(pacs, key, &series, &count, err)
							  : iso_dcm_find_series(pacs, key, &series, &count, err);
	if (status == ISO_OK && count == 0)
		status =
		    iso_fail(err, ISO_BAD_INPUT, NULL, "check the identifiers; the PACS compares them letter by letter",
			     "PACS %s has no series that fits", pacs->name);
	if (status == ISO_OK) status = iso_output_begin(&output, folder, err);
	if (status == ISO_OK) status = fill(pacs, listener, series, count, output.temporary, progress, &fetched, err);
	if (status == ISO_OK)
		status = iso_output_commit(&output, err);
	else
		iso_output_discard(&output);
	free(series);
	if (series_count) *series_count = status == ISO_OK ? count : 0;
	if (objects) *objects = status == ISO_OK ? fetched : 0;
	return status;
}
