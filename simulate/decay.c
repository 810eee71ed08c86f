/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a decay to its singles. */
#include <math.h>

#include "simulate/draw.h"
#include "simulate/photon.h"

#define ANNIHILATION_KEV 510.99895

static void follow_pair(const iso_transport *t, iso_random *random, const double point_mm[3], iso_deposits *deposits)
{
	const double *p = point_mm, bore = t->annulus.inner_mm;
	if (p[0] * p[0] + p[1] * p[1] >= bore * bore) return; /* outside the bore */
	iso_photon photon[2];
	for (int i = 0; i < 2; i++)
		photon[i] = (iso_photon){
		    .point_mm = {p[0], p[1], p[2]}, .energy_kev = ANNIHILATION_KEV, .origin = ISO_SINGLE_ANNIHILATION};
	draw_direction(random, photon[0].direction);
	iso_transport_partner(t, random, photon[0].direction, photon[1].direction);
	for (int i = 0; i < 2; i++) iso_photon_follow(t, random, &photon[i], false, deposits);
}

static void follow_gamma(const iso_transport *t, iso_random *random, const double point_mm[3], double kev,
			 iso_deposits *deposits)
{
	iso_photon photon = {
	    .point_mm = {point_mm[0], point_mm[1], point_mm[2]}, .energy_kev = kev, .origin = ISO_SINGLE_PROMPT_GAMMA};
	draw_direction(random, photon.direction);
	iso_photon_follow(t, random, &photon, false, deposits);
}

double iso_transport_emitting(const iso_transport *t)
{
	return t->scheme ? 1 : t->branching;
}

int iso_transport_decay(const iso_transport *t, iso_random *random, double time_s, uint64_t decay,
			iso_single out[ISO_MOST_SINGLES])
{
	double level = draw_uniform(random) * iso_transport_emitting(t), point_mm[3];
	const iso_decay_branch *branch = NULL;
	bool positron = level < t->branching;
	if (t->scheme) {
		branch = t->scheme->branch;
		for (const iso_decay_branch *last = branch + ISO_MOST_BRANCHES - 1;
		     level >= branch->probability && branch < last && branch[1].probability > 0; branch++)
			level -= branch->probability;
		positron = branch->positron;
	}
	if (!positron && (!branch || branch->gamma[0].kev == 0)) return 0;
	iso_deposits deposits;
	deposits.count = 0;
	iso_transport_decay_point(t, random, time_s, point_mm);
	for (int g = 0; branch && g < ISO_MOST_GAMMAS && branch->gamma[g].kev > 0; g++)
		if (draw_uniform(random) < branch->gamma[g].yield)
			follow_gamma(t, random, point_mm, branch->gamma[g].kev, &deposits);
	if (positron) {
		iso_transport_annihilation_point(t, random, point_mm);
		follow_pair(t, random, point_mm, &deposits);
	}
	return deposits.count ? iso_photon_singles(t, random, time_s, decay, &deposits, out) : 0;
}

double iso_transport_delayed_per_decay(const iso_transport *t)
{
	return t->scheme ? t->scheme->delayed.yield : 0;
}

int iso_transport_delayed(const iso_transport *t, iso_random *random, double time_s, uint64_t decay,
			  iso_single out[ISO_MOST_SINGLES])
{
	if (!t->scheme || !(t->scheme->delayed.kev > 0)) return 0;
	iso_deposits deposits;
	deposits.count = 0;
	double point_mm[3];
	iso_transport_decay_point(t, random, time_s, point_mm);
	follow_gamma(t, random, point_mm, t->scheme->delayed.kev, &deposits);
	return deposits.count ? iso_photon_singles(t, random, time_s, decay, &deposits, out) : 0;
}

double iso_transport_background_per_s(const iso_transport *t)
{
	if (!t->lutetium) return 0;
	const iso_annulus *a = &t->annulus;
	const double pi = 3.14159265358979323846, area = pi * (a->outer_mm * a->outer_mm - a->inner_mm * a->inner_mm);
	const double crystals_g = area * 2 * a->half_length_mm / 1000 * t->crystal->density_g_ml;
	return crystals_g * t->crystal->lutetium_fraction * iso_lutetium_bq_per_g();
}

int iso_transport_background(const iso_transport *t, iso_random *random, double time_s, uint64_t decay,
			     iso_single out[ISO_MOST_SINGLES])
{
	if (!t->lutetium) return 0;
	const iso_annulus *a = &t->annulus;
	const double inner2 = a->inner_mm * a->inner_mm, outer2 = a->outer_mm * a->outer_mm;
	const double rho = sqrt(inner2 + (outer2 - inner2) * draw_uniform(random));
	const double azimuth = 6.283185307179586 * draw_uniform(random);
	const iso_photon here = {
	    .point_mm = {rho * cos(azimuth), rho * sin(azimuth), a->half_length_mm * (2 * draw_uniform(random) - 1)},
	    .origin = ISO_SINGLE_BACKGROUND};
	iso_deposits deposits;
	deposits.count = 0;
	double stays = iso_lutetium_beta_kev(t->lutetium, random);
	bool leaves[ISO_LUTETIUM_GAMMAS];
	for (int g = 0; g < ISO_LUTETIUM_GAMMAS; g++) {
		leaves[g] = draw_uniform(random) < iso_lutetium_gamma[g].photon;
		if (!leaves[g]) stays += iso_lutetium_gamma[g].kev;
	}
	iso_photon_deposit(t, &here, stays, &deposits);
	for (int g = 0; g < ISO_LUTETIUM_GAMMAS; g++) {
		if (!leaves[g]) continue;
		iso_photon photon = here;
		photon.energy_kev = iso_lutetium_gamma[g].kev;
		draw_direction(random, photon.direction);
		iso_photon_follow(t, random, &photon, true, &deposits);
	}
	return iso_photon_singles(t, random, time_s, decay, &deposits, out);
}
