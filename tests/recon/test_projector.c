/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The projector as a linear operator: adjoint pair, same bits for any number of threads, lines that are none, TOF. Line
 * integrals against analytic values are in test_line_integrals.c. */
#include "isotrace/projector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "recon/geometry.h"
#include "recon/textbook.h"
#include "tests/harness.h"

static iso_error err;

static iso_grid grid_of(size_t nx, size_t ny, size_t nz, double dx, double dy, double dz)
{
	/* off centre, so that a mistake in the origin cannot hide */
	return iso_grid_centred((size_t[]){nx, ny, nz}, (double[]){dx, dy, dz}, (double[]){3.3, -2.1, 5.7});
}

static void set_line(iso_line *line, const double start[3], const double end[3])
{
	for (int k = 0; k < 3; k++) {
		line->start_mm[k] = (float)start[k];
		line->end_mm[k] = (float)end[k];
	}
	line->tof_centre_mm = 0;
}

/* Lines through and past the grid in all directions; every fourth ends inside it. */
static iso_line *random_lines(const iso_grid *grid, size_t count, uint64_t seed)
{
	iso_line *lines = malloc(count * sizeof *lines);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lines);
	for (size_t n = 0; n < count; n++) {
		iso_random random = iso_random_begin(seed, n);
		double direction[3], start[3], end[3];
		iso_random_direction(&random, direction);
		const double half = n % 4 ? 200 : 0.3 * grid->voxel_mm[0] * (double)grid->size[0];
		for (int k = 0; k < 3; k++) {
			const double extent = 1.2 * grid->voxel_mm[k] * (double)grid->size[k];
			const double centre = grid->origin_mm[k] +
					      0.5 * grid->voxel_mm[k] * ((double)grid->size[k] - 1) +
					      extent * (iso_random_uniform(&random) - 0.5);
			start[k] = centre - half * direction[k];
			end[k] = centre + half * direction[k];
		}
		set_line(lines + n, start, end);
		lines[n].tof_centre_mm = (float)(20 * iso_random_gaussian(&random));
	}
	return lines;
}

static float *random_floats(size_t count, uint64_t seed)
{
	float *values = malloc(count * sizeof *values);
	CU_ASSERT_PTR_NOT_NULL_FATAL(values);
	iso_random random = iso_random_begin(seed, 7);
	for (size_t n = 0; n < count; n++) values[n] = (float)(iso_random_uniform(&random) + 0.1);
	return values;
}

static const iso_tof_kernel tof_59mm = {.sigma_mm = 25.0, .bin_mm = 25.0, .cut_sigmas = 3};

/* Grids with unlike voxel edges, long along each axis, and with axes of one or two voxels (no interior at all). */
static const struct {
	size_t size[3];
	double voxel[3];
} shapes[] = {
    {{20, 24, 28}, {2.0, 2.0, 2.0}}, {{40, 12, 9}, {0.8, 3.1, 4.4}}, {{11, 44, 10}, {3.7, 0.9, 2.9}},
    {{10, 9, 50}, {3.3, 2.7, 0.7}},  {{30, 30, 1}, {1.5, 1.5, 5.0}}, {{1, 17, 2}, {2.0, 1.0, 8.0}},
};

