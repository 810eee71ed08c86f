/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Cross-sections, scatter and crystals, one by one, against formulas and tables. Seeds are fixed; tolerances are five standard
 * deviations unless said otherwise. */
#include "simulate/photon.h"
#include "simulate/scatter.h"
#include "tests/simulate/scenes.h"

static const double centre[3] = {0, 0, 0};

/* 1/cm at 511 keV, NIST XCOM and this project's table of facts; 1 % covers the differences between evaluations. LSO and BGO:
 * the makers' 0.87 and 0.96 (two digits). */
static void test_attenuation_of_materials(void)
{
	static const struct {
		const char *name;
		double density, kev, mu_per_cm, within;
	} known[] = {
	    {"water", 1, 511, 0.0960, 1e-3},
	    {"water", 1, 75, 0.1879, 1e-3},
	    {"water", 1, 140.5, 0.1537, 1e-3},
	    {"water", 1, 364.5, 0.1101, 1e-3},
	    {"cortical bone", 1.85, 511, 0.1674, 1e-3},
	    {"cortical bone", 1.85, 140.5, 0.2847, 1e-3},
	    {"adipose", 0.92, 511, 0.0888, 1e-3},
	    {"lung", 0.26, 511, 0.0960 * 0.26, 0.01},
	    {"soft tissue", 1, 511, 0.0953, 5e-3},
	    {"PMMA", 1.19, 511, 0.1110, 0.01},
	    {"LSO", 7.4, 511, 0.87, 0.01},
	    {"BGO", 7.13, 511, 0.96, 0.01},
	    /* above xraylib's end at 800 keV: NIST XCOM for water at 1 and 1.5 MeV */
	    {"water", 1, 1000, 0.07072, 5e-3},
	    {"water", 1, 1500, 0.05754, 5e-3},
	};
	iso_error err;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		iso_material *material = NULL;
		ISO_ASSERT_OK(iso_material_create(known[i].name, &material, &err), err);
		double fraction;
		const size_t step = iso_material_step(known[i].kev, &fraction);
		const double mu = known[i].density * iso_material_total(material, step, fraction);
		ISO_ASSERT_NEAR(mu / known[i].mu_per_cm, 1, known[i].within);
		/* the table is the cross-section */
		const double exact = known[i].density * iso_material_attenuation_cm2_g(known[i].name, known[i].kev);
		ISO_ASSERT_NEAR(mu / exact, 1, 1e-4);
		free(material);
	}
	/* In heavy elements the photoelectric effect's exponent rises from -2.2 at 800 keV towards -1 far above. */
	const double ratio = iso_material_cross_section("BGO", 1500).photoelectric /
			     iso_material_cross_section("BGO", 800).photoelectric;
	const double exponent = log(ratio) / log(1500.0 / 800);
	CU_ASSERT(exponent > -2.4 && exponent < -1.5);
	iso_material *none = NULL;
	CU_ASSERT_EQUAL(iso_material_create("cheese", &none, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.remedy, "water") != NULL && strstr(err.remedy, "NaI") != NULL);
}

/* A histogram of n counts against expected shares: chi^2 of bins - 1 degrees of freedom, five of its deviations. */
static void check_histogram(const double *counts, const double *share, int bins, double n)
{
	double chi2 = 0;
	for (int b = 0; b < bins; b++) {
		CU_ASSERT_FATAL(share[b] * n > 20);
		chi2 += (counts[b] - share[b] * n) * (counts[b] - share[b] * n) / (share[b] * n);
	}
	ISO_ASSERT_NEAR(chi2, bins - 1, 5 * sqrt(2.0 * (bins - 1)));
}

/* Klein and Nishina in the cosine, without a common factor. */
static double klein_nishina(double kev, double cosine)
{
	const double p = 1 / (1 + kev / 510.99895 * (1 - cosine));
	return p * p * (p + 1 / p - 1 + cosine * cosine);
}

