/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "recon/prior.h"
#include "tests/harness.h"

enum { NX = 7, NY = 5, NZ = 6, N = NX * NY * NZ };

static iso_grid box(void)
{
	return iso_grid_centred((const size_t[]){NX, NY, NZ}, (const double[]){1.5, 2, 2.5}, (const double[]){0, 0, 0});
}

static iso_sums sums_of(size_t longest)
{
	iso_sums sums;
	iso_error err;
	ISO_ASSERT_OK(iso_sums_create(longest, 2, &sums, &err), err);
	return sums;
}

/* Values from 0 to 10 with a hot and an empty region, and weights. */
static void fill(float *x, float *kappa)
{
	iso_random random = iso_random_begin(7, 0);
	for (size_t n = 0; n < N; n++) {
		x[n] = (float)(n % 4 ? 10 * iso_random_uniform(&random) : 0);
		kappa[n] = (float)(0.5 + iso_random_uniform(&random));
	}
}

/* Central differences of 1e-3 in values of some 5 leave (1e-3)^2 of the third derivative, and the rounding of a float gradient of
 * 26 terms near 1: 1e-5. At 0, where values must not be negative, the one-sided difference is of 1e-4 only. */
static void test_gradient(void)
{
	const iso_grid grid = box();
	iso_sums sums = sums_of(N);
	float x[N], kappa[N], gradient[N];
	fill(x, kappa);
	const double gammas[] = {0, 2};
	for (int weighted = 0; weighted < 2; weighted++)
		for (int g = 0; g < 2; g++) {
			iso_prior p = iso_prior_relative_difference(&grid, gammas[g], 0.5);
			p.kappa = weighted ? kappa : NULL;
			iso_prior_gradient(&p, x, 2, gradient);
			double worst = 0;
			for (size_t n = 0; n < N; n++) {
				const float old = x[n], step = 1.0F / 1024;
				x[n] = old + step;
				const double high = iso_prior_value(&p, &sums, x);
				x[n] = old > 0 ? old - step : old;
				const double low = iso_prior_value(&p, &sums, x);
				const double taken = old > 0 ? 2 * (double)step : (double)step;
				x[n] = old;
				/* one-sided: half a step times the curvature, which is below 2 x 26 w / epsilon = 8 */
				const double slack = old > 0 ? 2e-5 : 0.5 * (double)step * 8;
				worst = fmax(worst, fabs((high - low) / taken - (double)gradient[n]) / slack);
			}
			printf("# gamma %g: worst difference %.3f of what is allowed\n", gammas[g], worst);
			CU_ASSERT(worst < 1);
		}
	iso_sums_release(&sums);
}

static void test_uniform(void)
{
	const iso_grid grid = box();
	iso_sums sums = sums_of(N);
	float x[N], kappa[N], gradient[N];
	fill(x, kappa);
	iso_prior p = iso_prior_relative_difference(&grid, 2, 1e-3);
	p.kappa = kappa;
	const float values[] = {0, 1e-6F, 3, 1e20F};
	for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
		for (size_t n = 0; n < N; n++) x[n] = values[v];
		CU_ASSERT_EQUAL(iso_prior_value(&p, &sums, x), 0.0);
		iso_prior_gradient(&p, x, 2, gradient);
		for (size_t n = 0; n < N; n++) CU_ASSERT_EQUAL(gradient[n], 0.0F);
	}
	iso_sums_release(&sums);
}

