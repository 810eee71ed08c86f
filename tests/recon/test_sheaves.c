/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Blocks of sheaves, with the kernels of every processor that this one can stand for, against the textbook kernel line by line; the
 * series of the TOF kernel against the error function. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "isotrace/isotrace.h"
#include "recon/projector.h"
#include "recon/row_groups.h"
#include "recon/textbook.h"
#include "recon/tof_kernel.h"
#include "tests/harness.h"

static iso_error err;
static const char *const kernels[] = {"avx512", "avx2", "baseline"};

/* A scanner, a grid in it and what is known of the time of flight. */
typedef struct sheaf_case {
	const char *name;
	uint32_t rings, crystals, layers; /* layers lie 7 mm behind one another */
	double radius_mm, spacing_mm;
	bool irregular; /* elements out of line: no columns */
	size_t size[3];
	double voxel_mm[3], centre_mm[3];
	iso_tof_kernel tof;
} sheaf_case;

static const sheaf_case cases[] = {
    {"rings around the grid", 19, 60, 1, 70, 3, false, {40, 44, 50}, {1.1, 1.2, 1.3}, {2, -3, 1}, {.sigma_mm = 0}},
    {"a grid that lines end in", 9, 48, 1, 30, 4, false, {50, 33, 21}, {1.7, 2.1, 1.5}, {0, 0, 0}, {.sigma_mm = 0}},
    {"a long scanner with steep lines",
     80,
     24,
     1,
     30,
     4,
     false,
     {23, 24, 130},
     {2, 2, 2.5},
     {0, 1, 0},
     {.sigma_mm = 0}},
    {"a grid longer than the scanner", 7, 40, 1, 50, 3, false, {30, 30, 71}, {2, 2, 1}, {0, 0, 9}, {.sigma_mm = 0}},
    {"two layers", 12, 30, 2, 45, 3, false, {31, 29, 33}, {1.9, 1.8, 1.1}, {0, 0, 0}, {.sigma_mm = 0}},
    {"elements out of line", 8, 40, 1, 50, 3, true, {30, 31, 17}, {2, 2, 1.5}, {0, 0, 0}, {.sigma_mm = 0}},
    {"one slice", 5, 60, 1, 60, 1, false, {64, 64, 1}, {1, 1, 3}, {0, 0, 0}, {.sigma_mm = 0}},
    {"TOF", 19, 60, 1, 70, 3, false, {40, 44, 50}, {1.1, 1.2, 1.3}, {2, -3, 1}, {8, 6, 5}},
    {"TOF with steep lines", 80, 24, 1, 30, 4, false, {23, 24, 130}, {2, 2, 2.5}, {0, 1, 0}, {9, 12, 5}},
    {"TOF bins of 25 sigmas", 19, 60, 1, 70, 3, false, {40, 44, 50}, {1.1, 1.2, 1.3}, {2, -3, 1}, {1, 25, 5}},
};
enum { cases_count = sizeof cases / sizeof *cases, lines_each = 3000 };

static iso_scanner *scanner_of(const sheaf_case *c)
{
	iso_scanner *scanner;
	const uint32_t ring = c->crystals * c->layers;
	ISO_ASSERT_OK(iso_scanner_create(c->rings * ring, c->name, &scanner, &err), err);
	iso_random random = iso_random_begin(31, 0);
	for (uint32_t e = 0; e < scanner->elements; e++) {
		const double angle = 2 * acos(-1) * (e % c->crystals) / c->crystals,
			     radius_mm = c->radius_mm + 7 * (e % ring / c->crystals);
		const double shift_mm = c->irregular ? iso_random_uniform(&random) : 0;
		float *p = scanner->position_mm + 3 * e, *n = scanner->normal + 3 * e;
		p[0] = (float)(radius_mm * cos(angle) + shift_mm);
		p[1] = (float)(radius_mm * sin(angle) - shift_mm);
		p[2] = (float)((e / ring - 0.5 * (c->rings - 1)) * c->spacing_mm);
		n[0] = (float)cos(angle);
		n[1] = (float)sin(angle);
	}
	scanner->tof = (iso_tof){.fwhm_ps = 100, .bin_ps = 50, .bins = c->tof.sigma_mm > 0 ? 41 : 0};
	return scanner;
}

