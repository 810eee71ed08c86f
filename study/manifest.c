/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * FOLDER/steps.json: which steps are done, from what, and what they made. */
#define _GNU_SOURCE
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"
#include "isotrace/time.h"
#include "study/internal.h"

#define MANIFEST "steps.json"

iso_status iso_manifest_load(iso_job *job, iso_error *err)
{
	char path[PATH_MAX];
	ISO_TRY(iso_path_join(job->folder, MANIFEST, path, err));
	/* A manifest that cannot be understood is as good as none: everything is done again. */
	json_t *old = json_load_file(path, 0, NULL);
	job->known_files = json_incref(json_object_get(old, "files"));
	job->manifest = json_pack("{s:O?,s:{}}", "steps", json_object_get(old, "steps"), "files");
	json_decref(old);
	if (job->manifest && !json_is_object(json_object_get(job->manifest, "steps")))
		json_object_set_new(job->manifest, "steps", json_object());
	if (!json_is_object(json_object_get(job->manifest, "steps"))) return iso_fail_memory(err, "the manifest", 0);
	return ISO_OK;
}

iso_status iso_manifest_save(const iso_job *job, iso_error *err)
{
	char path[PATH_MAX];
	ISO_TRY(iso_path_join(job->folder, MANIFEST, path, err));
	char *text;
	ISO_TRY(iso_json_dump(job->manifest, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17), &text, err));
	const iso_status status = iso_write_if_changed(path, text, strlen(text), err);
	free(text);
	return status;
}

/* What the file system says of a file: whoever writes to it changes this. */
static json_t *stamp_of(const struct stat *info)
{
	return json_pack("{s:I,s:I,s:I}", "bytes", (json_int_t)info->st_size, "modified_ns",
			 (json_int_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec, "changed_ns",
			 (json_int_t)info->st_ctim.tv_sec * 1000000000 + info->st_ctim.tv_nsec);
}

iso_status iso_manifest_hash(iso_job *job, const char *path, char hex[65], iso_error *err)
{
	struct stat info;
	json_t *files = json_object_get(job->manifest, "files");
	if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
		return iso_fail(err, ISO_BAD_INPUT, path, "check the name and that it may be read",
				"there is no such file");
	json_t *stamp = stamp_of(&info);
	if (!stamp) return iso_fail_memory(err, "the manifest", 0);
	json_t *known = json_object_get(files, path);
	if (!known) known = json_object_get(job->known_files, path);
	const char *hash = json_string_value(json_object_get(known, "sha256"));
	if (hash && strlen(hash) == 64 && json_equal(json_object_get(known, "stamp"), stamp)) {
		memcpy(hex, hash, 65);
		json_decref(stamp);
		if (json_object_set(files, path, known) != 0) return iso_fail_memory(err, "the manifest", 0);
		return ISO_OK;
	}
	const iso_status status = iso_hash_file(path, hex, err);
	if (status != ISO_OK) {
		json_decref(stamp);
		return status;
	}
	json_t *entry = json_pack("{s:o,s:s}", "stamp", stamp, "sha256", hex);
	if (!entry || json_object_set_new(files, path, entry) != 0) return iso_fail_memory(err, "the manifest", 0);
	return ISO_OK;
}

/* Calls use() for an output: the file itself, or every file directly inside the folder, in the order of their names. */
static iso_status each_file(const iso_job *job, const char *name,
			    iso_status (*use)(void *self, const char *name, const char *path, iso_error *err),
			    void *self, iso_error *err)
{
	char path[PATH_MAX], inside[PATH_MAX], inside_name[PATH_MAX];
	struct stat info;
	ISO_TRY(iso_path_join(job->folder, name, path, err));
	if (stat(path, &info) != 0) return ISO_OK;
	if (!S_ISDIR(info.st_mode)) return use(self, name, path, err);
	struct dirent **entries = NULL;
	const int count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) return iso_fail_errno(err, path, "cannot list the folder");
	iso_status status = ISO_OK;
	for (int e = 0; e < count; e++) {
		if (status == ISO_OK && entries[e]->d_name[0] != '.') {
			status = iso_path_join(path, entries[e]->d_name, inside, err);
			if (status == ISO_OK) status = iso_path_join(name, entries[e]->d_name, inside_name, err);
			if (status == ISO_OK) status = use(self, inside_name, inside, err);
		}
		free(entries[e]);
	}
	free(entries);
	return status;
}

typedef struct collector {
	iso_job *job;
	json_t *outputs;
} collector;

static iso_status collect(void *self, const char *name, const char *path, iso_error *err)
{
	collector *c = self;
	char hex[65];
	ISO_TRY(iso_manifest_hash(c->job, path, hex, err));
	return json_object_set_new(c->outputs, name, json_string(hex)) == 0 ? ISO_OK
									    : iso_fail_memory(err, "the manifest", 0);
}

/* {name: sha256} of all that a step has made. */
static iso_status collect_outputs(iso_job *job, const iso_step *step, json_t **outputs, iso_error *err)
{
	collector c = {.job = job, .outputs = json_object()};
	iso_status status = c.outputs ? ISO_OK : iso_fail_memory(err, "the manifest", 0);
	for (const char *const *name = step->outputs; status == ISO_OK && *name; name++)
		status = each_file(job, *name, collect, &c, err);
	if (status != ISO_OK) {
		json_decref(c.outputs);
		c.outputs = NULL;
	}
	*outputs = c.outputs;
	return status;
}

bool iso_manifest_step_is_done(iso_job *job, const iso_step *step, const char *fingerprint)
{
	const json_t *entry = json_object_get(json_object_get(job->manifest, "steps"), step->name);
	const char *recorded = json_string_value(json_object_get(entry, "fingerprint"));
	if (!recorded || strcmp(recorded, fingerprint) != 0) return false;
	json_t *outputs;
	if (collect_outputs(job, step, &outputs, NULL) != ISO_OK) return false;
	const bool same = json_equal(outputs, json_object_get(entry, "outputs"));
	json_decref(outputs);
	return same;
}

iso_status iso_manifest_add_step(iso_job *job, const iso_step *step, json_t *facts, const char *fingerprint,
				 double started_utc_s, double seconds, iso_error *err)
{
	char started[40];
	json_t *outputs;
	ISO_TRY(collect_outputs(job, step, &outputs, err));
	json_t *entry = json_pack("{s:O,s:O,s:s,s:o,s:s,s:f}", "facts", facts, "notes", job->notes, "fingerprint",
				  fingerprint, "outputs", outputs, "started",
				  iso_time_text(round(started_utc_s), started), "seconds", round(seconds * 10) / 10);
	if (!entry || json_object_set_new(json_object_get(job->manifest, "steps"), step->name, entry) != 0)
		return iso_fail_memory(err, "the manifest", 0);
	return iso_manifest_save(job, err);
}

void iso_manifest_drop_step(iso_job *job, const iso_step *step)
{
	char path[PATH_MAX];
	for (const char *const *name = step->outputs; *name; name++)
		if (iso_path_join(job->folder, *name, path, NULL) == ISO_OK) iso_remove_tree(path);
	(void)json_object_del(json_object_get(job->manifest, "steps"), step->name);
}
