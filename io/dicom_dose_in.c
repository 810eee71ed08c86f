/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Zone, nuclide and dose of a DICOM image that comes from elsewhere. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "core/number_text.h"
#include "io/dicom_codes.h"
#include "io/dicom_in.h"
#include "io/dicom_time.h"

/* Below this no dose of an image is Bq: somebody wrote MBq. */
#define LEAST_DOSE_BQ 1e4
/* An injection that lies further back has left nothing to see: a date was changed. */
#define MOST_HALF_LIVES 30.0
/* A half-life of another nuclide differs by more. */
#define HALF_LIFE_TOLERANCE 0.01

void iso_dicom_warn(iso_dicom_in_facts *facts, const char *format, ...)
{
	if (facts->warning_count == sizeof facts->warnings / sizeof *facts->warnings) return;
	va_list values;
	va_start(values, format);
	iso_vsnprintf(facts->warnings[facts->warning_count++], sizeof *facts->warnings, format, values);
	va_end(values);
}

static const iso_dicom_item *dose_item(const iso_dicom_item *set)
{
	return iso_dicom_at(set, 0x00540016, 0);
}

iso_status iso_dicom_find_zone(const iso_dicom_item *set, const iso_dicom_in_options *options, const char *path,
			       double *zone_s, iso_error *err)
{
	char text[64];
	*zone_s = (double)NAN;
	if (iso_dicom_text(set, 0x00080201, text, sizeof text)) {
		*zone_s = iso_dicom_zone(text);
		if (isnan(*zone_s))
			return iso_fail(err, ISO_BAD_INPUT, path, "correct it, as in +0100",
					"Timezone Offset From UTC (0008,0201) is no zone: '%.20s'", text);
	}
	/* The injection may be the only time that has one. */
	if (isnan(*zone_s) && iso_dicom_text(dose_item(set), 0x00181078, text, sizeof text))
		(void)iso_dicom_date_time(text, zone_s);
	if (isnan(*zone_s)) *zone_s = options->zone_s;
	if (isnan(*zone_s))
		return iso_fail(err, ISO_BAD_INPUT, path,
				"say how the scanner's clock was set, as in --time-zone +01:00 (mind daylight saving)",
				"the files state no time zone (0008,0201)");
	if (!isnan(options->zone_s) && options->zone_s != *zone_s)
		return iso_fail(err, ISO_BAD_INPUT, path, "leave --time-zone out",
				"the files state another time zone (0008,0201): %+.2f h", *zone_s / 3600);
	return ISO_OK;
}

/* SNOMED's codes before 2018, which older scanners write: DICOM PS3.16 CID 4020. */
static const char *name_of_old_code(const char *value)
{
	static const char *const old[][2] = {{"C-111A1", "F-18"},  {"C-105A1", "C-11"},  {"C-107A1", "N-13"},
					     {"C-B1038", "O-15"},  {"C-127A2", "Cu-64"}, {"C-131A3", "Ga-68"},
					     {"C-168A4", "Rb-82"}, {"C-135A4", "I-124"}, {"C-B1038", "O-15"}};
	for (size_t n = 0; n < sizeof old / sizeof *old; n++)
		if (strcmp(old[n][0], value) == 0) return old[n][1];
	return NULL;
}

static const iso_nuclide *by_code(const iso_dicom_item *code)
{
	char value[32], meaning[65];
	size_t rows;
	const iso_nuclide *table = iso_nuclide_table(&rows), *found = NULL;
	if (iso_dicom_text(code, 0x00080100, value, sizeof value)) {
		for (size_t r = 0; r < rows; r++)
			if (table[r].dicom_code && strcmp(table[r].dicom_code, value) == 0) return table + r;
		const char *name = name_of_old_code(value);
		if (name && iso_nuclide_find(name, NULL, &found, NULL) == ISO_OK) return found;
	}
	if (iso_dicom_text(code, 0x00080104, meaning, sizeof meaning) &&
	    iso_nuclide_find(meaning, NULL, &found, NULL) == ISO_OK)
		return found;
	return NULL;
}

iso_status iso_dicom_find_nuclide(const iso_dicom_item *set, const char *stated, const char *path,
				  const iso_nuclide **out, double *half_life_s, iso_error *err)
{
	const iso_dicom_item *dose = dose_item(set);
	const iso_nuclide *said = NULL;
	*out = by_code(iso_dicom_at(dose, 0x00540300, 0));
	*half_life_s = iso_dicom_number(dose, 0x00181075, 0);
	if (stated) {
		const iso_status status = iso_nuclide_find(stated, NULL, &said, err);
		if (status != ISO_OK) return status;
		if (*out && *out != said)
			return iso_fail(err, ISO_BAD_INPUT, path, "leave --nuclide out", "the files say %s and not %s",
					(*out)->name, said->name);
		*out = said;
	}
	if (!*out || !(*half_life_s > 0)) {
		*half_life_s = *out ? (*out)->half_life_s : (double)NAN;
		return ISO_OK;
	}
	if (fabs(*half_life_s / (*out)->half_life_s - 1) < HALF_LIFE_TOLERANCE) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, path, "correct the one that is wrong",
			"Radionuclide Half Life (0018,1075) is %g s and %s has %g s", *half_life_s, (*out)->name,
			(*out)->half_life_s);
}

