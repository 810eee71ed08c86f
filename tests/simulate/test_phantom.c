/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The analytic phantom against closed forms. */
#include "core/random.h"
#include "simulate/body.h"
#include "tests/simulate/scenes.h"

static iso_scene *scene_of(const iso_shape *shapes, size_t count, size_t organs)
{
	const double centre[3] = {0, 0, 0};
	iso_scene *scene = scene_of_point(centre, 1e6, 1);
	scene->phantom.shape = realloc(scene->phantom.shape, count * sizeof *shapes);
	memcpy(scene->phantom.shape, shapes, count * sizeof *shapes);
	scene->phantom.shapes = count;
	scene->phantom.organ = realloc(scene->phantom.organ, organs * sizeof *scene->phantom.organ);
	scene->phantom.organs = organs;
	for (size_t o = 0; o < organs; o++) {
		scene->phantom.organ[o] = (iso_phantom_organ){.label = (int)o + 1,
							      .density_g_per_ml = 1 + 0.1 * (double)o,
							      .mu_per_cm = 0.1 + 0.05 * (double)o,
							      .percent_id_per_g = 1};
		snprintf(scene->phantom.organ[o].name, sizeof scene->phantom.organ[o].name, "organ%zu", o);
	}
	return scene;
}

static void test_volumes(void)
{
	iso_error err;
	const iso_shape alone[] = {
	    {.half_axes_mm = {3, 4, 5}, .rotation_deg = {10, 20, 30}, .centre_mm = {-12, 0, 0}},
	    {.kind = ISO_SHAPE_CYLINDER, .half_axes_mm = {2, 3, 6}, .centre_mm = {12, 0, 0}, .organ = 1},
	};
	iso_scene *scene = scene_of(alone, 2, 2);
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	ISO_ASSERT_NEAR(scene->phantom.organ[0].volume_ml, 4.0 / 3 * PI * 60 / 1000, 1e-12);
	ISO_ASSERT_NEAR(scene->phantom.organ[1].volume_ml, PI * 6 * 12 / 1000, 1e-12);
	ISO_ASSERT_NEAR(scene->phantom.organ[1].mass_g, 1.1 * PI * 6 * 12 / 1000, 1e-12);
	iso_scene_free(scene);
	/* A ball of radius 10 carved by one of 6 inside it and one of 10 whose centre is 12 away: the lens of two equal
	 * balls is pi (4R + d)(2R - d)^2 / 12. 0.1 % is what is promised. */
	const iso_shape carved[] = {{.half_axes_mm = {10, 10, 10}},
				    {.half_axes_mm = {10, 10, 10}, .centre_mm = {0, 12, 0}, .organ = 1},
				    {.half_axes_mm = {3, 3, 3}, .centre_mm = {0, -4, 0}, .organ = 2}};
	scene = scene_of(carved, 3, 3);
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	const double ball = 4.0 / 3 * PI, lens = PI * 52 * 64 / 12 / 1000;
	ISO_ASSERT_NEAR(scene->phantom.organ[0].volume_ml, ball - 0.027 * ball - lens, 1e-3 * ball);
	ISO_ASSERT_NEAR(scene->phantom.organ[1].volume_ml, ball, 1e-12);
	iso_scene_free(scene);
}

static void test_activity(void)
{
	/* 2 %ID/g of 1 MBq in a ball of 1 g/mL, one half-life (6584.04 s) after the injection: half of 2 % x mass. */
	iso_error err;
	const iso_shape ball[] = {{.half_axes_mm = {10, 10, 10}}};
	iso_scene *scene = scene_of(ball, 1, 1);
	scene->phantom.organ[0].percent_id_per_g = 2;
	scene->start_utc_s = scene->injection_utc_s + 6584.04;
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	ISO_ASSERT_NEAR(scene->phantom.organ[0].activity_bq, 0.5 * 0.02 * 4.0 / 3 * PI * 1e6, 1);
	iso_scene_free(scene);
}

