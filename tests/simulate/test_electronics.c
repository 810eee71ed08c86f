/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The electronics: against singles made by hand, against the laws of dead time and of random coincidences, and in whole
 * scans. Seeds are fixed; tolerances are five standard deviations of the counting statistics, worked out where they stand. */
#include "core/random.h"
#include "isotrace/singles.h"
#include "simulate/electronics.h"
#include "tests/simulate/scenes.h"

static const double centre[3] = {0, 0, 0};

typedef struct recorded {
	iso_event *event;
	iso_event_truth *truth;
	size_t count, room;
	iso_singles *singles;
	float *efficiency;
	uint32_t elements;
} recorded;

static iso_status record_events(void *self, const iso_event *events, const iso_event_truth *truth, size_t count,
				iso_error *err)
{
	(void)err;
	recorded *r = self;
	if (r->count + count > r->room) {
		r->room = 2 * (r->count + count);
		r->event = realloc(r->event, r->room * sizeof *events);
		r->truth = realloc(r->truth, r->room * sizeof *truth);
	}
	memcpy(r->event + r->count, events, count * sizeof *events);
	memcpy(r->truth + r->count, truth, count * sizeof *truth);
	r->count += count;
	return ISO_OK;
}

static iso_status record_singles(void *self, const iso_singles *singles, iso_error *err)
{
	return iso_singles_copy(singles, &((recorded *)self)->singles, err);
}

static iso_status record_efficiencies(void *self, const float *efficiency, iso_error *err)
{
	(void)err;
	recorded *r = self;
	r->efficiency = malloc(r->elements * sizeof *efficiency);
	memcpy(r->efficiency, efficiency, r->elements * sizeof *efficiency);
	return ISO_OK;
}

static iso_event_sink sink_of(recorded *r)
{
	return (iso_event_sink){
	    .write = record_events, .singles = record_singles, .efficiencies = record_efficiencies, .self = r};
}

static void forget(recorded *r)
{
	free(r->event);
	free(r->truth);
	iso_singles_free(r->singles);
	free(r->efficiency);
	*r = (recorded){.count = 0};
}

/* A scene with electronics that lose nothing. 40 rings of 160 crystals in blocks of 8 x 8. */
static iso_scene *scene_with_electronics(double activity_bq, double duration_s)
{
	iso_scene *scene = scene_of_point(centre, activity_bq, duration_s);
	scene->randoms = true;
	scene->electronics = (iso_simulated_electronics){.on = true, .delayed_offset_ns = 500};
	scene->detector.block_crystals[0] = scene->detector.block_crystals[1] = 8;
	return scene;
}

static iso_simulation_counts scan(iso_scene *scene, int threads, recorded *r)
{
	iso_error err = {.status = ISO_OK};
	iso_simulation_counts counts = {0};
	r->elements = scene->detector.rings.rings * scene->detector.rings.crystals_per_ring;
	const iso_event_sink sink = sink_of(r);
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	ISO_ASSERT_OK(iso_simulate(scene, &sink, threads, NULL, &counts, &err), err);
	return counts;
}

/* Pushes the photons in portions of so many; each portion ends at the time of the photon that follows. */
static iso_simulation_counts push(iso_scene *scene, const iso_single *photons, size_t count, size_t portion,
				  recorded *r)
{
	iso_error err;
	iso_scanner *scanner = NULL;
	iso_electronics *electronics = NULL;
	iso_simulation_counts counts = {0};
	const iso_event_sink sink = sink_of(r);
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	ISO_ASSERT_OK(iso_scene_scanner(scene, &scanner, &err), err);
	r->elements = scanner->elements;
	ISO_ASSERT_OK(iso_electronics_create(scene, scanner, &sink, &electronics, &err), err);
	for (size_t done = 0; done < count; done += portion) {
		const size_t n = count - done < portion ? count - done : portion;
		const double complete_s = done + n < count ? photons[done + n].time_s : (double)INFINITY;
		ISO_ASSERT_OK(iso_electronics_push(electronics, photons + done, n, complete_s, &err), err);
	}
	ISO_ASSERT_OK(iso_electronics_finish(electronics, &counts, &err), err);
	CU_ASSERT_EQUAL(counts.photons, counts.lost_dead_time + counts.piled_up + counts.lost_efficiency +
					    counts.outside_window + counts.singles);
	iso_electronics_free(electronics);
	iso_scanner_free(scanner);
	return counts;
}

