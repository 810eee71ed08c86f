/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What stands in the study's own folder: the table of all subjects, and study.json, the record of what was done. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"
#include "isotrace/version.h"
#include "study/internal.h"

#define TABLE_LIMIT (256u << 20)

/* Is the job's own table there and right? A later step (DICOM, sending) may have failed nevertheless. */
static bool has_table(const iso_job *job)
{
	return json_object_get(json_object_get(job->manifest, "steps"), "quant") != NULL;
}

/* Appends one scan's rows; the first scan gives the header. */
static iso_status append_rows(FILE *to, const char *path, char **header, iso_error *err)
{
	char *text = NULL;
	size_t size = 0;
	ISO_TRY(iso_read_file(path, TABLE_LIMIT, &text, &size, err));
	char *rows = strchr(text, '\n');
	iso_status status = ISO_OK;
	if (!rows) status = iso_fail(err, ISO_BAD_INPUT, path, "remove the file and run again", "a table without rows");
	if (status == ISO_OK && !*header) {
		*header = strndup(text, (size_t)(rows - text));
		if (!*header) status = iso_fail_memory(err, "the table", size);
		if (*header) fprintf(to, "%s\n", *header);
	}
	if (status == ISO_OK &&
	    (strlen(*header) != (size_t)(rows - text) || strncmp(*header, text, (size_t)(rows - text)) != 0))
		status = iso_fail(err, ISO_BAD_INPUT, path, "remove the file and run again",
				  "its columns are not those of the other scans");
	if (status == ISO_OK) fputs(rows + 1, to);
	free(text);
	return status;
}

static iso_status write_csv(const char *output, const iso_job *jobs, size_t count, iso_error *err)
{
	char path[PATH_MAX], *text = NULL, *header = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	if (!to) return iso_fail_memory(err, "the table", 0);
	iso_status status = ISO_OK;
	for (size_t j = 0; status == ISO_OK && j < count; j++) {
		if (!has_table(jobs + j)) continue;
		status = iso_path_join(jobs[j].folder, "biodistribution.csv", path, err);
		if (status == ISO_OK) status = append_rows(to, path, &header, err);
	}
	if (fclose(to) != 0 && status == ISO_OK) status = iso_fail_memory(err, "the table", size);
	if (status == ISO_OK) status = iso_path_join(output, "biodistribution.csv", path, err);
	if (status == ISO_OK && header) status = iso_write_if_changed(path, text, size, err);
	if (status == ISO_OK && !header) iso_remove_tree(path); /* no scan has a result any more */
	free(header);
	free(text);
	return status;
}

static iso_status write_json(const char *path, json_t *content, iso_error *err)
{
	char *text;
	ISO_TRY(iso_json_dump(content, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17), &text, err));
	const iso_status status = iso_write_if_changed(path, text, strlen(text), err);
	free(text);
	return status;
}

/* Adds one scan's result: its subjects to the list, its provenance under the scan's name. */
static iso_status merge(json_t *all, const iso_job *job, iso_error *err)
{
	char path[PATH_MAX];
	ISO_TRY(iso_path_join(job->folder, "biodistribution.json", path, err));
	json_t *one;
	ISO_TRY(iso_json_read(path, &one, err));
	errno = 0;
	int bad = 0;
	if (!json_object_get(all, "units")) bad |= json_object_set(all, "units", json_object_get(one, "units"));
	bad |= json_array_extend(json_object_get(all, "subjects"), json_object_get(one, "subjects"));
	bad |=
	    json_object_set(json_object_get(all, "provenance"), job->row->folder, json_object_get(one, "provenance"));
	json_decref(one);
	if (bad && errno == ENOMEM) return iso_fail_memory(err, "the table of all scans", 0);
	return bad ? iso_fail(err, ISO_BAD_INPUT, path, "remove the file and run again", "it is not a result table")
		   : ISO_OK;
}

/* The same members as in a single scan's file. */
static iso_status write_all_json(const char *output, const iso_job *jobs, size_t count, iso_error *err)
{
	char path[PATH_MAX];
	json_t *all = json_pack("{s:s,s:[],s:{}}", "software", "isotrace " ISO_VERSION, "subjects", "provenance");
	iso_status status = all ? ISO_OK : iso_fail_memory(err, "the table", 0);
	for (size_t j = 0; status == ISO_OK && j < count; j++)
		if (has_table(jobs + j)) status = merge(all, jobs + j, err);
	if (status == ISO_OK) status = iso_path_join(output, "biodistribution.json", path, err);
	if (status == ISO_OK && json_array_size(json_object_get(all, "subjects")) > 0)
		status = write_json(path, all, err);
	else if (status == ISO_OK)
		iso_remove_tree(path);
	json_decref(all);
	return status;
}

/* One scan in study.json. */
static json_t *record_of(const iso_job *job)
{
	const iso_study_row *row = job->row;
	json_t *record = json_pack("{s:s,s:s,s:s,s:s,s:s}", "subject", row->subject, "scan", row->scan, "group",
				   row->group, "tracer", row->tracer, "folder", row->folder);
	if (!record) return NULL;
	const char *state = row->excluded[0] ? "excluded" : job->failed ? "failed" : "done";
	int bad = json_object_set_new(record, "state", json_string(state));
	if (row->excluded[0]) bad |= json_object_set_new(record, "excluded", json_string(row->excluded));
	if (job->failed) {
		char text[2048];
		iso_error_text(&job->error, text, sizeof text);
		bad |= json_object_set_new(record, "failed_step", json_string(job->failed_step));
		/* A message may quote a damaged file: keep what is text of it. */
		json_t *message = json_string(text);
		bad |= json_object_set_new(record, "error", message ? message : json_string("(unreadable message)"));
	}
	const json_t *steps = json_object_get(job->manifest, "steps");
	if (steps) bad |= json_object_set_new(record, "steps", json_deep_copy(steps));
	if (!bad) return record;
	json_decref(record);
	return NULL;
}

static json_t *file_record(const char *path)
{
	char hex[65];
	if (iso_hash_file(path, hex, NULL) != ISO_OK) hex[0] = '\0';
	return json_pack("{s:s,s:s}", "file", iso_base_name(path), "sha256", hex);
}

static iso_status write_record(const iso_study_file *study, const char *output, const iso_job *jobs, size_t count,
			       iso_error *err)
{
	char path[PATH_MAX];
	ISO_TRY(iso_path_join(output, "study.json", path, err));
	json_t *scans = json_array();
	bool good = scans != NULL;
	for (size_t j = 0; good && j < count; j++) good = json_array_append_new(scans, record_of(jobs + j)) == 0;
	json_t *all =
	    !good ? NULL
		  : json_pack("{s:s,s:s,s:o,s:o,s:o,s:O}", "software", "isotrace " ISO_VERSION, "name", study->name,
			      "study", file_record(study->path), "subjects", file_record(study->subjects), "organs",
			      file_record(study->organ_table), "scans", scans);
	json_decref(scans);
	const iso_status status = write_json(path, all, err);
	json_decref(all);
	return status;
}

iso_status iso_study_report(const iso_study_file *study, const char *output, const iso_job *jobs, size_t count,
			    iso_error *err)
{
	ISO_TRY(write_csv(output, jobs, count, err));
	ISO_TRY(write_all_json(output, jobs, count, err));
	return write_record(study, output, jobs, count, err);
}
