/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Seconds since 1970 by hand: days before year Y = 365 (Y - 1970) + leap days from 1972 to Y - 1. */
#include <math.h>
#include <string.h>

#include "isotrace/time.h"
#include "tests/harness.h"

static void check(const char *text, double expected_s)
{
	double utc_s = (double)NAN;
	iso_error err;
	ISO_ASSERT_OK(iso_time_parse(text, NULL, &utc_s, &err), err);
	ISO_ASSERT_NEAR(utc_s, expected_s, 1e-6);
}

static void refused(const char *text, const char *because)
{
	double utc_s;
	iso_error err;
	CU_ASSERT_EQUAL(iso_time_parse(text, "dose.yaml", &utc_s, &err), ISO_BAD_INPUT);
	CU_ASSERT_STRING_EQUAL(err.file, "dose.yaml");
	if (!strstr(err.message, because)) printf("# %s: %s\n", text, err.message);
	CU_ASSERT(strstr(err.message, because) != NULL);
	CU_ASSERT(strstr(err.remedy, "2026-03-14T09:26:53Z") != NULL);
}

static void dates(void)
{
	check("1970-01-01T00:00:00Z", 0);
	check("1969-12-31T23:59:59Z", -1);
	/* 30 years with leap days in 72 76 80 84 88 92 96: (365*30 + 7) days */
	check("2000-01-01T00:00:00Z", 86400.0 * (365 * 30 + 7));
	/* 2026: 56 years, leap days 72..2024 = 14; 14 March is day 31 + 28 + 13 from 0; 9:26:53 */
	check("2026-03-14T09:26:53Z", 86400.0 * (365 * 56 + 14 + 31 + 28 + 13) + 9 * 3600 + 26 * 60 + 53);
	check("2026-03-14 09:26:53Z", 86400.0 * (365 * 56 + 14 + 31 + 28 + 13) + 9 * 3600 + 26 * 60 + 53);
}

static void leap_years(void)
{
	const double day = 86400;
	double before, after;
	iso_error err;
	static const struct {
		const char *before, *after;
		int days;
	} rows[] = {
	    {"2024-02-28T00:00:00Z", "2024-03-01T00:00:00Z", 2},
	    {"2023-02-28T00:00:00Z", "2023-03-01T00:00:00Z", 1},
	    {"2000-02-28T00:00:00Z", "2000-03-01T00:00:00Z", 2}, /* divisible by 400 */
	    {"2100-02-28T00:00:00Z", "2100-03-01T00:00:00Z", 1}, /* by 100 only */
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ISO_ASSERT_OK(iso_time_parse(rows[i].before, NULL, &before, &err), err);
		ISO_ASSERT_OK(iso_time_parse(rows[i].after, NULL, &after, &err), err);
		ISO_ASSERT_NEAR(after - before, rows[i].days * day, 0);
	}
	check("2024-02-29T12:00:00Z", 86400.0 * (365 * 54 + 13 + 31 + 28) + 43200);
	refused("2023-02-29T12:00:00Z", "no date of the calendar");
	refused("2100-02-29T12:00:00Z", "no date of the calendar");
}

static void zones(void)
{
	double utc_s;
	iso_error err;
	ISO_ASSERT_OK(iso_time_parse("2026-03-14T09:26:53Z", NULL, &utc_s, &err), err);
	check("2026-03-14T10:26:53+01:00", utc_s);
	check("2026-03-14T10:26:53+0100", utc_s);
	check("2026-03-14T03:56:53-05:30", utc_s);
	check("2026-03-13T23:26:53-10:00", utc_s); /* the day before */
	check("2026-03-14T09:26:53+00:00", utc_s);
	check("2026-03-14T09:26:53.25Z", utc_s + 0.25);
	check("2026-03-14T09:26:53.000001Z", utc_s + 1e-6);
}

