/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A program around the library may have set a locale with decimal commas: what is written is the same, byte by byte, and what is
 * read is the same number. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "io/study_file.h"
#include "isotrace/isotrace.h"
#include "tests/harness.h"
#include "tests/io/volume_samples.h"

static const char *in(const char *folder, const char *name)
{
	static char path[4][PATH_MAX + 64];
	static unsigned next;
	snprintf(path[next % 4], sizeof *path, "%s/%s", folder, name);
	return path[next++ % 4];
}

static const iso_organ organ = {.label = 1,
				.name = "liver",
				.density_g_per_ml = 1.05,
				.density_uncertainty_g_per_ml = 0.0125,
				.mass_g = (double)NAN,
				.mass_uncertainty_g = (double)NAN};
static const iso_dose syringe = {.nuclide = "Cu-64",
				 .before = {12.25e6 + 1.0 / 3, SAMPLE_START_UTC_S - 7200},
				 .after = {1e5 / 3, SAMPLE_START_UTC_S - 3000.25},
				 .injection_utc_s = SAMPLE_START_UTC_S - 3600,
				 .relative_uncertainty = 0.025,
				 .body_mass_g = 21.3,
				 .body_mass_uncertainty_g = (double)NAN};

/* Images and all objects beside them; the report's table, too. */
static void write_images(const char *folder, iso_volume *volume)
{
	iso_error err;
	static size_t first[2] = {0, 2}, voxel[2] = {0, 1};
	static float fraction[2] = {1, 0.5f};
	static iso_uptake row = {.organ = "liver",
				 .mass_source = "entered",
				 .volume_ml = 2.0 / 3,
				 .percent_id_per_g = 2.25,
				 .u_total = 0.125,
				 .degrees_of_freedom = 12.5};
	static iso_frame frame = {0.5, 600};
	static double time_h[1] = {1.0 / 3}, recovered[1] = {97.5}, uncertainty[1] = {3.5};
	iso_organ one = organ;
	const iso_organs organs = {
	    .count = 1, .organ = &one, .grid = volume->grid, .first = first, .voxel = voxel, .fraction = fraction};
	iso_biodistribution table = {.subject = "M01",
				     .dose = syringe,
				     .frames = 1,
				     .organs = 1,
				     .frame = &frame,
				     .time_h = time_h,
				     .row = &row,
				     .recovered_percent_id = recovered,
				     .recovered_uncertainty = uncertainty};
	iso_biodistribution *const tables[] = {&table};
	iso_image *labels;
	ISO_ASSERT_OK(iso_biodistribution_write(in(folder, "quant"), tables, 1, NULL, &err), err);
	ISO_ASSERT_OK(iso_image_create(&volume->grid, ISO_UNIT_LABEL, &labels, &err), err);
	labels->voxels[0] = 1;
	const iso_dicom_objects objects = {.segmentation = ISO_DICOM_SEGMENTS_BINARY,
					   .labels = labels,
					   .organs = &organs,
					   .report = &table,
					   .map = ISO_DICOM_MAP_SUV};
	const iso_dicom_options options = {.objects = &objects, .real_world_values = true};
	const iso_dicom_dose dose = {.injected_bq = 7e6 + 1.0 / 3,
				     .injection_utc_s = volume->acquisition.injection_utc_s,
				     .body_mass_g = 20.125};
	iso_dicom_subject subject = iso_dicom_subject_unknown();
	strcpy(subject.patient_id, "M01");
	ISO_ASSERT_OK(iso_dicom_write_images(in(folder, "pet"), volume, &dose, &subject, &options, NULL, &err), err);
	volume->acquisition.modality = ISO_MODALITY_SPECT;
	ISO_ASSERT_OK(iso_dicom_write_images(in(folder, "nm"), volume, &dose, &subject, NULL, NULL, &err), err);
	iso_image_free(labels);
}

