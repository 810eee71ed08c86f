/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * subjects.csv: one row per scan, with units and clock times as a lab's spreadsheet has them. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/csv.h"
#include "io/study_file.h"
#include "isotrace/time.h"

enum column {
	SUBJECT,
	SCAN,
	GROUP,
	PARTICLE,
	LISTMODE,
	SCENE,
	START_TIME,
	LABELS,
	MU,
	DOSE,
	SYRINGE_MBQ,
	SYRINGE_TIME,
	RESIDUAL_MBQ,
	RESIDUAL_TIME,
	INJECTION_TIME,
	DOSE_UNCERTAINTY_PERCENT,
	BODY_MASS_G,
	BODY_MASS_UNCERTAINTY_G,
	EXCRETED_PERCENT_ID,
	ROUTE,
	SEX,
	EXCLUDED,
	COMMENT,
	COLUMNS
};
static const char *const names[COLUMNS] = {
    "subject",
    "scan",
    "group",
    "particle",
    "listmode",
    "scene",
    "start_time",
    "labels",
    "mu",
    "dose",
    "syringe_mbq",
    "syringe_time",
    "residual_mbq",
    "residual_time",
    "injection_time",
    "dose_uncertainty_percent",
    "body_mass_g",
    "body_mass_uncertainty_g",
    "excreted_percent_id",
    "route",
    "sex",
    "excluded",
    "comment",
};

typedef struct table {
	const iso_study_file *study;
	const iso_csv *csv;
	int at[COLUMNS]; /* number in the file, -1 = absent */
	size_t row;
} table;

#define CHECK(call)                                                  \
	do {                                                         \
		const iso_status status_of_call = (call);            \
		if (status_of_call != ISO_OK) return status_of_call; \
	} while (0)

static const char *field(const table *t, enum column c)
{
	return iso_csv_field(t->csv, t->row, t->at[c]);
}

#define FAIL_ROW(t, err, remedy, ...)                                                                                 \
	iso_fail_at(err, ISO_BAD_INPUT, (t)->csv->file, ISO_POSITION_LINE, (int64_t)(t)->csv->line[(t)->row], remedy, \
		    __VA_ARGS__)

static iso_status text(const table *t, enum column c, char *to, size_t size, iso_error *err)
{
	const char *from = field(t, c);
	if (strlen(from) >= size)
		return FAIL_ROW(t, err, "shorten it", "'%s' in column %s is longer than %zu characters", from, names[c],
				size - 1);
	strcpy(to, from);
	return ISO_OK;
}

static iso_status path(const table *t, enum column c, const char *otherwise, char to[PATH_MAX], iso_error *err)
{
	const char *from = field(t, c);
	const int n = !*from         ? snprintf(to, PATH_MAX, "%s", otherwise)
		      : *from == '/' ? snprintf(to, PATH_MAX, "%s", from)
				     : snprintf(to, PATH_MAX, "%s/%s", t->study->folder, from);
	if (n < 0 || n >= PATH_MAX) return FAIL_ROW(t, err, "use a shorter path", "%s is too long", names[c]);
	return ISO_OK;
}

static iso_status clock_time(const table *t, enum column c, double *utc_s, iso_error *err)
{
	*utc_s = (double)NAN;
	const char *from = field(t, c);
	if (!*from) return ISO_OK;
	iso_error inner;
	const iso_status status = iso_time_parse(from, t->csv->file, utc_s, &inner);
	if (status != ISO_OK) return FAIL_ROW(t, err, inner.remedy, "column %s: %s", names[c], inner.message);
	return ISO_OK;
}

static iso_status number(const table *t, enum column c, double least, double *value, iso_error *err)
{
	CHECK(iso_csv_number(t->csv, t->row, t->at[c], value, err));
	if (*value < least)
		return FAIL_ROW(t, err, "correct the number or leave the field empty", "%s is %g", names[c], *value);
	return ISO_OK;
}

