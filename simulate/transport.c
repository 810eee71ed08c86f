/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/transport.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "simulate/body_voxels.h"
#include "simulate/draw.h"

#define TWO_PI         6.283185307179586
#define LN2            0.6931471805599453
#define MM_PER_PS      0.299792458
#define FWHM_PER_SIGMA 2.3548200450309493

/* The angle between the photons deviates from 180 degrees by a normal distribution of 0.5 degrees FWHM in each of two
 * transverse directions (water: S. DeBenedetti et al., Phys. Rev. 77 (1950) 205; K. Shibuya et al., Phys. Med. Biol. 52
 * (2007) 5249 find 0.55 degrees in man). */
#define ACOLLINEARITY_FWHM_DEG 0.5

void iso_transport_free(iso_transport *transport)
{
	if (!transport) return;
	iso_body_free(&transport->body);
	iso_scanner_free(transport->scanner);
	iso_source_free(transport->source);
	iso_matter_free(transport->matter);
	free(transport->crystal);
	free(transport->lutetium);
	free(transport);
}

/* The smallest deposit that six standard deviations of the energy lift over the threshold. */
static double least_kev(const iso_simulated_detector *detector, double threshold_kev)
{
	const double b = 6 * detector->energy_resolution / FWHM_PER_SIGMA * sqrt(511.0);
	const double root = 0.5 * (-b + sqrt(b * b + 4 * threshold_kev)); /* E + b sqrt(E) = threshold */
	return root * root;
}

static iso_status set_photons(iso_transport *t, const char *nuclide, iso_error *err)
{
	const iso_scene *scene = t->scene;
	const iso_simulated_detector *detector = &scene->detector;
	iso_status status = ISO_OK;
	for (int i = 0; i < 2; i++)
		t->block_crystals[i] = t->scanner->block_crystals[i] ? t->scanner->block_crystals[i] : 1;
	t->single_sigma_s = 1e-12 * t->time_sigma_ps / sqrt(2.0);
	t->threshold_kev =
	    scene->electronics.trigger_kev > 0 ? scene->electronics.trigger_kev : detector->energy_window_kev[0];
	t->least_kev = fmax(least_kev(detector, t->threshold_kev), ISO_MATERIAL_LOWEST_KEV);
	if (scene->attenuation) status = iso_matter_create(&scene->phantom, &t->body, &t->matter, err);
	if (status == ISO_OK && detector->crystal_material[0]) {
		status = iso_material_create(detector->crystal_material, &t->crystal, err);
		if (status == ISO_OK) t->crystal_g_mm_cm3 = t->crystal->density_g_ml / 10;
	}
	if (status == ISO_OK && scene->prompt_gammas) status = iso_decay_scheme_find(nuclide, &t->scheme, err);
	if (status == ISO_OK && scene->lutetium_background) {
		t->lutetium = malloc(sizeof *t->lutetium);
		if (!t->lutetium) return iso_fail_memory(err, "the crystals' activity", sizeof *t->lutetium);
		iso_lutetium_fill(t->lutetium);
	}
	return status;
}

iso_status iso_transport_create(const iso_scene *scene, iso_transport **out, iso_error *err)
{
	*out = NULL;
	const iso_nuclide *nuclide = NULL;
	iso_status status = iso_nuclide_find(scene->nuclide, NULL, &nuclide, err);
	if (status != ISO_OK) return status;
	iso_transport *t = calloc(1, sizeof *t);
	if (!t) return iso_fail_memory(err, "a simulation", sizeof *t);
	t->scene = scene;
	t->annulus = iso_annulus_of(&scene->detector);
	t->energy_acceptance = iso_detector_energy_acceptance(&scene->detector, 511.0);
	t->acollinearity_rad = scene->acollinearity ? ACOLLINEARITY_FWHM_DEG / FWHM_PER_SIGMA * TWO_PI / 360 : 0;
	t->half_window_ps = 500 * scene->detector.coincidence_window_ns;
	t->time_sigma_ps = scene->detector.time_resolution_ps / FWHM_PER_SIGMA;
	t->decay_per_s = LN2 / nuclide->half_life_s;
	status = iso_body_create(&scene->phantom, &t->body, err);
	if (status == ISO_OK) status = iso_scene_scanner(scene, &t->scanner, err);
	if (status == ISO_OK && scene->positron_range) status = iso_positron_range_find(nuclide->name, &t->range, err);
	if (status == ISO_OK) status = iso_source_create(scene, &t->body, t->decay_per_s, &t->source, err);
	if (status == ISO_OK) status = set_photons(t, nuclide->name, err);
	if (status != ISO_OK) {
		iso_transport_free(t);
		return status;
	}
	t->activity_bq = iso_source_activity_bq(t->source, 0);
	t->branching = nuclide->branching_fraction;
	t->positrons_per_s = t->activity_bq * t->branching;
	*out = t;
	return ISO_OK;
}

