/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whole decays: gammas, the crystals' own activity, scatter in a cylinder, voxelised phantoms. Seeds are fixed; tolerances are
 * five standard deviations of the counts plus what is said. */
#include "simulate/draw.h"
#include "simulate/photon.h"
#include "tests/simulate/scenes.h"

static const double centre[3] = {0, 0, 0};

/* A detector that nearly nothing escapes: 6.4 m long (0.1 % of all directions leave through the ends), 100 mm of LSO (0.02 %
 * of 511 keV photons pass), in 16 x 64 pieces. */
static iso_scene *scene_of_trap(void)
{
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	iso_simulated_detector *d = &scene->detector;
	strcpy(d->crystal_material, "LSO");
	scene->electronics = (iso_simulated_electronics){.on = true, .delayed_offset_ns = 500};
	d->rings = (iso_ring_description){.name = "trap",
					  .rings = 64,
					  .crystals_per_ring = 16,
					  .radius_mm = 100,
					  .mean_depth_mm = (double)NAN,
					  .ring_spacing_mm = 100,
					  .crystal_size_mm = {39, 100, 100},
					  .attenuation_per_mm = (double)NAN};
	return scene;
}

/* Gammas per positron: the correction has a table of its own, which must tell the same facts. Its yields have three digits. */
static void agree_with_correction(void)
{
	static const char *const nuclides[] = {"Br-76", "Ga-68", "I-124", "Mn-52", "Rb-82", "Sc-44", "Y-86"};
	iso_error err;
	for (size_t i = 0; i < sizeof nuclides / sizeof *nuclides; i++) {
		const iso_decay_scheme *scheme = NULL;
		const iso_nuclide *nuclide = NULL;
		size_t count, compared = 0;
		ISO_ASSERT_OK(iso_decay_scheme_find(nuclides[i], &scheme, &err), err);
		ISO_ASSERT_OK(iso_nuclide_find(nuclides[i], NULL, &nuclide, &err), err);
		const iso_prompt_gamma *gamma = iso_nuclide_prompt_gammas(nuclide, &count);
		for (size_t n = 0; n < count; n++) {
			double positrons = 0, yield = 0;
			for (int b = 0; b < ISO_MOST_BRANCHES; b++) {
				const iso_decay_branch *branch = &scheme->branch[b];
				if (!branch->positron) continue;
				positrons += branch->probability;
				for (int g = 0; g < ISO_MOST_GAMMAS; g++)
					if (fabs(branch->gamma[g].kev - gamma[n].energy_kev) < 0.15)
						yield += branch->probability * branch->gamma[g].yield;
			}
			ISO_ASSERT_NEAR(gamma[n].per_positron, yield / positrons, 0.0006);
			compared++;
		}
		CU_ASSERT(compared > 0);
	}
}

/* The table against the yields per decay (%) and the positrons per decay of the nuclide table. */
static void test_schemes(void)
{
	static const struct {
		const char *nuclide;
		double kev, percent;
	} yields[] = {
	    {"Sc-44", 1157.0, 99.9}, {"Ga-68", 1077.3, 3.24}, {"Br-76", 559.1, 74},     {"Br-76", 657.0, 15.9},
	    {"Y-86", 1076.6, 82.5},  {"Y-86", 627.7, 32.6},   {"I-124", 602.7, 62.9},   {"I-124", 722.8, 10.4},
	    {"I-124", 1691.0, 11.2}, {"Mn-52", 744.2, 90.0},  {"Mn-52", 935.5, 94.5},   {"Mn-52", 1434.1, 100},
	    {"Zr-89", 909.15, 0},    {"Zr-89", 1713.0, 0.75}, {"Cu-64", 1345.8, 0.475}, {"F-18", 511, 0}};
	iso_error err;
	for (size_t y = 0; y < sizeof yields / sizeof *yields; y++) {
		const iso_decay_scheme *scheme = NULL;
		const iso_nuclide *nuclide = NULL;
		ISO_ASSERT_OK(iso_decay_scheme_find(yields[y].nuclide, &scheme, &err), err);
		ISO_ASSERT_OK(iso_nuclide_find(yields[y].nuclide, NULL, &nuclide, &err), err);
		double all = 0, positrons = 0, yield = 0;
		for (int b = 0; b < ISO_MOST_BRANCHES; b++) {
			const iso_decay_branch *branch = &scheme->branch[b];
			all += branch->probability;
			positrons += branch->positron ? branch->probability : 0;
			for (int g = 0; g < ISO_MOST_GAMMAS; g++)
				if (branch->gamma[g].kev == yields[y].kev)
					yield += branch->probability * branch->gamma[g].yield;
		}
		ISO_ASSERT_NEAR(all, 1, 1e-9);
		ISO_ASSERT_NEAR(positrons, nuclide->branching_fraction, 1e-6);
		ISO_ASSERT_NEAR(100 * yield, yields[y].percent, 0.2); /* rounding of the branches */
	}
	agree_with_correction();
	const iso_decay_scheme *none = NULL;
	CU_ASSERT_EQUAL(iso_decay_scheme_find("Tc-99m", &none, &err), ISO_BAD_INPUT);
}

