/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "isotrace/dose.h"
#include "isotrace/time.h"

/* A text in single quotes, in which only the quote itself is special. */
static void quote(const char *text, char *to, size_t size)
{
	size_t used = 0;
	to[used++] = '\'';
	for (; *text && used + 4 < size; text++) {
		if (*text == '\'') to[used++] = '\'';
		to[used++] = *text;
	}
	to[used++] = '\'';
	to[used] = '\0';
}

iso_status iso_dose_write(const char *path, const iso_dose *dose, const char *comment, iso_error *err)
{
	char text[2048], tracer[160], route[80], before[40], after[40], injection[40];
	const iso_status status = iso_dose_check(dose, path, err);
	if (status != ISO_OK) return status;
	quote(dose->tracer, tracer, sizeof tracer);
	quote(dose->route, route, sizeof route);
	size_t used = (size_t)iso_snprintf(text, sizeof text,
					   "# %s\nnuclide: %s\ntracer: %s\nroute: %s\n"
					   "syringe_before: {activity_bq: %.17g, time: %s}\n",
					   comment, dose->nuclide, tracer, route, dose->before.activity_bq,
					   iso_time_text(dose->before.utc_s, before));
	if (isfinite(dose->after.utc_s))
		used += (size_t)iso_snprintf(text + used, sizeof text - used,
					     "syringe_after: {activity_bq: %.17g, time: %s}\n", dose->after.activity_bq,
					     iso_time_text(dose->after.utc_s, after));
	else
		used += (size_t)snprintf(text + used, sizeof text - used, "syringe_after: {activity_bq: 0}\n");
	used += (size_t)snprintf(text + used, sizeof text - used, "injection_time: %s\n",
				 iso_time_text(dose->injection_utc_s, injection));
	if (isfinite(dose->body_mass_g))
		used +=
		    (size_t)iso_snprintf(text + used, sizeof text - used, "body_mass_g: %.17g\n", dose->body_mass_g);
	return iso_output_write(path, text, used, err);
}