/* Opposite crystals of the middle: 20 * 160 + angle. */
enum { HERE = 20 * 160, THERE = HERE + 80, BESIDE = HERE + 60 };

/* tau is 2 ns, the delayed window is 500 ns later. Times in ns after 1 ms. */
static iso_single photon(double time_ns, uint64_t decay, uint32_t crystal, float energy_kev)
{
	return (iso_single){
	    .time_s = 1e-3 + 1e-9 * time_ns, .decay = decay, .crystal = crystal, .energy_kev = energy_kev};
}

typedef struct expectation {
	uint64_t trues, randoms, delayeds;
} expectation;

/* By hand, for each rule:
 *   0 ns: a pair; 20: three, of which two are a pair; 40: two 3 ns apart; 1000 + 60: alone; 1000 + 561: alone, 501 ns later: a delayed coincidence of
 *   two that are alone; 3000: a pair, and at 3500.5 one of another: delayed with company. */
static void test_multiples(void)
{
	const iso_single photons[] = {
	    photon(0, 1, HERE, 500),       photon(0.5, 1, THERE, 520), /* true */
	    photon(20, 2, HERE, 400),      photon(20.5, 2, THERE, 510),
	    photon(21, 3, BESIDE, 505), /* with both of decay 2; the largest are 510 and 505 */
	    photon(40, 4, HERE, 511),      photon(43, 4, THERE, 511),     /* too far apart */
	    photon(1060, 5, HERE, 511),    photon(1561, 6, THERE, 511),   /* delayed */
	    photon(3000, 7, HERE, 511),    photon(3000.1, 7, THERE, 400), /* true */
	    photon(3500.5, 8, BESIDE, 450) /* delayed with both of decay 7; with its largest only where 400 < 450 */
	};
	static const expectation expected[] = {[ISO_MULTIPLES_ALL_PAIRS] = {3, 2, 3},
					       [ISO_MULTIPLES_REJECT] = {2, 0, 1},
					       [ISO_MULTIPLES_LARGEST] = {2, 1, 2}};
	const size_t count = sizeof photons / sizeof *photons;
	for (int rule = ISO_MULTIPLES_ALL_PAIRS; rule <= ISO_MULTIPLES_LARGEST; rule++)
		for (size_t portion = 1; portion <= count; portion++) {
			recorded r = {.count = 0};
			iso_scene *scene = scene_with_electronics(1e6, 1);
			scene->electronics.multiples = (iso_multiples)rule;
			const iso_simulation_counts counts = push(scene, photons, count, portion, &r);
			CU_ASSERT_EQUAL(counts.trues, expected[rule].trues);
			CU_ASSERT_EQUAL(counts.randoms, expected[rule].randoms);
			CU_ASSERT_EQUAL(counts.delayeds, expected[rule].delayeds);
			CU_ASSERT_EQUAL(counts.multiples, 1); /* the window that the first of decay 2 opens */
			CU_ASSERT_EQUAL(r.count, iso_simulation_prompts(&counts) + counts.delayeds);
			CU_ASSERT_EQUAL(counts.singles, count);
			forget(&r);
			iso_scene_free(scene);
		}
}

