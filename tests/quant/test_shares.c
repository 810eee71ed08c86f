/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Activity of voxels that organs share, against images whose truth is known: exact voxel averages of bodies of known concentration. Every
 * recovery is tested beside what the plain volume fraction gives, which must miss. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "quant/shares.h"
#include "tests/harness.h"

enum { EDGE = 16, VOXELS = EDGE * EDGE * EDGE };

static iso_grid cube_grid(void)
{
	return iso_grid_centred((const size_t[3]){EDGE, EDGE, EDGE}, (const double[3]){1, 1, 1},
				(const double[3]){0, 0, 0});
}

static float *shares_of(const iso_organs *organs, const float *voxels)
{
	float *share = calloc(organs->first[organs->count] + 1, sizeof *share);
	CU_ASSERT_PTR_NOT_NULL_FATAL(share);
	iso_shares *shares;
	iso_error err;
	ISO_ASSERT_OK(iso_shares_begin(organs, &shares, &err), err);
	/* Another frame before it leaves nothing behind. */
	float *other = calloc(iso_grid_voxels(&organs->grid), sizeof *other);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	for (size_t n = 0; n < organs->first[organs->count]; n++) other[organs->voxel[n]] = (float)(n % 7);
	iso_shares_of(shares, other, share);
	free(other);
	iso_shares_of(shares, voxels, share);
	iso_shares_end(shares);
	return share;
}

static double total(const iso_organs *organs, size_t organ, const float *part, const float *voxels)
{
	double sum = 0;
	for (size_t n = organs->first[organ]; n < organs->first[organ + 1]; n++)
		sum += (double)part[n] * (double)voxels[organs->voxel[n]];
	return sum;
}

static double volume(const iso_organs *organs, size_t organ)
{
	double sum = 0;
	for (size_t n = organs->first[organ]; n < organs->first[organ + 1]; n++) sum += (double)organs->fraction[n];
	return sum;
}

/* No share leaves [0, 1], nor does the sum in a voxel; where the organs fill the voxel it is 1. 1e-6: floats. */
static void check_conserved(const iso_organs *organs, const float *share)
{
	const size_t count = iso_grid_voxels(&organs->grid);
	double *covered = calloc(count, sizeof *covered), *shared = calloc(count, sizeof *shared);
	CU_ASSERT_FATAL(covered && shared);
	bool right = true;
	for (size_t n = 0; n < organs->first[organs->count]; n++) {
		covered[organs->voxel[n]] += (double)organs->fraction[n];
		shared[organs->voxel[n]] += (double)share[n];
		right = right && share[n] >= 0 && share[n] <= 1;
	}
	for (size_t v = 0; v < count; v++) {
		right = right && shared[v] < 1 + 1e-6;
		if (covered[v] > 1 - 1e-4) right = right && shared[v] > 1 - 1e-6;
	}
	CU_ASSERT(right);
	free(covered);
	free(shared);
}

/* Organs along a row of voxels of 1 mm: fraction[organ][voxel]. */
static iso_organs *row_organs(size_t length, size_t count, const double *fraction)
{
	iso_organs *out = calloc(1, sizeof *out);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	out->grid =
	    iso_grid_centred((const size_t[3]){length, 1, 1}, (const double[3]){1, 1, 1}, (const double[3]){0, 0, 0});
	out->count = count;
	out->first = calloc(count + 1, sizeof *out->first);
	out->voxel = calloc(count * length, sizeof *out->voxel);
	out->fraction = calloc(count * length, sizeof *out->fraction);
	CU_ASSERT_FATAL(out->first && out->voxel && out->fraction);
	size_t used = 0;
	for (size_t o = 0; o < count; o++) {
		for (size_t v = 0; v < length; v++) {
			if (!(fraction[o * length + v] > 0)) continue;
			out->voxel[used] = v;
			out->fraction[used++] = (float)fraction[o * length + v];
		}
		out->first[o + 1] = used;
	}
	return out;
}

/* Part of voxel n (from n to n + 1, in mm from the edge of the grid) between low and high. */
static double overlap(size_t n, double low, double high)
{
	return fmax(0, fmin(high, (double)n + 1) - fmax(low, (double)n));
}