/* Events in a block. A quarter of them between few columns, so that sheaves of all sizes occur. */
static iso_line_block *block_of(const sheaf_case *c, const iso_columns *columns, size_t count)
{
	iso_event *events = calloc(count, sizeof *events);
	iso_random random = iso_random_begin(32, 0);
	for (size_t n = 0; n < count; n++)
		for (int end = 0; end < 2; end++) {
			const uint32_t elements = columns->elements, few = n % 4 ? 1 : c->crystals / 4;
			const uint32_t e = (uint32_t)(iso_random_uniform(&random) * elements);
			events[n].element[end] = e / few * few;
			events[n].tof_bin = (int16_t)(41 * iso_random_uniform(&random) - 20);
		}
	iso_line_block *block;
	ISO_ASSERT_OK(iso_line_block_create(columns, c->tof.sigma_mm > 0, events, NULL, count, &block, &err), err);
	free(events);
	return block;
}

/* The block's lines; bins are as wide as the case's kernel says. */
static iso_line *lines_of(const sheaf_case *c, const iso_scanner *scanner, const iso_line_block *block)
{
	iso_line *lines = malloc(block->count * sizeof *lines);
	iso_line_block_lines(block, &scanner->tof, 0, block->count, lines);
	for (size_t n = 0; n < block->count; n++)
		lines[n].tof_centre_mm = block->tof_bin ? (float)(block->tof_bin[n] * c->tof.bin_mm) : 0;
	return lines;
}

static float *random_image(const iso_grid *grid, uint64_t seed)
{
	iso_random random = iso_random_begin(seed, 0);
	float *x = malloc(iso_grid_voxels(grid) * sizeof *x);
	for (size_t n = 0; n < iso_grid_voxels(grid); n++) x[n] = (float)(0.5 + iso_random_uniform(&random));
	return x;
}

/* Both kernels place a plane's sample in float: off by at most 2^-23 of the grid's size (130) in either direction, 1.6e-5 voxels,
 * where neighbours differ by at most 1; the sums add less. So two results differ by at most 4 * 1.6e-5 of the line's length,
 * which the textbook gives for an image of ones. The TOF weights differ by up to 5e-7; a plane that is at the cut for one and beyond it
 * for the other weighs 0.5 erfc(5/sqrt 2) = 2.9e-7. */
static const double per_length = 7e-5;

static void forward_as_the_textbook(void)
{
	for (int n = 0; n < cases_count; n++) {
		const sheaf_case *c = cases + n;
		iso_scanner *scanner = scanner_of(c);
		iso_columns *columns;
		ISO_ASSERT_OK(iso_columns_create(scanner, &columns, &err), err);
		CU_ASSERT_EQUAL(columns->planar, !c->irregular);
		iso_line_block *block = block_of(c, columns, lines_each);
		iso_line *lines = lines_of(c, scanner, block);
		const iso_grid grid = iso_grid_centred(c->size, c->voxel_mm, c->centre_mm);
		float *x = random_image(&grid, 33), *ones = malloc(iso_grid_voxels(&grid) * sizeof *ones);
		for (size_t v = 0; v < iso_grid_voxels(&grid); v++) ones[v] = 1;
		float expected[lines_each], length_mm[lines_each], value[lines_each];
		iso_textbook_forward(&grid, &c->tof, lines, lines_each, 2, x, expected);
		iso_textbook_forward(&grid, NULL, lines, lines_each, 2, ones, length_mm);
		size_t meet = 0;
		for (size_t l = 0; l < lines_each; l++) meet += length_mm[l] > 0;
		CU_ASSERT(meet > lines_each / 6);
		for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
			if (!iso_kernels_choose(kernels[k])) continue;
			iso_projector *projector;
			ISO_ASSERT_OK(iso_projector_create_for(&grid, &c->tof, 2, kernels[k], &projector, &err), err);
			memset(value, 255, sizeof value);
			ISO_ASSERT_OK(iso_projector_forward_block(projector, block, x, value, &err), err);
			bool all = true;
			for (size_t l = 0; l < lines_each; l++)
				all =
				    all && iso_test_near(c->name, (double)value[l], (double)expected[l],
							 per_length * (double)length_mm[l] + 1e-6, __FILE__, __LINE__);
			CU_ASSERT(all);
			iso_projector_free(projector);
		}
		free(lines), free(x), free(ones);
		iso_line_block_free(block);
		iso_columns_free(columns);
		iso_scanner_free(scanner);
	}
}