/* Fates and TOF bins of pairs made by hand. Bins of 100 ps: t0 - t1 = -350 ps when the earlier one is element 0. */
static void test_truth(void)
{
	iso_single photons[10];
	static const iso_single_origin origin[5][2] = {{ISO_SINGLE_ANNIHILATION, ISO_SINGLE_ANNIHILATION},
						       {ISO_SINGLE_ANNIHILATION, ISO_SINGLE_ANNIHILATION},
						       {ISO_SINGLE_BACKGROUND, ISO_SINGLE_ANNIHILATION},
						       {ISO_SINGLE_PROMPT_GAMMA, ISO_SINGLE_ANNIHILATION},
						       {ISO_SINGLE_BACKGROUND, ISO_SINGLE_BACKGROUND}};
	for (unsigned n = 0; n < 10; n++) {
		photons[n] = photon(5000 * (n / 2) + 0.35 * (n % 2), n / 2, n % 2 ? THERE : HERE, 511);
		photons[n].origin = (uint8_t)origin[n / 2][n % 2];
	}
	photons[2].scatters = 3;
	photons[3].scatters = 2;
	photons[5].decay = 77; /* another decay: random, whatever they are */
	recorded r = {.count = 0};
	iso_scene *scene = scene_with_electronics(1e6, 1);
	scene->detector.time_resolution_ps = 300;
	scene->detector.tof_bin_ps = 100;
	(void)push(scene, photons, 10, 10, &r);
	CU_ASSERT_EQUAL_FATAL(r.count, 5);
	static const iso_event_fate fates[] = {ISO_EVENT_TRUE, ISO_EVENT_SCATTERED, ISO_EVENT_RANDOM,
					       ISO_EVENT_PROMPT_GAMMA, ISO_EVENT_BACKGROUND};
	for (int n = 0; n < 5; n++) {
		CU_ASSERT_EQUAL(r.truth[n].fate, fates[n]);
		CU_ASSERT_EQUAL(r.truth[n].scatters, n == 1 ? 5 : 0);
		CU_ASSERT_EQUAL(r.event[n].kind, ISO_EVENT_PROMPT);
		CU_ASSERT_EQUAL(r.event[n].time_ms, 1);
		CU_ASSERT_EQUAL(r.event[n].element[0] + r.event[n].element[1], HERE + THERE);
		/* -3.5 and +3.5 are bins' borders, and the times are not exact */
		const int bin = r.event[n].element[0] == HERE ? -r.event[n].tof_bin : r.event[n].tof_bin;
		CU_ASSERT(bin == 3 || bin == 4);
	}
	/* randoms switched off: the scan has none, and no delayed ones */
	forget(&r);
	scene->randoms = false;
	(void)push(scene, photons, 10, 10, &r);
	CU_ASSERT_EQUAL(r.count, 4);
	forget(&r);
	iso_scene_free(scene);
}

/* Photons of one block as a Poisson process of n per second. */
static iso_single *poisson(size_t count, double per_s, uint64_t seed)
{
	iso_single *photons = calloc(count, sizeof *photons);
	iso_random random = iso_random_begin(seed, 0);
	double time_s = 0;
	for (size_t n = 0; n < count; n++) {
		time_s += iso_random_exponential(&random) / per_s;
		photons[n] = (iso_single){.time_s = time_s, .decay = n, .crystal = HERE, .energy_kev = 500};
	}
	return photons;
}

/* Of n photons per second a block takes n exp(-n D) (each photon extends the dead time) or n / (1 + n D) (only those that are
 * taken start one). n D = 0.6. Numbers taken: paralyzable, var = m (1 - 2 n D exp(-n D)) < m; renewal process of the other,
 * var = m / (1 + n D)^2 < m. Integration for 50 ns adds to each taken photon n P others on average (those that come while it integrates;
 * whether they are counted as lost or added does not change how many are taken). */
static void test_dead_time_laws(void)
{
	enum { PHOTONS = 400000 };
	const double rate = 3e6, dead_s = 200e-9, integration_s = 50e-9;
	iso_single *photons = poisson(PHOTONS, rate, 5);
	for (int paralyzable = 0; paralyzable < 2; paralyzable++)
		for (int piles = 0; piles < 2; piles++) {
			recorded r = {.count = 0};
			iso_scene *scene = scene_with_electronics(1e6, 1);
			scene->detector.energy_window_kev[1] = 1e9; /* sums stay inside */
			scene->electronics.dead_time =
			    paralyzable ? ISO_DEAD_TIME_PARALYZABLE : ISO_DEAD_TIME_NON_PARALYZABLE;
			scene->electronics.dead_time_ns = 1e9 * dead_s;
			scene->electronics.pile_up_ns = piles ? 1e9 * integration_s : 0;
			const iso_simulation_counts counts = push(scene, photons, PHOTONS, 9973, &r);
			const double busy = rate * dead_s;
			const double expected = PHOTONS * (paralyzable ? exp(-busy) : 1 / (1 + busy));
			ISO_ASSERT_NEAR((double)counts.singles, expected, 5 * sqrt(expected));
			/* Poisson given the number taken, which is itself uncertain by 1/sqrt(m) */
			const double added = piles ? expected * rate * integration_s : 0;
			ISO_ASSERT_NEAR((double)counts.piled_up, added, 5 * sqrt(added) + added * 5 / sqrt(expected));
			CU_ASSERT_EQUAL(iso_singles_total(r.singles), counts.singles);
			forget(&r);
			iso_scene_free(scene);
		}
	free(photons);
}

