/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Organs whose uptake changes: activities and decays against closed forms worked out here, drawn moments and places against
 * their distributions. Tolerances are five standard deviations unless said otherwise. */
#include "simulate/source.h"
#include "simulate/transport.h"
#include "tests/simulate/scenes.h"

#define LN2 0.6931471805599453

/* Blood that falls with two half-lives at z = -12, tissue that fills at z = 0, and a constant organ at z = 12 mm, a minute after the
 * injection; three balls of 1 mm radius. */
static const double blood_a[2] = {30, 10}, blood_s[2] = {20, 300}, tissue_s = 60, constant = 5;

static iso_scene *scene_of_courses(double duration_s)
{
	const double centre[3] = {0, 0, 0};
	iso_scene *scene = scene_of_point(centre, 1e6, duration_s);
	free(scene->phantom.organ);
	free(scene->phantom.shape);
	scene->phantom = (iso_phantom){.organs = 3, .shapes = 3};
	scene->phantom.organ = calloc(3, sizeof *scene->phantom.organ);
	scene->phantom.shape = calloc(3, sizeof *scene->phantom.shape);
	for (unsigned o = 0; o < 3; o++) {
		scene->phantom.organ[o] = (iso_phantom_organ){
		    .label = (int)o + 1, .density_g_per_ml = 1, .mu_per_cm = 0.096, .percent_id_per_g = constant};
		snprintf(scene->phantom.organ[o].name, sizeof scene->phantom.organ[o].name, "organ %u", o);
		scene->phantom.shape[o] = (iso_shape){.kind = ISO_SHAPE_ELLIPSOID,
						      .centre_mm = {0, 0, 12 * ((double)o - 1)},
						      .half_axes_mm = {1, 1, 1},
						      .organ = o};
	}
	for (size_t o = 0; o < 2; o++) {
		scene->phantom.organ[o].terms = 2;
		scene->phantom.organ[o].term = calloc(2, sizeof *scene->phantom.organ[o].term);
	}
	for (size_t k = 0; k < 2; k++)
		scene->phantom.organ[0].term[k] =
		    (iso_uptake_term){.percent_id_per_g = blood_a[k], .half_life_s = blood_s[k]};
	scene->phantom.organ[1].term[0] = (iso_uptake_term){.percent_id_per_g = 8, .half_life_s = (double)INFINITY};
	scene->phantom.organ[1].term[1] = (iso_uptake_term){.percent_id_per_g = -8, .half_life_s = tissue_s};
	scene->start_utc_s = scene->injection_utc_s + 60;
	return scene;
}

/* Uptake t seconds after the injection, %ID/g. */
static double uptake(size_t organ, double t)
{
	if (organ == 0) return blood_a[0] * exp2(-t / blood_s[0]) + blood_a[1] * exp2(-t / blood_s[1]);
	return organ == 1 ? 8 * (1 - exp2(-t / tissue_s)) : constant;
}

static double f18_s(void)
{
	const iso_nuclide *nuclide = NULL;
	(void)iso_nuclide_find("F-18", NULL, &nuclide, NULL);
	return nuclide->half_life_s;
}

/* Activity t seconds after the start of the scan, for 1 MBq injected. */
static double activity_bq(size_t organ, double t)
{
	const double mass_g = 4.0 / 3 * PI / 1000;
	return 1e6 * mass_g / 100 * uptake(organ, 60 + t) * exp2(-(60 + t) / f18_s());
}

