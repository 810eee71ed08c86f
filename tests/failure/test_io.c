/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isotrace/nifti.h"
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

static const iso_test tests[] = {
    {"NIfTI images", nifti},
    {"volumes with sidecar and replicates", volumes},
};
ISO_TEST_MAIN("memory, io", tests)
