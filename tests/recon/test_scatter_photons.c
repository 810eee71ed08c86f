/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The simulated scatter against photons that are emitted, scattered and seen one by one. */
#include <stdio.h>

#include "recon/correct/double_scatter.h"
#include "tests/recon/photons.h"

/* Way from p along d to the surface of the cylinder. */
static double way_out(const double p[3], const double d[3], double radius, double half)
{
	const double a = d[0] * d[0] + d[1] * d[1], b = p[0] * d[0] + p[1] * d[1];
	const double c = p[0] * p[0] + p[1] * p[1] - radius * radius;
	double far = a > 1e-12 ? (-b + sqrt(fmax(b * b - a * c, 0))) / a : (double)INFINITY;
	if (fabs(d[2]) > 1e-12) far = fmin(far, ((d[2] > 0 ? half : -half) - p[2]) / d[2]);
	return far;
}

/* What the crystals' cylinder, 40 mm from the axis and 16 mm to either side, makes of a photon from p along d; its direction from the axis is
 * that of the crystals' normals. */
static double seen(const double p[3], const double d[3], double kev, double relative)
{
	const double far = way_out(p, d, 40, 1e9), z = p[2] + far * d[2];
	if (fabs(z) > 16) return 0;
	const double cosine = ((p[0] + far * d[0]) * d[0] + (p[1] + far * d[1]) * d[1]) / 40;
	return accepted(kev) / accepted(511) * (1 - exp(-0.87 * relative / cosine)) / (1 - exp(-0.87));
}

static void draw_direction(iso_random *random, double d[3])
{
	const double z = 2 * iso_random_uniform(random) - 1, t = 2 * pi * iso_random_uniform(random);
	d[0] = sqrt(1 - z * z) * cos(t);
	d[1] = sqrt(1 - z * z) * sin(t);
	d[2] = z;
}

/* The photon along d scatters at a point drawn along its way through the water; its weight times what is seen of it. */
static double scattered(iso_random *random, const double p[3], const double d[3])
{
	const double length = way_out(p, d, water_mm, half_mm), s = length * iso_random_uniform(random);
	const double q[3] = {p[0] + s * d[0], p[1] + s * d[1], p[2] + s * d[2]};
	double u[3], cosine;
	do { /* Klein and Nishina by rejection: at most 1 at 0 degrees */
		draw_direction(random, u);
		cosine = u[0] * d[0] + u[1] * d[1] + u[2] * d[2];
	} while (iso_random_uniform(random) > kn(cosine));
	const double kev = 511 / (2 - cosine);
	static double rho[401];
	if (rho[0] == 0)
		for (int n = 0; n <= 400; n++) rho[n] = kn_total(511 / (3 - n / 200.0)) / kn_total(511);
	const double r = rho[(int)((cosine + 1) * 200)];
	return stays(kev, r) * mu_per_mm * length * exp(-mu_per_mm * s) *
	       exp(-r * mu_per_mm * way_out(q, u, water_mm, half_mm)) *
	       seen(q, u, kev, 0.67 * r + 0.33 * pow(511 / kev, 2.7));
}

/* The ratio of scattered to true coincidences of the whole scanner, from photons that are emitted, scattered and seen one by one: nothing
 * of lines, solid angles or reference distances is in it. 150,000 decays leave 1 % of noise (the weights of the scattered ones spread by
 * less than 3 times their mean); the sums over crystals stand for integrals over the surface to within 1.5 %, in both. */
static void scatter_fraction(void)
{
	iso_random random = iso_random_begin(7, 7);
	double trues = 0, scatters = 0, both = 0;
	for (int n = 0; n < 150000; n++) {
		const double r = active_mm * sqrt(iso_random_uniform(&random)),
			     t = 2 * pi * iso_random_uniform(&random);
		const double p[3] = {active_x_mm + r * cos(t), r * sin(t),
				     half_mm * (2 * iso_random_uniform(&random) - 1)};
		double d[3];
		draw_direction(&random, d);
		const double back[3] = {-d[0], -d[1], -d[2]};
		const double one = exp(-mu_per_mm * way_out(p, d, water_mm, half_mm)) * seen(p, d, 511, 1),
			     two = exp(-mu_per_mm * way_out(p, back, water_mm, half_mm)) * seen(p, back, 511, 1);
		trues += one * two;
		if (one > 0) scatters += one * scattered(&random, p, back);
		if (two > 0) scatters += two * scattered(&random, p, d);
	}
	bench b = bench_open(false);
	b.scanner->rule.max_transaxial_offset_mm = 40;
	iso_error err;
	ISO_ASSERT_OK(iso_scatter_simulate(&b.model, b.coarse_image, b.table, &err), err);
	double simulated = 0;
	for (uint32_t a = 0; a < b.scanner->elements; a++)
		for (uint32_t c = a + 1; c < b.scanner->elements; c++) {
			simulated += iso_pair_table_at(b.table, b.detectors->place + a, b.detectors->place + c, 0);
			const float *p = b.scanner->position_mm + 3 * (size_t)a,
				    *q = b.scanner->position_mm + 3 * (size_t)c;
			const float shifted[2][3] = {{p[0] - 5, p[1], p[2]}, {q[0] - 5, q[1], q[2]}};
			both += iso_pair_factor(b.scanner, a, c) * activity *
				chord_mm(shifted[0], shifted[1], active_mm, half_mm) *
				exp(-mu_per_mm * chord_mm(p, q, water_mm, half_mm));
		}
	if (getenv("SCATTER_PRINT"))
		printf("# scattered per true: %.5g, simulated %.5g\n", scatters / trues, simulated / both);
	ISO_ASSERT_NEAR(simulated / both * trues / scatters, 1, 0.045);
	bench_close(&b);
}

