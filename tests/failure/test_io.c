/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/attenuation.h"
#include "isotrace/calibration.h"
#include "isotrace/exports.h"
#include "isotrace/listmode.h"
#include "isotrace/nifti.h"
#include "isotrace/singles.h"
#include "tests/failure/inject.h"
#include "tests/harness.h"
#include "tests/io/volume_samples.h"

static const char *in(const char *folder, const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static iso_image *given_image;
static iso_volume *given_volume;

static iso_status write_image(const char *folder, iso_error *err)
{
	return iso_nifti_write_image(in(folder, "image.nii.gz"), given_image, "test", err);
}

static iso_status read_image(const char *folder, iso_error *err)
{
	(void)folder;
	iso_image *image = NULL;
	const iso_status status = iso_nifti_read_image(iso_test_path("given.nii.gz"), ISO_UNIT_PER_CM, &image, err);
	iso_image_free(image);
	return status;
}

static void nifti(void)
{
	const iso_grid grid =
	    iso_grid_centred((const size_t[]){4, 5, 6}, (const double[]){1, 1, 1}, (const double[]){0, 0, 0});
	iso_error err;
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_PER_CM, &given_image, &err), err);
	ISO_ASSERT_OK(iso_nifti_write_image(iso_test_path("given.nii.gz"), given_image, "test", &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = write_image});
	iso_fail_every_allocation(&(iso_scenario){.run = read_image});
	iso_image_free(given_image);
}

static iso_status write_volume(const char *folder, iso_error *err)
{
	return iso_volume_write(in(folder, "volume.nii.gz"), given_volume, err);
}

static iso_status read_volume(const char *folder, iso_error *err)
{
	(void)folder;
	iso_volume *volume = NULL;
	const iso_status status = iso_volume_read(iso_test_path("given_volume.nii.gz"), &volume, err);
	iso_volume_free(volume);
	return status;
}

static void volumes(void)
{
	iso_error err;
	ISO_ASSERT_OK(sample_volume(2, 2, &given_volume, &err), err);
	ISO_ASSERT_OK(iso_volume_write(iso_test_path("given_volume.nii.gz"), given_volume, &err), err);
	/* Without its sidecar, which is renamed last, no reader takes an image for a volume. */
	static const char *const images[] = {"volume.nii.gz", "volume_replicates.nii.gz", NULL};
	iso_fail_every_allocation(&(iso_scenario){.run = write_volume, .may_remain = images});
	iso_fail_every_allocation(&(iso_scenario){.run = read_volume});
	iso_volume_free(given_volume);
}

static const iso_ring_description rings = {
    .name = "small", .rings = 3, .crystals_per_ring = 24, .radius_mm = 30, .ring_spacing_mm = 4};

static iso_status drain(iso_events *events, iso_error *err)
{
	static iso_event batch[1024];
	size_t count = 1;
	iso_status status = ISO_OK;
	while (status == ISO_OK && count) status = iso_events_read(events, batch, 1024, &count, err);
	return status;
}

static iso_status write_listmode(const char *folder, iso_error *err)
{
	iso_scanner *scanner = NULL;
	iso_listmode_writer *writer = NULL;
	iso_singles *singles = NULL;
	const iso_acquisition facts = iso_acquisition_unknown();
	const iso_event_counts counts = {.records = 20000, .prompts = 20000};
	iso_status status = iso_scanner_from_rings(&rings, &scanner, err);
	if (status == ISO_OK)
		status =
		    iso_listmode_create(in(folder, "new.lm.h5"), scanner, &facts, "{\"by\": \"a test\"}", &writer, err);
	for (uint32_t n = 0; status == ISO_OK && n < 20000; n++) {
		const iso_event event = {.time_ms = 10 * n, .element = {n % 24, 24 + n % 48}};
		const iso_event_truth truth = {.fate = n % ISO_EVENT_FATES};
		status = iso_listmode_append(writer, &event, &truth, 1, err);
	}
	if (status == ISO_OK) status = iso_listmode_set_true_efficiencies(writer, scanner->efficiency, err);
	if (status == ISO_OK) status = iso_singles_create(scanner->elements, 2, 20, 10, &singles, err);
	if (status == ISO_OK) status = iso_listmode_set_singles(writer, singles, err);
	if (status == ISO_OK)
		status = iso_listmode_commit(writer, &counts, 200, err);
	else
		iso_listmode_discard(writer);
	iso_singles_free(singles);
	iso_scanner_free(scanner);
	return status;
}

static iso_status read_listmode(const char *folder, iso_error *err)
{
	iso_events *events = NULL;
	iso_status status = iso_listmode_open(iso_test_path("given.lm.h5"), &events, err);
	if (status == ISO_OK) status = drain(events, err);
	if (status == ISO_OK) status = iso_events_seek(events, 100, err);
	if (status == ISO_OK) status = iso_listmode_write_all(in(folder, "copy.lm.h5"), events, NULL, NULL, NULL, err);
	iso_events_close(events);
	return status;
}

