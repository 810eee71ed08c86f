/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The first 0.612 s of a real scan (shared/data/mmr_listmode). */
#include "tests/recon/real.h"

static const char header[] = "mmr_listmode/PET_ACQ_small.l.hdr.STIR";

static iso_events *open_scan(char path[PATH_MAX])
{
	iso_export_options o = iso_export_options_default();
	iso_events *events = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_export_open(path, &o, &events, &err), err);
	return events;
}

static iso_recon_options options(void)
{
	iso_recon_options o = iso_recon_options_default();
	o.grid = cube_grid(90, 52, 5);
	o.subsets = 1;
	o.iterations = 6;
	o.sensitivity_lines = 1500000;
	return o;
}

/* The activity's centroid without any reconstruction. A line seen along z has the normal angle phi and the signed distance s
 * from the axis; the centroid of the activity in every projection lies at s = x cos phi + y sin phi, so that (x, y) is the
 * least-squares fit over prompts minus delayeds. Weights: crystals at equal angles crowd the lines at large s by
 * 1/cos(theta), sin(theta) = s / radius, which is taken back (the distance and the obliquity of the two crystals cancel in
 * the geometric factor). z: the mid-planes of lines between rings at most 16 mm apart, each weighted with one over the number
 * of ring pairs that share the mid-plane, counted from the scanner's own planes. */
static void data_centroid(const iso_scanner *s, const iso_event *events, size_t count, double centroid[3])
{
	enum { STEPS = 512 };
	const double plane = 4.0625 / 2, reach = 16.3;
	double cc = 0, cs = 0, ss = 0, cd = 0, sd = 0, sum_z = 0, sum_w = 0;
	double share[STEPS] = {0}, hits[STEPS] = {0};
	for (uint32_t a = 0; a < s->elements; a += s->elements_per_ring)
		for (uint32_t b = 0; b < s->elements; b += s->elements_per_ring) {
			const double z1 = (double)s->position_mm[3 * (size_t)a + 2],
				     z2 = (double)s->position_mm[3 * (size_t)b + 2];
			if (fabs(z1 - z2) <= reach) share[(int)lround((z1 + z2) / 2 / plane) + STEPS / 2]++;
		}
	for (size_t n = 0; n < count; n++) {
		const float *p = s->position_mm + 3 * (size_t)events[n].element[0],
			    *q = s->position_mm + 3 * (size_t)events[n].element[1];
		const double dx = (double)(q[0] - p[0]), dy = (double)(q[1] - p[1]), length = hypot(dx, dy);
		const double c = -dy / length, si = dx / length; /* unit normal */
		const double distance = (double)p[0] * c + (double)p[1] * si;
		const double sine = distance / hypot((double)p[0], (double)p[1]);
		const double w = (events[n].kind == ISO_EVENT_PROMPT ? 1 : -1) * sqrt(1 - sine * sine);
		cc += w * c * c;
		cs += w * c * si;
		ss += w * si * si;
		cd += w * c * distance;
		sd += w * si * distance;
		if (fabs((double)p[2] - (double)q[2]) <= reach)
			hits[(int)lround(((double)p[2] + (double)q[2]) / 2 / plane) + STEPS / 2] += w;
	}
	for (int k = 0; k < STEPS; k++)
		if (share[k] > 0) {
			sum_w += hits[k] / share[k];
			sum_z += hits[k] / share[k] * (k - STEPS / 2) * plane;
		}
	const double det = cc * ss - cs * cs;
	centroid[0] = (ss * cd - cs * sd) / det;
	centroid[1] = (cc * sd - cs * cd) / det;
	centroid[2] = sum_z / sum_w;
}

static void image_centroid(const iso_grid *g, const float *x, double centroid[3])
{
	double sum = 0, moment[3] = {0};
	for (size_t n = 0; n < iso_grid_voxels(g); n++) {
		const double index[3] = {(double)(n % g->size[0]), (double)(n / g->size[0] % g->size[1]),
					 (double)(n / (g->size[0] * g->size[1]))};
		double p[3];
		iso_grid_point_mm(g, index, p);
		sum += (double)x[n];
		for (int k = 0; k < 3; k++) moment[k] += (double)x[n] * p[k];
	}
	for (int k = 0; k < 3; k++) centroid[k] = moment[k] / sum;
}

static void test_centroid(void)
{
	char path[PATH_MAX];
	if (!iso_shared_data(header, path)) ISO_SKIP("no shared data");
	iso_events *events = open_scan(path);
	iso_event *all;
	const size_t count = read_all(events, &all);
	iso_recon_options o = options();
	iso_volume *v;
	iso_error err;
	o.randoms = ISO_RANDOMS_DELAYED;
	ISO_ASSERT_OK(iso_reconstruct(events, &o, &v, &err), err);
	CU_ASSERT_EQUAL(v->facts.prompts, 218881.0);
	CU_ASSERT_EQUAL(v->facts.delayeds, 35320.0);
	double data[3], image[3];
	data_centroid(iso_events_scanner(events), all, count, data);
	image_centroid(&v->grid, v->voxels, image);
	printf("# centroid of the data (%.2f, %.2f, %.2f) mm, of the image (%.2f, %.2f, %.2f) mm\n", data[0], data[1],
	       data[2], image[0], image[1], image[2]);
	/* one crystal pitch: 2 pi 335 mm / 504 = 4.18 mm across at the mean depth, 4.09 mm at the front face */
	for (int k = 0; k < 3; k++) ISO_ASSERT_NEAR(image[k], data[k], 4.09);
	iso_volume_free(v);
	free(all);
	iso_events_close(events);
}

/* Floats summed in another order: see test_osem.c. */
static void test_list_mode_is_binned(void)
{
	char path[PATH_MAX];
	if (!iso_shared_data(header, path)) ISO_SKIP("no shared data");
	iso_events *events = open_scan(path);
	iso_event *all;
	const size_t count = read_all(events, &all);
	iso_recon_options o = options();
	iso_volume *v;
	iso_error err;
	o.iterations = 2;
	ISO_ASSERT_OK(iso_reconstruct(events, &o, &v, &err), err);
	const size_t voxels = iso_grid_voxels(&o.grid);
	float *x = malloc(voxels * sizeof *x);
	reconstruct_binned(iso_events_scanner(events), &o, iso_events_acquisition(events)->duration_s, all, count, x);
	double worst = 0, top = 0;
	for (size_t n = 0; n < voxels; n++) {
		worst = fmax(worst, fabs((double)x[n] - (double)v->voxels[n]));
		top = fmax(top, (double)x[n]);
	}
	CU_ASSERT(top > 0);
	printf("# list-mode and binned differ by %.2g of the maximum\n", worst / top);
	ISO_ASSERT_NEAR(worst / top, 0, 2e-5);
	free(x);
	free(all);
	iso_volume_free(v);
	iso_events_close(events);
}

static const iso_test tests[] = {
    {"the image's centroid is the data's", test_centroid},
    {"list-mode is binned", test_list_mode_is_binned},
};

ISO_TEST_MAIN("recon-mmr", tests)
