/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scatter and prompt gammas against brute force: integrals over analytic cylinders written here, with random points and fine steps, and with
 * the formulas of tests/recon/photons.h. */
#include <stdio.h>

#include "recon/correct/prompt_gamma.h"
#include "recon/correct/tails.h"
#include "tests/recon/cylinders.h"
#include "tests/recon/photons.h"

/* cos / R^2 x stopping relative to 511 keV at normal incidence. Crystals: 0.087 per mm, 10 mm deep. */
static double end_factor(const iso_scanner *s, uint32_t e, const double from[3], double relative)
{
	double r2 = 0, along = 0;
	for (int k = 0; k < 3; k++) {
		const double d = (double)s->position_mm[3 * (size_t)e + (size_t)k] - from[k];
		r2 += d * d;
		along += d * (double)s->normal[3 * (size_t)e + (size_t)k];
	}
	const double cosine = along / sqrt(r2);
	return cosine / r2 * (1 - exp(-0.87 * relative / cosine)) / (1 - exp(-0.87));
}

typedef struct way {
	double to[3], length, depth; /* depth: integral of mu */
} way;

static way way_to(const iso_scanner *s, uint32_t e, const double from[3])
{
	way w = {.length = 0};
	for (int k = 0; k < 3; k++) {
		w.to[k] = (double)s->position_mm[3 * (size_t)e + (size_t)k] - from[k];
		w.length += w.to[k] * w.to[k];
	}
	w.length = sqrt(w.length);
	for (int k = 0; k < 3; k++) w.to[k] /= w.length;
	for (double step = 0.25, t = step / 2; t < w.length; t += step) {
		const double p[3] = {from[0] + t * w.to[0], from[1] + t * w.to[1], from[2] + t * w.to[2]};
		w.depth += in_water(p) ? mu_per_mm * step : 0;
	}
	return w;
}

static const double half_c = 0.149896229; /* mm per ps */

static double in_bin(const iso_tof *tof, double difference_mm, int bin)
{
	if (tof->bins == 0) return 1;
	const double sigma = tof->fwhm_ps * half_c / 2.3548200450309493, unit = 1 / (sigma * sqrt(2));
	const double low = (bin - 0.5) * tof->bin_ps * half_c - difference_mm, high = low + tof->bin_ps * half_c;
	return 0.5 * (erf(high * unit) - erf(low * unit));
}

/* What the image before detector a gives; sign: +1 when a difference grows towards b. */
static double before(const iso_tof *tof, const double from[3], const way *a, const way *b, int bin, double sign)
{
	double sum = 0;
	for (double step = 0.5, t = step / 2; t < a->length; t += step) {
		const double p[3] = {from[0] + t * a->to[0], from[1] + t * a->to[1], from[2] + t * a->to[2]};
		/* ways of the two photons: to a; to S and on to b */
		const double difference = sign * ((a->length - t) - (t + b->length)) / 2;
		if (is_active(p)) sum += activity * step * in_bin(tof, difference, bin);
	}
	return sum;
}

/* Of one random scatter point. */
static double brute_point(const iso_scanner *s, uint32_t a, uint32_t b, int bin, const double p[3])
{
	const way u = way_to(s, a, p), v = way_to(s, b, p);
	const double cosine = -(u.to[0] * v.to[0] + u.to[1] * v.to[1] + u.to[2] * v.to[2]);
	const double kev = 511 / (2 - cosine), window = accepted(kev) / accepted(511);
	if (window < 1e-6) return 0;
	static double unit;
	if (unit == 0) unit = kn_total(511);
	/* between 250 and 511 keV, to 1e-3 */
	const double rho = kn_total(kev) / unit, crystal = 0.67 * rho + 0.33 * pow(511 / kev, 2.7);
	return kn(cosine) / unit * window * stays(kev, rho) * 1e4 * mu_per_mm *
	       (before(&s->tof, p, &u, &v, bin, 1) * exp(-u.depth - rho * v.depth) * end_factor(s, a, p, 1) *
		    end_factor(s, b, p, crystal) +
		before(&s->tof, p, &v, &u, bin, -1) * exp(-v.depth - rho * u.depth) * end_factor(s, b, p, 1) *
		    end_factor(s, a, p, crystal));
}

