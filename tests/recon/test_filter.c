/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <omp.h>

#include "recon/filter.h"
#include "recon/system.h"
#include "tests/recon/fixtures.h"

#define PI 3.14159265358979323846

static iso_grid grid_of(size_t nx, size_t ny, size_t nz, double vx, double vy, double vz)
{
	const size_t size[3] = {nx, ny, nz};
	const double voxel[3] = {vx, vy, vz}, centre[3] = {0, 0, 0};
	return iso_grid_centred(size, voxel, centre);
}

static double sum_of(const float *v, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++) sum += (double)v[i];
	return sum;
}

/* A point becomes the normalised Gaussian at the voxel centres. Single-precision transforms of length 64 err by about
 * 6e-8 * log2(64) * few of the largest value: 2e-6 of the peak. */
static void test_gaussian_of_a_point(void)
{
	const iso_grid g = grid_of(41, 36, 33, 1.0, 1.25, 1.5);
	const iso_filter f = {.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = 5};
	const double sigma = 5 / sqrt(8 * log(2.0));
	float *v = calloc(41 * 36 * 33, sizeof *v);
	iso_error err;
	v[20 + 41 * (17 + 36 * 16)] = 1000;
	ISO_ASSERT_OK(iso_filter_apply(&f, &g, v, 0, &err), err);
	ISO_ASSERT_NEAR(sum_of(v, 41 * 36 * 33), 1000, 1000 * 1e-5);
	/* the sum of a sampled Gaussian with sigma of >= 1.4 voxels is its integral to 1e-16 */
	const double peak = 1000 * 1.0 * 1.25 * 1.5 / pow(2 * PI * sigma * sigma, 1.5);
	double worst = 0;
	for (int k = 0; k < 33; k++)
		for (int j = 0; j < 36; j++)
			for (int i = 0; i < 41; i++) {
				const double x = i - 20, y = 1.25 * (j - 17), z = 1.5 * (k - 16);
				const double want = peak * exp(-(x * x + y * y + z * z) / (2 * sigma * sigma));
				worst = fmax(worst, fabs((double)v[i + 41 * (j + 36 * k)] - want));
			}
	ISO_ASSERT_NEAR(worst, 0, 5e-6 * peak);
	/* second moment along x is sigma^2: FWHM = 2.3548 sigma */
	double m2 = 0;
	for (int k = 0; k < 33; k++)
		for (int j = 0; j < 36; j++)
			for (int i = 0; i < 41; i++)
				m2 += (double)v[i + 41 * (j + 36 * k)] * (i - 20) * (i - 20) / 1000;
	ISO_ASSERT_NEAR(sqrt(m2) * sqrt(8 * log(2.0)), 5, 0.01);
	free(v);
}

/* A point at one end must not turn up at the other, and its counts stay in the image. */
static void test_nothing_wraps_around(void)
{
	const iso_grid g = grid_of(40, 40, 40, 1, 1, 1);
	const iso_filter filters[] = {{.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = 6},
				      {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = 0.1, .order = 1}};
	float *v = malloc(64000 * sizeof *v);
	iso_error err;
	for (int n = 0; n < 2; n++) {
		memset(v, 0, 64000 * sizeof *v);
		v[0] = 1;
		ISO_ASSERT_OK(iso_filter_apply(filters + n, &g, v, 0, &err), err);
		ISO_ASSERT_NEAR(sum_of(v, 64000), 1, 1e-5);
		CU_ASSERT(v[0] > 1e-3F);
		CU_ASSERT(fabsf(v[39]) < 1e-4F * v[0]);
		CU_ASSERT(fabsf(v[39 * 40]) < 1e-4F * v[0]);
		CU_ASSERT(fabsf(v[39 * 1600]) < 1e-4F * v[0]);
	}
	free(v);
}

