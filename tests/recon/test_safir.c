/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A point source in SAFIR's list-mode (shared/data/safir_virtual). */
#include "tests/recon/real.h"

/* Where the lines meet: the point with the smallest sum of squared distances to the lines, over the lines that are near it; the
 * cut shrinks from 20 to 1 mm. With u a line's direction and p a point on it: sum (1 - u u') x = sum (1 - u u') p. */
static void meeting_point(const iso_scanner *s, const iso_event *events, size_t count, double x[3])
{
	x[0] = x[1] = x[2] = 0;
	double cut = 1e9;
	for (int pass = 0; pass < 12; pass++) {
		double a[3][4] = {{0}};
		for (size_t n = 0; n < count; n++) {
			if (events[n].kind != ISO_EVENT_PROMPT) continue;
			const float *p = s->position_mm + 3 * (size_t)events[n].element[0],
				    *q = s->position_mm + 3 * (size_t)events[n].element[1];
			double u[3], length = 0, along = 0, distance2 = 0;
			for (int k = 0; k < 3; k++) length += pow((double)(q[k] - p[k]), 2);
			for (int k = 0; k < 3; k++) {
				u[k] = (double)(q[k] - p[k]) / sqrt(length);
				along += u[k] * (x[k] - (double)p[k]);
				distance2 += pow(x[k] - (double)p[k], 2);
			}
			if (distance2 - along * along > cut * cut) continue;
			for (int i = 0; i < 3; i++)
				for (int j = 0; j < 3; j++) {
					const double m = (i == j) - u[i] * u[j];
					a[i][j] += m;
					a[i][3] += m * (double)p[j];
				}
		}
		for (int i = 0; i < 3; i++) /* Gauss-Jordan; the matrix is positive definite */
			for (int r = 0; r < 3; r++) {
				if (r == i) continue;
				const double f = a[r][i] / a[i][i];
				for (int j = 0; j < 4; j++) a[r][j] -= f * a[i][j];
			}
		for (int i = 0; i < 3; i++) x[i] = a[i][3] / a[i][i];
		cut = pass == 0 ? 20 : fmax(cut * 0.7, 1);
	}
}

static void test_point(void)
{
	char path[PATH_MAX], map[PATH_MAX];
	if (!iso_shared_data("safir_virtual/point_5.clm.safir", path) ||
	    !iso_shared_data("safir_virtual/crystal_map_front.txt", map))
		ISO_SKIP("no shared data");
	iso_export_options export = iso_export_options_default();
	export.crystal_map_path = map;
	iso_events *events;
	iso_event *all;
	iso_error err;
	ISO_ASSERT_OK(iso_export_open(path, &export, &events, &err), err);
	const size_t count = read_all(events, &all);
	double point[3];
	meeting_point(iso_events_scanner(events), all, count, point);
	/* the value that another program's arithmetic gave */
	ISO_ASSERT_NEAR(point[0], 4.60, 0.05);
	ISO_ASSERT_NEAR(point[1], 0.00, 0.05);
	ISO_ASSERT_NEAR(point[2], 0.00, 0.05);
	iso_recon_options o = iso_recon_options_default();
	const size_t size[3] = {45, 45, 45};
	const double voxel[3] = {0.8, 0.8, 0.8}, centre[3] = {0, 0, 0};
	o.grid = iso_grid_centred(size, voxel, centre);
	o.subsets = 1;
	o.iterations = 12;
	o.psf_fwhm_mm = 1.6; /* two voxels: the peak's place is then read between the voxels */
	o.sensitivity_lines = 500000;
	iso_volume *v;
	ISO_ASSERT_OK(iso_reconstruct(events, &o, &v, &err), err);
	size_t best = 0;
	for (size_t n = 0; n < iso_grid_voxels(&o.grid); n++)
		if (v->voxels[n] > v->voxels[best]) best = n;
	/* the peak: centre of mass of the 3 x 3 x 3 voxels around the largest */
	const size_t at[3] = {best % 45, best / 45 % 45, best / 2025};
	double sum = 0, peak[3] = {0};
	for (size_t k = at[2] - 1; k <= at[2] + 1; k++)
		for (size_t j = at[1] - 1; j <= at[1] + 1; j++)
			for (size_t i = at[0] - 1; i <= at[0] + 1; i++) {
				const double index[3] = {(double)i, (double)j, (double)k};
				const double value = (double)v->voxels[i + 45 * (j + 45 * k)];
				double p[3];
				iso_grid_point_mm(&o.grid, index, p);
				sum += value;
				for (int a = 0; a < 3; a++) peak[a] += value * p[a];
			}
	printf("# lines meet at (%.3f, %.3f, %.3f) mm, the peak is at (%.3f, %.3f, %.3f) mm\n", point[0], point[1],
	       point[2], peak[0] / sum, peak[1] / sum, peak[2] / sum);
	for (int a = 0; a < 3; a++) ISO_ASSERT_NEAR(peak[a] / sum, point[a], 0.4);
	iso_volume_free(v);
	free(all);
	iso_events_close(events);
}

static const iso_test tests[] = {
    {"the peak is where the lines meet", test_point},
};

ISO_TEST_MAIN("recon-safir", tests)
