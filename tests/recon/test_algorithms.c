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
	iso_line_block *lines;
	float *counts, *additive, *shared; /* in the order of lines; shared: [subset][pair] */
	size_t count;
	bool done;
	double total;
	unsigned subset;
	iso_data data;
	iso_data_model model;
} phantom;

static iso_status phantom_rewind(void *self, unsigned subset, iso_error *err)
{
	(void)err;
	phantom *p = self;
	p->done = false;
	p->subset = subset;
	return ISO_OK;
}

static iso_status phantom_next(void *self, iso_data_block *block, iso_error *err)
{
	(void)err;
	phantom *p = self;
	*block = (iso_data_block){.lines = iso_system_lines(p->system),
				  .counts = p->shared + p->subset * p->count,
				  .additive = p->additive,
				  .count = p->done ? 0 : p->count};
	p->done = true;
	if (block->count) iso_system_aim(p->system, p->lines);
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
	/* as Poisson events do, a line's part of a subset varies the more, the more subsets there are */
	const double spread = 0.6 * sqrt(subsets / (double)MOST_SUBSETS);
	iso_random random = iso_random_begin(9, subsets);
	for (size_t n = 0; n < p->count; n++) {
		double part[MOST_SUBSETS], sum = 0;
		for (unsigned k = 0; k < subsets; k++)
			sum += part[k] = 1 + spread * (2 * iso_random_uniform(&random) - 1);
		for (unsigned k = 0; k < subsets; k++)
			p->shared[k * p->count + n] = (float)((double)p->counts[n] * part[k] / sum);
	}
	p->model.subsets = subsets;
}

