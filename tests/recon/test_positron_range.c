/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/positron_range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "recon/mask.h"
#include "tests/harness.h"

enum { N = 31 };
static const double lung = 0.38, edge_mm = 0.4, mean_mm = 0.56; /* Cu-64 in water */

/* A cube of densities in g/mL: `low` where i < border, else `high`. */
static iso_range_model *model_of(double low, double high, size_t border, iso_grid *grid)
{
	iso_error err;
	iso_image *mu;
	iso_positron_range range;
	iso_range_model *model;
	*grid = iso_grid_centred((size_t[3]){N, N, N}, (double[3]){edge_mm, edge_mm, edge_mm}, (double[3]){0, 0, 0});
	ISO_ASSERT_OK(iso_image_create(grid, ISO_UNIT_PER_CM, &mu, &err), err);
	for (size_t v = 0; v < iso_grid_voxels(grid); v++)
		mu->voxels[v] = (float)(0.0960 * (v % N < border ? low : high));
	ISO_ASSERT_OK(iso_positron_range_find("Cu-64", &range, &err), err);
	ISO_ASSERT_OK(iso_range_model_create(grid, mu, &range, &model, &err), err);
	iso_image_free(mu);
	return model;
}

/* Lung where i < 20, tissue beyond. Three tests look at it, and it takes seconds to make. */
enum { BORDER = 15 };
static iso_range_model *half_lung;
static iso_grid half_lung_grid;

static const iso_range_model *lung_and_tissue(void)
{
	if (!half_lung) half_lung = model_of(lung, 1.0, BORDER, &half_lung_grid);
	return half_lung;
}

/* Where the positrons of one voxel annihilate. */
static float *spread(const iso_range_model *model, size_t i, size_t j, size_t k)
{
	float *x = calloc((size_t)N * N * N, sizeof *x), *y = calloc((size_t)N * N * N, sizeof *y);
	x[i + N * (j + N * k)] = 1;
	iso_range_model_forward(model, x, y);
	free(x);
	return y;
}

/* Share of the positrons from depths a to b below a plane surface of water that leave through it: exp(-depth / s) / 2 for each
 * Gamma part, whose projection on the normal is exp(-|x| / s) / (2 s). */
static double escape(const iso_positron_range *range, double a, double b)
{
	double sum = 0;
	for (int part = 0; part < 2; part++) {
		const double s = range->scale_mm[part];
		const double p = part ? 1 - range->near_probability : range->near_probability;
		sum += 0.5 * p * s / (b - a) * (exp(-a / s) - exp(-b / s));
	}
	return sum;
}

#if !ISO_SANITIZED /* 24,000 columns to look at one */
/* In uniform lung ways are the water's over 0.38. The mean square of the way from voxel's middle to voxel's middle is 6 s^2 / 0.38^2 for each
 * Gamma part, and half a voxel's square: h^2 / 6 along each axis for the start and the end somewhere in their voxels. The 768 positrons
 * of a column would know it to 5.5 % if drawn independently (a Gamma distribution's fourth moment is 120 s^4); they are spread
 * evenly, but some of the farthest leave the cube, 6.2 mm away: less than 1 % of them, with 3 % of the mean square. Nothing else is lost. */
