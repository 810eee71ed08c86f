/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "io/csv.h"
#include "tests/harness.h"

static iso_error err;

static iso_status read_bytes(const char *bytes, size_t size, iso_csv **csv)
{
	const char *path = iso_test_path("table.csv");
	iso_error write_err;
	ISO_ASSERT_OK(iso_output_write(path, bytes, size, &write_err), write_err);
	return iso_csv_read(path, csv, &err);
}

static iso_csv *table(const char *text)
{
	iso_csv *csv;
	ISO_ASSERT_OK(read_bytes(text, strlen(text), &csv), err);
	return csv;
}

static void refused(const char *text, int line, const char *because)
{
	iso_csv *csv = (iso_csv *)&err;
	CU_ASSERT_EQUAL(read_bytes(text, strlen(text), &csv), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(csv);
	CU_ASSERT_STRING_EQUAL(err.file, iso_test_path("table.csv"));
	if (!strstr(err.message, because)) printf("# said: %s\n", err.message);
	CU_ASSERT(strstr(err.message, because) != NULL);
	CU_ASSERT(err.remedy[0] != '\0');
	if (line) {
		CU_ASSERT_EQUAL(err.position_kind, ISO_POSITION_LINE);
		CU_ASSERT_EQUAL(err.position, line);
	}
}

static void plain(void)
{
	iso_csv *csv = table("a,b_mm,c\n1,2.5,x y\n3,,\n");
	CU_ASSERT_EQUAL(csv->columns, 3);
	CU_ASSERT_EQUAL(csv->rows, 2);
	CU_ASSERT_EQUAL(iso_csv_column(csv, "b_mm"), 1);
	CU_ASSERT_EQUAL(iso_csv_column(csv, "B_mm"), -1);
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 0, 2), "x y");
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 1, 1), "");
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 1, -1), "");
	CU_ASSERT_EQUAL(csv->line[0], 2);
	CU_ASSERT_EQUAL(csv->line[1], 3);
	iso_csv_free(csv);
	iso_csv_free(NULL);
}

/* The same table in each way a spreadsheet or an editor may write it. */
static void spellings(void)
{
	static const char *const texts[] = {
	    "name,value\nspleen,7\n",
	    "name,value\r\nspleen,7\r\n",
	    "name,value\rspleen,7\r",
	    "name,value\nspleen,7",
	    "\xEF\xBB\xBFname,value\nspleen,7\n",
	    "# made by hand\n\nname,value\n\nspleen,7\n\n",
	    " name , value \n\tspleen ,\t7 \n",
	    "\"name\",\"value\"\n\"spleen\",\"7\"\n",
	    "name,value\r\n\"spleen\" ,\"7\"\r\n,\r\n , \r\n",
	    "name,value\n# liver,3\n  # kidney,4\nspleen,7\n",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		iso_csv *csv = table(texts[i]);
		CU_ASSERT_EQUAL(csv->columns, 2);
		CU_ASSERT_EQUAL_FATAL(csv->rows, 1);
		CU_ASSERT_EQUAL(iso_csv_column(csv, "name"), 0);
		CU_ASSERT_EQUAL(iso_csv_column(csv, "value"), 1);
		CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 0, 0), "spleen");
		CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 0, 1), "7");
		iso_csv_free(csv);
	}
}

static void quotes(void)
{
	iso_csv *csv = table("organ,note\n\"kidney, left\",\"he said "
			     "\"\"large\"\"\"\n\"#1\",\"two\r\nlines\"\nliver,5\" wide\n\"\",x\n");
	CU_ASSERT_EQUAL_FATAL(csv->rows, 4);
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 0, 0), "kidney, left");
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 0, 1), "he said \"large\"");
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 1, 0), "#1"); /* quoted: no comment */
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 1, 1), "two\nlines");
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 2, 1), "5\" wide");
	CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, 3, 0), "");
	CU_ASSERT_EQUAL(csv->line[1], 3);
	CU_ASSERT_EQUAL(csv->line[2], 5); /* the row before took two lines */
	iso_csv_free(csv);
	csv = table("\"a\nb\",c,d\n1,2,3\n"); /* a line end within the header */
	CU_ASSERT_EQUAL(csv->columns, 3);
	CU_ASSERT_EQUAL(iso_csv_column(csv, "a\nb"), 0);
	CU_ASSERT_EQUAL(iso_csv_column(csv, "d"), 2);
	CU_ASSERT_EQUAL(csv->line[0], 3);
	iso_csv_free(csv);
	refused("a,b\n1,\"open\n2,3\n", 2, "quotes");
	refused("a,b\n1,2\n\"x\"y,3\n", 3, "quotes");
	refused("\"a,b\n", 1, "quotes");
}