/* Boxes between these places, in mm from the grid's corner; labels are voxels of 0.1 mm that fit them. */
typedef struct body {
	double low[3], high[3], level;
} body;

static double part_of(const body *b, size_t v)
{
	return overlap(v % EDGE, b->low[0], b->high[0]) * overlap(v / EDGE % EDGE, b->low[1], b->high[1]) *
	       overlap(v / EDGE / EDGE, b->low[2], b->high[2]);
}

static iso_organs *organs_of(const body *bodies, size_t count)
{
	const size_t fine = EDGE * 10;
	const iso_grid grid = cube_grid(),
		       label_grid = iso_grid_centred((const size_t[3]){fine, fine, fine},
						     (const double[3]){0.1, 0.1, 0.1}, (const double[3]){0, 0, 0});
	iso_organ organ[4];
	iso_image *labels;
	iso_organs *organs;
	iso_error err;
	ISO_ASSERT_OK(iso_image_create(&label_grid, ISO_UNIT_LABEL, &labels, &err), err);
	for (size_t b = 0; b < count; b++) {
		organ[b] = (iso_organ){.label = (int)b + 1, .density_g_per_ml = 1, .mass_g = (double)NAN};
		snprintf(organ[b].name, sizeof organ[b].name, "body %zu", b);
		size_t low[3], high[3];
		for (int a = 0; a < 3; a++) {
			low[a] = (size_t)lround(10 * bodies[b].low[a]);
			high[a] = (size_t)lround(10 * bodies[b].high[a]);
		}
		for (size_t k = low[2]; k < high[2]; k++)
			for (size_t j = low[1]; j < high[1]; j++)
				for (size_t i = low[0]; i < high[0]; i++)
					labels->voxels[i + fine * (j + fine * k)] = (float)(b + 1);
	}
	ISO_ASSERT_OK(iso_organs_create(labels, organ, count, &grid, "labels", &organs, &err), err);
	iso_image_free(labels);
	return organs;
}

/* Exact voxel averages of the bodies in a surrounding of around + slope x (x from the grid's corner; all of a voxel's
 * surrounding counts at its centre). */
static float *image_of(const body *bodies, size_t count, double around, double slope)
{
	float *voxels = calloc(VOXELS, sizeof *voxels);
	CU_ASSERT_PTR_NOT_NULL_FATAL(voxels);
	for (size_t v = 0; v < VOXELS; v++) {
		double value = 0, left = 1;
		for (size_t b = 0; b < count; b++) {
			value += part_of(&bodies[b], v) * bodies[b].level;
			left -= part_of(&bodies[b], v);
		}
		voxels[v] = (float)(value + left * (around + slope * ((double)(v % EDGE) + 0.5)));
	}
	return voxels;
}

/* Two organs that touch at x = 8.4, cutting voxels, 10 and 1 in a surrounding of 2. The loss of the plain fraction is known
 * exactly: sum f_a (f_a c_a + f_b c_b + (1 - f_a - f_b) c_out) with separable fractions. */
