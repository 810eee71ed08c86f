/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "io/csv.h"
#include "isotrace/organs.h"

enum { LABEL, ORGAN, DENSITY, DENSITY_U, MASS, MASS_U, COLUMNS };
static const char *const column_names[COLUMNS] = {
    "label", "organ", "density_g_per_ml", "density_uncertainty_g_per_ml", "mass_g", "mass_uncertainty_g"};

static iso_status row_error(const iso_csv *csv, size_t row, const char *remedy, const char *what, const char *value,
			    iso_error *err)
{
	return iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE, (int64_t)csv->line[row], remedy,
			   "%s: '%.64s'", what, value);
}

/* A column that is not known would be ignored, and with it what the writer meant by it. */
static iso_status find_columns(const iso_csv *csv, int column[COLUMNS], iso_error *err)
{
	for (size_t c = 0; c < csv->columns; c++) {
		bool known = false;
		for (int n = 0; n < COLUMNS; n++) known = known || strcmp(csv->header[c], column_names[n]) == 0;
		if (!known)
			return iso_fail(err, ISO_BAD_INPUT, csv->file,
					"use label, organ, density_g_per_ml, density_uncertainty_g_per_ml, mass_g, "
					"mass_uncertainty_g",
					"unknown column '%.64s'", csv->header[c]);
	}
	for (int n = 0; n < COLUMNS; n++) column[n] = iso_csv_column(csv, column_names[n]);
	if (column[LABEL] < 0 || column[ORGAN] < 0)
		return iso_fail(err, ISO_BAD_INPUT, csv->file, "add the columns label and organ",
				"column %s is missing", column[LABEL] < 0 ? "label" : "organ");
	return ISO_OK;
}

/* A positive number or empty (NAN). */
static iso_status positive(const iso_csv *csv, size_t row, int column, bool or_zero, double *value, iso_error *err)
{
	const iso_status status = iso_csv_number(csv, row, column, value, err);
	if (status != ISO_OK || isnan(*value) || *value > 0 || (or_zero && *value == 0)) return status;
	return row_error(csv, row, "give a positive number or leave the field empty", csv->header[column],
			 iso_csv_field(csv, row, column), err);
}

static iso_status read_row(const iso_csv *csv, size_t row, const int column[COLUMNS], iso_organ *organ, iso_error *err)
{
	double label;
	const char *name = iso_csv_field(csv, row, column[ORGAN]);
	iso_status status = iso_csv_number(csv, row, column[LABEL], &label, err);
	if (status != ISO_OK) return status;
	if (!(label >= 1 && label <= 1e6 && label == rint(label)))
		return row_error(csv, row, "labels are whole numbers from 1; 0 is outside of every organ", "label",
				 iso_csv_field(csv, row, column[LABEL]), err);
	if (!*name || strlen(name) >= sizeof organ->name)
		return row_error(csv, row, "name the organ in at most 31 bytes", "organ", name, err);
	organ->label = (int)label;
	snprintf(organ->name, sizeof organ->name, "%s", name);
	status = positive(csv, row, column[DENSITY], false, &organ->density_g_per_ml, err);
	if (status == ISO_OK)
		status = positive(csv, row, column[DENSITY_U], true, &organ->density_uncertainty_g_per_ml, err);
	if (status == ISO_OK) status = positive(csv, row, column[MASS], false, &organ->mass_g, err);
	if (status == ISO_OK) status = positive(csv, row, column[MASS_U], true, &organ->mass_uncertainty_g, err);
	if (status != ISO_OK) return status;
	double known, uncertainty;
	if (isnan(organ->density_g_per_ml) && iso_tissue_density(name, &known, &uncertainty, NULL)) {
		organ->density_g_per_ml = known;
		if (isnan(organ->density_uncertainty_g_per_ml)) organ->density_uncertainty_g_per_ml = uncertainty;
	}
	/* Only an organ that was weighed can do without a density. */
	if (isnan(organ->density_g_per_ml) && isnan(organ->mass_g))
		return row_error(csv, row, "give density_g_per_ml or mass_g in the table",
				 "no density is known for this organ", name, err);
	return ISO_OK;
}

iso_status iso_organ_table_read(const char *path, iso_organ **organs, size_t *count, iso_error *err)
{
	*organs = NULL;
	*count = 0;
	iso_csv *csv;
	iso_status status = iso_csv_read(path, &csv, err);
	if (status != ISO_OK) return status;
	int column[COLUMNS];
	iso_organ *out = NULL;
	status = find_columns(csv, column, err);
	if (status == ISO_OK && csv->rows == 0)
		status =
		    iso_fail(err, ISO_BAD_INPUT, path, "add a row label,organ for every label", "the table is empty");
	if (status == ISO_OK && !(out = calloc(csv->rows, sizeof *out)))
		status = iso_fail_memory(err, "the organ table", csv->rows * sizeof *out);
	for (size_t row = 0; status == ISO_OK && row < csv->rows; row++) {
		status = read_row(csv, row, column, &out[row], err);
		for (size_t other = 0; status == ISO_OK && other < row; other++) {
			if (out[other].label == out[row].label)
				status = row_error(csv, row, "give every label one row", "label stands twice",
						   iso_csv_field(csv, row, column[LABEL]), err);
			else if (strcasecmp(out[other].name, out[row].name) == 0)
				status = row_error(csv, row, "give every organ one row", "organ stands twice",
						   out[row].name, err);
		}
	}
	const size_t rows = csv->rows;
	iso_csv_free(csv);
	if (status != ISO_OK) {
		free(out);
		return status;
	}
	*organs = out;
	*count = rows;
	return ISO_OK;
}

/* A field in quotes, in which only the quote itself is special. */
static size_t put_quoted(char *to, size_t size, const char *text)
{
	size_t used = 0;
	if (used < size) to[used++] = '"';
	for (; *text && used + 2 < size; text++) {
		if (*text == '"') to[used++] = '"';
		to[used++] = *text;
	}
	if (used < size) to[used++] = '"';
	return used;
}

static size_t put_number(char *to, size_t size, double value)
{
	return isnan(value) ? (size_t)snprintf(to, size, ",") : (size_t)iso_snprintf(to, size, ",%.10g", value);
}

iso_status iso_organ_table_write(const char *path, const iso_organ *organs, size_t count, iso_error *err)
{
	const size_t size = 256 + 256 * count;
	char *text = malloc(size);
	if (!text) return iso_fail_memory(err, "the organ table", size);
	size_t used = (size_t)snprintf(
	    text, size, "label,organ,density_g_per_ml,density_uncertainty_g_per_ml,mass_g,mass_uncertainty_g\n");
	for (size_t o = 0; o < count; o++) {
		const double numbers[] = {organs[o].density_g_per_ml, organs[o].density_uncertainty_g_per_ml,
					  organs[o].mass_g, organs[o].mass_uncertainty_g};
		used += (size_t)snprintf(text + used, size - used, "%d,", organs[o].label);
		used += put_quoted(text + used, size - used, organs[o].name);
		for (int n = 0; n < 4; n++) used += put_number(text + used, size - used, numbers[n]);
		text[used++] = '\n';
	}
	const iso_status status = iso_output_write(path, text, used, err);
	free(text);
	return status;
}
