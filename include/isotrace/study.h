/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_STUDY_H
#define ISOTRACE_STUDY_H

#include "isotrace/progress.h"
#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What `isotrace run` did with one step of one subject. */
typedef struct iso_study_counts {
	size_t subjects, steps_done, steps_skipped, steps_failed;
} iso_study_counts;

typedef struct iso_study_options {
	const char *output; /* folder of the results; NULL: as the study file says */
	int threads;        /* 0 = as many as OpenMP offers */
	const char *pacs;   /* to send to, "AET@HOST:PORT" or a name in pacs_config; NULL: as the study file says */
	const char *pacs_config; /* PACS configuration file; NULL: as the study file says */
	const iso_progress *progress;
} iso_study_options;

/* Runs every row of the study's subjects table: convert (or simulate), reconstruct, quantify, DICOM, send. A step whose inputs,
 * settings and outputs are unchanged is skipped. A subject that fails does not stop the others: ISO_PARTIAL. The table of
 * all subjects is written at the end. Described in docs/study-file.md. */
iso_status iso_study_run(const char *study_path, const iso_study_options *options, iso_study_counts *counts,
			 iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
