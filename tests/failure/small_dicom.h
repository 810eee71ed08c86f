/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The smallest DICOM objects of other programs that the readers take. */
#ifndef ISOTRACE_TESTS_FAILURE_SMALL_DICOM_H
#define ISOTRACE_TESTS_FAILURE_SMALL_DICOM_H

#include <stdio.h>

#include "core/output.h"
#include "io/dicom/dicom_file.h"
#include "tests/harness.h"

/* Of 5 rows and 4 columns. */
static inline void small_pixels(iso_dcm *dcm, const int16_t *pixels, size_t frames)
{
	iso_dcm_us(dcm, 0x00280002, 1);
	iso_dcm_us(dcm, 0x00280010, 5);
	iso_dcm_us(dcm, 0x00280011, 4);
	iso_dcm_us(dcm, 0x00280100, 16);
	iso_dcm_us(dcm, 0x00280101, 16);
	iso_dcm_us(dcm, 0x00280102, 15);
	iso_dcm_us(dcm, 0x00280103, 1);
	iso_dcm_pixels(dcm, pixels, 20 * frames);
}

static inline iso_dcm *small_object(const char *sop_class, const char *instance)
{
	iso_error err;
	iso_dcm *dcm;
	ISO_ASSERT_OK(iso_dcm_create(&dcm, &err), err);
	iso_dcm_text(dcm, 0x00080016, sop_class);
	iso_dcm_text(dcm, 0x00080018, instance);
	iso_dcm_text(dcm, 0x0020000d, "1.2");
	iso_dcm_text(dcm, 0x0020000e, "1.2.3");
	iso_dcm_text(dcm, 0x00100020, "M01");
	return dcm;
}

static inline void small_save(iso_dcm *dcm, const char *path)
{
	iso_error err;
	ISO_ASSERT_OK(iso_dcm_save(dcm, path, path, &err), err);
	iso_dcm_free(dcm);
}

/* CT: three slices of 1 mm. */
static inline void small_ct(const char *folder)
{
	iso_error err;
	static const int16_t pixels[20] = {0};
	ISO_ASSERT_OK(iso_make_directory(folder, &err), err);
	for (int k = 0; k < 3; k++) {
		char text[64], path[PATH_MAX];
		snprintf(text, sizeof text, "1.2.3.%d", k + 1);
		iso_dcm *dcm = small_object("1.2.840.10008.5.1.4.1.1.2", text);
		iso_dcm_text(dcm, 0x00180060, "120");
		iso_dcm_text(dcm, 0x00200037, "1\\0\\0\\0\\1\\0");
		snprintf(text, sizeof text, "0\\0\\%d", k);
		iso_dcm_text(dcm, 0x00200032, text);
		iso_dcm_text(dcm, 0x00280030, "1\\1");
		iso_dcm_text(dcm, 0x00281052, "-1000");
		iso_dcm_text(dcm, 0x00281053, "1");
		small_pixels(dcm, pixels, 1);
		snprintf(path, sizeof path, "%s/%d.dcm", folder, k);
		small_save(dcm, path);
	}
}

/* RT structure set: a liver, a square in each of two slices of that CT's grid. */
static inline void small_structures(const char *path)
{
	iso_dcm *dcm = small_object("1.2.840.10008.5.1.4.1.1.481.3", "1.2.4");
	iso_dcm_begin(dcm, 0x30060020);
	iso_dcm_text(dcm, 0x30060022, "1");
	iso_dcm_text(dcm, 0x30060024, "1.2.9");
	iso_dcm_text(dcm, 0x30060026, "liver");
	iso_dcm_end(dcm);
	iso_dcm_begin(dcm, 0x30060039);
	iso_dcm_text(dcm, 0x30060084, "1");
	for (int k = 0; k < 2; k++) {
		char text[64];
		snprintf(text, sizeof text, "0\\0\\%d\\2\\0\\%d\\2\\2\\%d\\0\\2\\%d", k, k, k, k);
		iso_dcm_begin_next(dcm, 0x30060040);
		iso_dcm_text(dcm, 0x30060042, "CLOSED_PLANAR");
		iso_dcm_text(dcm, 0x30060046, "4");
		iso_dcm_text(dcm, 0x30060050, text);
		iso_dcm_end(dcm);
	}
	iso_dcm_end(dcm);
	small_save(dcm, path);
}

/* NM projections: one head, two views. */
static inline void small_projections(const char *path)
{
	static const int16_t counts[40] = {[7] = 2, [21] = 1, [33] = 5};
	iso_dcm *dcm = small_object("1.2.840.10008.5.1.4.1.1.20", "1.2.5");
	iso_dcm_text(dcm, 0x00080008, "ORIGINAL\\PRIMARY\\TOMO\\EMISSION");
	iso_dcm_text(dcm, 0x00080022, "20260314");
	iso_dcm_text(dcm, 0x00080032, "092653");
	iso_dcm_text(dcm, 0x00080201, "+0000");
	iso_dcm_text(dcm, 0x00280008, "2");
	iso_dcm_text(dcm, 0x00280030, "2\\2");
	iso_dcm_text(dcm, 0x00540090, "1\\2");
	iso_dcm_begin(dcm, 0x00540012);
	iso_dcm_begin(dcm, 0x00540013);
	iso_dcm_text(dcm, 0x00540014, "126");
	iso_dcm_text(dcm, 0x00540015, "154");
	iso_dcm_end(dcm);
	iso_dcm_end(dcm);
	iso_dcm_begin(dcm, 0x00540016);
	iso_dcm_begin(dcm, 0x00540300);
	iso_dcm_text(dcm, 0x00080100, "C-163A8");
	iso_dcm_text(dcm, 0x00080102, "SRT");
	iso_dcm_text(dcm, 0x00080104, "^99m^Technetium");
	iso_dcm_end(dcm);
	iso_dcm_text(dcm, 0x00181072, "082653");
	iso_dcm_text(dcm, 0x00181074, "37");
	iso_dcm_end(dcm);
	iso_dcm_begin(dcm, 0x00540022);
	iso_dcm_text(dcm, 0x00181142, "150");
	iso_dcm_text(dcm, 0x00181180, "pinhole");
	iso_dcm_end(dcm);
	iso_dcm_begin(dcm, 0x00540052);
	iso_dcm_text(dcm, 0x00181140, "CW");
	iso_dcm_text(dcm, 0x00181144, "180");
	iso_dcm_text(dcm, 0x00181242, "20000");
	iso_dcm_us(dcm, 0x00540053, 2);
	iso_dcm_text(dcm, 0x00540200, "0");
	iso_dcm_end(dcm);
	small_pixels(dcm, counts, 2);
	small_save(dcm, path);
}

#endif
