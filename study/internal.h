/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a study is run. Each row of the subjects table is a job; a job has steps. Before a step its facts are put
 * together: the SHA-256 of every input, every setting, and the program's version, as one JSON object. The facts' own SHA-256
 * is the step's fingerprint. A step whose fingerprint stands in the job's manifest (FOLDER/steps.json), with
 * outputs that are still what the manifest says, is skipped. So the record of what was done and the decision whether
 * to do it again are the same thing. */
#ifndef ISOTRACE_STUDY_INTERNAL_H
#define ISOTRACE_STUDY_INTERNAL_H

#include <jansson.h>
#include <limits.h>

#include "io/json.h"
#include "io/study_file.h"
#include "isotrace/biodistribution.h"
#include "isotrace/study.h"

typedef struct iso_job {
	const iso_study_file *study;
	const iso_study_row *row;
	const iso_study_options *options;
	const char *pacs;        /* NULL = not sent */
	const char *pacs_config; /* NULL = none */
	const iso_nuclide *nuclide;
	char output[PATH_MAX];   /* of the study */
	char folder[PATH_MAX];   /* of this job */
	char listmode[PATH_MAX]; /* native list-mode that is reconstructed: the row's own or the converted one */
	json_t *manifest;        /* owned: {"steps": {...}, "files": {...}}; files: those that this run has looked at */
	json_t *known_files;     /* owned: the files of the manifest that was found */
	iso_progress progress;   /* the caller's, with the job's name in front */
	char stage[64];          /* "M01 recon" */
	json_t *notes;           /* owned: what the library said during the step that runs */
	/* owned: what this run's quantification found; NULL: it was not done, or not again */
	iso_biodistribution *result;
	size_t done, skipped, failed;
	const char *failed_step; /* NULL = none */
	iso_error error;         /* of the failed step */
} iso_job;

/* One step. `wanted` (NULL: always) says whether the job has it; `describe` puts the facts together; `outputs` lists
 * the files or folders it makes, relative to the job's folder, ended by NULL. */
typedef struct iso_step {
	const char *name;
	bool (*wanted)(const iso_job *job);
	iso_status (*describe)(iso_job *job, json_t *facts, iso_error *err);
	iso_status (*run)(iso_job *job, const json_t *facts, iso_error *err);
	const char *const *outputs;
} iso_step;
extern const iso_step iso_study_steps[];
extern const size_t iso_study_step_count;

/* recon_step.c: the volume, below the job's folder, and how it comes about. */
#define ISO_STUDY_VOLUME "scan.nii.gz"
iso_status iso_study_describe_recon(iso_job *job, json_t *facts, iso_error *err);
iso_status iso_study_run_recon(iso_job *job, const json_t *facts, iso_error *err);

/* dicom_step.c: the folder of DICOM files, below the job's folder. */
#define ISO_STUDY_DICOM "dicom"
bool iso_study_writes_dicom(const iso_job *job);
iso_status iso_study_describe_dicom(iso_job *job, json_t *facts, iso_error *err);
iso_status iso_study_run_dicom(iso_job *job, const json_t *facts, iso_error *err);

/* steps.c: what the steps after the reconstruction start from. */
typedef struct iso_job_data {
	iso_volume *volume; /* owned, all of them */
	iso_image *labels;  /* NULL: not asked for; the rest likewise */
	iso_organs *organs;
	iso_biodistribution *result;
} iso_job_data;
iso_status iso_job_read(const iso_job *job, bool organs, bool quantified, iso_job_data *data, iso_error *err);
void iso_job_data_free(iso_job_data *data);
iso_status iso_job_read_dose(const iso_job *job, iso_dose *dose, iso_error *err);
iso_status iso_job_describe_volume(iso_job *job, json_t *facts, iso_error *err);
iso_status iso_job_describe_dose(iso_job *job, json_t *facts, iso_error *err);

/* run.c: a line for the person who watches, with the job's name and step in front. */
void iso_study_tell(const iso_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* manifest.c */
iso_status iso_manifest_load(iso_job *job, iso_error *err);
iso_status iso_manifest_save(const iso_job *job, iso_error *err);
/* SHA-256 of a file's content. Known from the manifest while the file's size and times are what they were. */
iso_status iso_manifest_hash(iso_job *job, const char *path, char hex[65], iso_error *err);
/* Does the manifest hold this step with this fingerprint, and are its outputs there unchanged? */
bool iso_manifest_step_is_done(iso_job *job, const iso_step *step, const char *fingerprint);
/* Records a step that was done, with the hashes of what it made. */
iso_status iso_manifest_add_step(iso_job *job, const iso_step *step, json_t *facts, const char *fingerprint,
				 double started_utc_s, double seconds, iso_error *err);
/* Forgets a step and removes its outputs: what no longer fits its inputs must not lie about. */
void iso_manifest_drop_step(iso_job *job, const iso_step *step);

/* facts.c: building blocks of facts. They fail only for want of memory or because a file cannot be read. */
iso_status iso_fact_text(json_t *facts, const char *key, const char *text, iso_error *err);
iso_status iso_fact_number(json_t *facts, const char *key, double value, iso_error *err); /* NAN: null */
iso_status iso_fact_whole(json_t *facts, const char *key, uint64_t value, iso_error *err);
/* {"file": NAME, "sha256": ...}; nothing when path is "". */
iso_status iso_fact_file(iso_job *job, json_t *facts, const char *key, const char *path, iso_error *err);
iso_status iso_fact_numbers(json_t *facts, const char *key, const double *values, size_t count, iso_error *err);
iso_status iso_fact_grid(json_t *facts, const char *key, const iso_grid *grid, iso_error *err);
/* SHA-256 of the canonical text of the facts. */
iso_status iso_facts_fingerprint(const json_t *facts, char hex[65], iso_error *err);
/* "folder/name"; the buffer has PATH_MAX. */
iso_status iso_path_join(const char *folder, const char *name, char path[PATH_MAX], iso_error *err);
/* Writes a file only when its content differs from what is there, so that a run that changes nothing writes nothing. */
iso_status iso_write_if_changed(const char *path, const char *text, size_t size, iso_error *err);

/* report.c: the tables and the record of the whole study. */
iso_status iso_study_report(const iso_study_file *study, const char *output, const iso_job *jobs, size_t count,
			    iso_error *err);

#define ISO_TRY(call)                                                \
	do {                                                         \
		const iso_status status_of_call = (call);            \
		if (status_of_call != ISO_OK) return status_of_call; \
	} while (0)

#endif