static void test_uniform_lung(void)
{
	iso_grid grid;
	iso_error err;
	iso_range_model *model = model_of(lung, lung, N, &grid);
	float *y = spread(model, N / 2, N / 2, N / 2);
	double sum = 0, squares = 0, centre[3] = {0, 0, 0}, expected = edge_mm * edge_mm / 2;
	for (size_t v = 0; v < (size_t)N * N * N; v++) {
		const double index[3] = {(double)(v % N), (double)(v / N % N), (double)(v / N / N)};
		double p[3];
		iso_grid_point_mm(&grid, index, p);
		sum += (double)y[v];
		squares += (double)y[v] * (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
		for (int a = 0; a < 3; a++) centre[a] += (double)y[v] * p[a];
	}
	iso_positron_range range;
	ISO_ASSERT_OK(iso_positron_range_find("Cu-64", &range, &err), err);
	for (int part = 0; part < 2; part++) {
		const double s = range.scale_mm[part] / lung;
		expected += 6 * s * s * (part ? 1 - range.near_probability : range.near_probability);
	}
	ISO_ASSERT_NEAR(sum, 1, 0.01);
	ISO_ASSERT_NEAR(squares / expected, 1, 0.08);
	/* the mean of 768 evenly spread ways of 1 mm each along an axis; independent ones would know it to 0.04 mm */
	for (int a = 0; a < 3; a++) ISO_ASSERT_NEAR(centre[a], 0, 0.04);
	free(y);
	iso_range_model_free(model);
}
#endif

/* A plane with lung on one side and tissue on the other. Positrons from the depths a to b of a voxel's layer in the lung leave it as
 * escape() has it, with lengths in lung. The 768 positrons of the column are independent at worst: sqrt(0.1 x 0.9 / 768) = 0.011,
 * two of that. What tissue sends into the lung follows from the same numbers: from the first layer of tissue as many
 * enter it as leave (escape() in tissue); here the mean over a whole column of lung voxels, 1 % for what is beyond the cube. */
static void test_escape(void)
{
	iso_error err;
	iso_positron_range range;
	ISO_ASSERT_OK(iso_positron_range_find("Cu-64", &range, &err), err);
	const iso_range_model *model = lung_and_tissue();
	const size_t depth = 3; /* layers between the voxel and the surface */
	float *y = spread(model, BORDER - 1 - depth, N / 2, N / 2);
	double outside = 0, sum = 0, far = 0;
	for (size_t v = 0; v < (size_t)N * N * N; v++) {
		sum += (double)y[v];
		if (v % N >= BORDER) outside += (double)y[v];
		if (v % N >= BORDER + 10) far += (double)y[v];
	}
	const double left = escape(&range, lung * edge_mm * (double)depth, lung * edge_mm * (double)(depth + 1));
	CU_ASSERT(left > 0.06);
	ISO_ASSERT_NEAR(outside / sum, left, 0.022);
	/* those that leave stop soon behind the surface: beyond 4 mm of tissue hardly one is left */
	CU_ASSERT(far < 0.003);
	free(y);
	for (size_t layer = 0; layer < 4; layer++) {
		y = spread(model, BORDER + layer, N / 2, N / 2);
		double inside = 0;
		sum = 0;
		for (size_t v = 0; v < (size_t)N * N * N; v++) {
			sum += (double)y[v];
			if (v % N < BORDER) inside += (double)y[v];
		}
		ISO_ASSERT_NEAR(inside, escape(&range, edge_mm * (double)layer, edge_mm * (double)(layer + 1)), 0.022);
		ISO_ASSERT_NEAR(sum, 1, 1e-3);
		free(y);
	}
}

/* Where the activity per gram is the same everywhere, so are the annihilations per gram, whatever the densities (U. Fano, Radiat.
 * Res. 1 (1954) 237): what leaves the lung is replaced. Means over 2 mm on both sides of the surface; the surface is
 * drawn by voxels of 0.4 mm and the rays by steps of 0.1 mm, a fortieth of the mean path in lung each way: 3 %. */
static void test_fano(void)
{
	const size_t border = BORDER;
	const iso_range_model *model = lung_and_tissue();
	const size_t n = iso_grid_voxels(&half_lung_grid);
	float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
	for (size_t v = 0; v < n; v++) x[v] = (float)(v % N < border ? lung : 1.0);
	iso_range_model_forward(model, x, y);
	double side[2] = {0, 0}, count[2] = {0, 0};
	for (size_t v = 0; v < n; v++) {
		const size_t i = v % N, j = v / N % N, k = v / N / N;
		if (i < border - 5 || i >= border + 5 || j < 10 || j > 20 || k < 10 || k > 20) continue;
		side[i >= border] += (double)y[v];
		count[i >= border]++;
	}
	ISO_ASSERT_NEAR(side[0] / count[0], lung, 0.03 * lung);
	ISO_ASSERT_NEAR(side[1] / count[1], 1, 0.03);
	free(x);
	free(y);
}

/* Soft tissue has the range in water: the variance 2 s^2 for each Gamma part. */
static void test_water(void)
{
	iso_grid grid;
	iso_range_model *model = model_of(1.0, 1.0, 20, &grid);
	iso_error err;
	iso_positron_range range;
	ISO_ASSERT_OK(iso_positron_range_find("Cu-64", &range, &err), err);
	const double near = range.near_probability, *s = range.scale_mm;
	double sum = 0, squares = 0;
	float *y = spread(model, 19, 20, 21);
	for (size_t v = 0; v < (size_t)N * N * N; v++) {
		const double x = ((double)(v % N) - 19) * edge_mm;
		sum += (double)y[v];
		squares += (double)y[v] * x * x;
	}
	ISO_ASSERT_NEAR(sum, 1, 1e-5);
	ISO_ASSERT_NEAR(squares / (2 * (near * s[0] * s[0] + (1 - near) * s[1] * s[1])), 1,
			1e-3); /* the iteration leaves 1e-5 of a point, weighted here with the squares of distances */
	free(y);
	iso_range_model_free(model);
	/* air keeps what is in it */
	model = model_of(0.0, 0.0, 20, &grid);
	y = spread(model, 19, 20, 21);
	CU_ASSERT_EQUAL(y[19 + N * (20 + N * 21)], 1);
	free(y);
	iso_range_model_free(model);
	/* ... but for the air around a body next to its skin, 3 mm = 8 voxels (7.5 rounded up) wide */
	model = model_of(0.0, 1.0, 20, &grid);
	y = spread(model, 11, 20, 21);
	CU_ASSERT_EQUAL(y[11 + N * (20 + N * 21)], 1);
	free(y);
	y = spread(model, 12, 20, 21);
	for (size_t v = 0; v < (size_t)N * N * N; v++) CU_ASSERT_EQUAL(y[v], 0);
	free(y);
	iso_range_model_free(model);
}

/* Water on one side of a plane, air on the other; the surface layer is full or holds half of its voxel. Column sums are one less what
 * leaves. A mean over 192 rays, whose starting depths and directions are evenly spread in four dimensions, is taken to be off by less
 * than one of 192^(3/4) = 52 cells' edges: 0.02 of 1/2. All layers together lose the mean range / 4 per area: 3 %. */
static void test_skin(void)
{
	iso_error err;
	iso_positron_range range;
	ISO_ASSERT_OK(iso_positron_range_find("Cu-64", &range, &err), err);
	for (int half = 0; half < (ISO_SANITIZED ? 1 : 2); half++) {
		const size_t border = 12;
		iso_grid grid =
		    iso_grid_centred((size_t[3]){N, N, N}, (double[3]){edge_mm, edge_mm, edge_mm}, (double[3]){0});
		iso_image *mu;
		iso_range_model *model;
		ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_PER_CM, &mu, &err), err);
		for (size_t v = 0; v < iso_grid_voxels(&grid); v++)
			mu->voxels[v] = v % N < border ? 0 : (float)(0.0960 * (half && v % N == border ? 0.5 : 1));
		ISO_ASSERT_OK(iso_range_model_create(&grid, mu, &range, &model, &err), err);
		double lost_mm = 0, outside = 0;
		for (size_t layer = 0; layer < 5; layer++) {
			float *y = spread(model, border + layer, N / 2, N / 2);
			double sum = 0;
			for (size_t v = 0; v < (size_t)N * N * N; v++) {
				sum += (double)y[v];
				if (v % N < border) outside += (double)y[v];
			}
			free(y);
			const double thinner = half ? 0.5 * edge_mm : 0, depth = (double)layer * edge_mm;
			const double from = layer ? depth - thinner : 0, to = depth + edge_mm - thinner;
			ISO_ASSERT_NEAR(1 - sum, escape(&range, from, to), 0.01);
			lost_mm += (1 - sum) * (to - from);
		}
		CU_ASSERT_EQUAL(outside, 0);
		ISO_ASSERT_NEAR(lost_mm / (mean_mm / 4), 1, 0.03);
		iso_image_free(mu);
		iso_range_model_free(model);
	}
}

