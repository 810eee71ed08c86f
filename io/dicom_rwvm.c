/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Real World Value Mapping Storage (DICOM PS3.3 A.46): what maps the stored values of a series' images to percent of the injected activity
 * per gram, as an object of its own. */
#include <limits.h>
#include <stdio.h>

#include "core/error.h"
#include "io/dicom_identity.h"
#include "io/dicom_image.h"
#include "io/dicom_modules.h"
#include "isotrace/time.h"

#define UID_CLASS "1.2.840.10008.5.1.4.1.1.67"

static void put_image_reference(iso_dcm *dcm, uint32_t sequence, const iso_image_series *s, size_t image, bool first)
{
	char uid[65];
	iso_image_uid(s, image, uid);
	(first ? iso_dcm_begin : iso_dcm_begin_next)(dcm, sequence);
	iso_dcm_text(dcm, 0x00081150, s->image_class);
	iso_dcm_text(dcm, 0x00081155, uid);
	iso_dcm_end(dcm);
}

/* One item for each run of images with the same scale. */
static void put_mappings(iso_dcm *dcm, const iso_image_series *s)
{
	const double percent = iso_image_percent_per_gram(s);
	for (size_t from = 0, to; from < s->images; from = to) {
		const iso_image_scale *scale = &s->scale[from];
		(from == 0 ? iso_dcm_begin : iso_dcm_begin_next)(dcm, 0x00409094);
		for (to = from;
		     to < s->images && s->scale[to].slope == scale->slope && s->scale[to].intercept == scale->intercept;
		     to++)
			put_image_reference(dcm, 0x00081140, s, to, to == from);
		const iso_image_mapping mapping = {.explanation = ISO_IMAGE_PERCENT_TEXT,
						   .label = "PCTIAG",
						   .unit = "%/g",
						   .unit_meaning = "percent per gram",
						   .slope = scale->slope * percent,
						   .intercept = scale->intercept * percent,
						   .is_signed = s->is_signed};
		iso_image_put_mapping(dcm, &mapping, true);
		iso_dcm_end(dcm);
	}
	iso_dcm_begin(dcm, 0x00081115);
	iso_dcm_text(dcm, 0x0020000e, s->series_uid);
	for (size_t image = 0; image < s->images; image++) put_image_reference(dcm, 0x0008114a, s, image, image == 0);
	iso_dcm_end(dcm);
}

static void put_identity(iso_dcm *dcm, const iso_image_series *s)
{
	static const struct {
		const char *kind;
		uint32_t tag;
	} own[] = {{"real world values", 0x00080018}, {"real world values, series", 0x0020000e}};
	for (int u = 0; u < 2; u++) {
		char uid[65];
		iso_hash hash;
		iso_dicom_uid_begin(&hash, own[u].kind);
		iso_hash_text(&hash, s->series_uid);
		iso_dicom_uid_end(&hash, uid);
		iso_dcm_text(dcm, own[u].tag, uid);
	}
}

static void put_content(iso_dcm *dcm, const iso_image_series *s)
{
	char date[9], time[14], number[16];
	iso_time_dicom(s->volume->acquisition.start_utc_s, date, time);
	iso_dcm_text(dcm, 0x00080021, date);
	iso_dcm_text(dcm, 0x00080031, time);
	iso_dcm_text(dcm, 0x00080023, date);
	iso_dcm_text(dcm, 0x00080033, time);
	/* The images' series has the number before. */
	snprintf(number, sizeof number, "%u", s->subject->series_number ? s->subject->series_number + 1 : 2);
	iso_dcm_text(dcm, 0x00200011, number);
	iso_dcm_text(dcm, 0x00200013, "1");
	iso_dcm_text(dcm, 0x0008103e, "Real world values: percent injected activity per gram");
	iso_dcm_text(dcm, 0x00700080, "PCTIAG");
	iso_dcm_text(dcm, 0x00700081, ISO_IMAGE_PERCENT_TEXT);
	iso_dcm_text(dcm, 0x00700084, ""); /* a program made it */
}

iso_status iso_rwvm_write_file(const char *folder, const char *shown, const iso_image_series *s, iso_error *err)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof path, "%s/" ISO_RWVM_NAME, folder) >= sizeof path)
		return iso_fail(err, ISO_BAD_USAGE, shown, "give a shorter path", "the name is too long");
	iso_dcm *dcm = NULL;
	iso_status status = iso_dcm_create(&dcm, err);
	if (status != ISO_OK) return status;
	iso_dcm_deidentify(dcm, s->options.deidentify);
	iso_image_put_context(dcm, s);
	iso_dcm_text(dcm, 0x00080016, UID_CLASS);
	iso_dcm_text(dcm, 0x00080060, "RWV");
	put_identity(dcm, s);
	put_content(dcm, s);
	/* This IOD must know its maker in full. The scanner made the images; this object is the program's own. */
	iso_dcm_text(dcm, 0x00080070, "isotrace");
	iso_dcm_text(dcm, 0x00081090, "isotrace");
	iso_dcm_text(dcm, 0x00181000, "none");
	put_mappings(dcm, s);
	status = iso_dcm_save(dcm, path, shown, err);
	iso_dcm_free(dcm);
	return status;
}
