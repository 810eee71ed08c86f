/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A cylinder of water with activity in a smaller one beside its middle, and all that a scatter simulation of it needs. */
#ifndef ISOTRACE_TESTS_RECON_CYLINDERS_H
#define ISOTRACE_TESTS_RECON_CYLINDERS_H

#include "recon/correct/background.h"
#include "recon/correct/scatter.h"
#include "tests/recon/fixtures.h"

static const double water_mm = 14, half_mm = 12, active_mm = 6, active_x_mm = 5, mu_per_mm = 0.0096, activity = 3;
static const double window_kev[2] = {350, 650}, resolution = 0.15;

static inline bool in_water(const double p[3])
{
	return hypot(p[0], p[1]) < water_mm && fabs(p[2]) < half_mm;
}

static inline bool is_active(const double p[3])
{
	return hypot(p[0] - active_x_mm, p[1]) < active_mm && fabs(p[2]) < half_mm;
}

static inline iso_image *cylinder(bool (*inside)(const double[3]), double value)
{
	const iso_grid grid = cube_grid(36, 30, 1);
	iso_image *image = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_PER_CM, &image, &err), err);
	for (size_t n = 0; n < iso_grid_voxels(&grid); n++) {
		const double index[3] = {(double)(n % 36), (double)(n / 36 % 36), (double)(n / 36 / 36)};
		double p[3];
		iso_grid_point_mm(&grid, index, p);
		/* the part of the voxel that is inside */
		for (int s = 0; s < 8; s++) {
			const double q[3] = {p[0] + (s & 1 ? 0.25 : -0.25), p[1] + (s & 2 ? 0.25 : -0.25),
					     p[2] + (s & 4 ? 0.25 : -0.25)};
			image->voxels[n] += inside(q) ? (float)(value / 8) : 0;
		}
	}
	return image;
}

static bool few_rings; /* for tests in which the numbers do not matter */

static inline iso_scanner *scanner_of(bool tof)
{
	iso_scanner *scanner = small_scanner(few_rings ? 3 : 8, 64);
	scanner->rule.max_transaxial_offset_mm = 36;
	if (tof) scanner->tof = (iso_tof){.fwhm_ps = 200, .bin_ps = 60, .bins = 11};
	return scanner;
}

typedef struct bench {
	iso_scanner *scanner;
	iso_coarse_detectors *detectors;
	iso_image *mu, *coarse_mu, *image, *coarse_image;
	iso_scatter_model model;
	iso_pair_table *table;
} bench;

static inline bench bench_open(bool tof)
{
	bench b = {.scanner = scanner_of(tof)};
	iso_error err;
	b.mu = cylinder(in_water, 10 * mu_per_mm);
	b.image = cylinder(is_active, activity);
	ISO_ASSERT_OK(iso_coarse_detectors_create(b.scanner, 0, &b.detectors, &err), err);
	ISO_ASSERT_OK(iso_coarse_map_create(&b.mu->grid, b.mu->voxels, 60000, &b.coarse_mu, &err), err);
	ISO_ASSERT_OK(iso_coarse_map_create(&b.image->grid, b.image->voxels, 30000, &b.coarse_image, &err), err);
	b.model = (iso_scatter_model){.tof = &b.scanner->tof,
				      .response = iso_energy_response_of(b.scanner, window_kev, resolution),
				      .detectors = b.detectors,
				      .mu = b.coarse_mu,
				      .threads = 2};
	ISO_ASSERT_OK(iso_image_points_create(b.coarse_mu, 400, &b.model.points, &err), err);
	iso_coarse_detectors_look(b.detectors, b.scanner, &b.model.response, &b.model.points);
	ISO_ASSERT_OK(iso_pair_table_create(b.detectors, &b.scanner->tof, &b.table, &err), err);
	return b;
}

static inline void bench_close(bench *b)
{
	iso_pair_table_free(b->table);
	iso_image_points_free(&b->model.points);
	iso_coarse_detectors_free(b->detectors);
	iso_image_free(b->coarse_mu);
	iso_image_free(b->coarse_image);
	iso_image_free(b->mu);
	iso_image_free(b->image);
	iso_scanner_free(b->scanner);
}

#endif
