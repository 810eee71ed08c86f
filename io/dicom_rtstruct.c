/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * RT Structure Set: closed polygons in the slices of an image, filled by the even-odd rule over all polygons that a region has in a
 * slice. So a polygon inside another is a hole, whether it is drawn apart or joined by a channel of no width. The labels' voxels are
 * finer than the image's within the slice: quantification then finds what part of each voxel is inside. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_organs.h"

/* A polygon lies in a slice when its points are that close to it, in slices. */
#define IN_SLICE 0.1
/* The label image is a box around the regions; more than this is a mistake in the contours. */
#define MOST_VOXELS ((double)(1u << 29))

/* In voxels of the image. */
typedef struct polygon {
	size_t region;
	size_t points;
	double *x, *y;
	long slice;
} polygon;

typedef struct region {
	int number;
	size_t organ; /* in the table */
} region;

typedef struct structures {
	iso_organ_source *source;
	const iso_grid *image;
	region *region;
	size_t regions;
	polygon *polygon;
	size_t polygons, room;
	double *crossing; /* scratch */
	unsigned finer;
} structures;

#define FAIL(s, remedy, ...) iso_fail(err, ISO_BAD_INPUT, (s)->source->path, remedy, __VA_ARGS__)
static const char AGAIN[] = "export the structure set again from where it came";

static iso_status list_regions(structures *s, iso_error *err)
{
	const iso_dicom_item *set = s->source->set;
	const size_t items = iso_dicom_items(set, 0x30060020);
	s->region = calloc(items + 1, sizeof *s->region);
	if (!s->region) return iso_fail_memory(err, "a structure set", items * sizeof *s->region);
	for (size_t n = 0; n < items; n++) {
		const iso_dicom_item *item = iso_dicom_at(set, 0x30060020, n);
		char name[65], uid[65];
		const double number = iso_dicom_number(item, 0x30060022, 0);
		iso_dicom_text(item, 0x30060026, name, sizeof name);
		if (!(fabs(number) < 1e9)) return FAIL(s, AGAIN, "a region has no number (3006,0022)");
		if (!iso_organ_wanted(s->source, name)) continue;
		iso_dicom_text(item, 0x30060024, uid, sizeof uid);
		iso_status status = iso_organ_check_frame(s->source, uid, err);
		if (status != ISO_OK) return status;
		region *r = s->region + s->regions++;
		r->number = (int)number;
		/* labels are counted: region numbers may be 0 */
		status = iso_organ_add(s->source, (int)s->regions, name, name, &r->organ, err);
		if (status != ISO_OK) return status;
	}
	return ISO_OK;
}

static iso_status make_room(structures *s, size_t points, iso_error *err)
{
	if (s->polygons == s->room) {
		const size_t room = s->room ? 2 * s->room : 256;
		polygon *more = realloc(s->polygon, room * sizeof *more);
		if (!more) return iso_fail_memory(err, "contours", room * sizeof *more);
		s->polygon = more;
		s->room = room;
	}
	polygon *p = s->polygon + s->polygons;
	*p = (polygon){.x = malloc(points * sizeof *p->x), .y = malloc(points * sizeof *p->y)};
	s->polygons++;
	return p->x && p->y ? ISO_OK : iso_fail_memory(err, "contours", 2 * points * sizeof *p->x);
}

/* One contour into the image's voxels. */
static iso_status add_polygon(structures *s, size_t number, const double *mm, size_t points, iso_error *err)
{
	iso_status status = make_room(s, points, err);
	if (status != ISO_OK) return status;
	polygon *p = s->polygon + s->polygons - 1;
	const char *name = s->source->organ[s->region[number].organ].name;
	p->region = number;
	p->points = points;
	for (size_t n = 0; n < points; n++) {
		double index[3];
		iso_grid_index(s->image, mm + 3 * n, index);
		/* beyond the image once over nothing was drawn */
		bool near = true;
		for (int a = 0; a < 3; a++) {
			const double size = (double)s->image->size[a];
			near = near && index[a] > -size - 1 && index[a] < 2 * size + 1;
		}
		if (!near) return FAIL(s, AGAIN, "a contour of '%s' has a point far outside of the image", name);
		if (n == 0) p->slice = lrint(index[2]);
		if (fabs(index[2] - (double)p->slice) > IN_SLICE)
			return FAIL(s, "give with --like the image on which the contours were drawn",
				    "a contour of '%s' lies %.2f slices beside slice %ld of the image", name,
				    index[2] - (double)p->slice, p->slice + 1);
		p->x[n] = index[0];
		p->y[n] = index[1];
	}
	return ISO_OK;
}

