/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Does a calibration belong to the image that is being made? */
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "isotrace/calibration.h"
#include "isotrace/time.h"

#define YEAR_S (365.25 * 86400)

static iso_status check_scanner(const iso_calibration *c, const iso_scanner *scanner, const iso_progress *progress,
				iso_error *err)
{
	char hash[65];
	iso_scanner_hash(scanner, hash);
	if (strcmp(c->scanner_hash, hash) == 0) return ISO_OK;
	if (strcmp(c->scanner_name, scanner->name) != 0)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "calibrate this scanner, or give --calibration-factor",
				"the calibration is of scanner '%s', the list-mode of '%s'", c->scanner_name,
				scanner->name);
	if (c->scanner_hash[0])
		iso_note(progress,
			 "calibration: the table of scanner '%s' (crystals, efficiencies, rule, TOF) has changed since "
			 "it was calibrated",
			 scanner->name);
	return ISO_OK;
}

/* Each of these changes the numbers by tens of percents: a factor made with it is wrong without it. */
static iso_status check_corrections(const iso_calibration *c, const iso_corrections *now, const iso_progress *progress,
				    iso_error *err)
{
	const struct {
		const char *name, *then, *now;
		bool must;
	} pairs[] = {{"attenuation", c->corrections.attenuation, now->attenuation, true},
		     {"scatter", c->corrections.scatter, now->scatter, true},
		     {"normalisation", c->corrections.normalisation, now->normalisation, true},
		     {"randoms", c->corrections.randoms, now->randoms, false},
		     {"dead time", c->corrections.dead_time, now->dead_time, false}};
	for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
		const bool then = pairs[p].then[0], is = pairs[p].now[0];
		if (then == is) continue;
		if (pairs[p].must)
			return iso_fail(
			    err, ISO_BAD_INPUT, NULL,
			    "correct this image like the phantom's, calibrate with an image corrected like this "
			    "one, or answer for it with --calibration-factor",
			    "%s: the phantom's image was %scorrected for it, this one is %s", pairs[p].name,
			    then ? "" : "not ", is ? "" : "not");
		iso_note(progress, "calibration: the phantom's image was %scorrected for %s, this one is %s",
			 then ? "" : "not ", pairs[p].name, is ? "" : "not");
	}
	if (strcmp(c->corrections.normalisation, now->normalisation) != 0)
		iso_note(progress, "calibration: made with the normalisation '%s', now '%s'",
			 c->corrections.normalisation, now->normalisation);
	return ISO_OK;
}

iso_status iso_calibration_check(const iso_calibration *calibration, const iso_scanner *scanner,
				 const iso_acquisition *acquisition, const iso_nuclide *nuclide,
				 const iso_corrections *corrections, const iso_progress *progress, double *uncertainty,
				 iso_error *err)
{
	iso_status status = check_scanner(calibration, scanner, progress, err);
	if (status == ISO_OK) status = check_corrections(calibration, corrections, progress, err);
	if (status != ISO_OK) return status;
	const double age_s = fabs(acquisition->start_utc_s - calibration->scan_utc_s);
	char date[40];
	if (age_s > YEAR_S)
		iso_note(progress, "calibration: of %.10s, %.1f years from this scan: calibrate anew",
			 iso_time_text(calibration->scan_utc_s, date), age_s / YEAR_S);
	/* With the same nuclide its branching fraction cancels; with another one both count, and that one's is added where it is used. */
	const bool same = nuclide && strcmp(nuclide->name, calibration->nuclide) == 0;
	const double branching =
	    same || isnan(calibration->branching_uncertainty) ? 0 : calibration->branching_uncertainty;
	*uncertainty = sqrt(calibration->uncertainty * calibration->uncertainty + branching * branching);
	return ISO_OK;
}