/* Of decays spread evenly over a ball in air, what leaves through its surface: the way to the surface has the density
 * 3 / (4 R) (1 - l^2 / (4 R^2)) (its chords' is l / (2 R^2)), and a positron goes farther than l with (1 + l / s) exp(-l / s). Midpoints. */
static double escape_of_ball(const iso_positron_range *range, double radius_mm)
{
	enum { STEPS = 20000 };
	double sum = 0;
	for (int n = 0; n < STEPS; n++) {
		const double l = 2 * radius_mm * (n + 0.5) / STEPS, chord = l / (2 * radius_mm);
		for (int part = 0; part < 2; part++) {
			const double p = part ? 1 - range->near_probability : range->near_probability;
			const double w = l / range->scale_mm[part];
			sum += p * (1 + w) * exp(-w) * 1.5 * (1 - chord * chord) / STEPS;
		}
	}
	return sum;
}

static const double ball_centre_mm[3] = {0.11, -0.23, 0.17};

/* The part of each voxel that lies in a ball whose centre is no voxel's, from 4 x 4 x 4 points. */
static void fill_ball(const iso_grid *grid, double radius_mm, float unit, float *voxels)
{
	enum { POINTS = 4 };
	for (size_t v = 0; v < iso_grid_voxels(grid); v++) {
		const double index[3] = {(double)(v % grid->size[0]), (double)(v / grid->size[0] % grid->size[1]),
					 (double)(v / grid->size[0] / grid->size[1])};
		int in = 0;
		for (int n = 0; n < POINTS * POINTS * POINTS; n++) {
			const int at[3] = {n % POINTS, n / POINTS % POINTS, n / POINTS / POINTS};
			double away2 = 0;
			for (int a = 0; a < 3; a++) {
				const double x = grid->origin_mm[a] +
						 grid->voxel_mm[a] * (index[a] + (at[a] + 0.5) / POINTS - 0.5) -
						 ball_centre_mm[a];
				away2 += x * x;
			}
			in += away2 < radius_mm * radius_mm;
		}
		voxels[v] = unit * (float)in / (POINTS * POINTS * POINTS);
	}
}

