/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * DICOM files written and read. Here DCMTK's own operator new fails, too (inject_dcmtk.cc). */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"
#include "isotrace/attenuation.h"
#include "isotrace/dicom.h"
#include "isotrace/dicom_in.h"
#include "isotrace/gantry.h"
#include "isotrace/listmode.h"
#include "tests/failure/inject.h"
#include "tests/failure/small_dicom.h"
#include "tests/harness.h"
#include "tests/io/volume_samples.h"

static const char *in(const char *folder, const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

/* Of the files that a run with all memory wrote; "": there was none yet. */
static char undisturbed[65];

/* Of one thing DCMTK can do without memory: the length of a file's header, which it makes twice. Then every file must be as it would have been. */
static iso_status compare(iso_status status, const char *folder, iso_error *err)
{
	char all[65] = "", path[2 * PATH_MAX], hex[65];
	if (status != ISO_OK) return status;
	DIR *list = opendir(folder);
	if (!list) return iso_fail_errno(err, folder, "cannot open");
	for (const struct dirent *entry; status == ISO_OK && (entry = readdir(list));) {
		if (entry->d_name[0] == '.') continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		status = iso_hash_file(path, hex, err);
		/* in whatever order they are listed */
		for (int i = 0; i < 64; i++) all[i] = (char)('0' + ((all[i] ? all[i] - '0' : 0) + hex[i]) % 64);
	}
	closedir(list);
	if (status == ISO_OK && undisturbed[0] && strcmp(undisturbed, all) != 0)
		return iso_fail(err, ISO_BAD_INPUT, folder, "", "files differ from those of a run that had all memory");
	if (status == ISO_OK) memcpy(undisturbed, all, sizeof all);
	return status;
}

static void fail_each_writing(iso_status (*run)(const char *folder, iso_error *err))
{
	undisturbed[0] = '\0';
	iso_fail_every_allocation(&(iso_scenario){.run = run, .may_recover = true, .max_runs = 300});
}

static void fail_each_reading(iso_status (*run)(const char *folder, iso_error *err))
{
	iso_fail_every_allocation(&(iso_scenario){.run = run, .max_runs = 300});
}

static iso_volume *given_volume;

static iso_status write_dicom(const char *folder, iso_error *err)
{
	const iso_dicom_dose dose = {
	    .injected_bq = 7e6, .injection_utc_s = given_volume->acquisition.injection_utc_s, .body_mass_g = 20};
	const iso_dicom_options options = {.real_world_values = true};
	iso_dicom_subject subject = iso_dicom_subject_unknown();
	strcpy(subject.patient_id, "M01");
	strcpy(subject.species, "mouse");
	return compare(iso_dicom_write_images(in(folder, "series"), given_volume, &dose, &subject, &options, NULL, err),
		       in(folder, "series"), err);
}

static iso_status read_dicom(const char *folder, iso_error *err)
{
	(void)folder;
	iso_volume *volume = NULL;
	const iso_status status = iso_dicom_read_volume(iso_test_path("series"), NULL, NULL, &volume, NULL, err);
	iso_volume_free(volume);
	return status;
}

static void dicom(void)
{
	iso_error err;
	ISO_ASSERT_OK(sample_volume(1, 0, &given_volume, &err), err);
	ISO_ASSERT_OK(write_dicom(iso_test_folder(), &err), err); /* also loads DCMTK's dictionary, which stays */
	fail_each_writing(write_dicom);
	fail_each_reading(read_dicom);
	given_volume->acquisition.modality = ISO_MODALITY_SPECT;
	fail_each_writing(write_dicom);
	iso_volume_free(given_volume);
}

/* All that goes beside the images, of one organ. */
static iso_image *given_labels;
static char pdf_path[PATH_MAX];
static bool segments_alone;
static iso_dicom_segments segments = ISO_DICOM_SEGMENTS_BINARY;

static iso_status write_objects(const char *folder, iso_error *err)
{
	static iso_organ organ = {.label = 1, .name = "quux gland"};
	static size_t first[2] = {0, 2}, voxel[2] = {0, 1};
	static float fraction[2] = {1, 0.5f};
	static iso_uptake row = {
	    .organ = "quux gland", .mass_source = "entered", .volume_ml = 1, .percent_id_per_g = 2};
	static double time_h[1] = {1}, recovered[1] = {100}, uncertainty[1] = {3};
	const iso_organs organs = {.count = 1,
				   .organ = &organ,
				   .grid = given_volume->grid,
				   .first = first,
				   .voxel = voxel,
				   .fraction = fraction};
	const iso_biodistribution table = {.frames = 1,
					   .organs = 1,
					   .time_h = time_h,
					   .row = &row,
					   .recovered_percent_id = recovered,
					   .recovered_uncertainty = uncertainty};
	const iso_dicom_objects objects = {.segmentation = segments,
					   .labels = given_labels,
					   .organs = &organs,
					   .report = segments_alone ? NULL : &table,
					   .map = segments_alone ? ISO_DICOM_MAP_NONE : ISO_DICOM_MAP_SUV,
					   .pdf = segments_alone ? NULL : pdf_path};
	const iso_dicom_options options = {.objects = &objects};
	const iso_dicom_dose dose = {
	    .injected_bq = 7e6, .injection_utc_s = given_volume->acquisition.injection_utc_s, .body_mass_g = 20};
	iso_dicom_subject subject = iso_dicom_subject_unknown();
	strcpy(subject.patient_id, "M01");
	return compare(iso_dicom_write_images(in(folder, "series"), given_volume, &dose, &subject, &options, NULL, err),
		       in(folder, "series"), err);
}

static void dicom_objects(void)
{
	iso_error err;
	static const char pdf[] = "%PDF-1.4\n%%EOF\n";
	snprintf(pdf_path, sizeof pdf_path, "%s", iso_test_path("report.pdf"));
	ISO_ASSERT_OK(iso_output_write(pdf_path, pdf, sizeof pdf - 1, &err), err);
	ISO_ASSERT_OK(sample_volume(1, 0, &given_volume, &err), err);
	ISO_ASSERT_OK(iso_image_create(&given_volume->grid, ISO_UNIT_LABEL, &given_labels, &err), err);
	given_labels->voxels[0] = 1;
	fail_each_writing(write_objects);
	iso_image_free(given_labels);
	iso_volume_free(given_volume);
}

static char key_path[PATH_MAX], series_path[PATH_MAX];

static iso_status hide(const char *folder, iso_error *err)
{
	iso_dicom_key key;
	const iso_status status = iso_dicom_key_read(key_path, &key, err);
	if (status != ISO_OK) return status;
	return compare(iso_dicom_deidentify(series_path, in(folder, "public"), &key, NULL, err), in(folder, "public"),
		       err);
}

static void deidentify(void)
{
	iso_error err;
	static const char secret[] = "a secret of the tests";
	snprintf(key_path, sizeof key_path, "%s", iso_test_path("key"));
	snprintf(series_path, sizeof series_path, "%s", iso_test_path("series"));
	ISO_ASSERT_OK(iso_output_write(key_path, secret, sizeof secret, &err), err);
	ISO_ASSERT_OK(sample_volume(1, 0, &given_volume, &err), err);
	undisturbed[0] = '\0';
	ISO_ASSERT_OK(write_dicom(iso_test_folder(), &err), err);
	iso_volume_free(given_volume);
	fail_each_writing(hide);
}

static iso_status read_ct(const char *folder, iso_error *err)
{
	(void)folder;
	iso_image *ct = NULL;
	iso_ct_facts facts;
	const iso_status status = iso_ct_read(iso_test_path("ct"), NULL, NULL, &ct, &facts, err);
	iso_image_free(ct);
	return status;
}

static void ct(void)
{
	small_ct(iso_test_path("ct"));
	fail_each_reading(read_ct);
}

static char organs_path[PATH_MAX];
static const iso_grid *drawn_on; /* contours */

static iso_status read_organs(const char *folder, iso_error *err)
{
	(void)folder;
	const iso_dicom_organ_options options = {.grid = drawn_on, .frame_of_reference_uid = drawn_on ? "1.2.9" : NULL};
	iso_image *labels = NULL;
	iso_organ *organs = NULL;
	size_t count;
	const iso_status status = iso_dicom_read_organs(organs_path, &options, &labels, &organs, &count, NULL, err);
	iso_image_free(labels);
	free(organs);
	return status;
}

static void segmentations(void)
{
	iso_error err;
	ISO_ASSERT_OK(sample_volume(1, 0, &given_volume, &err), err);
	ISO_ASSERT_OK(iso_image_create(&given_volume->grid, ISO_UNIT_LABEL, &given_labels, &err), err);
	given_labels->voxels[0] = given_labels->voxels[40] = 1;
	segments_alone = true;
	for (segments = ISO_DICOM_SEGMENTS_BINARY; segments <= ISO_DICOM_SEGMENTS_FRACTIONAL; segments++) {
		fail_each_writing(write_objects);
		undisturbed[0] = '\0';
		ISO_ASSERT_OK(write_objects(iso_test_folder(), &err), err);
		snprintf(organs_path, sizeof organs_path, "%s", iso_test_path("series/segmentation.dcm"));
		fail_each_reading(read_organs);
	}
	iso_image_free(given_labels);
	iso_volume_free(given_volume);
}

static void structures(void)
{
	const iso_grid grid = {
	    .size = {4, 5, 3}, .voxel_mm = {1, 1, 1}, .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
	drawn_on = &grid;
	snprintf(organs_path, sizeof organs_path, "%s", iso_test_path("structures.dcm"));
	small_structures(organs_path);
	fail_each_reading(read_organs);
}

static iso_status read_nm(const char *folder, iso_error *err)
{
	(void)folder;
	iso_dicom_in_options options = iso_dicom_in_options_default();
	options.decay_reference_utc_s = given_volume->acquisition.start_utc_s;
	iso_volume *volume = NULL;
	const iso_status status = iso_dicom_read_volume(iso_test_path("series"), &options, NULL, &volume, NULL, err);
	iso_volume_free(volume);
	return status;
}

static void nm(void)
{
	iso_error err;
	ISO_ASSERT_OK(sample_volume(1, 0, &given_volume, &err), err);
	given_volume->acquisition.modality = ISO_MODALITY_SPECT;
	undisturbed[0] = '\0';
	ISO_ASSERT_OK(write_dicom(iso_test_folder(), &err), err);
	fail_each_reading(read_nm);
	iso_volume_free(given_volume);
}

static iso_status convert_projections(const char *folder, iso_error *err)
{
	return iso_dicom_convert_projections(iso_test_path("projections.dcm"), NULL, in(folder, "spect.lm.h5"), NULL,
					     NULL, err);
}

/* With its positions, which are then written once more. */
static iso_status read_gantry(const char *folder, iso_error *err)
{
	iso_events *events = NULL;
	iso_status status = iso_listmode_open(iso_test_path("spect.lm.h5"), &events, err);
	if (status == ISO_OK && (!iso_events_gantry(events) || iso_events_gantry(events)->count != 2))
		status = iso_fail(err, ISO_BAD_INPUT, NULL, "", "the positions are lost");
	if (status == ISO_OK) status = iso_listmode_write_all(in(folder, "copy.lm.h5"), events, NULL, NULL, NULL, err);
	iso_events_close(events);
	return status;
}

static void projections(void)
{
	iso_error err;
	small_projections(iso_test_path("projections.dcm"));
	ISO_ASSERT_OK(convert_projections(iso_test_folder(), &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = convert_projections, .max_runs = 300, .spare_jansson = true});
	iso_fail_every_allocation(&(iso_scenario){.run = read_gantry, .max_runs = 300, .spare_jansson = true});
}

static const iso_test tests[] = {
    {"PET and NM images", dicom},
    {"CT", ct},
    {"objects beside the images", dicom_objects},
    {"segmentations", segmentations},
    {"structure sets", structures},
    {"NM images of others", nm},
    {"NM projections and gantry positions", projections},
    {"without identities", deidentify},
};
ISO_TEST_MAIN("memory, DICOM", tests)