static double brute(const iso_scanner *s, uint32_t a, uint32_t b, int bin, double *sd)
{
	enum { POINTS = 800 };
	iso_random random = iso_random_begin(11, a * 1000 + b);
	double sum = 0, squares = 0;
	for (int n = 0; n < POINTS; n++) {
		const double r = water_mm * sqrt(iso_random_uniform(&random)), t = 2 * pi * iso_random_uniform(&random);
		const double p[3] = {r * cos(t), r * sin(t), half_mm * (2 * iso_random_uniform(&random) - 1)};
		const double value = brute_point(s, a, b, bin, p);
		sum += value;
		squares += value * value;
	}
	const double volume = pi * water_mm * water_mm * 2 * half_mm, mean = sum / POINTS;
	*sd = volume * sqrt(fmax(squares / POINTS - mean * mean, 0) / POINTS);
	return volume * mean;
}

/* Pairs straight across, slanted, and beside the body; tolerance: 4 standard deviations of the brute force, and 3 % of the largest value for the
 * interpolation between nodes 11 degrees and 14 mm apart (h^2/8 of the second derivative of a hump 60 degrees wide is 2 %). */
static void compare(bool tof, const int *bins, size_t bin_count)
{
	bench b = bench_open(tof);
	iso_error err;
	ISO_ASSERT_OK(iso_scatter_simulate(&b.model, b.coarse_image, b.table, &err), err);
	static const uint32_t pairs[][2] = {{64 * 3 + 2, 64 * 4 + 34},  {64 * 3 + 5, 64 * 3 + 30},
					    {64 * 0 + 7, 64 * 7 + 41},  {64 * 2 + 17, 64 * 2 + 41},
					    {64 * 5 + 50, 64 * 1 + 19}, {64 * 4 + 60, 64 * 6 + 23}};
	enum { PAIRS = sizeof pairs / sizeof *pairs };
	double want[PAIRS * 4], got[PAIRS * 4], sd[PAIRS * 4], largest = 0;
	size_t count = 0;
	for (size_t n = 0; n < PAIRS; n++)
		for (size_t k = 0; k < bin_count; k++, count++) {
			want[count] = brute(b.scanner, pairs[n][0], pairs[n][1], bins[k], &sd[count]);
			got[count] = iso_pair_table_at(b.table, b.detectors->place + pairs[n][0],
						       b.detectors->place + pairs[n][1], bins[k]);
			largest = fmax(largest, want[count]);
		}
	for (size_t n = 0; n < count; n++) {
		if (getenv("SCATTER_PRINT"))
			printf("# pair %zu bin %d: %.5g +- %.2g, simulated %.5g (%+.2f %% of the largest)\n",
			       n / bin_count, bins[n % bin_count], want[n], sd[n], got[n],
			       100 * (got[n] - want[n]) / largest);
		ISO_ASSERT_NEAR(got[n], want[n], 0.03 * largest + 4 * sd[n]);
	}
	CU_ASSERT(largest > 0);
	bench_close(&b);
}

static void absolute(void)
{
	compare(false, (const int[]){0}, 1);
}

static void absolute_with_tof(void)
{
	compare(true, (const int[]){-2, 0, 3}, 3);
}

static void nothing_scatters(void)
{
	bench b = bench_open(false);
	iso_error err;
	iso_image_points_free(&b.model.points);
	memset(b.coarse_mu->voxels, 0, iso_grid_voxels(&b.coarse_mu->grid) * sizeof *b.coarse_mu->voxels);
	ISO_ASSERT_OK(iso_image_points_create(b.coarse_mu, 400, &b.model.points, &err), err);
	CU_ASSERT_EQUAL(b.model.points.count, 0);
	b.table->value[1] = 5;
	ISO_ASSERT_OK(iso_scatter_simulate(&b.model, b.coarse_image, b.table, &err), err);
	for (size_t n = 0; n < iso_pair_table_values(b.table); n++) CU_ASSERT_EQUAL(b.table->value[n], 0);
	bench_close(&b);
}