/* <Ax, y> = <x, A'y>: both sum the same products in other orders and precisions, so that only float rounding remains. */
static void adjoint_pair(void)
{
	enum { count = 3000 };
	for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
		for (int tof = 0; tof < 2; tof++) {
			const iso_grid grid = grid_of(shapes[s].size[0], shapes[s].size[1], shapes[s].size[2],
						      shapes[s].voxel[0], shapes[s].voxel[1], shapes[s].voxel[2]);
			const size_t voxels = iso_grid_voxels(&grid);
			iso_projector *projector;
			ISO_ASSERT_OK(iso_projector_create(&grid, tof ? &tof_59mm : NULL, 2, &projector, &err), err);
			iso_line *lines = random_lines(&grid, count, 11 + s);
			float *x = random_floats(voxels, 1), *y = random_floats(count, 2);
			float *ax = malloc(count * sizeof *ax), *aty = calloc(voxels, sizeof *aty);
			ISO_ASSERT_OK(iso_projector_forward(projector, lines, count, x, ax, &err), err);
			ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, count, y, aty, &err), err);
			double left = 0, right = 0;
			for (size_t n = 0; n < count; n++) left += (double)ax[n] * (double)y[n];
			for (size_t n = 0; n < voxels; n++) right += (double)x[n] * (double)aty[n];
			CU_ASSERT(left > 0);
			ISO_ASSERT_NEAR(right / left, 1, 1e-6);
			free(lines), free(x), free(y), free(ax), free(aty);
			iso_projector_free(projector);
		}
}

/* Every line's row, not only their sum: the back projection of one line of value 1 times the image is its integral. */
static void adjoint_line_by_line(void)
{
	enum { count = 300 };
	const iso_grid grid = grid_of(12, 10, 14, 2.0, 3.0, 1.5);
	const size_t voxels = iso_grid_voxels(&grid);
	iso_line *lines = random_lines(&grid, count, 5);
	float *x = random_floats(voxels, 1), *row = malloc(voxels * sizeof *row), ax[count];
	for (int tof = 0; tof < 2; tof++) {
		iso_projector *projector;
		ISO_ASSERT_OK(iso_projector_create(&grid, tof ? &tof_59mm : NULL, 1, &projector, &err), err);
		ISO_ASSERT_OK(iso_projector_forward(projector, lines, count, x, ax, &err), err);
		for (size_t n = 0; n < count; n++) {
			memset(row, 0, voxels * sizeof *row);
			const float one = 1;
			ISO_ASSERT_OK(iso_projector_adjoint(projector, lines + n, 1, &one, row, &err), err);
			double sum = 0;
			for (size_t v = 0; v < voxels; v++) sum += (double)x[v] * (double)row[v];
			ISO_ASSERT_NEAR(ax[n], sum, 1e-5 * (1 + sum));
		}
		iso_projector_free(projector);
	}
	free(lines), free(x), free(row);
}

/* Lines that have special places: along rows of voxel centres, halfway between them, on the outermost faces, and at 45 degrees,
 * where two axes are dominant alike. Beside the random ones, which the grid's borders cut anyhow. */
static size_t special_lines(const iso_grid *grid, iso_line *lines)
{
	size_t count = 0;
	double middle[3];
	for (int k = 0; k < 3; k++)
		middle[k] = grid->origin_mm[k] + grid->voxel_mm[k] * (double)((grid->size[k] - 1) / 2);
	for (int axis = 0; axis < 3; axis++)
		for (int across = 0; across < 3; across++)
			for (int place = 0; place < 4; place++) {
				double start[3], end[3];
				const double edge = grid->voxel_mm[across];
				for (int k = 0; k < 3; k++) start[k] = end[k] = middle[k];
				const double offset[4] = {0, 0.5 * edge,
							  grid->origin_mm[across] - 0.5 * edge - middle[across], 300};
				start[axis] -= 300;
				end[axis] += 300;
				/* the last place turns the line to 45 degrees instead of moving it */
				start[across] += place == 3 ? -offset[place] : offset[place];
				end[across] += offset[place];
				set_line(lines + count++, start, end);
			}
	return count;
}

