/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From Hounsfield units to mu: the curves, and what becomes of a CT on another grid. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isotrace/attenuation.h"
#include "tests/harness.h"

static iso_mu_curve curve_of(double kvp)
{
	iso_mu_curve curve;
	iso_error err;
	ISO_ASSERT_OK(iso_mu_curve_of_kvp(kvp, &curve, &err), err);
	return curve;
}

/* The published table as standards.md has it, and half-way between two of its rows. */
static void clinical(void)
{
	const struct {
		double kvp, a, b;
	} rows[] = {{80, 0.0989, 3.84e-5},    {100, 0.0985, 4.56e-5}, {120, 0.0982, 5.11e-5}, {140, 0.0980, 5.60e-5},
		    {110, 0.09835, 4.835e-5}, {70, 0.0991, 3.48e-5},  {150, 0.0979, 5.845e-5}};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		const iso_mu_curve c = curve_of(rows[r].kvp);
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, 1000), rows[r].a + rows[r].b * 1000, 1e-12);
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, 3000), rows[r].a + rows[r].b * 3000, 1e-12);
		CU_ASSERT_EQUAL(iso_mu_of_hu(&c, 30000), iso_mu_of_hu(&c, 3000));
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, 0), 0.0960, 1e-12);
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, -700), 0.0288, 1e-12);
		CU_ASSERT_EQUAL(iso_mu_of_hu(&c, -1000), 0);
		CU_ASSERT_EQUAL(iso_mu_of_hu(&c, -3024), 0);
		/* the published lines meet to the digits that they have: 5e-5 of each number and 50 HU x 5e-8 */
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, 50.001), iso_mu_of_hu(&c, 50), 1.2e-4);
	}
	iso_mu_curve none;
	iso_error err;
	CU_ASSERT_EQUAL(iso_mu_curve_of_kvp(39.9, &none, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_mu_curve_of_kvp(150.1, &none, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_mu_curve_of_kvp((double)NAN, &none, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_mu_curve_of_energy(14, &none, &err), ISO_BAD_INPUT);
}

/* Bone's HU by effective energy are standards.md's, four digits; with them the curve must go through cortical bone's mu, 0.1674. */
static void by_energy(void)
{
	const double kev[] = {60, 65, 70, 75, 80}, hu[] = {1788, 1594, 1445, 1329, 1237};
	for (int n = 0; n < 5; n++) {
		iso_mu_curve c;
		iso_error err;
		ISO_ASSERT_OK(iso_mu_curve_of_energy(kev[n], &c, &err), err);
		/* half a digit of mu, and half of HU times the slope of 5e-5 */
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, hu[n]), 0.1674, 5e-5 + 2.5e-5);
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, 50.0001), iso_mu_of_hu(&c, 50), 1e-8);
	}
}

/* Below 70 kV: a harder beam makes bone darker, so that the same HU mean more; the effective energy lies below the tube's and
 * above that of no filter (a third of it); all curves hold bone. */
static void preclinical(void)
{
	double slope = 0;
	for (double kvp = 40; kvp < 70; kvp += 5) {
		const iso_mu_curve c = curve_of(kvp);
		CU_ASSERT(c.bone_slope_per_cm > slope);
		slope = c.bone_slope_per_cm;
		CU_ASSERT(c.effective_kev > kvp / 3 && c.effective_kev < kvp);
		iso_mu_curve same;
		iso_error err;
		ISO_ASSERT_OK(iso_mu_curve_of_energy(c.effective_kev, &same, &err), err);
		ISO_ASSERT_NEAR(same.bone_slope_per_cm / c.bone_slope_per_cm, 1, 1e-6);
		CU_ASSERT(iso_mu_of_hu(&c, c.most_hu) > 0.1674);
		ISO_ASSERT_NEAR(iso_mu_of_hu(&c, 0), 0.0960, 1e-12);
	}
}

static iso_image *water_cylinder(void)
{
	const iso_grid grid =
	    iso_grid_centred((const size_t[]){60, 60, 10}, (const double[]){0.5, 0.5, 1}, (const double[]){1, 2, 3});
	iso_image *ct;
	iso_error err;
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_HU, &ct, &err), err);
	for (size_t v = 0; v < iso_grid_voxels(&grid); v++) {
		const double x = 0.5 * ((double)(v % 60) - 29.5), y = 0.5 * ((double)(v / 60 % 60) - 29.5);
		ct->voxels[v] = x * x + y * y < 100 ? 0 : -1000;
	}
	return ct;
}

static double sum_ml(const iso_image *image)
{
	double sum = 0;
	for (size_t v = 0; v < iso_grid_voxels(&image->grid); v++) sum += (double)image->voxels[v];
	return sum * iso_grid_voxel_ml(&image->grid);
}

/* The mean over each of the PET's voxels: the sum stays, also across voxels that the edges of the two grids cut, and also on a covering grid
 * that is made from one which holds only a part. */
