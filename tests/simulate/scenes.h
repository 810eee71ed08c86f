/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small scenes made in the test, and a sink that keeps the events. */
#ifndef ISOTRACE_TESTS_SIMULATE_SCENES_H
#define ISOTRACE_TESTS_SIMULATE_SCENES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isotrace/isotrace.h"
#include "simulate/transport.h"
#include "tests/harness.h"

#define PI 3.14159265358979323846

/* A ball of 0.2 mm radius at a point, F-18, in a detector of 40 rings; every effect off; rule without limits. Half-life
 * long against the scan. The organ's uptake is such that its activity at the start is activity_bq. */
static inline iso_scene *scene_of_point(const double point_mm[3], double activity_bq, double duration_s)
{
	iso_scene *scene = calloc(1, sizeof *scene);
	scene->detector = (iso_simulated_detector){
	    .rings = {.name = "test",
		      .rings = 40,
		      .crystals_per_ring = 160,
		      .radius_mm = 40,
		      .mean_depth_mm = (double)NAN,
		      .ring_spacing_mm = 1.6,
		      .crystal_size_mm = {1.57, 1.6, 10},
		      .attenuation_per_mm = 0.087},
	    .energy_resolution = 0.14,
	    .energy_window_kev = {350, 650},
	    .photofraction = 0.6,
	    .coincidence_window_ns = 4,
	    .max_transaxial_offset_mm = (double)INFINITY,
	    .max_axial_difference_mm = (double)INFINITY,
	};
	scene->phantom.organ = calloc(2, sizeof *scene->phantom.organ);
	scene->phantom.shape = calloc(2, sizeof *scene->phantom.shape);
	scene->phantom.organs = scene->phantom.shapes = 1;
	const double radius = 0.2, mass_g = 4.0 / 3 * PI * radius * radius * radius / 1000;
	scene->phantom.organ[0] = (iso_phantom_organ){
	    .name = "source", .label = 1, .density_g_per_ml = 1, .mu_per_cm = 0.096, .percent_id_per_g = 100 / mass_g};
	scene->phantom.shape[0] = (iso_shape){.kind = ISO_SHAPE_ELLIPSOID,
					      .centre_mm = {point_mm[0], point_mm[1], point_mm[2]},
					      .half_axes_mm = {radius, radius, radius}};
	strcpy(scene->nuclide, "F-18");
	scene->injected_bq = activity_bq;
	scene->start_utc_s = scene->injection_utc_s = 1.7e9;
	scene->duration_s = duration_s;
	scene->seed = 20260314;
	scene->calibration_factor = scene->calibration_uncertainty = (double)NAN;
	return scene;
}

/* Prepares the scene, which must outlive the transport. */
static inline iso_transport *transport_of(iso_scene *scene)
{
	iso_error err;
	iso_transport *transport = NULL;
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	ISO_ASSERT_OK(iso_transport_create(scene, &transport, &err), err);
	return transport;
}

typedef struct kept {
	iso_event *events;
	size_t count, room;
} kept;

static inline iso_status keep(void *self, const iso_event *events, const iso_event_truth *truth, size_t count,
			      iso_error *err)
{
	(void)err;
	(void)truth;
	kept *k = self;
	if (k->count + count > k->room) {
		k->room = 2 * (k->count + count);
		k->events = realloc(k->events, k->room * sizeof *events);
	}
	memcpy(k->events + k->count, events, count * sizeof *events);
	k->count += count;
	return ISO_OK;
}

/* Prepares and simulates; events may be NULL. */
static inline iso_simulation_counts simulate(iso_scene *scene, int threads, kept *events)
{
	iso_error err = {.status = ISO_OK};
	iso_simulation_counts counts = {0};
	kept own = {.events = NULL};
	const iso_event_sink sink = {.write = keep, .self = events ? events : &own};
	iso_status status = iso_scene_prepare(scene, &err);
	if (status == ISO_OK) status = iso_simulate(scene, &sink, threads, NULL, &counts, &err);
	if (status != ISO_OK) iso_test_print_error(&err);
	CU_ASSERT_EQUAL_FATAL(status, ISO_OK);
	free(own.events);
	return counts;
}

/* Mean of f(stopping probability) over directions from the centre of the detector, f = p (one photon) or p^2 (a pair):
 * the integral over the polar cosine of the path through a shell of crystals that ends at z = +-H; worked out
 * without the simulation's geometry code. */
static inline double centre_acceptance(const iso_simulated_detector *d, bool pair)
{
	const double radius = d->rings.radius_mm, depth = d->rings.crystal_size_mm[2];
	const double half = 0.5 * d->rings.rings * d->rings.ring_spacing_mm;
	const double edge = half / hypot(half, radius);
	enum { STEPS = 100000 };
	double sum = 0;
	for (int i = 0; i < STEPS; i++) {
		const double cosine = edge * (i + 0.5) / STEPS, sine = sqrt(1 - cosine * cosine);
		const double path = fmin(depth / sine, half / cosine - radius / sine);
		const double p = 1 - exp(-d->rings.attenuation_per_mm * path);
		sum += pair ? p * p : p;
	}
	return edge * sum / STEPS; /* both signs of the cosine: 2 * (1/2) */
}

#endif