/* Against the textbook kernel, which shares no code with the projector.
 *
 * Both sample in float where a line meets a plane, from a setup in double. A coordinate up to 64 voxels, made from a product and
 * a sum, is rounded by at most 3 x 64 x 2^-24 = 1.1e-5 voxels in either kernel, and neighbours differ by at most 1.1 (values
 * from 0.1 to 1.1, zeros around the grid): with two coordinates and two kernels, a sample differs by at most 4 x 1.1 x 1.1e-5 =
 * 4.9e-5; rounding of the products and the table of the TOF kernel (2.3e-7) are far below. Hence 5e-5 for each mm of
 * line in the grid. At the TOF cut, where the kernel ends with K = (1 - erf(3/sqrt 2))/2 = 1.35e-3, rounding may decide otherwise
 * whether a plane counts, at most one at each end of a line: then another 2 K x 1.1 x (length in a slab), for the few lines with
 * such a plane.
 *
 * Back projection: each line that meets a voxel adds value x (length in a slab) x a bilinear weight, of which 4.9e-5 is
 * uncertain in the same way and which is 1/4 on average; 2e-4 of the largest voxel, which has the most lines, and the cut's
 * jump for one line of at most 1.1. */
static void agrees_with_textbook(void)
{
	enum { randoms = 4000, specials = 36, count = randoms + specials };
	static const double cut_kernel = 1.35e-3;
	for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
		for (int tof = 0; tof < 2; tof++) {
			const iso_grid grid = grid_of(shapes[s].size[0], shapes[s].size[1], shapes[s].size[2],
						      shapes[s].voxel[0], shapes[s].voxel[1], shapes[s].voxel[2]);
			const size_t voxels = iso_grid_voxels(&grid);
			const iso_tof_kernel *kernel = tof ? &tof_59mm : NULL;
			iso_projector *projector;
			ISO_ASSERT_OK(iso_projector_create(&grid, kernel, 2, &projector, &err), err);
			iso_line *lines = random_lines(&grid, count, 31 + s);
			CU_ASSERT_EQUAL_FATAL(special_lines(&grid, lines + randoms), specials);
			float *x = random_floats(voxels, 1), *y = random_floats(count, 2);
			float *fast = malloc(count * sizeof *fast), *slow = malloc(count * sizeof *slow);
			float *fast_back = calloc(voxels, sizeof *fast_back),
			      *slow_back = calloc(voxels, sizeof *slow_back);
			ISO_ASSERT_OK(iso_projector_forward(projector, lines, count, x, fast, &err), err);
			ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, count, y, fast_back, &err), err);
			iso_textbook_forward(&grid, kernel, lines, count, 2, x, slow);
			iso_textbook_adjoint(&grid, kernel, lines, count, 2, y, slow_back);
			double chord2_mm = 0, slab2_mm = 0, largest = 0;
			for (int k = 0; k < 3; k++) {
				chord2_mm += pow(grid.voxel_mm[k] * ((double)grid.size[k] + 1), 2);
				slab2_mm += pow(grid.voxel_mm[k], 2);
			}
			const double jump = tof ? 1.1 * cut_kernel * sqrt(slab2_mm) : 0;
			size_t seen = 0, jumps = 0;
			for (size_t n = 0; n < count; n++) {
				const double difference = fabs((double)fast[n] - (double)slow[n]);
				seen += slow[n] > 0;
				jumps += difference > 5e-5 * sqrt(chord2_mm);
				ISO_ASSERT_NEAR(fast[n], slow[n], 5e-5 * sqrt(chord2_mm) + 2 * jump);
			}
			CU_ASSERT(seen > count / 4);
			CU_ASSERT(jumps <= (tof ? count / 100 : 0));
			for (size_t n = 0; n < voxels; n++) largest = fmax(largest, (double)slow_back[n]);
			for (size_t n = 0; n < voxels; n++)
				ISO_ASSERT_NEAR(fast_back[n], slow_back[n], 2e-4 * largest + jump);
			free(lines), free(x), free(y), free(fast), free(slow), free(fast_back), free(slow_back);
			iso_projector_free(projector);
		}
}