static iso_status read_contours(structures *s, size_t number, const iso_dicom_item *item, iso_error *err)
{
	iso_status status = ISO_OK;
	size_t others = 0;
	for (size_t n = 0; n < iso_dicom_items(item, 0x30060040) && status == ISO_OK; n++) {
		const iso_dicom_item *contour = iso_dicom_at(item, 0x30060040, n);
		char type[24];
		double *mm = NULL;
		size_t count;
		iso_dicom_text(contour, 0x30060042, type, sizeof type);
		/* also CLOSEDPLANAR_XOR, which says of holes what is assumed here of all */
		if (strncmp(type, "CLOSED_PLANAR", 13) != 0 && strcmp(type, "CLOSEDPLANAR_XOR") != 0) {
			others++;
			continue;
		}
		status = iso_dicom_decimals(contour, 0x30060050, s->source->path, &mm, &count, err);
		const double promised = iso_dicom_number(contour, 0x30060046, 0);
		if (status == ISO_OK && (count % 3 || (promised > 0 && promised * 3 != (double)count)))
			status = FAIL(s, AGAIN, "a contour of '%s' has %zu coordinates for %g points",
				      s->source->organ[s->region[number].organ].name, count, promised);
		if (status == ISO_OK && count >= 9) status = add_polygon(s, number, mm, count / 3, err);
		free(mm);
	}
	if (others)
		iso_dicom_warn(s->source->facts,
			       "'%s' has %zu contours that enclose nothing (points, open lines): not used",
			       s->source->organ[s->region[number].organ].name, others);
	return status;
}

static iso_status read_all_contours(structures *s, iso_error *err)
{
	const iso_dicom_item *set = s->source->set;
	iso_status status = ISO_OK;
	for (size_t n = 0; n < iso_dicom_items(set, 0x30060039) && status == ISO_OK; n++) {
		const iso_dicom_item *item = iso_dicom_at(set, 0x30060039, n);
		const double number = iso_dicom_number(item, 0x30060084, 0);
		for (size_t r = 0; r < s->regions && status == ISO_OK; r++)
			if (s->region[r].number == number) status = read_contours(s, r, item, err);
	}
	if (status == ISO_OK && !s->polygons)
		status = FAIL(s, "give names that are there, or another structure set",
			      "there is no closed contour of any region%s",
			      s->source->options->names ? " that was asked for" : "");
	return status;
}

/* The box of whole voxels around all polygons, in finer voxels. */
static iso_status make_labels(structures *s, long low[3], iso_error *err)
{
	double least[3] = {(double)INFINITY, (double)INFINITY, (double)INFINITY},
	       most[3] = {-(double)INFINITY, -(double)INFINITY, -(double)INFINITY}, index[3];
	iso_grid grid = *s->image;
	for (size_t n = 0; n < s->polygons; n++) {
		const polygon *p = s->polygon + n;
		least[2] = fmin(least[2], (double)p->slice);
		most[2] = fmax(most[2], (double)p->slice);
		for (size_t i = 0; i < p->points; i++) {
			least[0] = fmin(least[0], p->x[i]);
			most[0] = fmax(most[0], p->x[i]);
			least[1] = fmin(least[1], p->y[i]);
			most[1] = fmax(most[1], p->y[i]);
		}
	}
	for (int a = 0; a < 3; a++) {
		low[a] = lrint(floor(least[a] + 0.5));
		grid.size[a] = (size_t)(lrint(floor(most[a] + 0.5)) - low[a] + 1);
		index[a] = (double)low[a];
		if (a < 2) {
			index[a] += 0.5 / s->finer - 0.5;
			grid.size[a] *= s->finer;
			grid.voxel_mm[a] /= s->finer;
		}
	}
	if ((double)grid.size[0] * (double)grid.size[1] * (double)grid.size[2] > MOST_VOXELS)
		return FAIL(s, "give a smaller --finer, or fewer regions with --segment",
			    "the labels would have %zu x %zu x %zu voxels", grid.size[0], grid.size[1], grid.size[2]);
	iso_grid_point_mm(s->image, index, grid.origin_mm);
	return iso_image_create(&grid, ISO_UNIT_LABEL, &s->source->labels, err);
}