static void refusals(void)
{
	refused("09:26:53Z", "without a date");
	refused("09:26", "without a date");
	refused("", "without a date");
	refused("14.03.2026 09:26:53Z", "without a date");
	refused("2026-03-14", "no time of day");
	refused("2026-03-14T09:26Z", "no time of day");
	refused("2026-03-14T09:26:53", "time zone");
	refused("2026-03-14T09:26:53.5", "time zone");
	refused("2026-03-14T09:26:53.Z", "time zone");
	refused("2026-03-14T09:26:53 CET", "time zone");
	refused("2026-03-14T09:26:53+1", "time zone");
	refused("2026-03-14T09:26:53+15:00", "time zone");
	refused("2026-03-14T09:26:53Z tomorrow", "after its time zone");
	refused("2026-13-01T00:00:00Z", "no date of the calendar");
	refused("2026-00-01T00:00:00Z", "no date of the calendar");
	refused("2026-04-31T00:00:00Z", "no date of the calendar");
	refused("2026-04-00T00:00:00Z", "no date of the calendar");
	refused("2026-04-30T24:00:00Z", "no date of the calendar");
	refused("2026-04-30T23:60:00Z", "no date of the calendar");
	refused("2026-04-30T23:59:61Z", "no date of the calendar");
	refused("1899-12-31T00:00:00Z", "no date of the calendar");
}

static void texts(void)
{
	char text[40];
	CU_ASSERT_STRING_EQUAL(iso_time_text(0, text), "1970-01-01T00:00:00Z");
	CU_ASSERT_STRING_EQUAL(iso_time_text(-0.5, text), "1969-12-31T23:59:59.500000Z");
	CU_ASSERT_STRING_EQUAL(iso_time_text(1709208000.25, text), "2024-02-29T12:00:00.250000Z");
	/* Rounds up into the next second and never writes a sixtieth second. */
	CU_ASSERT_STRING_EQUAL(iso_time_text(59.9999999, text), "1970-01-01T00:01:00Z");
	CU_ASSERT_STRING_EQUAL(iso_time_text((double)NAN, text), "");
	CU_ASSERT_STRING_EQUAL(iso_time_text((double)INFINITY, text), "");
	CU_ASSERT_STRING_EQUAL(iso_time_text(1e12, text), "");
	CU_ASSERT_STRING_EQUAL(iso_time_text(-1e11, text), "");
	/* What is written is read back: to the microsecond, here 80 years of 37-hour steps. */
	iso_error err;
	for (double utc_s = 0.000001; utc_s < 2.5e9; utc_s += 37 * 3600 * 50 + 0.123456) {
		double back;
		ISO_ASSERT_OK(iso_time_parse(iso_time_text(utc_s, text), NULL, &back, &err), err);
		ISO_ASSERT_NEAR(back, utc_s, 1e-6);
	}
}

static void dicom_parts(void)
{
	char date[9], time[14];
	iso_time_dicom(1709208000.25, date, time);
	CU_ASSERT_STRING_EQUAL(date, "20240229");
	CU_ASSERT_STRING_EQUAL(time, "120000.250000");
	/* The day changes with the rounding. 2024-02-29 ends at 1709251200. */
	iso_time_dicom(1709251199.9999998, date, time);
	CU_ASSERT_STRING_EQUAL(date, "20240301");
	CU_ASSERT_STRING_EQUAL(time, "000000.000000");
	iso_time_dicom((double)NAN, date, time);
	CU_ASSERT_STRING_EQUAL(date, "");
	CU_ASSERT_STRING_EQUAL(time, "");
	iso_time_dicom(-1e11, date, time); /* year -1199: more digits than a DICOM date has */
	CU_ASSERT_STRING_EQUAL(date, "");
}

static const iso_test tests[] = {
    {"dates agree with a count of days by hand", dates},
    {"leap years", leap_years},
    {"zones and fractions", zones},
    {"no date, no zone, impossible dates are refused", refusals},
    {"written and read back", texts},
    {"DICOM date and time", dicom_parts},
};
ISO_TEST_MAIN("time", tests)
