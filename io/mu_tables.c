/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The two tables that a user may give: from HU to mu by tube voltage, and mu of labels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/csv.h"
#include "isotrace/attenuation.h"

enum { KVP, BREAK, OFFSET, SLOPE, NUMBERS };
static const char *const curve_columns[NUMBERS] = {"kvp", "break_hu", "a_per_cm", "b_per_cm_per_hu"};

#define FAIL_ROW(csv, row, err, remedy, ...) \
	iso_fail_at(err, ISO_BAD_INPUT, (csv)->file, ISO_POSITION_LINE, (int64_t)(csv)->line[row], remedy, __VA_ARGS__)

static iso_status read_row(const iso_csv *csv, size_t row, double number[NUMBERS], iso_error *err)
{
	for (int n = 0; n < NUMBERS; n++) {
		const iso_status status =
		    iso_csv_number(csv, row, iso_csv_column(csv, curve_columns[n]), number + n, err);
		if (status != ISO_OK) return status;
	}
	if (!(number[KVP] > 0 && number[KVP] < 1000) || !(number[BREAK] >= -1000 && number[BREAK] < 3000) ||
	    !(number[SLOPE] > 0 && number[SLOPE] < 0.01) || !(fabs(number[OFFSET]) < 10))
		return FAIL_ROW(csv, row, err,
				"give kvp in kV, break_hu in HU, a_per_cm in 1/cm, b_per_cm_per_hu in 1/cm per HU",
				"impossible numbers");
	const double below = ISO_MU_WATER_PER_CM * (1 + number[BREAK] / 1000),
		     above = number[OFFSET] + number[SLOPE] * number[BREAK];
	if (fabs(above - below) > 0.05 * ISO_MU_WATER_PER_CM)
		return FAIL_ROW(csv, row, err, "correct a_per_cm, b_per_cm_per_hu or break_hu",
				"the lines do not meet: %.4g and %.4g per cm at %g HU", below, above, number[BREAK]);
	return ISO_OK;
}

static void keep(iso_mu_curve *out, const double low[NUMBERS], const double high[NUMBERS], double kvp)
{
	const double width = high[KVP] - low[KVP];
	const double part = width > 0 ? fmin(fmax((kvp - low[KVP]) / width, 0), 1) : 0;
	out->break_hu = low[BREAK] + part * (high[BREAK] - low[BREAK]);
	out->bone_per_cm = low[OFFSET] + part * (high[OFFSET] - low[OFFSET]);
	out->bone_slope_per_cm = low[SLOPE] + part * (high[SLOPE] - low[SLOPE]);
	/* mu of cortical bone, 0.167 per cm, and half as much again */
	out->most_hu = fmax(3000, 1.5 * (0.1674 - out->bone_per_cm) / out->bone_slope_per_cm);
}

iso_status iso_mu_curve_read(const char *path, double kvp, iso_mu_curve *out, iso_error *err)
{
	iso_csv *csv = NULL;
	double row[2][NUMBERS] = {{0}};
	iso_status status = iso_csv_read(path, &csv, err);
	if (status != ISO_OK) return status;
	*out = (iso_mu_curve){.water_per_cm = ISO_MU_WATER_PER_CM, .kvp = kvp, .effective_kev = (double)NAN};
	const char *slash = strrchr(path, '/');
	snprintf(out->source, sizeof out->source, "table %.100s", slash ? slash + 1 : path);
	for (int n = 0; n < NUMBERS && status == ISO_OK; n++)
		if (iso_csv_column(csv, curve_columns[n]) < 0)
			status =
			    iso_fail(err, ISO_BAD_INPUT, path, "the header is kvp,break_hu,a_per_cm,b_per_cm_per_hu",
				     "no column '%s'", curve_columns[n]);
	bool found = false;
	for (size_t r = 0; r < csv->rows && status == ISO_OK; r++) {
		status = read_row(csv, r, row[1], err);
		if (status == ISO_OK && r && !(row[1][KVP] > row[0][KVP]))
			status = FAIL_ROW(csv, r, err, "put the rows in the order of kvp", "kvp does not grow");
		if (status != ISO_OK || found) continue;
		/* with one row, or before the first: that row alone */
		const double *low = r ? row[0] : row[1];
		found = kvp >= low[KVP] - 0.5 && kvp <= row[1][KVP] + (r + 1 == csv->rows ? 0.5 : 0);
		if (found) keep(out, low, row[1], kvp);
		memcpy(row[0], row[1], sizeof row[0]);
	}
	if (status == ISO_OK && !found)
		status = iso_fail(err, ISO_BAD_INPUT, path, "add a row for it, or state --kvp",
				  "the table does not reach the tube voltage %g kV", kvp);
	iso_csv_free(csv);
	return status;
}

