/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/csv.h"
#include "isotrace/volume.h"

static iso_status read_rows(const iso_csv *csv, const char *path, iso_frame *frames, iso_error *err)
{
	const int start = iso_csv_column(csv, "start_s"), duration = iso_csv_column(csv, "duration_s");
	for (size_t row = 0; row < csv->rows; row++) {
		iso_frame *f = frames + row;
		iso_status status = iso_csv_number(csv, row, start, &f->start_s, err);
		if (status == ISO_OK) status = iso_csv_number(csv, row, duration, &f->duration_s, err);
		if (status != ISO_OK) return status;
		const int64_t line = (int64_t)csv->line[row];
		if (!(f->start_s >= 0) || !(f->duration_s > 0))
			return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, line,
					   "give start_s >= 0 and duration_s > 0, in seconds",
					   "a frame from %g s that lasts %g s", f->start_s, f->duration_s);
		if (row && f->start_s < f[-1].start_s + f[-1].duration_s - 1e-6)
			return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, line,
					   "put frames in order of time and without overlap",
					   "the frame starts at %g s, before the one above it ends", f->start_s);
	}
	return ISO_OK;
}

iso_status iso_frame_table_read(const char *path, iso_frame **frames, size_t *count, iso_error *err)
{
	*frames = NULL;
	*count = 0;
	iso_csv *csv;
	iso_status status = iso_csv_read(path, &csv, err);
	if (status != ISO_OK) return status;
	iso_frame *table = NULL;
	if (iso_csv_column(csv, "start_s") < 0 || iso_csv_column(csv, "duration_s") < 0)
		status = iso_fail(err, ISO_BAD_INPUT, path, "begin the file with the line start_s,duration_s",
				  "a frame table without the columns start_s and duration_s");
	else if (csv->rows == 0)
		status = iso_fail(err, ISO_BAD_INPUT, path, "give one line per frame", "a frame table without frames");
	if (status == ISO_OK) {
		table = calloc(csv->rows, sizeof *table);
		status = table ? read_rows(csv, path, table, err)
			       : iso_fail_memory(err, "a frame table", csv->rows * sizeof *table);
	}
	if (status == ISO_OK) {
		*frames = table;
		*count = csv->rows;
	} else
		free(table);
	iso_csv_free(csv);
	return status;
}
