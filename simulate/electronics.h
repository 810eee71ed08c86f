/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The scanner's electronics: photons in the order of time -> dead time and pile-up of the blocks -> efficiency of the crystals ->
 * energy window -> singles -> coincidences. A stream: what it makes does not depend on how the photons were cut into pushes. */
#ifndef ISOTRACE_SIMULATE_ELECTRONICS_H
#define ISOTRACE_SIMULATE_ELECTRONICS_H

#include "isotrace/singles.h"
#include "simulate/coincidence.h"
#include "simulate/dead_time.h"

typedef struct iso_electronics iso_electronics;

/* The scene must be prepared; scanner and sink must outlive it. */
iso_status iso_electronics_create(const iso_scene *scene, const iso_scanner *scanner, const iso_event_sink *sink,
				  iso_electronics **out, iso_error *err);
void iso_electronics_free(iso_electronics *electronics);
/* More photons, in the order of time; they may reach back to the last complete_s but not before it. After this no photon
 * before complete_s comes any more. Photons outside the scan are not looked at. */
iso_status iso_electronics_push(iso_electronics *electronics, const iso_single *photons, size_t count,
				double complete_s, iso_error *err);
/* All photons were given: gives the sink the rest and the singles, and adds what happened to the counts. */
iso_status iso_electronics_finish(iso_electronics *electronics, iso_simulation_counts *counts, iso_error *err);
const iso_singles *iso_electronics_singles(const iso_electronics *electronics);

#endif