static void write_all(const char *folder)
{
	iso_error err;
	iso_volume *volume;
	iso_image *mu;
	static const iso_calibration calibration = {.factor = 1e6 / 3,
						    .uncertainty = 0.03,
						    .scanner_name = "ring",
						    .nuclide = "F-18",
						    .branching_fraction = 0.9686,
						    .half_life_s = 6584.04,
						    .scan_utc_s = 1.7e9 + 0.25,
						    .assay_utc_s = 1.7e9,
						    .voxels = 100,
						    .earlier_factor = (double)NAN};
	ISO_ASSERT_OK(iso_make_directory(folder, &err), err);
	ISO_ASSERT_OK(sample_volume(1, 0, &volume, &err), err);
	ISO_ASSERT_OK(iso_volume_write(in(folder, "v.nii.gz"), volume, &err), err);
	ISO_ASSERT_OK(iso_organ_table_write(in(folder, "organs.csv"), &organ, 1, &err), err);
	ISO_ASSERT_OK(iso_dose_write(in(folder, "dose.yaml"), &syringe, "a test's", &err), err);
	ISO_ASSERT_OK(iso_calibration_write(in(folder, "cal.json"), &calibration, &err), err);
	iso_mu_facts facts;
	memset(&facts, 0, sizeof facts);
	ISO_ASSERT_OK(iso_mu_curve_of_kvp(57.5, &facts.curve, &err), err);
	ISO_ASSERT_OK(iso_image_create(&volume->grid, ISO_UNIT_PER_CM, &mu, &err), err);
	ISO_ASSERT_OK(iso_mu_write(in(folder, "mu.nii.gz"), mu, &facts, &err), err);
	iso_image_free(mu);
	write_images(folder, volume);
	iso_volume_free(volume);
}

