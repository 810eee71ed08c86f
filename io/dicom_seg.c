/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * DICOM Segmentation: each frame is one plane of one segment, and a plane without a frame is empty. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_organs.h"

#define MOST_SLICES 65535.0

typedef struct frame {
	double position_mm[3];
	int segment;
	size_t slice;
} frame;

typedef struct seg {
	iso_organ_source *source;
	iso_grid grid;
	iso_dicom_pixels pixels;
	frame *frame; /* [pixels.frames] */
	double half;  /* stored values from here on are inside */
} seg;

#define FAIL(s, remedy, ...) iso_fail(err, ISO_BAD_INPUT, (s)->source->path, remedy, __VA_ARGS__)
static const char AGAIN[] = "export the segmentation again from where it came";

/* A functional group of a frame: its own, else the one that all share. */
static const iso_dicom_item *functional_group(const seg *s, size_t n, uint32_t sequence)
{
	const iso_dicom_item *own = iso_dicom_at(iso_dicom_at(s->source->set, 0x52009230, n), sequence, 0);
	return own ? own : iso_dicom_at(iso_dicom_at(s->source->set, 0x52009229, 0), sequence, 0);
}

static iso_status read_frame(const seg *s, size_t n, double measures[9], frame *f, iso_error *err)
{
	const iso_dicom_item *measure = functional_group(s, n, 0x00289110);
	const double segment = iso_dicom_number(functional_group(s, n, 0x0062000a), 0x0062000b, 0);
	const char *missing = NULL;
	measures[8] = iso_dicom_number(measure, 0x00180088, 0);
	if (!iso_dicom_numbers(measure, 0x00280030, measures + 6, 2)) missing = "Pixel Spacing (0028,0030)";
	if (!iso_dicom_numbers(functional_group(s, n, 0x00209116), 0x00200037, measures, 6))
		missing = "Image Orientation (Patient) (0020,0037)";
	if (!iso_dicom_numbers(functional_group(s, n, 0x00209113), 0x00200032, f->position_mm, 3))
		missing = "Image Position (Patient) (0020,0032)";
	if (!(segment >= 1 && segment <= 65535)) missing = "Referenced Segment Number (0062,000B)";
	if (missing) return FAIL(s, AGAIN, "frame %zu has no %s", n + 1, missing);
	f->segment = (int)segment;
	return ISO_OK;
}

/* Directions and voxels in the plane, which all frames must share. */
static iso_status read_frames(seg *s, double *step_mm, iso_error *err)
{
	double first[9], measures[9];
	const size_t frames = s->pixels.frames;
	if (iso_dicom_items(s->source->set, 0x52009230) != frames)
		return FAIL(s, AGAIN, "%zu frames, but %zu descriptions of frames (5200,9230)", frames,
			    iso_dicom_items(s->source->set, 0x52009230));
	s->frame = calloc(frames, sizeof *s->frame);
	if (!s->frame) return iso_fail_memory(err, "a segmentation", frames * sizeof *s->frame);
	for (size_t n = 0; n < frames; n++) {
		const iso_status status = read_frame(s, n, n ? measures : first, s->frame + n, err);
		if (status != ISO_OK) return status;
		for (int m = 0; n && m < 8; m++)
			if (!(fabs(measures[m] - first[m]) < 1e-3))
				return FAIL(s, AGAIN, "frames 1 and %zu differ in direction or pixel spacing", n + 1);
	}
	iso_grid *g = &s->grid;
	*g = (iso_grid){.size = {s->pixels.columns, s->pixels.rows, 1}, .voxel_mm = {first[7], first[6], 1}};
	memcpy(g->direction, first, 6 * sizeof *first);
	for (int k = 0; k < 3; k++) {
		const int k1 = (k + 1) % 3, k2 = (k + 2) % 3;
		g->direction[2][k] = first[k1] * first[3 + k2] - first[k2] * first[3 + k1];
	}
	*step_mm = fabs(first[8]);
	if (!(*step_mm > 0)) *step_mm = iso_dicom_number(functional_group(s, 0, 0x00289110), 0x00180050, 0);
	return iso_grid_check(g, s->source->path, err);
}

static double along(const seg *s, const frame *f)
{
	double sum = 0;
	for (int k = 0; k < 3; k++) sum += s->grid.direction[2][k] * f->position_mm[k];
	return sum;
}