/* Turned about, a pair has its TOF bins in reverse; twice the activity scatters twice as often; threads do not show. */
static void symmetries(void)
{
	bench b = bench_open(true);
	iso_error err;
	ISO_ASSERT_OK(iso_scatter_simulate(&b.model, b.coarse_image, b.table, &err), err);
	for (uint32_t n = 0; n < 500; n++) {
		const iso_net_place *p = b.detectors->place + n * 37 % 512, *q = b.detectors->place + n * 101 % 512;
		const int bin = (int)(n % 11) - 5;
		ISO_ASSERT_NEAR(iso_pair_table_at(b.table, p, q, bin), iso_pair_table_at(b.table, q, p, -bin),
				1e-5 * iso_pair_table_at(b.table, p, q, bin));
	}
	const size_t values = iso_pair_table_values(b.table);
	float *first = malloc(values * sizeof *first);
	memcpy(first, b.table->value, values * sizeof *first);
	b.model.threads = 5;
	ISO_ASSERT_OK(iso_scatter_simulate(&b.model, b.coarse_image, b.table, &err), err);
	CU_ASSERT_EQUAL(memcmp(first, b.table->value, values * sizeof *first), 0);
	for (size_t n = 0; n < iso_grid_voxels(&b.coarse_image->grid); n++) b.coarse_image->voxels[n] *= 2;
	ISO_ASSERT_OK(iso_scatter_simulate(&b.model, b.coarse_image, b.table, &err), err);
	for (size_t n = 0; n < values; n += 97)
		ISO_ASSERT_NEAR(b.table->value[n], 2 * first[n], 1e-5 * (double)first[n]);
	free(first);
	bench_close(&b);
}

/* The bins' sum is the rate without TOF, where the bins are wide enough for all. */
static void bins_add_up(void)
{
	bench plain = bench_open(false), tof = bench_open(true);
	iso_error err;
	ISO_ASSERT_OK(iso_scatter_simulate(&plain.model, plain.coarse_image, plain.table, &err), err);
	ISO_ASSERT_OK(iso_scatter_simulate(&tof.model, tof.coarse_image, tof.table, &err), err);
	double largest = 0;
	for (size_t n = 0; n < iso_pair_table_values(plain.table); n++)
		largest = fmax(largest, (double)plain.table->value[n]);
	for (uint32_t n = 0; n < 300; n++) {
		const uint32_t a = n * 37 % 512, c = n * 101 % 512;
		double sum = 0;
		for (int bin = -5; bin <= 5; bin++)
			sum += iso_pair_table_at(tof.table, tof.detectors->place + a, tof.detectors->place + c, bin);
		ISO_ASSERT_NEAR(
		    sum, iso_pair_table_at(plain.table, plain.detectors->place + a, plain.detectors->place + c, 0),
		    2e-3 * largest);
	}
	bench_close(&plain);
	bench_close(&tof);
}

/* A point source without anything around it: both ends independent. */
static void prompt_gammas(void)
{
	bench b = bench_open(false);
	iso_error err;
	const iso_nuclide *nuclide;
	ISO_ASSERT_OK(iso_nuclide_find("Sc-44", NULL, &nuclide, &err), err);
	memset(b.coarse_mu->voxels, 0, iso_grid_voxels(&b.coarse_mu->grid) * sizeof *b.coarse_mu->voxels);
	const iso_grid *g = &b.coarse_image->grid;
	memset(b.coarse_image->voxels, 0, iso_grid_voxels(g) * sizeof *b.coarse_image->voxels);
	const size_t at = g->size[0] / 2 + 3 + g->size[0] * (g->size[1] / 2 + g->size[1] * (g->size[2] / 2));
	b.coarse_image->voxels[at] = 2;
	const double index[3] = {(double)(g->size[0] / 2 + 3), (double)(g->size[1] / 2), (double)(g->size[2] / 2)};
	double p[3], volume = g->voxel_mm[0] * g->voxel_mm[1] * g->voxel_mm[2];
	iso_grid_point_mm(g, index, p);
	ISO_ASSERT_OK(iso_prompt_gamma_simulate(&b.model, nuclide, b.coarse_image, b.table, &err), err);
	const double crystal = 0.67 * kn_total(1157) / kn_total(511) + 0.33 * pow(511 / 1157.0, 2.7);
	const double caught = iso_gamma_accepted(&b.model.response, 1157);
	/* 300 keV of the flat part of a Compton continuum of 948 keV, less than the photopeak of 511 keV at any rate */
	CU_ASSERT(caught > 0.1 && caught < 1);
	double largest = 0;
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t n = 0; n < 40; n++) {
			const uint32_t a = 37 * n % 512, c = (a + 20 + 11 * n) % 512;
			const double want = 2 * volume * 1e4 / (4 * pi) * caught *
					    (end_factor(b.scanner, a, p, 1) * end_factor(b.scanner, c, p, crystal) +
					     end_factor(b.scanner, c, p, 1) * end_factor(b.scanner, a, p, crystal));
			largest = fmax(largest, want);
			/* 2 %: interpolation, as above */
			if (pass)
				ISO_ASSERT_NEAR(
				    iso_pair_table_at(b.table, b.detectors->place + a, b.detectors->place + c, 0), want,
				    0.02 * largest);
		}
	bench_close(&b);
}

