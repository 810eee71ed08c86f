/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a decay to two crystals. Everything here is read-only once made, so that threads share it. */
#ifndef ISOTRACE_SIMULATE_TRANSPORT_H
#define ISOTRACE_SIMULATE_TRANSPORT_H

#include "core/random.h"
#include "simulate/body.h"
#include "simulate/detector.h"
#include "simulate/emission.h"
#include "simulate/lutetium.h"
#include "simulate/matter.h"
#include "simulate/positron.h"
#include "simulate/single.h"
#include "simulate/source.h"

/* What became of a photon or of a pair. Scattered photons will get fates of their own. */
typedef enum iso_fate {
	ISO_FATE_DETECTED = 0,
	ISO_FATE_MISSED,     /* leaves through the bore's ends */
	ISO_FATE_PENETRATED, /* passes the crystals without an interaction */
	ISO_FATE_ABSORBED,   /* absorbed or scattered in the body */
	ISO_FATE_NOT_PAIRED, /* a pair that the rule excludes, or too far apart in time */
	ISO_FATES
} iso_fate;

typedef struct iso_transport {
	const iso_scene *scene;
	iso_body body;
	iso_scanner *scanner;
	iso_annulus annulus;
	iso_positron_range range;
	iso_source *source;
	double activity_bq;       /* at the start of the scan, all organs */
	double positrons_per_s;   /* at the start of the scan */
	double branching;         /* positrons per decay */
	double decay_per_s;       /* ln 2 / half-life */
	double energy_acceptance; /* of a 511 keV photon that interacted */
	double acollinearity_rad; /* standard deviation in each of the two transverse directions; 0 = none */
	double half_window_ps;    /* tau */
	double time_sigma_ps;     /* of a coincidence */
	double singles_per_s;     /* photons recorded per second at the start of the scan; 0 until estimated */

	iso_matter *matter;             /* owned; NULL: photons pass the body unhindered */
	iso_material *crystal;          /* owned; NULL: the simple model of the detector */
	double crystal_g_mm_cm3;        /* its density / 10: times cm2/g it is 1/mm */
	const iso_decay_scheme *scheme; /* NULL: without gammas */
	iso_lutetium *lutetium;         /* owned; NULL: crystals without activity */
	uint32_t block_crystals[2]; /* transaxial, axial crystals that are read out together; 1, 1: each by itself */
	double single_sigma_s;      /* of the time of one single */
	double threshold_kev;       /* measured energies below are no singles: the window's lower end */
	double least_kev;           /* deposits below reach the threshold with a probability below 1e-9 */
} iso_transport;

/* The scene must be prepared and outlive the transport. */
iso_status iso_transport_create(const iso_scene *scene, iso_transport **out, iso_error *err);
void iso_transport_free(iso_transport *transport);

/* Where a decay at time_s happens. */
void iso_transport_decay_point(const iso_transport *transport, iso_random *random, double time_s, double point_mm[3]);
/* Moves the point to where the positron annihilates. */
void iso_transport_annihilation_point(const iso_transport *transport, iso_random *random, double point_mm[3]);
/* Both. */
void iso_transport_emit(const iso_transport *transport, iso_random *random, double time_s, double point_mm[3]);
/* Direction of the second photon of a pair whose first goes along `first`. */
void iso_transport_partner(const iso_transport *transport, iso_random *random, const double first[3], double second[3]);

/* No decay has more: singles of the blocks that deposits are left in. */
enum { ISO_MOST_SINGLES = 16 };

/* Share of the decays that emit anything that is followed. */
double iso_transport_emitting(const iso_transport *transport);
/* One such decay at time_s: follows all its photons, appends the singles that deposit energy (before window and dead time, but not
 * those below threshold_kev, which no window lets pass). Returns how many (0..ISO_MOST_SINGLES). */
int iso_transport_decay(const iso_transport *transport, iso_random *random, double time_s, uint64_t decay,
			iso_single out[ISO_MOST_SINGLES]);
/* Gammas that follow a decay by seconds (Zr-89) are decays of their own, so many per decay; 0 without prompt_gammas. */
double iso_transport_delayed_per_decay(const iso_transport *transport);
int iso_transport_delayed(const iso_transport *transport, iso_random *random, double time_s, uint64_t decay,
			  iso_single out[ISO_MOST_SINGLES]);
/* Background of the crystals themselves (Lu-176), as decays at the rate iso_transport_background_per_s(t), likewise. */
int iso_transport_background(const iso_transport *transport, iso_random *random, double time_s, uint64_t decay,
			     iso_single out[ISO_MOST_SINGLES]);
double iso_transport_background_per_s(const iso_transport *transport);

/* One annihilation at time_s, given that both photons, should they interact, would pass the energy window. Fills the event's
 * elements and TOF bin when detected. */
iso_fate iso_transport_pair(const iso_transport *transport, iso_random *random, double time_s, iso_event *event);
/* One photon of an annihilation, likewise given the energy window. */
iso_fate iso_transport_single(const iso_transport *transport, iso_random *random, uint32_t *crystal);
/* Probability of ISO_FATE_DETECTED for one photon of a random annihilation; its mean over many is the
 * acceptance of singles. */
double iso_transport_single_weight(const iso_transport *transport, iso_random *random);

#endif