static void two_touching(void)
{
	const body bodies[2] = {{{3.3, 4.6, 5.2}, {8.4, 10.1, 9.7}, 10}, {{8.4, 4.6, 5.2}, {12.5, 10.1, 9.7}, 1}};
	const double around = 2;
	iso_organs *organs = organs_of(bodies, 2);
	float *voxels = image_of(bodies, 2, around, 0);
	float *share = shares_of(organs, voxels);
	check_conserved(organs, share);
	/* Along an axis sum f^2 = length - a (1 - a) - b (1 - b) with a and b the parts of the end voxels. */
	const double yz = (5.5 - 0.4 * 0.6 - 0.1 * 0.9) * (4.5 - 0.8 * 0.2 - 0.7 * 0.3);
	const double squares[2] = {(5.1 - 0.7 * 0.3 - 0.4 * 0.6) * yz, (4.1 - 0.6 * 0.4 - 0.5 * 0.5) * yz};
	const double product = 0.4 * 0.6 * yz;
	double given = 0, outside = 0;
	for (size_t o = 0; o < 2; o++) {
		const double ml = volume(organs, o), level = bodies[o].level, other = bodies[1 - o].level;
		const double plain = level * squares[o] + other * product + around * (ml - squares[o] - product);
		ISO_ASSERT_NEAR(total(organs, o, organs->fraction, voxels) / plain, 1, 1e-6);
		ISO_ASSERT_NEAR(total(organs, o, share, voxels) / ml / level, 1, 1e-6);
		printf("# %g: shared %.7f, plain fraction %.4f\n", level, total(organs, o, share, voxels) / ml,
		       total(organs, o, organs->fraction, voxels) / ml);
		CU_ASSERT(fabs(plain / ml / level - 1) > 0.1);
		given += total(organs, o, share, voxels);
	}
	/* What no organ got is the surroundings' content of the touched voxels. */
	double touched = 0;
	for (size_t v = 0; v < VOXELS; v++) {
		const double parts = part_of(&bodies[0], v) + part_of(&bodies[1], v);
		if (!(parts > 1e-9)) continue;
		touched += (double)voxels[v];
		outside += around * (1 - parts);
	}
	ISO_ASSERT_NEAR((given + outside) / touched, 1, 1e-6);
	free(share);
	free(voxels);
	iso_organs_free(organs);
}

/* A ball of 10 in nothing. The plain fraction loses the integral of f (1 - f) over the surface: h / 6 per surface for one along the
 * axes, h / 6.14 for a diagonal one (E|x - y| / 2 of two even points of the voxel, projected on the normal), so S h / 6 within
 * 4 %, the roughness of labels of 0.1 mm and the curvature, h^2 / R^2 = 4 %, of it included. */
static void ball_loses_surface(void)
{
	const size_t fine = EDGE * 10;
	const double radius = 5, level = 10;
	const iso_grid grid = cube_grid(),
		       label_grid = iso_grid_centred((const size_t[3]){fine, fine, fine},
						     (const double[3]){0.1, 0.1, 0.1}, (const double[3]){0, 0, 0});
	const iso_organ organ = {1, "ball", 1, 0, (double)NAN, (double)NAN};
	iso_image *labels;
	iso_organs *organs;
	iso_error err;
	ISO_ASSERT_OK(iso_image_create(&label_grid, ISO_UNIT_LABEL, &labels, &err), err);
	const double centre = (double)fine / 2 - 0.5;
	for (size_t v = 0; v < fine * fine * fine; v++) {
		const double x = (double)(v % fine) - centre, y = (double)(v / fine % fine) - centre,
			     z = (double)(v / fine / fine) - centre;
		labels->voxels[v] = x * x + y * y + z * z < 100 * radius * radius;
	}
	ISO_ASSERT_OK(iso_organs_create(labels, &organ, 1, &grid, "labels", &organs, &err), err);
	float *voxels = calloc(VOXELS, sizeof *voxels);
	CU_ASSERT_PTR_NOT_NULL_FATAL(voxels);
	for (size_t n = 0; n < organs->first[1]; n++)
		voxels[organs->voxel[n]] = (float)(level * (double)organs->fraction[n]);
	float *share = shares_of(organs, voxels);
	const double truth = level * volume(organs, 0);
	const double lost = truth - total(organs, 0, organs->fraction, voxels);
	const double surface = 4 * acos(-1) * radius * radius;
	printf("# the plain fraction loses %.2f %%, S h / 6 are %.2f %%\n", 100 * lost / truth,
	       100 * level * surface / 6 / truth);
	ISO_ASSERT_NEAR(lost / (level * surface / 6), 1, 0.04);
	ISO_ASSERT_NEAR(total(organs, 0, share, voxels) / truth, 1, 1e-6);
	free(share);
	free(voxels);
	iso_organs_free(organs);
	iso_image_free(labels);
}