static void test_compton(void)
{
	enum { N = 200000, BINS = 40, STEPS = 100 };
	static const double kev[] = {100, 511, 1691};
	for (size_t k = 0; k < sizeof kev / sizeof *kev; k++) {
		double counts[BINS] = {0}, share[BINS], all = 0;
		iso_random random = iso_random_begin(11, k);
		for (int n = 0; n < N; n++) {
			double cosine;
			const double left = iso_scatter_compton(kev[k], &random, &cosine);
			CU_ASSERT(cosine >= -1 && cosine <= 1);
			ISO_ASSERT_NEAR(left, kev[k] / (1 + kev[k] / 510.99895 * (1 - cosine)), 1e-9 * kev[k]);
			counts[(int)fmin(BINS * 0.5 * (1 + cosine), BINS - 1)]++;
		}
		for (int b = 0; b < BINS; b++) {
			share[b] = 0;
			for (int s = 0; s < STEPS; s++)
				share[b] += klein_nishina(kev[k], -1 + 2 * (b + (s + 0.5) / STEPS) / BINS);
			all += share[b];
		}
		for (int b = 0; b < BINS; b++) share[b] /= all;
		check_histogram(counts, share, BINS, N);
	}
}

/* Water at 60 keV: (1 + cosine^2) F^2 with form factors that are far from constant. F^2 by differences of the table's own
 * integral; that the table is right: its cross-section, r_e^2 pi integral of (1 + cosine^2) F^2 dcosine, is xraylib's. */
static void test_rayleigh(void)
{
	enum { N = 100000, BINS = 20, STEPS = 200 };
	const double kev = 60, most = kev * kev / (12.39841984 * 12.39841984);
	iso_error err;
	iso_material *water = NULL;
	ISO_ASSERT_OK(iso_material_create("water", &water, &err), err);
	double counts[BINS] = {0}, share[BINS] = {0}, all = 0, joined[BINS], expected[BINS];
	iso_random random = iso_random_begin(12, 0);
	for (int n = 0; n < N; n++) {
		const double cosine = iso_scatter_rayleigh(water, kev, &random);
		counts[(int)fmin(BINS * 0.5 * (1 - cosine), BINS - 1)]++;
	}
	for (int b = 0, i = 0; b < BINS; b++)
		for (int s = 0; s < STEPS; s++) {
			const double part = (b + (s + 0.5) / STEPS) / BINS, x2 = most * part, cosine = 1 - 2 * part;
			while (i + 2 < ISO_MATERIAL_TRANSFERS && water->transfer2[i + 1] < x2) i++;
			const double form2 = (water->form2_integral[i + 1] - water->form2_integral[i]) /
					     (water->transfer2[i + 1] - water->transfer2[i]);
			share[b] += (1 + cosine * cosine) * form2;
		}
	for (int b = 0; b < BINS; b++) all += share[b];
	/* r_e^2 pi N_A (cm2/mol), dcosine = 2 / (BINS STEPS) */
	const double cross = 0.0794079 * PI * 0.602214 * all * 2 / (BINS * STEPS);
	ISO_ASSERT_NEAR(cross / iso_material_cross_section("water", kev).rayleigh, 1, 0.03);
	int bins = 0;
	for (int b = 0; b < BINS; b++) { /* bins with too few counts join */
		if (bins && share[b] / all * N < 30) {
			joined[bins - 1] += counts[b];
			expected[bins - 1] += share[b] / all;
		} else {
			joined[bins] = counts[b];
			expected[bins++] = share[b] / all;
		}
	}
	CU_ASSERT(bins >= 5);
	check_histogram(joined, expected, bins, N);
	free(water);
}

/* Turning leaves unit vectors, the wanted angle, and no preferred azimuth: the mean over many is cosine x the old
 * direction. */
static void test_turn(void)
{
	static const double from[][3] = {{0, 0, 1}, {0, 0, -1}, {0.6, 0, 0.8}, {0.48, -0.6, -0.64}};
	enum { N = 20000 };
	iso_random random = iso_random_begin(13, 0);
	for (size_t f = 0; f < sizeof from / sizeof *from; f++) {
		double mean[3] = {0, 0, 0};
		for (int n = 0; n < N; n++) {
			double d[3] = {from[f][0], from[f][1], from[f][2]};
			iso_scatter_turn(d, 0.3, &random);
			ISO_ASSERT_NEAR(d[0] * d[0] + d[1] * d[1] + d[2] * d[2], 1, 1e-12);
			ISO_ASSERT_NEAR(d[0] * from[f][0] + d[1] * from[f][1] + d[2] * from[f][2], 0.3, 1e-9);
			for (int a = 0; a < 3; a++) mean[a] += d[a] / N;
		}
		for (int a = 0; a < 3; a++) ISO_ASSERT_NEAR(mean[a], 0.3 * from[f][a], 5 / sqrt(N));
	}
}

