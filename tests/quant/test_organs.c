/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/organs.h"
#include "tests/harness.h"

static const iso_organ two[] = {
    {1, "liver", 1.05, 0.01, (double)NAN, (double)NAN},
    {2, "spleen", 1.05, 0.01, (double)NAN, (double)NAN},
};

static iso_image *labels_on(const iso_grid *grid)
{
	iso_image *labels;
	iso_error err;
	CU_ASSERT_EQUAL_FATAL(iso_image_create(grid, ISO_UNIT_LABEL, &labels, &err), ISO_OK);
	return labels;
}

static float *at(iso_image *image, size_t i, size_t j, size_t k)
{
	return &image->voxels[i + image->grid.size[0] * (j + image->grid.size[1] * k)];
}

static double fraction_at(const iso_organs *organs, size_t organ, size_t i, size_t j, size_t k)
{
	const size_t v = i + organs->grid.size[0] * (j + organs->grid.size[1] * k);
	for (size_t n = organs->first[organ]; n < organs->first[organ + 1]; n++)
		if (organs->voxel[n] == v) return (double)organs->fraction[n];
	return 0;
}

static double total_ml(const iso_organs *organs, size_t organ)
{
	double sum = 0;
	for (size_t n = organs->first[organ]; n < organs->first[organ + 1]; n++) sum += (double)organs->fraction[n];
	return sum * iso_grid_voxel_ml(&organs->grid);
}

/* Centre of gravity in mm, from the entries. */
static void centroid(const iso_organs *organs, size_t organ, double centre[3])
{
	double weight = 0;
	memset(centre, 0, 3 * sizeof *centre);
	for (size_t n = organs->first[organ]; n < organs->first[organ + 1]; n++) {
		const size_t v = organs->voxel[n];
		const double index[3] = {(double)(v % organs->grid.size[0]),
					 (double)(v / organs->grid.size[0] % organs->grid.size[1]),
					 (double)(v / organs->grid.size[0] / organs->grid.size[1])};
		double point[3];
		iso_grid_point_mm(&organs->grid, index, point);
		for (int a = 0; a < 3; a++) centre[a] += (double)organs->fraction[n] * point[a];
		weight += (double)organs->fraction[n];
	}
	for (int a = 0; a < 3; a++) centre[a] /= weight;
}

static iso_grid target_grid(void)
{
	return iso_grid_centred((const size_t[3]){10, 12, 14}, (const double[3]){1, 1.5, 2},
				(const double[3]){3, -20, 100});
}

/* One label voxel of 2 x 2 x 2 mm centred on (3.25, -19.75, 100.5). The target's cells end at ... 2, 3, 4, 5 mm in x,
 * ... -21.5, -20, -18.5 in y, ... 98, 100, 102 in z. The voxel reaches from 2.25 to 4.25: 0.75, 1, 0.25 mm in three cells,
 * from -20.75 to -18.75: 0.75 and 1.25 of 1.5 mm, from 99.5 to 101.5: 0.5 and 1.5 of 2 mm. */
static void one_voxel_by_hand(void)
{
	const iso_grid grid = target_grid();
	const iso_grid one = iso_grid_centred((const size_t[3]){1, 1, 1}, (const double[3]){2, 2, 2},
					      (const double[3]){3.25, -19.75, 100.5});
	iso_image *labels = labels_on(&one);
	*at(labels, 0, 0, 0) = 1;
	iso_organs *organs;
	iso_error err;
	ISO_ASSERT_OK(iso_organs_create(labels, two, 1, &grid, "l.nii", &organs, &err), err);
	const double x[3] = {0.75, 1, 0.25}, y[2] = {0.75 / 1.5, 1.25 / 1.5}, z[2] = {0.5 / 2, 1.5 / 2};
	/* Cells: x edges start at -2 (cell 4 is 2..3), y edges at -29 (cell 5 is -21.5..-20), z edges at 86 (cell 6 is
	 * 98..100). */
	CU_ASSERT_EQUAL(organs->first[1], 12);
	for (size_t c = 0; c < 2; c++)
		for (size_t b = 0; b < 2; b++)
			for (size_t a = 0; a < 3; a++)
				ISO_ASSERT_NEAR(fraction_at(organs, 0, 4 + a, 5 + b, 6 + c), x[a] * y[b] * z[c], 1e-7);
	ISO_ASSERT_NEAR(organs->volume_ml[0], 0.008, 1e-15);
	ISO_ASSERT_NEAR(organs->surface_ml[0], 0.008, 1e-15);
	iso_organs_free(organs);
	iso_image_free(labels);
}

/* An L-shaped organ, so that a flip or a swap of axes that is forgotten moves its centre of gravity. Its label voxels
 * are listed in mm through the label grid itself. */
