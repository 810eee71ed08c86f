/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which organ decays when. An organ's uptake may follow a time course, a sum of exponentials of the time since the injection;
 * with the nuclide's own decay every activity is a sum of exponentials, and its integrals have closed forms. */
#ifndef ISOTRACE_SIMULATE_SOURCE_H
#define ISOTRACE_SIMULATE_SOURCE_H

#include "core/random.h"
#include "simulate/body.h"

typedef struct iso_source iso_source;

/* The scene must be prepared; scene and body must outlive the source. */
iso_status iso_source_create(const iso_scene *scene, const iso_body *body, double decay_per_s, iso_source **out,
			     iso_error *err);
void iso_source_free(iso_source *source);
/* False when every organ holds a constant share of what has not decayed: where a decay happens then says nothing about when. */
bool iso_source_changes(const iso_source *source);

/* Times are seconds since the start of the scan. */
double iso_source_activity_bq(const iso_source *source, double time_s);
double iso_source_organ_activity_bq(const iso_source *source, size_t organ, double time_s);
/* Expected decays. */
double iso_source_decays(const iso_source *source, double from_s, double to_s);
double iso_source_organ_decays(const iso_source *source, size_t organ, double from_s, double to_s);
/* The moment before which the fraction f of the decays expected between the two moments falls; within [from_s, to_s). */
double iso_source_moment_s(const iso_source *source, double from_s, double to_s, double fraction);
/* The moment of one decay between the two. */
double iso_source_draw_time_s(const iso_source *source, iso_random *random, double from_s, double to_s);
/* A shape with a probability proportional to its organ's concentration at that moment times the volume of the whole shape,
 * for u uniform in (0, 1). A point of it that a later shape owns is to be drawn again with its shape. */
size_t iso_source_shape(const iso_source *source, double time_s, double u);

#endif