/* Forward, and adjoint of a small and a large call (two lanes, all lanes), twice into the same image. */
static void same_bits_for_any_threads(void)
{
	enum { count = 60000 };
	static const int threads[] = {1, 2, 3, 8};
	const iso_grid grid = grid_of(32, 28, 36, 2.0, 2.0, 1.5);
	const size_t voxels = iso_grid_voxels(&grid);
	iso_line *lines = random_lines(&grid, count, 3);
	float *x = random_floats(voxels, 1), *y = random_floats(count, 2);
	float *ax[4], *aty[4];
	for (int tof = 0; tof < 2; tof++) {
		for (int t = 0; t < 4; t++) {
			iso_projector *projector;
			ax[t] = malloc(count * sizeof **ax);
			aty[t] = calloc(voxels, sizeof **aty);
			ISO_ASSERT_OK(iso_projector_create(&grid, tof ? &tof_59mm : NULL, threads[t], &projector, &err),
				      err);
			ISO_ASSERT_OK(iso_projector_forward(projector, lines, count, x, ax[t], &err), err);
			ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, count, y, aty[t], &err), err);
			ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, 777, y, aty[t], &err), err);
			iso_projector_free(projector);
			CU_ASSERT(memcmp(ax[0], ax[t], count * sizeof **ax) == 0);
			CU_ASSERT(memcmp(aty[0], aty[t], voxels * sizeof **aty) == 0);
		}
		for (int t = 0; t < 4; t++) free(ax[t]), free(aty[t]);
	}
	free(lines), free(x), free(y);
}

/* voxels += : a second call adds, and a fresh plan's first call equals a used plan's. */
static void adjoint_adds(void)
{
	enum { count = 2000 };
	const iso_grid grid = grid_of(16, 16, 16, 2.0, 2.0, 2.0);
	const size_t voxels = iso_grid_voxels(&grid);
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create(&grid, NULL, 2, &projector, &err), err);
	iso_line *lines = random_lines(&grid, count, 9);
	float *y = random_floats(count, 2), *once = calloc(voxels, sizeof *once),
	      *twice = calloc(voxels, sizeof *twice);
	ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, count, y, once, &err), err);
	for (int n = 0; n < 2; n++) ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, count, y, twice, &err), err);
	size_t unlike = 0;
	for (size_t n = 0; n < voxels; n++) unlike += twice[n] != 2 * once[n];
	CU_ASSERT_EQUAL(unlike, 0);
	ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, 0, y, twice, &err), err);
	free(lines), free(y), free(once), free(twice);
	iso_projector_free(projector);
}