/* Subject and scan become names of folders: only what every file system and PACS takes. */
static iso_status plain_name(const table *t, enum column c, const char *name, iso_error *err)
{
	const size_t good = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");
	if (name[good] || name[0] == '.')
		return FAIL_ROW(t, err, "use letters, digits, '_', '-' and '.', not starting with '.'",
				"the %s '%s' cannot name a folder", names[c], name);
	return ISO_OK;
}

static iso_status read_dose(const table *t, iso_study_row *row, iso_error *err)
{
	iso_dose *dose = &row->dose;
	double syringe_mbq, residual_mbq, percent, excreted;
	CHECK(path(t, DOSE, "", row->dose_file, err));
	if (row->dose_file[0]) {
		static const enum column also[] = {SYRINGE_MBQ,         SYRINGE_TIME,
						   RESIDUAL_MBQ,        RESIDUAL_TIME,
						   INJECTION_TIME,      DOSE_UNCERTAINTY_PERCENT,
						   BODY_MASS_G,         BODY_MASS_UNCERTAINTY_G,
						   EXCRETED_PERCENT_ID, ROUTE};
		for (size_t i = 0; i < sizeof also / sizeof *also; i++)
			if (*field(t, also[i]))
				return FAIL_ROW(t, err, "state the dose in one place",
						"both a dose file and a value in column %s", names[also[i]]);
		return ISO_OK;
	}
	CHECK(number(t, SYRINGE_MBQ, 0, &syringe_mbq, err));
	CHECK(number(t, RESIDUAL_MBQ, 0, &residual_mbq, err));
	CHECK(number(t, DOSE_UNCERTAINTY_PERCENT, 0, &percent, err));
	CHECK(number(t, BODY_MASS_G, 0, &dose->body_mass_g, err));
	CHECK(number(t, BODY_MASS_UNCERTAINTY_G, 0, &dose->body_mass_uncertainty_g, err));
	CHECK(number(t, EXCRETED_PERCENT_ID, 0, &excreted, err));
	CHECK(clock_time(t, SYRINGE_TIME, &dose->before.utc_s, err));
	CHECK(clock_time(t, RESIDUAL_TIME, &dose->after.utc_s, err));
	CHECK(clock_time(t, INJECTION_TIME, &dose->injection_utc_s, err));
	CHECK(text(t, ROUTE, dose->route, sizeof dose->route, err));
	static const enum column needed[] = {SYRINGE_MBQ, SYRINGE_TIME, RESIDUAL_MBQ, INJECTION_TIME};
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!*field(t, needed[i]))
			return FAIL_ROW(t, err,
					"fill in syringe_mbq, syringe_time, residual_mbq (0 when nothing was left) and "
					"injection_time, or name a dose file in column dose",
					"no %s", names[needed[i]]);
	if (residual_mbq > 0 && isnan(dose->after.utc_s))
		return FAIL_ROW(t, err, "say when the emptied syringe was measured",
				"residual_mbq without residual_time");
	snprintf(dose->nuclide, sizeof dose->nuclide, "%s", t->study->nuclide);
	snprintf(dose->tracer, sizeof dose->tracer, "%s", row->tracer);
	dose->before.activity_bq = syringe_mbq * 1e6;
	dose->after.activity_bq = residual_mbq * 1e6;
	dose->relative_uncertainty = percent / 100;
	dose->excreted_percent_id = isnan(excreted) ? 0 : excreted;
	return ISO_OK;
}

