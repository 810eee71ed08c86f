/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Segmentation Storage, DICOM PS3.3 A.51: one segment per organ, one frame per organ and slice that holds any of it. */
#include "io/dicom_segmentation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_identity.h"
#include "io/dicom_modules.h"
#include "io/dicom_organ_codes.h"

#define FULL 255 /* MaximumFractionalValue */

typedef struct segmentation {
	const iso_image_series *images;
	const iso_image *labels;
	const iso_organs *organs;
	const iso_grid *grid; /* of the segments */
	bool fractional;
	uint16_t *segment; /* binary: of each voxel, 0 = none */
	bool *used;        /* [organs][slices]: is there a frame? */
	size_t frames;
	uint8_t *pixels; /* of all frames, as they are stored */
	size_t bytes;
} segmentation;

static uint8_t stored_fraction(float fraction)
{
	return (uint8_t)rint(FULL * fmin((double)fraction, 1));
}

/* --- which frames there are --------------------------------------------------------------------------------------- */

static iso_status look_at_labels(segmentation *s, const char *shown, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(s->grid), plane = s->grid->size[0] * s->grid->size[1];
	if (!(s->segment = calloc(voxels, sizeof *s->segment)))
		return iso_fail_memory(err, "the segments", voxels * sizeof *s->segment);
	size_t o = 0;
	for (size_t v = 0; v < voxels; v++) {
		const double label = (double)s->labels->voxels[v];
		if (label == 0) continue;
		if (s->organs->organ[o].label != label)
			for (o = 0; o < s->organs->count && s->organs->organ[o].label != label;) o++;
		if (o == s->organs->count)
			return iso_fail(err, ISO_BAD_INPUT, shown, "add it to the organ table",
					"label %g in voxel %zu is not in the organ table", label, v);
		s->segment[v] = (uint16_t)(o + 1);
		s->used[o * s->grid->size[2] + v / plane] = true;
	}
	return ISO_OK;
}

static void look_at_fractions(segmentation *s)
{
	const size_t plane = s->grid->size[0] * s->grid->size[1];
	for (size_t o = 0; o < s->organs->count; o++)
		for (size_t e = s->organs->first[o]; e < s->organs->first[o + 1]; e++)
			if (stored_fraction(s->organs->fraction[e]))
				s->used[o * s->grid->size[2] + s->organs->voxel[e] / plane] = true;
}

static iso_status find_frames(segmentation *s, const char *shown, iso_error *err)
{
	const size_t cells = s->organs->count * s->grid->size[2];
	if (s->organs->count == 0 || s->organs->count > 65535 || s->grid->size[0] > 65535 || s->grid->size[1] > 65535)
		return iso_fail(err, ISO_BAD_INPUT, shown, "give 1 to 65535 organs on at most 65535 x 65535 voxels",
				"%zu organs on %zu x %zu voxels make no segmentation", s->organs->count,
				s->grid->size[0], s->grid->size[1]);
	if (!(s->used = calloc(cells, sizeof *s->used))) return iso_fail_memory(err, "the segments", cells);
	if (s->fractional)
		look_at_fractions(s);
	else {
		const iso_status status = look_at_labels(s, shown, err);
		if (status != ISO_OK) return status;
	}
	for (size_t c = 0; c < cells; c++) s->frames += s->used[c];
	const double bytes =
	    (double)s->frames * (double)(s->grid->size[0] * s->grid->size[1]) / (s->fractional ? 1 : 8);
	if (bytes > 4294967293.0)
		return iso_fail(err, ISO_BAD_INPUT, shown, "give labels on a coarser grid",
				"%zu frames of %zu x %zu voxels are more than a DICOM file holds", s->frames,
				s->grid->size[0], s->grid->size[1]);
	s->bytes = (size_t)ceil(bytes);
	return ISO_OK;
}

/* --- pixels ------------------------------------------------------------------------------------------------------- */

/* Bits of all frames without a gap, lowest first. */
static void pack_bits(segmentation *s)
{
	const size_t plane = s->grid->size[0] * s->grid->size[1];
	size_t bit = 0;
	for (size_t o = 0; o < s->organs->count; o++)
		for (size_t k = 0; k < s->grid->size[2]; k++) {
			if (!s->used[o * s->grid->size[2] + k]) continue;
			const uint16_t *at = s->segment + k * plane;
			for (size_t i = 0; i < plane; i++, bit++)
				if (at[i] == o + 1) s->pixels[bit / 8] |= (uint8_t)(1 << bit % 8);
		}
}

