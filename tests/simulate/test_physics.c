/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The steps of the transport, one by one, against their distributions. Seeds are fixed; tolerances are five standard
 * deviations unless said otherwise, so that a right program fails one of a million seeds. */
#include "simulate/transport.h"
#include "tests/simulate/scenes.h"

static void test_positron_range(void)
{
	/* Mean distances in water, mm. */
	static const struct {
		const char *nuclide;
		double mean_mm;
	} published[] = {{"F-18", 0.48},  {"C-11", 0.91},  {"N-13", 1.28},  {"O-15", 2.18},
			 {"Cu-64", 0.56}, {"Zr-89", 0.94}, {"Ga-68", 2.54}, {"Sc-44", 1.79},
			 {"I-124", 2.48}, {"Y-86", 2.0},   {"Br-76", 4.4}};
	enum { N = 100000 };
	iso_error err;
	for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
		iso_positron_range range;
		ISO_ASSERT_OK(iso_positron_range_find(published[i].nuclide, &range, &err), err);
		iso_random random = iso_random_begin(1, i);
		double sum = 0, squares = 0;
		for (int n = 0; n < N; n++) {
			const double r = iso_positron_water_mm(&range, &random);
			sum += r;
			squares += r * r;
		}
		const double sd = sqrt(squares / N - sum / N * (sum / N));
		ISO_ASSERT_NEAR(sum / N, published[i].mean_mm, 5 * sd / sqrt(N));
	}
	iso_positron_range range;
	CU_ASSERT_EQUAL(iso_positron_range_find("Tc-99m", &range, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "Tc-99m") != NULL);
}