static void fill_l_shape(iso_image *labels, double centre[3])
{
	double count = 0;
	memset(centre, 0, 3 * sizeof *centre);
	for (size_t k = 2; k < 9; k++)
		for (size_t j = 2; j < 9; j++)
			for (size_t i = 2; i < 9; i++) {
				if (i > 4 && j > 3 && k > 2) continue;
				*at(labels, i, j, k) = 1;
				double point[3];
				iso_grid_point_mm(&labels->grid, (const double[3]){(double)i, (double)j, (double)k},
						  point);
				for (int a = 0; a < 3; a++) centre[a] += point[a];
				count++;
			}
	for (int a = 0; a < 3; a++) centre[a] /= count;
}

/* A label grid with its centre at centre_mm whose axes are the columns given. */
static iso_grid turned(const double direction[3][3], const double voxel_mm[3])
{
	iso_grid grid = {.size = {11, 11, 11}};
	memcpy(grid.direction, direction, sizeof grid.direction);
	const double centre[3] = {3.3, -20.2, 99.6};
	for (int k = 0; k < 3; k++) {
		grid.voxel_mm[k] = voxel_mm[k];
		grid.origin_mm[k] = centre[k];
		for (int a = 0; a < 3; a++) grid.origin_mm[k] -= direction[a][k] * voxel_mm[a] * 5;
	}
	return grid;
}

/* A cell's centre of gravity and that of the parts inside it differ, so the centroid is good to about half a cell; averaged
 * over a body of several cells it is far better. Exact it is for the parts themselves, which the hand-made case shows. */