static phantom *phantom_create(uint32_t rings, uint32_t crystals, double psf_fwhm_mm)
{
	phantom *p = calloc(1, sizeof *p);
	iso_error err;
	p->scanner = small_scanner(rings, crystals);
	p->grid = cube_grid(24, 2 * rings, 2);
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
	p->lines = block_of(p->system, p->scanner, p->pairs, p->count);
	p->counts = malloc(p->count * sizeof *p->counts);
	p->additive = calloc(p->count, sizeof *p->additive);
	p->shared = malloc(MOST_SUBSETS * p->count * sizeof *p->shared);
	for (size_t n = 0; n < p->count; n++) {
		p->counts[n] = (float)expected_counts(p->scanner, p->pairs + n, psf_fwhm_mm / 2.35482);
		p->total += (double)p->counts[n];
	}
	p->data =
	    (iso_data){.self = p, .total = p->total, .most = p->count, .rewind = phantom_rewind, .next = phantom_next};
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
	iso_line_block_free(p->lines);
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

/* |a - b| / |b| within 20 mm of the axis. */
static double distance(const phantom *p, const float *a, const float *b)
{
	double d = 0, norm = 0;
	for (size_t n = 0; n < p->model.voxels; n++) {
		const double index[3] = {(double)(n % 24), (double)(n / 24 % 24), (double)(n / (24 * 24))};
		double at[3];
		iso_grid_point_mm(&p->grid, index, at);
		if (hypot(at[0], at[1]) > 20) continue;
		d += pow((double)a[n] - (double)b[n], 2);
		norm += pow((double)b[n], 2);
	}
	return sqrt(d / norm);
}

/* Mean over the voxels within radius_mm of (x_mm, 0), |z| <= 4 mm. */
static double region(const phantom *p, const float *x, double x_mm, double radius_mm)
{
	double sum = 0, count = 0;
	for (size_t n = 0; n < p->model.voxels; n++) {
		const double index[3] = {(double)(n % 24), (double)(n / 24 % 24), (double)(n / (24 * 24))};
		double at[3];
		iso_grid_point_mm(&p->grid, index, at);
		if (hypot(at[0] - x_mm, at[1]) > radius_mm || fabs(at[2]) > 4) continue;
		sum += (double)x[n];
		count++;
	}
	return sum / count;
}

static const iso_method mlem = {.algorithm = ISO_ALGORITHM_MLEM, .iterations = 60};
static const iso_method osem = {.algorithm = ISO_ALGORITHM_OSEM, .iterations = 15};
static const iso_method bsrem = {
    .algorithm = ISO_ALGORITHM_BSREM, .penalty = {.beta = 0.05, .gamma = 2}, .relaxation = 0.1, .iterations = 30};

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
		phantom *p = phantom_create(5, 72, ways[w].psf_fwhm_mm);
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

/* The limit is that of 500 full steps of one subset. From 1, 2, 4 and 8 subsets the images come to lie within 2 % of it (root of
 * the sum of squares over all voxels), their region means within 0.5 %, and twice the iterations bring each nearer; OSEM's stay
 * where their subsets hold them. */
static void test_subset_independence(void)
{
	phantom *p = phantom_create(3, 48, 0);
	iso_method method = {.algorithm = ISO_ALGORITHM_BSREM,
			     .penalty = {.beta = 1, .gamma = 2},
			     .relaxation = 0.03,
			     .iterations = 500};
	iso_solution solution;
	float *limit = solved(p, &method, 1, NULL, &solution);
	const double hot = region(p, limit, 7, 3), warm = region(p, limit, -7, 5);
	printf("# limit: last change %.2g, hot %.3f, warm %.3f\n", solution.change, hot, warm);
	for (unsigned k = 1; k <= MOST_SUBSETS; k *= 2) {
		double d[2];
		for (int longer = 0; longer < 2; longer++) {
			method.iterations = (k == 1 ? 80 : 40) << longer;
			float *x = solved(p, &method, k, NULL, NULL);
			d[longer] = distance(p, x, limit);
			printf("# %u subsets, %u iterations: distance %.5f, hot %+.3f %%, warm %+.3f %%\n", k,
			       method.iterations, d[longer], 100 * (region(p, x, 7, 3) / hot - 1),
			       100 * (region(p, x, -7, 5) / warm - 1));
			if (longer) {
				ISO_ASSERT_NEAR(region(p, x, 7, 3) / hot, 1, 5e-3);
				ISO_ASSERT_NEAR(region(p, x, -7, 5) / warm, 1, 5e-3);
			}
			free(x);
		}
		CU_ASSERT(d[1] < 0.02 && d[1] < d[0]);
	}
	free(limit);
	phantom_free(p);
}

/* An image that is uniform in each region maximises the likelihood of its own counts, and the prior asks nothing of it: that is the limit however
 * strong the prior is. Without regions the same prior takes activity out of the hot one. 100 iterations come within 1 %. */
static void test_regions_keep_activity(void)
{
	phantom *p = phantom_create(3, 48, 0);
	iso_error err;
	const iso_operator *lines = iso_system_lines(p->system);
	float *truth = calloc(p->model.voxels, sizeof *truth), *sums = malloc(p->count * sizeof *sums);
	int32_t *of_voxel = malloc(p->model.voxels * sizeof *of_voxel);
	for (size_t n = 0; n < p->model.voxels; n++) {
		const double index[3] = {(double)(n % 24), (double)(n / 24 % 24), (double)(n / (24 * 24))};
		double at[3];
		iso_grid_point_mm(&p->grid, index, at);
		of_voxel[n] = hypot(at[0] - 7, at[1]) < 6 ? 2 : hypot(at[0], at[1]) < 18 ? 1 : 0;
		truth[n] = of_voxel[n] == 2 ? 30 : of_voxel[n] == 1 ? 10 : 0;
	}
	iso_system_aim(p->system, p->lines);
	ISO_ASSERT_OK(lines->forward(lines->self, truth, sums, &err), err);
	p->total = 0;
	for (size_t n = 0; n < p->count; n++) {
		const uint32_t *element = p->pairs[n].element;
		p->counts[n] = (float)(duration_s * iso_pair_factor(p->scanner, element[0], element[1])) * sums[n];
		p->total += (double)p->counts[n];
	}
	p->data.total = p->total;
	iso_method method = {.algorithm = ISO_ALGORITHM_BSREM, .penalty = {.beta = 5, .gamma = 2}, .iterations = 100};
	double hot[2], warm[2];
	for (int guided = 0; guided < 2; guided++) {
		method.penalty.region = guided ? of_voxel : NULL;
		float *x = solved(p, &method, 1, NULL, NULL);
		hot[guided] = region(p, x, 7, 5.9);
		warm[guided] = region(p, x, -7, 5);
		free(x);
	}
	printf("# strong prior: hot %.2f of 30, warm %.2f of 10; with regions %.2f, %.2f\n", hot[0], warm[0], hot[1],
	       warm[1]);
	CU_ASSERT(hot[0] < 0.9 * 30);
	ISO_ASSERT_NEAR(hot[1] / 30, 1, 0.01);
	ISO_ASSERT_NEAR(warm[1] / 10, 1, 0.01);
	free(truth);
	free(sums);
	free(of_voxel);
	phantom_free(p);
}

/* On the same counts, fewer subsets with as many updates end nearer to MLEM. */
static void test_osem_tends_to_mlem(void)
{
	phantom *p = phantom_create(3, 48, 0);
	iso_method method = {.algorithm = ISO_ALGORITHM_MLEM, .iterations = 48};
	float *limit = solved(p, &method, 1, NULL, NULL);
	double before = (double)INFINITY;
	method.algorithm = ISO_ALGORITHM_OSEM;
	for (unsigned k = 8; k >= 1; k /= 2) {
		method.iterations = 48 / k;
		float *x = solved(p, &method, k, NULL, NULL);
		const double d = distance(p, x, limit);
		printf("# OSEM of %u subsets is %.5f from MLEM\n", k, d);
		CU_ASSERT(d < before);
		if (k == 1) CU_ASSERT_EQUAL(d, 0.0);
		before = d;
		free(x);
	}
	free(limit);
	phantom_free(p);
}

/* With beta = 0 and one subset a step is MLEM's, up to the floor of 1e-4 of the mean and the rounding of two ways to write it; and
 * the smaller beta, the nearer. */
static void test_no_prior_is_mlem(void)
{
	phantom *p = phantom_create(3, 48, 0);
	iso_method method = {.algorithm = ISO_ALGORITHM_MLEM, .iterations = 20};
	float *limit = solved(p, &method, 1, NULL, NULL);
	method.algorithm = ISO_ALGORITHM_BSREM;
	method.relaxation = 0.1;
	const double betas[] = {1, 0.1, 0.01, 0};
	double before = (double)INFINITY;
	for (size_t b = 0; b < sizeof betas / sizeof *betas; b++) {
		method.penalty = (iso_penalty){.beta = betas[b], .gamma = 2};
		float *x = solved(p, &method, 1, NULL, NULL);
		const double d = distance(p, x, limit);
		printf("# beta %g mm2: %.6f from MLEM\n", betas[b], d);
		CU_ASSERT(d < before);
		before = d;
		free(x);
	}
	CU_ASSERT(before < 1e-3);
	free(limit);
	phantom_free(p);
}

/* Up to the rounding of the float projections: 1e-7 of each line's term. */
static void test_objective_rises(void)
{
	phantom *p = phantom_create(3, 48, 3);
	enum { ITERATIONS = 40 };
	const double betas[] = {0.1, 1, 100};
	for (size_t b = 0; b < sizeof betas / sizeof *betas; b++) {
		const iso_method method = {.algorithm = ISO_ALGORITHM_BSREM,
					   .penalty = {.beta = betas[b], .gamma = 2},
					   .iterations = ITERATIONS};
		double objective[ITERATIONS];
		float *x = solved(p, &method, 1, objective, NULL);
		for (int i = 1; i < ITERATIONS; i++)
			CU_ASSERT(objective[i] >= objective[i - 1] - 1e-7 * fabs(objective[i]));
		CU_ASSERT(objective[ITERATIONS - 1] > objective[0]);
		for (size_t n = 0; n < p->model.voxels; n++) CU_ASSERT_FATAL(isfinite(x[n]) && x[n] >= 0);
		free(x);
	}
	phantom_free(p);
}

typedef struct kept {
	float *x;
	size_t voxels;
	iso_solution solution;
	bool last;
} kept;

static iso_status keep_third(void *user, const iso_solution *solution, const float *x, bool last, iso_error *err)
{
	(void)err;
	kept *k = user;
	k->last = last;
	if (solution->iterations != 3) return ISO_OK;
	memcpy(k->x, x, k->voxels * sizeof *x);
	k->solution = *solution;
	return ISO_OK;
}

/* From the third iteration's image on, the same bits follow; and it stops when little changes. */
static void test_resume_and_stop(void)
{
	phantom *p = phantom_create(3, 48, 0);
	iso_error err;
	const size_t bytes = p->model.voxels * sizeof(float);
	const iso_method *ways[] = {&osem, &bsrem};
	for (size_t w = 0; w < 2; w++) {
		iso_method method = *ways[w];
		method.iterations = 7;
		kept k = {.x = malloc(bytes), .voxels = p->model.voxels};
		const iso_solver_listener listener = {.iterated = keep_third, .user = &k};
		iso_solution whole = {0};
		float *x = malloc(bytes);
		share_out(p, 4);
		ISO_ASSERT_OK(iso_solve(&p->model, &method, &p->grid, &listener, &whole, x, NULL, &err), err);
		CU_ASSERT(k.last && k.solution.iterations == 3 && whole.iterations == 7);
		ISO_ASSERT_OK(iso_solve(&p->model, &method, &p->grid, NULL, &k.solution, k.x, NULL, &err), err);
		CU_ASSERT(memcmp(x, k.x, bytes) == 0 && memcmp(&whole, &k.solution, sizeof whole) == 0);
		/* nothing is left to do */
		ISO_ASSERT_OK(iso_solve(&p->model, &method, &p->grid, NULL, &k.solution, k.x, NULL, &err), err);
		CU_ASSERT(memcmp(x, k.x, bytes) == 0);
		method.iterations = 1000;
		method.stop_change = 0.02;
		iso_solution stopped;
		free(x);
		x = solved(p, &method, 4, NULL, &stopped);
		CU_ASSERT(stopped.iterations < 100 && stopped.iterations > 1 && stopped.change < 0.02);
		free(k.x);
		free(x);
	}
	phantom_free(p);
}

static const iso_test tests[] = {
    {"region means without noise", test_region_means},
    {"BSREM: one limit for any number of subsets", test_subset_independence},
    {"regions keep their activity under a strong prior", test_regions_keep_activity},
    {"OSEM tends to MLEM as the subsets go to one", test_osem_tends_to_mlem},
    {"BSREM without a prior is MLEM", test_no_prior_is_mlem},
    {"the penalised likelihood rises", test_objective_rises},
    {"resumes to the same bits; stops when little changes", test_resume_and_stop},
};

ISO_TEST_MAIN("recon-algorithms", tests)
