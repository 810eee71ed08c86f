/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Dates and times of DICOM. A file's times are by its own wall clock, and its zone stands apart or nowhere: so they are
 * seconds of that clock here ("clock seconds", as if the clock were UTC), and the zone is subtracted at the end. */
#ifndef ISOTRACE_IO_DICOM_TIME_H
#define ISOTRACE_IO_DICOM_TIME_H

#include "io/dicom/dicom_read.h"

/* DA and TM, "20260314" and "092653.25" (also the old "2026.03.14" and "09:26:53"), to clock seconds; NAN when either is
 * not there or no time. */
double iso_dicom_clock(const char *date, const char *time);
double iso_dicom_clock_of(const iso_dicom_item *item, uint32_t date_tag, uint32_t time_tag);
/* DT with date and time, "20260314092653.25+0100". *zone_s receives the zone's offset, NAN when there is none in it. */
double iso_dicom_date_time(const char *text, double *zone_s);
/* "+0100" or "+01:00" to 3600; NAN when it is no zone. */
double iso_dicom_zone(const char *text);

#endif