/* With time of flight the bins add up, and lean to the end that the activity is nearer to. */
static void prompt_gammas_with_tof(void)
{
	bench plain = bench_open(false), tof = bench_open(true);
	iso_error err;
	const iso_nuclide *nuclide;
	ISO_ASSERT_OK(iso_nuclide_find("I-124", NULL, &nuclide, &err), err);
	ISO_ASSERT_OK(iso_prompt_gamma_simulate(&plain.model, nuclide, plain.coarse_image, plain.table, &err), err);
	ISO_ASSERT_OK(iso_prompt_gamma_simulate(&tof.model, nuclide, tof.coarse_image, tof.table, &err), err);
	/* elements at +x and -x: the activity is 5 mm beside the axis, and the bins are 9 mm wide */
	const iso_net_place *right = tof.detectors->place + 256, *left = tof.detectors->place + 256 + 32;
	double sum = 0, moment = 0;
	for (int bin = -5; bin <= 5; bin++) {
		const double value = iso_pair_table_at(tof.table, left, right, bin);
		sum += value;
		moment += value * bin * 60 * half_c;
		ISO_ASSERT_NEAR(value, iso_pair_table_at(tof.table, right, left, -bin), 1e-5 * value);
	}
	const double all =
	    iso_pair_table_at(plain.table, plain.detectors->place + 256, plain.detectors->place + 288, 0);
	CU_ASSERT(all > 0);
	ISO_ASSERT_NEAR(sum, all, 2e-3 * all);
	/* the nearer half of the activity has the larger solid angles at one end and the smaller at the other: less than a mm */
	ISO_ASSERT_NEAR(moment / sum, active_x_mm, 1);
	bench_close(&plain);
	bench_close(&tof);
}

/* Every net interpolates what is linear along an end exactly, and covers elements of any table: here four panels. */
static void panels(void)
{
	iso_scanner *s = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_scanner_create(4 * 15 * 9, "box", &s, &err), err);
	for (uint32_t e = 0; e < s->elements; e++) {
		const uint32_t panel = e / 135;
		const double across = (double)(e % 15) * 4 - 28, turn = panel * pi / 2;
		s->position_mm[3 * e] = (float)(30 * cos(turn) - across * sin(turn));
		s->position_mm[3 * e + 1] = (float)(30 * sin(turn) + across * cos(turn));
		s->position_mm[3 * e + 2] = (float)(e / 15 % 9) * 4 - 16;
		s->normal[3 * e] = (float)cos(turn);
		s->normal[3 * e + 1] = (float)sin(turn);
	}
	iso_coarse_detectors *d = NULL;
	ISO_ASSERT_OK(iso_coarse_detectors_create(s, 0, &d, &err), err);
	CU_ASSERT_EQUAL(d->count, d->angles * d->heights);
	for (uint32_t n = 0; n < d->count; n++) {
		const double x = fabs(d->position_mm[n][0]), y = fabs(d->position_mm[n][1]);
		/* on a panel's plane; none beyond the neighbouring panel's corner by more than a crystal */
		ISO_ASSERT_NEAR(fmax(x, y), 30, 2);
		ISO_ASSERT_NEAR(d->position_mm[n][2], -16 + 32.0 * (n % d->heights) / (d->heights - 1), 1e-6);
	}
	iso_coarse_detectors_free(d);
	iso_scanner_free(s);
}

