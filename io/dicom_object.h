/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the objects beside a series of images have in common: segmentation, report, parametric map, document. They belong to its
 * study, tell of the same subject, lie in the same space and refer to its images. */
#ifndef ISOTRACE_IO_DICOM_OBJECT_H
#define ISOTRACE_IO_DICOM_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"
#include "io/dicom/dicom_file.h"
#include "io/dicom_image.h"

typedef struct iso_object {
	const char *sop_class, *modality, *title;
	unsigned number; /* of the series, after that of the images */
	char uid[65];
} iso_object;

/* Begins the identity of an object: its kind, the images to which it belongs with all that made them, this program. The caller adds
 * the rest of what is written. */
void iso_object_uid_begin(iso_hash *hash, const char *kind, const iso_image_series *images);

/* A data set with all from patient to equipment, de-identified when it is saved if the images are. An object is made by this program,
 * whatever made the images. Dates of the content are those of the scan, so that the same input gives the same file. */
iso_status iso_object_create(iso_dcm **dcm, const iso_image_series *images, const iso_object *object, iso_error *err);
/* The series of an object is made for it alone. */
void iso_object_series_uid(const iso_object *object, char uid[65]);
/* Says what the scheme of isotrace's own codes is; wherever one of them is used. */
void iso_object_put_scheme(iso_dcm *dcm);
/* Same space as the images. */
void iso_object_put_frame_of_reference(iso_dcm *dcm, const iso_image_series *images);
/* The same organ of the same subject has one identity in all scans. */
void iso_object_tracking_uid(const iso_image_series *images, const char *organ, char uid[65]);

/* --- the images that it refers to --- */

/* SOP class and instance of one image: into the open item. */
void iso_object_put_image(iso_dcm *dcm, const iso_image_series *images, size_t image);
/* ReferencedSeriesSequence with all of them. */
void iso_object_put_images(iso_dcm *dcm, const iso_image_series *images);
/* DerivationImageSequence: made from these slices of a frame, in the way of this code (DCM, CID 7203). */
void iso_object_put_sources(iso_dcm *dcm, const iso_image_series *images, size_t frame, size_t first, size_t last,
			    const char *code, const char *meaning);

/* --- multi-frame images --- */

/* The dimensions by which frames are told apart. group 0: none; tag 0 ends the list. */
typedef struct iso_dimension {
	uint32_t tag, group;
	const char *label;
} iso_dimension;
void iso_object_put_dimensions(iso_dcm *dcm, const iso_object *object, const iso_dimension *dimensions);
/* PixelMeasures and PlaneOrientation. */
void iso_object_put_plane(iso_dcm *dcm, const iso_grid *grid);
/* PlanePosition of slice k. */
void iso_object_put_position(iso_dcm *dcm, const iso_grid *grid, size_t k);
/* One channel of `bits` stored bits; 0: floats, of which nothing more is said. */
void iso_object_put_pixel_format(iso_dcm *dcm, const iso_grid *grid, size_t frames, unsigned bits_allocated,
				 unsigned bits);

#endif
