/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/note.h"
#include "core/output.h"

struct iso_queue {
	sqlite3 *db;
	char folder[500], database[520];
	int lock;
};

/* One row per object, content and receiver. A row is never removed: it is the memory of what was sent. */
static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE IF NOT EXISTS object ("
    " id INTEGER PRIMARY KEY, receiver TEXT NOT NULL, instance TEXT NOT NULL, sha256 TEXT NOT NULL,"
    " sop_class TEXT NOT NULL, syntax TEXT NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL, modality TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'refused')),"
    " problem TEXT NOT NULL DEFAULT '', queued_utc TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),"
    " sent_utc TEXT, commitment TEXT CHECK (commitment IN ('wanted', 'asked', 'committed', 'not committed')),"
    " transaction_uid TEXT, answered_utc TEXT, UNIQUE (receiver, instance, sha256));"
    "CREATE INDEX IF NOT EXISTS object_state ON object (receiver, state);"
    "CREATE INDEX IF NOT EXISTS object_content ON object (sha256);"
    "CREATE INDEX IF NOT EXISTS object_transaction ON object (transaction_uid);"
    "PRAGMA user_version = 1;";

static iso_status database_failed(const iso_queue *queue, iso_error *err)
{
	const int code = queue->db ? sqlite3_errcode(queue->db) : SQLITE_NOMEM;
	if (code == SQLITE_NOMEM) return iso_fail_memory(err, "the queue", 0);
	return iso_fail(err, ISO_IO, queue->database, "check the disk, and that no other program has changed this file",
			"the queue's database says: %s", sqlite3_errmsg(queue->db));
}

static iso_status execute(iso_queue *queue, const char *sql, iso_error *err)
{
	return sqlite3_exec(queue->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ISO_OK : database_failed(queue, err);
}

/* A statement with texts for its ?1, ?2, ...; NULL ends them. */
static iso_status prepare(iso_queue *queue, const char *sql, const char *const *texts, sqlite3_stmt **out,
			  iso_error *err)
{
	*out = NULL;
	if (sqlite3_prepare_v2(queue->db, sql, -1, out, NULL) != SQLITE_OK) return database_failed(queue, err);
	for (int i = 0; texts && texts[i]; i++)
		if (sqlite3_bind_text(*out, i + 1, texts[i], -1, SQLITE_TRANSIENT) != SQLITE_OK) {
			sqlite3_finalize(*out);
			*out = NULL;
			return database_failed(queue, err);
		}
	return ISO_OK;
}

/* Runs a statement that returns nothing. changed (may be NULL): how many rows. */
static iso_status change(iso_queue *queue, const char *sql, const char *const *texts, int *changed, iso_error *err)
{
	sqlite3_stmt *statement;
	iso_status status = prepare(queue, sql, texts, &statement, err);
	if (status != ISO_OK) return status;
	if (sqlite3_step(statement) != SQLITE_DONE) status = database_failed(queue, err);
	sqlite3_finalize(statement);
	if (changed) *changed = sqlite3_changes(queue->db);
	return status;
}

static void text_column(sqlite3_stmt *statement, int column, char *to, size_t size)
{
	const unsigned char *text = sqlite3_column_text(statement, column);
	snprintf(to, size, "%s", text ? (const char *)text : "");
}

iso_status iso_queue_open(const char *folder, iso_queue **out, iso_error *err)
{
	*out = NULL;
	char objects[PATH_MAX];
	if (strlen(folder) >= sizeof((iso_queue *)0)->folder)
		return iso_fail(err, ISO_BAD_USAGE, folder, "give a shorter path", "the queue's name is too long");
	snprintf(objects, sizeof objects, "%s/objects", folder);
	const bool is_new = access(objects, F_OK) != 0;
	iso_status status = iso_make_directory(objects, err);
	if (status != ISO_OK) return status;
	iso_queue *queue = calloc(1, sizeof *queue);
	if (!queue) return iso_fail_memory(err, "the queue", sizeof *queue);
	queue->lock = -1;
	strcpy(queue->folder, folder);
	snprintf(queue->database, sizeof queue->database, "%s/queue.sqlite", queue->folder);
	/* Patients' identities may be in there. */
	if (is_new) (void)chmod(folder, S_IRWXU);
	if (sqlite3_open_v2(queue->database, &queue->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		status = database_failed(queue, err);
	if (status == ISO_OK) {
		sqlite3_busy_timeout(queue->db, 60000);
		status = execute(queue, schema, err);
	}
	if (status != ISO_OK) {
		iso_queue_close(queue);
		return status;
	}
	*out = queue;
	return ISO_OK;
}

void iso_queue_close(iso_queue *queue)
{
	if (!queue) return;
	sqlite3_close(queue->db);
	if (queue->lock >= 0) close(queue->lock);
	free(queue);
}

/* A lock ends with the process that holds it, however it ends. */
static iso_status take_lock(const iso_queue *queue, const char *name, int operation, int *fd, iso_error *err)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", queue->folder, name);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0) return iso_fail_errno(err, path, "cannot open the lock");
	int done;
	do done = flock(*fd, operation);
	while (done != 0 && errno == EINTR);
	if (done == 0) return ISO_OK;
	const int code = errno;
	close(*fd);
	*fd = -1;
	errno = code;
	if (code == EWOULDBLOCK)
		return iso_fail(err, ISO_IO, queue->folder,
				"wait for it: what was added will be sent by it or by the next",
				"another isotrace is sending from this queue");
	return iso_fail_errno(err, path, "cannot lock");
}

static bool is_wanted(iso_queue *queue, const char *sha256, iso_error *err)
{
	sqlite3_stmt *statement;
	bool wanted = true;
	if (prepare(queue,
		    "SELECT 1 FROM object WHERE sha256 = ?1 AND (state != 'sent' OR commitment IN ('wanted', 'asked')) "
		    "LIMIT 1",
		    (const char *[]){sha256, NULL}, &statement, err) != ISO_OK)
		return true;
	wanted = sqlite3_step(statement) != SQLITE_DONE;
	sqlite3_finalize(statement);
	return wanted;
}

static void copy_path(const iso_queue *queue, const char *sha256, char *path, size_t size)
{
	snprintf(path, size, "%s/objects/%s", queue->folder, sha256);
}

/* Copies that belong to no row that needs them: their process was killed between the copy and the row, or between the row and the removal. Not
 * while somebody is adding. */
static void remove_orphans(iso_queue *queue)
{
	int adding;
	char path[PATH_MAX];
	if (take_lock(queue, "adding.lock", LOCK_EX | LOCK_NB, &adding, NULL) != ISO_OK) return;
	snprintf(path, sizeof path, "%s/objects", queue->folder);
	DIR *entries = opendir(path);
	for (const struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		if (is_wanted(queue, entry->d_name, NULL)) continue;
		snprintf(path, sizeof path, "%s/objects/%s", queue->folder, entry->d_name);
		(void)unlink(path);
	}
	if (entries) closedir(entries);
	close(adding);
}

iso_status iso_queue_lock(iso_queue *queue, iso_error *err)
{
	const iso_status status = take_lock(queue, "sending.lock", LOCK_EX | LOCK_NB, &queue->lock, err);
	if (status == ISO_OK) remove_orphans(queue);
	return status;
}

/* ---- adding ---- */

static iso_status copy_bytes(int from, int to, const char *source, const char *target, iso_error *err)
{
	/* Within one file system of a modern kind this shares the blocks instead of copying them. */
	for (bool by_kernel = true;;) {
		char buffer[65536];
		ssize_t n =
		    by_kernel ? copy_file_range(from, NULL, to, NULL, 1u << 30, 0) : read(from, buffer, sizeof buffer);
		if (n < 0 && by_kernel &&
		    (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
			by_kernel = false;
			continue;
		}
		if (n < 0) return iso_fail_errno(err, source, "cannot copy");
		if (n == 0) return ISO_OK;
		for (ssize_t at = 0; !by_kernel && at < n;) {
			const ssize_t written = write(to, buffer + at, (size_t)(n - at));
			if (written < 0) return iso_fail_errno(err, target, "cannot write the copy");
			at += written;
		}
	}
}

/* The copy's name is the hash of the copy: whatever happens to the original meanwhile, the two agree. */
static iso_status copy_file(iso_queue *queue, const char *source, char sha256[65], iso_error *err)
{
	char part[600], path[600];
	snprintf(part, sizeof part, "%s/objects/.part-%ld", queue->folder, (long)getpid());
	FILE *file;
	iso_status status = iso_open_to_read(source, &file, err);
	if (status != ISO_OK) return status;
	const int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0) {
		status = iso_fail_errno(err, part, "cannot create the copy");
		fclose(file);
		return status;
	}
	status = copy_bytes(fileno(file), to, source, part, err);
	if (close(to) != 0 && status == ISO_OK) status = iso_fail_errno(err, part, "cannot write the copy");
	fclose(file);
	if (status == ISO_OK) status = iso_hash_file(part, sha256, err);
	if (status == ISO_OK) {
		copy_path(queue, sha256, path, sizeof path);
		if (rename(part, path) != 0) status = iso_fail_errno(err, path, "cannot rename into place");
	}
	if (status != ISO_OK) (void)unlink(part);
	return status;
}

static iso_status add_row(iso_queue *queue, const char *receiver, const iso_dcm_object *o, const char *sha256,
			  iso_queue_added *added, iso_error *err)
{
	int changed = 0;
	iso_status status =
	    change(queue,
		   "INSERT INTO object (receiver, instance, sha256, sop_class, syntax, study, series, modality) "
		   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
		   (const char *[]){receiver, o->sop_instance, sha256, o->sop_class, o->syntax, o->study, o->series,
				    o->modality, NULL},
		   &changed, err);
	if (status != ISO_OK || changed) {
		added->added += changed > 0;
		return status;
	}
	status = change(
	    queue,
	    "UPDATE object SET state = 'waiting', problem = '' WHERE receiver = ?1 AND instance = ?2 AND sha256 = ?3 "
	    "AND state = 'refused'",
	    (const char *[]){receiver, o->sop_instance, sha256, NULL}, &changed, err);
	if (status != ISO_OK || changed) {
		added->added += changed > 0;
		return status;
	}
	sqlite3_stmt *statement;
	status =
	    prepare(queue, "SELECT state = 'sent' FROM object WHERE receiver = ?1 AND instance = ?2 AND sha256 = ?3",
		    (const char *[]){receiver, o->sop_instance, sha256, NULL}, &statement, err);
	if (status != ISO_OK) return status;
	if (sqlite3_step(statement) != SQLITE_ROW)
		status = database_failed(queue, err);
	else if (sqlite3_column_int(statement, 0))
		added->sent++;
	else
		added->waiting++;
	sqlite3_finalize(statement);
	return status;
}

typedef struct entry {
	iso_dcm_object object;
	char sha256[65];
} entry;

/* What of the files is DICOM, copied. */
static iso_status copy_all(iso_queue *queue, const iso_file_list *files, const iso_progress *progress, entry *entries,
			   iso_queue_added *added, size_t *count, iso_error *err)
{
	iso_status status = ISO_OK;
	*count = 0;
	for (size_t f = 0; status == ISO_OK && f < files->count; f++) {
		bool found;
		if (progress && progress->report &&
		    progress->report(progress->user, "into the queue", (double)f / (double)files->count) != 0)
			return iso_fail(err, ISO_CANCELLED, files->path[f], "send again", "stopped; nothing was added");
		status = iso_dcm_look(files->path[f], &entries[*count].object, &found, err);
		if (status != ISO_OK) return status;
		if (found) {
			status = copy_file(queue, files->path[f], entries[(*count)++].sha256, err);
		} else {
			added->no_dicom++;
			iso_note(progress, "%s: no DICOM file, skipped", files->path[f]);
		}
	}
	if (status != ISO_OK) return status;
	const int folder = open(queue->folder, O_RDONLY | O_CLOEXEC);
	/* One call for the whole file system is far cheaper than one per file. */
	if (folder < 0 || syncfs(folder) != 0) status = iso_fail_errno(err, queue->folder, "cannot flush to disk");
	if (folder >= 0) close(folder);
	return status;
}

/* The copies first, then all rows at once: what has a row has its copy. */
static iso_status add_all(iso_queue *queue, const char *receiver, const iso_file_list *files,
			  const iso_progress *progress, iso_queue_added *added, iso_error *err)
{
	size_t count;
	entry *entries = calloc(files->count + 1, sizeof *entries);
	if (!entries) return iso_fail_memory(err, "the queue", files->count * sizeof *entries);
	iso_status status = copy_all(queue, files, progress, entries, added, &count, err);
	if (status == ISO_OK) status = execute(queue, "BEGIN IMMEDIATE", err);
	for (size_t e = 0; status == ISO_OK && e < count; e++)
		status = add_row(queue, receiver, &entries[e].object, entries[e].sha256, added, err);
	if (status == ISO_OK) status = execute(queue, "COMMIT", err);
	if (status != ISO_OK) (void)sqlite3_exec(queue->db, "ROLLBACK", NULL, NULL, NULL);
	free(entries);
	return status;
}

iso_status iso_queue_add(iso_queue *queue, const char *receiver, const iso_file_list *files,
			 const iso_progress *progress, iso_queue_added *added, iso_error *err)
{
	*added = (iso_queue_added){.added = 0};
	int adding;
	iso_status status = take_lock(queue, "adding.lock", LOCK_EX, &adding, err);
	if (status != ISO_OK) return status;
	status = add_all(queue, receiver, files, progress, added, err);
	close(adding);
	return status;
}

/* ---- sending ---- */

static iso_status list(iso_queue *queue, const char *condition, const char *receiver, iso_queue_item **items,
		       size_t *count, iso_error *err)
{
	char sql[400];
	snprintf(
	    sql, sizeof sql,
	    "SELECT id, sop_class, instance, study, series, syntax, modality, sha256, state = 'sending' FROM object "
	    "WHERE receiver = ?1 AND %s ORDER BY id",
	    condition);
	*items = NULL;
	*count = 0;
	size_t room = 0;
	sqlite3_stmt *statement;
	iso_status status = prepare(queue, sql, (const char *[]){receiver, NULL}, &statement, err);
	if (status != ISO_OK) return status;
	int step = SQLITE_DONE;
	while (status == ISO_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		if (*count == room) {
			room = room ? 2 * room : 64;
			iso_queue_item *more = realloc(*items, room * sizeof *more);
			if (!more) {
				status = iso_fail_memory(err, "the queue", room * sizeof *more);
				break;
			}
			*items = more;
		}
		iso_queue_item *item = &(*items)[(*count)++];
		char sha256[65];
		item->id = sqlite3_column_int64(statement, 0);
		text_column(statement, 1, item->object.sop_class, sizeof item->object.sop_class);
		text_column(statement, 2, item->object.sop_instance, sizeof item->object.sop_instance);
		text_column(statement, 3, item->object.study, sizeof item->object.study);
		text_column(statement, 4, item->object.series, sizeof item->object.series);
		text_column(statement, 5, item->object.syntax, sizeof item->object.syntax);
		text_column(statement, 6, item->object.modality, sizeof item->object.modality);
		text_column(statement, 7, sha256, sizeof sha256);
		item->in_doubt = sqlite3_column_int(statement, 8) != 0;
		copy_path(queue, sha256, item->copy, sizeof item->copy);
	}
	if (status == ISO_OK && step != SQLITE_DONE) status = database_failed(queue, err);
	sqlite3_finalize(statement);
	if (status != ISO_OK) {
		free(*items);
		*items = NULL;
		*count = 0;
	}
	return status;
}

iso_status iso_queue_waiting(iso_queue *queue, const char *receiver, iso_queue_item **items, size_t *count,
			     iso_error *err)
{
	return list(queue, "state IN ('waiting', 'sending')", receiver, items, count, err);
}

static iso_status change_item(iso_queue *queue, const char *sql, int64_t id, const char *text, iso_error *err)
{
	char number[24];
	snprintf(number, sizeof number, "%lld", (long long)id);
	return change(queue, sql, (const char *[]){number, text, NULL}, NULL, err);
}

iso_status iso_queue_sending(iso_queue *queue, const iso_queue_item *item, iso_error *err)
{
	return change_item(queue, "UPDATE object SET state = 'sending' WHERE id = ?1", item->id, NULL, err);
}

static void drop_copy(iso_queue *queue, const char *copy)
{
	const char *name = strrchr(copy, '/');
	if (name && !is_wanted(queue, name + 1, NULL)) (void)unlink(copy);
}

iso_status iso_queue_settle(iso_queue *queue, const iso_queue_item *item, iso_delivery delivery, bool keep_copy,
			    const char *problem, iso_error *err)
{
	if (delivery != ISO_DELIVERED)
		return change_item(
		    queue,
		    delivery == ISO_REFUSED ? "UPDATE object SET state = 'refused', problem = ?2 WHERE id = ?1"
		    : delivery == ISO_LATER ? "UPDATE object SET state = 'waiting', problem = ?2 WHERE id = ?1"
					    : "UPDATE object SET problem = ?2 WHERE id = ?1", /* stays in doubt */
		    item->id, problem, err);
	const iso_status status = change_item(
	    queue,
	    "UPDATE object SET state = 'sent', problem = '', sent_utc = strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), "
	    "commitment = nullif(?2, ''), transaction_uid = NULL WHERE id = ?1",
	    item->id, keep_copy ? "wanted" : "", err);
	if (status == ISO_OK && !keep_copy) drop_copy(queue, item->copy);
	return status;
}

/* ---- storage commitment ---- */

iso_status iso_queue_uncommitted(iso_queue *queue, const char *receiver, iso_queue_item **items, size_t *count,
				 iso_error *err)
{
	return list(queue, "state = 'sent' AND commitment IN ('wanted', 'asked')", receiver, items, count, err);
}

iso_status iso_queue_asked(iso_queue *queue, const iso_queue_item *items, size_t count, const char *transaction,
			   iso_error *err)
{
	iso_status status = execute(queue, "BEGIN IMMEDIATE", err);
	for (size_t i = 0; status == ISO_OK && i < count; i++)
		status =
		    change_item(queue, "UPDATE object SET commitment = 'asked', transaction_uid = ?2 WHERE id = ?1",
				items[i].id, transaction, err);
	if (status == ISO_OK) status = execute(queue, "COMMIT", err);
	if (status != ISO_OK) (void)sqlite3_exec(queue->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

/* Copies that are no longer needed, now that a transaction has its answer. */
static iso_status drop_committed(iso_queue *queue, const char *transaction, iso_error *err)
{
	sqlite3_stmt *statement;
	iso_status status =
	    prepare(queue, "SELECT sha256 FROM object WHERE transaction_uid = ?1 AND commitment = 'committed'",
		    (const char *[]){transaction, NULL}, &statement, err);
	while (status == ISO_OK && sqlite3_step(statement) == SQLITE_ROW) {
		char sha256[65], copy[600];
		text_column(statement, 0, sha256, sizeof sha256);
		copy_path(queue, sha256, copy, sizeof copy);
		drop_copy(queue, copy);
	}
	sqlite3_finalize(statement);
	return status;
}

iso_status iso_queue_answer(iso_queue *queue, const char *transaction, const char *const *committed,
			    size_t committed_count, const char *const *failed, size_t failed_count, iso_error *err)
{
	iso_status status = execute(queue, "BEGIN IMMEDIATE", err);
	for (size_t i = 0; status == ISO_OK && i < committed_count; i++)
		status = change(queue,
				"UPDATE object SET commitment = 'committed', problem = '', "
				"answered_utc = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') "
				"WHERE transaction_uid = ?1 AND instance = ?2 AND commitment = 'asked'",
				(const char *[]){transaction, committed[i], NULL}, NULL, err);
	for (size_t i = 0; status == ISO_OK && i < failed_count; i++)
		status = change(queue,
				"UPDATE object SET commitment = 'not committed', state = 'waiting', "
				"problem = 'the receiver does not commit itself to keeping it', "
				"answered_utc = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') "
				"WHERE transaction_uid = ?1 AND instance = ?2 AND commitment = 'asked'",
				(const char *[]){transaction, failed[i], NULL}, NULL, err);
	if (status == ISO_OK) status = execute(queue, "COMMIT", err);
	if (status != ISO_OK)
		(void)sqlite3_exec(queue->db, "ROLLBACK", NULL, NULL, NULL);
	else
		status = drop_committed(queue, transaction, err);
	return status;
}

iso_status iso_queue_answered(iso_queue *queue, const char *transaction, size_t *open, size_t *bad, iso_error *err)
{
	sqlite3_stmt *statement;
	*open = *bad = 0;
	iso_status status =
	    prepare(queue,
		    "SELECT coalesce(sum(commitment = 'asked'), 0), coalesce(sum(commitment = 'not committed'), 0) "
		    "FROM object WHERE transaction_uid = ?1",
		    (const char *[]){transaction, NULL}, &statement, err);
	if (status != ISO_OK) return status;
	if (sqlite3_step(statement) != SQLITE_ROW)
		status = database_failed(queue, err);
	else {
		*open = (size_t)sqlite3_column_int64(statement, 0);
		*bad = (size_t)sqlite3_column_int64(statement, 1);
	}
	sqlite3_finalize(statement);
	return status;
}

/* ---- looking ---- */

iso_status iso_pacs_queue_look(const char *folder, iso_pacs_queue_status **out, size_t *count, iso_error *err)
{
	*out = NULL;
	*count = 0;
	char database[PATH_MAX];
	snprintf(database, sizeof database, "%s/queue.sqlite", folder);
	if (access(database, F_OK) != 0 && errno == ENOENT) return ISO_OK; /* nothing was ever added */
	iso_queue *queue;
	sqlite3_stmt *statement = NULL;
	iso_status status = iso_queue_open(folder, &queue, err);
	if (status != ISO_OK) return status;
	status = prepare(
	    queue,
	    "SELECT receiver, sum(state IN ('waiting', 'sending')), sum(state = 'sent'), sum(state = 'refused'), "
	    "coalesce(sum(commitment IN ('wanted', 'asked')), 0), coalesce(sum(commitment = 'committed'), 0), "
	    "coalesce(sum(commitment = 'not committed'), 0), "
	    "min(CASE WHEN state IN ('waiting', 'sending') THEN queued_utc END), "
	    "max(problem) FROM object GROUP BY receiver ORDER BY receiver",
	    NULL, &statement, err);
	int step = SQLITE_DONE;
	while (status == ISO_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		iso_pacs_queue_status *more = realloc(*out, (*count + 1) * sizeof *more);
		if (!more) {
			status = iso_fail_memory(err, "the queue", (*count + 1) * sizeof *more);
			break;
		}
		*out = more;
		iso_pacs_queue_status *s = &more[(*count)++];
		text_column(statement, 0, s->receiver, sizeof s->receiver);
		size_t *const number[] = {&s->waiting, &s->sent,      &s->refused,
					  &s->asked,   &s->committed, &s->not_committed};
		for (int n = 0; n < 6; n++) *number[n] = (size_t)sqlite3_column_int64(statement, n + 1);
		text_column(statement, 7, s->oldest_utc, sizeof s->oldest_utc);
		text_column(statement, 8, s->last_problem, sizeof s->last_problem);
	}
	if (status == ISO_OK && step != SQLITE_DONE) status = database_failed(queue, err);
	sqlite3_finalize(statement);
	iso_queue_close(queue);
	if (status != ISO_OK) {
		free(*out);
		*out = NULL;
		*count = 0;
	}
	return status;
}
