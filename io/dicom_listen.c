/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who may speak, and when a study is complete. The state is what lies in the folder: studies and their series, and a mark in those that were
 * reported, so that nothing is lost when the receiver is stopped. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/note.h"
#include "core/output.h"
#include "core/stopwatch.h"
#include "io/arrived.h"
#include "io/listener.h"
#include "isotrace/pacs.h"

#define MARK ".reported"

typedef struct arrival {
	char study[65];
	double last_s;
	bool told; /* that it waits for other series */
} arrival;

typedef struct receiving {
	const iso_pacs_listener *settings;
	const iso_pacs_events *events;
	const iso_progress *progress;
	arrival *arrivals; /* studies that are not reported */
	size_t count, room;
} receiving;

static void study_path(const receiving *r, const char *study, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s%s%s", r->settings->folder, study, *name ? "/" : "", name);
}

static void arrived(receiving *r, const char *study)
{
	size_t a = 0;
	while (a < r->count && strcmp(r->arrivals[a].study, study) != 0) a++;
	if (a == r->room) {
		const size_t room = r->room ? 2 * r->room : 16;
		arrival *more = realloc(r->arrivals, room * sizeof *more);
		/* Without memory the study is found again at the next start: it has no mark. */
		if (!more) return;
		r->arrivals = more;
		r->room = room;
	}
	if (a == r->count) {
		snprintf(r->arrivals[a].study, sizeof r->arrivals[a].study, "%s", study);
		r->count++;
	}
	r->arrivals[a].last_s = iso_clock_s();
	r->arrivals[a].told = false;
}

/* What an association tells: "+STUDY MODALITY" or "!TEXT". */
static void on_line(void *user, const char *text)
{
	receiving *r = user;
	if (*text == '!') iso_note(r->progress, "%s", text + 1);
	if (*text != '+') return;
	char study[65];
	snprintf(study, sizeof study, "%.*s", (int)strcspn(text + 1, " "), text + 1);
	arrived(r, study);
}

/* Is there a series of each modality that is needed? The names of the series begin with theirs. missing: the first that is not there. */
static bool has_all(const receiving *r, const char *study, const char **missing)
{
	char path[PATH_MAX];
	for (size_t n = 0; n < r->settings->needs_count; n++) {
		const char *need = *missing = r->settings->needs[n];
		study_path(r, study, "", path);
		bool found = false;
		DIR *entries = opendir(path);
		for (const struct dirent *e; entries && !found && (e = readdir(entries)) != NULL;)
			found = strncmp(e->d_name, need, strlen(need)) == 0 && e->d_name[strlen(need)] == '_';
		if (entries) closedir(entries);
		if (!found) return false;
	}
	return true;
}

/* How many objects a study has; and whether its mark is newer than the last of them. */
static size_t count_objects(const receiving *r, const char *study, bool *reported)
{
	char path[PATH_MAX];
	struct stat mark;
	struct timespec newest;
	study_path(r, study, "", path);
	const size_t count = iso_arrived_objects(path, &newest);
	study_path(r, study, MARK, path);
	*reported = stat(path, &mark) == 0 &&
		    (mark.st_mtim.tv_sec > newest.tv_sec ||
		     (mark.st_mtim.tv_sec == newest.tv_sec && mark.st_mtim.tv_nsec >= newest.tv_nsec));
	return count;
}

/* What came while nobody watched, or was not reported before the last end. Parts of objects whose process is gone go, too. */
static void look_around(receiving *r)
{
	char path[PATH_MAX];
	DIR *entries = opendir(r->settings->folder);
	for (const struct dirent *e; entries && (e = readdir(entries)) != NULL;) {
		bool reported;
		if (strncmp(e->d_name, ".part-", 6) == 0) {
			study_path(r, e->d_name, "", path);
			(void)unlink(path);
		}
		if (strspn(e->d_name, "0123456789.") != strlen(e->d_name) || strlen(e->d_name) > 64 ||
		    e->d_name[0] == '.')
			continue;
		if (count_objects(r, e->d_name, &reported) && !reported) arrived(r, e->d_name);
	}
	if (entries) closedir(entries);
}

static void report_complete(receiving *r)
{
	for (size_t a = 0; a < r->count;) {
		arrival *one = &r->arrivals[a];
		const char *missing;
		char folder[PATH_MAX], path[PATH_MAX], text[64];
		bool reported;
		a++;
		if (iso_clock_s() - one->last_s < r->settings->quiet_s) continue;
		if (!has_all(r, one->study, &missing)) {
			if (!one->told)
				iso_note(r->progress, "study %s waits for a series of modality %s", one->study,
					 missing);
			one->told = true;
			continue;
		}
		const size_t objects = count_objects(r, one->study, &reported);
		study_path(r, one->study, "", folder);
		if (!r->events->complete(r->events->user, folder, one->study, objects)) continue;
		snprintf(text, sizeof text, "%zu objects\n", objects);
		study_path(r, one->study, MARK, path);
		iso_error err;
		if (iso_output_write(path, text, strlen(text), &err) != ISO_OK)
			iso_note(r->progress, "%s: %s", path, err.message);
		*one = r->arrivals[--r->count];
		a--;
	}
}

/* Those that the configuration names: as peers, and as receivers. */
static iso_status all_peers(const iso_pacs_file *file, iso_pacs_peer **peers, size_t *count, iso_error *err)
{
	const iso_pacs_listener *l = &file->listener;
	*peers = calloc(l->peer_count + file->count + 1, sizeof **peers);
	if (!*peers) return iso_fail_memory(err, "the peers", l->peer_count * sizeof **peers);
	*count = l->peer_count;
	if (*count) memcpy(*peers, l->peers, *count * sizeof **peers);
	for (size_t p = 0; p < file->count; p++) {
		if (!file->pacs[p].port) continue;
		strcpy((*peers)[*count].ae_title, file->pacs[p].ae_title);
		strcpy((*peers)[(*count)++].host, file->pacs[p].host);
	}
	if (*count) return ISO_OK;
	free(*peers);
	*peers = NULL;
	return iso_fail(err, ISO_BAD_INPUT, file->path, "list them under listen.peers, with aet and host",
			"nobody may speak to us");
}

iso_status iso_pacs_listen(const iso_pacs_file *file, const iso_pacs_events *events, const iso_progress *progress,
			   iso_error *err)
{
	receiving r = {.settings = &file->listener, .events = events, .progress = progress};
	iso_pacs_peer *peers = NULL;
	size_t peer_count = 0;
	iso_listener *listener = NULL;
	if (!r.settings->port || !r.settings->folder[0])
		return iso_fail(err, ISO_BAD_INPUT, file->path, "add it as in docs/pacs.md",
				"the configuration has no `listen` with a port and a folder");
	iso_status status = iso_make_directory(r.settings->folder, err);
	if (status == ISO_OK) status = all_peers(file, &peers, &peer_count, err);
	if (status == ISO_OK)
		status = iso_listener_open(r.settings, peers, peer_count, r.settings->folder, file->queue, &listener,
					   NULL, err);
	if (status == ISO_OK) {
		look_around(&r);
		iso_note(progress, "%s listens at port %u", r.settings->ae_title, r.settings->port);
	}
	while (status == ISO_OK && !events->stop(events->user)) {
		iso_listener_step(listener, 100, on_line, &r);
		report_complete(&r);
	}
	iso_listener_close(listener);
	free(r.arrivals);
	free(peers);
	return status;
}
