/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Known answers are those that the authors of Philox publish with their paper (Random123, file kat_vectors, "philox4x32
 * 10"). Moments are compared with a tolerance of 5 standard errors: with a fixed seed the draw is one of many, and a
 * right generator would fail one such comparison in 1.7 million. */
#include <math.h>
#include <string.h>

#include "core/random.h"
#include "tests/harness.h"

static void known_answers(void)
{
	static const struct {
		uint32_t counter[4], key[2], answer[4];
	} vectors[] = {
	    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
	    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
	     {0xffffffff, 0xffffffff},
	     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
	    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
	     {0xa4093822, 0x299f31d0},
	     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	};
	for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
		iso_random random = {.left = 0};
		memcpy(random.counter, vectors[v].counter, sizeof random.counter);
		memcpy(random.key, vectors[v].key, sizeof random.key);
		for (int word = 3; word >= 0; word--) /* a block is handed out from its last word */
			CU_ASSERT_EQUAL(iso_random_u32(&random), vectors[v].answer[word]);
	}
}

static void streams(void)
{
	/* (seed, stream, position) alone: a stream begun again repeats; seeds and streams differ in all 64 bits. */
	iso_random a = iso_random_begin(7, 9), b = iso_random_begin(7, 9);
	for (int i = 0; i < 1000; i++) CU_ASSERT_EQUAL(iso_random_u32(&a), iso_random_u32(&b));
	static const uint64_t seeds[][2] = {{7, 9}, {8, 9}, {7, 10}, {7 + (1ull << 32), 9}, {7, 9 + (1ull << 32)}};
	const size_t count = sizeof seeds / sizeof *seeds;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++) {
			a = iso_random_begin(seeds[i][0], seeds[i][1]);
			b = iso_random_begin(seeds[k][0], seeds[k][1]);
			int same = 0;
			for (int n = 0; n < 64; n++) same += iso_random_u32(&a) == iso_random_u32(&b);
			CU_ASSERT(same <= 1);
		}
	/* The position carries into its second word instead of running into the stream's. */
	a = iso_random_begin(1, 2);
	a.counter[0] = 0xffffffff;
	(void)iso_random_u32(&a);
	CU_ASSERT_EQUAL(a.counter[0], 0);
	CU_ASSERT_EQUAL(a.counter[1], 1);
	CU_ASSERT_EQUAL(a.counter[2], 2);
}

enum { DRAWS = 200000 };

/* Compares mean, variance and skewness of a sample with the truth. The standard error of the mean is sigma / sqrt(n), of the
 * variance sigma^2 sqrt((kurtosis - 1) / n), of the skewness of a nearly normal sample sqrt(6 / n); the skewness of
 * a skewed one is allowed ten times that. */
static void moments(const double *x, double mean, double variance, double skewness, double kurtosis)
{
	const double n = DRAWS;
	double m1 = 0, m2 = 0, m3 = 0;
	for (int i = 0; i < DRAWS; i++) m1 += x[i] / n;
	for (int i = 0; i < DRAWS; i++) {
		m2 += (x[i] - m1) * (x[i] - m1) / n;
		m3 += pow(x[i] - m1, 3) / n;
	}
	ISO_ASSERT_NEAR(m1, mean, 5 * sqrt(variance / n));
	ISO_ASSERT_NEAR(m2, variance, 5 * variance * sqrt((kurtosis - 1) / n));
	ISO_ASSERT_NEAR(m3 / pow(m2, 1.5), skewness, 5 * sqrt(6 / n) * (1 + 9 * fmin(1, fabs(skewness))));
}

static double sample[DRAWS];

static void uniform(void)
{
	iso_random random = iso_random_begin(1, 1);
	for (int i = 0; i < DRAWS; i++) {
		sample[i] = iso_random_uniform(&random);
		if (!(sample[i] > 0 && sample[i] < 1)) CU_FAIL("outside (0, 1)");
	}
	moments(sample, 0.5, 1.0 / 12, 0, 1.8);
	/* All 52 bits are random: the lowest is one half of the time. */
	int odd = 0;
	for (int i = 0; i < DRAWS; i++) odd += (int)((uint64_t)(sample[i] * 0x1p52) & 1);
	ISO_ASSERT_NEAR(odd, DRAWS / 2, 5 * sqrt(DRAWS / 4.0));
}