/* I-124 in the trap: how often a gamma comes with a positron (12.0 of 22.7), and without (50.9 of 77.3). A gamma that leaves
 * nothing above the threshold of 17 keV, or whose crystal is named after a larger deposit, is below 3 %: half of that is
 * counted with the crystals where both land (16 x 64 pieces, mostly the 16 x 4 nearest). */
static void test_prompt_gammas(void)
{
	enum { N = 20000 };
	iso_scene *scene = scene_of_trap();
	strcpy(scene->nuclide, "I-124");
	scene->prompt_gammas = true;
	iso_transport *t = transport_of(scene);
	t->least_kev = t->threshold_kev = 17;
	CU_ASSERT_EQUAL(iso_transport_delayed_per_decay(t), 0);
	iso_random random = iso_random_begin(21, 0);
	iso_single out[ISO_MOST_SINGLES];
	double positrons = 0, with = 0, without = 0;
	for (int n = 0; n < N; n++) {
		bool pair = false, gamma = false;
		const int singles = iso_transport_decay(t, &random, 0, (uint64_t)n, out);
		for (int s = 0; s < singles; s++) {
			pair |= out[s].origin == ISO_SINGLE_ANNIHILATION;
			gamma |= out[s].origin == ISO_SINGLE_PROMPT_GAMMA;
		}
		positrons += pair;
		with += pair && gamma;
		without += !pair && gamma;
	}
	const double expected = 0.227 * N, alone = 0.773 * N;
	ISO_ASSERT_NEAR(positrons, expected, 5 * sqrt(expected) + 0.002 * expected);
	ISO_ASSERT_NEAR(with / positrons, 0.529, 5 * sqrt(0.25 / expected) + 0.03 * 0.529);
	ISO_ASSERT_NEAR(without / alone, 0.658, 5 * sqrt(0.25 / alone) + 0.01);
	iso_transport_free(t);
	/* Zr-89: 909 keV is no part of the decay */
	strcpy(scene->nuclide, "Zr-89");
	t = transport_of(scene);
	ISO_ASSERT_NEAR(iso_transport_delayed_per_decay(t), 0.9904, 1e-9);
	double late = 0, prompt = 0;
	for (int n = 0; n < 5000; n++) {
		late += iso_transport_delayed(t, &random, 0, (uint64_t)n, out) > 0;
		const int singles = iso_transport_decay(t, &random, 0, (uint64_t)n, out);
		for (int s = 0; s < singles; s++) prompt += out[s].origin == ISO_SINGLE_PROMPT_GAMMA;
	}
	CU_ASSERT(late > 4000); /* 909 keV photons that leave over some 250 keV at one place */
	CU_ASSERT(prompt < 5000 * 0.0075 * 3 + 5 * sqrt(5000 * 0.0075 * 3));
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* LSO: 39 Bq/g (literature 38 to 40, here 39.8). The beta's mean, 182 keV, which the allowed shape misses by 5 %; the
 * cascade's sum. */
static void test_lutetium(void)
{
	iso_scene *scene = scene_of_trap();
	scene->lutetium_background = true;
	iso_transport *t = transport_of(scene);
	const double volume_cm3 = PI * (20 * 20 - 10 * 10) * 640;
	ISO_ASSERT_NEAR(iso_transport_background_per_s(t) / (volume_cm3 * 7.4), 39.8, 0.4);
	enum { N = 20000 };
	iso_random random = iso_random_begin(22, 0);
	double sum = 0, two = 0;
	for (int n = 0; n < N; n++) {
		const double kev = iso_lutetium_beta_kev(t->lutetium, &random);
		CU_ASSERT(kev > 0 && kev < 593);
		sum += kev;
	}
	ISO_ASSERT_NEAR(sum / N, 182 * 1.05, 5 * 120 / sqrt(N) + 2);
	/* All energies together: 593 + 597 keV at most but for the blur (three times the sum's 6 % is 7 standard deviations). */
	iso_single out[ISO_MOST_SINGLES];
	t->least_kev = t->threshold_kev = 17;
	for (int n = 0; n < N; n++) {
		const int singles = iso_transport_background(t, &random, 1, (uint64_t)n, out);
		double all = 0;
		for (int s = 0; s < singles; s++) {
			CU_ASSERT_EQUAL(out[s].origin, ISO_SINGLE_BACKGROUND);
			CU_ASSERT(out[s].crystal < 16 * 64);
			all += (double)out[s].energy_kev;
		}
		CU_ASSERT(all < 1190 * 1.3);
		two += singles > 1;
	}
	CU_ASSERT(two > N / 100);
	iso_transport_free(t);
	iso_scene_free(scene);
	/* BGO has none */
	iso_error err;
	scene = scene_of_trap();
	scene->lutetium_background = true;
	strcpy(scene->detector.crystal_material, "BGO");
	CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
	iso_scene_free(scene);
}

/* ---- single scatter in a cylinder ---- */

#define CYLINDER_MM      20.0
#define CYLINDER_HALF_MM 30.0

static double klein_nishina_total(double kev)
{
	const double a = kev / 510.99895, b = 1 + 2 * a, l = log(b);
	return (1 + a) / (a * a) * (2 * (1 + a) / b - l / a) + l / (2 * a) - (1 + 3 * a) / (b * b);
}

static double leaves_cylinder_mm(const double p[3], const double d[3])
{
	const double a = d[0] * d[0] + d[1] * d[1], b = p[0] * d[0] + p[1] * d[1];
	const double c = p[0] * p[0] + p[1] * p[1] - CYLINDER_MM * CYLINDER_MM;
	const double side = (-b + sqrt(b * b - a * c)) / a;
	return fmin(side, (copysign(CYLINDER_HALF_MM, d[2]) - p[2]) / d[2]);
}

/* Ratio of photons that leave after one scatter to those that leave after none: a seven-dimensional integral over the source's
 * point (3), its direction (2) and the scatter's cosine and azimuth with the depth (the first direction and the azimuth share
 * the cylinder's symmetry), by an additive-recurrence sequence. mu follows the free-electron cross-section from water's 0.0096
 * per mm, of which 0.2 % scatter coherently and go on as they are. */
static double single_scatter_ratio(void)
{
	enum { POINTS = 200000, DIMENSIONS = 7 };
	double step[DIMENSIONS], root = 1.09, scattered = 0, direct = 0;
	for (int i = 0; i < 60; i++) root = pow(1 + root, 1.0 / (DIMENSIONS + 1));
	for (int i = 0; i < DIMENSIONS; i++) step[i] = pow(1 / root, i + 1);
	const double at_511 = klein_nishina_total(511), mu = 0.0096, coherent = 0.0022;
	for (int n = 0; n < POINTS; n++) {
		double u[DIMENSIONS];
		for (int i = 0; i < DIMENSIONS; i++) u[i] = fmod(0.5 + step[i] * (n + 1), 1);
		const double rho = CYLINDER_MM * sqrt(u[0]), z1 = 2 * u[2] - 1, s1 = sqrt(1 - z1 * z1);
		const double p[3] = {rho, 0, CYLINDER_HALF_MM * (2 * u[1] - 1)};
		const double d[3] = {s1 * cos(2 * PI * u[3]), s1 * sin(2 * PI * u[3]), z1};
		const double whole = leaves_cylinder_mm(p, d), at = whole * u[4];
		direct += exp(-mu * whole);
		scattered += whole * mu * coherent * exp(-mu * whole);
		const double q[3] = {p[0] + at * d[0], p[1] + at * d[1], p[2] + at * d[2]};
		const double cosine = 2 * u[5] - 1, sine = sqrt(1 - cosine * cosine), azimuth = 2 * PI * u[6];
		const double e[3] = {-d[1] / s1, d[0] / s1, 0}, f[3] = {-d[2] * e[1], d[2] * e[0], s1};
		double g[3];
		for (int a = 0; a < 3; a++) g[a] = cosine * d[a] + sine * (cos(azimuth) * e[a] + sin(azimuth) * f[a]);
		const double left = 1 / (2 - cosine); /* of the energy */
		const double differential = left * left * (left + 1 / left - 1 + cosine * cosine);
		/* sigma = 2 pi r_e^2 total = pi r_e^2 int differential dcosine: per cosine, differential / (2 total) */
		const double density = differential / (2 * at_511);
		const double after = mu * klein_nishina_total(511 * left) / at_511 * leaves_cylinder_mm(q, g);
		scattered += whole * mu * (1 - coherent) * exp(-mu * at) * 2 * density * exp(-after);
	}
	return scattered / direct;
}

static void test_single_scatter(void)
{
	enum { N = 200000 };
	iso_scene *scene = scene_of_trap();
	scene->attenuation = scene->scatter = true;
	scene->phantom.shape[0] =
	    (iso_shape){.kind = ISO_SHAPE_CYLINDER, .half_axes_mm = {CYLINDER_MM, CYLINDER_MM, CYLINDER_HALF_MM}};
	iso_transport *t = transport_of(scene);
	t->least_kev = 17;
	iso_random random = iso_random_begin(23, 0);
	double scattered[2] = {0, 0};
	for (int n = 0; n < N; n++) {
		iso_photon photon = {.energy_kev = 511};
		iso_deposits deposits = {.count = 0};
		iso_transport_decay_point(t, &random, 0, photon.point_mm);
		draw_direction(&random, photon.direction);
		iso_photon_follow(t, &random, &photon, false, &deposits);
		if (deposits.count && deposits.of[0].scatters < 2) scattered[deposits.of[0].scatters]++;
	}
	const double ratio = single_scatter_ratio();
	CU_ASSERT(ratio > 0.1 && ratio < 0.3);
	/* the integral's own error: 200,000 points of a smooth integrand, below 0.3 % */
	ISO_ASSERT_NEAR(scattered[1] / scattered[0] / ratio, 1, 5 * sqrt(1 / scattered[0] + 1 / scattered[1]) + 0.005);
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* ---- voxels ---- */

/* Two organs in a block of 24 x 20 x 12 voxels of 1, 2 and 3 mm with a border of air, seen along turned axes: label 5 below
 * x = 0, label 9 above. */
static iso_scene *scene_of_voxels(void)
{
	iso_scene *scene = scene_of_trap();
	const double voxel_mm[3] = {1, 2, 3};
	const size_t size[3] = {24, 20, 12};
	iso_error err;
	iso_grid grid = iso_grid_centred(size, voxel_mm, centre);
	grid.direction[0][0] = -1; /* i runs to the right */
	grid.origin_mm[0] = -grid.origin_mm[0];
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_LABEL, &scene->phantom.labels, &err), err);
	for (size_t v = 0; v < 24 * 20 * 12; v++) {
		const size_t i = v % 24, j = v / 24 % 20, k = v / 480;
		const bool inside = i >= 2 && i < 22 && j >= 2 && j < 18 && k >= 2 && k < 10;
		scene->phantom.labels->voxels[v] = !inside ? 0 : i < 12 ? 9.0f : 5.0f;
	}
	scene->phantom.shapes = 0;
	scene->phantom.organs = 2;
	for (int o = 0; o < 2; o++) {
		scene->phantom.organ[o] = (iso_phantom_organ){.label = o ? 9 : 5,
							      .material = "water",
							      .density_g_per_ml = o ? 2 : 1,
							      .mu_per_cm = (double)NAN,
							      .percent_id_per_g = 1};
		strcpy(scene->phantom.organ[o].name, o ? "left" : "right");
	}
	return scene;
}