/* A uniform point of the whole shape. */
static void point_of_shape(const iso_body_shape *shape, iso_random *random, double point_mm[3])
{
	double u[3], across;
	do {
		for (int i = 0; i < 3; i++) u[i] = 2 * draw_uniform(random) - 1;
		across = u[0] * u[0] + u[1] * u[1];
		if (shape->kind == ISO_SHAPE_ELLIPSOID) across += u[2] * u[2];
	} while (across > 1);
	for (int i = 0; i < 3; i++)
		point_mm[i] = shape->centre_mm[i] + shape->from_unit[i][0] * u[0] + shape->from_unit[i][1] * u[1] +
			      shape->from_unit[i][2] * u[2];
}

void iso_transport_decay_point(const iso_transport *t, iso_random *random, double time_s, double point_mm[3])
{
	/* A shape in proportion to concentration x whole volume and a uniform point of it, all drawn again when a later
	 * shape owns the point: what remains has the density of the carved phantom. */
	size_t s;
	do {
		s = iso_source_shape(t->source, time_s, draw_uniform(random));
		if (t->body.voxels)
			iso_body_voxels_point(t->body.voxels, s, random, point_mm);
		else
			point_of_shape(&t->body.shape[s], random, point_mm);
	} while (iso_body_owner(&t->body, s + 1, point_mm) >= 0);
}

void iso_transport_annihilation_point(const iso_transport *t, iso_random *random, double point_mm[3])
{
	if (!t->scene->positron_range) return;
	/* Straight on, until the matter on the way equals the distance in water: a positron that leaves the lung stops
	 * soon behind its surface. */
	const double water_mm = iso_positron_water_mm(&t->range, random);
	double direction[3];
	draw_direction(random, direction);
	const double path_mm = iso_body_travel_mm(&t->body, point_mm, direction, water_mm);
	for (int a = 0; a < 3; a++) point_mm[a] += path_mm * direction[a];
}

void iso_transport_emit(const iso_transport *t, iso_random *random, double time_s, double point_mm[3])
{
	iso_transport_decay_point(t, random, time_s, point_mm);
	iso_transport_annihilation_point(t, random, point_mm);
}

/* The emission points, the azimuths and the cotangents of the polar angle for which photons meet the crystals. */
typedef struct beam {
	double point_mm[3], cosine, sine; /* of the azimuth */
	double along_mm, against_mm;      /* transverse distances to the front face, both ways */
} beam;

/* False: the annihilation lies outside the bore. */
static bool begin_beam(const iso_transport *t, iso_random *random, double time_s, beam *b)
{
	iso_transport_emit(t, random, time_s, b->point_mm);
	const double azimuth = TWO_PI * draw_uniform(random), radius = t->annulus.inner_mm;
	b->cosine = cos(azimuth);
	b->sine = sin(azimuth);
	const double *p = b->point_mm;
	const double inside = p[0] * p[0] + p[1] * p[1] - radius * radius;
	if (!(inside < 0)) return false;
	const double forward = p[0] * b->cosine + p[1] * b->sine, half = sqrt(forward * forward - inside);
	b->along_mm = half - forward;
	b->against_mm = half + forward;
	return true;
}

static double cosine_of_cotangent(double cotangent)
{
	return cotangent / sqrt(1 + cotangent * cotangent);
}

/* The fraction of all polar angles (uniform in the cosine) between two cotangents; *low the lower cosine. */
static double band(double low_cotangent, double high_cotangent, double *low)
{
	if (!(high_cotangent > low_cotangent)) return 0;
	*low = cosine_of_cotangent(low_cotangent);
	return 0.5 * (cosine_of_cotangent(high_cotangent) - *low);
}

static double single_band(const iso_transport *t, const beam *b, double *low)
{
	const double half = t->annulus.half_length_mm, z = b->point_mm[2];
	return band((-half - z) / b->along_mm, (half - z) / b->along_mm, low);
}

/* For pairs: the first photon as for a single, and the opposite direction, given room for the acollinearity (eight
 * standard deviations: missing 1e-15 of the pairs), reaches the front face too. */
static double pair_band(const iso_transport *t, const beam *b, double *low)
{
	const double half = t->annulus.half_length_mm, z = b->point_mm[2], s1 = b->along_mm, s2 = b->against_mm;
	const double margin = 8 * t->acollinearity_rad * (s2 * s2 + 4 * half * half) / s2, wide = half + margin;
	/* The crystals' z differ by at least what the front faces' crossings do, less one ring's spacing: a steeper pair the
	 * rule would refuse. */
	const double steepest =
	    (t->scanner->rule.max_axial_difference_mm + t->annulus.ring_spacing_mm + margin) / (s1 + s2);
	return band(fmax(fmax((-half - z) / s1, (z - wide) / s2), -steepest),
		    fmin(fmin((half - z) / s1, (z + wide) / s2), steepest), low);
}

static void set_direction(const beam *b, double cosine, double direction[3])
{
	const double sine = sqrt(1 - cosine * cosine);
	direction[0] = sine * b->cosine;
	direction[1] = sine * b->sine;
	direction[2] = cosine;
}

