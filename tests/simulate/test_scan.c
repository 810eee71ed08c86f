/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whole scans against closed forms. Seeds are fixed; tolerances are four to five standard deviations of the counting
 * statistics, worked out where they stand. */
#include "simulate/detector.h"
#include "tests/simulate/scenes.h"

static const double centre[3] = {0, 0, 0};

/* A point at the centre: of the annihilations, the fraction of recorded pairs is (energy acceptance)^2 times the mean over
 * directions of the squared stopping probability, here integrated apart from the simulation's code. */
static void test_solid_angle(void)
{
	iso_scene *scene = scene_of_point(centre, 2e6, 2);
	const double energy = iso_detector_energy_acceptance(&scene->detector, 511);
	const iso_simulation_counts counts = simulate(scene, 2, NULL);
	const double expected = counts.positrons * energy * energy * centre_acceptance(&scene->detector, true);
	CU_ASSERT(expected > 1e5);
	ISO_ASSERT_NEAR((double)counts.trues, expected, 5 * sqrt(expected));
	/* decays: Poisson with mean A T, less 0.01 % for the decay of F-18 in 2 s; positrons 96.86 % of them */
	ISO_ASSERT_NEAR(counts.decays, 4e6 * (1 - 1e-4), 5 * sqrt(4e6));
	ISO_ASSERT_NEAR(counts.positrons / counts.decays, 0.9686, 5 * sqrt(0.9686 * 0.0314 / 4e6));
	iso_scene_free(scene);
}

/* A ball of water of 15 mm about the source. */
static void put_in_water(iso_scene *scene)
{
	iso_shape *shape = scene->phantom.shape;
	shape[1] = shape[0];
	shape[0].half_axes_mm[0] = shape[0].half_axes_mm[1] = shape[0].half_axes_mm[2] = 15;
	shape[0].organ = 1;
	scene->phantom.organ[1] =
	    (iso_phantom_organ){.name = "water", .label = 2, .density_g_per_ml = 1, .mu_per_cm = 0.096};
	scene->phantom.organs = scene->phantom.shapes = 2;
}

/* In the middle of a ball of water of 15 mm every line of response crosses 30 mm of it: exp(-0.096 * 3) of the pairs survive. The
 * source's own size (0.2 mm) changes the chords by less than 1e-4. */
static void test_attenuation(void)
{
	double trues[2];
	for (int on = 0; on < 2; on++) {
		iso_scene *scene = scene_of_point(centre, 2e6, 2);
		scene->seed += (uint64_t)on;
		scene->attenuation = on;
		put_in_water(scene);
		trues[on] = (double)simulate(scene, 2, NULL).trues;
		iso_scene_free(scene);
	}
	const double ratio = exp(-0.096 * 3);
	ISO_ASSERT_NEAR(trues[1] / trues[0], ratio, 5 * ratio * sqrt(1 / trues[0] + 1 / trues[1]) + 1e-4);
}

/* C-11 (20.361 min) over half an hour: the decay law turns event times into uniform numbers; their histogram of 20 bins
 * has chi^2 19 +- sqrt(38), here within five of these. Times never run backwards. */
static void test_decay(void)
{
	iso_scene *scene = scene_of_point(centre, 2000, 1800);
	strcpy(scene->nuclide, "C-11");
	scene->positron_range = true;
	put_in_water(scene);
	kept events = {.events = NULL};
	(void)simulate(scene, 2, &events);
	const double lambda = log(2) / (20.361 * 60), all = 1 - exp(-lambda * 1800);
	double bins[20] = {0}, chi2 = 0;
	uint32_t last = 0;
	for (size_t n = 0; n < events.count; n++) {
		CU_ASSERT(events.events[n].time_ms >= last && events.events[n].time_ms < 1800000);
		last = events.events[n].time_ms;
		const double f = (1 - exp(-lambda * 1e-3 * (last + 0.5))) / all;
		bins[(int)(20 * f)]++;
	}
	CU_ASSERT_FATAL(events.count > 50000);
	const double expected = (double)events.count / 20;
	for (int b = 0; b < 20; b++) chi2 += (bins[b] - expected) * (bins[b] - expected) / expected;
	ISO_ASSERT_NEAR(chi2, 19, 5 * sqrt(38));
	free(events.events);
	iso_scene_free(scene);
}

/* Singles of a point at the centre: S = 2 A b (energy acceptance)(mean stopping probability). Accidental pairs: tau S^2
 * per second, 2 tau = 4 ns; the share of pairs in one crystal is some 1e-4. Delayeds follow the same law and are
 * independent. The rate of singles is itself measured to 0.1 % (its pilot's 262,144 weights spread by some half of their
 * mean, S enters squared). */
