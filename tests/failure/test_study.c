/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"
#include "isotrace/isotrace.h"
#include "isotrace/study.h"
#include "tests/failure/inject.h"
#include "tests/harness.h"

static const char scene_yaml[] =
    "nuclide: Cu-64\ntracer: gold\nsubject: x\ninjected_mbq: 10\ninjection_time: 2026-03-14T09:00:00Z\n"
    "scan_start_time: 2026-03-14T10:00:00Z\nduration_s: 1\nseed: 1\n"
    "physics: {positron_range: true, acollinearity: true, attenuation: true, randoms: true}\n"
    "detector: {name: small, rings: 4, crystals_per_ring: 32, radius_mm: 40, ring_spacing_mm: 6,\n"
    "  crystal_size_mm: [6, 6, 10], attenuation_per_mm: 0.087, energy_resolution_percent: 14,\n"
    "  energy_window_kev: [350, 650], photofraction: 0.6, time_resolution_ps: 1500, coincidence_window_ns: 4}\n"
    "truth_grid: {size: [16, 16, 14], voxel_mm: [2, 2, 2]}\n"
    "organs:\n  - {organ: body, label: 1, density_g_per_ml: 1.0, mu_per_cm: 0.096, percent_id_per_g: 10}\n"
    "shapes:\n  - {organ: body, kind: cylinder, centre_mm: [0, 0, 0], half_axes_mm: [10, 10, 9]}\n";
static const char study_yaml[] =
    "name: tiny\nnuclide: Cu-64\nsubjects: subjects.csv\noutput: results\n"
    "scanner: {calibration_factor: 1000, calibration_uncertainty_percent: 3, dead_time_factor: 1}\n"
    "reconstruction: {grid_voxels: [10, 10, 10], voxel_mm: [3, 3, 3], iterations: 1, subsets: 1, randoms: delayed,\n"
    "  replicates: 2}\n"
    "organs: {table: organs.csv, labels: labels.nii.gz}\ndicom: {species: mouse}\n";
static const char subjects_csv[] = "subject,group,particle,listmode,scene,syringe_mbq,syringe_time,residual_mbq,"
				   "injection_time,body_mass_g,sex,excluded\n"
				   "A,one,gold,,scene.yaml,10,2026-03-14T09:00:00Z,0,2026-03-14T09:00:00Z,10,F,\n";
static const char organs_csv[] = "label,organ,density_g_per_ml\n1,body,1.0\n";

static unsigned temporaries;

static int look(const char *path, const struct stat *info, int flag, struct FTW *where)
{
	(void)info, (void)flag;
	temporaries += strncmp(path + where->base, ".part-", 6) == 0;
	return 0;
}

static iso_status run_study(const char *folder, iso_error *err)
{
	static char first[65];
	char results[PATH_MAX], table[PATH_MAX + 32], hex[65];
	snprintf(results, sizeof results, "%s/results", folder);
	snprintf(table, sizeof table, "%s/biodistribution.csv", results);
	const iso_study_options options = {.output = results, .threads = 2};
	iso_study_counts counts;
	iso_status status = iso_study_run(iso_test_path("study.yaml"), &options, &counts, err);
	temporaries = 0;
	(void)nftw(folder, look, 16, FTW_PHYS);
	if (temporaries) return iso_fail(err, ISO_BAD_INPUT, folder, "", "%u temporaries are left", temporaries);
	if (status != ISO_OK) return status;
	/* Done in spite of the failure: then the table is that of a run without one. */
	status = iso_hash_file(table, hex, err);
	if (status == ISO_OK && first[0] && strcmp(first, hex) != 0)
		return iso_fail(err, ISO_BAD_INPUT, table, "", "the table differs");
	strcpy(first, hex);
	return status;
}

static void put(const char *name, const char *text)
{
	iso_error err;
	ISO_ASSERT_OK(iso_output_write(iso_test_path(name), text, strlen(text), &err), err);
}

static void study(void)
{
	iso_error err;
	iso_scene *scene;
	iso_image *labels;
	put("scene.yaml", scene_yaml);
	put("study.yaml", study_yaml);
	put("subjects.csv", subjects_csv);
	put("organs.csv", organs_csv);
	ISO_ASSERT_OK(iso_scene_read(iso_test_path("scene.yaml"), &scene, &err), err);
	ISO_ASSERT_OK(iso_scene_prepare(scene, &err), err);
	ISO_ASSERT_OK(iso_scene_truth(scene, ISO_TRUTH_LABELS, &labels, &err), err);
	ISO_ASSERT_OK(iso_nifti_write_image(iso_test_path("labels.nii.gz"), labels, "", &err), err);
	iso_image_free(labels);
	iso_scene_free(scene);
	/* What was finished before the failure stays, to be resumed. */
	static const char *const results[] = {"results", NULL};
	iso_fail_every_allocation(
	    &(iso_scenario){.run = run_study, .may_remain = results, .max_runs = 15, .may_recover = true});
}

static const iso_test tests[] = {{"a study of one scan", study}};
ISO_TEST_MAIN("memory, study", tests)
