/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Corrections that act on crystals and blocks: laws of dead time, randoms from singles, and what a normalisation does to an image. */
#include "recon/correct/dead_time.h"
#include "recon/correct/singles_randoms.h"
#include "tests/recon/fixtures.h"

enum { RINGS = 4, CRYSTALS = 48, ELEMENTS = RINGS * CRYSTALS };

static iso_scanner *scanner_of_blocks(void)
{
	iso_scanner *s = small_scanner(RINGS, CRYSTALS);
	s->block_crystals[0] = 6;
	s->block_crystals[1] = 2;
	return s;
}

/* The laws, from a true rate to what is recorded of it and back. */
static void test_laws(void)
{
	const double tau = 300e-9;
	for (double n = 1e3; n < 0.95 / tau; n *= 1.3) {
		const double lost = n / (1 + n * tau), kept = n * exp(-n * tau);
		ISO_ASSERT_NEAR(iso_live_fraction(ISO_DEAD_TIME_NON_PARALYZABLE, tau, lost), lost / n, 1e-12);
		ISO_ASSERT_NEAR(iso_live_fraction(ISO_DEAD_TIME_PARALYZABLE, tau, kept), kept / n, 1e-9);
	}
	ISO_ASSERT_NEAR(iso_live_fraction(ISO_DEAD_TIME_PARALYZABLE, tau, 0), 1, 0);
	CU_ASSERT(isnan(iso_live_fraction(ISO_DEAD_TIME_NON_PARALYZABLE, tau, 1.01 / tau)));
	CU_ASSERT(isnan(iso_live_fraction(ISO_DEAD_TIME_PARALYZABLE, tau, 0.37 / tau)));
}

/* Singles whose expected counts come from rates of elements (relative) and a half-life; intervals of 2 s, the last one cut at 59 s. */
static iso_singles *singles_of(const double *relative, double rate_per_s, double half_life_s, uint32_t groups)
{
	iso_singles *s = NULL;
	iso_error err;
	iso_random random = iso_random_begin(3, 8);
	ISO_ASSERT_OK(iso_singles_create(ELEMENTS, groups, 30, 2, &s, &err), err);
	for (uint32_t e = 0; e < ELEMENTS; e++) s->group[e] = e * groups / ELEMENTS;
	for (size_t n = 0; n < 30; n++)
		for (uint32_t e = 0; e < ELEMENTS; e++) {
			const double decay = exp2(-2.0 * (double)n / half_life_s) * half_life_s / log(2) *
					     (1 - exp2(-(n == 29 ? 1 : 2) / half_life_s));
			s->counts[n * groups + s->group[e]] +=
			    (uint32_t)iso_random_poisson(&random, rate_per_s * relative[e] * decay);
		}
	return s;
}

/* Blocks that differ by 20 % in a source that halves within the frame: the true integral of the product of live fractions of a pair, with
 * the decay, against what the frame's numbers say. Counts of 12 crystals and 30 intervals: 1e5 per s and crystal, 2e-3 of noise in
 * an interval's rate and 4e-4 in a frame's, times a loss of a fifth: 1e-4. The product form errs by the second order, 1e-4 here. */