static void test_optical_depth(void)
{
	iso_error err;
	/* Concentric balls, outside to inside 0.1, 0.15 per cm with radii 10 and 6: through the centre, from outside and
	 * from the centre; and past the inner one at 8 mm: the chord is 2 sqrt(100 - 64). */
	const iso_shape balls[] = {{.half_axes_mm = {10, 10, 10}}, {.half_axes_mm = {6, 6, 6}, .organ = 1}};
	iso_scene *scene = scene_of(balls, 2, 2);
	iso_body body;
	ISO_ASSERT_OK(iso_body_create(&scene->phantom, &body, &err), err);
	const double x[3] = {1, 0, 0}, outside[3] = {-30, 0, 0}, centre[3] = {0, 0, 0}, beside[3] = {-30, 0, 8};
	ISO_ASSERT_NEAR(iso_body_optical_depth(&body, outside, x), 0.01 * 8 + 0.015 * 12, 1e-12);
	ISO_ASSERT_NEAR(iso_body_optical_depth(&body, centre, x), 0.01 * 4 + 0.015 * 6, 1e-12);
	ISO_ASSERT_NEAR(iso_body_optical_depth(&body, beside, x), 0.01 * 12, 1e-12);
	const double back[3] = {-1, 0, 0};
	ISO_ASSERT_NEAR(iso_body_optical_depth(&body, outside, back), 0, 0);
	/* Travel is the same walk the other way round: what 6 mm and 4 mm of the two densities and 20 mm of air (0.0012 g/mL)
	 * stop, ends there; half of the first density's part ends at 2 mm. */
	const double inner = body.shape[1].density_g_ml, outer = body.shape[0].density_g_ml;
	ISO_ASSERT_NEAR(iso_body_travel_mm(&body, centre, x, 2 * inner), 2, 1e-12);
	ISO_ASSERT_NEAR(iso_body_travel_mm(&body, centre, x, 6 * inner + 3 * outer), 9, 1e-12);
	ISO_ASSERT_NEAR(iso_body_travel_mm(&body, centre, x, 6 * inner + 4 * outer + 0.0012 * 20), 30, 1e-9);
	iso_body_free(&body);
	iso_scene_free(scene);
	/* A cylinder along z of half axes 3, 5 and half length 10, turned by 90 degrees about x: its axis is now y, its
	 * 5 mm axis along z. */
	const iso_shape turned[] = {
	    {.kind = ISO_SHAPE_CYLINDER, .half_axes_mm = {3, 5, 10}, .rotation_deg = {90, 0, 0}}};
	scene = scene_of(turned, 1, 1);
	ISO_ASSERT_OK(iso_body_create(&scene->phantom, &body, &err), err);
	const double y[3] = {0, 1, 0}, z[3] = {0, 0, 1};
	ISO_ASSERT_NEAR(iso_body_optical_depth(&body, centre, x), 0.03, 1e-12);
	ISO_ASSERT_NEAR(iso_body_optical_depth(&body, centre, y), 0.10, 1e-12);
	ISO_ASSERT_NEAR(iso_body_optical_depth(&body, centre, z), 0.05, 1e-12);
	iso_body_free(&body);
	iso_scene_free(scene);
}

/* Any rays through overlapping, turned shapes against a walk of small steps that asks who owns each point. The walk is wrong
 * by at most half a step per surface: 8 surfaces of at most 0.02 per mm x 0.005 mm. */
static void test_walk(void)
{
	iso_error err;
	const iso_shape shapes[] = {
	    {.half_axes_mm = {12, 9, 20}, .rotation_deg = {5, 10, 15}},
	    {.kind = ISO_SHAPE_CYLINDER,
	     .half_axes_mm = {2, 3, 15},
	     .centre_mm = {3, 0, 2},
	     .rotation_deg = {40, 0, 70},
	     .organ = 1},
	    {.half_axes_mm = {5, 2, 7}, .centre_mm = {-3, 1, 4}, .rotation_deg = {0, 60, 0}, .organ = 2},
	    {.half_axes_mm = {4, 4, 4}, .centre_mm = {-1, 2, 0}},
	};
	iso_scene *scene = scene_of(shapes, 4, 3);
	iso_body body;
	ISO_ASSERT_OK(iso_body_create(&scene->phantom, &body, &err), err);
	iso_random random = iso_random_begin(5, 1);
	double largest = 0;
	for (int ray = 0; ray < 200; ray++) {
		double p[3], d[3], walked = 0;
		iso_random_direction(&random, d);
		for (int a = 0; a < 3; a++) p[a] = 20 * iso_random_uniform(&random) - 10;
		for (int n = 0; n < 6000; n++) {
			double at[3];
			for (int a = 0; a < 3; a++) at[a] = p[a] + 0.01 * (n + 0.5) * d[a];
			const int owner = iso_body_owner(&body, 0, at);
			if (owner >= 0) walked += 0.01 * body.shape[owner].mu_per_mm;
		}
		largest = fmax(largest, fabs(walked - iso_body_optical_depth(&body, p, d)));
	}
	ISO_ASSERT_NEAR(largest, 0, 8 * 0.02 * 0.005);
	iso_body_free(&body);
	iso_scene_free(scene);
}

