/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/nifti.h"
#include "isotrace/simulate.h"
#include "tests/failure/inject.h"
#include "tests/harness.h"

/* Every kind of key once; so few decays that a run takes milliseconds. */
static const char scene_yaml[] =
    "nuclide: F-18\ntracer: test\nsubject: m\ninjected_mbq: 0.02\ninjection_time: 2026-03-14T09:00:00Z\n"
    "scan_start_time: 2026-03-14T09:00:00Z\nduration_s: 1\nseed: 1\n"
    "physics: {positron_range: true, acollinearity: true, attenuation: true, randoms: true}\n"
    "detector: {name: small, rings: 4, crystals_per_ring: 24, radius_mm: 30, ring_spacing_mm: 4,\n"
    "  crystal_size_mm: [4, 4, 10], attenuation_per_mm: 0.087, energy_resolution_percent: 14,\n"
    "  energy_window_kev: [350, 650], photofraction: 0.6, time_resolution_ps: 500, coincidence_window_ns: 4}\n"
    "truth_grid: {size: [4, 4, 4], voxel_mm: [5, 5, 5]}\n"
    "organs:\n"
    "  - {organ: body, label: 1, density_g_per_ml: 1.0, mu_per_cm: 0.096, percent_id_per_g: 5}\n"
    "  - {organ: liver, label: 2, density_g_per_ml: 1.0, mu_per_cm: 0.096, percent_id_per_g: 50}\n"
    "shapes:\n"
    "  - {organ: body, kind: cylinder, centre_mm: [0, 0, 0], half_axes_mm: [8, 8, 8]}\n"
    "  - {organ: liver, kind: ellipsoid, centre_mm: [1, 0, 0], half_axes_mm: [3, 3, 3], rotation_deg: [0, 10, 0]}\n";

/* The same with real crystals, scatter, gammas and lutetium, in a phantom of voxels. */
static const char voxel_yaml[] =
    "nuclide: Ga-68\ntracer: test\nsubject: m\ninjected_mbq: 0.02\ninjection_time: 2026-03-14T09:00:00Z\n"
    "scan_start_time: 2026-03-14T09:00:00Z\nduration_s: 1\nseed: 1\nlabel_volume: labels.nii\n"
    "physics: {positron_range: true, acollinearity: true, attenuation: true, randoms: true, scatter: true,\n"
    "  prompt_gammas: true, lutetium_background: true}\n"
    "detector: {name: small, rings: 4, crystals_per_ring: 24, radius_mm: 30, ring_spacing_mm: 4,\n"
    "  crystal_size_mm: [4, 4, 10], crystal_material: LYSO, energy_resolution_percent: 14,\n"
    "  energy_window_kev: [350, 650], time_resolution_ps: 500, coincidence_window_ns: 4}\n"
    "electronics: {delayed_offset_ns: 500}\n"
    "truth_grid: {size: [4, 4, 4], voxel_mm: [5, 5, 5]}\n"
    "organs:\n"
    "  - {organ: body, label: 1, density_g_per_ml: 1.0, material: soft tissue, percent_id_per_g: 5}\n"
    "  - {organ: bone, label: 2, density_g_per_ml: 1.85, material: cortical bone, percent_id_per_g: 50}\n";

static iso_status drop(void *self, const iso_event *events, const iso_event_truth *truth, size_t count, iso_error *err)
{
	(void)events, (void)truth, (void)err;
	*(size_t *)self += count;
	return ISO_OK;
}

static iso_status simulate(const char *name, iso_error *err)
{
	size_t events = 0;
	iso_scene *scene = NULL;
	iso_scanner *scanner = NULL;
	iso_image *truth = NULL;
	iso_simulation_counts counts;
	iso_status status = iso_scene_read(iso_test_path(name), &scene, err);
	if (status == ISO_OK) status = iso_scene_prepare(scene, err);
	if (status == ISO_OK) status = iso_scene_scanner(scene, &scanner, err);
	if (status == ISO_OK)
		status = iso_simulate(scene, &(iso_event_sink){.write = drop, .self = &events}, 2, NULL, &counts, err);
	for (int what = ISO_TRUTH_LABELS; status == ISO_OK && what <= ISO_TRUTH_ACTIVITY; what++) {
		iso_image_free(truth);
		status = iso_scene_truth(scene, (iso_truth)what, &truth, err);
	}
	iso_image_free(truth);
	iso_scanner_free(scanner);
	iso_scene_free(scene);
	return status;
}

