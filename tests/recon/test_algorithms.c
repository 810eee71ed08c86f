/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the algorithms converge to, on noise-free chords of a phantom of two regions. */
#include <stdio.h>

#include "recon/sensitivity.h"
#include "tests/recon/fixtures.h"

/* Two cylinders around parallel axes, their edges ramps: each is twelve cylinders of radii first, first + step ..; at a sharp
 * edge an image of 2 mm voxels rings by tens of percent far into the object. They are longer than the scanner. */
typedef struct rod {
	double x_mm, first_mm, step_mm, value;
} rod;
static const rod rods[] = {{0, 15.25, 0.5, 10}, {7, 3, 0.5, 20}};
enum { PARTS = 12, MOST_SUBSETS = 8 };
static const double duration_s = 100;

/* Every pair once, with what it expects, shared out among subsets of time: in subset k pair i has a part of its counts that
 * is unequal by chance but adds up to all, as measured events have. */
typedef struct phantom {
	iso_scanner *scanner;
	iso_system *system;
	iso_image *sensitivity;
	iso_grid grid;
	iso_event *pairs;
	float *counts, *additive, *shared; /* shared: [subset][pair] */
	size_t count, next;
	double total;
	unsigned subset;
	iso_data data;
	iso_data_model model;
} phantom;

static iso_status phantom_rewind(void *self, unsigned subset, iso_error *err)
{
	(void)err;
	phantom *p = self;
	p->next = 0;
	p->subset = subset;
	return ISO_OK;
}

static iso_status phantom_next(void *self, iso_data_block *block, iso_error *err)
{
	(void)err;
	phantom *p = self;
	const size_t left = p->count - p->next;
	block->count = left < ISO_BLOCK_LINES ? left : ISO_BLOCK_LINES;
	block->lines = iso_system_lines(p->system);
	block->counts = p->shared + p->subset * p->count + p->next;
	block->additive = p->additive + p->next;
	if (block->count) iso_system_aim(p->system, p->pairs + p->next, block->count);
	p->next += block->count;
	return ISO_OK;
}

static double rod_mm(const float *p, const float *q, const rod *r, double x_mm, double y_mm)
{
	const float from[3] = {p[0] - (float)x_mm, p[1] - (float)y_mm, p[2]},
		    to[3] = {q[0] - (float)x_mm, q[1] - (float)y_mm, q[2]};
	double sum = 0;
	for (int m = 0; m < PARTS; m++) sum += chord_mm(from, to, r->first_mm + r->step_mm * m, 20) / PARTS;
	return sum;
}

/* Blurred across z by a Gaussian, as the mean over displaced rods: Gauss-Hermite quadrature of three nodes along x and y. */
static double expected_counts(const iso_scanner *s, const iso_event *pair, double sigma_mm)
{
	static const double node[3] = {-1.7320508, 0, 1.7320508}, weight[3] = {1.0 / 6, 2.0 / 3, 1.0 / 6};
	const float *p = s->position_mm + 3 * (size_t)pair->element[0],
		    *q = s->position_mm + 3 * (size_t)pair->element[1];
	double sum = 0;
	for (size_t r = 0; r < sizeof rods / sizeof *rods; r++)
		for (int n = 0; n < 9; n++) {
			if (sigma_mm <= 0 && n != 4) continue;
			const double part = sigma_mm > 0 ? weight[n % 3] * weight[n / 3] : 1;
			sum += rods[r].value * part *
			       rod_mm(p, q, rods + r, rods[r].x_mm + sigma_mm * node[n % 3], sigma_mm * node[n / 3]);
		}
	return duration_s * iso_pair_factor(s, pair->element[0], pair->element[1]) * sum;
}