/* Row by row the two agree as above; a voxel's sum over lines then differs by at most 4 * 1.6e-5 of what it would be if every line that
 * comes near gave all it has, which the sum over the voxel's neighbours bounds. The float sums of up to 3000 positive terms add 3000 *
 * 2^-24 = 1.8e-4 at worst, 1e-5 in the mean: 5e-5 of the largest neighbour. */
static void adjoint_as_the_textbook(void)
{
	for (int n = 0; n < cases_count; n++) {
		const sheaf_case *c = cases + n;
		iso_scanner *scanner = scanner_of(c);
		iso_columns *columns;
		ISO_ASSERT_OK(iso_columns_create(scanner, &columns, &err), err);
		iso_line_block *block = block_of(c, columns, lines_each);
		iso_line *lines = lines_of(c, scanner, block);
		const iso_grid grid = iso_grid_centred(c->size, c->voxel_mm, c->centre_mm);
		const size_t voxels = iso_grid_voxels(&grid);
		float *expected = calloc(voxels, sizeof *expected), factor[lines_each];
		iso_random random = iso_random_begin(34, 0);
		for (size_t l = 0; l < lines_each; l++) factor[l] = (float)(0.5 + iso_random_uniform(&random));
		iso_textbook_adjoint(&grid, &c->tof, lines, lines_each, 2, factor, expected);
		double largest = 0;
		for (size_t v = 0; v < voxels; v++) largest = fmax(largest, (double)expected[v]);
		for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
			if (!iso_kernels_choose(kernels[k])) continue;
			float *image = calloc(voxels, sizeof *image);
			iso_projector *projector;
			ISO_ASSERT_OK(iso_projector_create_for(&grid, &c->tof, 2, kernels[k], &projector, &err), err);
			ISO_ASSERT_OK(iso_projector_adjoint_block(projector, block, factor, image, &err), err);
			bool all = true;
			for (size_t v = 0; v < voxels; v++)
				all = all && iso_test_near(c->name, (double)image[v], (double)expected[v],
							   1.2e-4 * largest, __FILE__, __LINE__);
			CU_ASSERT(all);
			iso_projector_free(projector);
			free(image);
		}
		free(lines), free(expected);
		iso_line_block_free(block);
		iso_columns_free(columns);
		iso_scanner_free(scanner);
	}
}

/* Forward and back use the same weights, to float's rounding: a sum of 3000 products of sums in float is exact to 1e-6. */
static void adjoint_pair(void)
{
	for (int n = 0; n < cases_count; n++) {
		const sheaf_case *c = cases + n;
		iso_scanner *scanner = scanner_of(c);
		iso_columns *columns;
		ISO_ASSERT_OK(iso_columns_create(scanner, &columns, &err), err);
		iso_line_block *block = block_of(c, columns, lines_each);
		const iso_grid grid = iso_grid_centred(c->size, c->voxel_mm, c->centre_mm);
		const size_t voxels = iso_grid_voxels(&grid);
		float *x = random_image(&grid, 35), value[lines_each], factor[lines_each];
		iso_random random = iso_random_begin(36, 0);
		for (size_t l = 0; l < lines_each; l++) factor[l] = (float)(0.5 + iso_random_uniform(&random));
		for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
			if (!iso_kernels_choose(kernels[k])) continue;
			float *image = calloc(voxels, sizeof *image);
			iso_projector *projector;
			ISO_ASSERT_OK(iso_projector_create_for(&grid, &c->tof, 2, kernels[k], &projector, &err), err);
			/* twice each: nothing of one call may be left for the next */
			for (int again = 0; again < 2; again++) {
				memset(image, 0, voxels * sizeof *image);
				ISO_ASSERT_OK(iso_projector_adjoint_block(projector, block, factor, image, &err), err);
				ISO_ASSERT_OK(iso_projector_forward_block(projector, block, x, value, &err), err);
			}
			double left = 0, right = 0;
			for (size_t l = 0; l < lines_each; l++) left += (double)value[l] * (double)factor[l];
			for (size_t v = 0; v < voxels; v++) right += (double)x[v] * (double)image[v];
			ISO_ASSERT_NEAR(right, left, 1e-6 * left);
			iso_projector_free(projector);
			free(image);
		}
		free(x);
		iso_line_block_free(block);
		iso_columns_free(columns);
		iso_scanner_free(scanner);
	}
}

/* One case with enough lines for several chunks in several private images, and what they give. */
typedef struct projected_case {
	const sheaf_case *c;
	iso_scanner *scanner;
	iso_columns *columns;
	iso_line_block *block;
	iso_grid grid;
	size_t voxels;
	float *x, *factor;
} projected_case;
enum { many_lines = 60000 };