/* The photon along d scatters at one point, and from there at a second one: its weight times what is seen of it. */
static double scattered_twice(iso_random *random, const double p[3], const double d[3])
{
	const double length = way_out(p, d, water_mm, half_mm), s = length * iso_random_uniform(random);
	const double q[3] = {p[0] + s * d[0], p[1] + s * d[1], p[2] + s * d[2]};
	double u[3], v[3], cosine, again;
	do {
		draw_direction(random, u);
		cosine = u[0] * d[0] + u[1] * d[1] + u[2] * d[2];
	} while (iso_random_uniform(random) > kn(cosine));
	const double kev = 511 / (2 - cosine), further = way_out(q, u, water_mm, half_mm),
		     t = further * iso_random_uniform(random);
	const double r[3] = {q[0] + t * u[0], q[1] + t * u[1], q[2] + t * u[2]};
	draw_direction(random, v);
	again = v[0] * u[0] + v[1] * u[1] + v[2] * u[2];
	const double kept = 1 / (1 + kev / 511 * (1 - again)), last = kev * kept;
	if (accepted(last) < 1e-7) return 0;
	/* uniform directions: 4 pi times the density per sr */
	const double density = kept * kept * (kept + 1 / kept - 1 + again * again) / 2 * 4 * pi;
	static double unit;
	if (unit == 0) unit = kn_total(511);
	const double rho = kn_total(kev) / unit, after = kn_total(last) / unit;
	return stays(last, after) * mu_per_mm * length * exp(-mu_per_mm * s) * mu_per_mm * further * density / unit *
	       exp(-rho * mu_per_mm * t) * exp(-after * mu_per_mm * way_out(r, v, water_mm, half_mm)) *
	       seen(r, v, last, 0.67 * after + 0.33 * pow(511 / last, 2.7));
}

/* Of coincidences that are scattered twice, over those that are scattered once: photon by photon against the simulation. Ten batches tell the noise of the
 * photons (some 1 %); the simulation's 720 ways, evenly spread with weights that vary by their mean, are worth 2.5 % (3.7 if they were drawn), and interpolation between nodes 2 %. */
static void scattered_twice_as_by_photons(void)
{
	enum { BATCHES = 10, DECAYS = 12000 };
	iso_random random = iso_random_begin(8, 8);
	double ratio[BATCHES], mean = 0, variance = 0;
	for (int batch = 0; batch < BATCHES; batch++) {
		double once = 0, twice = 0;
		for (int n = 0; n < DECAYS; n++) {
			const double r = active_mm * sqrt(iso_random_uniform(&random)),
				     t = 2 * pi * iso_random_uniform(&random);
			const double p[3] = {active_x_mm + r * cos(t), r * sin(t),
					     half_mm * (2 * iso_random_uniform(&random) - 1)};
			double d[3];
			draw_direction(&random, d);
			const double back[3] = {-d[0], -d[1], -d[2]};
			const double one = exp(-mu_per_mm * way_out(p, d, water_mm, half_mm)) * seen(p, d, 511, 1);
			const double first = scattered(&random, p, back);
			once += 2 * one * first; /* as often the other way round */
			twice += scattered(&random, p, d) * first + 2 * one * scattered_twice(&random, p, back);
		}
		ratio[batch] = twice / once;
		mean += ratio[batch] / BATCHES;
	}
	for (int batch = 0; batch < BATCHES; batch++)
		variance += (ratio[batch] - mean) * (ratio[batch] - mean) / (BATCHES * (BATCHES - 1.0));
	bench b = bench_open(false);
	b.scanner->rule.max_transaxial_offset_mm = 40;
	iso_error err;
	double sum[2] = {0, 0};
	for (int kind = 0; kind < 2; kind++) {
		ISO_ASSERT_OK((kind ? iso_double_scatter_simulate : iso_scatter_simulate)(&b.model, b.coarse_image,
											  b.table, &err),
			      err);
		for (uint32_t a = 0; a < b.scanner->elements; a++)
			for (uint32_t c = a + 1; c < b.scanner->elements; c++)
				sum[kind] +=
				    iso_pair_table_at(b.table, b.detectors->place + a, b.detectors->place + c, 0);
	}
	if (getenv("SCATTER_PRINT"))
		printf("# twice over once: %.5g +- %.2g, simulated %.5g\n", mean, sqrt(variance), sum[1] / sum[0]);
	ISO_ASSERT_NEAR(sum[1] / sum[0] / mean, 1, 0.045 + 4 * sqrt(variance) / mean);
	CU_ASSERT(sqrt(variance) < 0.02 * mean);
	/* any number of threads */
	const size_t values = iso_pair_table_values(b.table);
	float *first = malloc(values * sizeof *first);
	memcpy(first, b.table->value, values * sizeof *first);
	b.model.threads = 5;
	ISO_ASSERT_OK(iso_double_scatter_simulate(&b.model, b.coarse_image, b.table, &err), err);
	CU_ASSERT_EQUAL(memcmp(first, b.table->value, values * sizeof *first), 0);
	free(first);
	bench_close(&b);
}

static const iso_test tests[] = {
    {"scattered per true as by photons one by one", scatter_fraction},
    {"scattered twice as by photons one by one", scattered_twice_as_by_photons},
};

ISO_TEST_MAIN("recon-scatter-photons", tests)