static int by_size(const void *a, const void *b)
{
	const double one = *(const double *)a, two = *(const double *)b;
	return (one > two) - (one < two);
}

/* Where the polygons [first, last) of one region and slice cross the line y: an edge holds its lower end and not its upper. */
static size_t cross(structures *s, size_t first, size_t last, double y)
{
	size_t count = 0;
	for (size_t n = first; n < last; n++) {
		const polygon *p = s->polygon + n;
		for (size_t i = 0, j = p->points - 1; i < p->points; j = i++)
			if ((p->y[i] <= y) != (p->y[j] <= y))
				s->crossing[count++] =
				    p->x[i] + (y - p->y[i]) / (p->y[j] - p->y[i]) * (p->x[j] - p->x[i]);
	}
	qsort(s->crossing, count, sizeof *s->crossing, by_size);
	return count;
}

static void fill_slice(structures *s, size_t first, size_t last, const long low[3])
{
	const iso_grid *g = &s->source->labels->grid;
	const polygon *p = s->polygon + first;
	const size_t organ = s->region[p->region].organ, plane = (size_t)(p->slice - low[2]) * g->size[0] * g->size[1];
	for (size_t j = 0; j < g->size[1]; j++) {
		const double y = (double)low[1] - 0.5 + ((double)j + 0.5) / s->finer;
		const size_t count = cross(s, first, last, y);
		for (size_t c = 0; c + 1 < count; c += 2) {
			/* finer voxels whose centres lie in [from, to) */
			const double from = (s->crossing[c] + 0.5 - (double)low[0]) * s->finer - 0.5;
			const double to = (s->crossing[c + 1] + 0.5 - (double)low[0]) * s->finer - 0.5;
			for (double i = fmax(ceil(from), 0); i < to && i < (double)g->size[0]; i++)
				iso_organ_claim(s->source, plane + j * g->size[0] + (size_t)i, organ);
		}
	}
}

static int by_region(const void *a, const void *b)
{
	const polygon *one = a, *two = b;
	if (one->region != two->region) return one->region < two->region ? -1 : 1;
	return (one->slice > two->slice) - (one->slice < two->slice);
}

static iso_status fill(structures *s, const long low[3], iso_error *err)
{
	size_t edges = 0;
	for (size_t n = 0; n < s->polygons; n++) edges += s->polygon[n].points;
	s->crossing = malloc(edges * sizeof *s->crossing);
	if (!s->crossing) return iso_fail_memory(err, "contours", edges * sizeof *s->crossing);
	qsort(s->polygon, s->polygons, sizeof *s->polygon, by_region);
	for (size_t first = 0, last; first < s->polygons; first = last) {
		const polygon *p = s->polygon + first;
		for (last = first + 1; last < s->polygons && by_region(p, s->polygon + last) == 0;) last++;
		fill_slice(s, first, last, low);
		if (last < s->polygons && s->polygon[last].region == p->region && s->polygon[last].slice > p->slice + 1)
			iso_dicom_warn(s->source->facts, "'%s' has no contour in the slices between %ld and %ld",
				       s->source->organ[s->region[p->region].organ].name, p->slice + 1,
				       s->polygon[last].slice + 1);
	}
	return ISO_OK;
}

iso_status iso_rtstruct_read(iso_organ_source *source, iso_error *err)
{
	structures s = {.source = source, .image = source->options->grid, .finer = source->options->finer};
	long low[3];
	if (!s.finer) s.finer = 4;
	if (!s.image)
		return iso_fail(err, ISO_BAD_INPUT, source->path,
				"give with --like the image on which the contours were drawn",
				"contours have no voxels of their own");
	iso_status status = list_regions(&s, err);
	if (status == ISO_OK) status = read_all_contours(&s, err);
	if (status == ISO_OK) status = make_labels(&s, low, err);
	if (status == ISO_OK) status = fill(&s, low, err);
	for (size_t n = 0; n < s.polygons; n++) {
		free(s.polygon[n].x);
		free(s.polygon[n].y);
	}
	free(s.polygon);
	free(s.region);
	free(s.crossing);
	return status;
}