static void test_frame(void)
{
	iso_scanner *s = scanner_of_blocks();
	iso_error err;
	double recorded[ELEMENTS] = {0};
	const double tau = 200e-9, half_life = 40;
	/* recorded rates, and with them true ones, are the same for all elements of a block */
	for (uint32_t e = 0; e < ELEMENTS; e++) recorded[e] = 1 + 0.2 * (iso_scanner_block(s, e) % 3 - 1.0);
	iso_singles *singles = singles_of(recorded, 1e5, half_life, ELEMENTS);
	const iso_frame frame = {.start_s = 10, .duration_s = 49};
	const iso_span whole = {&frame, 1};
	const iso_dead_time_law dt = {
	    .model = ISO_DEAD_TIME_NON_PARALYZABLE, .dead_time_s = tau, .half_life_s = half_life};
	const iso_counted counted = {.scanner = s, .singles = singles, .end_s = 59};
	float relative[ELEMENTS];
	iso_live live = {.element = relative};
	ISO_ASSERT_OK(iso_dead_time_live(&counted, &dt, whole, &live, &err), err);
	double worst = 0;
	const uint32_t ends[][2] = {{0, 24}, {7, 31}, {12, 40}, {0, 18}};
	for (int p = 0; p < 4; p++) {
		double weight = 0, product = 0;
		for (double t = 10; t < 59; t += 0.01) {
			const double decay = exp2(-(t + 0.005) / half_life), rate = 12 * 1e5 * decay * tau;
			product += decay * (1 - rate * recorded[ends[p][0]]) * (1 - rate * recorded[ends[p][1]]);
			weight += decay;
		}
		const double got = live.pair * (double)relative[ends[p][0]] * (double)relative[ends[p][1]];
		worst = fmax(worst, fabs(got / (product / weight) - 1));
	}
	printf("# live fraction of pairs %.3f, worst error %.1e\n", live.pair, worst);
	CU_ASSERT(worst < 1e-3 && live.pair < 0.8);
	/* cut into parts, within intervals and at their ends, with gaps: what the parts say apart, weighed by their decay */
	const iso_frame early[] = {{10, 3.3}, {13.3, 0.1}, {16, 4}}, late[] = {{20, 5}, {25.5, 33.5}};
	const iso_frame all[] = {early[0], early[1], early[2], late[0], late[1]};
	const iso_span spans[] = {{early, 3}, {late, 2}, {all, 5}};
	double pair[3], weight[3] = {0};
	for (int n = 0; n < 3; n++) {
		ISO_ASSERT_OK(iso_dead_time_live(&counted, &dt, spans[n], &live, &err), err);
		pair[n] = live.pair;
		for (size_t p = 0; p < spans[n].parts; p++)
			weight[n] +=
			    iso_decay_integral_s(half_life, spans[n].part[p].start_s, spans[n].part[p].duration_s);
	}
	ISO_ASSERT_NEAR(pair[2], (pair[0] * weight[0] + pair[1] * weight[1]) / weight[2], 1e-12);
	CU_ASSERT(pair[0] < pair[1] - 0.02);
	const iso_frame cut[] = {{10, 6.5}, {16.5, 0.25}, {16.75, 42.25}};
	const double before = live.pair;
	ISO_ASSERT_OK(iso_dead_time_live(&counted, &dt, whole, &live, &err), err);
	const double uncut = live.pair;
	ISO_ASSERT_OK(iso_dead_time_live(&counted, &dt, (iso_span){cut, 3}, &live, &err), err);
	ISO_ASSERT_NEAR(live.pair, uncut, 1e-12);
	CU_ASSERT(fabs(before - uncut) > 1e-6);
	const iso_dead_time_law slow = {
	    .model = ISO_DEAD_TIME_PARALYZABLE, .dead_time_s = 1e-6, .half_life_s = half_life};
	CU_ASSERT_EQUAL(iso_dead_time_live(&counted, &slow, whole, &live, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "lets through") != NULL);
	iso_singles_free(singles);
	iso_scanner_free(s);
}

/* A decaying source seen by unequal crystals: the pair's randoms are 2 tau times the integral of the product of rates. All pairs together hold
 * sum(s)^2, known as well as the total of singles squared: 2 / sqrt(N). Delayeds drawn from the truth agree within their own noise. */
