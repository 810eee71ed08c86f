/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * NIfTI against nibabel, an independent reader and writer, and against files that lie. */
#define _GNU_SOURCE
#include <math.h>
#include <nifti1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/output.h"
#include "isotrace/nifti.h"
#include "tests/harness.h"

#define PYTHON "/usr/bin/python3"

/* Runs a Python script with one argument and reads the numbers that it prints; their count, or -1 on failure. */
static int python(const char *script, const char *argument, double *numbers, int room)
{
	iso_error err;
	const char *file = iso_test_path("script.py");
	ISO_ASSERT_OK(iso_output_write(file, script, strlen(script), &err), err);
	char *command;
	if (asprintf(&command, PYTHON " %s %s", file, argument) < 0) return -1;
	FILE *pipe = popen(command, "r");
	free(command);
	int count = 0;
	while (pipe && count < room && fscanf(pipe, "%lf", &numbers[count]) == 1) count++;
	return pipe && pclose(pipe) == 0 ? count : -1;
}

static bool has_nibabel(void)
{
	return system(PYTHON " -c 'import nibabel, numpy' 2>/dev/null") == 0;
}

/* A grid of no symmetry whatever, with a point in an odd place. */
static iso_image *point_image(double world_mm[3])
{
	iso_error err;
	const size_t size[3] = {9, 6, 12};
	const double voxel[3] = {0.4, 0.7, 1.3}, centre[3] = {3.3, -11.1, 40.7};
	const iso_grid grid = iso_grid_centred(size, voxel, centre);
	iso_image *image;
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_BQ_PER_ML, &image, &err), err);
	image->voxels[7 + 9 * (1 + 6 * 10)] = 5;
	iso_grid_point_mm(&grid, (const double[3]){7, 1, 10}, world_mm);
	return image;
}

/* nibabel's affine is RAS+ by definition: x and y of the same place have the opposite sign of ours. */
static void point_in_nibabel(void)
{
	if (!has_nibabel()) ISO_SKIP("no nibabel");
	static const char script[] =
	    "import sys, numpy, nibabel\n"
	    "i = nibabel.load(sys.argv[1])\n"
	    "at = numpy.argwhere(i.get_fdata() == 5)\n"
	    "for m in (i.affine, i.header.get_sform(), i.header.get_qform()):\n"
	    "    print(*(m @ [*at[0], 1])[:3])\n"
	    "print(len(at), *i.header.get_zooms(), int(i.header['sform_code']), int(i.header['qform_code']))\n"
	    "print(i.header.get_xyzt_units() == ('mm', 'sec') and 1 or 0, len(i.shape))\n";
	iso_error err;
	double world[3], n[17];
	iso_image *image = point_image(world);
	const char *path = iso_test_path("point.nii.gz");
	ISO_ASSERT_OK(iso_nifti_write_image(path, image, "a point", &err), err);
	CU_ASSERT_EQUAL_FATAL(python(script, path, n, 17), 17);
	for (int m = 0; m < 3; m++) { /* the header has float32: 40 mm to 4e-6; the quaternion a little worse */
		ISO_ASSERT_NEAR(n[3 * m + 0], -world[0], 1e-4);
		ISO_ASSERT_NEAR(n[3 * m + 1], -world[1], 1e-4);
		ISO_ASSERT_NEAR(n[3 * m + 2], world[2], 1e-4);
	}
	CU_ASSERT_EQUAL(n[9], 1);
	ISO_ASSERT_NEAR(n[10], 0.4, 1e-6);
	ISO_ASSERT_NEAR(n[11], 0.7, 1e-6);
	ISO_ASSERT_NEAR(n[12], 1.3, 1e-6);
	CU_ASSERT(n[13] == 1 && n[14] == 1);
	CU_ASSERT(n[15] == 1 && n[16] == 3);
	iso_image *read;
	ISO_ASSERT_OK(iso_nifti_read_image(path, ISO_UNIT_BQ_PER_ML, &read, &err), err);
	CU_ASSERT(iso_grid_equal(&read->grid, &image->grid));
	CU_ASSERT(iso_grid_is_axis_aligned(&read->grid));
	CU_ASSERT_EQUAL(memcmp(read->voxels, image->voxels, 9 * 6 * 12 * sizeof(float)), 0);
	iso_image_free(read);
	iso_image_free(image);
}