/* Lines that meet nothing give 0 and leave the image alone; lines along borders give numbers. */
static void degenerate_lines(void)
{
	const iso_grid grid = iso_grid_centred((size_t[]){10, 10, 10}, (double[]){1, 1, 1}, (double[]){0, 0, 0});
	const iso_line nothing[] = {
	    {{0, 0, 0}, {0, 0, 0}, 0},
	    {{NAN, 0, 0}, {9, 0, 0}, 0},
	    {{-9, 0, 0}, {NAN, 0, 0}, 0},
	    {{-INFINITY, 0, 0}, {9, 0, 0}, 0},
	    {{-9, 0, 0}, {INFINITY, 0, 0}, 0},
	    {{-50, 5.6f, 0}, {50, 5.6f, 0}, 0},         /* beside: the outermost basis functions end at 5.5 */
	    {{-50, 0, -77}, {50, 0, -77}, 0},           /* far beside */
	    {{6, 0, 0}, {50, 0, 0}, 0},                 /* ends before */
	    {{-50, 70, 0}, {50, -30.5f, 100}, 0},       /* passes by obliquely */
	    {{-1e30f, 0, 1e30f}, {3e30f, 0, 1e30f}, 0}, /* beyond what float can place */
	};
	/* along faces, edges and planes between voxels, through corners, of the largest finite coordinates */
	const iso_line border[] = {
	    {{-50, 5, 5}, {50, 5, 5}, 0},       {{5, -50, -5}, {5, 50, -5}, 0},
	    {{0, 0, -50}, {0, 0, 50}, 0},       {{-50, 4.5f, 4.5f}, {50, 4.5f, 4.5f}, 0},
	    {{-5, -5, -5}, {5, 5, 5}, 0},       {{5, -5, 5}, {-5, 5, -5}, 0},
	    {{-50, -50, 0}, {50, 50, 0}, 0},    {{4.9f, 0, 0}, {5.1f, 0, 0}, 0},
	    {{-1e30f, 0, 0}, {1e30f, 0, 0}, 0}, {{0, 0, 0}, {1e-6f, 0, 0}, 0},
	    {{-50, 5.5f, 0}, {50, 5.5f, 0}, 0}, {{-3e38f, 1, 1}, {3e38f, 2, 2}, 0},
	};
	enum { nothings = sizeof nothing / sizeof *nothing, borders = sizeof border / sizeof *border };
	float x[1000], image[1000], values[borders], ones[borders];
	for (int n = 0; n < 1000; n++) x[n] = 1;
	for (int n = 0; n < borders; n++) ones[n] = 1;
	for (int tof = 0; tof < 2; tof++) {
		iso_projector *projector;
		ISO_ASSERT_OK(iso_projector_create(&grid, tof ? &tof_59mm : NULL, 1, &projector, &err), err);
		memset(image, 0, sizeof image);
		ISO_ASSERT_OK(iso_projector_forward(projector, nothing, nothings, x, values, &err), err);
		ISO_ASSERT_OK(iso_projector_adjoint(projector, nothing, nothings, ones, image, &err), err);
		for (int n = 0; n < nothings; n++) CU_ASSERT_EQUAL(values[n], 0);
		for (int n = 0; n < 1000; n++) CU_ASSERT_EQUAL(image[n], 0);
		ISO_ASSERT_OK(iso_projector_forward(projector, border, borders, x, values, &err), err);
		ISO_ASSERT_OK(iso_projector_adjoint(projector, border, borders, ones, image, &err), err);
		/* the longest chord is the diagonal, and the bilinear border adds at most a voxel's diagonal */
		for (int n = 0; n < borders; n++) CU_ASSERT(values[n] >= 0 && values[n] <= 11 * sqrtf(3));
		for (int n = 0; n < 1000; n++) CU_ASSERT(image[n] >= 0 && image[n] < 100);
		iso_projector_free(projector);
	}
}

static void bad_plans(void)
{
	iso_projector *projector;
	iso_grid grid = grid_of(4, 4, 4, 1, 1, 1);
	const iso_tof_kernel bad[] = {{-1, 1, 3},          {10, 0, 3},           {10, 5, 0},
				      {(double)NAN, 5, 3}, {10, (double)NAN, 3}, {(double)INFINITY, 5, 3}};
	for (size_t n = 0; n < sizeof bad / sizeof *bad; n++) {
		CU_ASSERT_EQUAL(iso_projector_create(&grid, bad + n, 1, &projector, &err), ISO_BAD_USAGE);
		CU_ASSERT_PTR_NULL(projector);
		CU_ASSERT(err.message[0] && err.remedy[0]);
	}
	grid.direction[0][0] = grid.direction[1][1] = 0;
	grid.direction[0][1] = 1;
	grid.direction[1][0] = -1;
	CU_ASSERT_EQUAL(iso_projector_create(&grid, NULL, 1, &projector, &err), ISO_BAD_INPUT);
	grid = grid_of(4, 4, 4, 1, 0, 1);
	CU_ASSERT_EQUAL(iso_projector_create(&grid, NULL, 1, &projector, NULL), ISO_BAD_INPUT);
	iso_projector_free(NULL);
}

/* One voxel of 1 on a line along each axis: its weight is 1 mm times the Gaussian integrated over the bin, worked out here
 * from the definition. 1e-6: the table's 2.3e-7 and float. */