static projected_case many_lines_of(const sheaf_case *c)
{
	projected_case p = {.c = c, .scanner = scanner_of(c)};
	p.grid = iso_grid_centred(c->size, c->voxel_mm, c->centre_mm);
	p.voxels = iso_grid_voxels(&p.grid);
	ISO_ASSERT_OK(iso_columns_create(p.scanner, &p.columns, &err), err);
	p.block = block_of(c, p.columns, many_lines);
	p.x = random_image(&p.grid, 37);
	p.factor = malloc(many_lines * sizeof *p.factor);
	iso_random random = iso_random_begin(38, 0);
	for (size_t l = 0; l < many_lines; l++) p.factor[l] = (float)(0.5 + iso_random_uniform(&random));
	return p;
}

static void many_lines_free(projected_case *p)
{
	free(p->x), free(p->factor);
	iso_line_block_free(p->block);
	iso_columns_free(p->columns);
	iso_scanner_free(p->scanner);
}

/* Forward into value[many_lines], back on top of x into image[voxels]; both to be freed. */
static void project(const projected_case *p, const char *set, int threads, float **value, float **image)
{
	*value = malloc(many_lines * sizeof **value);
	*image = malloc(p->voxels * sizeof **image);
	memcpy(*image, p->x, p->voxels * sizeof **image); /* the adjoint adds */
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create_for(&p->grid, &p->c->tof, threads, set, &projector, &err), err);
	ISO_ASSERT_OK(iso_projector_forward_block(projector, p->block, p->x, *value, &err), err);
	ISO_ASSERT_OK(iso_projector_adjoint_block(projector, p->block, p->factor, *image, &err), err);
	iso_projector_free(projector);
}

static void same_bits_for_any_threads(void)
{
	const int threads[] = {2, 3, 8};
	for (int tof = 0; tof < 2; tof++) {
		projected_case p = many_lines_of(cases + (tof ? 7 : 2));
		for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
			if (!iso_kernels_choose(kernels[k])) continue;
			float *value, *image, *other_value, *other_image;
			project(&p, kernels[k], 1, &value, &image);
			for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
				project(&p, kernels[k], threads[t], &other_value, &other_image);
				CU_ASSERT_EQUAL(memcmp(value, other_value, many_lines * sizeof *value), 0);
				CU_ASSERT_EQUAL(memcmp(image, other_image, p.voxels * sizeof *image), 0);
				free(other_value), free(other_image);
			}
			free(value), free(image);
		}
		many_lines_free(&p);
	}
}

/* The largest |a - b| over the largest b. */
static double largest_difference(const float *a, const float *b, size_t count)
{
	double most = 0, largest = 0;
	for (size_t n = 0; n < count; n++) {
		/* written so that a NAN does not pass for agreement */
		const double away = fabs((double)a[n] - (double)b[n]);
		if (!(away <= most)) most = away;
		if ((double)b[n] > largest) largest = (double)b[n];
	}
	return most / largest;
}

/* A set places a block's first sample in float, off by 2^-24 of the grid's 130 rows, 8e-6 voxels, and the others from there with
 * less; where the blocks begin differs between sets. Neighbours differ by at most 1 and are 1 in the mean: two sets differ by at most
 * 1.6e-5 of a line that is off everywhere and always in the same direction, and a voxel gets the mean over lines. */
static void sets_agree_within_rounding(void)
{
	for (int tof = 0; tof < 2; tof++) {
		projected_case p = many_lines_of(cases + (tof ? 7 : 2));
		float *value, *image, *other_value, *other_image;
		project(&p, "baseline", 2, &value, &image);
		for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
			if (!iso_kernels_choose(kernels[k])) continue;
			project(&p, kernels[k], 2, &other_value, &other_image);
			const double forward = largest_difference(other_value, value, many_lines),
				     back = largest_difference(other_image, image, p.voxels);
			printf("# %s, %s from baseline: forward %.1e, back %.1e\n", p.c->name, kernels[k], forward,
			       back);
			CU_ASSERT(forward <= 1.6e-5);
			CU_ASSERT(back <= 1.6e-5);
			free(other_value), free(other_image);
		}
		free(value), free(image);
		many_lines_free(&p);
	}
}

