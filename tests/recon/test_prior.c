/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "recon/prior.h"
#include "recon/prior_regions.h"
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
	int32_t region[N];
	fill(x, kappa);
	for (size_t n = 0; n < N; n++) region[n] = (int32_t)(n * n % 3);
	const double gammas[] = {0, 2};
	/* alike, weighted, weighted and of three regions */
	for (int weighted = 0; weighted < 3; weighted++)
		for (int g = 0; g < 2; g++) {
			iso_prior p = iso_prior_relative_difference(&grid, gammas[g], 0.5);
			p.kappa = weighted ? kappa : NULL;
			p.region = weighted == 2 ? region : NULL;
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

/* What is uniform in each region costs nothing, however the regions differ; a voxel that differs from its region does, alone by the pairs within
 * it. Here one of the middle, whose neighbours along x belong to others: 26 - 18 pairs in its slab of x. */
static void test_regions(void)
{
	const iso_grid grid = box();
	iso_sums sums = sums_of(N);
	float x[N], gradient[N], curvature[N];
	int32_t region[N];
	for (size_t n = 0; n < N; n++) {
		region[n] = 10 - (int32_t)(n % NX);
		x[n] = (float)(1 + n % NX * (n % NX));
	}
	iso_prior p = iso_prior_relative_difference(&grid, 2, 1e-3);
	CU_ASSERT(iso_prior_value(&p, &sums, x) > 1);
	p.region = region;
	CU_ASSERT_EQUAL(iso_prior_value(&p, &sums, x), 0.0);
	iso_prior_gradient(&p, x, 2, gradient);
	for (size_t n = 0; n < N; n++) CU_ASSERT_EQUAL(gradient[n], 0.0F);
	iso_prior_curvature(&p, 2, curvature);
	const size_t middle = 3 + NX * (2 + NY * 3);
	double weights = 0, expected = 0;
	const double d = 0.5, all = 2 * (double)x[middle] + d + p.gamma * d + p.epsilon;
	for (int n = 1; n < 27; n += 3) weights += p.weight[n];
	expected = weights * d * d / all;
	ISO_ASSERT_NEAR((double)curvature[middle] / weights, 1, 1e-6);
	x[middle] += (float)d;
	ISO_ASSERT_NEAR(iso_prior_value(&p, &sums, x) / expected, 1, 1e-6);
	iso_sums_release(&sums);
}

/* Labels of 0.5 mm: a ball of 7 in a cube of 2, both beside the middle. In voxels of 1 mm that the ball fills by more than half the region is 7, and
 * what the cube's border halves is the smaller label's. The fractions are sums over the same label voxels. */
static void test_majority(void)
{
	const iso_grid fine = iso_grid_centred((const size_t[]){20, 20, 20}, (const double[]){0.5, 0.5, 0.5},
					       (const double[]){1, 2, 3}),
		       grid = iso_grid_centred((const size_t[]){12, 12, 12}, (const double[]){1, 1, 1},
					       (const double[]){1, 2, 3});
	iso_error err;
	iso_image *labels;
	int32_t *region;
	ISO_ASSERT_OK(iso_image_create(&fine, ISO_UNIT_LABEL, &labels, &err), err);
	for (size_t v = 0; v < 8000; v++) {
		const double at[3] = {(double)(v % 20) - 9.2, (double)(v / 20 % 20) - 9.6, (double)(v / 400) - 9.9};
		labels->voxels[v] = at[0] * at[0] + at[1] * at[1] + at[2] * at[2] < 36 ? 7 : v % 20 > 0 ? 2 : 0;
	}
	ISO_ASSERT_OK(iso_prior_regions_find(labels, &grid, 3, &region, &err), err);
	size_t balls = 0, cubes = 0;
	for (size_t v = 0; v < 1728; v++) {
		const size_t at[3] = {v % 12, v / 12 % 12, v / 144};
		size_t ball = 0, cube = 0;
		for (size_t n = 0; n < 8; n++) {
			/* the grid is wider than the labels by a voxel on each side */
			const size_t i = 2 * at[0] + n % 2 - 2, j = 2 * at[1] + n / 2 % 2 - 2,
				     k = 2 * at[2] + n / 4 - 2;
			if (i >= 20 || j >= 20 || k >= 20) continue;
			const float label = labels->voxels[i + 20 * (j + 20 * k)];
			ball += label == 7;
			cube += label == 2;
		}
		const int32_t expected = ball > cube && ball > 8 - ball - cube ? 7 : cube > 8 - ball - cube ? 2 : 0;
		CU_ASSERT_EQUAL(region[v], expected);
		balls += region[v] == 7;
		cubes += region[v] == 2;
	}
	printf("# %zu voxels of the ball, %zu of the cube\n", balls, cubes);
	CU_ASSERT(balls > 80 && cubes > 700);
	free(region);
	for (size_t v = 0; v < 8000; v++) labels->voxels[v] = 0;
	CU_ASSERT_EQUAL(iso_prior_regions_find(labels, &grid, 1, &region, &err), ISO_BAD_INPUT);
	iso_image_free(labels);
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
    {"nothing across the borders of regions", test_regions},
    {"a voxel's region is the label that fills most of it", test_majority},
};

ISO_TEST_MAIN("recon-prior", tests)
