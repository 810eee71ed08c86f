/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/dicom_time.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "isotrace/time.h"

/* The digits of the text without the separator ('\0': there is none), as long as there are any; returns the rest. */
static const char *digits_of(const char *text, char separator, char *to, size_t size)
{
	size_t used = 0;
	while (*text == ' ') text++;
	for (; isdigit((unsigned char)*text) || (separator && *text == separator); text++)
		if (*text != separator && used + 1 < size) to[used++] = *text;
	to[used] = '\0';
	return text;
}

double iso_dicom_clock(const char *date, const char *time)
{
	char day[16], clock[16], fraction[16] = "", iso[64];
	double seconds;
	const char *rest = digits_of(date, '.', day, sizeof day);
	while (*rest == ' ') rest++;
	if (*rest || strlen(day) != 8) return (double)NAN;
	rest = digits_of(time, ':', clock, sizeof clock);
	const size_t length = strlen(clock);
	if (length != 2 && length != 4 && length != 6) return (double)NAN;
	if (*rest == '.' && length == 6) rest = digits_of(rest + 1, '\0', fraction, sizeof fraction);
	while (*rest == ' ') rest++;
	if (*rest) return (double)NAN;
	snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s%s%sZ", day, day + 4, day + 6, clock,
		 length > 2 ? clock + 2 : "00", length > 4 ? clock + 4 : "00", fraction[0] ? "." : "", fraction);
	return iso_time_parse(iso, NULL, &seconds, NULL) == ISO_OK ? seconds : (double)NAN;
}

double iso_dicom_clock_of(const iso_dicom_item *item, uint32_t date_tag, uint32_t time_tag)
{
	char date[32], time[32];
	if (!iso_dicom_text(item, date_tag, date, sizeof date) || !iso_dicom_text(item, time_tag, time, sizeof time))
		return (double)NAN;
	return iso_dicom_clock(date, time);
}

double iso_dicom_zone(const char *text)
{
	char digits[8];
	while (*text == ' ') text++;
	const char sign = *text;
	if (sign != '+' && sign != '-') return (double)NAN;
	const char *rest = digits_of(text + 1, ':', digits, sizeof digits);
	while (*rest == ' ') rest++;
	if (*rest || strlen(digits) != 4) return (double)NAN;
	const int hours = (digits[0] - '0') * 10 + digits[1] - '0', minutes = (digits[2] - '0') * 10 + digits[3] - '0';
	if (hours > 14 || minutes > 59) return (double)NAN;
	return (sign == '-' ? -1 : 1) * (3600.0 * hours + 60.0 * minutes);
}

double iso_dicom_date_time(const char *text, double *zone_s)
{
	char date[9], time[32];
	*zone_s = (double)NAN;
	while (*text == ' ') text++;
	if (strlen(text) < 10) return (double)NAN;
	snprintf(date, sizeof date, "%.8s", text);
	const size_t length = strcspn(text + 8, "+-");
	if (length >= sizeof time) return (double)NAN;
	snprintf(time, sizeof time, "%.*s", (int)length, text + 8);
	if (text[8 + length]) *zone_s = iso_dicom_zone(text + 8 + length);
	if (text[8 + length] && isnan(*zone_s)) return (double)NAN;
	return iso_dicom_clock(date, time);
}