/* A round body's surface is steps of voxels: a ray that leaves across one of them meets the next ones' thin parts, and goes on. Stopped
 * there, 6 to 9 % too few would leave. What is thinner than 0.15 counts as air: at most 0.15 h / 2 of matter that a ray is short of at its
 * end, through which half of those at the surface come, of the mean range / 4 that all depths lose: 4.7 % with mu of 0.8 mm, 2.4 % with 0.4 mm.
 * Decays there are barred and annihilate nowhere, half of them too many. Noise is less: thousands of voxels with 192 rays each. */
static void test_ball(void)
{
	enum { EDGE = 20 };
	const double radius_mm = 6;
	iso_error err;
	iso_positron_range range;
	ISO_ASSERT_OK(iso_positron_range_find("Ga-68", &range, &err), err);
	const iso_grid grid =
	    iso_grid_centred((size_t[3]){EDGE, EDGE, EDGE}, (double[3]){0.8, 0.8, 0.8}, (double[3]){0});
	const size_t n = iso_grid_voxels(&grid);
	float *decays = malloc(n * sizeof *decays), *y = malloc(n * sizeof *y);
	fill_ball(&grid, radius_mm, 1, decays);
	for (size_t finer = ISO_SANITIZED ? 2 : 1; finer < 3; finer++) {
		const size_t size = finer * EDGE;
		const double edge = 0.8 / (double)finer;
		const iso_grid map =
		    iso_grid_centred((size_t[3]){size, size, size}, (double[3]){edge, edge, edge}, (double[3]){0});
		iso_image *mu;
		iso_range_model *model;
		ISO_ASSERT_OK(iso_image_create(&map, ISO_UNIT_PER_CM, &mu, &err), err);
		fill_ball(&map, radius_mm, 0.0960F, mu->voxels);
		ISO_ASSERT_OK(iso_range_model_create(&grid, mu, &range, &model, &err), err);
		iso_range_model_forward(model, decays, y);
		double sum = 0, decayed = 0, barred = 0;
		for (size_t v = 0; v < n; v++) {
			sum += (double)y[v];
			decayed += (double)decays[v];
			if (decays[v] < 0.15F) barred += (double)decays[v];
		}
		const double lost = decayed - sum - 0.5 * barred;
		ISO_ASSERT_NEAR(lost / (decayed * escape_of_ball(&range, radius_mm)), 1, 0.05 / (double)finer);
		iso_image_free(mu);
		iso_range_model_free(model);
	}
	free(decays);
	free(y);
}

#if !ISO_SANITIZED /* as test_uniform_lung */
/* Straight ways from decays spread evenly over a ball of lung in tissue: the share that ends in the voxels that the ball does not touch. */
static double ends_outside_ball(const iso_grid *grid, const float *in_ball, double radius_mm,
				const iso_positron_range *range, long draws)
{
	iso_random random = iso_random_begin(17, 0);
	long outside = 0;
	for (long n = 0; n < draws; n++) {
		double p[3], away2 = 2, along = 0;
		while (away2 > 1) {
			away2 = 0;
			for (int a = 0; a < 3; a++) {
				p[a] = 2 * iso_random_uniform(&random) - 1;
				away2 += p[a] * p[a];
			}
		}
		const double z = 2 * iso_random_uniform(&random) - 1, azimuth = 2 * M_PI * iso_random_uniform(&random);
		const double way[3] = {sqrt(1 - z * z) * cos(azimuth), sqrt(1 - z * z) * sin(azimuth), z};
		for (int a = 0; a < 3; a++) along += radius_mm * p[a] * way[a];
		const double inside = -along + sqrt(along * along + radius_mm * radius_mm * (1 - away2));
		const double scale = range->scale_mm[iso_random_uniform(&random) < range->near_probability ? 0 : 1];
		const double water =
		    -scale * log((1 - iso_random_uniform(&random)) * (1 - iso_random_uniform(&random)));
		const double flown = water < inside * lung ? water / lung : inside + water - inside * lung;
		size_t voxel = 0;
		for (int a = 3; a-- > 0;) {
			const double at = (ball_centre_mm[a] + radius_mm * p[a] + flown * way[a] - grid->origin_mm[a]) /
					  grid->voxel_mm[a];
			voxel = voxel * grid->size[a] + (size_t)fmin(fmax(at + 0.5, 0), (double)(grid->size[a] - 1));
		}
		outside += in_ball[voxel] <= 0;
	}
	return (double)outside / (double)draws;
}