static void share_out(phantom *p, unsigned subsets)
{
	iso_random random = iso_random_begin(9, subsets);
	for (size_t n = 0; n < p->count; n++) {
		double part[MOST_SUBSETS], sum = 0;
		for (unsigned k = 0; k < subsets; k++) sum += part[k] = 0.2 + iso_random_uniform(&random);
		for (unsigned k = 0; k < subsets; k++)
			p->shared[k * p->count + n] = (float)((double)p->counts[n] * part[k] / sum);
	}
	p->model.subsets = subsets;
}

static phantom *phantom_create(double psf_fwhm_mm)
{
	phantom *p = calloc(1, sizeof *p);
	iso_error err;
	p->scanner = small_scanner(5, 72);
	p->grid = cube_grid(24, 10, 2);
	p->count = all_pairs(p->scanner, &p->pairs);
	const iso_resolution resolution = {.psf_fwhm_mm = psf_fwhm_mm};
	ISO_ASSERT_OK(iso_sensitivity(p->scanner, &p->grid, NULL, 0, 0, NULL, &p->sensitivity, &err), err);
	ISO_ASSERT_OK(iso_system_create(p->scanner, &p->grid, &resolution, NULL, 0, &p->system, &err), err);
	const iso_operator *g = iso_system_image_model(p->system);
	if (g) {
		float *sharp = malloc(iso_grid_voxels(&p->grid) * sizeof *sharp);
		memcpy(sharp, p->sensitivity->voxels, iso_grid_voxels(&p->grid) * sizeof *sharp);
		memset(p->sensitivity->voxels, 0, iso_grid_voxels(&p->grid) * sizeof *sharp);
		ISO_ASSERT_OK(g->adjoint(g->self, sharp, p->sensitivity->voxels, &err), err);
		free(sharp);
	}
	p->counts = malloc(p->count * sizeof *p->counts);
	p->additive = calloc(p->count, sizeof *p->additive);
	p->shared = malloc(MOST_SUBSETS * p->count * sizeof *p->shared);
	for (size_t n = 0; n < p->count; n++) {
		p->counts[n] = (float)expected_counts(p->scanner, p->pairs + n, psf_fwhm_mm / 2.35482);
		p->total += (double)p->counts[n];
	}
	p->data = (iso_data){.self = p, .total = p->total, .rewind = phantom_rewind, .next = phantom_next};
	p->model = (iso_data_model){.voxels = iso_grid_voxels(&p->grid),
				    .image_model = g,
				    .sensitivity = p->sensitivity->voxels,
				    .sensitivity_scale = duration_s,
				    .support = ISO_SUPPORT,
				    .data = &p->data};
	return p;
}

static void phantom_free(phantom *p)
{
	iso_system_free(p->system);
	iso_image_free(p->sensitivity);
	iso_scanner_free(p->scanner);
	free(p->pairs);
	free(p->counts);
	free(p->additive);
	free(p->shared);
	free(p);
}

static float *solved(phantom *p, const iso_method *method, unsigned subsets, double *objectives, iso_solution *solution)
{
	iso_solution unwanted;
	iso_error err;
	float *x = malloc(p->model.voxels * sizeof *x);
	share_out(p, subsets);
	if (!solution) solution = &unwanted;
	*solution = (iso_solution){0};
	ISO_ASSERT_OK(iso_solve(&p->model, method, &p->grid, NULL, solution, x, objectives, &err), err);
	return x;
}

/* |a - b| / |b| over the central slices and 12 mm around the axis, where all lines go. */
static double distance(const phantom *p, const float *a, const float *b)
{
	double d = 0, norm = 0;
	for (size_t n = 0; n < p->model.voxels; n++) {
		const double index[3] = {(double)(n % 24), (double)(n / 24 % 24), (double)(n / (24 * 24))};
		double at[3];
		iso_grid_point_mm(&p->grid, index, at);
		if (hypot(at[0], at[1]) > 20 || fabs(at[2]) > 7) continue;
		d += pow((double)a[n] - (double)b[n], 2);
		norm += pow((double)b[n], 2);
	}
	return sqrt(d / norm);
}

