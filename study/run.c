/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The conductor: every row of the subjects table, every step, in order. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "isotrace/exports.h"
#include "isotrace/organs.h"
#include "isotrace/pacs.h"
#include "isotrace/version.h"
#include "study/internal.h"

static double clock_s(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- progress with the job's name in front --------------------------------------------------------------------- */

static int report(void *user, const char *stage, double done)
{
	const iso_job *job = user;
	char text[160];
	snprintf(text, sizeof text, "%s: %s", job->stage, stage);
	const iso_progress *outer = job->options->progress;
	return outer && outer->report ? outer->report(outer->user, text, done) : 0;
}

static void work(void *user, double done, double total)
{
	const iso_job *job = user;
	const iso_progress *outer = job->options->progress;
	if (outer && outer->work) outer->work(outer->user, done, total);
}

/* What the library says during a step goes into the step's record: six animals times five replicates times their
 * iterations would bury what a person must see. */
static void keep_note(void *user, const char *line)
{
	iso_job *job = user;
	if (json_array_size(job->notes) < 1000) (void)json_array_append_new(job->notes, json_string(line));
}

void iso_study_tell(const iso_job *job, const char *format, ...)
{
	char line[1400], text[1600];
	va_list values;
	const iso_progress *outer = job->options->progress;
	if (!outer || !outer->note) return;
	va_start(values, format);
	iso_vsnprintf(line, sizeof line, format, values);
	va_end(values);
	snprintf(text, sizeof text, "%s: %s", job->stage, line);
	outer->note(outer->user, text);
}

/* --- one job ------------------------------------------------------------------------------------------------ */

/* What a killed run left half-written. The study's lock is held, so that nobody is writing there now. */
static void remove_leftovers(const char *folder)
{
	DIR *list = opendir(folder);
	if (!list) return;
	char path[PATH_MAX];
	for (const struct dirent *entry; (entry = readdir(list)) != NULL;)
		if (strncmp(entry->d_name, ".part-", 6) == 0 &&
		    iso_path_join(folder, entry->d_name, path, NULL) == ISO_OK)
			iso_remove_tree(path);
	closedir(list);
}

/* Which native list-mode file the job reconstructs. */
static iso_status choose_listmode(iso_job *job, iso_error *err)
{
	ISO_TRY(iso_path_join(job->folder, "scan.lm.h5", job->listmode, err));
	if (job->row->scene[0]) return ISO_OK;
	iso_file_kind kind;
	ISO_TRY(iso_file_identify(job->row->listmode, &kind, err));
	if (kind == ISO_FILE_LISTMODE) snprintf(job->listmode, sizeof job->listmode, "%s", job->row->listmode);
	return ISO_OK;
}

static iso_status begin_job(iso_job *job, iso_error *err)
{
	ISO_TRY(iso_path_join(job->output, job->row->folder, job->folder, err));
	ISO_TRY(iso_make_directory(job->folder, err));
	remove_leftovers(job->folder);
	ISO_TRY(iso_manifest_load(job, err));
	return choose_listmode(job, err);
}

static iso_status run_step(iso_job *job, const iso_step *step, json_t *facts, const char *fingerprint, iso_error *err)
{
	const double started = clock_s(CLOCK_REALTIME), from = clock_s(CLOCK_MONOTONIC);
	json_decref(job->notes);
	job->notes = json_array();
	if (!job->notes) return iso_fail_memory(err, "the notes of a step", 0);
	ISO_TRY(step->run(job, facts, err));
	const double seconds = clock_s(CLOCK_MONOTONIC) - from;
	ISO_TRY(iso_manifest_add_step(job, step, facts, fingerprint, started, seconds, err));
	job->done++;
	iso_study_tell(job, "done in %.1f s", seconds);
	return ISO_OK;
}

static iso_status do_step(iso_job *job, const iso_step *step, iso_error *err)
{
	char fingerprint[65];
	json_t *facts = json_object();
	if (!facts) return iso_fail_memory(err, "the facts of a step", 0);
	iso_status status = iso_fact_text(facts, "software", "isotrace " ISO_VERSION, err);
	if (status == ISO_OK) status = iso_fact_text(facts, "step", step->name, err);
	if (status == ISO_OK) status = step->describe(job, facts, err);
	if (status == ISO_OK) status = iso_facts_fingerprint(facts, fingerprint, err);
	if (status == ISO_OK) {
		if (iso_manifest_step_is_done(job, step, fingerprint)) {
			job->skipped++;
			iso_study_tell(job, "unchanged, nothing to do");
		} else
			status = run_step(job, step, facts, fingerprint, err);
	}
	json_decref(facts);
	return status;
}

/* The step failed: what it and the steps after it made before belongs to other inputs and goes. */
static void give_up(iso_job *job, size_t failed)
{
	char text[1200];
	if (job->manifest) {
		for (size_t s = failed; s < iso_study_step_count; s++) iso_manifest_drop_step(job, iso_study_steps + s);
		(void)iso_manifest_save(job, NULL);
	}
	job->failed++;
	iso_study_tell(job, "failed: %s", iso_error_text(&job->error, text, sizeof text));
}

static iso_status do_job(iso_job *job)
{
	job->failed_step = iso_study_steps[0].name;
	snprintf(job->stage, sizeof job->stage, "%.40s %s", job->row->folder, job->failed_step);
	size_t s = 0;
	iso_status status = begin_job(job, &job->error);
	for (; status == ISO_OK && s < iso_study_step_count; s++) {
		const iso_step *step = iso_study_steps + s;
		if (step->wanted && !step->wanted(job)) continue;
		job->failed_step = step->name;
		snprintf(job->stage, sizeof job->stage, "%.40s %s", job->row->folder, step->name);
		status = do_step(job, step, &job->error);
		if (status != ISO_OK) break;
	}
	if (status == ISO_OK)
		job->failed_step = NULL;
	else if (status != ISO_CANCELLED)
		give_up(job, s);
	return status;
}

/* --- the study ---------------------------------------------------------------------------------------------- */

/* What concerns every row is looked at before the first hour of computing. */
static iso_status check_study(const iso_study_file *study, const char *pacs, const char *pacs_config,
			      const iso_nuclide **nuclide, iso_error *err)
{
	iso_pacs_file pacs_file = {.pacs = NULL};
	iso_pacs chosen;
	iso_dicom_key key;
	iso_organ *organs = NULL;
	iso_frame *frames = NULL;
	size_t count = 0;
	ISO_TRY(iso_nuclide_find(study->nuclide, study->path, nuclide, err));
	if (pacs && pacs_config) ISO_TRY(iso_pacs_file_load(pacs_config, &pacs_file, err));
	const iso_status known = pacs ? iso_pacs_choose(&pacs_file, pacs, &chosen, err) : ISO_OK;
	iso_pacs_file_free(&pacs_file);
	ISO_TRY(known);
	if (pacs && !study->write_dicom)
		return iso_fail(err, ISO_BAD_USAGE, study->path, "remove dicom.write: false",
				"a PACS to send to, but the study writes no DICOM");
	if (study->deidentify[0]) ISO_TRY(iso_dicom_key_read(study->deidentify, &key, err));
	ISO_TRY(iso_organ_table_read(study->organ_table, &organs, &count, err));
	free(organs);
	if (study->frames[0]) ISO_TRY(iso_frame_table_read(study->frames, &frames, &count, err));
	free(frames);
	return ISO_OK;
}

/* Two runs over one folder would overwrite each other's files. */
static iso_status lock_output(const char *output, int *lock, iso_error *err)
{
	char path[PATH_MAX];
	*lock = -1;
	ISO_TRY(iso_make_directory(output, err));
	ISO_TRY(iso_path_join(output, ".lock", path, err));
	*lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (*lock < 0) return iso_fail_errno(err, path, "cannot create");
	if (flock(*lock, LOCK_EX | LOCK_NB) == 0) return ISO_OK;
	const int busy = errno == EWOULDBLOCK;
	close(*lock);
	*lock = -1;
	if (!busy) return ISO_OK; /* a file system without locks */
	return iso_fail(err, ISO_BAD_USAGE, output, "wait for it, or give another --output",
			"another isotrace run is working in this folder");
}

static void free_jobs(iso_job *jobs, size_t count)
{
	for (size_t j = 0; jobs && j < count; j++) {
		json_decref(jobs[j].manifest);
		json_decref(jobs[j].known_files);
		json_decref(jobs[j].notes);
		iso_biodistribution_free(jobs[j].result);
	}
	free(jobs);
}

/* All jobs' outcomes as one: the first failure's text, and how many there were. */
static iso_status summarise(const iso_job *jobs, size_t count, iso_study_counts *counts, iso_error *err)
{
	const iso_job *first = NULL;
	size_t failed = 0, tried = 0;
	for (size_t j = 0; j < count; j++) {
		counts->steps_done += jobs[j].done;
		counts->steps_skipped += jobs[j].skipped;
		counts->steps_failed += jobs[j].failed;
		tried += jobs[j].row->excluded[0] == '\0';
		failed += jobs[j].failed > 0;
		if (jobs[j].failed && !first) first = jobs + j;
	}
	counts->subjects = tried;
	if (!first) return ISO_OK;
	const iso_error *why = &first->error;
	/* When nothing at all came out, that is not "a part failed". */
	const iso_status status = failed < tried ? ISO_PARTIAL : why->status;
	return iso_fail_at(err, status, why->file, why->position_kind, why->position, why->remedy,
			   "%zu of %zu scans failed; the first, %s at %s: %s", failed, tried, first->row->folder,
			   first->failed_step, why->message);
}

static iso_status run_jobs(iso_job *jobs, size_t count, iso_error *err)
{
	for (size_t j = 0; j < count; j++) {
		iso_job *job = jobs + j;
		if (job->row->excluded[0]) {
			snprintf(job->stage, sizeof job->stage, "%.60s", job->row->folder);
			iso_study_tell(job, "excluded: %s", job->row->excluded);
			continue;
		}
		if (do_job(job) != ISO_CANCELLED) continue;
		if (err) *err = job->error;
		return ISO_CANCELLED;
	}
	return ISO_OK;
}

static iso_status run_study(const iso_study_file *study, const iso_study_row *rows, size_t count,
			    const iso_study_options *options, iso_study_counts *counts, iso_error *err)
{
	const char *output = options->output ? options->output : study->output;
	const char *pacs = options->pacs ? options->pacs : study->pacs[0] ? study->pacs : NULL;
	const char *pacs_config = options->pacs_config    ? options->pacs_config
				  : study->pacs_config[0] ? study->pacs_config
							  : NULL;
	const iso_nuclide *nuclide;
	int lock;
	ISO_TRY(check_study(study, pacs, pacs_config, &nuclide, err));
	if (strlen(output) >= PATH_MAX) return iso_fail(err, ISO_BAD_USAGE, output, "use a shorter path", "too long");
	ISO_TRY(lock_output(output, &lock, err));
	char cache[PATH_MAX];
	remove_leftovers(output);
	if (iso_path_join(output, ".sensitivity", cache, NULL) == ISO_OK) remove_leftovers(cache);
	iso_job *jobs = calloc(count, sizeof *jobs);
	iso_status status = jobs ? ISO_OK : iso_fail_memory(err, "the scans", count * sizeof *jobs);
	for (size_t j = 0; jobs && j < count; j++) {
		iso_job *job = jobs + j;
		job->study = study;
		job->row = rows + j;
		job->options = options;
		job->pacs = pacs;
		job->pacs_config = pacs_config;
		job->nuclide = nuclide;
		job->progress = (iso_progress){.report = report, .note = keep_note, .user = job, .work = work};
		strcpy(job->output, output);
	}
	if (status == ISO_OK) status = run_jobs(jobs, count, err);
	if (status == ISO_OK) status = iso_study_report(study, output, jobs, count, err);
	if (status == ISO_OK) status = summarise(jobs, count, counts, err);
	free_jobs(jobs, count);
	if (lock >= 0) close(lock);
	return status;
}

iso_status iso_study_run(const char *study_path, const iso_study_options *options, iso_study_counts *counts,
			 iso_error *err)
{
	static const iso_study_options none = {.threads = 0};
	iso_study_counts ignored;
	iso_study_file *study = NULL;
	iso_study_row *rows = NULL;
	size_t count = 0;
	if (!counts) counts = &ignored;
	memset(counts, 0, sizeof *counts);
	iso_status status = iso_study_file_read(study_path, &study, err);
	if (status == ISO_OK) status = iso_subjects_table_read(study, &rows, &count, err);
	if (status == ISO_OK) status = run_study(study, rows, count, options ? options : &none, counts, err);
	free(rows);
	iso_study_file_free(study);
	return status;
}
