/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a study says, as read from study.yaml and subjects.csv. Described in docs/study-file.md. Names of files are
 * absolute or relative to the current folder here: the readers have put the study's folder in front. */
#ifndef ISOTRACE_IO_STUDY_FILE_H
#define ISOTRACE_IO_STUDY_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isotrace/dicom.h"
#include "isotrace/dose.h"
#include "isotrace/image.h"
#include "isotrace/recon.h"
#include "isotrace/status.h"

typedef struct iso_study_file {
	char path[PATH_MAX], folder[PATH_MAX];
	char name[64];
	char nuclide[16];
	char tracer[64];         /* "" = not stated, or stated per row */
	char subjects[PATH_MAX]; /* the subjects table */
	char output[PATH_MAX];

	char calibration[PATH_MAX]; /* file of isotrace calibrate; "" = none */
	char crystal_map[PATH_MAX]; /* "" = none */
	double calibration_factor, calibration_uncertainty, dead_time_factor; /* NAN = not stated */
	iso_dead_time_source dead_time;
	char normalisation[PATH_MAX];                   /* file of isotrace normalise; "" = none */
	double energy_window_kev[2], energy_resolution; /* NAN = as the list-mode states */
	double coincidence_window_ns, dead_time_ns;     /* likewise */
	iso_dead_time_model dead_time_model;            /* UNKNOWN = likewise */

	iso_grid grid;
	iso_algorithm algorithm;
	unsigned iterations, subsets;
	double beta_mm2, gamma, relaxation, stop_change;
	bool prior_within_organs; /* of bsrem */
	double psf_fwhm_mm, psf_tail_share, psf_tail_fwhm_mm;
	bool positron_range;
	iso_filter post_filter;
	iso_randoms_method randoms;
	bool have_scatter; /* false: corrected where the data are there */
	iso_scatter_method scatter;
	unsigned scatter_updates;
	bool have_prompt_gammas, prompt_gammas; /* not said: with scatter, where the nuclide has any */
	size_t replicates;
	uint64_t sensitivity_lines;
	char frames[PATH_MAX]; /* frame table; "" = one frame */

	char organ_table[PATH_MAX];
	char labels[PATH_MAX], mu[PATH_MAX]; /* for rows that name none; "" = none */

	bool write_dicom;
	iso_dicom_segments segmentation; /* beside the images */
	bool structured_report;
	char deidentify[PATH_MAX]; /* file with the key; "" = as it is */
	iso_dicom_subject dicom;   /* what all subjects share */
	char pacs[300];            /* "" = not sent */
	char pacs_config[PATH_MAX];
} iso_study_file;

/* Unknown keys, missing ones and values out of range: ISO_BAD_INPUT with the line where it is known. */
iso_status iso_study_file_read(const char *path, iso_study_file **out, iso_error *err);
void iso_study_file_free(iso_study_file *study);

/* One scan. */
typedef struct iso_study_row {
	size_t line; /* in the table */
	char subject[64], scan[32];
	char folder[100]; /* of the results, below the study's output: subject or subject_scan */
	char group[64];
	char tracer[64];
	char excluded[128]; /* why; "" = not excluded */
	/* Exactly one of these two. */
	char listmode[PATH_MAX]; /* scanner export or native list-mode */
	char scene[PATH_MAX];    /* to simulate */
	double start_utc_s;      /* stated start of an export that does not say it; NAN = not stated */
	char labels[PATH_MAX], mu[PATH_MAX];
	char dose_file[PATH_MAX]; /* "" = the dose stands in the row */
	iso_dose dose;            /* when it stands in the row */
	char sex[2];
} iso_study_row;

/* Reads the table of a study; columns are in docs/study-file.md. *rows is owned by the caller (free()). */
iso_status iso_subjects_table_read(const iso_study_file *study, iso_study_row **rows, size_t *count, iso_error *err);

#endif
