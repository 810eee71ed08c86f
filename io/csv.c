/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"

static char *trim(char *text)
{
	while (*text == ' ' || *text == '\t') text++;
	size_t length = strlen(text);
	while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) text[--length] = '\0';
	return text;
}

/* Splits one line in place; *at moves to the next line. Returns the number of fields, at most `room` of them stored. A
 * quoted field may hold commas, doubled quotes and line ends. */
static size_t split_line(char **at, char **fields, size_t room, size_t *lines)
{
	char *from = *at;
	size_t count = 0;
	for (;;) {
		while (*from == ' ' || *from == '\t') from++;
		char *start = from, *end, stop;
		if (*from == '"') {
			char *into = ++from;
			start = into;
			for (; *from; from++) {
				if (*from == '"') {
					if (from[1] != '"') break;
					from++;
				}
				if (*from == '\n') (*lines)++;
				*into++ = *from;
			}
			if (*from == '"') from++;
			end = into;
			while (*from && *from != ',' && *from != '\n') from++;
		} else {
			while (*from && *from != ',' && *from != '\n') from++;
			end = from;
		}
		stop = *from;
		if (end > start && end[-1] == '\r') end--;
		*end = '\0';
		if (count < room) fields[count] = trim(start);
		count++;
		if (stop == '\0') break;
		from++;
		if (stop == '\n') break;
	}
	(*lines)++;
	*at = from;
	return count;
}

/* Moves over empty lines and comments. */
static char *next_line(char *at, size_t *lines)
{
	for (;;) {
		const char *see = at;
		while (*see == ' ' || *see == '\t' || *see == '\r') see++;
		if (*see != '\n' && *see != '#') return *see ? at : NULL;
		while (*at && *at != '\n') at++;
		if (!*at) return NULL;
		at++;
		(*lines)++;
	}
}

static iso_status parse(iso_csv *csv, char *at, iso_error *err)
{
	size_t lines = 0, room = 0;
	if ((at = next_line(at, &lines)) == NULL)
		return iso_fail(err, ISO_BAD_INPUT, csv->file, "give a table with a header line", "the table is empty");
	size_t commas = 1;
	for (const char *c = at; *c && *c != '\n'; c++) commas += *c == ',';
	csv->header = calloc(commas, sizeof *csv->header);
	if (!csv->header) return iso_fail_memory(err, "a table", commas * sizeof *csv->header);
	csv->columns = split_line(&at, csv->header, commas, &lines);
	while ((at = next_line(at, &lines)) != NULL) {
		if (csv->rows == room) {
			room = room ? 2 * room : 32;
			char **field = realloc(csv->field, room * csv->columns * sizeof *field);
			if (field) csv->field = field;
			size_t *line = field ? realloc(csv->line, room * sizeof *line) : NULL;
			if (!line) return iso_fail_memory(err, "a table", room * csv->columns * sizeof *field);
			csv->line = line;
		}
		csv->line[csv->rows] = lines + 1;
		const size_t count = split_line(&at, csv->field + csv->rows * csv->columns, csv->columns, &lines);
		if (count != csv->columns)
			return iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE,
					   (int64_t)csv->line[csv->rows],
					   "give every row as many fields as the header, quoting those with commas",
					   "%zu fields where the header has %zu", count, csv->columns);
		csv->rows++;
	}
	return ISO_OK;
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
	if (status == ISO_OK)
		status = parse(csv, csv->text + (strncmp(csv->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0), err);
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
	*value = NAN;
	if (!*text) return ISO_OK;
	*value = strtod(text, &end);
	if (*end || !isfinite(*value))
		return iso_fail_at(err, ISO_BAD_INPUT, csv->file, ISO_POSITION_LINE, (int64_t)csv->line[row],
				   "write a plain number with a decimal point, the unit is in the column's name",
				   "'%s' in column %s is not a number", text, csv->header[column]);
	return ISO_OK;
}