/* The other way: nibabel writes kinds of files that others give us; the point at (7,1,3) has the value 42. */
static void files_of_others(void)
{
	if (!has_nibabel()) ISO_SKIP("no nibabel");
	static const char script[] =
	    "import sys, numpy, nibabel\n"
	    "m = numpy.array([[0, -0.5, 0, 12], [0, 0, 0.8, -3], [-1.5, 0, 0, 7], [0, 0, 0, 1.0]])\n"
	    "r = numpy.array([[.6, -.8, 0, 1], [.8, .6, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]) @ numpy.diag([2, 3, 4, "
	    "1])\n"
	    "def put(name, kind, dtype, affine, value, how=nibabel.Nifti1Image, sform=1, qform=0, scale=None, "
	    "endian='<'):\n"
	    "    a = numpy.zeros((8, 5, 6), dtype); a[7, 1, 3] = value\n"
	    "    h = how.header_class(endianness=endian); h.set_data_dtype(dtype)\n"
	    "    i = how(a, affine, h); i.set_sform(affine, sform); i.set_qform(affine, qform)\n"
	    "    if scale: i.header.set_slope_inter(*scale)\n"
	    "    i.to_filename(sys.argv[1] + '/' + name)\n"
	    "    w = affine @ [7, 1, 3, 1]; print(-w[0], -w[1], w[2])\n"
	    "put('0.nii', 1, 'u1', m, 42)\n"
	    "put('1.nii.gz', 1, 'i2', r, 42, sform=0, qform=1)\n"
	    "put('2.nii.gz', 1, 'f8', m, 42.0, endian='>')\n"
	    "put('3.nii.gz', 1, 'i4', r, 42, how=nibabel.Nifti2Image)\n"
	    "put('4.nii', 1, 'u2', r, 42, how=nibabel.Nifti2Image, endian='>', sform=0, qform=1)\n"
	    "put('5.nii', 1, 'f4', m, 42, sform=2)\n";
	double place[18];
	CU_ASSERT_EQUAL_FATAL(python(script, iso_test_folder(), place, 18), 18);
	static const char *const names[] = {"0.nii", "1.nii.gz", "2.nii.gz", "3.nii.gz", "4.nii", "5.nii"};
	for (int f = 0; f < 6; f++) {
		iso_error err;
		iso_image *image;
		ISO_ASSERT_OK(iso_nifti_read_image(iso_test_path(names[f]), ISO_UNIT_LABEL, &image, &err), err);
		double world[3];
		iso_grid_point_mm(&image->grid, (const double[3]){7, 1, 3}, world);
		for (int k = 0; k < 3; k++) ISO_ASSERT_NEAR(world[k], place[3 * f + k], 1e-5);
		CU_ASSERT_EQUAL(image->voxels[7 + 8 * (1 + 5 * 3)], 42);
		double sum = 0;
		for (size_t i = 0; i < 8 * 5 * 6; i++) sum += (double)image->voxels[i];
		CU_ASSERT_EQUAL(sum, 42);
		iso_image_free(image);
	}
}