static void tof_kernel_is_the_integrated_gaussian(void)
{
	const iso_tof_kernel kernel = {.sigma_mm = 9, .bin_mm = 14, .cut_sigmas = 3.46};
	const iso_grid grid = iso_grid_centred((size_t[]){31, 31, 31}, (double[]){1, 1, 1}, (double[]){0, 0, 0});
	float *x = calloc(31 * 31 * 31, sizeof *x);
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create(&grid, &kernel, 1, &projector, &err), err);
	const int at[3] = {4, 20, 9};
	x[at[0] + 31 * (at[1] + 31 * at[2])] = 1;
	for (int axis = 0; axis < 3; axis++)
		for (int turned = 0; turned < 2; turned++)
			for (double centre = -60; centre <= 60; centre += 0.7) {
				double start[3], end[3];
				for (int k = 0; k < 3; k++) start[k] = end[k] = at[k] - 15;
				start[axis] = turned ? 60 : -40; /* middle at -10 + 20 turned */
				end[axis] = turned ? -20 : 20;
				iso_line line;
				set_line(&line, start, end);
				line.tof_centre_mm = (float)centre;
				const double middle = 0.5 * (start[axis] + end[axis]);
				const double position = (at[axis] - 15 - middle) * (turned ? -1 : 1);
				const double away = position - (double)line.tof_centre_mm;
				double expected = 0;
				if (fabs(away) < 7 + 3.46 * 9)
					expected =
					    0.5 * (erf((away + 7) / (9 * sqrt(2))) - erf((away - 7) / (9 * sqrt(2))));
				float value;
				ISO_ASSERT_OK(iso_projector_forward(projector, &line, 1, x, &value, &err), err);
				ISO_ASSERT_NEAR(value, expected, 1e-6);
			}
	free(x);
	iso_projector_free(projector);
}

/* Over all bins of a line the kernels add up to 1 except for what lies beyond the cut: each plane loses at most the two
 * Gaussian tails beyond cut_sigmas, erfc(4/sqrt 2) = 6.3e-5, and gains at most the table's error, 2.3e-7 a bin. */
static void tof_bins_add_up_to_no_tof(void)
{
	enum { count = 200, bins = 31 };
	const iso_tof tof = {.fwhm_ps = 200, .bin_ps = 100, .bins = bins};
	const iso_tof_kernel kernel = iso_tof_kernel_of(&tof);
	const iso_grid grid = grid_of(24, 24, 24, 2, 2, 2);
	iso_projector *with, *without;
	ISO_ASSERT_OK(iso_projector_create(&grid, &kernel, 1, &with, &err), err);
	ISO_ASSERT_OK(iso_projector_create(&grid, NULL, 1, &without, &err), err);
	iso_line *lines = random_lines(&grid, count, 21);
	float *x = random_floats(iso_grid_voxels(&grid), 4), whole[count], part[count];
	double sum[count] = {0};
	ISO_ASSERT_OK(iso_projector_forward(without, lines, count, x, whole, &err), err);
	for (int bin = -bins / 2; bin <= bins / 2; bin++) {
		for (int n = 0; n < count; n++) lines[n].tof_centre_mm = (float)iso_tof_bin_centre_mm(&tof, bin);
		ISO_ASSERT_OK(iso_projector_forward(with, lines, count, x, part, &err), err);
		for (int n = 0; n < count; n++) sum[n] += (double)part[n];
	}
	/* bins reach to 15.5 * 15 = 232 mm, beyond the 200 mm of the lines' ends by 32 mm > 2.5 sigma and beyond
	 * the image by more than 4 sigma = 51 mm */
	for (int n = 0; n < count; n++)
		if (n % 4) ISO_ASSERT_NEAR(sum[n], whole[n], (6.4e-5 + bins * 2.3e-7) * (double)whole[n] + 1e-5);
	free(lines), free(x);
	iso_projector_free(with), iso_projector_free(without);
}