/* Two photons of one block, 30 ns apart, integrate to one of their sum at the place of the larger and the time of the
 * first; a third after the dead time stands alone; one in another block is not touched. The sum falls out of the window. */
static void test_pile_up(void)
{
	const iso_single photons[] = {
	    photon(0, 1, HERE, 250),      photon(0.4, 1, THERE, 511),
	    photon(30, 2, HERE + 1, 300), photon(80, 3, HERE, 511), /* lost: 100 ns after the first */
	    photon(150, 4, HERE, 511),    photon(150.4, 4, THERE, 511)};
	recorded r = {.count = 0};
	iso_scene *scene = scene_with_electronics(1e6, 1);
	scene->electronics.dead_time = ISO_DEAD_TIME_NON_PARALYZABLE;
	scene->electronics.dead_time_ns = 100;
	scene->electronics.pile_up_ns = 50;
	iso_simulation_counts counts = push(scene, photons, 6, 1, &r);
	CU_ASSERT_EQUAL(counts.piled_up, 1);
	CU_ASSERT_EQUAL(counts.lost_dead_time, 1);
	CU_ASSERT_EQUAL(counts.singles, 4);
	/* the sum carries decay 2: its coincidence with the partner of decay 1 is of two decays */
	CU_ASSERT_EQUAL_FATAL(r.count, 2);
	CU_ASSERT_EQUAL(r.truth[0].fate, ISO_EVENT_RANDOM);
	CU_ASSERT(r.event[0].element[0] == HERE + 1 || r.event[0].element[1] == HERE + 1);
	CU_ASSERT_EQUAL(r.truth[1].fate, ISO_EVENT_TRUE);
	forget(&r);
	scene->detector.energy_window_kev[1] = 540; /* 250 + 300 is too much */
	counts = push(scene, photons, 6, 2, &r);
	CU_ASSERT_EQUAL(counts.outside_window, 1);
	CU_ASSERT_EQUAL(r.count, 1);
	forget(&r);
	iso_scene_free(scene);
}

/* A long sequence with everything on makes the same events however it is cut. Photons that come out of order across a
 * cut are put right. */
static void test_borders(void)
{
	enum { PHOTONS = 60000 };
	iso_single *photons = poisson(PHOTONS, 4e7, 9);
	iso_random random = iso_random_begin(11, 3);
	for (size_t n = 0; n < PHOTONS; n++) {
		photons[n].crystal = iso_random_u32(&random) % 6400;
		photons[n].decay = n / 2;
		photons[n].energy_kev = (float)(250 + 400 * iso_random_uniform(&random));
	}
	for (int rule = ISO_MULTIPLES_ALL_PAIRS; rule <= ISO_MULTIPLES_LARGEST; rule++) {
		recorded whole = {.count = 0}, cut = {.count = 0};
		static const size_t portions[] = {1, 7, 1000};
		iso_scene *scene = scene_with_electronics(1e6, 1);
		scene->electronics.multiples = (iso_multiples)rule;
		scene->electronics.dead_time = ISO_DEAD_TIME_PARALYZABLE;
		scene->electronics.dead_time_ns = 150;
		scene->electronics.pile_up_ns = 40;
		scene->electronics.efficiency_spread = 0.1;
		(void)push(scene, photons, PHOTONS, PHOTONS, &whole);
		CU_ASSERT(whole.count > 500);
		for (size_t p = 0; p < 3; p++) {
			(void)push(scene, photons, PHOTONS, portions[p], &cut);
			CU_ASSERT_EQUAL_FATAL(cut.count, whole.count);
			CU_ASSERT_EQUAL(memcmp(cut.event, whole.event, whole.count * sizeof *whole.event), 0);
			CU_ASSERT_EQUAL(memcmp(cut.truth, whole.truth, whole.count * sizeof *whole.truth), 0);
			forget(&cut);
		}
		forget(&whole);
		iso_scene_free(scene);
	}
	free(photons);
}

/* All pairs within the windows: of S singles per second, tau S^2 pairs per second are of different decays, less those in one crystal,
 * tau sum of S_i^2: together 2 tau S_i S_j for each pair of crystals; delayeds likewise in the time that their window can see. Decays
 * that leave two singles make pairs in bunches: with T pairs of one decay in N singles a bunch has (1 + 2 T / N)^2 pairs in its
 * mean square over its mean, and the variance is larger by that. */
