/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "isotrace/image.h"
#include "isotrace/volume.h"
#include "tests/harness.h"

static iso_grid grid_of(size_t nx, size_t ny, size_t nz, double voxel_mm)
{
	return iso_grid_centred((const size_t[]){nx, ny, nz}, (const double[]){voxel_mm, voxel_mm, voxel_mm},
				(const double[]){0, 0, 0});
}

static iso_image *new_image(const iso_grid *grid, iso_unit unit)
{
	iso_image *image;
	iso_error err;
	if (iso_image_create(grid, unit, &image, &err) != ISO_OK) {
		iso_test_print_error(&err);
		CU_FAIL_FATAL("no image");
	}
	return image;
}

static iso_image *resampled(const iso_image *source, const iso_grid *target, float outside)
{
	iso_image *image;
	iso_error err;
	if (iso_image_resample(source, target, outside, &image, &err) != ISO_OK) {
		iso_test_print_error(&err);
		CU_FAIL_FATAL("not resampled");
	}
	return image;
}

static void units(void)
{
	for (int u = ISO_UNIT_UNKNOWN; u <= ISO_UNIT_MM; u++)
		CU_ASSERT_EQUAL((int)iso_unit_from_text(iso_unit_text((iso_unit)u)), u);
	CU_ASSERT_EQUAL(iso_unit_from_text("Bq/ml"), ISO_UNIT_UNKNOWN); /* nothing is guessed */
	CU_ASSERT_STRING_EQUAL(iso_unit_text(ISO_UNIT_BQ_PER_ML), "Bq/mL");
}

static void centred_grid(void)
{
	/* 4 voxels of 2 mm centred at 10: the first centre is at 10 - 4 + 1 = 7. 3 voxels of 1 mm at 0: at -1. */
	const iso_grid grid =
	    iso_grid_centred((const size_t[]){4, 3, 1}, (const double[]){2, 1, 0.5}, (const double[]){10, 0, -3});
	ISO_ASSERT_NEAR(grid.origin_mm[0], 7, 0);
	ISO_ASSERT_NEAR(grid.origin_mm[1], -1, 0);
	ISO_ASSERT_NEAR(grid.origin_mm[2], -3, 0);
	CU_ASSERT_EQUAL(iso_grid_voxels(&grid), 12);
	ISO_ASSERT_NEAR(iso_grid_voxel_ml(&grid), 0.001, 1e-18);
	CU_ASSERT(iso_grid_is_axis_aligned(&grid));
	CU_ASSERT(iso_grid_equal(&grid, &grid));
}

/* Turned by an angle about an oblique axis (Rodrigues), so that every element of the direction is used. */
static iso_grid turned_grid(double angle)
{
	iso_grid grid = {.size = {5, 6, 7}, .voxel_mm = {0.5, 1.25, 2}, .origin_mm = {3, -4, 11}};
	const double axis[3] = {2.0 / 7, 3.0 / 7, 6.0 / 7}, c = cos(angle), s = sin(angle);
	for (int a = 0; a < 3; a++)
		for (int k = 0; k < 3; k++) {
			grid.direction[a][k] = axis[a] * axis[k] * (1 - c) + (a == k ? c : 0);
			if (a != k) {
				const int third = 3 - a - k;
				grid.direction[a][k] += ((k - a + 3) % 3 == 1 ? 1 : -1) * s * axis[third];
			}
		}
	return grid;
}

static void index_and_point(void)
{
	iso_error err;
	const iso_grid grid = turned_grid(0.7);
	ISO_ASSERT_OK(iso_grid_check(&grid, NULL, &err), err);
	CU_ASSERT(!iso_grid_is_axis_aligned(&grid));
	double point[3], index[3];
	iso_grid_point_mm(&grid, (const double[]){0, 0, 0}, point);
	for (int k = 0; k < 3; k++) ISO_ASSERT_NEAR(point[k], grid.origin_mm[k], 0);
	/* One step along j moves by voxel 1.25 mm along direction[1], no other. */
	iso_grid_point_mm(&grid, (const double[]){0, 1, 0}, point);
	for (int k = 0; k < 3; k++) ISO_ASSERT_NEAR(point[k], grid.origin_mm[k] + 1.25 * grid.direction[1][k], 1e-14);
	static const double indices[][3] = {{0, 0, 0}, {4, 5, 6}, {-0.5, 2.25, 6.5}, {100, -100, 0.001}};
	for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
		iso_grid_point_mm(&grid, indices[i], point);
		iso_grid_index(&grid, point, index);
		/* a few roundings of numbers up to 200 mm, divided by a voxel of 0.5 mm */
		for (int a = 0; a < 3; a++) ISO_ASSERT_NEAR(index[a], indices[i][a], 1e-12);
	}
}