/* Images of the truth: the sums are the organs' numbers, as far as 6^3 samples per surface voxel say (each surface voxel's
 * error is random, some 3 % of it; 0.5 % of the whole is far above what adds up), and voxels off the surface are exact. */
static void test_images(void)
{
	iso_error err;
	const iso_shape balls[] = {{.half_axes_mm = {10, 8, 9}},
				   {.half_axes_mm = {4, 4, 4}, .centre_mm = {2, 0, 0}, .organ = 1}};
	iso_scene *scene = scene_of(balls, 2, 2);
	scene->phantom.organ[1].percent_id_per_g = 7;
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	const size_t size[3] = {50, 44, 46};
	const double voxel[3] = {0.5, 0.5, 0.5}, centre[3] = {0, 0, 0};
	scene->truth_grid = iso_grid_centred(size, voxel, centre);
	iso_image *labels, *mu, *activity;
	ISO_ASSERT_OK(iso_scene_truth(scene, ISO_TRUTH_LABELS, &labels, &err), err);
	ISO_ASSERT_OK(iso_scene_truth(scene, ISO_TRUTH_MU, &mu, &err), err);
	ISO_ASSERT_OK(iso_scene_truth(scene, ISO_TRUTH_ACTIVITY, &activity, &err), err);
	double volume[3] = {0, 0, 0}, sum_bq = 0, sum_mu = 0;
	for (size_t n = 0; n < iso_grid_voxels(&labels->grid); n++) {
		volume[(int)labels->voxels[n]] += iso_grid_voxel_ml(&labels->grid);
		sum_bq += (double)activity->voxels[n] * iso_grid_voxel_ml(&labels->grid);
		sum_mu += (double)mu->voxels[n] * iso_grid_voxel_ml(&labels->grid);
	}
	const iso_phantom_organ *o = scene->phantom.organ;
	ISO_ASSERT_NEAR(volume[1], o[0].volume_ml, 0.005 * o[0].volume_ml);
	ISO_ASSERT_NEAR(volume[2], o[1].volume_ml, 0.005 * o[0].volume_ml);
	ISO_ASSERT_NEAR(sum_bq, o[0].activity_bq + o[1].activity_bq, 0.003 * (o[0].activity_bq + o[1].activity_bq));
	ISO_ASSERT_NEAR(sum_mu, 0.10 * o[0].volume_ml + 0.15 * o[1].volume_ml, 0.003 * sum_mu);
	const double inside[3] = {2, 0, 0};
	double index[3];
	iso_grid_index(&mu->grid, inside, index);
	const size_t at = (size_t)index[0] + size[0] * ((size_t)index[1] + size[1] * (size_t)index[2]);
	ISO_ASSERT_NEAR(mu->voxels[at], 0.15, 1e-7);
	ISO_ASSERT_NEAR(activity->voxels[at], o[1].activity_bq / o[1].volume_ml, 1);
	CU_ASSERT_EQUAL(labels->unit, ISO_UNIT_LABEL);
	ISO_ASSERT_NEAR(mu->voxels[0], 0, 0);
	iso_image_free(labels);
	iso_image_free(mu);
	iso_image_free(activity);
	iso_scene_free(scene);
}

static const iso_test tests[] = {{"volumes against closed forms", test_volumes},
				 {"activity from uptake, mass and decay", test_activity},
				 {"optical depth against chords", test_optical_depth},
				 {"optical depth against a walk", test_walk},
				 {"images of the truth", test_images}};
ISO_TEST_MAIN("simulate-phantom", tests)