static void test_randoms(void)
{
	recorded r = {.count = 0};
	iso_scene *scene = scene_with_electronics(1e9, 5e-4);
	const iso_simulation_counts counts = scan(scene, 2, &r);
	const double singles = (double)counts.singles, trues = (double)(counts.trues + counts.scattered);
	double squares = 0;
	for (uint32_t g = 0; g < r.singles->groups; g++) {
		const double n = (double)r.singles->counts[g];
		squares += n * n - n; /* without the single itself */
	}
	CU_ASSERT_EQUAL(iso_singles_total(r.singles), counts.singles);
	const double expected = 2e-9 / 5e-4 * (singles * (singles - 1) - 2 * trues - squares);
	const double tolerance = 5 * (1 + 2 * trues / singles) * sqrt(expected);
	CU_ASSERT(expected > 20000);
	ISO_ASSERT_NEAR((double)counts.randoms, expected, tolerance);
	ISO_ASSERT_NEAR((double)counts.delayeds, expected * (1 - 500e-9 / 5e-4), tolerance);
	/* every event's fate, and their sum */
	uint64_t fates[ISO_EVENT_FATES] = {0}, delayeds = 0;
	for (size_t n = 0; n < r.count; n++) {
		if (r.event[n].kind == ISO_EVENT_DELAYED) {
			delayeds++;
			CU_ASSERT_EQUAL(r.truth[n].fate, ISO_EVENT_RANDOM);
		} else
			fates[r.truth[n].fate]++;
	}
	CU_ASSERT_EQUAL(delayeds, counts.delayeds);
	CU_ASSERT_EQUAL(fates[ISO_EVENT_TRUE], counts.trues);
	CU_ASSERT_EQUAL(fates[ISO_EVENT_RANDOM], counts.randoms);
	CU_ASSERT_EQUAL(fates[ISO_EVENT_SCATTERED] + fates[ISO_EVENT_PROMPT_GAMMA] + fates[ISO_EVENT_BACKGROUND], 0);
	CU_ASSERT_EQUAL(r.count - delayeds, iso_simulation_prompts(&counts));
	forget(&r);
	iso_scene_free(scene);
}

/* Where nothing is lost, a scan with electronics records as many trues as one without. */
static void test_against_fast(void)
{
	double trues[2];
	for (int on = 0; on < 2; on++) {
		recorded r = {.count = 0};
		iso_scene *scene = scene_with_electronics(2e5, 2);
		scene->electronics.on = on;
		scene->randoms = false;
		scene->seed += (uint64_t)on;
		/* each crystal by itself: else the Compton deposits of both photons of a decay could share a block */
		scene->detector.block_crystals[0] = scene->detector.block_crystals[1] = 0;
		const iso_simulation_counts counts = scan(scene, 2, &r);
		trues[on] = (double)counts.trues;
		ISO_ASSERT_NEAR(counts.positrons / counts.decays, 0.9686, 5 * sqrt(0.9686 * 0.0314 / 4e5));
		ISO_ASSERT_NEAR(counts.decays, 4e5 * (1 - 1e-4), 5 * sqrt(4e5));
		forget(&r);
		iso_scene_free(scene);
	}
	CU_ASSERT(trues[0] > 10000);
	ISO_ASSERT_NEAR(trues[1], trues[0], 5 * sqrt(trues[0] + trues[1]));
}

/* C-11 (20.361 min) over half an hour: the counts of singles in 20 intervals of 90 s follow the decay law. Decays leave one or two
 * singles, which widens the counts' variance by 1 + 2 T / N; chi^2 of 20 then has mean 19 and deviation sqrt(38) times that. */
