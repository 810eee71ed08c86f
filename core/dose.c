/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/dose.h"

#include <math.h>

#include "core/error.h"
#include "isotrace/time.h"

/* Beyond this many half-lives between assay and injection a wrong date is the only sensible explanation. */
#define MOST_HALF_LIVES 20.0

static iso_status check_numbers(const iso_dose *dose, const char *file, iso_error *err)
{
	if (!(dose->before.activity_bq > 0) || !isfinite(dose->before.activity_bq))
		return iso_fail(err, ISO_BAD_INPUT, file, "state what the dose calibrator read for the full syringe",
				"the full syringe's activity is %g Bq", dose->before.activity_bq);
	if (!(dose->after.activity_bq >= 0) || !isfinite(dose->after.activity_bq))
		return iso_fail(err, ISO_BAD_INPUT, file,
				"state what was left in the syringe, 0 when there was nothing",
				"the emptied syringe's activity is %g Bq", dose->after.activity_bq);
	if (!isnan(dose->relative_uncertainty) && !(dose->relative_uncertainty >= 0 && dose->relative_uncertainty < 1))
		return iso_fail(err, ISO_BAD_INPUT, file, "give the standard uncertainty (k = 1) in percent",
				"a relative uncertainty of the injected activity of %g %%",
				100 * dose->relative_uncertainty);
	if (!isnan(dose->body_mass_g) && !(dose->body_mass_g > 0 && isfinite(dose->body_mass_g)))
		return iso_fail(err, ISO_BAD_INPUT, file, "give the body mass in g or leave it out",
				"a body mass of %g g", dose->body_mass_g);
	if (!isnan(dose->body_mass_uncertainty_g) &&
	    !(dose->body_mass_uncertainty_g >= 0 && dose->body_mass_uncertainty_g < dose->body_mass_g))
		return iso_fail(err, ISO_BAD_INPUT, file, "give it in g, k = 1, together with the body mass",
				"an uncertainty of the body mass of %g g", dose->body_mass_uncertainty_g);
	if (!(dose->excreted_percent_id >= 0 && dose->excreted_percent_id <= 100))
		return iso_fail(err, ISO_BAD_INPUT, file, "give a part of the injected activity from 0 to 100 %ID",
				"an excreted activity of %g %%ID", dose->excreted_percent_id);
	return ISO_OK;
}

static iso_status check_times(const iso_dose *dose, const iso_nuclide *nuclide, const char *file, iso_error *err)
{
	char first[40], second[40];
	if (!isfinite(dose->before.utc_s) || !isfinite(dose->injection_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, file, "state date, time and zone of both",
				"the time of the %s is not known",
				isfinite(dose->injection_utc_s) ? "full syringe's assay" : "injection");
	if (dose->after.activity_bq > 0 && !isfinite(dose->after.utc_s))
		return iso_fail(err, ISO_BAD_INPUT, file, "state when the emptied syringe was measured",
				"the time of the emptied syringe's assay is not known");
	iso_time_text(dose->injection_utc_s, second);
	if (dose->injection_utc_s < dose->before.utc_s)
		return iso_fail(err, ISO_BAD_INPUT, file, "check dates and zones; the full syringe is assayed first",
				"injection at %s before the full syringe was assayed at %s", second,
				iso_time_text(dose->before.utc_s, first));
	if (dose->after.activity_bq > 0 && dose->after.utc_s < dose->injection_utc_s)
		return iso_fail(err, ISO_BAD_INPUT, file, "check dates and zones; the residual is assayed last",
				"the emptied syringe was assayed at %s before the injection at %s",
				iso_time_text(dose->after.utc_s, first), second);
	double longest = dose->injection_utc_s - dose->before.utc_s;
	if (dose->after.activity_bq > 0) longest = fmax(longest, dose->after.utc_s - dose->injection_utc_s);
	if (longest > MOST_HALF_LIVES * nuclide->half_life_s)
		return iso_fail(err, ISO_BAD_INPUT, file, "check the dates",
				"%.1f half-lives of %s between injection and assay", longest / nuclide->half_life_s,
				nuclide->name);
	return ISO_OK;
}

/* What the syringe lost, seen at the moment of injection. */
static double net_bq(const iso_dose *dose, double half_life_s)
{
	double net =
	    dose->before.activity_bq * iso_decay_factor(half_life_s, dose->injection_utc_s - dose->before.utc_s);
	if (dose->after.activity_bq > 0)
		net -=
		    dose->after.activity_bq * iso_decay_factor(half_life_s, dose->injection_utc_s - dose->after.utc_s);
	return net;
}

static iso_status check(const iso_dose *dose, const iso_nuclide *nuclide, const char *file, iso_error *err)
{
	iso_status status = check_numbers(dose, file, err);
	if (status == ISO_OK) status = check_times(dose, nuclide, file, err);
	if (status != ISO_OK) return status;
	const double net = net_bq(dose, nuclide->half_life_s);
	if (!(net > 0))
		return iso_fail(err, ISO_BAD_INPUT, file, "check units, dates and which syringe was which",
				"nothing was injected: full syringe minus emptied syringe is %g Bq at injection", net);
	return ISO_OK;
}

iso_status iso_dose_check(const iso_dose *dose, const char *file, iso_error *err)
{
	const iso_nuclide *nuclide;
	const iso_status status = iso_nuclide_find(dose->nuclide, file, &nuclide, err);
	return status == ISO_OK ? check(dose, nuclide, file, err) : status;
}

iso_status iso_dose_injected_bq(const iso_dose *dose, const iso_nuclide *nuclide, double *injected_bq, iso_error *err)
{
	*injected_bq = (double)NAN;
	const iso_status status = check(dose, nuclide, NULL, err);
	if (status == ISO_OK) *injected_bq = net_bq(dose, nuclide->half_life_s);
	return status;
}