static void written(void)
{
	char plain[PATH_MAX], comma[PATH_MAX], command[5 * PATH_MAX], number[32];
	snprintf(plain, sizeof plain, "%s", iso_test_path("plain"));
	snprintf(comma, sizeof comma, "%s", iso_test_path("with-comma"));
	write_all(plain);
	if (!iso_test_decimal_comma()) ISO_SKIP("no locale with a decimal comma");
	write_all(comma);
	snprintf(number, sizeof number, "%.1f", 0.5);
	CU_ASSERT_STRING_EQUAL(number, "0,5"); /* the program keeps its locale */
	setlocale(LC_NUMERIC, "C");
	snprintf(command, sizeof command, "diff -r '%s' '%s' | sed 's/^/# /' >&2; diff -rq '%s' '%s' >/dev/null", plain,
		 comma, plain, comma);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* Everything that a reader takes apart itself. */
static size_t read_all(double *values)
{
	static const char scene_text[] =
	    "nuclide: Cu-64\nsubject: A\ninjected_mbq: 10.25\ninjection_time: 2026-03-14T09:00:00.5Z\n"
	    "scan_start_time: 2026-03-14T10:00:00Z\nduration_s: 1.5\nseed: 1\n"
	    "physics: {positron_range: true, acollinearity: true, attenuation: true, randoms: true}\n"
	    "detector: {name: r, rings: 6, crystals_per_ring: 40, radius_mm: 40.5, ring_spacing_mm: 5.25, "
	    "crystal_size_mm: [5.25, 5, 10], attenuation_per_mm: 0.087, energy_resolution_percent: 14.5, "
	    "energy_window_kev: [350.5, 650], photofraction: 0.6, time_resolution_ps: 1500, coincidence_window_ns: "
	    "4.5}\n"
	    "truth_grid: {size: [20, 20, 16], voxel_mm: [1.5, 1.5, 1.5]}\n"
	    "organs: [{organ: body, label: 1, density_g_per_ml: 1.25, mu_per_cm: 0.096, percent_id_per_g: 10.75}]\n"
	    "shapes: [{organ: body, kind: cylinder, centre_mm: [0.5, 0, 0], half_axes_mm: [10, 10, 9]}]\n";
	static const char study_text[] =
	    "name: trial\nnuclide: Cu-64\ntracer: gold\nsubjects: subjects.csv\noutput: results\n"
	    "scanner: {calibration_factor: 12.5, calibration_uncertainty_percent: 2.5, dead_time_factor: 1.25}\n"
	    "reconstruction: {grid_voxels: [10, 20, 30], voxel_mm: [1.5, 1, 2], iterations: 3, subsets: 5, randoms: "
	    "delayed, "
	    "post_filter: gaussian, post_filter_fwhm_mm: 1.75}\n"
	    "organs: {table: organs.csv, labels: labels.nii.gz}\n";
	static const char map_text[] = "0 0 10.5 0 0.25\n0 1 0 -10.5 0.25\n";
	iso_error err;
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%s", iso_test_path("plain"));
	size_t n = 0;
	ISO_ASSERT_OK(iso_output_write(in(folder, "scene.yaml"), scene_text, strlen(scene_text), &err), err);
	ISO_ASSERT_OK(iso_output_write(in(folder, "study.yaml"), study_text, strlen(study_text), &err), err);
	ISO_ASSERT_OK(iso_output_write(in(folder, "map.txt"), map_text, strlen(map_text), &err), err);
	iso_scene *scene;
	ISO_ASSERT_OK(iso_scene_read(in(folder, "scene.yaml"), &scene, &err), err);
	values[n++] = scene->injected_bq;
	values[n++] = scene->injection_utc_s;
	values[n++] = scene->detector.rings.radius_mm;
	values[n++] = scene->detector.energy_window_kev[0];
	values[n++] = scene->phantom.organ[0].density_g_per_ml;
	iso_scene_free(scene);
	iso_study_file *study;
	ISO_ASSERT_OK(iso_study_file_read(in(folder, "study.yaml"), &study, &err), err);
	values[n++] = study->calibration_factor;
	values[n++] = study->dead_time_factor;
	values[n++] = study->grid.voxel_mm[0];
	values[n++] = study->post_filter.fwhm_mm;
	iso_study_file_free(study);
	iso_scanner *scanner;
	ISO_ASSERT_OK(iso_crystal_map_read(in(folder, "map.txt"), &scanner, &err), err);
	values[n++] = (double)scanner->position_mm[2];
	iso_scanner_free(scanner);
	iso_dose dose;
	ISO_ASSERT_OK(iso_dose_read(in(folder, "dose.yaml"), &dose, &err), err);
	values[n++] = dose.before.activity_bq;
	values[n++] = dose.body_mass_g;
	iso_organ *organs;
	size_t count;
	ISO_ASSERT_OK(iso_organ_table_read(in(folder, "organs.csv"), &organs, &count, &err), err);
	values[n++] = organs[0].density_uncertainty_g_per_ml;
	free(organs);
	iso_calibration calibration;
	ISO_ASSERT_OK(iso_calibration_read(in(folder, "cal.json"), &calibration, &err), err);
	values[n++] = calibration.factor;
	iso_volume *volume;
	ISO_ASSERT_OK(iso_volume_read(in(folder, "v.nii.gz"), &volume, &err), err);
	values[n++] = volume->calibration_factor;
	iso_volume_free(volume);
	iso_dicom_in_options options = iso_dicom_in_options_default();
	ISO_ASSERT_OK(iso_dicom_read_volume(in(folder, "pet"), &options, NULL, &volume, NULL, &err), err);
	values[n++] = (double)volume->voxels[7];
	values[n++] = volume->half_life_s;
	iso_volume_free(volume);
	options.zone_s = 0;
	options.decay_reference_utc_s = SAMPLE_START_UTC_S + 0.25;
	ISO_ASSERT_OK(iso_dicom_read_volume(in(folder, "nm"), &options, NULL, &volume, NULL, &err), err);
	values[n++] = (double)volume->voxels[7];
	iso_volume_free(volume);
	return n;
}

static void read(void)
{
	double plain[64], comma[64];
	const size_t count = read_all(plain);
	CU_ASSERT_EQUAL(plain[0], 10.25e6);
	CU_ASSERT_EQUAL(plain[10], syringe.before.activity_bq);
	if (!iso_test_decimal_comma()) ISO_SKIP("no locale with a decimal comma");
	CU_ASSERT_EQUAL(read_all(comma), count);
	CU_ASSERT_STRING_EQUAL(localeconv()->decimal_point, ",");
	setlocale(LC_NUMERIC, "C");
	for (size_t n = 0; n < count; n++) ISO_ASSERT_NEAR(comma[n], plain[n], 0);
}

/* Messages and notes are texts, too; iso_strtod stops where strtod does. */
static void texts(void)
{
	if (!iso_test_decimal_comma()) ISO_SKIP("no locale with a decimal comma");
	iso_error err;
	char text[32], *end;
	(void)iso_fail(&err, ISO_BAD_INPUT, "x", "y", "%.2f of %g", 1.5, 0.25);
	const int length = iso_snprintf(text, sizeof text, "%.3e", 1234.5);
	const double point = iso_strtod("1.5x", &end);
	const char after = *end;
	const double comma = iso_strtod("1,5", &end);
	setlocale(LC_NUMERIC, "C");
	CU_ASSERT_STRING_EQUAL(err.message, "1.50 of 0.25");
	CU_ASSERT_STRING_EQUAL(text, "1.234e+03");
	CU_ASSERT_EQUAL(length, 9);
	CU_ASSERT(point == 1.5 && after == 'x');
	CU_ASSERT(comma == 1 && *end == ',');
}

static const iso_test tests[] = {
    {"the same bytes are written", written},
    {"the same numbers are read", read},
    {"texts and numbers", texts},
};
ISO_TEST_MAIN("decimal comma", tests)