static void test_randoms(void)
{
	iso_scanner *s = scanner_of_blocks();
	iso_error err;
	double relative[ELEMENTS];
	float rate[ELEMENTS], from_delayeds[ELEMENTS];
	iso_random random = iso_random_begin(5, 8);
	for (uint32_t e = 0; e < ELEMENTS; e++) {
		relative[e] = fmax(1 + 0.2 * iso_random_gaussian(&random), 0.2);
		s->efficiency[e] = (float)relative[e];
	}
	const double half_life = 20, two_tau_ns = 10;
	const iso_frame frame = {.start_s = 4, .duration_s = 55};
	const iso_span whole = {&frame, 1};
	/* integral of the squared decay */
	const double squares = half_life / (2 * log(2)) * (exp2(-2 * 4 / half_life) - exp2(-2 * 59 / half_life));
	for (int grouped = 0; grouped < 2; grouped++) {
		iso_singles *singles = singles_of(relative, 20000, half_life, grouped ? ELEMENTS / 12 : ELEMENTS);
		const iso_counted counted = {.scanner = s, .singles = singles, .end_s = 59};
		ISO_ASSERT_OK(iso_randoms_from_singles(&counted, whole, two_tau_ns, rate, &err), err);
		/* in parts: together they are the whole, and half of each interval has half of its randoms */
		float parted[ELEMENTS];
		const iso_frame cut[] = {{4, 6.5}, {10.5, 0.25}, {10.75, 48.25}};
		ISO_ASSERT_OK(iso_randoms_from_singles(&counted, (iso_span){cut, 3}, two_tau_ns, parted, &err), err);
		for (uint32_t e = 0; e < ELEMENTS; e++) ISO_ASSERT_NEAR(parted[e] / rate[e], 1, 1e-6);
		iso_frame half[28];
		for (int n = 0; n < 27; n++) half[n] = (iso_frame){4 + 2 * n + 0.5, 1};
		half[27] = (iso_frame){58.5, 0.5};
		ISO_ASSERT_OK(iso_randoms_from_singles(&counted, (iso_span){half, 28}, two_tau_ns, parted, &err), err);
		for (uint32_t e = 0; e < ELEMENTS; e++)
			ISO_ASSERT_NEAR(parted[e] * parted[e] / (rate[e] * rate[e]), 0.5, 1e-6);
		double got = 0, truth = 0, square = 0, pairs = 0;
		iso_event *list, *events = NULL;
		const size_t count = all_pairs(s, &list);
		double *mean = malloc(count * sizeof *mean);
		for (size_t n = 0; n < count; n++) {
			const uint32_t a = list[n].element[0], b = list[n].element[1];
			mean[n] = 1e-9 * two_tau_ns * 20000 * 20000 * relative[a] * relative[b] * squares;
			truth += mean[n];
			got += (double)rate[a] * (double)rate[b];
			square += pow((double)rate[a] * (double)rate[b] / mean[n] - 1, 2);
			pairs++;
		}
		printf("# randoms from singles %s: total off by %.1e, pairs by %.2e rms\n",
		       grouped ? "of blocks" : "of crystals", got / truth - 1, sqrt(square / pairs));
		/* 59 million singles in all: 2.6e-4; intervals of 2 s, over which a rate falls by 7 %: (0.07)^2 / 12 = 4e-4 */
		ISO_ASSERT_NEAR(got / truth, 1, 1e-3);
		/* a crystal's 4e5 singles: 1.6e-3, two of them 2.3e-3 */
		CU_ASSERT(sqrt(square / pairs) < 3e-3);
		uint64_t fans[ELEMENTS] = {0};
		const size_t hits = draw_events(list, mean, count, ISO_EVENT_DELAYED, 1000, 5, &events, 0);
		for (size_t n = 0; n < hits; n++) fans[events[n].element[0]]++, fans[events[n].element[1]]++;
		ISO_ASSERT_OK(iso_randoms_from_delayeds(s, fans, from_delayeds, &err), err);
		double delayed = 0, chi2 = 0;
		for (size_t n = 0; n < count; n++)
			delayed +=
			    (double)from_delayeds[list[n].element[0]] * (double)from_delayeds[list[n].element[1]];
		for (uint32_t e = 0; e < ELEMENTS; e++)
			chi2 += pow((double)from_delayeds[e] / (double)rate[e] - 1, 2) * (double)fans[e] / ELEMENTS;
		printf("# %zu delayeds, total %.4f of the singles', crystals' chi2 %.2f\n", hits, delayed / got, chi2);
		ISO_ASSERT_NEAR(delayed / got, 1, 5 / sqrt((double)hits) + 1e-3);
		/* a crystal's rate is known to 1 / sqrt(fan sum) and a little: chi2 about 1, over 192 crystals +-0.1 */
		CU_ASSERT(chi2 > 0.5 && chi2 < 1.6);
		free(list);
		free(events);
		free(mean);
		iso_singles_free(singles);
	}
	iso_scanner_free(s);
}