static iso_status read_row(const table *t, iso_study_row *row, iso_error *err)
{
	row->line = t->csv->line[t->row];
	CHECK(text(t, SUBJECT, row->subject, sizeof row->subject, err));
	CHECK(text(t, SCAN, row->scan, sizeof row->scan, err));
	if (!row->subject[0]) return FAIL_ROW(t, err, "name the animal or patient", "no subject");
	CHECK(plain_name(t, SUBJECT, row->subject, err));
	if (row->scan[0]) CHECK(plain_name(t, SCAN, row->scan, err));
	snprintf(row->folder, sizeof row->folder, "%s%s%s", row->subject, row->scan[0] ? "_" : "", row->scan);
	CHECK(text(t, GROUP, row->group, sizeof row->group, err));
	CHECK(text(t, PARTICLE, row->tracer, sizeof row->tracer, err));
	if (!row->tracer[0]) snprintf(row->tracer, sizeof row->tracer, "%s", t->study->tracer);
	CHECK(text(t, EXCLUDED, row->excluded, sizeof row->excluded, err));
	CHECK(path(t, LISTMODE, "", row->listmode, err));
	CHECK(path(t, SCENE, "", row->scene, err));
	if (!row->excluded[0] && !row->listmode[0] == !row->scene[0])
		return FAIL_ROW(t, err, "name the scanner's export in listmode, or a scene to simulate, not both",
				row->scene[0] ? "both a list-mode file and a scene" : "no list-mode file");
	CHECK(clock_time(t, START_TIME, &row->start_utc_s, err));
	CHECK(path(t, LABELS, t->study->labels, row->labels, err));
	CHECK(path(t, MU, t->study->mu, row->mu, err));
	if (!row->excluded[0] && !row->labels[0])
		return FAIL_ROW(t, err, "name a label image in column labels or in the study's organs.labels",
				"no organ labels");
	const char *sex = field(t, SEX);
	if (strlen(sex) > 1 || (*sex && !strchr("MFO", *sex)))
		return FAIL_ROW(t, err, "write M, F, O or nothing", "sex is '%s'", sex);
	strcpy(row->sex, sex);
	return row->excluded[0] ? ISO_OK : read_dose(t, row, err);
}

static iso_status find_columns(table *t, iso_error *err)
{
	for (int c = 0; c < COLUMNS; c++) t->at[c] = iso_csv_column(t->csv, names[c]);
	for (size_t h = 0; h < t->csv->columns; h++) {
		bool known = false;
		for (int c = 0; c < COLUMNS; c++) known = known || strcmp(names[c], t->csv->header[h]) == 0;
		if (!known)
			return iso_fail(
			    err, ISO_BAD_INPUT, t->csv->file,
			    "the columns are listed in docs/study-file.md; remarks go into the column comment",
			    "column '%s' is not known", t->csv->header[h]);
	}
	if (t->at[SUBJECT] < 0)
		return iso_fail(err, ISO_BAD_INPUT, t->csv->file,
				"give the table a header line with the column subject", "no column 'subject'");
	if (t->csv->rows == 0)
		return iso_fail(err, ISO_BAD_INPUT, t->csv->file, "add a row for every scan", "the table has no rows");
	return ISO_OK;
}

static iso_status read_rows(table *t, iso_study_row *rows, iso_error *err)
{
	for (t->row = 0; t->row < t->csv->rows; t->row++) {
		CHECK(read_row(t, rows + t->row, err));
		for (size_t other = 0; other < t->row; other++)
			if (strcmp(rows[other].folder, rows[t->row].folder) == 0)
				return FAIL_ROW(t, err, "tell a subject's scans apart in the column scan",
						"the scan %s stands in line %zu already", rows[other].folder,
						rows[other].line);
	}
	return ISO_OK;
}

iso_status iso_subjects_table_read(const iso_study_file *study, iso_study_row **rows, size_t *count, iso_error *err)
{
	*rows = NULL;
	*count = 0;
	iso_csv *csv = NULL;
	iso_status status = iso_csv_read(study->subjects, &csv, err);
	if (status != ISO_OK) return status;
	table t = {.study = study, .csv = csv};
	status = find_columns(&t, err);
	iso_study_row *list = NULL;
	if (status == ISO_OK) {
		list = calloc(csv->rows, sizeof *list);
		status =
		    list ? read_rows(&t, list, err) : iso_fail_memory(err, "the subjects", csv->rows * sizeof *list);
	}
	if (status == ISO_OK) {
		*rows = list;
		*count = csv->rows;
	} else
		free(list);
	iso_csv_free(csv);
	return status;
}
