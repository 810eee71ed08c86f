/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hostile DICOM: whatever the bytes are, every reader must return. */
#include <stdlib.h>

#include "isotrace/isotrace.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = scratch_file("x.dcm", data, size);
	iso_error err;
	iso_dicom_folder *folder;
	iso_image *image;
	iso_volume *volume;
	if (iso_dicom_look(path, &folder, &err) == ISO_OK) iso_dicom_folder_free(folder);
	if (iso_ct_read(path, NULL, NULL, &image, NULL, &err) == ISO_OK) iso_image_free(image);
	iso_dicom_in_options options = iso_dicom_in_options_default();
	options.zone_s = 3600;
	options.decay_reference_utc_s = 1773478800;
	if (iso_dicom_read_volume(path, &options, NULL, &volume, NULL, &err) == ISO_OK) iso_volume_free(volume);
	return 0;
}