static void put_fractions(segmentation *s)
{
	const size_t plane = s->grid->size[0] * s->grid->size[1];
	size_t frame = 0;
	for (size_t o = 0; o < s->organs->count; o++) {
		size_t e = s->organs->first[o]; /* entries are sorted by voxel */
		for (size_t k = 0; k < s->grid->size[2]; k++) {
			const bool used = s->used[o * s->grid->size[2] + k];
			for (; e < s->organs->first[o + 1] && s->organs->voxel[e] < (k + 1) * plane; e++)
				if (used)
					s->pixels[frame * plane + s->organs->voxel[e] - k * plane] =
					    stored_fraction(s->organs->fraction[e]);
			frame += used;
		}
	}
}

/* --- tags --------------------------------------------------------------------------------------------------------- */

static void make_uid(const segmentation *s, char uid[65])
{
	iso_hash hash;
	iso_object_uid_begin(&hash, s->fractional ? "fractional segmentation" : "segmentation", s->images);
	iso_dicom_hash_grid(&hash, s->grid);
	for (size_t o = 0; o < s->organs->count; o++) iso_hash_text(&hash, s->organs->organ[o].name);
	iso_hash_bytes(&hash, s->used, s->organs->count * s->grid->size[2] * sizeof *s->used);
	iso_hash_bytes(&hash, s->pixels, s->bytes);
	iso_dicom_uid_end(&hash, uid);
}

static void put_segments(iso_dcm *dcm, const segmentation *s)
{
	bool private_code = false;
	for (size_t o = 0; o < s->organs->count; o++) {
		const char *name = s->organs->organ[o].name;
		const iso_organ_code code = iso_organ_code_of(name, (unsigned)o);
		char text[65];
		private_code = private_code || !code.known;
		iso_dcm_begin_next(dcm, 0x00620002);
		iso_dcm_us(dcm, 0x00620004, (uint16_t)(o + 1));
		iso_dicom_put_text(dcm, 0x00620005, name, 64);
		/* How the labels came about is not known here, and this must not be empty. */
		iso_dcm_text(dcm, 0x00620008, "SEMIAUTOMATIC");
		iso_dcm_text(dcm, 0x00620009, "organ labels as given; how they were drawn is not known");
		iso_dicom_put_code(dcm, 0x00620003, code.category, "SCT", code.category_meaning);
		iso_dcm_begin(dcm, 0x0062000f);
		iso_dcm_text(dcm, 0x00080100, code.value);
		iso_dcm_text(dcm, 0x00080102, code.scheme);
		iso_dicom_put_text(dcm, 0x00080104, code.meaning, 64);
		if (code.side) iso_dicom_put_code(dcm, 0x00620011, code.side, "SCT", code.side_meaning);
		iso_dcm_end(dcm);
		snprintf(text, sizeof text, "%u\\%u\\%u", code.cielab[0], code.cielab[1], code.cielab[2]);
		iso_dcm_text(dcm, 0x0062000d, text);
		iso_dicom_put_text(dcm, 0x00620020, name, 64);
		iso_object_tracking_uid(s->images, name, text);
		iso_dcm_text(dcm, 0x00620021, text);
		iso_dcm_end(dcm);
	}
	if (private_code) iso_object_put_scheme(dcm);
}

/* The slices of the images that slice k of the segments touches; false when there is none. */
static bool sources_of(const segmentation *s, size_t k, size_t *first, size_t *last)
{
	const iso_grid *images = &s->images->volume->grid, *grid = s->grid;
	double low = (double)INFINITY, high = -(double)INFINITY;
	for (int corner = 0; corner < 8; corner++) {
		/* A little inside the slab, so that slices which only share a face do not count. */
		const double at[3] = {corner & 1 ? (double)grid->size[0] - 1 : 0,
				      corner & 2 ? (double)grid->size[1] - 1 : 0,
				      (double)k + (corner & 4 ? 0.49 : -0.49)};
		double point_mm[3], index[3];
		iso_grid_point_mm(grid, at, point_mm);
		iso_grid_index(images, point_mm, index);
		low = fmin(low, index[2]);
		high = fmax(high, index[2]);
	}
	low = fmax(rint(low), 0);
	high = fmin(rint(high), (double)images->size[2] - 1);
	if (!(low <= high)) return false;
	*first = (size_t)low;
	*last = (size_t)high;
	return true;
}

/* Places along the normal of the slices, from 1, of those that any segment uses; owned by the caller. */
static size_t *places_of(const segmentation *s)
{
	const size_t slices = s->grid->size[2];
	const double(*d)[3] = s->grid->direction;
	const double handed = d[2][0] * (d[0][1] * d[1][2] - d[0][2] * d[1][1]) +
			      d[2][1] * (d[0][2] * d[1][0] - d[0][0] * d[1][2]) +
			      d[2][2] * (d[0][0] * d[1][1] - d[0][1] * d[1][0]);
	size_t *place = calloc(slices, sizeof *place), next = 1;
	for (size_t n = 0; place && n < slices; n++) {
		const size_t k = handed > 0 ? n : slices - 1 - n;
		bool used = false;
		for (size_t o = 0; o < s->organs->count; o++) used = used || s->used[o * slices + k];
		if (used) place[k] = next++;
	}
	return place;
}