/* Mean over the voxels within radius_mm of (x_mm, 0), |z| <= 5 mm. */
static double region(const phantom *p, const float *x, double x_mm, double radius_mm)
{
	double sum = 0, count = 0;
	for (size_t n = 0; n < p->model.voxels; n++) {
		const double index[3] = {(double)(n % 24), (double)(n / 24 % 24), (double)(n / (24 * 24))};
		double at[3];
		iso_grid_point_mm(&p->grid, index, at);
		if (hypot(at[0] - x_mm, at[1]) > radius_mm || fabs(at[2]) > 5) continue;
		sum += (double)x[n];
		count++;
	}
	return sum / count;
}

static const iso_method mlem = {.algorithm = ISO_ALGORITHM_MLEM, .iterations = 60};
static const iso_method osem = {.algorithm = ISO_ALGORITHM_OSEM, .iterations = 15};
static const iso_method bsrem = {
    .algorithm = ISO_ALGORITHM_BSREM, .penalty = {0.05, 2}, .relaxation = 0.1, .iterations = 30};

/* The hot rod is 30 within 3 mm of its axis, the rest 10 as far as 15.25 mm: its mean over a disc on the far side. */
static void test_region_means(void)
{
	const struct {
		const char *name;
		const iso_method *method;
		unsigned subsets;
		double psf_fwhm_mm;
	} ways[] = {{"MLEM", &mlem, 1, 0}, {"OSEM", &osem, 4, 0}, {"BSREM", &bsrem, 4, 0},
		    {"MLEM", &mlem, 1, 2}, {"OSEM", &osem, 4, 2}, {"BSREM", &bsrem, 4, 2}};
	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
		phantom *p = phantom_create(ways[w].psf_fwhm_mm);
		float *x = solved(p, ways[w].method, ways[w].subsets, NULL, NULL);
		const double hot = region(p, x, 7, 3), warm = region(p, x, -7, 5);
		printf("# %s, resolution model %g mm: hot %.3f of 30, warm %.3f of 10\n", ways[w].name,
		       ways[w].psf_fwhm_mm, hot, warm);
		ISO_ASSERT_NEAR(hot / 30, 1, 0.01);
		ISO_ASSERT_NEAR(warm / 10, 1, 0.01);
		free(x);
		phantom_free(p);
	}
}

static void test_subset_independence(void)
{
	phantom *p = phantom_create(0);
	const double relax[] = {0.05, 0.1, 0.3, 1};
	const double betas[] = {0.05, 0.5, 2};
	for (int b = 0; b < 3; b++) {
		iso_method longrun = {
		    .algorithm = ISO_ALGORITHM_BSREM, .penalty = {betas[b], 2}, .relaxation = 0, .iterations = 600};
		double obj[600];
		iso_solution s;
		float *limit = solved(p, &longrun, 1, obj, &s);
		printf("# beta %g limit change %g obj %.8g %.8g hot %.3f warm %.3f\n", betas[b], s.change, obj[300],
		       obj[599], region(p, limit, 7, 3), region(p, limit, -7, 5));
		for (int r = 0; r < 4; r++)
			for (unsigned k = 1; k <= 8; k *= 2)
				for (unsigned it = 20; it <= 60; it *= 3) {
					iso_method m = {.algorithm = ISO_ALGORITHM_BSREM,
							.penalty = {betas[b], 2},
							.relaxation = relax[r],
							.iterations = it};
					float *x = solved(p, &m, k, NULL, &s);
					printf("# beta %g relax %g K %u it %u: distance %.5f change %.2g\n", betas[b],
					       relax[r], k, it, distance(p, x, limit), s.change);
					free(x);
				}
		free(limit);
	}
	phantom_free(p);
}

static const iso_test tests[] = {
    {"region means", test_region_means},
    {"subsets", test_subset_independence},
};

ISO_TEST_MAIN("recon-algorithms", tests)