static void any_orientation(void)
{
	const double c = cos(0.5), s = sin(0.5);
	const double directions[][3][3] = {
	    {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {{-1, 0, 0}, {0, -1, 0}, {0, 0, 1}}, {{0, 1, 0}, {0, 0, -1}, {-1, 0, 0}},
	    {{0, 0, 1}, {1, 0, 0}, {0, 1, 0}}, {{c, s, 0}, {-s, c, 0}, {0, 0, 1}},  {{c, 0, s}, {0, -1, 0}, {s, 0, -c}},
	};
	const double edges[][3] = {{0.37, 0.61, 0.5}, {0.3, 0.3, 0.3}, {0.9, 0.45, 0.8}};
	const iso_grid grid = target_grid();
	for (size_t d = 0; d < sizeof directions / sizeof *directions; d++)
		for (size_t e = 0; e < 3; e++) {
			const iso_grid turned_grid = turned(directions[d], edges[e]);
			iso_image *labels = labels_on(&turned_grid);
			double expected[3], found[3];
			fill_l_shape(labels, expected);
			iso_organs *organs;
			iso_error err;
			ISO_ASSERT_OK(iso_organs_create(labels, two, 1, &grid, "l.nii", &organs, &err), err);
			/* Fractions are floats: 6e-8 of each. */
			ISO_ASSERT_NEAR(total_ml(organs, 0) / organs->volume_ml[0], 1, 1e-6);
			ISO_ASSERT_NEAR(organs->volume_ml[0], 223 * iso_grid_voxel_ml(&turned_grid), 1e-12);
			centroid(organs, 0, found);
			/* The flip of one axis would move it by 0.6 mm or more where the body has 4 cells along the axis;
			 * half a cell spread over the two faces of each axis: 0.25 mm. */
			for (int a = 0; a < 3; a++) ISO_ASSERT_NEAR(found[a], expected[a], 0.25 * grid.voxel_mm[a]);
			for (size_t n = 0; n < organs->first[1]; n++)
				CU_ASSERT(organs->fraction[n] > 0 && organs->fraction[n] < 1.12f);
			iso_organs_free(organs);
			iso_image_free(labels);
		}
}

/* A flipped grid that holds the same body gives the same bits. */
static void flip_changes_nothing(void)
{
	const iso_grid grid = target_grid();
	const iso_grid plain = iso_grid_centred((const size_t[3]){11, 11, 11}, (const double[3]){0.5, 0.5, 0.5},
						(const double[3]){3, -20, 100});
	iso_grid flipped = plain;
	flipped.direction[0][0] = -1;
	flipped.origin_mm[0] = plain.origin_mm[0] + 10 * 0.5;
	iso_image *a = labels_on(&plain), *b = labels_on(&flipped);
	double unused[3];
	fill_l_shape(a, unused);
	for (size_t k = 0; k < 11; k++)
		for (size_t j = 0; j < 11; j++)
			for (size_t i = 0; i < 11; i++) *at(b, 10 - i, j, k) = *at(a, i, j, k);
	iso_organs *x, *y;
	iso_error err;
	ISO_ASSERT_OK(iso_organs_create(a, two, 1, &grid, "a", &x, &err), err);
	ISO_ASSERT_OK(iso_organs_create(b, two, 1, &grid, "b", &y, &err), err);
	CU_ASSERT_EQUAL_FATAL(x->first[1], y->first[1]);
	for (size_t n = 0; n < x->first[1]; n++) {
		CU_ASSERT_EQUAL(x->voxel[n], y->voxel[n]);
		ISO_ASSERT_NEAR(x->fraction[n], y->fraction[n], 2e-7);
	}
	CU_ASSERT_EQUAL(x->surface_ml[0], y->surface_ml[0]);
	iso_organs_free(x);
	iso_organs_free(y);
	iso_image_free(a);
	iso_image_free(b);
}

/* The same grid with the rounding of a float32 affine: no slivers in the neighbours. Two organs in one voxel: halves. */
static void same_grid_and_shared_voxel(void)
{
	iso_grid grid = target_grid();
	iso_grid rounded = grid;
	for (int a = 0; a < 3; a++) rounded.origin_mm[a] = (double)(float)(grid.origin_mm[a] + 3e-6);
	iso_image *labels = labels_on(&rounded);
	for (size_t k = 0; k < 14; k++)
		for (size_t j = 0; j < 12; j++)
			for (size_t i = 0; i < 10; i++) *at(labels, i, j, k) = i < 5 ? 1 : 2;
	iso_organs *organs;
	iso_error err;
	ISO_ASSERT_OK(iso_organs_create(labels, two, 2, &grid, "l", &organs, &err), err);
	CU_ASSERT_EQUAL(organs->first[1], 5 * 12 * 14);
	CU_ASSERT_EQUAL(organs->first[2], 10 * 12 * 14);
	for (size_t n = 0; n < organs->first[2]; n++) ISO_ASSERT_NEAR(organs->fraction[n], 1, 1e-7);
	iso_organs_free(organs);
	iso_image_free(labels);
	const iso_grid halves = iso_grid_centred((const size_t[3]){2, 1, 1}, (const double[3]){0.5, 1.5, 2},
						 (const double[3]){3.5, -19.25, 101});
	labels = labels_on(&halves);
	labels->voxels[0] = 2, labels->voxels[1] = 1;
	ISO_ASSERT_OK(iso_organs_create(labels, two, 2, &grid, "l", &organs, &err), err);
	ISO_ASSERT_NEAR(fraction_at(organs, 0, 5, 6, 7), 0.5, 1e-7);
	ISO_ASSERT_NEAR(fraction_at(organs, 1, 5, 6, 7), 0.5, 1e-7);
	iso_organs_free(organs);
	iso_image_free(labels);
}

/* A 5 x 5 x 5 cube has 125 - 27 boundary voxels. */
static void boundary_shell(void)
{
	const iso_grid grid =
	    iso_grid_centred((const size_t[3]){9, 9, 9}, (const double[3]){1, 1, 1}, (const double[3]){0, 0, 0});
	iso_image *labels = labels_on(&grid);
	for (size_t k = 2; k < 7; k++)
		for (size_t j = 2; j < 7; j++)
			for (size_t i = 2; i < 7; i++) *at(labels, i, j, k) = 1;
	iso_organs *organs;
	iso_error err;
	ISO_ASSERT_OK(iso_organs_create(labels, two, 1, &grid, "l", &organs, &err), err);
	ISO_ASSERT_NEAR(organs->surface_ml[0], 0.098, 1e-12);
	ISO_ASSERT_NEAR(organs->volume_ml[0], 0.125, 1e-12);
	iso_organs_free(organs);
	iso_image_free(labels);
}

static void refuse(iso_image *labels, size_t count, const char *word)
{
	const iso_grid grid = target_grid();
	iso_organs *organs;
	iso_error err = {0};
	const iso_status status = iso_organs_create(labels, two, count, &grid, "labels.nii.gz", &organs, &err);
	if (status != ISO_BAD_INPUT || !strstr(err.message, word)) iso_test_print_error(&err);
	CU_ASSERT_EQUAL(status, ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(organs);
	CU_ASSERT_STRING_EQUAL(err.file, "labels.nii.gz");
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, word));
}

static void wrong_labels(void)
{
	iso_grid grid = target_grid();
	iso_image *labels = labels_on(&grid);
	refuse(labels, 1, "no voxel carries it");
	*at(labels, 3, 4, 5) = 1;
	refuse(labels, 2, "label 2, spleen");
	*at(labels, 4, 4, 5) = 1.5f;
	refuse(labels, 1, "label 1.5 in voxel (4,4,5) is no label");
	*at(labels, 4, 4, 5) = -1;
	refuse(labels, 1, "label -1 in voxel (4,4,5)");
	*at(labels, 4, 4, 5) = NAN;
	refuse(labels, 1, "nan in voxel (4,4,5)");
	*at(labels, 4, 4, 5) = 9;
	refuse(labels, 1, "label 9 in voxel (4,4,5) is not in the organ table");
	*at(labels, 4, 4, 5) = 1;
	labels->grid.origin_mm[1] -= 7; /* voxel (3,4,5) now lies within the first row and a third outside */
	refuse(labels, 1, "label 1 in voxel (3,4,5) (liver) is cut off");
	labels->grid.origin_mm[1] -= 100;
	refuse(labels, 1, "whole organ");
	iso_image_free(labels);
}

