/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_TIME_H
#define ISOTRACE_TIME_H

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Absolute times are seconds since 1970-01-01T00:00:00Z in a double (microseconds survive until 2100);
 * NAN means not known. */

/* Reads ISO 8601 with date and zone: "2026-03-14T09:26:53Z", "...53.25+01:00". A time without a date or
 * without a zone is refused: ISO_BAD_INPUT, with file (may be NULL) named in the error. */
iso_status iso_time_parse(const char *text, const char *file, double *utc_s, iso_error *err);

/* Writes "YYYY-MM-DDTHH:MM:SS.ffffffZ" (fraction left out when zero) into text[40]; "" for NAN and beyond
 * the years 1000 to 9999. Returns text. */
char *iso_time_text(double utc_s, char text[40]);

/* Splits into UTC calendar parts for DICOM: date[9] "YYYYMMDD", time[14] "HHMMSS.ffffff"; both "" as above. */
void iso_time_dicom(double utc_s, char date[9], char time[14]);

#ifdef __cplusplus
}
#endif
#endif
