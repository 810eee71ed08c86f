/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/recon/fixtures.h"

/* A scanner with what makes sums over partners hard: limits along z and across, a smallest distance, dead crystals. */
static iso_scanner *awkward_scanner(void)
{
	iso_scanner *s = small_scanner(9, 40);
	s->rule.max_axial_difference_mm = 20;
	s->rule.min_distance_mm = 68; /* some pairs of near columns only when far apart along z */
	for (uint32_t e = 0; e < s->elements; e += 37) s->efficiency[e] = 0;
	return s;
}

static double true_rate(uint32_t e)
{
	return 0.15 * (1 + 0.5 * sin(0.7 * e) + 0.3 * cos(0.013 * e));
}

/* Exact fan sums of known rates must give the rates' products back. The fan sums are whole numbers: with rates scaled so that
 * a fan sum is about 1e6, rounding is 1e-6; the solver stops at a misfit of 1e-3 of the Poisson noise, 1e-6 of a fan
 * sum; modes that fan sums see weakly lose a factor of some 100: 1e-3 on a product is safe. */
static void test_known_rates(void)
{
	iso_scanner *s = awkward_scanner();
	iso_error err;
	const double scale = 500;
	uint64_t *fans = calloc(s->elements, sizeof *fans);
	double *exact = calloc(s->elements, sizeof *exact);
	float *rate = malloc(s->elements * sizeof *rate);
	for (uint32_t a = 0; a < s->elements; a++)
		for (uint32_t b = 0; b < s->elements; b++)
			if (iso_scanner_pair_allowed(s, a, b)) exact[a] += scale * true_rate(a) * scale * true_rate(b);
	for (uint32_t a = 0; a < s->elements; a++) fans[a] = (uint64_t)llround(exact[a]);
	ISO_ASSERT_OK(iso_randoms_from_delayeds(s, fans, rate, &err), err);
	double worst = 0;
	size_t pairs = 0;
	for (uint32_t a = 0; a < s->elements; a++)
		for (uint32_t b = a + 1; b < s->elements; b++)
			if (iso_scanner_pair_allowed(s, a, b)) {
				const double want = scale * scale * true_rate(a) * true_rate(b);
				worst = fmax(worst, fabs((double)rate[a] * (double)rate[b] / want - 1));
				pairs++;
			}
	CU_ASSERT(pairs > 1000);
	ISO_ASSERT_NEAR(worst, 0, 1e-3);
	CU_ASSERT_EQUAL(rate[37], 0.0F);
	free(fans);
	free(exact);
	free(rate);
	iso_scanner_free(s);
}

/* Poisson delayeds: the total is reproduced (fixed by the estimator), a pair's mean is known to about
 * sqrt(1/F_a + 1/F_b), far better than the 1/sqrt(mean) of the pair's own delayeds. */
static void test_noise(void)
{
	iso_scanner *s = awkward_scanner();
	iso_error err;
	iso_event *pairs, *events = NULL;
	const size_t count = all_pairs(s, &pairs);
	double *mean = malloc(count * sizeof *mean);
	for (size_t n = 0; n < count; n++) mean[n] = true_rate(pairs[n].element[0]) * true_rate(pairs[n].element[1]);
	const size_t hits = draw_events(pairs, mean, count, ISO_EVENT_DELAYED, 1000, 5, &events, 0);
	uint64_t *fans = calloc(s->elements, sizeof *fans);
	float *rate = malloc(s->elements * sizeof *rate);
	for (size_t n = 0; n < hits; n++) fans[events[n].element[0]]++, fans[events[n].element[1]]++;
	ISO_ASSERT_OK(iso_randoms_from_delayeds(s, fans, rate, &err), err);
	double total = 0, truth = 0, chi2 = 0, raw = 0, square = 0, bound = 0;
	for (size_t n = 0; n < count; n++) {
		const uint32_t a = pairs[n].element[0], b = pairs[n].element[1];
		const double estimate = (double)rate[a] * (double)rate[b];
		total += estimate;
		truth += mean[n];
		square += (estimate - mean[n]) * (estimate - mean[n]);
		raw += mean[n]; /* variance of the raw delayeds */
		const double fa = fmax((double)fans[a], 1), fb = fmax((double)fans[b], 1);
		bound += mean[n] * mean[n] * (1 / fa + 1 / fb);
		chi2 += 1;
	}
	ISO_ASSERT_NEAR(total, (double)hits, 1e-3 * (double)hits);
	ISO_ASSERT_NEAR(total, truth, 5 * sqrt(truth));
	CU_ASSERT(chi2 > 0 && square < raw / 20);
	/* The products' variance is of the order of the bound: errors of two crystals add, correlations shift it by less
	 * than a factor of 2 either way. */
	CU_ASSERT(square < 2 * bound && square > bound / 2);
	printf("# %zu delayeds on %zu pairs: variance %.3g of the raw delayeds', %.2f of the fan sums' bound\n", hits,
	       count, square / raw, square / bound);
	free(pairs);
	free(events);
	free(mean);
	free(fans);
	free(rate);
	iso_scanner_free(s);
}

/* Elements with no two on one column, in no order: the general path. */
static void test_scattered_elements(void)
{
	iso_scanner *s;
	iso_error err;
	ISO_ASSERT_OK(iso_scanner_create(60, "scattered", &s, &err), err);
	iso_random random = iso_random_begin(3, 3);
	for (uint32_t e = 0; e < 60; e++) {
		double d[3];
		iso_random_direction(&random, d);
		for (int k = 0; k < 3; k++)
			s->position_mm[3 * e + k] = (float)(50 * d[k]), s->normal[3 * e + k] = (float)d[k];
	}
	s->rule.min_distance_mm = 30;
	s->rule.max_axial_difference_mm = 60;
	uint64_t fans[60] = {0};
	float rate[60];
	for (uint32_t a = 0; a < 60; a++)
		for (uint32_t b = 0; b < 60; b++)
			if (iso_scanner_pair_allowed(s, a, b)) fans[a] += (a % 7 + 3) * (b % 7 + 3) * 100;
	ISO_ASSERT_OK(iso_randoms_from_delayeds(s, fans, rate, &err), err);
	for (uint32_t e = 1; e < 60; e++) ISO_ASSERT_NEAR(rate[e], 10.0 * (e % 7 + 3), 0.05);
	iso_scanner_free(s);
}

static void test_nothing_and_dead(void)
{
	iso_scanner *s = awkward_scanner();
	iso_error err;
	uint64_t *fans = calloc(s->elements, sizeof *fans);
	float *rate = malloc(s->elements * sizeof *rate);
	ISO_ASSERT_OK(iso_randoms_from_delayeds(s, fans, rate, &err), err);
	for (uint32_t e = 0; e < s->elements; e++) CU_ASSERT_EQUAL(rate[e], 0.0F);
	fans[37] = 1; /* dead */
	CU_ASSERT_EQUAL(iso_randoms_from_delayeds(s, fans, rate, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "element 37") != NULL);
	free(fans);
	free(rate);
	iso_scanner_free(s);
}

static const iso_test tests[] = {
    {"known rates from their fan sums", test_known_rates},
    {"less noise than raw delayeds", test_noise},
    {"elements without columns", test_scattered_elements},
    {"no delayeds, and delayeds of dead elements", test_nothing_and_dead},
};

ISO_TEST_MAIN("recon-randoms", tests)