/* scanner.h: a positive bin lies nearer to element 1, 1 ps of difference is c/2 = 0.1499 mm. The back projection of an
 * event peaks there. */
static void tof_bin_points_to_element_1(void)
{
	iso_scanner *scanner;
	ISO_ASSERT_OK(iso_scanner_create(2, "two crystals", &scanner, &err), err);
	const float position[6] = {-100, 2, 0, 100, 2, 0}, normal[6] = {-1, 0, 0, 1, 0, 0};
	memcpy(scanner->position_mm, position, sizeof position);
	memcpy(scanner->normal, normal, sizeof normal);
	scanner->tof = (iso_tof){.fwhm_ps = 100, .bin_ps = 50, .bins = 21};
	const iso_tof_kernel kernel = iso_tof_kernel_of(&scanner->tof);
	/* c/2 = 0.149896229 mm/ps; sigma = FWHM / 2.35482 */
	ISO_ASSERT_NEAR(kernel.sigma_mm, 100 * 0.149896229 / 2.354820045, 1e-9);
	ISO_ASSERT_NEAR(kernel.bin_mm, 50 * 0.149896229, 1e-9);
	const iso_grid grid = iso_grid_centred((size_t[]){101, 5, 5}, (double[]){1, 1, 1}, (double[]){0, 0, 0});
	float *image = calloc(iso_grid_voxels(&grid), sizeof *image);
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create(&grid, &kernel, 1, &projector, &err), err);
	for (int turned = 0; turned < 2; turned++) {
		const iso_event event = {.element = {turned ? 1u : 0u, turned ? 0u : 1u}, .tof_bin = 4};
		iso_line line;
		iso_lines_of_events(scanner, &event, 1, &line);
		ISO_ASSERT_NEAR(line.tof_centre_mm, 4 * 50 * 0.149896229, 1e-5);
		memset(image, 0, iso_grid_voxels(&grid) * sizeof *image);
		const float one = 1;
		ISO_ASSERT_OK(iso_projector_adjoint(projector, &line, 1, &one, image, &err), err);
		size_t peak = 0;
		for (size_t n = 0; n < iso_grid_voxels(&grid); n++)
			if (image[n] > image[peak]) peak = n;
		/* 29.98 mm from the middle towards element 1 of the event, row y = 2 */
		CU_ASSERT_EQUAL(peak, (turned ? 20u : 80u) + 101 * (4 + 5 * 2));
	}
	const iso_event outside = {.element = {0, 2}};
	iso_line line;
	float value;
	iso_lines_of_events(scanner, &outside, 1, &line);
	ISO_ASSERT_OK(iso_projector_forward(projector, &line, 1, image, &value, &err), err);
	CU_ASSERT_EQUAL(value, 0);
	const iso_tof none = {0};
	CU_ASSERT_EQUAL(iso_tof_kernel_of(&none).sigma_mm, 0);
	CU_ASSERT_EQUAL(iso_tof_bin_centre_mm(&none, 3), 0);
	free(image);
	iso_projector_free(projector);
	iso_scanner_free(scanner);
}

static const iso_test tests[] = {
    {"adjoint pair", adjoint_pair},
    {"adjoint line by line", adjoint_line_by_line},
    {"agrees with the textbook kernel", agrees_with_textbook},
    {"same bits for any number of threads", same_bits_for_any_threads},
    {"the adjoint adds", adjoint_adds},
    {"degenerate and border lines", degenerate_lines},
    {"bad plans", bad_plans},
    {"the TOF kernel is the integrated Gaussian", tof_kernel_is_the_integrated_gaussian},
    {"TOF bins add up to no TOF", tof_bins_add_up_to_no_tof},
    {"a TOF bin points to element 1", tof_bin_points_to_element_1},
};
ISO_TEST_MAIN("projector", tests)
