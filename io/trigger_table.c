/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "core/error.h"
#include "io/csv.h"
#include "isotrace/gates.h"

static iso_status read_rows(const iso_csv *csv, const char *path, int column, double unit_s, double *trigger_s,
			    iso_error *err)
{
	for (size_t row = 0; row < csv->rows; row++) {
		const iso_status status = iso_csv_number(csv, row, column, trigger_s + row, err);
		if (status != ISO_OK) return status;
		trigger_s[row] *= unit_s;
		if (row && !(trigger_s[row] > trigger_s[row - 1]))
			return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, (int64_t)csv->line[row],
					   "put the triggers in the order of time, each once",
					   "a trigger at %g s after one at %g s", trigger_s[row], trigger_s[row - 1]);
	}
	return ISO_OK;
}

iso_status iso_trigger_table_read(const char *path, double **trigger_s, size_t *count, iso_error *err)
{
	*trigger_s = NULL;
	*count = 0;
	iso_csv *csv;
	iso_status status = iso_csv_read(path, &csv, err);
	if (status != ISO_OK) return status;
	const int in_s = iso_csv_column(csv, "time_s"), in_ms = iso_csv_column(csv, "time_ms");
	double *table = NULL;
	if ((in_s < 0) == (in_ms < 0))
		status = iso_fail(err, ISO_BAD_INPUT, path,
				  "begin the file with the line time_s or time_ms, from the start of the acquisition",
				  "a table of triggers with %s", in_s < 0 ? "neither" : "both");
	else if (csv->rows < 2)
		status = iso_fail(err, ISO_BAD_INPUT, path, "give one line per trigger",
				  "%zu triggers: a cycle goes from one to the next", csv->rows);
	if (status == ISO_OK) {
		table = calloc(csv->rows, sizeof *table);
		status = table ? read_rows(csv, path, in_s < 0 ? in_ms : in_s, in_s < 0 ? 1e-3 : 1, table, err)
			       : iso_fail_memory(err, "triggers", csv->rows * sizeof *table);
	}
	if (status == ISO_OK) {
		*trigger_s = table;
		*count = csv->rows;
	} else
		free(table);
	iso_csv_free(csv);
	return status;
}