void iso_transport_partner(const iso_transport *t, iso_random *random, const double first[3], double second[3])
{
	for (int i = 0; i < 3; i++) second[i] = -first[i];
	if (!(t->acollinearity_rad > 0)) return;
	double tilt[2];
	draw_gaussian_pair(random, tilt);
	const double sine = sqrt(first[0] * first[0] + first[1] * first[1]);
	const double e[3] = {-first[1] / sine, first[0] / sine, 0}; /* f = first x e */
	const double f[3] = {-first[2] * e[1], first[2] * e[0], first[0] * e[1] - first[1] * e[0]};
	double norm = 0;
	for (int i = 0; i < 3; i++) {
		second[i] += t->acollinearity_rad * (tilt[0] * e[i] + tilt[1] * f[i]);
		norm += second[i] * second[i];
	}
	norm = sqrt(norm);
	for (int i = 0; i < 3; i++) second[i] /= norm;
}

/* Where a photon that interacts does so; returns the length of its flight. */
static double stop(const iso_transport *t, iso_random *random, const double point_mm[3], const double direction[3],
		   const iso_crossing *crossing, uint32_t *crystal)
{
	const double flight = crossing->entry_mm + iso_annulus_depth_mm(&t->annulus, crossing, draw_uniform(random));
	double at[3];
	for (int i = 0; i < 3; i++) at[i] = point_mm[i] + flight * direction[i];
	*crystal = iso_annulus_crystal(&t->annulus, at);
	return flight;
}

iso_fate iso_transport_pair(const iso_transport *t, iso_random *random, double time_s, iso_event *event)
{
	beam b;
	double low = 0, direction[2][3], flight[2];
	iso_crossing crossing[2];
	if (!begin_beam(t, random, time_s, &b)) return ISO_FATE_MISSED;
	/* The band's share of all directions decides whether the pair can be seen at all, and the same number then places
	 * it inside the band: every direction keeps its natural frequency. */
	const double share = pair_band(t, &b, &low), u = iso_random_uniform(random);
	if (u >= share) return ISO_FATE_MISSED;
	set_direction(&b, low + 2 * u, direction[0]);
	iso_transport_partner(t, random, direction[0], direction[1]);
	for (int i = 0; i < 2; i++)
		if (!iso_annulus_cross(&t->annulus, b.point_mm, direction[i], &crossing[i])) return ISO_FATE_MISSED;
	if (draw_uniform(random) >= crossing[0].stopping * crossing[1].stopping) return ISO_FATE_PENETRATED;
	if (t->scene->attenuation) {
		double left = -log(draw_uniform(random));
		for (int i = 0; i < 2; i++) {
			left -= iso_body_optical_depth(&t->body, b.point_mm, direction[i]);
			if (left < 0) return ISO_FATE_ABSORBED;
		}
	}
	const int swap = (int)(iso_random_u32(random) >> 31); /* which photon is element 0 says nothing */
	for (int i = 0; i < 2; i++)
		flight[i ^ swap] = stop(t, random, b.point_mm, direction[i], &crossing[i], &event->element[i ^ swap]);
	if (!iso_scanner_pair_allowed(t->scanner, event->element[0], event->element[1])) return ISO_FATE_NOT_PAIRED;
	double blur[2];
	draw_gaussian_pair(random, blur);
	const double difference_ps = (flight[0] - flight[1]) / MM_PER_PS + t->time_sigma_ps * blur[0];
	if (fabs(difference_ps) > t->half_window_ps || !iso_tof_bin(&t->scanner->tof, difference_ps, &event->tof_bin))
		return ISO_FATE_NOT_PAIRED;
	return ISO_FATE_DETECTED;
}

iso_fate iso_transport_single(const iso_transport *t, iso_random *random, uint32_t *crystal)
{
	beam b;
	double low = 0, direction[3];
	iso_crossing crossing;
	if (!begin_beam(t, random, 0, &b)) return ISO_FATE_MISSED;
	const double share = single_band(t, &b, &low), u = iso_random_uniform(random);
	if (u >= share) return ISO_FATE_MISSED;
	set_direction(&b, low + 2 * u, direction);
	if (!iso_annulus_cross(&t->annulus, b.point_mm, direction, &crossing)) return ISO_FATE_MISSED;
	if (draw_uniform(random) >= crossing.stopping) return ISO_FATE_PENETRATED;
	if (t->scene->attenuation &&
	    -log(draw_uniform(random)) < iso_body_optical_depth(&t->body, b.point_mm, direction))
		return ISO_FATE_ABSORBED;
	(void)stop(t, random, b.point_mm, direction, &crossing, crystal);
	return ISO_FATE_DETECTED;
}

double iso_transport_single_weight(const iso_transport *t, iso_random *random)
{
	beam b;
	double low = 0, direction[3];
	iso_crossing crossing;
	if (!begin_beam(t, random, 0, &b)) return 0;
	const double share = single_band(t, &b, &low);
	if (!(share > 0)) return 0;
	set_direction(&b, low + 2 * share * draw_uniform(random), direction);
	if (!iso_annulus_cross(&t->annulus, b.point_mm, direction, &crossing)) return 0;
	const double depth = t->scene->attenuation ? iso_body_optical_depth(&t->body, b.point_mm, direction) : 0;
	return share * crossing.stopping * exp(-depth);
}
