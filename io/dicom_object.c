/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/dicom_object.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/dicom_identity.h"
#include "io/dicom_modules.h"
#include "io/dicom_organ_codes.h"
#include "isotrace/time.h"
#include "isotrace/version.h"

void iso_object_uid_begin(iso_hash *hash, const char *kind, const iso_image_series *images)
{
	iso_dicom_uid_begin(hash, kind);
	iso_hash_text(hash, ISO_VERSION);
	iso_hash_text(hash, images->series_uid);
}

void iso_object_series_uid(const iso_object *object, char uid[65])
{
	iso_hash hash;
	iso_dicom_uid_begin(&hash, "series of an object");
	iso_hash_text(&hash, object->uid);
	iso_dicom_uid_end(&hash, uid);
}

static void put_head(iso_dcm *dcm, const iso_image_series *images, const iso_object *object)
{
	const iso_dicom_subject *subject = images->subject;
	char date[9], time[14], text[65];
	iso_time_dicom(images->volume->acquisition.start_utc_s, date, time);
	iso_dcm_text(dcm, 0x00080005, "ISO_IR 192");
	iso_dcm_text(dcm, 0x00080016, object->sop_class);
	iso_dcm_text(dcm, 0x00080018, object->uid);
	iso_dcm_text(dcm, 0x00080201, "+0000"); /* all dates and times are UTC */
	iso_dicom_put_patient(dcm, subject, images->dose ? images->dose->body_mass_g : (double)NAN);
	iso_dicom_put_study(dcm, subject, images->study_uid, iso_image_study_utc_s(images));
	iso_dcm_text(dcm, 0x00080060, object->modality);
	iso_object_series_uid(object, text);
	iso_dcm_text(dcm, 0x0020000e, text);
	snprintf(text, sizeof text, "%u", (subject->series_number ? subject->series_number : 1) + object->number);
	iso_dcm_text(dcm, 0x00200011, text);
	iso_dcm_text(dcm, 0x00200013, "1");
	iso_dicom_put_text(dcm, 0x0008103e, object->title, 64);
	iso_dcm_text(dcm, 0x00080023, date);
	iso_dcm_text(dcm, 0x00080033, time);
	iso_dcm_text(dcm, 0x00080070, "isotrace");
	if (subject->institution[0]) iso_dicom_put_text(dcm, 0x00080080, subject->institution, 64);
	iso_dcm_text(dcm, 0x00081090, "isotrace");
	iso_dcm_text(dcm, 0x00181000, "none"); /* a serial number must be there; a program has none */
	iso_dcm_text(dcm, 0x00181020, ISO_VERSION);
}

iso_status iso_object_create(iso_dcm **dcm, const iso_image_series *images, const iso_object *object, iso_error *err)
{
	const iso_status status = iso_dcm_create(dcm, err);
	if (status != ISO_OK) return status;
	iso_dcm_deidentify(*dcm, images->options.deidentify);
	put_head(*dcm, images, object);
	return ISO_OK;
}

void iso_object_put_scheme(iso_dcm *dcm)
{
	iso_dcm_begin(dcm, 0x00080110);
	iso_dcm_text(dcm, 0x00080102, ISO_DICOM_SCHEME);
	iso_dcm_text(dcm, 0x00080115, ISO_DICOM_SCHEME_NAME);
	iso_dcm_end(dcm);
}

void iso_object_put_frame_of_reference(iso_dcm *dcm, const iso_image_series *images)
{
	iso_dcm_text(dcm, 0x00200052, images->frame_of_reference_uid);
	iso_dcm_text(dcm, 0x00201040, "");
}

void iso_object_tracking_uid(const iso_image_series *images, const char *organ, char uid[65])
{
	iso_hash hash;
	iso_dicom_uid_begin(&hash, "organ");
	iso_hash_text(&hash, images->subject->patient_id);
	iso_hash_text(&hash, organ);
	iso_dicom_uid_end(&hash, uid);
}

/* --- the images that it refers to --- */

void iso_object_put_image(iso_dcm *dcm, const iso_image_series *images, size_t image)
{
	char uid[65];
	iso_image_uid(images, image, uid);
	iso_dcm_text(dcm, 0x00081150, images->image_class);
	iso_dcm_text(dcm, 0x00081155, uid);
}

/* A slice is an image of its own in PET, and a frame of the image in NM. */
static void put_slice(iso_dcm *dcm, const iso_image_series *images, size_t frame, size_t k)
{
	char text[24];
	if (!iso_image_is_spect(images)) {
		iso_object_put_image(dcm, images, frame * images->volume->grid.size[2] + k);
		return;
	}
	iso_object_put_image(dcm, images, frame);
	snprintf(text, sizeof text, "%zu", k + 1);
	iso_dcm_text(dcm, 0x00081160, text);
}