/* The distance of the slices is stated with them; frames lie at multiples of it. Where it is not, it is their thickness. */
static iso_status place_frames(seg *s, double step_mm, iso_error *err)
{
	iso_grid *g = &s->grid;
	const frame *lowest = s->frame;
	double high_mm = -(double)INFINITY;
	for (size_t n = 0; n < s->pixels.frames; n++) {
		if (along(s, s->frame + n) < along(s, lowest)) lowest = s->frame + n;
		high_mm = fmax(high_mm, along(s, s->frame + n));
	}
	if (!(step_mm > 0))
		return FAIL(s, AGAIN,
			    "neither Spacing Between Slices (0018,0088) nor Slice Thickness (0018,0050) is there");
	const double slices = rint((high_mm - along(s, lowest)) / step_mm) + 1;
	if (!(slices <= MOST_SLICES)) return FAIL(s, AGAIN, "the frames span %g slices", slices);
	g->voxel_mm[2] = step_mm;
	g->size[2] = (size_t)slices;
	memcpy(g->origin_mm, lowest->position_mm, sizeof g->origin_mm);
	for (size_t n = 0; n < s->pixels.frames; n++) {
		double index[3];
		iso_grid_index(g, s->frame[n].position_mm, index);
		if (fabs(index[0]) > 0.05 || fabs(index[1]) > 0.05 || fabs(index[2] - rint(index[2])) > 0.05)
			return FAIL(s, AGAIN,
				    "frame %zu lies (%.2f, %.2f, %.2f) voxels from the lowest one: on no common grid",
				    n + 1, index[0], index[1], index[2]);
		s->frame[n].slice = (size_t)rint(index[2]);
	}
	return iso_grid_check(g, s->source->path, err);
}

/* The segments that are wanted; place[number] is their place in the table + 1. */
static iso_status list_segments(seg *s, size_t place[65536], iso_error *err)
{
	const iso_dicom_item *set = s->source->set;
	for (size_t n = 0; n < iso_dicom_items(set, 0x00620002); n++) {
		const iso_dicom_item *segment = iso_dicom_at(set, 0x00620002, n);
		char name[65], meaning[65];
		const double number = iso_dicom_number(segment, 0x00620004, 0);
		size_t organ;
		if (!(number >= 1 && number <= 65535)) return FAIL(s, AGAIN, "a segment has no number (0062,0004)");
		iso_dicom_text(iso_dicom_at(segment, 0x0062000f, 0), 0x00080104, meaning, sizeof meaning);
		if (!iso_dicom_text(segment, 0x00620005, name, sizeof name)) snprintf(name, sizeof name, "%s", meaning);
		if (!iso_organ_wanted(s->source, name)) {
			place[(size_t)number] = SIZE_MAX;
			continue;
		}
		if (place[(size_t)number]) return FAIL(s, AGAIN, "two segments have the number %g", number);
		const iso_status status = iso_organ_add(s->source, (int)number, name, meaning, &organ, err);
		if (status != ISO_OK) return status;
		place[(size_t)number] = organ + 1;
	}
	return ISO_OK;
}

static iso_status fill(seg *s, iso_error *err)
{
	const size_t plane = s->pixels.rows * s->pixels.columns;
	size_t *place = calloc(65536, sizeof *place);
	if (!place) return iso_fail_memory(err, "the segments", 65536 * sizeof *place);
	iso_status status = list_segments(s, place, err);
	for (size_t n = 0; n < s->pixels.frames && status == ISO_OK; n++) {
		const size_t organ = place[s->frame[n].segment];
		const int32_t *stored = s->pixels.value + n * plane;
		if (organ == SIZE_MAX) continue;
		if (!organ) {
			status = FAIL(s, AGAIN, "frame %zu is of segment %d, which is not described", n + 1,
				      s->frame[n].segment);
			break;
		}
		for (size_t p = 0; p < plane; p++)
			if (stored[p] >= s->half) iso_organ_claim(s->source, s->frame[n].slice * plane + p, organ - 1);
	}
	free(place);
	return status;
}

static iso_status find_threshold(seg *s, iso_error *err)
{
	char type[20];
	iso_dicom_text(s->source->set, 0x00620001, type, sizeof type);
	s->half = 1;
	if (strcmp(type, "BINARY") == 0) return ISO_OK;
	const double most = iso_dicom_number(s->source->set, 0x0062000e, 0);
	if (strcmp(type, "FRACTIONAL") != 0 || !(most >= 1))
		return FAIL(s, AGAIN,
			    "Segmentation Type (0062,0001) is '%s', and not BINARY or FRACTIONAL with its maximum",
			    type);
	s->half = most / 2;
	iso_dicom_warn(s->source->facts, "the segmentation is fractional: voxels from one half on are inside");
	return ISO_OK;
}

static iso_status read_seg(seg *s, iso_error *err)
{
	char uid[65];
	double step_mm = (double)NAN;
	iso_dicom_text(s->source->set, 0x00200052, uid, sizeof uid);
	iso_status status = iso_organ_check_frame(s->source, uid, err);
	if (status == ISO_OK) status = find_threshold(s, err);
	if (status == ISO_OK) status = iso_dicom_read_pixels(s->source->file, &s->pixels, err);
	if (status == ISO_OK) status = read_frames(s, &step_mm, err);
	if (status == ISO_OK) status = place_frames(s, step_mm, err);
	if (status == ISO_OK) status = iso_image_create(&s->grid, ISO_UNIT_LABEL, &s->source->labels, err);
	return status == ISO_OK ? fill(s, err) : status;
}

iso_status iso_seg_read(iso_organ_source *source, iso_error *err)
{
	seg s = {.source = source};
	const iso_status status = read_seg(&s, err);
	free(s.pixels.value);
	free(s.frame);
	return status;
}