static iso_normalisation *made_normalisation(const iso_scanner *s, const double *efficiency)
{
	iso_normalisation *n = calloc(1, sizeof *n);
	n->elements = ELEMENTS;
	n->efficiency = calloc(ELEMENTS, sizeof *n->efficiency);
	n->uncertainty = calloc(ELEMENTS, sizeof *n->uncertainty);
	iso_scanner carrier = *s;
	iso_error err;
	carrier.components = NULL;
	ISO_ASSERT_OK(iso_scanner_create_components(&carrier, &err), err);
	n->components = carrier.components;
	n->components->radial_nodes = 2;
	n->components->radial_step_mm = 20;
	n->components->radial[0] = 1.2F;
	n->components->radial[1] = 0.8F;
	n->components->axial_nodes = 2;
	n->components->axial_step_mm = 12;
	n->components->axial[0] = 1;
	n->components->axial[1] = 0.7F;
	n->components->block_nodes = 3;
	n->components->block_positions = 6;
	n->components->block_step_mm = 20;
	for (uint32_t k = 0; k < 6; k++)
		for (int i = 0; i < 3; i++) n->components->block[k][i] = (float)(1 + 0.02 * (k - 2.5) * (i - 1));
	for (uint32_t e = 0; e < ELEMENTS; e++) {
		n->efficiency[e] = (float)efficiency[e];
		n->components->position[e] = (uint8_t)(e % CRYSTALS % 6);
	}
	iso_scanner_hash(s, n->scanner_hash);
	n->prompts = 1000;
	n->start_utc_s = 1773480413;
	n->made_utc_s = 1773480500;
	strcpy(n->software, "isotrace test");
	return n;
}

/* A uniform cylinder as a scanner with these factors counts it, noise-free: with the normalisation the image is flat, without it is not. Its
 * sensitivity from groups of rows is the same as from all pairs. */