static void test_decay(void)
{
	recorded r = {.count = 0};
	iso_scene *scene = scene_with_electronics(300, 1800);
	strcpy(scene->nuclide, "C-11");
	scene->electronics.singles_interval_s = 90;
	const iso_simulation_counts counts = scan(scene, 2, &r);
	CU_ASSERT_EQUAL_FATAL(r.singles->intervals, 20);
	const double lambda = log(2) / (20.361 * 60), all = 1 - exp(-lambda * 1800);
	double chi2 = 0;
	for (uint32_t n = 0; n < 20; n++) {
		double counted = 0;
		for (uint32_t g = 0; g < r.singles->groups; g++)
			counted += r.singles->counts[n * r.singles->groups + g];
		const double expected =
		    (double)counts.singles * (exp(-lambda * 90 * n) - exp(-lambda * 90 * (n + 1))) / all;
		chi2 += (counted - expected) * (counted - expected) / expected;
	}
	CU_ASSERT(counts.singles > 50000);
	const double wider = 1 + 2 * (double)counts.trues / (double)counts.singles;
	ISO_ASSERT_NEAR(chi2 / wider, 19, 5 * sqrt(38));
	for (size_t n = 1; n < r.count; n++) CU_ASSERT_FATAL(r.event[n].time_ms >= r.event[n - 1].time_ms);
	forget(&r);
	iso_scene_free(scene);
}

/* Crystals of one ring are alike for a point at the centre, so that counts over the ring's mean follow the efficiencies: slope 1, up to
 * (counts' relative noise) / (spread x sqrt(crystals)). The efficiencies have mean 1 and the spread asked for, to 5 standard errors. */
static void test_efficiencies(void)
{
	for (int log_normal = 0; log_normal < 2; log_normal++) {
		recorded r = {.count = 0};
		iso_scene *scene = scene_with_electronics(3e5, 2);
		scene->electronics.efficiency_spread = 0.15;
		scene->electronics.log_normal = log_normal;
		const iso_simulation_counts counts = scan(scene, 2, &r);
		CU_ASSERT_PTR_NOT_NULL_FATAL(r.efficiency);
		double sum = 0, squares = 0, products = 0, spread = 0;
		for (uint32_t ring = 0; ring < 40; ring++) {
			double counted = 0, mean = 0;
			for (uint32_t c = 0; c < 160; c++) {
				counted += r.singles->counts[ring * 160 + c];
				mean += (double)r.efficiency[ring * 160 + c] / 160;
			}
			for (uint32_t c = 0; c < 160; c++) {
				const double e = (double)r.efficiency[ring * 160 + c];
				const double ratio = r.singles->counts[ring * 160 + c] / (counted / 160) * mean;
				products += (ratio - mean) * (e - mean);
				spread += (e - mean) * (e - mean);
				sum += e;
				squares += (e - 1) * (e - 1);
			}
		}
		ISO_ASSERT_NEAR(sum / 6400, 1, 5 * 0.15 / sqrt(6400));
		/* the log-normal's tails widen the error of its deviation a little */
		ISO_ASSERT_NEAR(sqrt(squares / 6400), 0.15, 7 * 0.15 / sqrt(2 * 6400));
		const double per_crystal = (double)counts.singles / 6400;
		CU_ASSERT(per_crystal > 10);
		ISO_ASSERT_NEAR(products / spread, 1, 5 / sqrt(per_crystal) / (0.15 * sqrt(6400)) * 1.3);
		/* the list-mode's scanner does not know them */
		iso_scanner *scanner = NULL;
		iso_error err;
		ISO_ASSERT_OK(iso_scene_scanner(scene, &scanner, &err), err);
		for (uint32_t e = 0; e < scanner->elements; e++) CU_ASSERT_FATAL(scanner->efficiency[e] == 1.0f);
		iso_scanner_free(scanner);
		forget(&r);
		iso_scene_free(scene);
	}
}

/* Everything on, LSO with its own activity: the same events, truth and singles for 1, 2 and 3 threads. */
static void test_threads(void)
{
	recorded r[3] = {{.count = 0}};
	for (int n = 0; n < 3; n++) {
		iso_scene *scene = scene_with_electronics(5e7, 2e-3);
		scene->positron_range = scene->acollinearity = scene->attenuation = true;
		scene->scatter = scene->lutetium_background = true;
		strcpy(scene->detector.crystal_material, "LSO");
		scene->detector.rings.attenuation_per_mm = (double)NAN;
		scene->electronics.dead_time = ISO_DEAD_TIME_NON_PARALYZABLE;
		scene->electronics.dead_time_ns = 300;
		scene->electronics.pile_up_ns = 60;
		scene->electronics.trigger_kev = 150;
		scene->electronics.efficiency_spread = 0.1;
		const iso_simulation_counts counts = scan(scene, n + 1, &r[n]);
		CU_ASSERT(counts.lost_dead_time > 0 && counts.piled_up > 0 && counts.outside_window > 0);
		iso_scene_free(scene);
	}
	CU_ASSERT_FATAL(r[0].count > 1000);
	for (int n = 1; n < 3; n++) {
		CU_ASSERT_EQUAL_FATAL(r[n].count, r[0].count);
		CU_ASSERT_EQUAL(memcmp(r[n].event, r[0].event, r[0].count * sizeof *r[0].event), 0);
		CU_ASSERT_EQUAL(memcmp(r[n].truth, r[0].truth, r[0].count * sizeof *r[0].truth), 0);
		CU_ASSERT_EQUAL(memcmp(r[n].singles->counts, r[0].singles->counts,
				       r[0].singles->groups * sizeof *r[0].singles->counts),
				0);
	}
	for (int n = 0; n < 3; n++) forget(&r[n]);
}

