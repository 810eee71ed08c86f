/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Parametric Map Storage with float pixels, DICOM PS3.3 A.75: the volume in %ID/g or SUVbw, without the 16-bit steps of the images. */
#include "io/dicom_map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "io/dicom_identity.h"
#include "io/dicom_modules.h"
#include "io/dicom_organ_codes.h"
#include "isotrace/time.h"

typedef struct quantity {
	const char *title, *label, *explanation;
	const char *unit, *unit_meaning;            /* UCUM */
	const char *value, *scheme, *value_meaning; /* what the pixels are */
} quantity;

static const quantity percent = {.title = "%ID/g map",
				 .label = "PCTIAG",
				 .explanation = ISO_IMAGE_PERCENT_TEXT,
				 .unit = "%/g",
				 .unit_meaning = "percent per gram",
				 .value = "IT001",
				 .scheme = ISO_DICOM_SCHEME,
				 .value_meaning = "Percent injected activity per gram"};
static const quantity suv = {.title = "SUVbw map",
			     .label = "SUVBW",
			     .explanation = "Standardized Uptake Value body weight",
			     .unit = "g/ml{SUVbw}",
			     .unit_meaning = "Standardized Uptake Value body weight",
			     .value = "126401",
			     .scheme = "DCM",
			     .value_meaning = "SUVbw"};

/* What turns a Bq/mL of the volume into the map's unit. */
static double scale_of(const iso_image_series *images, iso_dicom_map kind)
{
	const double percent_per_gram = iso_image_percent_per_gram(images);
	return kind == ISO_DICOM_MAP_SUV ? percent_per_gram / 100 * images->dose->body_mass_g : percent_per_gram;
}

static void put_shared(iso_dcm *dcm, const iso_image_series *images, const quantity *q)
{
	iso_dcm_begin(dcm, 0x52009229);
	iso_object_put_plane(dcm, &images->volume->grid);
	iso_dcm_begin(dcm, 0x00289145);
	iso_dcm_text(dcm, 0x00281052, "0");
	iso_dcm_text(dcm, 0x00281053, "1");
	iso_dcm_text(dcm, 0x00281054, "US");
	iso_dcm_end(dcm);
	iso_dcm_begin(dcm, 0x00409092);
	iso_dcm_text(dcm, 0x00089007, "DERIVED\\PRIMARY\\VOLUME\\NONE");
	iso_dcm_end(dcm);
	iso_dcm_begin(dcm, 0x00409096);
	iso_dcm_text(dcm, 0x00283003, q->explanation);
	iso_dcm_text(dcm, 0x00409210, q->label);
	iso_dcm_fd(dcm, 0x00409214, -3.4028234663852886e38); /* any float is meant */
	iso_dcm_fd(dcm, 0x00409213, 3.4028234663852886e38);
	iso_dcm_fd(dcm, 0x00409224, 0);
	iso_dcm_fd(dcm, 0x00409225, 1);
	iso_dicom_put_code(dcm, 0x004008ea, q->unit, "UCUM", q->unit_meaning);
	iso_dcm_begin(dcm, 0x00409220);
	iso_dcm_text(dcm, 0x0040a040, "CODE");
	iso_dicom_put_code(dcm, 0x0040a043, "246205007", "SCT", "Quantity");
	iso_dicom_put_code(dcm, 0x0040a168, q->value, q->scheme, q->value_meaning);
	iso_dcm_end(dcm);
	iso_dcm_end(dcm);
	iso_dcm_end(dcm);
}