static void test_image(void)
{
	iso_scanner *s = scanner_of_blocks(), *applied = NULL;
	iso_error err;
	double efficiency[ELEMENTS];
	iso_random random = iso_random_begin(5, 8);
	for (uint32_t e = 0; e < ELEMENTS; e++) efficiency[e] = 1 + 0.3 * (iso_random_uniform(&random) - 0.5);
	iso_normalisation *n = made_normalisation(s, efficiency);
	ISO_ASSERT_OK(iso_scanner_copy(s, &applied, &err), err);
	ISO_ASSERT_OK(iso_normalisation_apply(n, applied, &err), err);
	const iso_grid grid = cube_grid(20, 8, 2);
	iso_image *all = NULL, *some = NULL;
	ISO_ASSERT_OK(iso_sensitivity(applied, &grid, NULL, 0, 0, NULL, &all, &err), err);
	ISO_ASSERT_OK(iso_sensitivity(applied, &grid, NULL, 1500, 0, NULL, &some, &err), err);
	double difference = 0, sum = 0;
	for (size_t v = 0; v < iso_grid_voxels(&grid); v++) {
		difference += pow((double)(all->voxels[v] - some->voxels[v]), 2);
		sum += pow((double)all->voxels[v], 2);
	}
	printf("# sensitivity of groups of rows: %.2f %% off\n", 100 * sqrt(difference / sum));
	CU_ASSERT(sqrt(difference / sum) < 0.05);
	iso_image_free(all);
	iso_image_free(some);
	/* events in proportion to expectation: the pairs' counts rounded at random would be noise; draw enough */
	iso_event *pairs, *events = NULL;
	const size_t count = all_pairs(s, &pairs);
	double *mean = malloc(count * sizeof *mean);
	for (size_t i = 0; i < count; i++) {
		const uint32_t a = pairs[i].element[0], b = pairs[i].element[1];
		const float *p = s->position_mm + 3 * (size_t)a, *q = s->position_mm + 3 * (size_t)b;
		const double offset = fabs((double)p[0] * (double)q[1] - (double)p[1] * (double)q[0]) /
				      hypot((double)(q[0] - p[0]), (double)(q[1] - p[1]));
		const double cross = ((double)p[0] * (double)q[1] - (double)p[1] * (double)q[0]) /
				     hypot((double)(q[0] - p[0]), (double)(q[1] - p[1]));
		const double at[2] = {fmin(fmax(cross / 20, -1), 1), -fmin(fmax(cross / 20, -1), 1)};
		double factor = efficiency[a] * efficiency[b] * (1.2 - 0.4 * fmin(offset / 20, 1)) *
				(1 - 0.3 * fabs((double)(q[2] - p[2])) / 12);
		factor *= (1 + 0.02 * (a % CRYSTALS % 6 - 2.5) * at[0]) * (1 + 0.02 * (b % CRYSTALS % 6 - 2.5) * at[1]);
		ISO_ASSERT_NEAR(iso_pair_factor(applied, a, b) / iso_pair_factor(s, a, b), factor, 1e-5 * factor);
		mean[i] = 0.2 * factor * iso_pair_factor(s, a, b) * chord_mm(p, q, 15, 100);
	}
	const size_t have = draw_events(pairs, mean, count, ISO_EVENT_PROMPT, 1000, 5, &events, 0);
	iso_acquisition facts = iso_acquisition_unknown();
	facts.modality = ISO_MODALITY_PET;
	facts.duration_s = 1;
	double spread[2];
	for (int with = 0; with < 2; with++) {
		iso_recon_options o = iso_recon_options_default();
		iso_events *stream = NULL;
		iso_volume *volume = NULL;
		o.grid = grid;
		o.iterations = 4;
		o.subsets = 4;
		o.normalisation = with ? n : NULL;
		o.normalisation_name = "made.norm.h5";
		ISO_ASSERT_OK(iso_events_from_array(events, have, s, &facts, &stream, &err), err);
		ISO_ASSERT_OK(iso_reconstruct(stream, &o, &volume, &err), err);
		const double inner = cylinder_mean(&grid, volume->voxels, 5, 6),
			     outer = cylinder_mean(&grid, volume->voxels, 12, 6);
		spread[with] = outer / inner - 1;
		CU_ASSERT((strstr(volume->corrections.normalisation, "made.norm.h5") != NULL) == (with == 1));
		iso_volume_free(volume);
		iso_events_close(stream);
	}
	printf("# rim over middle: %+.3f without, %+.3f with the normalisation\n", spread[0], spread[1]);
	CU_ASSERT(fabs(spread[1]) < 0.03 && fabs(spread[0]) > 0.08);
	free(pairs);
	free(events);
	free(mean);
	iso_scanner_free(applied);
	iso_normalisation_free(n);
	iso_scanner_free(s);
}