static void test_acollinearity(void)
{
	const double centre[3] = {0, 0, 0};
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	scene->acollinearity = true;
	iso_transport *t = transport_of(scene);
	enum { N = 100000 };
	iso_random random = iso_random_begin(3, 0);
	const double first[3] = {0.6, 0, 0.8}, e[3] = {0, 1, 0}, f[3] = {0.8, 0, -0.6};
	const double sigma = 0.5 / 2.3548200450309493 * PI / 180;
	double sums[2] = {0, 0}, squares[2] = {0, 0};
	int wide = 0;
	for (int n = 0; n < N; n++) {
		double second[3], part[2] = {0, 0}, length = 0;
		iso_transport_partner(t, &random, first, second);
		for (int a = 0; a < 3; a++) {
			part[0] += second[a] * e[a];
			part[1] += second[a] * f[a];
			length += second[a] * second[a];
		}
		ISO_ASSERT_NEAR(length, 1, 1e-12);
		for (int i = 0; i < 2; i++) {
			sums[i] += part[i];
			squares[i] += part[i] * part[i];
		}
		wide += fabs(part[0]) > 1.959964 * sigma;
	}
	for (int i = 0; i < 2; i++) {
		ISO_ASSERT_NEAR(sums[i] / N, 0, 5 * sigma / sqrt(N));
		/* relative standard deviation of a standard deviation: 1/sqrt(2N) */
		ISO_ASSERT_NEAR(sqrt(squares[i] / N) / sigma, 1, 5 / sqrt(2.0 * N));
	}
	ISO_ASSERT_NEAR(wide / (double)N, 0.05, 5 * sqrt(0.05 * 0.95 / N));
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* The window's acceptance by quadrature against sampling: Compton angles by rejection from the Klein-Nishina formula in
 * the cosine, Gaussian blur of the deposit. */
static void test_energy(void)
{
	const double centre[3] = {0, 0, 0};
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	iso_simulated_detector *d = &scene->detector;
	enum { N = 400000 };
	const double windows[2][2] = {{350, 650}, {250, 450}};
	for (int w = 0; w < 2; w++) {
		memcpy(d->energy_window_kev, windows[w], sizeof windows[w]);
		iso_random random = iso_random_begin(4, (uint64_t)w);
		int inside = 0;
		for (int n = 0; n < N; n++) {
			double deposit = 511;
			if (iso_random_uniform(&random) >= d->photofraction) {
				double cosine, p;
				do {
					cosine = 2 * iso_random_uniform(&random) - 1;
					p = 1 / (2 - cosine); /* E'/E at E = the electron's rest energy */
				} while (2 * iso_random_uniform(&random) > p * p * (p + 1 / p - 1 + cosine * cosine));
				deposit = 511 * (1 - p);
			}
			const double sigma = 0.14 * sqrt(511 * deposit) / 2.3548200450309493;
			const double measured = deposit + sigma * iso_random_gaussian(&random);
			inside += measured >= windows[w][0] && measured <= windows[w][1];
		}
		const double p = inside / (double)N;
		ISO_ASSERT_NEAR(iso_detector_energy_acceptance(d, 511), p, 5 * sqrt(p * (1 - p) / N));
	}
	iso_scene_free(scene);
}

static void test_crossing(void)
{
	const double centre[3] = {0, 0, 0};
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	const iso_annulus a = iso_annulus_of(&scene->detector); /* 40..50 mm, |z| < 32 */
	iso_crossing c;
	const double x[3] = {1, 0, 0}, slant[3] = {0.8, 0, 0.6}, steep[3] = {0.6, 0, 0.8};
	CU_ASSERT(iso_annulus_cross(&a, centre, x, &c));
	ISO_ASSERT_NEAR(c.entry_mm, 40, 1e-12);
	ISO_ASSERT_NEAR(c.path_mm, 10, 1e-12);
	ISO_ASSERT_NEAR(c.stopping, 1 - exp(-0.87), 1e-12);
	/* at 50 mm of flight it enters at z = 30 and meets the end (z = 32) after 2/0.6 mm, before the back face */
	CU_ASSERT(iso_annulus_cross(&a, centre, slant, &c));
	ISO_ASSERT_NEAR(c.entry_mm, 50, 1e-12);
	ISO_ASSERT_NEAR(c.path_mm, 2 / 0.6, 1e-12);
	CU_ASSERT(!iso_annulus_cross(&a, centre, steep, &c));
	/* from (0, 24) along x: front at x = 32, back at sqrt(2500 - 576) */
	const double off[3] = {0, 24, 0}, outside[3] = {45, 0, 0}, z[3] = {0, 0, 1};
	CU_ASSERT(iso_annulus_cross(&a, off, x, &c));
	ISO_ASSERT_NEAR(c.entry_mm, 32, 1e-12);
	ISO_ASSERT_NEAR(c.path_mm, sqrt(1924) - 32, 1e-12);
	CU_ASSERT(!iso_annulus_cross(&a, outside, x, &c));
	CU_ASSERT(!iso_annulus_cross(&a, centre, z, &c));
	iso_scene_free(scene);
}

/* Depths follow exp(-mu s) cut at the path's end: the mean is 1/mu - L/(exp(mu L) - 1), the quarter points follow from the
 * distribution function. That mean is also where an unstated mean_depth_mm puts the crystals. */
static void test_depth(void)
{
	const double centre[3] = {0, 0, 0}, x[3] = {1, 0, 0}, mu = 0.087, length = 10;
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	iso_error err;
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	const double mean = 1 / mu - length / (exp(mu * length) - 1);
	ISO_ASSERT_NEAR(scene->detector.rings.mean_depth_mm, mean, 1e-12);
	const iso_annulus a = iso_annulus_of(&scene->detector);
	iso_crossing c;
	CU_ASSERT_FATAL(iso_annulus_cross(&a, centre, x, &c));
	enum { N = 100000 };
	iso_random random = iso_random_begin(6, 0);
	double sum = 0;
	int below[3] = {0, 0, 0};
	for (int n = 0; n < N; n++) {
		const double s = iso_annulus_depth_mm(&a, &c, iso_random_uniform(&random));
		CU_ASSERT(s >= 0 && s <= length);
		sum += s;
		for (int q = 0; q < 3; q++) below[q] += s < 2.5 * (q + 1);
	}
	ISO_ASSERT_NEAR(sum / N, mean,
			5 * 2.9 / sqrt(N)); /* the spread is below that of a uniform depth, 10/sqrt(12) */
	for (int q = 0; q < 3; q++) {
		const double p = (1 - exp(-mu * 2.5 * (q + 1))) / (1 - exp(-mu * length));
		ISO_ASSERT_NEAR(below[q] / (double)N, p, 5 * sqrt(p * (1 - p) / N));
	}
	iso_scene_free(scene);
}

/* The crystal that holds a point is the one whose table position is nearest, in angle and z. */
static void test_crystal(void)
{
	const double centre[3] = {0, 0, 0};
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	scene->detector.rings.first_angle_rad = 0.3;
	iso_transport *t = transport_of(scene);
	for (uint32_t e = 0; e < t->scanner->elements; e += 7) {
		const float *p = t->scanner->position_mm + 3 * (size_t)e;
		for (int corner = 0; corner < 4; corner++) {
			const double angle =
			    atan2((double)p[1], (double)p[0]) + (corner & 1 ? 0.49 : -0.49) * 2 * PI / 160;
			const double at[3] = {49 * cos(angle), 49 * sin(angle),
					      (double)p[2] + (corner & 2 ? 0.79 : -0.79)};
			CU_ASSERT_EQUAL(iso_annulus_crystal(&t->annulus, at), e);
		}
	}
	iso_transport_free(t);
	iso_scene_free(scene);
}

static const iso_test tests[] = {{"positron range against its table", test_positron_range},
				 {"acollinearity is Gaussian of 0.5 degrees FWHM", test_acollinearity},
				 {"energy window against sampling", test_energy},
				 {"paths through the annulus", test_crossing},
				 {"depth of interaction", test_depth},
				 {"crystals hold their points", test_crystal}};
ISO_TEST_MAIN("simulate-physics", tests)
