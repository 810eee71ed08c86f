/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/csv.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"

/* Where parsing stands. */
typedef struct csv_cursor {
	char *at;
	size_t line; /* of `at`, from 1 */
} csv_cursor;

static char *trim(char *text)
{
	while (*text == ' ' || *text == '\t') text++;
	size_t length = strlen(text);
	while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) text[--length] = '\0';
	return text;
}

/* CR LF and a lone CR become LF, so that all that follows sees one kind of line end. */
static void unify_line_ends(char *text)
{
	char *into = text;
	for (const char *from = text; *from; from++) {
		if (*from == '\r') {
			*into++ = '\n';
			if (from[1] == '\n') from++;
		} else
			*into++ = *from;
	}
	*into = '\0';
}

/* A quoted field in place; it may hold commas, doubled quotes and line ends. NULL: the quotes do not end, or something
 * but a comma follows them. from is after the opening quote and ends at the comma, the line end or the text's end. */
static char *split_quoted(char **from, size_t *line)
{
	char *start = *from, *into = start, *at = start;
	for (; *at; at++) {
		if (*at == '"') {
			if (at[1] != '"') break;
			at++;
		}
		if (*at == '\n') (*line)++;
		*into++ = *at;
	}
	if (*at != '"') return NULL;
	at++;
	while (*at == ' ' || *at == '\t') at++;
	if (*at && *at != ',' && *at != '\n') return NULL;
	*into = '\0';
	*from = at;
	return start;
}

/* Splits one row in place and moves to the next line. At most `room` fields are stored, *count counts all. */
static iso_status split_row(const char *file, csv_cursor *cursor, char **fields, size_t room, size_t *count,
			    iso_error *err)
{
	char *from = cursor->at, stop;
	const size_t line = cursor->line;
	*count = 0;
	do {
		while (*from == ' ' || *from == '\t') from++;
		char *start = from;
		if (*from == '"') {
			from++;
			start = split_quoted(&from, &cursor->line);
			if (!start)
				return iso_fail_at(err, ISO_BAD_INPUT, file, ISO_POSITION_LINE, (int64_t)line,
						   "quote a whole field, and write a quote inside it twice",
						   "quotes that do not end, or end before the field does");
			stop = *from;
		} else {
			while (*from && *from != ',' && *from != '\n') from++;
			stop = *from;
			*from = '\0';
		}
		if (*count < room) fields[*count] = trim(start);
		(*count)++;
		if (stop) from++;
	} while (stop == ',');
	cursor->line++;
	cursor->at = from;
	return ISO_OK;
}

/* Moves over comments and lines that hold nothing but blanks and commas, which spreadsheets leave below a table. false: the
 * text ends. */
static bool next_row(csv_cursor *cursor)
{
	for (;;) {
		char *at = cursor->at + strspn(cursor->at, " \t");
		const char first = *at;
		at += first == '#' ? strcspn(at, "\n") : strspn(at, " \t,");
		if (*at && *at != '\n') return true;
		if (!*at) return false;
		cursor->at = at + 1;
		cursor->line++;
	}
}

static iso_status parse_header(iso_csv *csv, csv_cursor *cursor, iso_error *err)
{
	if (!next_row(cursor))
		return iso_fail(err, ISO_BAD_INPUT, csv->file, "give a table with a header line", "the table is empty");
	const size_t line = cursor->line;
	size_t room = 1;
	for (const char *c = cursor->at; *c; c++) room += *c == ',';
	if (room > 4096) room = 4096;
	csv->header = calloc(room, sizeof *csv->header);
	if (!csv->header) return iso_fail_memory(err, "a table", room * sizeof *csv->header);
	iso_status status = split_row(csv->file, cursor, csv->header, room, &csv->columns, err);
	if (status != ISO_OK) return status;
	if (csv->columns > room)
		return iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE, (int64_t)line,
				   "check that this is the right file", "%zu columns", csv->columns);
	if (csv->columns == 1 && csv->header[0][strcspn(csv->header[0], ";\t")])
		return iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE, (int64_t)line,
				   "save the table with commas between the fields and decimal points in numbers",
				   "the fields are not separated by commas");
	for (size_t c = 1; c < csv->columns; c++)
		if (*csv->header[c] && iso_csv_column(csv, csv->header[c]) != (int)c)
			return iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE, (int64_t)line,
					   "give every column a name of its own", "two columns are called '%s'",
					   csv->header[c]);
	return ISO_OK;
}