static void put_frame(iso_dcm *dcm, const iso_image_series *images, size_t f, size_t k)
{
	const iso_frame *frame = &images->volume->frame[f];
	char date[9], time[14], text[48];
	iso_time_dicom(images->volume->acquisition.start_utc_s + frame->start_s, date, time);
	iso_dcm_begin_next(dcm, 0x52009230);
	iso_dcm_begin(dcm, 0x00209111);
	snprintf(text, sizeof text, "%s%s", date, time);
	iso_dcm_text(dcm, 0x00189074, text);
	iso_dcm_fd(dcm, 0x00189220, frame->duration_s * 1000);
	snprintf(text, sizeof text, "%zu", f + 1);
	iso_dcm_text(dcm, 0x00209128, text);
	snprintf(text, sizeof text, "%zu\\%zu", f + 1, k + 1);
	iso_dcm_text(dcm, 0x00209157, text);
	iso_dcm_end(dcm);
	iso_object_put_position(dcm, &images->volume->grid, k);
	iso_object_put_sources(dcm, images, f, k, k, "113053", "Pixel by pixel multiplication");
	iso_dcm_end(dcm);
}

static void put_all(iso_dcm *dcm, const iso_image_series *images, const iso_object *object, const quantity *q)
{
	static const iso_dimension dimensions[] = {
	    {0x00209128, 0x00209111, "Time"}, {0x00200032, 0x00209113, "Position"}, {0, 0, NULL}};
	const iso_volume *v = images->volume;
	if (images->subject->body_part[0])
		iso_dicom_put_text(dcm, 0x00180015, images->subject->body_part, 16);
	else
		iso_dcm_text(dcm, 0x00200060, ""); /* one of both must be there: laterality, not known */
	if (q == &percent) iso_object_put_scheme(dcm);
	iso_object_put_frame_of_reference(dcm, images);
	iso_object_put_images(dcm, images);
	iso_object_put_dimensions(dcm, object, dimensions);
	iso_object_put_pixel_format(dcm, &v->grid, v->frames * v->grid.size[2], 32, 0);
	iso_dcm_text(dcm, 0x00080008, "DERIVED\\PRIMARY\\VOLUME\\NONE");
	iso_dcm_text(dcm, 0x00189004, "RESEARCH");
	iso_dcm_text(dcm, 0x00280301, "NO");
	iso_dcm_text(dcm, 0x00280302, "NO");
	iso_dcm_text(dcm, 0x20500020, "IDENTITY");
	iso_dcm_empty_sequence(dcm, 0x00400555);
	iso_dcm_text(dcm, 0x00700080, q->label);
	iso_dcm_text(dcm, 0x00700081, q->explanation);
	iso_dcm_text(dcm, 0x00700084, "isotrace^");
	put_shared(dcm, images, q);
	for (size_t f = 0; f < v->frames; f++)
		for (size_t k = 0; k < v->grid.size[2]; k++) put_frame(dcm, images, f, k);
}

iso_status iso_dicom_write_map(const char *path, const char *shown, const iso_image_series *images, iso_dicom_map kind,
			       iso_error *err)
{
	const quantity *q = kind == ISO_DICOM_MAP_SUV ? &suv : &percent;
	const iso_volume *v = images->volume;
	const size_t voxels = v->frames * iso_grid_voxels(&v->grid);
	const double scale = scale_of(images, kind);
	iso_object object = {.sop_class = "1.2.840.10008.5.1.4.1.1.30",
			     .modality = iso_image_is_spect(images) ? "NM" : "PT",
			     .title = q->title,
			     .number = 300};
	iso_hash hash;
	if (voxels > 4294967292u / sizeof(float))
		return iso_fail(err, ISO_BAD_INPUT, shown, "write a parametric map of fewer frames, or none",
				"%zu voxels are more than a DICOM file holds", voxels);
	float *values = malloc(voxels * sizeof *values);
	if (!values) return iso_fail_memory(err, "the parametric map", voxels * sizeof *values);
	for (size_t i = 0; i < voxels; i++) values[i] = (float)((double)v->voxels[i] * scale);
	iso_object_uid_begin(&hash, q->title, images); /* the images' own identity has voxels and dose in it */
	iso_dicom_uid_end(&hash, object.uid);
	iso_dcm *dcm = NULL;
	iso_status status = iso_object_create(&dcm, images, &object, err);
	if (status == ISO_OK) {
		put_all(dcm, images, &object, q);
		iso_dcm_float_pixels(dcm, values, voxels);
		status = iso_dcm_save(dcm, path, shown, err);
	}
	iso_dcm_free(dcm);
	free(values);
	return status;
}