/* Crystals of a material around a point at the centre. */
static iso_scene *scene_of_crystals(const char *crystal)
{
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	strcpy(scene->detector.crystal_material, crystal);
	scene->electronics = (iso_simulated_electronics){.on = true, .delayed_offset_ns = 500};
	scene->detector.rings.attenuation_per_mm = (double)NAN;
	scene->detector.photofraction = (double)NAN;
	return scene;
}

/* 100 mm of water, then 100 mm of bone that is carved out of a longer piece of water: the shares of rays that collide in each
 * follow from exp(-mu d), no collision is taken for one of the other material, and the processes share the collisions as their
 * cross-sections. */
static void test_slab(void)
{
	enum { N = 200000 };
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	scene->attenuation = true;
	scene->detector.rings.radius_mm = 300;
	iso_shape *shape = scene->phantom.shape;
	scene->phantom.shapes = scene->phantom.organs = 2;
	for (int s = 0; s < 2; s++)
		shape[s] = (iso_shape){.kind = ISO_SHAPE_CYLINDER,
				       .centre_mm = {s ? 50 : -25, 0, 0},
				       .half_axes_mm = {40, 40, s ? 50 : 75},
				       .rotation_deg = {0, 90, 0},
				       .organ = (unsigned)s};
	scene->phantom.organ[0].mu_per_cm = (double)NAN;
	strcpy(scene->phantom.organ[0].material, "water");
	scene->phantom.organ[1] = (iso_phantom_organ){.name = "bone",
						      .label = 2,
						      .material = "cortical bone",
						      .density_g_per_ml = 1.85,
						      .mu_per_cm = (double)NAN};
	iso_transport *t = transport_of(scene);
	ISO_ASSERT_NEAR(scene->phantom.organ[1].mu_per_cm, 0.1674, 2e-4);
	/* water from x = -100 to 0, bone from 0 to 100 */
	const double start[3] = {-150, 1, 2}, along[3] = {1, 0, 0};
	double mu[2], water_scatters = 0, water_all = 0;
	int in_water = 0, in_bone = 0;
	for (int s = 0; s < 2; s++) mu[s] = 0.1 * scene->phantom.organ[s].mu_per_cm;
	iso_random random = iso_random_begin(14, 0);
	for (int n = 0; n < N; n++) {
		iso_collision collision;
		if (!iso_matter_collide(t->matter, &random, start, along, 511, &collision)) continue;
		const bool water = strcmp(collision.material->name, "water") == 0;
		CU_ASSERT(collision.distance_mm > 50 && collision.distance_mm < 250);
		CU_ASSERT_EQUAL(water, collision.distance_mm < 150);
		in_water += water;
		in_bone += !water;
		water_all += water;
		water_scatters += water && collision.process == ISO_PROCESS_COMPTON;
	}
	const double p = 1 - exp(-100 * mu[0]), q = (1 - p) * (1 - exp(-100 * mu[1]));
	ISO_ASSERT_NEAR(in_water / (double)N, p, 5 * sqrt(p * (1 - p) / N));
	ISO_ASSERT_NEAR(in_bone / (double)N, q, 5 * sqrt(q * (1 - q) / N));
	const iso_cross_section water = iso_material_cross_section("water", 511);
	const double other =
	    (water.photoelectric + water.rayleigh) / (water.photoelectric + water.rayleigh + water.compton);
	ISO_ASSERT_NEAR(1 - water_scatters / water_all, other, 5 * sqrt(other / water_all));
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* 511 keV photons along x into 10 mm of crystal. Any interaction: 1 - exp(-mu L). The first one is photoelectric, so that all
 * the energy is at one point, in the ratio of the cross-sections. Deposits never exceed 511 keV; those of all blocks together
 * are the whole or miss what escaped. */
static void test_crystals(void)
{
	static const char *const crystals[] = {"LSO", "BGO", "GSO", "NaI"};
	enum { N = 60000 };
	for (size_t c = 0; c < sizeof crystals / sizeof *crystals; c++) {
		iso_scene *scene = scene_of_crystals(crystals[c]);
		iso_transport *t = transport_of(scene);
		iso_random random = iso_random_begin(15, c);
		double hit = 0, at_once = 0, whole = 0;
		for (int n = 0; n < N; n++) {
			iso_photon photon = {.direction = {1, 0, 0}, .energy_kev = 511};
			iso_deposits deposits = {.count = 0};
			iso_photon_follow(t, &random, &photon, false, &deposits);
			double sum = 0;
			for (int d = 0; d < deposits.count; d++) sum += deposits.of[d].kev;
			CU_ASSERT(sum <= 511 + 1e-9);
			/* Rayleigh scatter leaves nothing behind; the straight line is what the formula is for */
			hit += deposits.count > 0;
			at_once += deposits.count == 1 && sum > 510.9;
			whole += sum > 510.9;
		}
		const iso_cross_section s = iso_material_cross_section(crystals[c], 511);
		double density = 0;
		CU_ASSERT(iso_material_facts(crystals[c], &density, NULL));
		const double mu = 0.1 * density * (s.photoelectric + s.compton);
		const double stopped = 1 - exp(-10 * mu);
		/* coherent scatter turns a few by small angles first, which lengthens their way by less than 1 % */
		ISO_ASSERT_NEAR(hit / N, stopped, 5 * sqrt(stopped * (1 - stopped) / N) + 0.01 * stopped);
		const double photo = s.photoelectric / (s.photoelectric + s.compton);
		ISO_ASSERT_NEAR(at_once / hit, photo, 5 * sqrt(photo * (1 - photo) / hit));
		CU_ASSERT(whole > at_once); /* scattered photons are caught as well */
		const double follows = 0.1 * density * iso_material_attenuation_cm2_g(crystals[c], 511);
		ISO_ASSERT_NEAR(t->annulus.mu_per_mm, follows, 1e-6);
		iso_transport_free(t);
		iso_scene_free(scene);
	}
}

/* Ways to the crystals and through them (40..50 mm, |z| < 32), also by their end faces. */
static void test_ways(void)
{
	iso_scene *scene = scene_of_crystals("LSO");
	iso_transport *t = transport_of(scene);
	const iso_annulus *a = &t->annulus;
	static const struct {
		double point[3], direction[3];
		bool meets;
		double distance_mm;
	} bore[] = {{{0, 0, 0}, {1, 0, 0}, true, 40},          {{0, 24, 0}, {1, 0, 0}, true, 32},
		    {{0, 0, 0}, {0.6, 0, 0.8}, false, 0},      {{0, 0, 50}, {0.8, 0, -0.6}, true, 50},
		    {{30, 0, 38}, {0.8, 0, -0.6}, true, 12.5}, {{36, 0, 38}, {0.8, 0, -0.6}, true, 10},
		    {{0, 0, 50}, {0, 0, -1}, false, 0},        {{0, 0, 50}, {0.6, 0, 0.8}, false, 0},
		    {{0, 0, 92}, {0.6, 0, -0.8}, true, 75},    {{0, 0, 112}, {0.6, 0, -0.8}, false, 0}};
	for (size_t i = 0; i < sizeof bore / sizeof *bore; i++) {
		double distance = 0;
		CU_ASSERT_EQUAL(iso_annulus_meet(a, bore[i].point, bore[i].direction, &distance), bore[i].meets);
		if (bore[i].meets) ISO_ASSERT_NEAR(distance, bore[i].distance_mm, 1e-12);
	}
	static const struct {
		double point[3], direction[3], distance_mm;
		bool inwards;
	} crystals[] = {{{45, 0, 0}, {1, 0, 0}, 5, false},
			{{45, 0, 0}, {-1, 0, 0}, 5, true},
			{{45, 0, 0}, {0, 0, -1}, 32, false},
			{{0, -41, 0}, {0, 0.8, 0.6}, 1.25, true},
			{{45, 0, 31}, {-0.8, 0, 0.6}, 1 / 0.6, false},
			{{44, 0, 0}, {0, 1, 0}, 23.748684174, false}};
	for (size_t i = 0; i < sizeof crystals / sizeof *crystals; i++) {
		bool inwards;
		ISO_ASSERT_NEAR(iso_annulus_leave(a, crystals[i].point, crystals[i].direction, &inwards),
				crystals[i].distance_mm, 1e-8);
		CU_ASSERT_EQUAL(inwards, crystals[i].inwards);
	}
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* Two deposits of 1/4 and 3/4 of the energy in one block: one single of their sum at the centroid's crystal; in different blocks
 * or without blocks: two. The time is that of the first, blurred; energy as sqrt(E). */
static void test_blocks(void)
{
	enum { N = 20000 };
	iso_scene *scene = scene_of_crystals("LSO");
	scene->detector.time_resolution_ps = 500;
	iso_transport *t = transport_of(scene);
	t->block_crystals[0] = t->block_crystals[1] = 8;
	const iso_deposits deposits = {.count = 2,
				       .of = {{.kev = 127.75, .path_mm = 43, .crystal = 2 * 160 + 9, .scatters = 3},
					      {.kev = 383.25, .path_mm = 46, .crystal = 6 * 160 + 13, .scatters = 1}}};
	iso_random random = iso_random_begin(16, 0);
	iso_single out[ISO_MOST_SINGLES];
	double kev[2] = {0, 0}, ps[2] = {0, 0};
	for (int n = 0; n < N; n++) {
		CU_ASSERT_EQUAL_FATAL(iso_photon_singles(t, &random, 0, 7, &deposits, out), 1);
		CU_ASSERT_EQUAL(out[0].crystal, 5 * 160 + 12);
		CU_ASSERT_EQUAL(out[0].scatters, 1);
		CU_ASSERT_EQUAL(out[0].decay, 7);
		const double values[2] = {(double)out[0].energy_kev - 511, 1e12 * out[0].time_s - 43 / 0.299792458};
		kev[0] += values[0] / N;
		kev[1] += values[0] * values[0] / N;
		ps[0] += values[1] / N;
		ps[1] += values[1] * values[1] / N;
	}
	const double sigma_kev = 0.14 * 511 / 2.3548200450309493, sigma_ps = 500 / 2.3548200450309493 / sqrt(2);
	ISO_ASSERT_NEAR(kev[0], 0, 5 * sigma_kev / sqrt(N));
	ISO_ASSERT_NEAR(sqrt(kev[1]) / sigma_kev, 1, 5 / sqrt(2.0 * N));
	ISO_ASSERT_NEAR(ps[0], 0, 5 * sigma_ps / sqrt(N));
	ISO_ASSERT_NEAR(sqrt(ps[1]) / sigma_ps, 1, 5 / sqrt(2.0 * N));
	t->block_crystals[0] = 4; /* columns 9 and 13 part */
	t->threshold_kev = t->least_kev = 20;
	CU_ASSERT_EQUAL(iso_photon_singles(t, &random, 0, 7, &deposits, out), 2);
	t->block_crystals[0] = t->block_crystals[1] = 1;
	CU_ASSERT_EQUAL(iso_photon_singles(t, &random, 0, 7, &deposits, out), 2);
	iso_transport_free(t);
	iso_scene_free(scene);
}

static const iso_test tests[] = {{"attenuation of materials", test_attenuation_of_materials},
				 {"Compton scatter is Klein and Nishina's", test_compton},
				 {"Rayleigh scatter follows the form factors", test_rayleigh},
				 {"directions turn by the angle", test_turn},
				 {"attenuation lengths in slabs", test_slab},
				 {"crystals stop and absorb by their cross-sections", test_crystals},
				 {"ways through the annulus", test_ways},
				 {"deposits of a block are one single", test_blocks}};
ISO_TEST_MAIN("simulate-photons", tests)