static void bad_grids(void)
{
	iso_error err;
	const iso_grid good = grid_of(2, 2, 2, 1);
	iso_grid bad = good;
	bad.size[1] = 0;
	CU_ASSERT_EQUAL(iso_grid_check(&bad, "x.nii", &err), ISO_BAD_INPUT);
	CU_ASSERT_STRING_EQUAL(err.file, "x.nii");
	bad.size[1] = 70000;
	CU_ASSERT_EQUAL(iso_grid_check(&bad, NULL, &err), ISO_BAD_INPUT);
	static const double sizes[] = {0, -1, (double)NAN, (double)INFINITY};
	for (int i = 0; i < 4; i++) {
		bad = good;
		bad.voxel_mm[2] = sizes[i];
		CU_ASSERT_EQUAL(iso_grid_check(&bad, NULL, &err), ISO_BAD_INPUT);
	}
	bad = good;
	bad.origin_mm[0] = (double)NAN;
	CU_ASSERT_EQUAL(iso_grid_check(&bad, NULL, &err), ISO_BAD_INPUT);
	bad = good;
	bad.direction[1][0] = 0.1; /* sheared */
	CU_ASSERT_EQUAL(iso_grid_check(&bad, NULL, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "right angles") != NULL);
	bad = good;
	bad.direction[1][1] = 2; /* no unit vector */
	CU_ASSERT_EQUAL(iso_grid_check(&bad, NULL, &err), ISO_BAD_INPUT);
	bad.direction[1][1] = (double)NAN;
	CU_ASSERT_EQUAL(iso_grid_check(&bad, NULL, &err), ISO_BAD_INPUT);
	iso_image *image = (iso_image *)&err;
	CU_ASSERT_EQUAL(iso_image_create(&bad, ISO_UNIT_MM, &image, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(image);
	iso_image_free(NULL);
}

static void grids_differ(void)
{
	const iso_grid a = grid_of(10, 10, 10, 1);
	iso_grid b = a;
	b.origin_mm[1] += 0.5e-4;
	CU_ASSERT(iso_grid_equal(&a, &b));
	b.origin_mm[1] += 1e-4;
	CU_ASSERT(!iso_grid_equal(&a, &b));
	b = a;
	b.voxel_mm[2] *= 1 + 2e-5; /* 10 voxels: 2e-4 mm at the far end */
	CU_ASSERT(!iso_grid_equal(&a, &b));
	b = a;
	b.direction[0][0] = -1;
	CU_ASSERT(!iso_grid_equal(&a, &b));
	b = a;
	b.size[0] = 11;
	CU_ASSERT(!iso_grid_equal(&a, &b));
}

static void fill_ramp(iso_image *image)
{
	double point[3];
	for (size_t n = 0; n < iso_grid_voxels(&image->grid); n++) {
		const size_t *size = image->grid.size;
		const double index[3] = {(double)(n % size[0]), (double)(n / size[0] % size[1]),
					 (double)(n / size[0] / size[1])};
		iso_grid_point_mm(&image->grid, index, point);
		image->voxels[n] = (float)(5 + 0.25 * point[0] - 0.5 * point[1] + 2 * point[2]);
	}
}

static void finer_is_linear(void)
{
	/* A linear function is its own interpolation, wherever the target's centres lie between the source's. */
	const iso_grid coarse = grid_of(8, 9, 10, 2);
	iso_grid fine = iso_grid_centred((const size_t[]){12, 13, 14}, (const double[]){0.7, 0.8, 0.9},
					 (const double[]){0.3, -0.2, 0.1});
	iso_image *source = new_image(&coarse, ISO_UNIT_BQ_PER_ML);
	fill_ramp(source);
	iso_image *out = resampled(source, &fine, -1), *truth = new_image(&fine, ISO_UNIT_BQ_PER_ML);
	fill_ramp(truth);
	CU_ASSERT_EQUAL(out->unit, ISO_UNIT_BQ_PER_ML);
	/* float values below 32: half a unit in the last place is 1e-6; source and truth each have one */
	for (size_t n = 0; n < iso_grid_voxels(&fine); n++) ISO_ASSERT_NEAR(out->voxels[n], truth->voxels[n], 4e-6);
	iso_image_free(source);
	iso_image_free(out);
	iso_image_free(truth);
}

static void same_grid_is_a_copy(void)
{
	const iso_grid grid = turned_grid(0.3);
	iso_image *source = new_image(&grid, ISO_UNIT_PER_CM);
	for (size_t n = 0; n < iso_grid_voxels(&grid); n++) source->voxels[n] = (float)(n * n % 97);
	iso_image *out = resampled(source, &grid, NAN);
	/* Indices are recovered to 1e-12, so that the neighbours' share is 1e-10 at most. */
	for (size_t n = 0; n < iso_grid_voxels(&grid); n++) ISO_ASSERT_NEAR(out->voxels[n], source->voxels[n], 1e-5);
	iso_image_free(source);
	iso_image_free(out);
}

static void coarser_is_the_mean(void)
{
	/* Voxels twice as large: the mean of exactly eight, and nothing of the neighbours. */
	const iso_grid fine = grid_of(4, 4, 4, 1), coarse = grid_of(2, 2, 2, 2);
	iso_image *source = new_image(&fine, ISO_UNIT_BQ_PER_ML);
	for (size_t n = 0; n < 64; n++) source->voxels[n] = (float)((n * 37) % 64);
	iso_image *out = resampled(source, &coarse, 0);
	for (size_t n = 0; n < 8; n++) {
		double sum = 0;
		for (size_t m = 0; m < 8; m++) {
			const size_t i = 2 * (n & 1) + (m & 1), j = 2 * (n >> 1 & 1) + (m >> 1 & 1),
				     k = 2 * (n >> 2) + (m >> 2);
			sum += (double)source->voxels[i + 4 * (j + 4 * k)];
		}
		ISO_ASSERT_NEAR(out->voxels[n], sum / 8, 1e-5);
	}
	iso_image_free(source);
	iso_image_free(out);
}

static double integral(const iso_image *image)
{
	double sum = 0;
	for (size_t n = 0; n < iso_grid_voxels(&image->grid); n++) sum += (double)image->voxels[n];
	return sum * iso_grid_voxel_ml(&image->grid);
}

static void coarser_keeps_the_integral(void)
{
	/* Ratios that are no whole numbers, a shifted grid that covers all of the source, one axis flipped: the activity in Bq
	 * stays, to the rounding of 1000 floats. A single hot voxel is the hardest case. */
	const iso_grid fine = grid_of(11, 12, 13, 0.8);
	iso_grid coarse = iso_grid_centred((const size_t[]){7, 7, 7}, (const double[]){1.9, 2.3, 2.7},
					   (const double[]){0.4, -0.6, 0.7});
	coarse.direction[1][1] = -1;
	coarse.origin_mm[1] = -coarse.origin_mm[1] - 1.2;
	iso_image *source = new_image(&fine, ISO_UNIT_BQ_PER_ML);
	for (size_t voxel = 0; voxel < iso_grid_voxels(&fine); voxel += 97) {
		memset(source->voxels, 0, iso_grid_voxels(&fine) * sizeof(float));
		source->voxels[voxel] = 1000;
		iso_image *out = resampled(source, &coarse, 0);
		ISO_ASSERT_NEAR(integral(out) / integral(source), 1, 1e-6);
		iso_image_free(out);
	}
	iso_image_free(source);
}

static void partly_outside(void)
{
	/* One source voxel of 1 mm at 0 with the value 8 under a target of 2 mm: 1/2 along each axis inside. With the
	 * source in the middle 1/8 of the volume is inside: 1/8 * 8 + 7/8 * 16 = 15. */
	const iso_grid one = grid_of(1, 1, 1, 1), two = grid_of(1, 1, 1, 2);
	iso_image *source = new_image(&one, ISO_UNIT_PER_CM);
	source->voxels[0] = 8;
	iso_image *out = resampled(source, &two, 16);
	ISO_ASSERT_NEAR(out->voxels[0], 15, 1e-6);
	iso_image_free(out);
	iso_grid away = one;
	away.origin_mm[2] = 0.75; /* a centre beyond the half voxel */
	out = resampled(source, &away, -3);
	ISO_ASSERT_NEAR(out->voxels[0], -3, 0);
	iso_image_free(out);
	away.origin_mm[2] = 0.25; /* within it: constant up to the edge */
	out = resampled(source, &away, -3);
	ISO_ASSERT_NEAR(out->voxels[0], 8, 0);
	iso_image_free(out);
	iso_image_free(source);
}

static void flipped_and_exchanged_axes(void)
{
	/* Target index i runs along -z, j along +x, k along -y of the source: voxels are only renamed. */
	const iso_grid grid = grid_of(3, 4, 5, 1.5);
	iso_image *source = new_image(&grid, ISO_UNIT_MM);
	for (size_t n = 0; n < 60; n++) source->voxels[n] = (float)n;
	iso_grid turned = {
	    .size = {5, 3, 4}, .voxel_mm = {1.5, 1.5, 1.5}, .direction = {{0, 0, -1}, {1, 0, 0}, {0, -1, 0}}};
	iso_grid_point_mm(&grid, (const double[]){0, 3, 4}, turned.origin_mm);
	iso_image *out = resampled(source, &turned, NAN);
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < 3; j++)
			for (size_t k = 0; k < 4; k++)
				ISO_ASSERT_NEAR(out->voxels[i + 5 * (j + 3 * k)],
						source->voxels[j + 3 * ((3 - k) + 4 * (4 - i))], 1e-4);
	iso_image_free(source);
	iso_image_free(out);
}

static void oblique_coarser(void)
{
	/* A turned coarse grid well inside a ramp: samples lie symmetrically about the voxel's centre, so that their
	 * mean is the ramp's value there. */
	const iso_grid fine = grid_of(60, 60, 60, 0.5);
	iso_grid coarse = turned_grid(1.1);
	for (int a = 0; a < 3; a++) coarse.size[a] = 3, coarse.voxel_mm[a] = 1.7, coarse.origin_mm[a] = -1;
	iso_image *source = new_image(&fine, ISO_UNIT_BQ_PER_ML), *truth = new_image(&coarse, ISO_UNIT_BQ_PER_ML);
	fill_ramp(source);
	fill_ramp(truth);
	iso_image *out = resampled(source, &coarse, NAN);
	for (size_t n = 0; n < 27; n++) ISO_ASSERT_NEAR(out->voxels[n], truth->voxels[n], 1e-5);
	iso_image_free(source);
	iso_image_free(truth);
	iso_image_free(out);
}

static void mistaken_units(void)
{
	const iso_grid metres = grid_of(2, 2, 2, 1e-3);
	const iso_grid far_coarser = grid_of(2, 2, 2, 50);
	iso_image *source = new_image(&metres, ISO_UNIT_PER_CM), *out = source;
	iso_error err;
	CU_ASSERT_EQUAL(iso_image_resample(source, &far_coarser, 0, &out, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(out);
	CU_ASSERT(strstr(err.remedy, "mm") != NULL);
	iso_image_free(source);
}

static void volumes(void)
{
	const iso_grid grid = grid_of(3, 4, 5, 1);
	const iso_frame frames[2] = {{0, 60}, {60, 120}};
	iso_volume *volume;
	iso_error err;
	ISO_ASSERT_OK(iso_volume_create(&grid, ISO_UNIT_BQ_PER_ML, 2, frames, 3, &volume, &err), err);
	CU_ASSERT_EQUAL(volume->frames, 2);
	ISO_ASSERT_NEAR(volume->frame[1].duration_s, 120, 0);
	for (size_t n = 0; n < 120; n++) CU_ASSERT_EQUAL(volume->voxels[n], 0);
	for (size_t n = 0; n < 360; n++) CU_ASSERT_EQUAL(volume->replicate_voxels[n], 0);
	/* What nobody stated is not known. */
	CU_ASSERT(isnan(volume->decay_reference_s) && isnan(volume->half_life_s) && isnan(volume->calibration_factor));
	CU_ASSERT(isnan(volume->acquisition.start_utc_s) && volume->acquisition.nuclide[0] == '\0');
	iso_volume_free(volume);
	ISO_ASSERT_OK(iso_volume_create(&grid, ISO_UNIT_BQ_PER_ML, 1, frames, 0, &volume, &err), err);
	CU_ASSERT_PTR_NULL(volume->replicate_voxels);
	iso_volume_free(volume);
	iso_volume_free(NULL);
	CU_ASSERT_EQUAL(iso_volume_create(&grid, ISO_UNIT_BQ_PER_ML, 0, frames, 0, &volume, &err), ISO_BAD_USAGE);
	CU_ASSERT_PTR_NULL(volume);
	CU_ASSERT_EQUAL(iso_volume_create(&grid, ISO_UNIT_BQ_PER_ML, SIZE_MAX / 100, frames, 0, &volume, &err),
			ISO_BAD_USAGE);
	CU_ASSERT_EQUAL(iso_volume_create(&grid, ISO_UNIT_BQ_PER_ML, 1, frames, SIZE_MAX / 100, &volume, &err),
			ISO_BAD_USAGE);
}

static const iso_test tests[] = {
    {"units have texts", units},
    {"a centred grid has no half-voxel shift", centred_grid},
    {"index to point and back on a turned grid", index_and_point},
    {"impossible grids are refused", bad_grids},
    {"grids are equal to 1e-4 mm at the far end", grids_differ},
    {"resampling: finer is linear interpolation", finer_is_linear},
    {"resampling: the same grid is a copy", same_grid_is_a_copy},
    {"resampling: coarser is the mean", coarser_is_the_mean},
    {"resampling: coarser keeps the integral", coarser_keeps_the_integral},
    {"resampling: partly outside", partly_outside},
    {"resampling: flipped and exchanged axes", flipped_and_exchanged_axes},
    {"resampling: oblique", oblique_coarser},
    {"resampling: a mistaken unit is refused", mistaken_units},
    {"volumes", volumes},
};
ISO_TEST_MAIN("image", tests)