/* Three organs share the voxels along x = y = 8, two the faces, all of them the surroundings. */
static void three_meet(void)
{
	const body bodies[3] = {{{3.5, 3.5, 4.3}, {8.3, 8.6, 11.8}, 8},
				{{8.3, 3.5, 4.3}, {12.6, 8.6, 11.8}, 0.5},
				{{3.5, 8.6, 4.3}, {12.6, 12.2, 11.8}, 3}};
	iso_organs *organs = organs_of(bodies, 3);
	float *voxels = image_of(bodies, 3, 0.1, 0);
	float *share = shares_of(organs, voxels);
	check_conserved(organs, share);
	for (size_t o = 0; o < 3; o++) {
		const double ml = volume(organs, o);
		ISO_ASSERT_NEAR(total(organs, o, share, voxels) / ml / bodies[o].level, 1, 1e-6);
		CU_ASSERT(fabs(total(organs, o, organs->fraction, voxels) / ml / bodies[o].level - 1) > 0.05);
	}
	free(share);
	free(voxels);
	iso_organs_free(organs);
}

/* The surroundings rise by 0.2 per voxel. In a boundary voxel, half of it organ, the voxel further out stands for them: 0.2 too low
 * on the low end (0.9 for 1.1, x = 5.5), 0.2 too high on the high one (2.3 for 2.1). The organ gets 5 (5.55 / 5.45 - 1) = 0.0917 too
 * much here and 5 (1 - 6.05 / 6.15) = 0.0813 too little there: 0.0104 x 25 voxels of 1250 are 2.1e-4; edges and
 * corners, which hold less organ, may double it. */
static void gradient(void)
{
	const body bodies[1] = {{{5.5, 5.5, 5.5}, {10.5, 10.5, 10.5}, 10}};
	iso_organs *organs = organs_of(bodies, 1);
	float *voxels = image_of(bodies, 1, 0, 0.2);
	float *share = shares_of(organs, voxels);
	check_conserved(organs, share);
	const double shared = total(organs, 0, share, voxels) / 1250;
	printf("# shared %.6f, plain fraction %.6f\n", shared, total(organs, 0, organs->fraction, voxels) / 1250);
	ISO_ASSERT_NEAR(shared, 1, 5e-4);
	CU_ASSERT(total(organs, 0, organs->fraction, voxels) / 1250 < 0.9);
	free(share);
	free(voxels);
	iso_organs_free(organs);
}

/* A cube of 6 mm turned by 25 and 35 degrees, labelled on its own grid: `level` in `around`, voxel averages from 12^3 points. */
static void turned_cube(double level, double around, double *shared, double *plain)
{
	const iso_grid grid = cube_grid();
	const double a = 25 / 57.29578, b = 35 / 57.29578;
	iso_grid turned = {.size = {15, 15, 15}, .voxel_mm = {0.4, 0.4, 0.4}};
	const double axes[3][3] = {{cos(a) * cos(b), sin(a), -cos(a) * sin(b)},
				   {-sin(a) * cos(b), cos(a), sin(a) * sin(b)},
				   {sin(b), 0, cos(b)}};
	memcpy(turned.direction, axes, sizeof axes);
	const double centre[3] = {0.13, -0.21, 0.07};
	for (int t = 0; t < 3; t++) turned.origin_mm[t] = centre[t] - 7 * 0.4 * (axes[0][t] + axes[1][t] + axes[2][t]);
	const iso_organ organ = {1, "cube", 1, 0, (double)NAN, (double)NAN};
	iso_image *labels;
	iso_organs *organs;
	iso_error err;
	ISO_ASSERT_OK(iso_image_create(&turned, ISO_UNIT_LABEL, &labels, &err), err);
	for (size_t v = 0; v < 15 * 15 * 15; v++) labels->voxels[v] = 1;
	ISO_ASSERT_OK(iso_organs_create(labels, &organ, 1, &grid, "labels", &organs, &err), err);
	float *voxels = calloc(VOXELS, sizeof *voxels);
	CU_ASSERT_PTR_NOT_NULL_FATAL(voxels);
	const int points = 12;
	for (size_t v = 0; v < VOXELS; v++) {
		int inside = 0;
		for (int p = 0; p < points * points * points; p++) {
			const double at[3] = {
			    (double)(v % EDGE) - EDGE / 2 + (p % points + 0.5) / points - centre[0],
			    (double)(v / EDGE % EDGE) - EDGE / 2 + (p / points % points + 0.5) / points - centre[1],
			    (double)(v / EDGE / EDGE) - EDGE / 2 + (p / points / points + 0.5) / points - centre[2]};
			bool in = true;
			for (int t = 0; t < 3; t++)
				in = in && fabs(at[0] * axes[t][0] + at[1] * axes[t][1] + at[2] * axes[t][2]) < 3;
			inside += in;
		}
		voxels[v] = (float)(around + (level - around) * inside / (points * points * points));
	}
	float *share = shares_of(organs, voxels);
	check_conserved(organs, share);
	*shared = total(organs, 0, share, voxels) / 216;
	*plain = total(organs, 0, organs->fraction, voxels) / 216;
	free(share);
	free(voxels);
	iso_organs_free(organs);
	iso_image_free(labels);
}

