/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/nifti.h"

#include <math.h>

#include "core/error.h"
#include "core/output.h"
#include "io/nifti_file.h"

/* Labels are compared for equality later: they must be whole, and small enough for a float to hold. */
static iso_status check_labels(const iso_image *image, const char *path, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&image->grid);
	for (size_t i = 0; i < voxels; i++)
		if (image->voxels[i] != rintf(image->voxels[i]) || fabsf(image->voxels[i]) > 16777216.0f)
			return iso_fail(err, ISO_BAD_INPUT, path,
					"give whole-number labels (resample label images by nearest neighbour)",
					"voxel %zu has the label %g", i, (double)image->voxels[i]);
	return ISO_OK;
}

iso_status iso_nifti_read_image(const char *path, iso_unit unit, iso_image **out, iso_error *err)
{
	*out = NULL;
	iso_nifti nifti;
	iso_status status = iso_nifti_open(path, &nifti, err);
	if (status != ISO_OK) return status;
	iso_image *image = NULL;
	if (nifti.volumes != 1)
		status =
		    iso_fail(err, ISO_BAD_INPUT, path, "give one 3-D image", "%zu images in one file", nifti.volumes);
	if (status == ISO_OK) status = iso_image_create(&nifti.grid, unit, &image, err);
	if (status == ISO_OK) status = iso_nifti_read(&nifti, image->voxels, iso_grid_voxels(&image->grid), err);
	if (status == ISO_OK) status = iso_nifti_finish(&nifti, err);
	if (status == ISO_OK && unit == ISO_UNIT_LABEL) status = check_labels(image, path, err);
	iso_nifti_close(&nifti);
	if (status != ISO_OK) {
		iso_image_free(image);
		return status;
	}
	*out = image;
	return ISO_OK;
}

iso_status iso_nifti_write_image(const char *path, const iso_image *image, const char *description, iso_error *err)
{
	iso_status status = iso_nifti_check_name(path, NULL, err);
	iso_output output;
	if (status == ISO_OK) status = iso_output_begin(&output, path, err);
	if (status != ISO_OK) return status;
	const iso_nifti_content content = {.grid = &image->grid,
					   .volumes = 1,
					   .labels = image->unit == ISO_UNIT_LABEL,
					   .description = description,
					   .values = image->voxels};
	status = iso_nifti_write(output.temporary, path, &content, err);
	if (status != ISO_OK) {
		iso_output_discard(&output);
		return status;
	}
	return iso_output_commit(&output, err);
}
