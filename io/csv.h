/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tables as spreadsheets write them (RFC 4180, UTF-8 with or without a byte order mark, LF, CRLF or CR). Lines that
 * start with # and lines of nothing but commas and blanks are skipped; fields are trimmed. A column has a name of
 * its own or none. */
#ifndef ISOTRACE_IO_CSV_H
#define ISOTRACE_IO_CSV_H

#include <stddef.h>

#include "isotrace/status.h"

typedef struct iso_csv {
	char file[512];
	size_t columns, rows; /* rows without the header */
	char **header;        /* [columns] */
	char **field;         /* [rows * columns], "" where empty */
	size_t *line;         /* [rows] line number in the file, from 1 */
	char *text;           /* what all of them point into */
} iso_csv;

/* Every row must have as many fields as the header. */
iso_status iso_csv_read(const char *path, iso_csv **out, iso_error *err);
void iso_csv_free(iso_csv *csv);
/* Number of the column, or -1. */
int iso_csv_column(const iso_csv *csv, const char *name);
/* Field of a row; "" when column is -1. */
const char *iso_csv_field(const iso_csv *csv, size_t row, int column);
/* The field as a finite number, NAN when it is empty; else ISO_BAD_INPUT with the line. */
iso_status iso_csv_number(const iso_csv *csv, size_t row, int column, double *value, iso_error *err);

#endif