/* Room for one more row. */
static iso_status grow(iso_csv *csv, size_t *room, iso_error *err)
{
	if (csv->rows < *room) return ISO_OK;
	const size_t more = *room ? 2 * *room : 32;
	char **field = realloc(csv->field, more * csv->columns * sizeof *field);
	if (field) csv->field = field;
	size_t *line = field ? realloc(csv->line, more * sizeof *line) : NULL;
	if (!line) return iso_fail_memory(err, "a table", more * csv->columns * sizeof *field);
	csv->line = line;
	*room = more;
	return ISO_OK;
}

static iso_status parse(iso_csv *csv, char *text, iso_error *err)
{
	csv_cursor cursor = {.at = text, .line = 1};
	size_t room = 0;
	iso_status status = parse_header(csv, &cursor, err);
	while (status == ISO_OK && next_row(&cursor)) {
		status = grow(csv, &room, err);
		if (status != ISO_OK) break;
		csv->line[csv->rows] = cursor.line;
		size_t count;
		status =
		    split_row(csv->file, &cursor, csv->field + csv->rows * csv->columns, csv->columns, &count, err);
		if (status == ISO_OK && count != csv->columns)
			status =
			    iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE, (int64_t)csv->line[csv->rows],
					"give every row as many fields as the header, quoting those with commas",
					"%zu fields where the header has %zu", count, csv->columns);
		csv->rows++;
	}
	return status;
}

iso_status iso_csv_read(const char *path, iso_csv **out, iso_error *err)
{
	*out = NULL;
	iso_csv *csv = calloc(1, sizeof *csv);
	if (!csv) return iso_fail_memory(err, "a table", sizeof *csv);
	snprintf(csv->file, sizeof csv->file, "%s", path);
	size_t size = 0;
	iso_status status = iso_read_file(path, 64u << 20, &csv->text, &size, err);
	if (status == ISO_OK && strlen(csv->text) != size)
		status = iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_BYTE, (int64_t)strlen(csv->text),
				     "save the table as CSV text", "a byte 0 in a text table");
	if (status == ISO_OK) {
		unify_line_ends(csv->text);
		status = parse(csv, csv->text + (strncmp(csv->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0), err);
	}
	if (status != ISO_OK) {
		iso_csv_free(csv);
		return status;
	}
	*out = csv;
	return ISO_OK;
}

void iso_csv_free(iso_csv *csv)
{
	if (!csv) return;
	free(csv->header);
	free(csv->field);
	free(csv->line);
	free(csv->text);
	free(csv);
}

int iso_csv_column(const iso_csv *csv, const char *name)
{
	for (size_t c = 0; c < csv->columns; c++)
		if (strcmp(csv->header[c], name) == 0) return (int)c;
	return -1;
}

const char *iso_csv_field(const iso_csv *csv, size_t row, int column)
{
	return column < 0 ? "" : csv->field[row * csv->columns + (size_t)column];
}

iso_status iso_csv_number(const iso_csv *csv, size_t row, int column, double *value, iso_error *err)
{
	const char *text = iso_csv_field(csv, row, column);
	char *end;
	*value = (double)NAN;
	if (!*text) return ISO_OK;
	*value = iso_strtod(text, &end);
	/* strtod also takes hexadecimal, which in a table is a slip. */
	if (*end || !isfinite(*value) || text[strspn(text, "+-.0123456789eE")])
		return iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE, (int64_t)csv->line[row],
				   "write a plain number with a decimal point, the unit is in the column's name",
				   "'%s' in column %s is not a number", text, csv->header[column]);
	return ISO_OK;
}