static void test_randoms(void)
{
	iso_scene *scene = scene_of_point(centre, 1e9, 5e-4);
	scene->randoms = true;
	const double energy = iso_detector_energy_acceptance(&scene->detector, 511);
	kept events = {.events = NULL};
	const iso_simulation_counts counts = simulate(scene, 2, &events);
	const double singles = 2 * 1e9 * 0.9686 * energy * centre_acceptance(&scene->detector, false);
	const double expected = 2e-9 * singles * singles * 5e-4;
	CU_ASSERT(expected > 50000);
	const double tolerance = 5 * (sqrt(expected) + 1e-3 * expected);
	ISO_ASSERT_NEAR((double)counts.randoms, expected, tolerance);
	ISO_ASSERT_NEAR((double)counts.delayeds, expected, tolerance);
	ISO_ASSERT_NEAR((double)counts.delayeds, (double)counts.randoms, 5 * sqrt(2 * expected));
	uint64_t delayeds = 0;
	for (size_t n = 0; n < events.count; n++) delayeds += events.events[n].kind == ISO_EVENT_DELAYED;
	CU_ASSERT_EQUAL(delayeds, counts.delayeds);
	CU_ASSERT_EQUAL(events.count, counts.trues + counts.randoms + counts.delayeds);
	free(events.events);
	iso_scene_free(scene);
}

/* All effects, a tight pair rule: the same events whatever the number of threads, and every pair is one that the rule
 * allows. */
static void test_threads(void)
{
	const double point[3] = {5, -3, 4};
	kept events[3] = {{.events = NULL}};
	iso_error err;
	for (int run = 0; run < 3; run++) {
		iso_scene *scene = scene_of_point(point, 2e8, 5e-3);
		scene->positron_range = scene->acollinearity = scene->attenuation = scene->randoms = true;
		put_in_water(scene);
		scene->detector.max_transaxial_offset_mm = 12;
		scene->detector.max_axial_difference_mm = 20;
		(void)simulate(scene, run + 1, &events[run]);
		iso_scanner *scanner = NULL;
		ISO_ASSERT_OK(iso_scene_scanner(scene, &scanner, &err), err);
		size_t forbidden = 0;
		for (size_t n = 0; n < events[run].count; n++)
			forbidden += !iso_scanner_pair_allowed(scanner, events[run].events[n].element[0],
							       events[run].events[n].element[1]);
		CU_ASSERT_EQUAL(forbidden, 0);
		iso_scanner_free(scanner);
		iso_scene_free(scene);
	}
	CU_ASSERT_FATAL(events[0].count > 10000);
	for (int run = 1; run < 3; run++) {
		CU_ASSERT_EQUAL_FATAL(events[run].count, events[0].count);
		CU_ASSERT_EQUAL(
		    memcmp(events[run].events, events[0].events, events[0].count * sizeof *events[0].events), 0);
	}
	for (int run = 0; run < 3; run++) free(events[run].events);
}

/* The point nearest to all lines of response is the source: nothing is shifted by half a crystal. Each line misses it by
 * about half a crystal (0.8 mm), so that 50,000 of them fix it to 0.01 mm; 0.05 mm leaves room for the bias of depth in
 * slanting crystals and is a thirtieth of a crystal. With TOF, bins must say which end is nearer: the measured time
 * differences, regressed on those that the source's position implies, have slope 1. Expected differences have an rms of
 * some 35 ps against 127 ps of noise: slope +- 127/(35 sqrt(50000)) = 0.016. */