static iso_status read_table(const char *text, iso_organ **organs, size_t *count, iso_error *err)
{
	const char *path = iso_test_path("organs.csv");
	const iso_status status = iso_output_write(path, text, strlen(text), err);
	return status == ISO_OK ? iso_organ_table_read(path, organs, count, err) : status;
}

static void table(void)
{
	iso_organ *organs;
	size_t count;
	iso_error err;
	ISO_ASSERT_OK(read_table("label,organ,density_g_per_ml,density_uncertainty_g_per_ml,mass_g,mass_uncertainty_g\n"
				 "3,Liver,,,,\n7,tumour,1.1,,,\n2,gland,,,0.25,0.01\n9,lungs,,0.1,,\n",
				 &organs, &count, &err),
		      err);
	CU_ASSERT_EQUAL(count, 4);
	CU_ASSERT_EQUAL(organs[0].label, 3);
	CU_ASSERT_STRING_EQUAL(organs[0].name, "Liver");
	ISO_ASSERT_NEAR(organs[0].density_g_per_ml, 1.05, 0);
	CU_ASSERT(organs[0].density_uncertainty_g_per_ml > 0 && isnan(organs[0].mass_g));
	ISO_ASSERT_NEAR(organs[1].density_g_per_ml, 1.1, 0);
	CU_ASSERT(isnan(organs[1].density_uncertainty_g_per_ml)); /* the library's is not that of another density */
	CU_ASSERT(isnan(organs[2].density_g_per_ml));
	ISO_ASSERT_NEAR(organs[2].mass_g, 0.25, 0);
	ISO_ASSERT_NEAR(organs[2].mass_uncertainty_g, 0.01, 0);
	ISO_ASSERT_NEAR(organs[3].density_g_per_ml, 0.38, 0);
	ISO_ASSERT_NEAR(organs[3].density_uncertainty_g_per_ml, 0.1, 0);
	free(organs);
	double density, uncertainty;
	const char *source;
	CU_ASSERT_TRUE(iso_tissue_density("left_Kidney", &density, &uncertainty, &source));
	ISO_ASSERT_NEAR(density, 1.05, 0);
	CU_ASSERT_FALSE(iso_tissue_density("quux", &density, &uncertainty, &source));
}

static void wrong_tables(void)
{
	static const struct {
		const char *text, *word;
		long line;
	} cases[] = {
	    {"label,organ\n", "empty", 0},
	    {"organ\nliver\n", "column label is missing", 0},
	    {"label,organ,colour\n1,liver,red\n", "colour", 0},
	    {"label,organ\n1,liver\n0,spleen\n", "'0'", 3},
	    {"label,organ\n1.5,liver\n", "'1.5'", 2},
	    {"label,organ\n1,liver\n1,spleen\n", "label stands twice", 3},
	    {"label,organ\n1,liver\n2,LIVER\n", "organ stands twice", 3},
	    {"label,organ\n1,quux\n", "no density is known", 2},
	    {"label,organ\n1,\n", "organ", 2},
	    {"label,organ,density_g_per_ml\n1,liver,-1\n", "density_g_per_ml", 2},
	    {"label,organ,mass_g\n1,liver,heavy\n", "heavy", 2},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		iso_organ *organs;
		size_t count;
		iso_error err = {0};
		CU_ASSERT_EQUAL(read_table(cases[i].text, &organs, &count, &err), ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(organs);
		const bool right =
		    strstr(err.message, cases[i].word) && (!cases[i].line || err.position == cases[i].line);
		if (!right) iso_test_print_error(&err);
		CU_ASSERT(right);
	}
}

static const iso_test tests[] = {
    {"one voxel over twelve by hand", one_voxel_by_hand},
    {"the volume is kept in any orientation", any_orientation},
    {"a flipped grid gives the same parts", flip_changes_nothing},
    {"the same grid with rounding, a shared voxel", same_grid_and_shared_voxel},
    {"the boundary shell of a cube", boundary_shell},
    {"labels that are wrong are refused", wrong_labels},
    {"the organ table", table},
    {"wrong organ tables", wrong_tables},
};
ISO_TEST_MAIN("organs", tests)