static void test_activities(void)
{
	iso_scene *scene = scene_of_courses(600);
	iso_transport *t = transport_of(scene);
	CU_ASSERT(iso_source_changes(t->source));
	for (size_t o = 0; o < 3; o++) {
		ISO_ASSERT_NEAR(scene->phantom.organ[o].percent_id_per_g, uptake(o, 60), 1e-9);
		for (double s = 0; s <= 600; s += 37)
			ISO_ASSERT_NEAR(iso_source_organ_activity_bq(t->source, o, s), activity_bq(o, s),
					1e-9 * activity_bq(o, s));
	}
	ISO_ASSERT_NEAR(iso_source_activity_bq(t->source, 100),
			activity_bq(0, 100) + activity_bq(1, 100) + activity_bq(2, 100), 1e-6);
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* Simpson's rule over 2000 steps: its error is below 1e-9 for half-lives above 30 steps. */
static double integral(size_t organ, double from_s, double to_s)
{
	enum { STEPS = 2000 };
	const double h = (to_s - from_s) / STEPS;
	double sum = 0;
	for (int i = 0; i <= STEPS; i++)
		sum += activity_bq(organ, from_s + h * i) * (i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2);
	return sum * h / 3;
}

static void test_decays(void)
{
	static const double frames[][2] = {{0, 10}, {10, 60}, {60, 600}, {0, 600}, {599.9, 600}};
	iso_scene *scene = scene_of_courses(600);
	iso_transport *t = transport_of(scene);
	for (size_t f = 0; f < sizeof frames / sizeof *frames; f++) {
		double sum = 0;
		for (size_t o = 0; o < 3; o++) {
			const double expected = integral(o, frames[f][0], frames[f][1]);
			ISO_ASSERT_NEAR(iso_source_organ_decays(t->source, o, frames[f][0], frames[f][1]), expected,
					1e-8 * expected);
			sum += expected;
		}
		ISO_ASSERT_NEAR(iso_source_decays(t->source, frames[f][0], frames[f][1]), sum, 1e-8 * sum);
	}
	for (double f = 0; f < 1; f += 0.0625) {
		const double at = iso_source_moment_s(t->source, 30, 600, f);
		CU_ASSERT(at >= 30 && at < 600);
		ISO_ASSERT_NEAR(iso_source_decays(t->source, 30, at), f * iso_source_decays(t->source, 30, 600), 1e-3);
	}
	iso_transport_free(t);
	iso_scene_free(scene);
}

static void test_constant(void)
{
	const double centre[3] = {0, 0, 0};
	iso_scene *scene = scene_of_point(centre, 1e6, 6000);
	iso_transport *t = transport_of(scene);
	const double lambda = LN2 / f18_s();
	CU_ASSERT(!iso_source_changes(t->source));
	ISO_ASSERT_NEAR(iso_source_decays(t->source, 0, 6000), 1e6 * (1 - exp(-6000 * lambda)) / lambda, 10);
	const double half = log(2 / (1 + exp(-6000 * lambda))) / lambda; /* half of the decays are before it */
	ISO_ASSERT_NEAR(iso_source_moment_s(t->source, 0, 6000, 0.5), half, 1e-6);
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* The largest distance of the drawn moments' distribution function from the true one, times sqrt(n), exceeds 2.6 with a
 * probability of 3e-6 (Kolmogorov). */
static void test_drawn_moments(void)
{
	enum { N = 20000, BINS = 100 };
	iso_scene *scene = scene_of_courses(600);
	iso_transport *t = transport_of(scene);
	iso_random random = iso_random_begin(5, 0);
	double times[BINS] = {0}, before = 0, largest = 0;
	for (int n = 0; n < N; n++) {
		const double s = iso_source_draw_time_s(t->source, &random, 20, 520);
		CU_ASSERT_FATAL(s >= 20 && s < 520);
		times[(int)((s - 20) / 5)]++;
	}
	for (int b = 0; b < BINS; b++) {
		before += times[b];
		double expected = 0;
		for (size_t o = 0; o < 3; o++) expected += integral(o, 20, 25 + 5 * b);
		expected /= integral(0, 20, 520) + integral(1, 20, 520) + integral(2, 20, 520);
		largest = fmax(largest, fabs(before / N - expected));
	}
	CU_ASSERT(largest * sqrt(N) < 2.6);
	iso_transport_free(t);
	iso_scene_free(scene);
}

static void test_drawn_shapes(void)
{
	enum { N = 20000 };
	static const double moments[] = {0, 45, 500};
	iso_scene *scene = scene_of_courses(600);
	iso_transport *t = transport_of(scene);
	for (size_t m = 0; m < 3; m++) {
		iso_random random = iso_random_begin(6, m);
		double count[3] = {0}, all = 0;
		for (int n = 0; n < N; n++)
			count[iso_source_shape(t->source, moments[m], iso_random_uniform(&random))]++;
		for (size_t o = 0; o < 3; o++) all += activity_bq(o, moments[m]);
		for (size_t o = 0; o < 3; o++) {
			const double p = activity_bq(o, moments[m]) / all;
			ISO_ASSERT_NEAR(count[o] / N, p, 5 * sqrt(p * (1 - p) / N));
		}
	}
	iso_transport_free(t);
	iso_scene_free(scene);
}

/* Whole scans: of the lines through each ball, the share that falls into each quarter of the scan. Which ball a line comes
 * from is told by the middle of its crystals: the balls are 12 mm apart, and the rule allows lines whose ends differ by 4 mm in z. */
static void test_scan(void)
{
	iso_scene *scene = scene_of_courses(200);
	scene->injected_bq = 1e8;
	scene->detector.max_axial_difference_mm = 4;
	kept events = {.events = NULL};
	(void)simulate(scene, 2, &events);
	iso_scanner *scanner = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_scene_scanner(scene, &scanner, &err), err);
	double count[3][4] = {{0}}, all[3] = {0};
	for (size_t n = 0; n < events.count; n++) {
		const iso_event *e = &events.events[n];
		const double z = 0.5 * ((double)scanner->position_mm[3 * e->element[0] + 2] +
					(double)scanner->position_mm[3 * e->element[1] + 2]);
		const int o = z < -6 ? 0 : z < 6 ? 1 : 2;
		count[o][e->time_ms / 50000]++;
		all[o]++;
	}
	CU_ASSERT(all[0] > 3000 && all[1] > 3000 && all[2] > 3000);
	for (size_t o = 0; o < 3; o++)
		for (int q = 0; q < 4; q++) {
			const double p = integral(o, 50 * q, 50 * (q + 1)) / integral(o, 0, 200);
			ISO_ASSERT_NEAR(count[o][q] / all[o], p, 5 * sqrt(p * (1 - p) / all[o]));
		}
	iso_scanner_free(scanner);
	free(events.events);
	iso_scene_free(scene);
}

static void test_refused(void)
{
	iso_error err;
	iso_scene *scene = scene_of_courses(200);
	scene->phantom.organ[1].term[1].percent_id_per_g = -20; /* 8 - 20 x 2^(-60/60) < 0 */
	CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "organ 1") != NULL);
	scene->phantom.organ[1].term[1] = (iso_uptake_term){.percent_id_per_g = 1, .half_life_s = 0};
	CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
	iso_scene_free(scene);
}

static const iso_test tests[] = {{"activities", test_activities},
				 {"decays of frames, and moments", test_decays},
				 {"an organ that does not change", test_constant},
				 {"drawn moments", test_drawn_moments},
				 {"drawn shapes", test_drawn_shapes},
				 {"time-activity curves of a scan", test_scan},
				 {"courses that cannot be", test_refused}};
ISO_TEST_MAIN("simulate-source", tests)
