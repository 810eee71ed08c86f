/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/gantry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/events.h"

enum { MOST_POSITIONS = 1 << 22 };

iso_status iso_gantry_create(size_t count, iso_gantry **out, iso_error *err)
{
	*out = NULL;
	if (count < 1 || count > MOST_POSITIONS)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give 1 to 4194304 positions", "%zu gantry positions", count);
	iso_gantry *gantry = calloc(1, sizeof *gantry);
	if (!gantry) return iso_fail_memory(err, "gantry positions", sizeof *gantry);
	gantry->count = count;
	gantry->position = calloc(count, sizeof *gantry->position);
	if (!gantry->position) {
		free(gantry);
		return iso_fail_memory(err, "gantry positions", count * sizeof *gantry->position);
	}
	*out = gantry;
	return ISO_OK;
}

iso_status iso_gantry_copy(const iso_gantry *gantry, iso_gantry **out, iso_error *err)
{
	const iso_status status = iso_gantry_create(gantry->count, out, err);
	if (status == ISO_OK) memcpy((*out)->position, gantry->position, gantry->count * sizeof *gantry->position);
	return status;
}

void iso_gantry_free(iso_gantry *gantry)
{
	if (!gantry) return;
	free(gantry->position);
	free(gantry);
}

iso_status iso_gantry_check(const iso_gantry *gantry, const char *file, iso_error *err)
{
	for (size_t n = 0; n < gantry->count; n++) {
		const iso_gantry_position *p = gantry->position + n;
		if (isfinite(p->angle_deg) && p->start_s >= 0 && isfinite(p->start_s) && p->duration_s >= 0 &&
		    isfinite(p->duration_s) && (isnan(p->radius_mm) || (p->radius_mm > 0 && isfinite(p->radius_mm))))
			continue;
		return iso_fail(err, ISO_BAD_INPUT, file, "state angle, radius and times of every position",
				"gantry position %zu (%g degrees, %g mm, from %g s for %g s) is none", n, p->angle_deg,
				p->radius_mm, p->start_s, p->duration_s);
	}
	return ISO_OK;
}

const iso_gantry *iso_events_gantry(const iso_events *events)
{
	return events->gantry;
}

void iso_events_set_gantry(iso_events *events, iso_gantry *gantry)
{
	iso_gantry_free(events->gantry);
	events->gantry = gantry;
}