static void test_voxels(void)
{
	enum { N = 40000 };
	iso_scene *scene = scene_of_voxels();
	scene->attenuation = scene->scatter = true;
	iso_transport *t = transport_of(scene);
	ISO_ASSERT_NEAR(scene->phantom.organ[0].volume_ml, 10 * 32 * 24 / 1000.0, 1e-9);
	ISO_ASSERT_NEAR(scene->phantom.organ[1].mu_per_cm, 0.192, 4e-4);
	/* decays: twice as many in the denser half, uniform */
	iso_random random = iso_random_begin(24, 0);
	double left = 0, mean[3] = {0, 0, 0};
	for (int n = 0; n < N; n++) {
		double p[3];
		iso_transport_decay_point(t, &random, 0, p);
		CU_ASSERT(fabs(p[0]) <= 10 && fabs(p[1]) <= 16 && fabs(p[2]) <= 12);
		left += p[0] > 0;
		for (int a = 0; a < 3; a++) mean[a] += p[a] / N;
	}
	ISO_ASSERT_NEAR(left / N, 2.0 / 3, 5 * sqrt(2.0 / 9 / N));
	ISO_ASSERT_NEAR(mean[0], 5.0 / 3, 5 * 10 / sqrt(N));
	ISO_ASSERT_NEAR(mean[1], 0, 5 * 10 / sqrt(N));
	ISO_ASSERT_NEAR(mean[2], 0, 5 * 7 / sqrt(N));
	/* chords in closed form: along x, and a slanting one through both halves */
	const double mu = 0.1 * scene->phantom.organ[0].mu_per_cm, start[3] = {-50, 1, 1}, x[3] = {1, 0, 0};
	ISO_ASSERT_NEAR(iso_body_optical_depth(&t->body, start, x), 30 * mu, 1e-9);
	const double from[3] = {-6, 0, 1}, slant[3] = {0.8, 0.6, 0};
	/* 7.5 mm to x = 0, 12.5 to x = 10 */
	ISO_ASSERT_NEAR(iso_body_optical_depth(&t->body, from, slant), mu * (7.5 + 2 * 12.5), 1e-9);
	ISO_ASSERT_NEAR(iso_body_travel_mm(&t->body, from, slant, 7.5 + 2 * 3), 10.5, 1e-9);
	/* the same through collisions */
	double stopped = 0, dense = 0;
	for (int n = 0; n < N; n++) {
		iso_collision collision;
		if (!iso_matter_collide(t->matter, &random, start, x, 511, &collision)) continue;
		stopped++;
		dense += collision.distance_mm > 50;
	}
	const double p = -expm1(-30 * mu), q = exp(-10 * mu) - exp(-30 * mu);
	ISO_ASSERT_NEAR(stopped / N, p, 5 * sqrt(p * (1 - p) / N));
	ISO_ASSERT_NEAR(dense / N, q, 5 * sqrt(q * (1 - q) / N));
	iso_transport_free(t);
	/* the truth on the same grid is the phantom */
	iso_image *truth = NULL;
	iso_error err;
	scene->truth_grid = scene->phantom.labels->grid;
	ISO_ASSERT_OK(iso_scene_truth(scene, ISO_TRUTH_LABELS, &truth, &err), err);
	CU_ASSERT_EQUAL(memcmp(truth->voxels, scene->phantom.labels->voxels, sizeof(float) * 24 * 20 * 12), 0);
	iso_image_free(truth);
	scene->phantom.labels->voxels[500] = 7; /* nobody's */
	CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "7") != NULL);
	iso_scene_free(scene);
}