/* A Gaussian narrower than a voxel stays non-negative (to rounding) and keeps the sum. */
static void test_narrow_gaussian_is_positive(void)
{
	const iso_grid g = grid_of(32, 1, 31, 1, 1, 1);
	const iso_filter f = {.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = 0.9};
	float v[32 * 31] = {0};
	iso_error err;
	v[16 + 32 * 15] = 1;
	ISO_ASSERT_OK(iso_filter_apply(&f, &g, v, 0, &err), err);
	float least = 0;
	for (int n = 0; n < 32 * 31; n++) least = fminf(least, v[n]);
	CU_ASSERT(least > -1e-6F);
	ISO_ASSERT_NEAR(sum_of(v, 32 * 31), 1, 1e-5);
}

/* cos(pi m (i + 1/2) / n) has the frequency m / (2 n voxel) and its own mirror images: the filter multiplies it by H.
 * At the cutoff H = 1/2; at f = 2 fc and order 2: 1 / (1 + 2^4) = 1/17. */
static void test_butterworth_amplitude(void)
{
	const iso_grid g = grid_of(64, 48, 4, 0.5, 0.5, 0.5);
	iso_error err;
	float *v = malloc(64 * 48 * 4 * sizeof *v);
	for (int m = 8; m <= 16; m += 8) {
		const iso_filter f = {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = 8 / (2 * 64 * 0.5), .order = 2};
		for (int n = 0; n < 64 * 48 * 4; n++) v[n] = (float)cos(PI * m * (n % 64 + 0.5) / 64);
		ISO_ASSERT_OK(iso_filter_apply(&f, &g, v, 0, &err), err);
		double worst = 0;
		for (int n = 0; n < 64 * 48 * 4; n++)
			worst = fmax(
			    worst, fabs((double)v[n] - (m == 8 ? 0.5 : 1.0 / 17) * cos(PI * m * (n % 64 + 0.5) / 64)));
		ISO_ASSERT_NEAR(worst, 0, 1e-5);
	}
	/* Radial: frequencies a = 6/(2 64) along x and b = 6/(2 48) along y (per voxel) together have sqrt(a^2 + b^2). */
	const double fx = 6 / (2 * 64 * 0.5), fy = 6 / (2 * 48 * 0.5);
	const iso_filter f = {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = sqrt(fx * fx + fy * fy), .order = 3.5};
	for (int n = 0; n < 64 * 48 * 4; n++)
		v[n] = (float)(cos(PI * 6 * (n % 64 + 0.5) / 64) * cos(PI * 6 * (n / 64 % 48 + 0.5) / 48));
	const float before = v[5 + 64 * 7];
	ISO_ASSERT_OK(iso_filter_apply(&f, &g, v, 0, &err), err);
	ISO_ASSERT_NEAR(v[5 + 64 * 7], 0.5 * (double)before, 1e-5);
	free(v);
}

/* <a, G b> = <G a, b> to float rounding, for random images with much at the faces. */
static void test_self_adjoint(void)
{
	const iso_grid g = grid_of(23, 17, 19, 1, 2, 1.5);
	const size_t n = 23 * 17 * 19;
	const iso_filter filters[] = {{.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = 4},
				      {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = 0.15, .order = 3}};
	float *a = malloc(4 * n * sizeof *a), *b = a + n, *ga = b + n, *gb = ga + n;
	iso_random random = iso_random_begin(1, 2);
	for (size_t i = 0; i < 2 * n; i++) a[i] = (float)iso_random_uniform(&random);
	for (int f = 0; f < 2; f++) {
		iso_error err;
		memcpy(ga, a, 2 * n * sizeof *a);
		ISO_ASSERT_OK(iso_filter_apply(filters + f, &g, ga, 0, &err), err);
		ISO_ASSERT_OK(iso_filter_apply(filters + f, &g, gb, 0, &err), err);
		double left = 0, right = 0;
		for (size_t i = 0; i < n; i++) {
			left += (double)a[i] * (double)gb[i];
			right += (double)ga[i] * (double)b[i];
		}
		ISO_ASSERT_NEAR(left / right, 1, 1e-6);
	}
	free(a);
}