static void test_source_position(void)
{
	const double point[3] = {7, -4, 5};
	iso_scene *scene = scene_of_point(point, 1e6, 1);
	scene->detector.time_resolution_ps = 300;
	scene->detector.tof_bin_ps = 25;
	scene->detector.rings.first_angle_rad = 0.1;
	kept events = {.events = NULL};
	(void)simulate(scene, 2, &events);
	iso_error err;
	iso_scanner *scanner = NULL;
	ISO_ASSERT_OK(iso_scene_scanner(scene, &scanner, &err), err);
	CU_ASSERT_EQUAL(scanner->tof.bins % 2, 1);
	double a[3][3] = {{0}}, b[3] = {0}, products = 0, squares = 0, first_is_left = 0;
	for (size_t n = 0; n < events.count; n++) {
		double p[2][3], u[3], d[2], length = 0;
		for (int e = 0; e < 2; e++) {
			d[e] = 0;
			for (int i = 0; i < 3; i++) {
				p[e][i] =
				    (double)scanner->position_mm[3 * (size_t)events.events[n].element[e] + (size_t)i];
				d[e] += (p[e][i] - point[i]) * (p[e][i] - point[i]);
			}
		}
		for (int i = 0; i < 3; i++) length += (p[1][i] - p[0][i]) * (p[1][i] - p[0][i]);
		for (int i = 0; i < 3; i++) u[i] = (p[1][i] - p[0][i]) / sqrt(length);
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < 3; j++) {
				a[i][j] += (i == j) - u[i] * u[j];
				b[i] += ((i == j) - u[i] * u[j]) * p[0][j];
			}
		const double expected = (sqrt(d[0]) - sqrt(d[1])) / 0.299792458;
		products += expected * 25 * events.events[n].tof_bin;
		squares += expected * expected;
		first_is_left += p[0][0] > p[1][0];
	}
	const double count = (double)events.count;
	CU_ASSERT_FATAL(count > 50000);
	ISO_ASSERT_NEAR(products / squares, 1, 0.08);
	ISO_ASSERT_NEAR(first_is_left / count, 0.5, 5 * 0.5 / sqrt(count));
	/* Cramer's rule */
	const double det = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
			   a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
			   a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
	for (int k = 0; k < 3; k++) {
		double m[3][3];
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < 3; j++) m[i][j] = j == k ? b[i] : a[i][j];
		const double top = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
				   m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
				   m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
		ISO_ASSERT_NEAR(top / det, point[k], 0.05);
	}
	iso_scanner_free(scanner);
	free(events.events);
	iso_scene_free(scene);
}

static void test_scaling(void)
{
	double trues[2];
	for (int i = 0; i < 2; i++) {
		iso_scene *scene = scene_of_point(centre, i ? 2e6 : 1e6, 1);
		scene->seed += (uint64_t)i;
		trues[i] = (double)simulate(scene, 2, NULL).trues;
		iso_scene_free(scene);
	}
	ISO_ASSERT_NEAR(trues[1] / trues[0], 2, 5 * 2 * sqrt(1 / trues[0] + 1 / trues[1]));
}

/* Pairs that are too steep for the rule are not even followed. That must not change how many of the others there are: as
 * many as a scan without the rule has of that kind. */
static void test_axial_rule(void)
{
	const double point[3] = {9, -6, 7};
	double allowed[2] = {0, 0};
	iso_error err;
	for (int ruled = 0; ruled < 2; ruled++) {
		iso_scene *scene = scene_of_point(point, 2e6, 1);
		scene->seed += (uint64_t)ruled;
		scene->acollinearity = true;
		if (ruled) scene->detector.max_axial_difference_mm = 16;
		kept events = {.events = NULL};
		(void)simulate(scene, 2, &events);
		iso_scanner *scanner = NULL;
		ISO_ASSERT_OK(iso_scene_scanner(scene, &scanner, &err), err);
		scanner->rule.max_axial_difference_mm = 16;
		for (size_t n = 0; n < events.count; n++)
			allowed[ruled] +=
			    iso_scanner_pair_allowed(scanner, events.events[n].element[0], events.events[n].element[1]);
		iso_scanner_free(scanner);
		free(events.events);
		iso_scene_free(scene);
	}
	CU_ASSERT(allowed[0] > 20000);
	ISO_ASSERT_NEAR(allowed[1], allowed[0], 5 * sqrt(allowed[0] + allowed[1]));
}

static iso_status full(void *self, const iso_event *events, const iso_event_truth *truth, size_t count, iso_error *err)
{
	(void)self, (void)events, (void)truth, (void)count;
	if (err) *err = (iso_error){.status = ISO_IO, .message = "disk full"};
	return ISO_IO;
}

static void test_failures(void)
{
	iso_error err = {.status = ISO_OK};
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	const iso_event_sink sink = {.write = full};
	CU_ASSERT_EQUAL(iso_simulate(scene, &sink, 1, NULL, NULL, &err), ISO_BAD_USAGE); /* not prepared */
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	CU_ASSERT_EQUAL(iso_simulate(scene, &sink, 1, NULL, NULL, &err), ISO_IO);
	CU_ASSERT_STRING_EQUAL(err.message, "disk full");
	strcpy(scene->nuclide, "Tc-99m");
	CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "no positrons") != NULL);
	iso_scene_free(scene);
}

static const iso_test tests[] = {{"solid angle and stopping", test_solid_angle},
				 {"attenuation in a ball of water", test_attenuation},
				 {"event times follow the decay law", test_decay},
				 {"number of randoms and delayeds", test_randoms},
				 {"the same events for any number of threads", test_threads},
				 {"lines meet in the source, TOF tells the nearer end", test_source_position},
				 {"counts scale with the activity", test_scaling},
				 {"the axial rule loses none that it allows", test_axial_rule},
				 {"failures are passed on", test_failures}};
ISO_TEST_MAIN("simulate-scan", tests)