/* What contradicts itself, or lacks what it needs, is refused. */
static void test_refusals(void)
{
	iso_error err;
	for (int wrong = 0; wrong < 7; wrong++) {
		iso_scene *scene = wrong < 3 ? scene_of_point(centre, 1e6, 1) : scene_of_trap();
		iso_phantom_organ *organ = &scene->phantom.organ[0];
		scene->scatter = wrong == 0 || wrong == 3;
		scene->attenuation = wrong == 0;
		scene->prompt_gammas = wrong == 1;
		organ->mu_per_cm = wrong == 2 ? (double)NAN : 0.096;
		if (wrong == 4) scene->detector.rings.attenuation_per_mm = 0.08;
		if (wrong == 5) strcpy(organ->material, "cortical bone"); /* 1 g/mL: 0.0905 */
		if (wrong == 6) strcpy(scene->detector.crystal_material, "glass");
		CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
		iso_scene_free(scene);
	}
	/* 1 % apart agrees */
	iso_scene *scene = scene_of_trap();
	strcpy(scene->phantom.organ[0].material, "water");
	scene->phantom.organ[0].mu_per_cm = 0.0969;
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	ISO_ASSERT_NEAR(scene->phantom.organ[0].mu_per_cm, 0.0969, 1e-12);
	iso_scene_free(scene);
}

