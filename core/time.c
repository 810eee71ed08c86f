/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "isotrace/time.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/error.h"

#define REMEDY "write date, time and zone: 2026-03-14T09:26:53Z or 2026-03-14T10:26:53+01:00"

static bool digits(const char **at, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*at)++) {
		if (**at < '0' || **at > '9') return false;
		*value = 10 * *value + (**at - '0');
	}
	return true;
}

static bool character(const char **at, char wanted)
{
	if (**at != wanted) return false;
	(*at)++;
	return true;
}

/* Zone: Z, +hh:mm, -hh:mm, +hhmm. false: none. */
static bool zone(const char **at, int *offset_s)
{
	*offset_s = 0;
	if (character(at, 'Z')) return true;
	const int sign = **at == '+' ? 1 : **at == '-' ? -1 : 0;
	int hours, minutes;
	if (!sign) return false;
	(*at)++;
	if (!digits(at, 2, &hours)) return false;
	(void)character(at, ':');
	if (!digits(at, 2, &minutes) || hours > 14 || minutes > 59) return false;
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

iso_status iso_time_parse(const char *text, const char *file, double *utc_s, iso_error *err)
{
	const char *at = text;
	int year, month, day, hour, minute, second, offset_s;
	if (!digits(&at, 4, &year) || !character(&at, '-') || !digits(&at, 2, &month) || !character(&at, '-') ||
	    !digits(&at, 2, &day))
		return iso_fail(err, ISO_BAD_INPUT, file, REMEDY, "'%s' is a time without a date", text);
	if (!(character(&at, 'T') || character(&at, ' ')) || !digits(&at, 2, &hour) || !character(&at, ':') ||
	    !digits(&at, 2, &minute) || !character(&at, ':') || !digits(&at, 2, &second))
		return iso_fail(err, ISO_BAD_INPUT, file, REMEDY, "'%s' has no time of day", text);
	double fraction = 0, scale = 0.1;
	if (at[0] == '.' && at[1] >= '0' && at[1] <= '9')
		for (at++; *at >= '0' && *at <= '9'; at++, scale /= 10) fraction += scale * (*at - '0');
	if (!zone(&at, &offset_s))
		return iso_fail(err, ISO_BAD_INPUT, file, REMEDY, "'%s' does not say its time zone", text);
	if (*at) return iso_fail(err, ISO_BAD_INPUT, file, REMEDY, "'%s' has something after its time zone", text);
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (month < 1 || month > 12 || day < 1 || day > days[month - 1] + (leap && month == 2) || hour > 23 ||
	    minute > 59 || second > 60 || year < 1900)
		return iso_fail(err, ISO_BAD_INPUT, file, REMEDY, "'%s' is no date of the calendar", text);
	struct tm parts = {.tm_year = year - 1900,
			   .tm_mon = month - 1,
			   .tm_mday = day,
			   .tm_hour = hour,
			   .tm_min = minute,
			   .tm_sec = second};
	*utc_s = (double)timegm(&parts) - offset_s + fraction;
	return ISO_OK;
}

/* Whole seconds and microseconds, rounded so that 59.9999999 does not print as 60. */
static struct tm split(double utc_s, int *microseconds)
{
	double whole = floor(utc_s);
	double micro = rint((utc_s - whole) * 1e6);
	if (micro >= 1e6) {
		micro = 0;
		whole += 1;
	}
	*microseconds = (int)micro;
	const time_t seconds = (time_t)whole;
	struct tm parts;
	memset(&parts, 0, sizeof parts);
	(void)gmtime_r(&seconds, &parts);
	return parts;
}

/* Years 1000 to 9999: those that four digits write. */
static bool writable(double utc_s)
{
	return utc_s >= -30610224000.0 && utc_s < 253402300799.0;
}

char *iso_time_text(double utc_s, char text[40])
{
	text[0] = '\0';
	if (!writable(utc_s)) return text;
	int micro;
	const struct tm t = split(utc_s, &micro);
	char fraction[16] = "";
	if (micro) snprintf(fraction, sizeof fraction, ".%06d", micro);
	char whole[24];
	(void)strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(text, 40, "%s%sZ", whole, fraction);
	return text;
}

void iso_time_dicom(double utc_s, char date[9], char time[14])
{
	date[0] = time[0] = '\0';
	if (!writable(utc_s)) return;
	int micro;
	const struct tm t = split(utc_s, &micro);
	char whole[8];
	(void)strftime(date, 9, "%Y%m%d", &t);
	(void)strftime(whole, sizeof whole, "%H%M%S", &t);
	snprintf(time, 14, "%.6s.%06u", whole, (unsigned)micro % 1000000u);
}