/* Lung of 0.38 in a ball, tissue around it, mu four times as fine as the image. What comes to lie in the voxels beyond those that the surface cuts,
 * against as many straight ways as know it to 0.1 %. Uniform per gram, as decays in a voxel that the surface cuts are taken to be, it is right to what the
 * rays resolve; with decays anywhere in such a voxel and its mean density all over, 1 % too few come out. Half of that is allowed. */
static void test_lung_in_tissue(void)
{
	enum { EDGE = 28, FINE = 4 * EDGE };
	const double radius_mm = 4;
	iso_error err;
	iso_positron_range range;
	ISO_ASSERT_OK(iso_positron_range_find("Ga-68", &range, &err), err);
	const iso_grid grid =
	    iso_grid_centred((size_t[3]){EDGE, EDGE, EDGE}, (double[3]){0.8, 0.8, 0.8}, (double[3]){0});
	const iso_grid map =
	    iso_grid_centred((size_t[3]){FINE, FINE, FINE}, (double[3]){0.2, 0.2, 0.2}, (double[3]){0});
	const size_t n = iso_grid_voxels(&grid);
	float *decays = malloc(n * sizeof *decays), *y = malloc(n * sizeof *y);
	iso_image *mu;
	iso_range_model *model;
	ISO_ASSERT_OK(iso_image_create(&map, ISO_UNIT_PER_CM, &mu, &err), err);
	fill_ball(&map, radius_mm, 1, mu->voxels);
	for (size_t v = 0; v < iso_grid_voxels(&map); v++)
		mu->voxels[v] = (float)(0.0960 * (1 - (1 - lung) * (double)mu->voxels[v]));
	fill_ball(&grid, radius_mm, 1, decays);
	ISO_ASSERT_OK(iso_range_model_create(&grid, mu, &range, &model, &err), err);
	iso_range_model_forward(model, decays, y);
	double outside = 0, decayed = 0;
	for (size_t v = 0; v < n; v++) {
		decayed += (double)decays[v];
		if (decays[v] <= 0) outside += (double)y[v];
	}
	const double expected = ends_outside_ball(&grid, decays, radius_mm, &range, 1000000);
	printf("# %.4f of the positrons end outside, expected %.4f: %+.2f %%\n", outside / decayed, expected,
	       100 * (outside / decayed / expected - 1));
	ISO_ASSERT_NEAR(outside / decayed / expected, 1, 0.005);
	free(decays);
	free(y);
	iso_image_free(mu);
	iso_range_model_free(model);
}
#endif

/* A slot of air across a body of water: what leaves on one side enters on the other, and nothing is lost but through the slot's ends. From a
 * point on its wall, 4 mm wide and 6 mm to the nearest end, directions within atan(6 / 4) of the normal come across: 1 - cos = 0.45. */