static void test_file(void)
{
	iso_scanner *s = scanner_of_blocks(), *other = small_scanner(RINGS, CRYSTALS + 2);
	iso_error err;
	double efficiency[ELEMENTS];
	for (uint32_t e = 0; e < ELEMENTS; e++) efficiency[e] = e % 7;
	iso_normalisation *n = made_normalisation(s, efficiency), *back = NULL;
	const char *path = iso_test_path("a.norm.h5");
	ISO_ASSERT_OK(iso_normalisation_write(path, n, &err), err);
	ISO_ASSERT_OK(iso_normalisation_read(path, &back, &err), err);
	CU_ASSERT(memcmp(back->efficiency, n->efficiency, ELEMENTS * sizeof(float)) == 0);
	CU_ASSERT(memcmp(back->components->position, n->components->position, ELEMENTS) == 0);
	CU_ASSERT(memcmp(back->components->block, n->components->block, sizeof n->components->block) == 0);
	CU_ASSERT(memcmp(back->components->radial, n->components->radial, sizeof n->components->radial) == 0);
	CU_ASSERT_EQUAL(back->components->axial_nodes, 2);
	CU_ASSERT_STRING_EQUAL(back->scanner_hash, n->scanner_hash);
	ISO_ASSERT_NEAR(back->start_utc_s, n->start_utc_s, 0);
	CU_ASSERT_EQUAL(iso_normalisation_apply(back, other, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "another scanner") != NULL);
	iso_normalisation_free(back);
	/* cut anywhere; what lies in a whole file is looked at in test_normalise_cli.py */
	FILE *f = fopen(path, "rb");
	static char bytes[1 << 17];
	const size_t size = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	CU_ASSERT_FATAL(size > 1000 && size < sizeof bytes);
	char *broken = strdup(iso_test_path("b.norm.h5"));
	for (size_t cut = 0; cut < size; cut += size / 40 + 1) {
		f = fopen(broken, "wb");
		fwrite(bytes, 1, cut, f);
		fclose(f);
		CU_ASSERT_EQUAL(iso_normalisation_read(broken, &back, &err), ISO_BAD_INPUT);
	}
	CU_ASSERT_EQUAL(iso_normalisation_read("/nowhere/a.norm.h5", &back, &err), ISO_BAD_INPUT);
	free(broken);
	iso_normalisation_free(n);
	iso_scanner_free(s);
	iso_scanner_free(other);
}

/* Each correction without what it needs. */
static void test_refused(void)
{
	iso_scanner *s = scanner_of_blocks();
	iso_error err;
	iso_event event = {.element = {0, 24}};
	iso_acquisition facts = iso_acquisition_unknown();
	facts.modality = ISO_MODALITY_PET;
	facts.duration_s = 59;
	double flat[ELEMENTS];
	for (int e = 0; e < ELEMENTS; e++) flat[e] = 1;
	for (int n = 0; n < 6; n++) {
		static const char *const words[] = {"no singles", "no singles", "window",
						    "dead time",  "block",      "choose one"};
		iso_recon_options o = iso_recon_options_default();
		iso_events *events = NULL;
		iso_volume *volume = NULL;
		o.grid = cube_grid(4, 4, 4);
		if (n == 4) s->block_crystals[0] = s->block_crystals[1] = 0;
		if (n == 5) s->block_crystals[0] = 6, s->block_crystals[1] = 2, o.dead_time_factor = 1;
		if (n == 0 || n == 2)
			o.randoms = ISO_RANDOMS_SINGLES;
		else
			o.dead_time = ISO_DEAD_TIME_FROM_SINGLES;
		ISO_ASSERT_OK(iso_events_from_array(&event, 1, s, &facts, &events, &err), err);
		if (n > 1) iso_events_set_singles(events, singles_of(flat, 100, 100, ELEMENTS));
		CU_ASSERT(iso_reconstruct(events, &o, &volume, &err) != ISO_OK);
		CU_ASSERT(strstr(err.message, words[n]) != NULL || strstr(err.remedy, words[n]) != NULL);
		iso_events_close(events);
	}
	iso_scanner_free(s);
}

static const iso_test tests[] = {
    {"laws of dead time", test_laws},           {"live fractions in a frame", test_frame},
    {"randoms from singles", test_randoms},     {"an image with a normalisation", test_image},
    {"the file of a normalisation", test_file}, {"corrections without their data", test_refused},
};
ISO_TEST_MAIN("recon-corrections", tests)