/* Sampled fractions inside the cube scatter by 0.8 % (0.983 to 1.02). Deep inside that is recognised; of about 100 voxels that are
 * full and on the boundary, those found too full are taken as full and the others not: 0.4 x 0.8 % of them, a loss of 0.15 % of 216
 * in an even image, times the contrast to the surroundings. Twice that is granted. The plain fraction: S h / 6 with S = 216 mm2 are
 * 17 % of the difference to the surroundings. */
static void turned_labels(void)
{
	static const double cases[][2] = {{10, 0}, {10, 2}, {1, 1}, {1, 5}};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		const double level = cases[c][0], around = cases[c][1];
		double shared, plain;
		turned_cube(level, around, &shared, &plain);
		printf("# %g in %g: shared %.4f, plain fraction %.4f\n", level, around, shared / level, plain / level);
		ISO_ASSERT_NEAR(shared / level, 1, 0.003 * fmax(around / level, 0.1));
		ISO_ASSERT_NEAR(plain / level, 1 - (1 - around / level) / 6, 0.02 * fabs(1 - around / level) + 1e-6);
	}
}

static void free_row(iso_organs *organs, float *share)
{
	iso_organs_free(organs);
	free(share);
}

/* Organs without a single whole voxel. */
static void all_voxels_shared(void)
{
	/* A cold sheet between two voxels, in hot surroundings: plain repetition needs 100 steps per digit here. */
	const double sheet[8] = {0, 0, 0, 0.5, 0.5, 0, 0, 0};
	const float hot[8] = {10, 10, 10, 5.05F, 5.05F, 10, 10, 10};
	iso_organs *organs = row_organs(8, 1, sheet);
	float *share = shares_of(organs, hot);
	check_conserved(organs, share);
	/* 5.05 is a float, good to 5e-7 of 5: 5e-6 of 0.1. */
	ISO_ASSERT_NEAR(total(organs, 0, share, hot), 0.1, 2e-6);
	free_row(organs, share);
	/* Two organs in the same three voxels. */
	const double both[2 * 3] = {0.8, 0.3, 0.6, 0.2, 0.7, 0.4};
	const float mixed[3] = {8.2F, 3.7F, 6.4F};
	organs = row_organs(3, 2, both);
	share = shares_of(organs, mixed);
	check_conserved(organs, share);
	ISO_ASSERT_NEAR(total(organs, 0, share, mixed) / 1.7, 10, 1e-3);
	ISO_ASSERT_NEAR(total(organs, 1, share, mixed) / 1.3, 1, 1e-3);
	free_row(organs, share);
	/* In the same proportion everywhere: nothing tells them apart, each gets its volume's part. */
	const double alike[2 * 2] = {0.25, 0.25, 0.75, 0.75};
	const float two[2] = {4, 8};
	organs = row_organs(2, 2, alike);
	share = shares_of(organs, two);
	for (size_t n = 0; n < 4; n++) ISO_ASSERT_NEAR(share[n], n < 2 ? 0.25 : 0.75, 1e-7);
	free_row(organs, share);
}