void iso_object_put_images(iso_dcm *dcm, const iso_image_series *images)
{
	iso_dcm_begin(dcm, 0x00081115);
	iso_dcm_text(dcm, 0x0020000e, images->series_uid);
	for (size_t i = 0; i < images->images; i++) {
		iso_dcm_begin_next(dcm, 0x0008114a);
		iso_object_put_image(dcm, images, i);
		iso_dcm_end(dcm);
	}
	iso_dcm_end(dcm);
}

void iso_object_put_sources(iso_dcm *dcm, const iso_image_series *images, size_t frame, size_t first, size_t last,
			    const char *code, const char *meaning)
{
	iso_dcm_begin(dcm, 0x00089124);
	iso_dicom_put_code(dcm, 0x00089215, code, "DCM", meaning);
	for (size_t k = first; k <= last; k++) {
		iso_dcm_begin_next(dcm, 0x00082112);
		put_slice(dcm, images, frame, k);
		iso_dicom_put_code(dcm, 0x0040a170, "121322", "DCM", "Source image for image processing operation");
		iso_dcm_end(dcm);
	}
	iso_dcm_end(dcm);
}

/* --- multi-frame images --- */

/* "a\b\c", numbers as DICOM writes them; at most 6. */
static void put_decimals(iso_dcm *dcm, uint32_t tag, const double *values, int count)
{
	char text[6 * 17] = "";
	for (int i = 0; i < count; i++) {
		char part[17];
		iso_dicom_decimal(values[i], part);
		if (i) strcat(text, "\\");
		strcat(text, part);
	}
	iso_dcm_text(dcm, tag, text);
}

static void put_tag(iso_dcm *dcm, uint32_t tag, uint32_t value)
{
	char text[16];
	snprintf(text, sizeof text, "(%04x,%04x)", value >> 16, value & 0xffff);
	iso_dcm_text(dcm, tag, text);
}

void iso_object_put_dimensions(iso_dcm *dcm, const iso_object *object, const iso_dimension *dimension)
{
	iso_hash hash;
	char uid[65];
	iso_dicom_uid_begin(&hash, "dimensions of an object");
	iso_hash_text(&hash, object->uid);
	iso_dicom_uid_end(&hash, uid);
	iso_dcm_begin(dcm, 0x00209221);
	iso_dcm_text(dcm, 0x00209164, uid);
	iso_dcm_end(dcm);
	for (; dimension->tag; dimension++) {
		iso_dcm_begin_next(dcm, 0x00209222);
		iso_dcm_text(dcm, 0x00209164, uid);
		put_tag(dcm, 0x00209165, dimension->tag);
		put_tag(dcm, 0x00209167, dimension->group);
		iso_dcm_text(dcm, 0x00209421, dimension->label);
		iso_dcm_end(dcm);
	}
}

void iso_object_put_plane(iso_dcm *dcm, const iso_grid *grid)
{
	const double spacing_mm[2] = {grid->voxel_mm[1], grid->voxel_mm[0]}; /* between rows first */
	double across_down[6];
	memcpy(across_down, grid->direction[0], sizeof across_down);
	iso_dcm_begin(dcm, 0x00289110);
	iso_dicom_put_decimal(dcm, 0x00180050, grid->voxel_mm[2]);
	iso_dicom_put_decimal(dcm, 0x00180088, grid->voxel_mm[2]);
	put_decimals(dcm, 0x00280030, spacing_mm, 2);
	iso_dcm_end(dcm);
	iso_dcm_begin(dcm, 0x00209116);
	put_decimals(dcm, 0x00200037, across_down, 6);
	iso_dcm_end(dcm);
}

void iso_object_put_position(iso_dcm *dcm, const iso_grid *grid, size_t k)
{
	double corner_mm[3];
	iso_grid_point_mm(grid, (const double[3]){0, 0, (double)k}, corner_mm);
	iso_dcm_begin(dcm, 0x00209113);
	put_decimals(dcm, 0x00200032, corner_mm, 3);
	iso_dcm_end(dcm);
}

void iso_object_put_pixel_format(iso_dcm *dcm, const iso_grid *grid, size_t frames, unsigned bits_allocated,
				 unsigned bits)
{
	char text[24];
	snprintf(text, sizeof text, "%zu", frames);
	iso_dcm_text(dcm, 0x00280008, text);
	iso_dcm_us(dcm, 0x00280002, 1);
	iso_dcm_text(dcm, 0x00280004, "MONOCHROME2");
	iso_dcm_us(dcm, 0x00280010, (uint16_t)grid->size[1]);
	iso_dcm_us(dcm, 0x00280011, (uint16_t)grid->size[0]);
	iso_dcm_us(dcm, 0x00280100, (uint16_t)bits_allocated);
	iso_dcm_text(dcm, 0x00282110, "00");
	if (!bits) return;
	iso_dcm_us(dcm, 0x00280101, (uint16_t)bits);
	iso_dcm_us(dcm, 0x00280102, (uint16_t)(bits - 1));
	iso_dcm_us(dcm, 0x00280103, 0);
}