static void test_same_bits_for_any_threads(void)
{
	const iso_grid g = grid_of(37, 29, 31, 1, 1, 1);
	const size_t n = 37 * 29 * 31;
	float *first = malloc(n * sizeof *first), *v = malloc(n * sizeof *v);
	const iso_filter filters[] = {{.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = 3},
				      {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = 0.2, .order = 4}};
	const int threads[] = {1, 2, 3, 8};
	for (int f = 0; f < 2; f++)
		for (int t = 0; t < 4; t++) {
			iso_error err;
			iso_random random = iso_random_begin(7, 7);
			for (size_t i = 0; i < n; i++) v[i] = (float)iso_random_uniform(&random);
			ISO_ASSERT_OK(iso_filter_apply(filters + f, &g, v, threads[t], &err), err);
			if (t == 0) memcpy(first, v, n * sizeof *v);
			CU_ASSERT(memcmp(first, v, n * sizeof *v) == 0);
		}
	free(first);
	free(v);
}

static void test_bad_filters(void)
{
	const iso_grid g = grid_of(4, 4, 4, 1, 1, 1);
	float v[64] = {0};
	iso_error err;
	const iso_filter bad[] = {{.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = 0},
				  {.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = (double)NAN},
				  {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = -1, .order = 2},
				  {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = 0.1, .order = 0}};
	for (size_t n = 0; n < sizeof bad / sizeof *bad; n++) {
		CU_ASSERT_EQUAL(iso_filter_apply(bad + n, &g, v, 0, &err), ISO_BAD_USAGE);
		CU_ASSERT(err.message[0] && err.remedy[0]);
	}
}

/* A point's image is two Gaussians: its sum is kept, its variance along an axis is 0.7 s1^2 + 0.3 s2^2, and G' = G. Gaussians at voxel
 * centres of 2 mm whose s is above 2 mm have their variance to 1e-6 (1 - 8 pi^2 (s/h)^2 exp(-2 pi^2 (s/h)^2)). */
static void test_resolution_tail(void)
{
	iso_scanner *s = small_scanner(2, 72);
	iso_error err;
	iso_system *system;
	const iso_grid g = cube_grid(31, 31, 2);
	const size_t n = iso_grid_voxels(&g), middle = n / 2;
	const iso_resolution resolution = {.psf_fwhm_mm = 5, .tail_share = 0.3, .tail_fwhm_mm = 8};
	ISO_ASSERT_OK(iso_system_create(s, &g, &resolution, NULL, 0, &system, &err), err);
	const iso_operator *model = iso_system_image_model(system);
	float *x = calloc(3 * n, sizeof *x), *y = x + n, *back = x + 2 * n;
	x[middle] = 1;
	ISO_ASSERT_OK(model->forward(model->self, x, y, &err), err);
	ISO_ASSERT_OK(model->adjoint(model->self, x, back, &err), err);
	double sum = 0, squares = 0;
	for (size_t v = 0; v < n; v++) {
		const double d = 2 * ((double)(v % 31) - 15);
		sum += (double)y[v];
		squares += (double)y[v] * d * d;
		ISO_ASSERT_NEAR(back[v], y[v], 1e-7);
	}
	ISO_ASSERT_NEAR(sum, 1, 1e-5);
	ISO_ASSERT_NEAR(squares / ((0.7 * 25 + 0.3 * 64) / 5.545177), 1, 1e-3);
	free(x);
	iso_system_free(system);
	iso_scanner_free(s);
}

static const iso_test tests[] = {
    {"a point becomes the analytic Gaussian", test_gaussian_of_a_point},
    {"nothing wraps around", test_nothing_wraps_around},
    {"a narrow Gaussian is not negative", test_narrow_gaussian_is_positive},
    {"Butterworth's amplitude at and beyond the cutoff", test_butterworth_amplitude},
    {"filters are their own adjoints", test_self_adjoint},
    {"the same bits for any number of threads", test_same_bits_for_any_threads},
    {"a resolution with a tail", test_resolution_tail},
    {"filters that make no sense", test_bad_filters},
};

ISO_TEST_MAIN("recon-filter", tests)