static void ragged(void)
{
	refused("a,b,c\n1,2,3\n\n# note\n4,5\n", 5, "2 fields where the header has 3");
	refused("a,b\n1,2\n1,2,3\n", 3, "3 fields where the header has 2");
	refused("a,b\n\"x\ny\",2\n1\n", 4, "1 fields where the header has 2");
	refused("a,b\n1,2,\n", 2, "3 fields where the header has 2"); /* a comma too many shifts no column unseen */
}

static void not_tables(void)
{
	refused("", 0, "empty");
	refused("\xEF\xBB\xBF", 0, "empty");
	refused("# only a comment\n\n", 0, "empty");
	refused("organ;mass_g\nliver;1,2\n", 1, "not separated by commas");
	refused("organ\tmass_g\nliver\t1\n", 1, "not separated by commas");
	refused("\n\norgan,mass_g,organ\n", 3, "two columns are called 'organ'");
	iso_csv *csv;
	CU_ASSERT_EQUAL(read_bytes("a,b\n1,\0002\n", 9, &csv), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(err.position_kind, ISO_POSITION_BYTE);
	CU_ASSERT_EQUAL(err.position, 6);
	CU_ASSERT_EQUAL(iso_csv_read(iso_test_path("absent.csv"), &csv, &err), ISO_BAD_INPUT);
	CU_ASSERT_STRING_EQUAL(err.file, iso_test_path("absent.csv"));
	csv = table("a,b\n"); /* a header alone is a table without rows */
	CU_ASSERT_EQUAL(csv->rows, 0);
	iso_csv_free(csv);
}

static void numbers(void)
{
	static const struct {
		const char *text;
		double value; /* NAN: refused */
	} rows[] = {
	    {"1.5", 1.5},           {"-2e3", -2000},          {"+.25", 0.25},         {"0", 0},
	    {"1 000", (double)NAN}, {"\"1,5\"", (double)NAN}, {"5 g", (double)NAN},   {"0x10", (double)NAN},
	    {"inf", (double)NAN},   {"nan", (double)NAN},     {"1e999", (double)NAN}, {"-", (double)NAN},
	    {"1.2.3", (double)NAN}, {"five", (double)NAN},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[64];
		snprintf(text, sizeof text, "organ,mass_g\nliver,1\nspleen,%s\n", rows[i].text);
		iso_csv *csv = table(text);
		double value = -1;
		const iso_status status = iso_csv_number(csv, 1, 1, &value, &err);
		if (isnan(rows[i].value)) {
			CU_ASSERT_EQUAL(status, ISO_BAD_INPUT);
			CU_ASSERT_EQUAL(err.position, 3);
			CU_ASSERT(strstr(err.message, "mass_g") != NULL);
		} else {
			CU_ASSERT_EQUAL(status, ISO_OK);
			ISO_ASSERT_NEAR(value, rows[i].value, 0);
		}
		iso_csv_free(csv);
	}
	/* Not stated is not zero. */
	iso_csv *csv = table("organ,mass_g\nliver,\n");
	double value = 0;
	ISO_ASSERT_OK(iso_csv_number(csv, 0, 1, &value, &err), err);
	CU_ASSERT(isnan(value));
	ISO_ASSERT_OK(iso_csv_number(csv, 0, iso_csv_column(csv, "absent"), &value, &err), err);
	CU_ASSERT(isnan(value));
	iso_csv_free(csv);
}

static void many_rows(void)
{
	/* Past several doublings of the tables: row n is "n,n*n". */
	enum { ROWS = 5000 };
	char *text = malloc(ROWS * 24 + 8), *at = text;
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	at += sprintf(at, "n,square\n");
	for (int n = 0; n < ROWS; n++) at += sprintf(at, "%d,%d\n", n, n * n);
	iso_csv *csv = table(text);
	free(text);
	CU_ASSERT_EQUAL(csv->rows, ROWS);
	for (size_t n = 0; n < csv->rows; n += 7) {
		double square;
		ISO_ASSERT_OK(iso_csv_number(csv, n, 1, &square, &err), err);
		CU_ASSERT_EQUAL(square, (double)n * (double)n);
		CU_ASSERT_EQUAL(csv->line[n], n + 2);
	}
	iso_csv_free(csv);
}

static const iso_test tests[] = {
    {"header, fields, line numbers", plain},
    {"line ends, byte order mark, comments, blanks", spellings},
    {"quoted fields", quotes},
    {"ragged rows are refused with their line", ragged},
    {"what is no table is refused", not_tables},
    {"numbers", numbers},
    {"many rows", many_rows},
};
ISO_TEST_MAIN("csv", tests)