/* Mirrored along each axis the value is the same; and R(a x; a epsilon) = a R(x; epsilon), which is exact for a power of 2. */
static void test_symmetry_and_scaling(void)
{
	const iso_grid grid = box();
	iso_sums sums = sums_of(N);
	float x[N], kappa[N], mirrored[N], larger[N], gradient[N], of_larger[N];
	fill(x, kappa);
	const iso_prior p = iso_prior_relative_difference(&grid, 2, 0.25),
			doubled = iso_prior_relative_difference(&grid, 2, 0.5);
	const double value = iso_prior_value(&p, &sums, x);
	for (int axis = 0; axis < 3; axis++) {
		for (size_t n = 0; n < N; n++) {
			size_t at[3] = {n % NX, n / NX % NY, n / NX / NY};
			at[axis] = grid.size[axis] - 1 - at[axis];
			mirrored[at[0] + NX * (at[1] + NY * at[2])] = x[n];
		}
		ISO_ASSERT_NEAR(iso_prior_value(&p, &sums, mirrored) / value, 1, 1e-12);
	}
	for (size_t n = 0; n < N; n++) larger[n] = 2 * x[n];
	CU_ASSERT_EQUAL(iso_prior_value(&doubled, &sums, larger), 2 * value);
	iso_prior_gradient(&p, x, 1, gradient);
	iso_prior_gradient(&doubled, larger, 3, of_larger);
	CU_ASSERT(memcmp(gradient, of_larger, sizeof gradient) == 0);
	/* only differences pull, so that the pulls of all pairs nearly cancel for small differences: 0 against the sum's size */
	double sum = 0;
	for (size_t n = 0; n < N; n++) x[n] = 5 + 1e-3F * x[n];
	iso_prior_gradient(&p, x, 1, gradient);
	for (size_t n = 0; n < N; n++) sum += (double)gradient[n];
	ISO_ASSERT_NEAR(sum / N, 0, 1e-6);
	iso_sums_release(&sums);
}

/* Of a smooth image, the prior times a voxel's volume is the integral of |grad x|^2 / (12 x): x = 4 + a.p has gradient a
 * everywhere. Voxels of 1 and of 2 mm; cubes, whose weights are the same along all axes. The faces have fewer neighbours (a
 * part of 1/n), hence the tolerance for cubes of 40 and 20. */
static void test_voxel_size(void)
{
	double integral[2];
	for (int k = 0; k < 2; k++) {
		const size_t edge = k ? 20 : 40, count = edge * edge * edge;
		const double voxel = k ? 2 : 1, slope = 0.02;
		const iso_grid grid =
		    iso_grid_centred((const size_t[]){edge, edge, edge}, (const double[]){voxel, voxel, voxel},
				     (const double[]){0, 0, 0});
		const iso_prior p = iso_prior_relative_difference(&grid, 0, 1e-6);
		iso_sums sums = sums_of(count);
		float *x = malloc(count * sizeof *x);
		for (size_t n = 0; n < count; n++) x[n] = (float)(4 + slope * voxel * (double)(n % edge));
		integral[k] = iso_prior_value(&p, &sums, x) * pow(voxel, 3);
		/* 1/x over 4 .. 4.8: its mean is ln(4.8/4)/0.8 */
		const double expected = 40 * 40 * 40 * slope * slope / 12 * log(4.8 / 4) / 0.8;
		printf("# voxels of %g mm: %.4f of the integral\n", voxel, integral[k] / expected);
		ISO_ASSERT_NEAR(integral[k] / expected, 1, k ? 0.12 : 0.06);
		free(x);
		iso_sums_release(&sums);
	}
	ISO_ASSERT_NEAR(integral[1] / integral[0], 1, 0.06);
}

/* x d2R/dx2 near a uniform image, from the gradient's change: relative 1e-3 for a step of that part, and rounding. */
static void test_curvature(void)
{
	const iso_grid grid = box();
	float x[N], kappa[N], curvature[N], before[N], after[N];
	fill(x, kappa);
	iso_prior p = iso_prior_relative_difference(&grid, 2, 1e-6);
	p.kappa = kappa;
	iso_prior_curvature(&p, 2, curvature);
	for (size_t n = 0; n < N; n++) x[n] = 100;
	iso_prior_gradient(&p, x, 2, before);
	for (size_t n = 0; n < N; n += 17) {
		x[n] = 100.125F;
		iso_prior_gradient(&p, x, 2, after);
		x[n] = 100;
		ISO_ASSERT_NEAR(100 * (double)(after[n] - before[n]) / 0.125 / (double)curvature[n], 1, 5e-3);
	}
}

static const iso_test tests[] = {
    {"the gradient is that of the value", test_gradient},
    {"nothing for a uniform image", test_uniform},
    {"symmetry and scaling", test_symmetry_and_scaling},
    {"voxel size", test_voxel_size},
    {"curvature", test_curvature},
};

ISO_TEST_MAIN("recon-prior", tests)
