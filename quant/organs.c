/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/organs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "quant/overlap.h"

/* A label voxel may stick out by this part of itself: the rounding of stored affines. */
#define OUTSIDE_ALLOWED 1e-3
#define MOST_LABEL      1000000.0

/* The labelled voxels of an image, sorted by organ. */
typedef struct labelled {
	const iso_image *labels;
	const char *path;
	size_t count;
	const iso_organ *organ;
	size_t *first; /* [count + 1] */
	size_t *voxel;
} labelled;

static void voxel_index(const iso_grid *grid, size_t voxel, size_t index[3])
{
	index[0] = voxel % grid->size[0];
	index[1] = voxel / grid->size[0] % grid->size[1];
	index[2] = voxel / grid->size[0] / grid->size[1];
}

/* An error about one voxel of the labels. */
static iso_status voxel_error(const labelled *all, size_t voxel, const char *remedy, const char *what, iso_error *err)
{
	size_t at[3];
	voxel_index(&all->labels->grid, voxel, at);
	return iso_fail(err, ISO_BAD_INPUT, all->path, remedy, "label %.9g in voxel (%zu,%zu,%zu) %s",
			(double)all->labels->voxels[voxel], at[0], at[1], at[2], what);
}

/* Number of the organ with this label, count when there is none. `hint`: labels come in runs. */
static size_t organ_of(const labelled *all, int label, size_t hint)
{
	if (hint < all->count && all->organ[hint].label == label) return hint;
	for (size_t o = 0; o < all->count; o++)
		if (all->organ[o].label == label) return o;
	return all->count;
}

/* Checks every label and counts them into first[organ + 1]. */
static iso_status count_labels(labelled *all, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&all->labels->grid);
	size_t organ = 0;
	for (size_t v = 0; v < voxels; v++) {
		const float value = all->labels->voxels[v];
		if (value == 0) continue;
		if (!(value > 0 && (double)value <= MOST_LABEL && value == rintf(value)))
			return voxel_error(all, v,
					   "labels must be whole numbers from 0, not resampled by interpolation",
					   "is no label", err);
		organ = organ_of(all, (int)value, organ);
		if (organ == all->count)
			return voxel_error(all, v, "add a row for this label or take it out of the labels",
					   "is not in the organ table", err);
		all->first[organ + 1]++;
	}
	for (size_t o = 0; o < all->count; o++) {
		if (all->first[o + 1] == 0)
			return iso_fail(err, ISO_BAD_INPUT, all->path, "take the row out or check the labels",
					"the organ table has label %d, %s, but no voxel carries it",
					all->organ[o].label, all->organ[o].name);
		all->first[o + 1] += all->first[o];
	}
	return ISO_OK;
}

static iso_status sort_labels(labelled *all, iso_error *err)
{
	all->first = calloc(all->count + 1, sizeof *all->first);
	if (!all->first) return iso_fail_memory(err, "the organs", all->count * sizeof *all->first);
	iso_status status = count_labels(all, err);
	if (status != ISO_OK) return status;
	const size_t total = all->first[all->count];
	size_t *next = malloc(all->count * sizeof *next);
	all->voxel = malloc(total * sizeof *all->voxel);
	if (!next || !all->voxel) {
		free(next);
		return iso_fail_memory(err, "the organs", total * sizeof *all->voxel);
	}
	memcpy(next, all->first, all->count * sizeof *next);
	const size_t voxels = iso_grid_voxels(&all->labels->grid);
	size_t organ = 0;
	for (size_t v = 0; v < voxels; v++) {
		if (all->labels->voxels[v] == 0) continue;
		organ = organ_of(all, (int)all->labels->voxels[v], organ);
		all->voxel[next[organ]++] = v;
	}
	free(next);
	return ISO_OK;
}

/* A voxel belongs to the boundary when one of its six neighbours is not of its organ or lies outside the image. */
static bool on_boundary(const iso_image *labels, size_t voxel)
{
	const size_t *size = labels->grid.size;
	const size_t stride[3] = {1, size[0], size[0] * size[1]};
	size_t at[3];
	voxel_index(&labels->grid, voxel, at);
	for (int a = 0; a < 3; a++) {
		if (at[a] == 0 || at[a] + 1 == size[a]) return true;
		if (labels->voxels[voxel - stride[a]] != labels->voxels[voxel] ||
		    labels->voxels[voxel + stride[a]] != labels->voxels[voxel])
			return true;
	}
	return false;
}

/* Appends the filled voxels within the touched box to the organ's entries and clears them. */
static iso_status keep_entries(iso_organs *out, size_t organ, size_t *room, double *sum, const size_t low[3],
			       const size_t high[3], iso_error *err)
{
	const size_t *size = out->grid.size;
	size_t used = out->first[organ];
	for (size_t k = low[2]; k <= high[2]; k++)
		for (size_t j = low[1]; j <= high[1]; j++)
			for (size_t i = low[0]; i <= high[0]; i++) {
				const size_t v = i + size[0] * (j + size[1] * k);
				const float fraction = (float)sum[v];
				sum[v] = 0;
				if (!(fraction > 0)) continue;
				if (used == *room) {
					*room = *room ? 2 * *room : 4096;
					size_t *voxel = realloc(out->voxel, *room * sizeof *voxel);
					if (voxel) out->voxel = voxel;
					float *more =
					    voxel ? realloc(out->fraction, *room * sizeof *out->fraction) : NULL;
					if (!more) return iso_fail_memory(err, "the organs", *room * sizeof *voxel);
					out->fraction = more;
				}
				out->voxel[used] = v;
				out->fraction[used++] = fraction;
			}
	out->first[organ + 1] = used;
	return ISO_OK;
}