/* The injection in clock seconds; NAN: not stated, or not to be believed. */
static double find_injection(const iso_dicom_item *set, double first_start_s, double half_life_s,
			     iso_dicom_in_facts *facts)
{
	const iso_dicom_item *item = dose_item(set);
	char text[64], time[32];
	double zone_s, injection_s = (double)NAN;
	const bool has_time = iso_dicom_text(item, 0x00181072, time, sizeof time);
	if (iso_dicom_text(item, 0x00181078, text, sizeof text)) {
		injection_s = iso_dicom_date_time(text, &zone_s);
		if (isnan(injection_s))
			iso_dicom_warn(facts, "the injection's date and time (0018,1078) is none and was not used");
		/* Both stand in the file: their clocks must say the same. */
		const double by_time_s = has_time ? iso_dicom_clock("19700101", time) : (double)NAN;
		const double apart_s = fabs(remainder(injection_s - by_time_s, 86400));
		if (apart_s > 1) {
			iso_dicom_warn(
			    facts, "the injection is stated twice, %.0f s apart (0018,1072 and 0018,1078): not used",
			    apart_s);
			return (double)NAN;
		}
	} else if (has_time) {
		/* A clock time without a date: that of the scan, or of the day before when it would come after it. */
		const double day_s = 86400 * floor(first_start_s / 86400);
		injection_s = day_s + iso_dicom_clock("19700101", time);
		if (injection_s > first_start_s) {
			injection_s -= 86400;
			iso_dicom_warn(facts,
				       "the injection has no date and its clock time lies after the scan's start: "
				       "taken as the day before");
		} else if (half_life_s > 86400)
			iso_dicom_warn(facts, "the injection has no date: taken as the day of the scan");
	}
	if (injection_s > first_start_s) {
		iso_dicom_warn(facts, "the injection lies %.0f s after the scan's start: not used",
			       injection_s - first_start_s);
		return (double)NAN;
	}
	if (first_start_s - injection_s > MOST_HALF_LIVES * half_life_s) {
		iso_dicom_warn(facts, "the injection lies %.3g half-lives before the scan: not used",
			       (first_start_s - injection_s) / half_life_s);
		return (double)NAN;
	}
	return injection_s;
}

static void find_texts(const iso_dicom_item *item, iso_dicom_dose *dose)
{
	char text[65];
	iso_dicom_text(item, 0x00180031, dose->tracer, sizeof dose->tracer);
	if (!dose->tracer[0])
		iso_dicom_text(iso_dicom_at(item, 0x00540304, 0), 0x00080104, dose->tracer, sizeof dose->tracer);
	if (!iso_dicom_text(iso_dicom_at(item, 0x00540302, 0), 0x00080104, text, sizeof text))
		iso_dicom_text(item, 0x00181070, text, sizeof text);
	const iso_dicom_code *route = iso_dicom_route_code(text);
	snprintf(dose->route, sizeof dose->route, "%.31s", route ? route->name : text);
}

void iso_dicom_find_dose(const iso_dicom_item *set, double first_start_s, double half_life_s, double unit_bq,
			 iso_dicom_in_facts *facts)
{
	const iso_dicom_item *item = dose_item(set);
	iso_dicom_dose *dose = &facts->dose;
	*dose =
	    (iso_dicom_dose){.injected_bq = (double)NAN, .injection_utc_s = (double)NAN, .body_mass_g = (double)NAN};
	find_texts(item, dose);
	if (iso_dicom_items(set, 0x00540016) > 1) {
		iso_dicom_warn(facts, "several radiopharmaceuticals: their doses were not used");
		return;
	}
	const double total = iso_dicom_number(item, 0x00181074, 0), mass_kg = iso_dicom_number(set, 0x00101030, 0);
	dose->injection_utc_s = find_injection(set, first_start_s, half_life_s, facts);
	if (total * unit_bq >= LEAST_DOSE_BQ)
		dose->injected_bq = total * unit_bq;
	else if (total > 0)
		iso_dicom_warn(facts, "Radionuclide Total Dose (0018,1074) is %g %s, too little to be seen: not used%s",
			       total, unit_bq > 1 ? "MBq" : "Bq", unit_bq > 1 ? "" : "; it may be MBq");
	else
		iso_dicom_warn(facts, "no injected activity is stated (0018,1074)");
	if (mass_kg > 0 && mass_kg < 1000)
		dose->body_mass_g = 1000 * mass_kg;
	else
		iso_dicom_warn(facts, "no body mass is stated (0010,1030)");
}