/* A gap of one voxel's width between organs of 10 and 4, holding 2: no voxel shows it, what the organs leave does. */
static void narrow_gap(void)
{
	const double fraction[2 * 6] = {1, 1, 0.5, 0, 0, 0, 0, 0, 0, 0.5, 1, 1};
	const float voxels[6] = {10, 10, 6, 3, 4, 4};
	iso_organs *organs = row_organs(6, 2, fraction);
	float *share = shares_of(organs, voxels);
	check_conserved(organs, share);
	ISO_ASSERT_NEAR(total(organs, 0, share, voxels), 25, 1e-5);
	ISO_ASSERT_NEAR(total(organs, 1, share, voxels), 10, 1e-5);
	CU_ASSERT(fabs(total(organs, 0, organs->fraction, voxels) / 25 - 1) > 0.05);
	free_row(organs, share);
}

/* Voxels that an organ fills are its own, whatever they hold: unevenly, below zero, no numbers, nothing at all. */
static void whole_voxels_untouched(void)
{
	const double fraction[2 * 8] = {0, 1, 1, 1, 0.4, 0, 0, 0, 0, 0, 0, 0, 0.6, 1, 1, 0.3};
	float voxels[8];
	iso_organs *organs = row_organs(8, 2, fraction);
	iso_random random = iso_random_begin(5, 1);
	for (int trial = 0; trial < 200; trial++) {
		for (size_t v = 0; v < 8; v++) voxels[v] = (float)(2 * iso_random_gaussian(&random));
		if (trial == 0) memset(voxels, 0, sizeof voxels);
		if (trial == 1) voxels[2] = NAN;
		if (trial == 2) voxels[4] = INFINITY;
		float *share = shares_of(organs, voxels);
		if (trial != 2) check_conserved(organs, share);
		for (size_t n = 0; n < organs->first[2]; n++)
			if (organs->fraction[n] == 1) CU_ASSERT_EQUAL(share[n], 1);
		if (trial == 0) CU_ASSERT_EQUAL(total(organs, 0, share, voxels) + total(organs, 1, share, voxels), 0);
		if (trial == 1) CU_ASSERT(isnan(total(organs, 0, share, voxels)));
		free(share);
	}
	iso_organs_free(organs);
}

/* An empty organ beside a full one gets nothing of the shared voxel, and one that no voxel knows anything of its fraction. */
static void empty_organs(void)
{
	const double fraction[2 * 4] = {1, 0.5, 0, 0, 0, 0.5, 1, 1};
	const float voxels[4] = {0, 4, 8, 8};
	iso_organs *organs = row_organs(4, 2, fraction);
	float *share = shares_of(organs, voxels);
	ISO_ASSERT_NEAR(total(organs, 0, share, voxels), 0, 1e-6);
	ISO_ASSERT_NEAR(total(organs, 1, share, voxels), 20, 1e-5);
	free_row(organs, share);
	/* Both look empty, and yet the voxel between them is not: then it is given away by volume. */
	const float between[4] = {-9, 4, -9, -9};
	organs = row_organs(4, 2, fraction);
	share = shares_of(organs, between);
	ISO_ASSERT_NEAR(share[1], 0.5, 0);
	ISO_ASSERT_NEAR(share[2], 0.5, 0);
	free_row(organs, share);
}

/* A part below the resolution of the floats, of an organ that comes later, in a voxel that was thought whole. */
static void sliver_comes_later(void)
{
	const double fraction[2 * 3] = {1, 1, 0, 0, 1e-9, 1};
	const float voxels[3] = {3, 3, 6};
	iso_organs *organs = row_organs(3, 2, fraction);
	float *share = shares_of(organs, voxels);
	check_conserved(organs, share);
	ISO_ASSERT_NEAR(total(organs, 0, share, voxels), 6, 1e-6);
	ISO_ASSERT_NEAR(total(organs, 1, share, voxels), 6, 1e-6);
	free_row(organs, share);
}

static const iso_test tests[] = {
    {"two touching organs in a surrounding", two_touching},
    {"a ball would lose its surface x h / 6", ball_loses_surface},
    {"three organs in one voxel", three_meet},
    {"surroundings with a gradient", gradient},
    {"labels turned against the volume", turned_labels},
    {"organs without a whole voxel", all_voxels_shared},
    {"a gap that no voxel shows", narrow_gap},
    {"whole voxels are not touched", whole_voxels_untouched},
    {"empty organs", empty_organs},
    {"a sliver of a later organ", sliver_comes_later},
};
ISO_TEST_MAIN("shares", tests)