static iso_status read_label(const iso_csv *csv, size_t r, iso_mu_label *row, iso_error *err)
{
	double label;
	const char *material = iso_csv_field(csv, r, iso_csv_column(csv, "material"));
	iso_status status = iso_csv_number(csv, r, iso_csv_column(csv, "label"), &label, err);
	if (status == ISO_OK) status = iso_csv_number(csv, r, iso_csv_column(csv, "mu_per_cm"), &row->mu_per_cm, err);
	if (status == ISO_OK)
		status = iso_csv_number(csv, r, iso_csv_column(csv, "density_g_per_ml"), &row->density_g_per_ml, err);
	if (status != ISO_OK) return status;
	if (!(label >= 0 && label <= 16777216 && label == rint(label)))
		return FAIL_ROW(csv, r, err, "give the label's whole number", "label %g", label);
	row->label = (int)label;
	if (strlen(material) >= sizeof row->material)
		return FAIL_ROW(csv, r, err, "use the name of a NIST material or a formula",
				"the material's name is too long");
	strcpy(row->material, material);
	if (isnan(row->mu_per_cm) == !*material)
		return FAIL_ROW(csv, r, err, "fill in mu_per_cm, or material and perhaps density_g_per_ml",
				*material ? "both mu_per_cm and a material" : "neither mu_per_cm nor a material");
	if (isfinite(row->density_g_per_ml) && !(row->density_g_per_ml >= 0 && row->density_g_per_ml < 30))
		return FAIL_ROW(csv, r, err, "give the density in g/mL", "a density of %g g/mL", row->density_g_per_ml);
	return ISO_OK;
}

iso_status iso_mu_labels_read(const char *path, iso_mu_label **rows, size_t *count, iso_error *err)
{
	*rows = NULL;
	*count = 0;
	iso_csv *csv = NULL;
	iso_status status = iso_csv_read(path, &csv, err);
	if (status != ISO_OK) return status;
	iso_mu_label *list = NULL;
	if (iso_csv_column(csv, "label") < 0 || csv->rows == 0)
		status = iso_fail(
		    err, ISO_BAD_INPUT, path,
		    "the header is label,mu_per_cm or label,material,density_g_per_ml, and a row for each label",
		    csv->rows ? "no column 'label'" : "the table has no rows");
	if (status == ISO_OK && !(list = calloc(csv->rows, sizeof *list)))
		status = iso_fail_memory(err, "a table of labels", csv->rows * sizeof *list);
	for (size_t r = 0; r < csv->rows && status == ISO_OK; r++) {
		status = read_label(csv, r, list + r, err);
		for (size_t other = 0; other < r && status == ISO_OK; other++)
			if (list[other].label == list[r].label)
				status =
				    FAIL_ROW(csv, r, err, "remove one of them", "label %d stands in line %zu already",
					     list[r].label, csv->line[other]);
	}
	if (status == ISO_OK) {
		*rows = list;
		*count = csv->rows;
	} else
		free(list);
	iso_csv_free(csv);
	return status;
}