/* Poisson counts around known scales: within 4 of the standard deviations that the fit states, in 50 draws. */
static void tail_fit(void)
{
	const double shape[2][ISO_TAIL_GROUPS] = {{900, 800, 600, 400, 200, 100, 50, 20},
						  {100, 110, 120, 130, 140, 150, 160, 170}};
	const double randoms[ISO_TAIL_GROUPS] = {50, 60, 70, 80, 90, 100, 110, 120};
	iso_random random = iso_random_begin(3, 3);
	double mean = 0, spread = 0, stated = 0;
	for (int draw = 0; draw < 50; draw++) {
		double counts[ISO_TAIL_GROUPS], one[ISO_TAIL_GROUPS];
		for (int g = 0; g < ISO_TAIL_GROUPS; g++) {
			counts[g] =
			    (double)iso_random_poisson(&random, randoms[g] + 1.3 * shape[0][g] + 0.6 * shape[1][g]);
			one[g] = (double)iso_random_poisson(&random, randoms[g] + 1.3 * shape[0][g]);
		}
		const iso_tail_fit two = iso_tails_fit(counts, randoms, shape, 2);
		for (int s = 0; s < 2; s++) ISO_ASSERT_NEAR(two.scale[s], s ? 0.6 : 1.3, 4.5 * two.sd[s]);
		const iso_tail_fit fit = iso_tails_fit(one, randoms, shape, 1);
		ISO_ASSERT_NEAR(fit.scale[0], 1.3, 4.5 * fit.sd[0]);
		mean += fit.scale[0] / 50;
		spread += (fit.scale[0] - 1.3) * (fit.scale[0] - 1.3) / 50;
		stated = fit.sd[0];
	}
	/* the stated noise is the seen one: a variance of 50 draws is known to 20 % */
	ISO_ASSERT_NEAR(spread / (stated * stated), 1, 0.8);
	ISO_ASSERT_NEAR(mean, 1.3, 4 * stated / sqrt(50));
	/* no counts at all: no scatter; nothing simulated: nothing known */
	const double none[ISO_TAIL_GROUPS] = {0};
	const iso_tail_fit empty = iso_tails_fit(none, NULL, shape, 1);
	CU_ASSERT(empty.scale[0] < 1e-12 && empty.sd[0] < 1e-3);
	CU_ASSERT(isinf(iso_tails_fit(none, randoms, &none, 1).sd[0]));
}

/* Rates that fall by a factor of e in 1.5 nodes along the axis, at both ends: their mean over the pairs between two nodes, interpolated, against the integral.
 * Straight lines alone are too high by (k/2) coth(k/2) - 1 = 3.7 % at each end, k = 1/1.5. A second difference is 2 cosh k - 2 = 0.46 of the value:
 * 1.0368^2 (1 - 2 x 0.46 / 12) = 0.9925 is what should be left. */
static void right_between_nodes(void)
{
	bench b = bench_open(false);
	const uint32_t detectors = b.detectors->count, heights = b.detectors->heights;
	CU_ASSERT_FATAL(heights >= 4);
	for (uint32_t n = 0; n < detectors; n++) b.detectors->view[n] = 1;
	for (uint32_t a = 0; a < detectors; a++)
		for (uint32_t c = a; c < detectors; c++)
			b.table->value[(size_t)a * detectors + c] =
			    (float)exp(-(double)(a % heights + c % heights) / 1.5);
	iso_pair_table_finish(b.table);
	double mean = 0;
	for (int n = 0; n < 100; n++) {
		const iso_net_place p = {.angle = {3, 4},
					 .height = {1, 2},
					 .along_angle = 0.3F,
					 .along_height = (float)(n % 10 + 0.5) / 10,
					 .view = 1},
				    q = {.angle = {20, 21},
					 .height = {1, 2},
					 .along_height = ((float)(n / 10) + 0.5F) / 10,
					 .view = 1};
		mean += iso_pair_table_at(b.table, &p, &q, 0) / 100;
	}
	const double one = 1.5 * (exp(-1 / 1.5) - exp(-2 / 1.5));
	ISO_ASSERT_NEAR(mean / (one * one), 0.9925, 0.001);
	bench_close(&b);
}

/* Tails of one shape whose scale is known within sd: what little they say is outweighed by what is expected, what they insist on is believed. */
static void tails_and_expectation(void)
{
	const iso_scale_expected expected = {.scale = 1, .sd = {0.03, 0.4}};
	double weight;
	iso_tail_fit tails = {.scale = {1.3}, .sd = {0.01, (double)INFINITY}, .information = {{1e4}}};
	iso_tail_fit both = iso_tails_combine(&tails, 1, &expected, &weight);
	/* the tails' variance, their shape's in it; the expectation's is what they are off beyond three standard deviations */
	double tail = 0.05 * 0.05 + 0.01 * 0.01, variance = 0.3 * 0.3 - 9 * tail;
	ISO_ASSERT_NEAR(both.scale[0], 1 + 0.3 * variance / (variance + tail), 1e-12);
	ISO_ASSERT_NEAR(both.sd[0], sqrt(variance * tail / (variance + tail)), 1e-12);
	ISO_ASSERT_NEAR(weight, variance / (variance + tail), 1e-12);
	ISO_ASSERT_NEAR(both.scale[1], 1, 1e-12); /* of gammas they say nothing */
	tails = (iso_tail_fit){.scale = {0.87}, .sd = {0.1, (double)INFINITY}, .information = {{100}}};
	both = iso_tails_combine(&tails, 1, &expected, &weight);
	tail = 0.05 * 0.05 + 0.1 * 0.1, variance = 0.03 * 0.03;
	ISO_ASSERT_NEAR(both.scale[0], 1 - 0.13 * variance / (variance + tail), 1e-12);
	ISO_ASSERT_NEAR(weight, variance / (variance + tail), 1e-12);
	/* two shapes that tails cannot tell apart: only their sum is known, and what is less certain gives way */
	tails = (iso_tail_fit){
	    .scale = {1.5, 1.1}, .sd = {(double)INFINITY, (double)INFINITY}, .information = {{1e4, 4e4}, {4e4, 16e4}}};
	both = iso_tails_combine(&tails, 2, &expected, &weight);
	ISO_ASSERT_NEAR(both.scale[0] + 4 * both.scale[1], 1.5 + 4 * 1.1, 0.07);
	ISO_ASSERT_NEAR(both.scale[0], 1, 0.02);
	/* no tails at all */
	tails = (iso_tail_fit){.scale = {1, 1}, .sd = {(double)INFINITY, (double)INFINITY}};
	both = iso_tails_combine(&tails, 1, &expected, &weight);
	ISO_ASSERT_NEAR(both.scale[0], 1, 1e-12);
	ISO_ASSERT_NEAR(weight, 0, 1e-12);
}