static void listmode(void)
{
	iso_error err;
	ISO_ASSERT_OK(write_listmode(iso_test_folder(), &err), err);
	CU_ASSERT_EQUAL_FATAL(rename(iso_test_path("new.lm.h5"), iso_test_path("given.lm.h5")), 0);
	iso_fail_every_allocation(&(iso_scenario){.run = write_listmode});
	iso_fail_every_allocation(&(iso_scenario){.run = read_listmode});
}

static char export_path[PATH_MAX], map_path[PATH_MAX];

static iso_status read_export(const char *folder, iso_error *err)
{
	(void)folder;
	iso_export_options options = iso_export_options_default();
	if (map_path[0]) options.crystal_map_path = map_path;
	iso_events *events = NULL;
	iso_status status = iso_export_open(export_path, &options, &events, err);
	iso_event batch[16];
	size_t count;
	if (status == ISO_OK) status = iso_events_read(events, batch, 16, &count, err);
	if (status == ISO_OK) status = iso_events_seek(events, 3, err);
	iso_events_close(events);
	return status;
}

static void petlink(void)
{
	map_path[0] = '\0';
	if (!iso_shared_data("mmr_listmode/PET_ACQ_small.l.hdr.STIR", export_path)) ISO_SKIP("no shared data");
	iso_fail_every_allocation(&(iso_scenario){.run = read_export});
}

static void safir(void)
{
	if (!iso_shared_data("safir_virtual/point_5.clm.safir", export_path) ||
	    !iso_shared_data("safir_virtual/crystal_map_front.txt", map_path))
		ISO_SKIP("no shared data");
	iso_fail_every_allocation(&(iso_scenario){.run = read_export});
}

static iso_status read_tables(const char *folder, iso_error *err)
{
	(void)folder;
	iso_mu_curve curve;
	iso_mu_label *rows = NULL;
	size_t count;
	iso_status status = iso_mu_curve_read(iso_test_path("curve.csv"), 120, &curve, err);
	if (status == ISO_OK) status = iso_mu_labels_read(iso_test_path("labels.csv"), &rows, &count, err);
	free(rows);
	return status;
}

static iso_status write_mu(const char *folder, iso_error *err)
{
	static iso_mu_facts facts;
	return iso_mu_write(in(folder, "mu.nii.gz"), given_image, &facts, err);
}

static void attenuation(void)
{
	static const char curve[] = "kvp,break_hu,a_per_cm,b_per_cm_per_hu\n120,50,0.0982,5.11e-5\n",
			  labels[] = "label,mu_per_cm\n1,0.096\n";
	const iso_grid grid =
	    iso_grid_centred((const size_t[]){4, 5, 6}, (const double[]){1, 1, 1}, (const double[]){0, 0, 0});
	iso_error err;
	ISO_ASSERT_OK(iso_output_write(iso_test_path("curve.csv"), curve, sizeof curve - 1, &err), err);
	ISO_ASSERT_OK(iso_output_write(iso_test_path("labels.csv"), labels, sizeof labels - 1, &err), err);
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_PER_CM, &given_image, &err), err);
	static const char *const image[] = {"mu.nii.gz", NULL}; /* a map without its sidecar is a map */
	iso_fail_every_allocation(&(iso_scenario){.run = read_tables});
	iso_fail_every_allocation(&(iso_scenario){.run = write_mu, .may_remain = image});
	iso_image_free(given_image);
}

static const iso_calibration given_calibration = {.factor = 1e6,
						  .uncertainty = 0.03,
						  .scanner_name = "ring",
						  .nuclide = "F-18",
						  .branching_fraction = 0.97,
						  .half_life_s = 6584,
						  .scan_utc_s = 1.7e9,
						  .assay_utc_s = 1.7e9,
						  .voxels = 100,
						  .earlier_factor = (double)NAN};

static iso_status write_calibration(const char *folder, iso_error *err)
{
	return iso_calibration_write(in(folder, "cal.json"), &given_calibration, err);
}

static iso_status read_calibration(const char *folder, iso_error *err)
{
	(void)folder;
	iso_calibration c;
	return iso_calibration_read(iso_test_path("cal.json"), &c, err);
}

static void calibration(void)
{
	iso_error err;
	ISO_ASSERT_OK(write_calibration(iso_test_folder(), &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = write_calibration});
	iso_fail_every_allocation(&(iso_scenario){.run = read_calibration});
}

static const iso_test tests[] = {
    {"tables and mu maps", attenuation},
    {"calibration files", calibration},
    {"NIfTI images", nifti},
    {"volumes with sidecar and replicates", volumes},
    {"native list-mode", listmode},
    {"PETLINK export", petlink},
    {"SAFIR export", safir},
};
ISO_TEST_MAIN("memory, io", tests)