static void labels(void)
{
	iso_error err;
	double world[3];
	iso_image *image = point_image(world), *read;
	image->unit = ISO_UNIT_LABEL;
	const char *path = iso_test_path("labels.nii");
	static const float most[] = {32767, 70000};
	for (int i = 0; i < 2; i++) {
		image->voxels[3] = most[i];
		ISO_ASSERT_OK(iso_nifti_write_image(path, image, "labels", &err), err);
		char *bytes;
		size_t size;
		ISO_ASSERT_OK(iso_read_file(path, 1 << 20, &bytes, &size, &err), err);
		CU_ASSERT_EQUAL(size, 352 + (size_t)9 * 6 * 12 * (i ? 4 : 2));
		free(bytes);
		ISO_ASSERT_OK(iso_nifti_read_image(path, ISO_UNIT_LABEL, &read, &err), err);
		CU_ASSERT_EQUAL(memcmp(read->voxels, image->voxels, 9 * 6 * 12 * sizeof(float)), 0);
		iso_image_free(read);
	}
	image->voxels[3] = 1.5f;
	CU_ASSERT_EQUAL(iso_nifti_write_image(path, image, "", &err), ISO_BAD_INPUT);
	image->unit = ISO_UNIT_FRACTION;
	ISO_ASSERT_OK(iso_nifti_write_image(path, image, "", &err), err);
	CU_ASSERT_EQUAL(iso_nifti_read_image(path, ISO_UNIT_LABEL, &read, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(read);
	iso_image_free(image);
}

/* One change to a good header; the reader must refuse it, whatever libnifti would make of it. */
static void refuse(const char *what, const nifti_1_header *header, const char *bytes, size_t size)
{
	iso_error err;
	iso_image *read = NULL;
	char *copy = malloc(size);
	CU_ASSERT_FATAL(copy != NULL);
	memcpy(copy, bytes, size);
	memcpy(copy, header, size < sizeof *header ? size : sizeof *header);
	const char *path = iso_test_path("lie.nii");
	ISO_ASSERT_OK(iso_output_write(path, copy, size, &err), err);
	free(copy);
	memset(&err, 0, sizeof err);
	const iso_status status = iso_nifti_read_image(path, ISO_UNIT_BQ_PER_ML, &read, &err);
	if (status != ISO_BAD_INPUT) printf("# %s: %s\n", what, iso_status_name(status));
	CU_ASSERT_EQUAL(status, ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(read);
	CU_ASSERT(err.message[0] && err.remedy[0]);
	iso_image_free(read);
}

static void lies(void)
{
	iso_error err;
	double world[3];
	iso_image *image = point_image(world);
	const char *path = iso_test_path("good.nii");
	char *bytes;
	size_t size;
	ISO_ASSERT_OK(iso_nifti_write_image(path, image, "", &err), err);
	iso_image_free(image);
	ISO_ASSERT_OK(iso_read_file(path, 1 << 20, &bytes, &size, &err), err);
	nifti_1_header good;
	memcpy(&good, bytes, sizeof good);
#define LIE(change)                               \
	do {                                      \
		nifti_1_header h = good;          \
		change;                           \
		refuse(#change, &h, bytes, size); \
	} while (0)
	LIE(h.sizeof_hdr = 12);
	LIE(memcpy(h.magic, "ni1", 4));
	LIE(memcpy(h.magic, "xyz", 4));
	LIE(h.dim[0] = 0);
	LIE(h.dim[0] = 2);
	LIE(h.dim[0] = 1800);
	LIE(h.dim[1] = 0);
	LIE(h.dim[2] = -6);
	LIE(h.dim[3] = 32767);
	LIE(h.dim[3] = 13);
	LIE((h.dim[0] = 4, h.dim[4] = 2));
	LIE((h.dim[0] = 4, h.dim[4] = 0));
	LIE((h.dim[0] = 7, h.dim[5] = h.dim[6] = h.dim[7] = 32767));
	LIE(h.datatype = DT_COMPLEX64);
	LIE(h.datatype = DT_RGB24);
	LIE(h.datatype = 9999);
	LIE(h.bitpix = 8);
	LIE(h.vox_offset = 0);
	LIE(h.vox_offset = -352);
	LIE(h.vox_offset = 1e9f);
	LIE(h.vox_offset = NAN);
	LIE(h.scl_slope = INFINITY);
	LIE(h.scl_inter = NAN);
	LIE(h.srow_x[0] = NAN);
	LIE(h.srow_y[3] = INFINITY);
	LIE(memset(h.srow_z, 0, sizeof h.srow_z));
	LIE(h.srow_x[1] = 0.2f); /* shear */
	LIE(h.xyzt_units = 5);
	LIE(h.sform_code = h.qform_code = 0);
	LIE((h.sform_code = 0, h.quatern_b = 3));
	LIE((h.sform_code = 0, h.pixdim[2] = 0));
	LIE((h.sform_code = 0, h.pixdim[2] = NAN));
	for (size_t cut = 0; cut < size; cut = cut * 2 + 7) refuse("cut", &good, bytes, cut);
	refuse("one byte short", &good, bytes, size - 1);
	const float nan = NAN;
	memcpy(bytes + 352 + 40, &nan, sizeof nan);
	refuse("a voxel is NaN", &good, bytes, size);
	free(bytes);
}

/* A compressed file of which the end, the middle or only the checksum is gone. */
static void damaged_compression(void)
{
	iso_error err;
	double world[3];
	iso_image *image = point_image(world), *read = NULL;
	for (size_t i = 0; i < 9 * 6 * 12; i++) image->voxels[i] = sinf((float)(i * i));
	const char *path = iso_test_path("whole.nii.gz"), *cut = iso_test_path("cut.nii.gz");
	ISO_ASSERT_OK(iso_nifti_write_image(path, image, "", &err), err);
	iso_image_free(image);
	char *bytes;
	size_t size;
	ISO_ASSERT_OK(iso_read_file(path, 1 << 20, &bytes, &size, &err), err);
	const size_t keep[] = {0, 1, 5, 12, 100, size / 2, size - 9, size - 8, size - 5, size - 1};
	for (size_t c = 0; c < sizeof keep / sizeof *keep; c++) {
		ISO_ASSERT_OK(iso_output_write(cut, bytes, keep[c], &err), err);
		CU_ASSERT_EQUAL(iso_nifti_read_image(cut, ISO_UNIT_BQ_PER_ML, &read, &err), ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(read);
	}
	bytes[size - 7] ^= 0x10; /* in the checksum */
	ISO_ASSERT_OK(iso_output_write(cut, bytes, size, &err), err);
	CU_ASSERT_EQUAL(iso_nifti_read_image(cut, ISO_UNIT_BQ_PER_ML, &read, &err), ISO_BAD_INPUT);
	free(bytes);
	CU_ASSERT_EQUAL(iso_nifti_read_image(iso_test_folder(), ISO_UNIT_LABEL, &read, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_nifti_read_image(iso_test_path("nothing.nii"), ISO_UNIT_LABEL, &read, &err), ISO_BAD_INPUT);
}

static const iso_test tests[] = {
    {"a point lies where nibabel says", point_in_nibabel},
    {"files of other writers", files_of_others},
    {"labels are whole and small", labels},
    {"headers that lie are refused", lies},
    {"damaged compression is refused", damaged_compression},
};
ISO_TEST_MAIN("NIfTI", tests)