static void test_cavity(void)
{
	iso_error err;
	iso_positron_range range;
	ISO_ASSERT_OK(iso_positron_range_find("Cu-64", &range, &err), err);
	iso_grid grid = iso_grid_centred((size_t[3]){N, N, N}, (double[3]){edge_mm, edge_mm, edge_mm}, (double[3]){0});
	iso_image *mu;
	iso_range_model *model;
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_PER_CM, &mu, &err), err);
	for (int closed = ISO_SANITIZED; closed < 2; closed++) {
		for (size_t v = 0; v < iso_grid_voxels(&grid); v++) {
			const size_t i = v % N, j = v / N % N, k = v / N / N;
			const bool air = i >= 15 && i < 25 && (!closed || (j > 2 && j < N - 3 && k > 2 && k < N - 3));
			mu->voxels[v] = air ? 0 : 0.0960F;
		}
		ISO_ASSERT_OK(iso_range_model_create(&grid, mu, &range, &model, &err), err);
		float *y = spread(model, 25, N / 2, N / 2);
		double sum = 0, across = 0;
		for (size_t v = 0; v < (size_t)N * N * N; v++) {
			sum += (double)y[v];
			if (v % N < 15) across += (double)y[v];
		}
		const double left = escape(&range, 0, edge_mm);
		if (closed) { /* what lies in a cavity stays an unknown */
			float *air = spread(model, 20, N / 2, N / 2);
			CU_ASSERT_EQUAL(air[20 + N * (N / 2 + N * (N / 2))], 1);
			free(air);
			ISO_ASSERT_NEAR(sum, 1, 1e-5);
		} else {
			CU_ASSERT(sum > 1 - 0.55 * left && sum < 1);
		}
		CU_ASSERT(across > 0.45 * left && across < left);
		free(y);
		iso_range_model_free(model);
	}
	iso_image_free(mu);
}

/* Against all pairs of voxels: a few are marked, then none. */
static void test_clearance(void)
{
	enum { X = 9, Y = 8, Z = 7, VOXELS = X * Y * Z };
	const iso_grid grid = iso_grid_centred((size_t[3]){X, Y, Z}, (double[3]){1, 2, 3}, (double[3]){0, 0, 0});
	bool mask[VOXELS] = {false};
	uint8_t clear[VOXELS];
	iso_mask_clearance(&grid, mask, clear);
	for (size_t v = 0; v < VOXELS; v++) CU_ASSERT_EQUAL(clear[v], UINT8_MAX);
	mask[3] = mask[X * Y + 5] = mask[VOXELS - 40] = true;
	iso_mask_clearance(&grid, mask, clear);
	for (int v = 0; v < VOXELS; v++) {
		int least = UINT8_MAX;
		for (int u = 0; u < VOXELS; u++) {
			if (!mask[u]) continue;
			const int across[3] = {abs(v % X - u % X), abs(v / X % Y - u / X % Y),
					       abs(v / X / Y - u / X / Y)};
			const int away = across[0] > across[1] ? across[0] : across[1];
			const int farthest = away > across[2] ? away : across[2];
			least = farthest < least ? farthest : least;
		}
		CU_ASSERT_EQUAL(clear[v], least);
	}
}

/* <K x, y> = <x, K' y> for random x, y: sums of 3e4 products in float have a relative error near sqrt(3e4) * 6e-8. */
static void check_adjoint(const iso_range_model *model)
{
	const size_t n = (size_t)N * N * N;
	float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y), *kx = malloc(n * sizeof *x),
	      *ky = malloc(n * sizeof *y);
	iso_random random = iso_random_begin(7, 7);
	for (size_t v = 0; v < n; v++) {
		x[v] = (float)iso_random_uniform(&random);
		y[v] = (float)iso_random_uniform(&random);
	}
	iso_range_model_forward(model, x, kx);
	iso_range_model_adjoint(model, y, ky);
	double left = 0, right = 0;
	for (size_t v = 0; v < n; v++) {
		left += (double)kx[v] * (double)y[v];
		right += (double)x[v] * (double)ky[v];
	}
	ISO_ASSERT_NEAR(left / right, 1, 2e-5);
	free(x);
	free(y);
	free(kx);
	free(ky);
}

static void test_adjoint(void)
{
	iso_grid grid;
	check_adjoint(lung_and_tissue());
	iso_range_model *skin = model_of(0, 1.0, BORDER, &grid);
	check_adjoint(skin);
	iso_range_model_free(skin);
	iso_range_model_free(half_lung);
	half_lung = NULL;
}

/* Under the sanitizers without what makes tens of thousands of columns only to look at another number: the models of half lung, skin and a
 * cavity go the same ways through the code. */
static const iso_test tests[] = {
#if !ISO_SANITIZED
    {"mean distance in uniform lung", test_uniform_lung},
#endif
    {"escape through the lung's surface", test_escape},
    {"the same per gram everywhere stays so", test_fano},
    {"soft tissue as water", test_water},
    {"escape through the skin", test_skin},
    {"escape from a ball", test_ball},
#if !ISO_SANITIZED
    {"lung in tissue", test_lung_in_tissue},
#endif
    {"a cavity", test_cavity},
    {"voxels to the nearest that is marked", test_clearance},
    {"adjoint", test_adjoint}};

ISO_TEST_MAIN("recon-positron-range", tests)
