/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hostile DICOM: whatever the bytes are, every reader must return. */
#include <stdlib.h>
#include <string.h>

#include "isotrace/isotrace.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = scratch_file("x.dcm", data, size);
	iso_error err;
	iso_dicom_folder *folder;
	iso_image *image;
	iso_volume *volume;
	iso_organ *organs;
	size_t count;
	if (iso_dicom_look(path, &folder, &err) == ISO_OK) iso_dicom_folder_free(folder);
	if (iso_ct_read(path, NULL, NULL, &image, NULL, &err) == ISO_OK) iso_image_free(image);
	iso_dicom_in_options options = iso_dicom_in_options_default();
	options.zone_s = 3600;
	options.decay_reference_utc_s = 1773478800;
	if (iso_dicom_read_volume(path, &options, NULL, &volume, NULL, &err) == ISO_OK) iso_volume_free(volume);
	/* where the samples' organs lie */
	const iso_grid grid = {.size = {9, 11, 6},
			       .voxel_mm = {0.8, 0.5, 1.5},
			       .origin_mm = {-7, -5, 30},
			       .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
	const iso_dicom_organ_options drawn = {.grid = &grid, .frame_of_reference_uid = "1.2.9"};
	if (iso_dicom_read_organs(path, &drawn, &image, &organs, &count, NULL, &err) == ISO_OK) {
		iso_image_free(image);
		free(organs);
	}
	/* a few bytes can promise many counts: into a file that is thrown away */
	char events[4096];
	strncpy(events, scratch_file("x.lm.h5", data, 0), sizeof events - 1);
	events[sizeof events - 1] = '\0';
	(void)iso_dicom_convert_projections(path, &options, events, NULL, NULL, &err);
	return 0;
}