/* A line that stands for 3 x 3 others against these themselves. In a sheaf they are put into rows by a second interpolation along z, which
 * keeps what a column of voxels gets and where its middle is, and blurs by less than a voxel. Lines stay inside the image, so that
 * nothing is lost; float sums of 9 * 3000 positive terms agree to 1e-5 of the largest. */
static void spread_lines(void)
{
	const sheaf_case *c = cases + 3;
	const float offset_mm[3] = {-3, 0, 3};
	const iso_axial_spread spread = {3, offset_mm};
	iso_scanner *scanner = scanner_of(c);
	iso_columns *columns;
	ISO_ASSERT_OK(iso_columns_create(scanner, &columns, &err), err);
	iso_line_block *block = block_of(c, columns, lines_each);
	iso_line *lines = lines_of(c, scanner, block);
	const iso_grid grid = iso_grid_centred(c->size, c->voxel_mm, c->centre_mm);
	const size_t voxels = iso_grid_voxels(&grid), slice = grid.size[0] * grid.size[1];
	float factor[lines_each], *expected = calloc(voxels, sizeof *expected), *image = calloc(voxels, sizeof *image);
	iso_random random = iso_random_begin(39, 0);
	for (size_t l = 0; l < lines_each; l++) factor[l] = (float)(0.5 + iso_random_uniform(&random));
	for (int n = 0; n < 9; n++) {
		iso_line *moved = malloc(lines_each * sizeof *moved);
		memcpy(moved, lines, lines_each * sizeof *moved);
		for (size_t l = 0; l < lines_each; l++) {
			moved[l].start_mm[2] += offset_mm[n / 3];
			moved[l].end_mm[2] += offset_mm[n % 3];
		}
		iso_textbook_adjoint(&grid, NULL, moved, lines_each, 2, factor, expected);
		free(moved);
	}
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create(&grid, NULL, 2, &projector, &err), err);
	ISO_ASSERT_OK(iso_projector_adjoint_spread(projector, block, &spread, factor, image, &err), err);
	double largest = 0, sums[2] = {0}, moments[2] = {0}, square = 0, norm = 0;
	bool columns_agree = true;
	for (size_t v = 0; v < slice; v++) {
		double column[2] = {0};
		for (size_t z = 0; z < grid.size[2]; z++) {
			const double both[2] = {(double)image[z * slice + v], (double)expected[z * slice + v] / 9};
			for (int k = 0; k < 2; k++) {
				column[k] += both[k];
				moments[k] += both[k] * (double)z;
			}
			square += (both[0] - both[1]) * (both[0] - both[1]);
			norm += both[1] * both[1];
		}
		for (int k = 0; k < 2; k++) sums[k] += column[k];
		largest = fmax(largest, column[1]);
		columns_agree = columns_agree && fabs(column[0] - column[1]) <= 2e-2 * column[1] + 1e-5;
	}
	/* steep lines and sheaves of few lines put 3 of the 9 into the image: columns agree in the mean only */
	ISO_ASSERT_NEAR(sums[0], sums[1], 1e-3 * sums[1]);
	ISO_ASSERT_NEAR(moments[0] / sums[0], moments[1] / sums[1], 0.02);
	CU_ASSERT(columns_agree);
	/* the blur takes less than a fifth of the image's norm away, a spread that went the wrong way or not at all leaves more than half */
	CU_ASSERT(sqrt(square / norm) < 0.2);
	free(lines), free(expected), free(image);
	iso_projector_free(projector);
	iso_line_block_free(block);
	iso_columns_free(columns);
	iso_scanner_free(scanner);
}