static void put_frame(iso_dcm *dcm, const segmentation *s, size_t organ, size_t k, size_t place)
{
	char text[48];
	size_t first, last;
	iso_dcm_begin_next(dcm, 0x52009230);
	iso_dcm_begin(dcm, 0x00209111);
	snprintf(text, sizeof text, "%zu\\%zu", organ + 1, place);
	iso_dcm_text(dcm, 0x00209157, text);
	iso_dcm_end(dcm);
	iso_object_put_position(dcm, s->grid, k);
	iso_dcm_begin(dcm, 0x0062000a);
	iso_dcm_us(dcm, 0x0062000b, (uint16_t)(organ + 1));
	iso_dcm_end(dcm);
	/* All frames of a dynamic series lie there; the first stands for them. */
	if (sources_of(s, k, &first, &last))
		iso_object_put_sources(dcm, s->images, 0, first, last, "113076", "Segmentation");
	iso_dcm_end(dcm);
}

static iso_status put_all(iso_dcm *dcm, const segmentation *s, const iso_object *object, iso_error *err)
{
	static const iso_dimension dimensions[] = {
	    {0x0062000b, 0x0062000a, "Segment"}, {0x00200032, 0x00209113, "Position"}, {0, 0, NULL}};
	size_t *place = places_of(s);
	if (!place) return iso_fail_memory(err, "the segments", s->grid->size[2] * sizeof *place);
	if (s->images->subject->body_part[0]) iso_dicom_put_text(dcm, 0x00180015, s->images->subject->body_part, 16);
	iso_object_put_frame_of_reference(dcm, s->images);
	iso_dcm_text(dcm, 0x00080008, "DERIVED\\PRIMARY");
	iso_dcm_text(dcm, 0x00700080, "ORGANS");
	iso_dcm_text(dcm, 0x00700081, s->fractional ? "Part of each voxel inside each organ" : "Organ labels");
	iso_dcm_text(dcm, 0x00700084, "isotrace^");
	iso_object_put_images(dcm, s->images);
	iso_object_put_dimensions(dcm, object, dimensions);
	iso_object_put_pixel_format(dcm, s->grid, s->frames, s->fractional ? 8 : 1, s->fractional ? 8 : 1);
	iso_dcm_text(dcm, 0x00620001, s->fractional ? "FRACTIONAL" : "BINARY");
	iso_dcm_text(dcm, 0x00620013, s->fractional ? "YES" : "NO"); /* do segments overlap? */
	if (s->fractional) {
		iso_dcm_text(dcm, 0x00620010, "OCCUPANCY");
		iso_dcm_us(dcm, 0x0062000e, FULL);
	}
	put_segments(dcm, s);
	iso_dcm_begin(dcm, 0x52009229);
	iso_object_put_plane(dcm, s->grid);
	iso_dcm_end(dcm);
	for (size_t o = 0; o < s->organs->count; o++)
		for (size_t k = 0; k < s->grid->size[2]; k++)
			if (s->used[o * s->grid->size[2] + k]) put_frame(dcm, s, o, k, place[k]);
	iso_dcm_bytes(dcm, 0x7fe00010, s->pixels, s->bytes);
	free(place);
	return ISO_OK;
}

static iso_status make(segmentation *s, const char *path, const char *shown, iso_object *object, iso_error *err)
{
	iso_dcm *dcm = NULL;
	iso_status status = find_frames(s, shown, err);
	if (status != ISO_OK) return status;
	if (!(s->pixels = calloc(s->bytes + 1, 1))) return iso_fail_memory(err, "the segments", s->bytes);
	(s->fractional ? put_fractions : pack_bits)(s);
	*object = (iso_object){.sop_class = ISO_SEGMENTATION_STORAGE,
			       .modality = "SEG",
			       .title = s->fractional ? "Organs, part of each voxel" : "Organs",
			       .number = 100};
	make_uid(s, object->uid);
	status = iso_object_create(&dcm, s->images, object, err);
	if (status == ISO_OK) status = put_all(dcm, s, object, err);
	if (status == ISO_OK) status = iso_dcm_save(dcm, path, shown, err);
	iso_dcm_free(dcm);
	return status;
}

iso_status iso_dicom_write_segmentation(const char *path, const char *shown, const iso_image_series *images,
					const iso_image *labels, const iso_organs *organs, bool fractional,
					iso_object *object, iso_error *err)
{
	segmentation s = {.images = images,
			  .labels = labels,
			  .organs = organs,
			  .grid = fractional ? &organs->grid : &labels->grid,
			  .fractional = fractional};
	const iso_status status = make(&s, path, shown, object, err);
	free(s.segment);
	free(s.used);
	free(s.pixels);
	return status;
}