static void averaging(void)
{
	iso_mu_options options = iso_mu_options_default();
	options.curve = curve_of(120);
	options.truncation = ISO_CT_TRUNCATION_IGNORE;
	iso_error err;
	iso_image *ct = water_cylinder(), *mu;
	double pixels = 0;
	for (size_t v = 0; v < iso_grid_voxels(&ct->grid); v++) pixels += ct->voxels[v] == 0;
	const double expected = 0.0960 * pixels * iso_grid_voxel_ml(&ct->grid);
	const iso_grid pet =
	    iso_grid_centred((const size_t[]){5, 6, 3}, (const double[]){1.3, 1.7, 2.2}, (const double[]){0, 0, 0});
	const iso_grid wide = iso_grid_covering(&pet, &ct->grid, (const double[]){0.3, -5, 7});
	for (int a = 0; a < 3; a++) {
		const double steps = (pet.origin_mm[a] - wide.origin_mm[a]) / pet.voxel_mm[a];
		ISO_ASSERT_NEAR(steps, rint(steps), 1e-9);
		CU_ASSERT(wide.size[a] >= pet.size[a] && steps >= 0);
	}
	memcpy(options.offset_mm, (const double[]){0.3, -5, 7}, sizeof options.offset_mm);
	iso_mu_report report;
	ISO_ASSERT_OK(iso_mu_from_ct(ct, &options, &wide, &mu, &report, &err), err);
	ISO_ASSERT_NEAR(sum_ml(mu) / expected, 1, 1e-6); /* floats */
	ISO_ASSERT_NEAR(report.outside_fraction, 0, 1e-6);
	/* a voxel in the middle, at (1.3, -3, 10) */
	double index[3];
	iso_grid_index(&wide, (const double[]){1.3, -3, 10}, index);
	const size_t middle =
	    (size_t)rint(index[0]) + wide.size[0] * ((size_t)rint(index[1]) + wide.size[1] * (size_t)rint(index[2]));
	ISO_ASSERT_NEAR(mu->voxels[middle], 0.0960, 1e-7);
	iso_image_free(mu);
	iso_image_free(ct);
	/* blurred: the sum stays, the middle too */
	ct = water_cylinder();
	options.blur_fwhm_mm = 2;
	ISO_ASSERT_OK(iso_mu_from_ct(ct, &options, &wide, &mu, NULL, &err), err);
	ISO_ASSERT_NEAR(sum_ml(mu) / expected, 1, 1e-5);
	iso_image_free(mu);
	iso_image_free(ct);
	/* only a part of it: the rest is told */
	ct = water_cylinder();
	options.blur_fwhm_mm = 0;
	memset(options.offset_mm, 0, sizeof options.offset_mm);
	ISO_ASSERT_OK(iso_mu_from_ct(ct, &options, &pet, &mu, &report, &err), err);
	ISO_ASSERT_NEAR(report.outside_fraction, 1 - sum_ml(mu) / expected, 1e-5);
	CU_ASSERT(report.outside_fraction > 0.5);
	iso_image_free(mu);
	iso_image_free(ct);
}

/* A table's two edges are no truncation; a reconstruction circle is recognised by its empty corners. */
static void truncation(void)
{
	iso_mu_options options = iso_mu_options_default();
	options.curve = curve_of(120);
	iso_error err;
	iso_mu_report report;
	iso_image *ct = water_cylinder(), *mu;
	for (size_t v = 0; v < iso_grid_voxels(&ct->grid); v++) {
		const double x = ((double)(v % 60) - 29.5) / 30, y = ((double)(v / 60 % 60) - 29.5) / 30;
		if (v / 60 % 60 == 45) ct->voxels[v] = 200; /* the table, a line */
		if (x * x + y * y > 1) ct->voxels[v] = -2000;
	}
	ISO_ASSERT_OK(iso_mu_from_ct(ct, &options, NULL, &mu, &report, &err), err);
	CU_ASSERT(report.border_share > 0 && report.border_share < 0.02);
	CU_ASSERT_EQUAL(report.border_slices, 0);
	iso_image_free(mu);
	iso_image_free(ct);
	/* an arm: the right quarter of the circle, which is 120 degrees of its border, x > 0.5 */
	ct = water_cylinder();
	for (size_t v = 0; v < iso_grid_voxels(&ct->grid); v++) {
		const double x = ((double)(v % 60) - 29.5) / 30, y = ((double)(v / 60 % 60) - 29.5) / 30;
		if (x > 0.5) ct->voxels[v] = 0;
		if (x * x + y * y > 1) ct->voxels[v] = -2000;
	}
	CU_ASSERT_EQUAL(iso_mu_from_ct(ct, &options, NULL, &mu, &report, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(mu);
	/* of the border ring at 0.92 of the radius: acos(0.5/0.92)/pi = 0.317; a pixel of 88 on either side of 2 edges */
	ISO_ASSERT_NEAR(report.border_share, 0.317, 0.03);
	CU_ASSERT_EQUAL(report.border_slices, 10);
	iso_image_free(ct);
}

static const iso_test tests[] = {
    {"clinical tube voltages", clinical},
    {"effective energies", by_energy},
    {"preclinical tube voltages", preclinical},
    {"averaging keeps the integral", averaging},
    {"truncation", truncation},
};
ISO_TEST_MAIN("attenuation", tests)