static iso_status place_organ(const labelled *all, size_t organ, const iso_overlap *overlap, double *sum, size_t *room,
			      iso_organs *out, iso_error *err)
{
	const iso_grid *source = &all->labels->grid;
	const double label_ml = iso_grid_voxel_ml(source), weight = label_ml / iso_grid_voxel_ml(&out->grid);
	size_t low[3] = {SIZE_MAX, SIZE_MAX, SIZE_MAX}, high[3] = {0, 0, 0}, boundary = 0;
	size_t first_outside = SIZE_MAX;
	double inside_all = 0;
	for (size_t n = all->first[organ]; n < all->first[organ + 1]; n++) {
		size_t at[3];
		voxel_index(source, all->voxel[n], at);
		const double inside = iso_overlap_add(overlap, at, weight, sum, low, high);
		if (inside < 1 - OUTSIDE_ALLOWED && first_outside == SIZE_MAX) first_outside = all->voxel[n];
		inside_all += inside;
		boundary += on_boundary(all->labels, all->voxel[n]);
	}
	if (first_outside != SIZE_MAX) {
		char what[160];
		if (inside_all == 0)
			snprintf(what, sizeof what, "(%s) lies outside the volume, and so does the whole organ",
				 all->organ[organ].name);
		else
			iso_snprintf(what, sizeof what,
				     "(%s) is cut off by the volume's edge; %.1f %% of the organ is inside",
				     all->organ[organ].name,
				     100 * inside_all / (double)(all->first[organ + 1] - all->first[organ]));
		return voxel_error(all, first_outside,
				   "check that labels and volume share their coordinates; an organ that the field of "
				   "view cuts has no total",
				   what, err);
	}
	out->volume_ml[organ] = label_ml * (double)(all->first[organ + 1] - all->first[organ]);
	out->surface_ml[organ] = label_ml * (double)boundary;
	return keep_entries(out, organ, room, sum, low, high, err);
}

static iso_status allocate(const iso_organ *organs, size_t count, const iso_grid *grid, iso_organs **out,
			   iso_error *err)
{
	iso_organs *made = calloc(1, sizeof *made);
	if (!made) return iso_fail_memory(err, "the organs", sizeof *made);
	made->grid = *grid;
	made->count = count;
	made->organ = malloc(count * sizeof *made->organ);
	made->volume_ml = calloc(count, sizeof *made->volume_ml);
	made->surface_ml = calloc(count, sizeof *made->surface_ml);
	made->first = calloc(count + 1, sizeof *made->first);
	if (!made->organ || !made->volume_ml || !made->surface_ml || !made->first) {
		iso_organs_free(made);
		return iso_fail_memory(err, "the organs", count * sizeof *made->organ);
	}
	memcpy(made->organ, organs, count * sizeof *organs);
	*out = made;
	return ISO_OK;
}

iso_status iso_organs_create(const iso_image *labels, const iso_organ *organs, size_t count, const iso_grid *grid,
			     const char *labels_path, iso_organs **out, iso_error *err)
{
	*out = NULL;
	if (count == 0)
		return iso_fail(err, ISO_BAD_USAGE, labels_path, "give at least one organ", "no organs were named");
	iso_status status = iso_grid_check(&labels->grid, labels_path, err);
	if (status == ISO_OK) status = iso_grid_check(grid, NULL, err);
	if (status != ISO_OK) return status;
	labelled all = {.labels = labels, .path = labels_path, .count = count, .organ = organs};
	iso_overlap overlap = {0};
	iso_organs *made = NULL;
	double *sum = NULL;
	status = sort_labels(&all, err);
	if (status == ISO_OK) status = allocate(organs, count, grid, &made, err);
	if (status == ISO_OK) status = iso_overlap_begin(&labels->grid, grid, &overlap, err);
	if (status == ISO_OK && !(sum = calloc(iso_grid_voxels(grid), sizeof *sum)))
		status = iso_fail_memory(err, "the organs", iso_grid_voxels(grid) * sizeof *sum);
	size_t room = 0;
	if (status == ISO_OK) made->sampled = !overlap.aligned;
	for (size_t o = 0; o < count && status == ISO_OK; o++)
		status = place_organ(&all, o, &overlap, sum, &room, made, err);
	free(sum);
	iso_overlap_end(&overlap);
	free(all.first);
	free(all.voxel);
	if (status != ISO_OK) {
		iso_organs_free(made);
		return status;
	}
	*out = made;
	return ISO_OK;
}

void iso_organs_free(iso_organs *organs)
{
	if (!organs) return;
	free(organs->organ);
	free(organs->volume_ml);
	free(organs->surface_ml);
	free(organs->first);
	free(organs->voxel);
	free(organs->fraction);
	free(organs);
}
