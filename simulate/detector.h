/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The annulus of crystals: where a photon stops and whether the electronics keep it. */
#ifndef ISOTRACE_SIMULATE_DETECTOR_H
#define ISOTRACE_SIMULATE_DETECTOR_H

#include "isotrace/simulate.h"

typedef struct iso_annulus {
	double inner_mm, outer_mm, half_length_mm; /* radii of front and back faces; z from -half to +half */
	double mu_per_mm;
	double ring_spacing_mm, first_angle_rad, crystals_per_rad;
	uint32_t rings, crystals_per_ring;
} iso_annulus;

/* A photon's way through the crystals. */
typedef struct iso_crossing {
	double entry_mm; /* from the photon's start to the front face */
	double path_mm;  /* inside crystals, to the back face or an end of the cylinder */
	double stopping; /* probability of an interaction on that path */
} iso_crossing;

iso_annulus iso_annulus_of(const iso_simulated_detector *detector);
/* False: the photon, from inside the bore along a unit vector, does not meet the front face. */
bool iso_annulus_cross(const iso_annulus *annulus, const double point_mm[3], const double direction[3],
		       iso_crossing *crossing);
/* Depth along the path of the first interaction, given that there is one; uniform in (0, 1). */
double iso_annulus_depth_mm(const iso_annulus *annulus, const iso_crossing *crossing, double uniform);
/* Distance to the crystals from a point of the bore, or beyond its ends from where the photon may meet their end faces or
 * enter the bore; false: it misses them. */
bool iso_annulus_meet(const iso_annulus *annulus, const double point_mm[3], const double direction[3],
		      double *distance_mm);
/* Distance from a point among the crystals to where the ray leaves them; *inwards: into the bore. */
double iso_annulus_leave(const iso_annulus *annulus, const double point_mm[3], const double direction[3],
			 bool *inwards);
/* The crystal that holds a point of the annulus. */
uint32_t iso_annulus_crystal(const iso_annulus *annulus, const double point_mm[3]);

/* Time difference t0 - t1 to a bin, 0 without TOF; false when it lies beyond the last one. */
bool iso_tof_bin(const iso_tof *tof, double difference_ps, int16_t *bin);

/* Probability that the energy measured for a photon of photon_kev that interacted lies in the window. */
double iso_detector_energy_acceptance(const iso_simulated_detector *detector, double photon_kev);

#endif