/* Every effect at once; slices with their own random streams give the same singles whoever makes them. */
static void test_threads(void)
{
	enum { SLICES = 8, DECAYS = 400, ROOM = SLICES * DECAYS };
	iso_scene *scene = scene_of_voxels();
	strcpy(scene->nuclide, "I-124");
	scene->attenuation = scene->scatter = scene->prompt_gammas = scene->lutetium_background = true;
	scene->positron_range = scene->acollinearity = true;
	scene->detector.time_resolution_ps = 300;
	iso_transport *t = transport_of(scene);
	iso_single *singles[2];
	int counts[2][SLICES];
	for (int run = 0; run < 2; run++) {
		singles[run] = calloc((size_t)ROOM * ISO_MOST_SINGLES, sizeof(iso_single));
#pragma omp parallel for schedule(dynamic) num_threads(run ? 3 : 1)
		for (int slice = 0; slice < SLICES; slice++) {
			iso_random random = iso_random_begin(25, (uint64_t)slice);
			iso_single *to = singles[run] + (size_t)slice * DECAYS * ISO_MOST_SINGLES;
			int count = 0;
			for (int n = 0; n < DECAYS; n++) {
				const uint64_t number = (uint64_t)slice << 32 | (uint64_t)n;
				count += n % 2 ? iso_transport_decay(t, &random, n, number, to + count)
					       : iso_transport_background(t, &random, n, number, to + count);
			}
			counts[run][slice] = count;
		}
	}
	CU_ASSERT(counts[0][0] > 50);
	CU_ASSERT_EQUAL(memcmp(counts[0], counts[1], sizeof counts[0]), 0);
	CU_ASSERT_EQUAL(memcmp(singles[0], singles[1], sizeof(iso_single) * ROOM * ISO_MOST_SINGLES), 0);
	free(singles[0]);
	free(singles[1]);
	iso_transport_free(t);
	iso_scene_free(scene);
}

static const iso_test tests[] = {{"yields per decay", test_schemes},
				 {"gammas come with their positrons", test_prompt_gammas},
				 {"lutetium", test_lutetium},
				 {"single scatter in a cylinder", test_single_scatter},
				 {"voxelised phantom", test_voxels},
				 {"contradictions are refused", test_refusals},
				 {"the same singles for any number of threads", test_threads}};
ISO_TEST_MAIN("simulate-decays", tests)
