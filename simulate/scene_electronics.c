/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a scene may say of its electronics. */
#include "simulate/scene_electronics.h"

#include <math.h>

#include "core/error.h"

static iso_status wrong(iso_error *err, const char *remedy, const char *what, double value)
{
	return iso_fail(err, ISO_BAD_INPUT, NULL, remedy, "%s is %g", what, value);
}

iso_status iso_scene_check_electronics(const iso_scene *scene, iso_error *err)
{
	const iso_simulated_electronics *e = &scene->electronics;
	const iso_simulated_detector *d = &scene->detector;
	const uint32_t *block = d->block_crystals;
	if ((block[0] || block[1]) &&
	    (!block[0] || !block[1] || d->rings.crystals_per_ring % block[0] || d->rings.rings % block[1]))
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"give block_crystals that divide the rings, or leave them out",
				"blocks of %u x %u crystals do not fill %u rings of %u crystals", block[0], block[1],
				d->rings.rings, d->rings.crystals_per_ring);
	if (!e->on) return ISO_OK;
	if (!(e->dead_time_ns >= 0 && e->dead_time_ns < 1e9))
		return wrong(err, "give a number >= 0, in ns", "dead_time_ns", e->dead_time_ns);
	if (!(e->pile_up_ns >= 0 && e->pile_up_ns < 1e9))
		return wrong(err, "give a number >= 0, in ns", "pile_up_ns", e->pile_up_ns);
	if ((e->dead_time == ISO_DEAD_TIME_NONE) != !(e->dead_time_ns > 0))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state dead_time_model and a dead_time_ns > 0, or neither",
				"dead_time_model and dead_time_ns (%g) contradict one another", e->dead_time_ns);
	if ((e->dead_time_ns > 0 || e->pile_up_ns > 0) && !block[0])
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"state the detector's block_crystals ([1, 1]: each by itself)",
				"dead time and pile-up belong to blocks, and there are none");
	if (e->dead_time_ns > 0 && e->pile_up_ns > e->dead_time_ns)
		return wrong(err, "integrate no longer than the dead time", "pile_up_ns", e->pile_up_ns);
	if (!(e->trigger_kev >= 0 && e->trigger_kev <= d->energy_window_kev[0]))
		return wrong(err, "give an energy that is not above the window's lower end, or leave it out",
			     "trigger_kev", e->trigger_kev);
	if (!(e->delayed_offset_ns > 2 * d->coincidence_window_ns && e->delayed_offset_ns < 1e9))
		return wrong(err, "give more than two coincidence windows, in ns", "delayed_offset_ns",
			     e->delayed_offset_ns);
	if (!(e->efficiency_spread >= 0 && e->efficiency_spread <= 0.5))
		return wrong(err, "give 0 to 50 %", "efficiency_spread_percent", 100 * e->efficiency_spread);
	if (e->singles_interval_s != 0 && !(e->singles_interval_s >= 1e-6))
		return wrong(err, "give a number > 0, in s, or leave it out", "singles_interval_s",
			     e->singles_interval_s);
	return ISO_OK;
}