static iso_status full(void *self, const iso_event *events, const iso_event_truth *truth, size_t count, iso_error *err)
{
	(void)self, (void)events, (void)truth, (void)count;
	if (err) *err = (iso_error){.status = ISO_IO, .message = "disk full"};
	return ISO_IO;
}

static int stop(void *user, const char *what, double fraction)
{
	(void)what;
	CU_ASSERT(fraction > 0 && fraction <= 1);
	return ++*(int *)user == 2;
}

static void test_failures(void)
{
	iso_error err = {.status = ISO_OK};
	int reports = 0;
	recorded r = {.elements = 6400};
	iso_scene *scene = scene_with_electronics(1e6, 0.2);
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	const iso_event_sink broken = {.write = full}, sink = sink_of(&r);
	CU_ASSERT_EQUAL(iso_simulate(scene, &broken, 2, NULL, NULL, &err), ISO_IO);
	CU_ASSERT_STRING_EQUAL(err.message, "disk full");
	const iso_progress progress = {.report = stop, .user = &reports};
	CU_ASSERT_EQUAL(iso_simulate(scene, &sink, 2, &progress, NULL, &err), ISO_CANCELLED);
	CU_ASSERT_EQUAL(reports, 2);
	forget(&r);
	iso_simulated_electronics wrong[7];
	for (int n = 0; n < 7; n++) wrong[n] = scene->electronics;
	wrong[0].dead_time_ns = 100;                    /* and no model */
	wrong[1].dead_time = ISO_DEAD_TIME_PARALYZABLE; /* and no time */
	wrong[2].delayed_offset_ns = 8;                 /* two windows of 4 ns */
	wrong[3].pile_up_ns = -1;
	wrong[4].efficiency_spread = 0.6;
	wrong[5].trigger_kev = 351;
	wrong[6].singles_interval_s = -1;
	for (int n = 0; n < 7; n++) {
		scene->electronics = wrong[n];
		CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
		CU_ASSERT(err.remedy[0]);
	}
	iso_scene_free(scene);
	scene = scene_with_electronics(1e6, 0.2);
	scene->electronics.on = false; /* with crystals of a material */
	strcpy(scene->detector.crystal_material, "LSO");
	scene->detector.rings.attenuation_per_mm = (double)NAN;
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	CU_ASSERT_EQUAL(iso_simulate(scene, &sink, 2, NULL, NULL, &err), ISO_BAD_INPUT);
	iso_scene_free(scene);
	scene = scene_with_electronics(1e6, 0.2);
	scene->detector.block_crystals[0] = 7; /* 160 crystals */
	CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
	scene->detector.block_crystals[0] = scene->detector.block_crystals[1] = 0;
	scene->electronics.pile_up_ns = 10; /* in which blocks? */
	CU_ASSERT_EQUAL(iso_scene_prepare(scene, &err), ISO_BAD_INPUT);
	iso_scene_free(scene);
}

static const iso_test tests[] = {{"multiples by hand", test_multiples},
				 {"fates and TOF by hand", test_truth},
				 {"laws of dead time", test_dead_time_laws},
				 {"pile-up by hand", test_pile_up},
				 {"borders change nothing", test_borders},
				 {"randoms are 2 tau S1 S2", test_randoms},
				 {"trues as without electronics", test_against_fast},
				 {"decay of the singles", test_decay},
				 {"efficiencies", test_efficiencies},
				 {"any number of threads", test_threads},
				 {"failures", test_failures}};
ISO_TEST_MAIN("electronics", tests)