/* Gammas 0.6 times as many as the trues and 1.35 times as many as simulated, which the tails say: scatter is simulated right and stays so. (That the found
 * counts over the simulated ones are 1.12 must not show.) Then an image that is 4 % too bright: its scatter is 4 % too much, its gammas' scale is the tails'.
 * The tails of a variance of 0.05^2 + 0.01^2 are drawn to an expectation known to 0.4 by 1.6 % of 0.35 = 0.0057, which is 0.0031 of the scatter's scale. */
static void gammas_have_their_own_scale(void)
{
	const double sd[2] = {0.03, 0.4};
	double weight;
	iso_tail_fit tails = {.scale = {1, 1.35}, .sd = {0.2, 0.01}, .information = {{25, 0}, {0, 1e4}}};
	iso_scale_counts counts = {.trues = 1e6, .scatter = 1e5, .gammas = 6e5, .found = 1e6 + 1e5 + 1.35 * 6e5};
	iso_tail_fit fit = iso_tails_weigh(&tails, 2, &counts, sd, &weight);
	ISO_ASSERT_NEAR(fit.scale[0], 1, 0.004);
	ISO_ASSERT_NEAR(fit.scale[1], 1.35, 0.01); /* 0.05 of shape and 0.01 of counts against 0.4 */
	counts.trues *= 1.04, counts.scatter *= 1.04, counts.gammas *= 1.04;
	tails.scale[0] /= 1.04, tails.scale[1] /= 1.04;
	fit = iso_tails_weigh(&tails, 2, &counts, sd, &weight);
	ISO_ASSERT_NEAR(fit.scale[0], 1 / 1.04, 0.004);
	ISO_ASSERT_NEAR(fit.scale[1], 1.35 / 1.04, 0.01);
	/* tails that say nothing: all that was found is in proportion */
	tails = (iso_tail_fit){.sd = {(double)INFINITY, (double)INFINITY}};
	fit = iso_tails_weigh(&tails, 2, &counts, sd, &weight);
	for (int n = 0; n < 2; n++) ISO_ASSERT_NEAR(fit.scale[n], counts.found / (1.04 * 1.7e6), 1e-9);
	/* no gammas: the same of two */
	counts = (iso_scale_counts){.trues = 1e6, .scatter = 1e5, .found = 1.21e6};
	ISO_ASSERT_NEAR(iso_tails_weigh(&tails, 1, &counts, sd, &weight).scale[0], 1.1, 1e-12);
}

static const iso_test tests[] = {
    {"scatter is what brute force says", absolute},
    {"with time of flight, too", absolute_with_tof},
    {"nothing scatters where there is nothing", nothing_scatters},
    {"symmetries, and any number of threads", symmetries},
    {"TOF bins add up", bins_add_up},
    {"prompt gammas of a point", prompt_gammas},
    {"prompt gammas with time of flight", prompt_gammas_with_tof},
    {"a net for panels", panels},
    {"scales from the tails", tail_fit},
    {"right between nodes", right_between_nodes},
    {"tails, and what is expected of them", tails_and_expectation},
    {"gammas have a scale of their own", gammas_have_their_own_scale},
};

ISO_TEST_MAIN("recon-scatter", tests)
