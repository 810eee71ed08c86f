/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/biodistribution.h"
#include "isotrace/calibration.h"
#include "tests/failure/inject.h"
#include "tests/harness.h"
#include "tests/io/volume_samples.h"

static const char dose_yaml[] =
    "nuclide: Cu-64\ntracer: bare\nsyringe_before: {activity_mbq: 8, time: 2026-03-14T08:00:00Z}\n"
    "syringe_after: {activity_mbq: 0}\ninjection_time: 2026-03-14T08:26:53.25Z\n"
    "body_mass_g: 20\n";
static const char organs_csv[] = "label,organ,density_g_per_ml,mass_g\n1,liver,,0.02\n2,spleen,1.05,\n";

static iso_volume *volume;
static iso_image *labels;

static iso_status quantify(const char *folder, iso_error *err)
{
	iso_dose dose;
	iso_organ *table = NULL;
	size_t count = 0;
	iso_organs *organs = NULL;
	iso_biodistribution *result = NULL;
	iso_status status = iso_dose_read(iso_test_path("dose.yaml"), &dose, err);
	if (status == ISO_OK) status = iso_organ_table_read(iso_test_path("organs.csv"), &table, &count, err);
	if (status == ISO_OK) status = iso_organs_create(labels, table, count, &volume->grid, "labels", &organs, err);
	if (status == ISO_OK) status = iso_quantify(volume, organs, &dose, "M01", "bare", &result, err);
	if (status == ISO_OK) status = iso_biodistribution_write(folder, &result, 1, "{\"from\": \"test\"}", err);
	iso_biodistribution_free(result);
	iso_organs_free(organs);
	free(table);
	return status;
}

static void quantification(void)
{
	iso_error err;
	ISO_ASSERT_OK(iso_output_write(iso_test_path("dose.yaml"), dose_yaml, sizeof dose_yaml - 1, &err), err);
	ISO_ASSERT_OK(iso_output_write(iso_test_path("organs.csv"), organs_csv, sizeof organs_csv - 1, &err), err);
	ISO_ASSERT_OK(sample_volume(2, 2, &volume, &err), err);
	ISO_ASSERT_OK(iso_image_create(&volume->grid, ISO_UNIT_LABEL, &labels, &err), err);
	labels->voxels[40] = labels->voxels[41] = labels->voxels[42] = 1;
	labels->voxels[60] = labels->voxels[61] = 2;
	iso_fail_every_allocation(&(iso_scenario){.run = quantify, .max_runs = 400});
	iso_image_free(labels);
	iso_volume_free(volume);
}

static iso_status calibrate(const char *folder, iso_error *err)
{
	(void)folder;
	const iso_assayed_phantom phantom = {.activity_bq = 1e6,
					     .volume_ml = 10,
					     .concentration_bq_per_ml = (double)NAN,
					     .assay_utc_s = volume->acquisition.start_utc_s,
					     .scan_start_utc_s = (double)NAN};
	const iso_calibration_region region = {
	    .kind = ISO_REGION_SPHERE, .centre_mm = {1.25, -2.5, 33.3}, .radius_mm = 1};
	iso_calibration c;
	return iso_calibrate(volume, 0, &phantom, &region, NULL, &c, err);
}

static void calibration(void)
{
	iso_error err;
	ISO_ASSERT_OK(sample_volume(1, 2, &volume, &err), err);
	volume->unit = ISO_UNIT_COUNTS_PER_S_MM;
	iso_fail_every_allocation(&(iso_scenario){.run = calibrate});
	iso_volume_free(volume);
}

static const iso_test tests[] = {{"calibration", calibration}, {"dose, organs, uptake and results", quantification}};
ISO_TEST_MAIN("memory, quant", tests)