/* All pairs that the rule allows, by efficiency: whatever rows are taken together, their sum is the same. */
static void row_groups_hold_all_pairs(void)
{
	iso_scanner *scanner = scanner_of(cases + 3);
	iso_columns *columns;
	for (uint32_t e = 0; e < scanner->elements; e++)
		scanner->efficiency[e] = e % 11 ? 0.5f + 0.01f * (float)(e % 7) : 0;
	const iso_pair_rule rules[] = {{(double)INFINITY, (double)INFINITY, 0}, {7, 40, 0}, {(double)INFINITY, 40, 52}};
	ISO_ASSERT_OK(iso_columns_create(scanner, &columns, &err), err);
	for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
		scanner->rule = rules[r];
		double all = 0;
		for (uint32_t a = 0; a < scanner->elements; a++)
			for (uint32_t b = 0; b < scanner->elements; b++)
				if (columns->place[a].column != columns->place[b].column &&
				    iso_scanner_pair_allowed(scanner, a, b))
					all += (double)scanner->efficiency[a] * (double)scanner->efficiency[b];
		for (uint32_t rows = 2; rows < 4; rows++) {
			iso_row_groups *g;
			ISO_ASSERT_OK(iso_row_groups_create(scanner, columns, rows, &g, &err), err);
			CU_ASSERT(g->columns->planar && g->columns->columns == columns->columns);
			double sum = 0;
			for (uint32_t a = 0; a < g->scanner->elements; a++)
				for (uint32_t b = 0; b < g->scanner->elements; b++)
					if (g->columns->place[a].column != g->columns->place[b].column &&
					    iso_scanner_pair_allowed(g->scanner, a, b))
						sum += iso_row_groups_pairs(g, a, b) *
						       (double)g->scanner->efficiency[a] *
						       (double)g->scanner->efficiency[b];
			/* efficiencies are float */
			ISO_ASSERT_NEAR(sum, all, 1e-6 * all);
			iso_row_groups_free(g);
		}
	}
	iso_columns_free(columns);
	iso_scanner_free(scanner);
}

/* Against the difference of error functions, evaluated as the kernels do it, in float. */
static void series_is_the_integrated_gaussian(void)
{
	const iso_tof_kernel smooth[] = {{25.1, 25, 3}, {25.1, 25, 4}, {10, 1, 4}, {10, 24, 4}, {8, 6, 5}};
	for (size_t n = 0; n < sizeof smooth / sizeof *smooth; n++) {
		const iso_tof_kernel *tof = smooth + n;
		const double cut_mm = 0.5 * tof->bin_mm + tof->cut_sigmas * tof->sigma_mm,
			     scale = tof->sigma_mm * sqrt(2);
		iso_tof_series series;
		iso_tof_series_make(tof, cut_mm, &series);
		CU_ASSERT_FATAL(series.terms > 1);
		const double peak = erf(0.5 * tof->bin_mm / scale);
		for (int i = 0; i <= 1000; i++) {
			const float x = 0.001f * (float)i, t = x * x - 0.5f;
			float sum = 0;
			for (int k = series.terms - 1; k >= 0; k--) sum = sum * t + series.term[k];
			const double at = (double)x * cut_mm;
			const double expected =
			    0.5 * (erf((at + 0.5 * tof->bin_mm) / scale) - erf((at - 0.5 * tof->bin_mm) / scale));
			/* 1.5e-7 of the peak for the terms left out; x * x is off by 2^-24, where the kernel's slope over
			 * (x/cut)^2 is at most 0.5 (cut/sigma)^2 peak < 16 peak; sums of terms below 1 add 3e-7 */
			ISO_ASSERT_NEAR(sum, expected, (4.5e-7 + 16 * 6e-8) * peak);
		}
	}
	const iso_tof_kernel box = {1, 25, 5};
	iso_tof_series series;
	iso_tof_series_make(&box, 17.5, &series);
	CU_ASSERT_EQUAL(series.terms, 0);
}

static void kernels_by_name(void)
{
	CU_ASSERT_PTR_NOT_NULL(iso_kernels_choose(NULL));
	CU_ASSERT_PTR_NOT_NULL(iso_kernels_choose("baseline"));
	CU_ASSERT_PTR_NULL(iso_kernels_choose("abacus"));
	const iso_grid grid = iso_grid_centred((size_t[]){4, 4, 4}, (double[]){1, 1, 1}, (double[]){0, 0, 0});
	iso_projector *projector;
	CU_ASSERT_EQUAL(iso_projector_create_for(&grid, NULL, 1, "abacus", &projector, &err), ISO_BAD_USAGE);
	CU_ASSERT_PTR_NULL(projector);
}

static const iso_test tests[] = {
    {"forward as the textbook", forward_as_the_textbook},
    {"adjoint as the textbook", adjoint_as_the_textbook},
    {"adjoint pair", adjoint_pair},
    {"same bits for any number of threads", same_bits_for_any_threads},
    {"sets of kernels agree within rounding", sets_agree_within_rounding},
    {"lines that stand for several", spread_lines},
    {"groups of rows hold all pairs", row_groups_hold_all_pairs},
    {"the TOF series is the integrated Gaussian", series_is_the_integrated_gaussian},
    {"kernels by name", kernels_by_name},
};
ISO_TEST_MAIN("sheaves", tests)
