/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hostile images: NIfTI, alone or after its sidecar and a line "%%". The replicates, if it promises any, are the same image. */
#define _GNU_SOURCE
#include <string.h>

#include "isotrace/isotrace.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char CUT[] = "\n%%\n";
	const uint8_t *cut = size ? memmem(data, size, CUT, 4) : NULL;
	const size_t first = cut ? (size_t)(cut - data) + 1 : 0, second = cut ? first + 3 : 0;
	iso_error err;
	iso_image *image;
	iso_volume *volume;
	(void)scratch_file("x.json", data, first);
	(void)scratch_file("x_replicates.nii.gz", data + second, size - second);
	const char *path = scratch_file("x.nii.gz", data + second, size - second);
	if (iso_nifti_read_image(path, ISO_UNIT_UNKNOWN, &image, &err) == ISO_OK) iso_image_free(image);
	if (cut && iso_volume_read(path, &volume, &err) == ISO_OK) iso_volume_free(volume);
	return 0;
}