static void gaussian(void)
{
	iso_random random = iso_random_begin(2, 1);
	int beyond = 0;
	for (int i = 0; i < DRAWS; i++) {
		sample[i] = iso_random_gaussian(&random);
		beyond += fabs(sample[i]) > 2;
	}
	moments(sample, 0, 1, 0, 3);
	/* P(|x| > 2) = erfc(sqrt 2) = 0.0455003; the count is binomial. */
	ISO_ASSERT_NEAR(beyond, DRAWS * 0.0455003, 5 * sqrt(DRAWS * 0.0455003 * 0.9545));
}

static void exponential(void)
{
	iso_random random = iso_random_begin(3, 1);
	for (int i = 0; i < DRAWS; i++) sample[i] = iso_random_exponential(&random);
	moments(sample, 1, 1, 2, 9);
}

static void poisson_moments(void)
{
	/* On both sides of the change of method at 30; mean and variance lambda, skewness 1/sqrt(lambda), kurtosis
	 * 3 + 1/lambda. */
	static const double means[] = {0.05, 1, 8.5, 29.9, 30.1, 100, 12345.6, 3e9};
	for (size_t m = 0; m < sizeof means / sizeof *means; m++) {
		iso_random random = iso_random_begin(4, m);
		for (int i = 0; i < DRAWS; i++) sample[i] = (double)iso_random_poisson(&random, means[m]);
		moments(sample, means[m], means[m], 1 / sqrt(means[m]), 3 + 1 / means[m]);
	}
}

static void poisson_probabilities(void)
{
	/* Each count's frequency at a mean of 35 (rejection) and of 3 (products) against exp(-l) l^k / k!. */
	static const double means[] = {3, 35};
	for (size_t m = 0; m < 2; m++) {
		enum { HIGHEST = 100 };
		int seen[HIGHEST + 1] = {0};
		iso_random random = iso_random_begin(5, m);
		for (int i = 0; i < DRAWS; i++) {
			const uint64_t k = iso_random_poisson(&random, means[m]);
			seen[k < HIGHEST ? k : HIGHEST]++;
		}
		for (int k = 0; k < HIGHEST; k++) {
			const double p = exp(k * log(means[m]) - means[m] - lgamma(k + 1.0));
			if (p * DRAWS < 20) continue; /* too few for a normal error */
			ISO_ASSERT_NEAR(seen[k], p * DRAWS, 5 * sqrt(p * DRAWS));
		}
	}
}

static void poisson_limits(void)
{
	iso_random random = iso_random_begin(6, 1);
	CU_ASSERT_EQUAL(iso_random_poisson(&random, 0), 0);
	CU_ASSERT_EQUAL(iso_random_poisson(&random, -3), 0);
	CU_ASSERT_EQUAL(iso_random_poisson(&random, (double)NAN), 0);
	ISO_ASSERT_NEAR((double)iso_random_poisson(&random, 1e16), 1e16, 6e8);      /* 6 sigma */
	CU_ASSERT_EQUAL(iso_random_poisson(&random, (double)INFINITY), 1ull << 63); /* ends */
}

static void directions(void)
{
	/* A component of an isotropic unit vector is uniform on [-1, 1]: mean 0, variance 1/3, kurtosis 1.8. */
	static double x[3][DRAWS];
	iso_random random = iso_random_begin(7, 1);
	for (int i = 0; i < DRAWS; i++) {
		double d[3];
		iso_random_direction(&random, d);
		const double length = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
		if (!(fabs(length - 1) < 1e-12)) CU_FAIL("not a unit vector");
		for (int a = 0; a < 3; a++) x[a][i] = d[a];
	}
	for (int a = 0; a < 3; a++) moments(x[a], 0, 1.0 / 3, 0, 1.8);
}

static const iso_test tests[] = {
    {"Philox 4x32-10 known answers", known_answers},
    {"a number depends on seed, stream and position alone", streams},
    {"uniform", uniform},
    {"Gaussian", gaussian},
    {"exponential", exponential},
    {"Poisson moments", poisson_moments},
    {"Poisson probabilities", poisson_probabilities},
    {"Poisson of impossible and huge means", poisson_limits},
    {"isotropic directions", directions},
};
ISO_TEST_MAIN("random", tests)