static iso_status simulate_shapes(const char *folder, iso_error *err)
{
	(void)folder;
	return simulate("scene.yaml", err);
}

static iso_status simulate_voxels(const char *folder, iso_error *err)
{
	(void)folder;
	return simulate("voxels.yaml", err);
}

static void voxels(void)
{
	iso_error err;
	const size_t size[3] = {6, 6, 6};
	const double voxel_mm[3] = {3, 3, 3}, centre_mm[3] = {0, 0, 0};
	const iso_grid grid = iso_grid_centred(size, voxel_mm, centre_mm);
	iso_image *labels = NULL;
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_LABEL, &labels, &err), err);
	for (size_t v = 0; v < 216; v++) labels->voxels[v] = v % 6 == 0 ? 0 : v % 6 < 4 ? 1.0f : 2.0f;
	ISO_ASSERT_OK(iso_nifti_write_image(iso_test_path("labels.nii"), labels, NULL, &err), err);
	iso_image_free(labels);
	ISO_ASSERT_OK(iso_output_write(iso_test_path("voxels.yaml"), voxel_yaml, sizeof voxel_yaml - 1, &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = simulate_voxels, .max_runs = 120});
}

static void scene(void)
{
	iso_error err;
	ISO_ASSERT_OK(iso_output_write(iso_test_path("scene.yaml"), scene_yaml, sizeof scene_yaml - 1, &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = simulate_shapes, .max_runs = 300});
}

/* An uptake that changes, in a scene without randoms. */
static void course(void)
{
	iso_error err;
	char text[sizeof scene_yaml + 200];
	const char *uptake = strstr(scene_yaml, "percent_id_per_g: 50"), *randoms = strstr(scene_yaml, "randoms: true");
	snprintf(text, sizeof text, "%.*srandoms: false%.*stime_course: [{percent_id_per_g: 90, half_life_s: 2}]%s",
		 (int)(randoms - scene_yaml), scene_yaml, (int)(uptake - randoms - 13), randoms + 13, uptake + 20);
	ISO_ASSERT_OK(iso_output_write(iso_test_path("scene.yaml"), text, strlen(text), &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = simulate_shapes, .max_runs = 300});
}

/* Everything that the electronics do, in crystals of a material; few enough decays for one slice, so that threads do not change the order of
 * the allocations. */
static void electronics(void)
{
	iso_error err;
	char text[sizeof scene_yaml + 400];
	const char *detector = strstr(scene_yaml, "detector: {"),
		   *material = strstr(scene_yaml, "attenuation_per_mm: 0.087"),
		   *fraction = strstr(scene_yaml, "photofraction: 0.6, ");
	snprintf(
	    text, sizeof text,
	    "%.*selectronics: {dead_time_model: paralyzable, dead_time_ns: 200, pile_up_ns: 50, trigger_kev: 150,\n"
	    "  multiples: reject, efficiency_spread_percent: 10, efficiency_distribution: log_normal}\n"
	    "detector: {block_crystals: [4, 4], %.*scrystal_material: LSO%.*s%s",
	    (int)(detector - scene_yaml), scene_yaml, (int)(material - detector - 11), detector + 11,
	    (int)(fraction - material - 25), material + 25, fraction + 20);
	ISO_ASSERT_OK(iso_output_write(iso_test_path("scene.yaml"), text, strlen(text), &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = simulate_shapes, .max_runs = 300});
}

static const iso_test tests[] = {{"a scene with electronics", electronics},
				 {"a scene, its events and its truth", scene},
				 {"an uptake that changes", course},
				 {"a scene of voxels, with all effects", voxels}};
ISO_TEST_MAIN("memory, simulate", tests)
