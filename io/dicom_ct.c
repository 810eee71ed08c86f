/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT from a folder: which files belong together, and in which order. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "io/dicom/ct_slice.h"
#include "io/file_list.h"
#include "isotrace/ct.h"
#include "isotrace/nifti.h"

typedef struct entry {
	iso_ct_slice slice;
	const char *path; /* of the list of files */
	double along_mm;  /* position along the normal of the slices */
} entry;

typedef struct series {
	const char *path; /* what was asked for */
	const iso_progress *progress;
	iso_file_list files;
	entry *entry;
	size_t count;
	size_t no_dicom, other, enhanced;
	double step_mm;
} series;

static iso_status look_at_files(series *s, iso_error *err)
{
	iso_status status = iso_file_list_collect(s->path, &s->files, err);
	if (status != ISO_OK) return status;
	s->entry = calloc(s->files.count + 1, sizeof *s->entry);
	if (!s->entry) return iso_fail_memory(err, "a CT series", s->files.count * sizeof *s->entry);
	for (size_t f = 0; f < s->files.count; f++) {
		iso_ct_kind kind;
		entry *e = s->entry + s->count;
		if ((status = iso_ct_slice_look(s->files.path[f], &kind, &e->slice, err)) != ISO_OK) return status;
		e->path = s->files.path[f];
		s->no_dicom += kind == ISO_CT_NO_DICOM;
		s->other += kind == ISO_CT_OTHER;
		s->enhanced += kind == ISO_CT_ENHANCED;
		s->count += kind == ISO_CT_SLICE;
	}
	if (s->count) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, s->path,
			s->enhanced ? "export it as classic CT images, one file per slice"
				    : "name the folder or file of a CT series, or a NIfTI file in HU",
			"there is no CT image here: %zu files are no DICOM, %zu other objects, %zu Enhanced CT",
			s->no_dicom, s->other, s->enhanced);
}

static int by_series(const void *a, const void *b)
{
	return strcmp(((const entry *)a)->slice.series_uid, ((const entry *)b)->slice.series_uid);
}

/* "1.2.3 'Body 1.0' (80 slices), ..." of entries that are in the order of their series; as much as fits. */
static void list_series(const series *s, char *text, size_t size)
{
	size_t used = 0;
	for (size_t first = 0, next; first < s->count; first = next) {
		const iso_ct_slice *slice = &s->entry[first].slice;
		for (next = first; next < s->count && by_series(s->entry + first, s->entry + next) == 0;) next++;
		char one[160];
		const int n =
		    snprintf(one, sizeof one, "%s%s '%.40s' (%zu slice%s)", first ? ", " : "", slice->series_uid,
			     slice->description, next - first, next - first > 1 ? "s" : "");
		if (used + (size_t)n + 4 > size) {
			strcpy(text + used, "...");
			return;
		}
		strcpy(text + used, one);
		used += (size_t)n;
	}
}

/* Keeps the entries of one series. */
static iso_status choose_series(series *s, const char *uid, iso_error *err)
{
	size_t kept = 0, found = 1;
	char text[400] = "";
	qsort(s->entry, s->count, sizeof *s->entry, by_series);
	for (size_t n = 1; n < s->count; n++) found += by_series(s->entry + n - 1, s->entry + n) != 0;
	list_series(s, text, sizeof text);
	if (!uid && found > 1)
		return iso_fail(err, ISO_BAD_INPUT, s->path, "choose one with --ct-series UID",
				"%zu CT series in one folder: %s", found, text);
	for (size_t n = 0; n < s->count; n++)
		if (!uid || strcmp(s->entry[n].slice.series_uid, uid) == 0) s->entry[kept++] = s->entry[n];
	if (!kept)
		return iso_fail(err, ISO_BAD_INPUT, s->path, "choose one that is there", "no CT series %s, but: %s",
				uid, text);
	s->count = kept;
	return ISO_OK;
}

#define FAIL(s, n, err, remedy, ...) iso_fail(err, ISO_BAD_INPUT, (s)->entry[n].path, remedy, __VA_ARGS__)

/* What every slice must have, and all of them alike. */
static iso_status check_slices(const series *s, iso_error *err)
{
	const iso_ct_slice *first = &s->entry[0].slice;
	for (size_t n = 0; n < s->count; n++) {
		const iso_ct_slice *slice = &s->entry[n].slice;
		if (slice->missing)
			return FAIL(s, n, err, "export the series again from where it came", "the CT image has no %s",
				    slice->missing);
		if (fabs(slice->tilt_deg) > 0.01)
			return FAIL(s, n, err, "use a CT without gantry tilt, or resample it to upright slices first",
				    "the gantry was tilted by %g degrees", slice->tilt_deg);
		if (strcmp(slice->patient, first->patient) != 0)
			return FAIL(s, n, err, "put each patient's files into a folder of their own",
				    "another patient than in %s, in the same series", s->entry[0].path);
		if (strcmp(slice->frame_of_reference_uid, first->frame_of_reference_uid) != 0)
			return FAIL(s, n, err, "export the series again from where it came",
				    "another frame of reference than in %s, in the same series", s->entry[0].path);
		bool same = slice->rows == first->rows && slice->columns == first->columns;
		for (int a = 0; a < 2; a++) {
			same = same && fabs(slice->spacing_mm[a] / first->spacing_mm[a] - 1) < 1e-3;
			for (int k = 0; k < 3; k++)
				same = same && fabs(slice->direction[a][k] - first->direction[a][k]) < 1e-3;
		}
		if (!same)
			return FAIL(s, n, err, "export the series again, or remove what does not belong to it",
				    "size, spacing or direction differ from those of %s", s->entry[0].path);
		if (fabs(slice->kvp - first->kvp) > 0.5 || isnan(slice->kvp) != isnan(first->kvp))
			return FAIL(s, n, err, "use a series of one tube voltage",
				    "%g kV, but %g kV in %s: two tube voltages in one series", slice->kvp, first->kvp,
				    s->entry[0].path);
	}
	return ISO_OK;
}

static int by_position(const void *a, const void *b)
{
	const entry *one = a, *two = b;
	return one->along_mm < two->along_mm ? -1 : one->along_mm > two->along_mm ? 1 : strcmp(one->path, two->path);
}

static int by_size(const void *a, const void *b)
{
	const double one = *(const double *)a, two = *(const double *)b;
	return (one > two) - (one < two);
}

/* The usual distance of neighbours: the median, which a few gaps do not change. */
static iso_status find_step(series *s, iso_error *err)
{
	if (s->count == 1) {
		s->step_mm = s->entry[0].slice.thickness_mm;
		if (s->step_mm > 0) return ISO_OK;
		return FAIL(s, 0, err, "give the whole series", "a single slice without Slice Thickness (0018,0050)");
	}
	double *step = calloc(s->count, sizeof *step);
	if (!step) return iso_fail_memory(err, "a CT series", s->count * sizeof *step);
	for (size_t n = 1; n < s->count; n++) step[n - 1] = s->entry[n].along_mm - s->entry[n - 1].along_mm;
	qsort(step, s->count - 1, sizeof *step, by_size);
	s->step_mm = step[(s->count - 1) / 2];
	free(step);
	return ISO_OK;
}

static iso_status check_step(const series *s, size_t n, const double across[2], iso_error *err)
{
	const double step = s->entry[n].along_mm - s->entry[n - 1].along_mm;
	const double tolerance = fmax(0.01 * s->step_mm, 0.05);
	/* below the tolerance twice over no spacing could be told from none */
	if (step < fmin(0.5 * s->step_mm, 0.01) || step < 1e-4)
		return FAIL(s, n, err, "remove one of them, or separate the two acquisitions into folders",
			    "it lies at the same place as %s, %.4g mm along the slices' normal", s->entry[n - 1].path,
			    s->entry[n].along_mm);
	if (fabs(step - s->step_mm) > fmin(tolerance, 0.25 * s->step_mm))
		return FAIL(s, n, err, "find the missing files; equal spacing is needed",
			    "a gap: %.4g mm from %s where others are %.4g mm apart; about %.0f slices are missing",
			    step, s->entry[n - 1].path, s->step_mm, fmax(rint(step / s->step_mm) - 1, 0));
	if (fabs(across[0]) > tolerance || fabs(across[1]) > tolerance)
		return FAIL(s, n, err, "use a CT without gantry tilt, or resample it to upright slices first",
			    "the slices are sheared: this one lies %.3g mm aside of its neighbour",
			    hypot(across[0], across[1]));
	return ISO_OK;
}

/* Sorts, and finds the grid of all slices together. */
static iso_status arrange(series *s, iso_grid *grid, iso_error *err)
{
	const iso_ct_slice *first = &s->entry[0].slice;
	*grid = (iso_grid){.size = {first->columns, first->rows, s->count},
			   .voxel_mm = {first->spacing_mm[1], first->spacing_mm[0], 1}};
	for (int k = 0; k < 3; k++) {
		const int k1 = (k + 1) % 3, k2 = (k + 2) % 3;
		grid->direction[0][k] = first->direction[0][k];
		grid->direction[1][k] = first->direction[1][k];
		grid->direction[2][k] = first->direction[0][k1] * first->direction[1][k2] -
					first->direction[0][k2] * first->direction[1][k1];
	}
	iso_status status = iso_grid_check(grid, s->entry[0].path, err);
	if (status != ISO_OK) return status;
	for (size_t n = 0; n < s->count; n++) {
		s->entry[n].along_mm = 0;
		for (int k = 0; k < 3; k++)
			s->entry[n].along_mm += grid->direction[2][k] * s->entry[n].slice.position_mm[k];
	}
	qsort(s->entry, s->count, sizeof *s->entry, by_position);
	status = find_step(s, err);
	for (size_t n = 1; n < s->count && status == ISO_OK; n++) {
		double across[2] = {0, 0};
		for (int a = 0; a < 2; a++)
			for (int k = 0; k < 3; k++)
				across[a] += grid->direction[a][k] *
					     (s->entry[n].slice.position_mm[k] - s->entry[n - 1].slice.position_mm[k]);
		status = check_step(s, n, across, err);
	}
	if (status != ISO_OK) return status;
	memcpy(grid->origin_mm, s->entry[0].slice.position_mm, sizeof grid->origin_mm);
	grid->voxel_mm[2] = s->count == 1
				? s->step_mm
				: (s->entry[s->count - 1].along_mm - s->entry[0].along_mm) / (double)(s->count - 1);
	return iso_grid_check(grid, s->entry[0].path, err);
}

static void state_facts(const series *s, iso_ct_facts *facts)
{
	const iso_ct_slice *first = &s->entry[0].slice;
	facts->kvp = first->kvp > 0 ? first->kvp : (double)NAN;
	facts->slices = s->count;
	strcpy(facts->series_uid, first->series_uid);
	strcpy(facts->frame_of_reference_uid, first->frame_of_reference_uid);
	strcpy(facts->description, first->description);
	strcpy(facts->manufacturer, first->manufacturer);
	strcpy(facts->kernel, first->kernel);
}

static iso_status read_series(series *s, const char *series_uid, iso_image **out, iso_ct_facts *facts, iso_error *err)
{
	iso_grid grid;
	iso_image *image = NULL;
	iso_status status = look_at_files(s, err);
	if (status == ISO_OK) status = choose_series(s, series_uid, err);
	if (status == ISO_OK) status = check_slices(s, err);
	if (status == ISO_OK) status = arrange(s, &grid, err);
	if (status == ISO_OK) status = iso_image_create(&grid, ISO_UNIT_HU, &image, err);
	for (size_t n = 0; n < s->count && status == ISO_OK; n++) {
		const iso_progress *p = s->progress;
		float *plane = image->voxels + n * grid.size[0] * grid.size[1];
		status = iso_ct_slice_read(s->entry[n].path, &s->entry[n].slice, plane, err);
		if (status == ISO_OK && p && p->report &&
		    p->report(p->user, "reading CT", (double)(n + 1) / (double)s->count))
			status = iso_fail(err, ISO_CANCELLED, s->path, "start again", "stopped while reading the CT");
	}
	if (status != ISO_OK) {
		iso_image_free(image);
		return status;
	}
	state_facts(s, facts);
	if (s->no_dicom + s->other)
		iso_note(s->progress, "CT: %zu files in %s are no slices of a CT and were passed over",
			 s->no_dicom + s->other, s->path);
	*out = image;
	return ISO_OK;
}

/* Air has -1000 HU: an image whose values are all close to 0 is something else. */
static iso_status check_hounsfield(const iso_image *image, const char *path, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&image->grid);
	float low = INFINITY, high = -INFINITY;
	for (size_t v = 0; v < voxels; v++) {
		low = fminf(low, image->voxels[v]);
		high = fmaxf(high, image->voxels[v]);
	}
	if (low > -50 && high < 50)
		return iso_fail(err, ISO_BAD_INPUT, path, "give a map in 1/cm as --mu, a CT in Hounsfield units",
				"values from %g to %g are no Hounsfield units", (double)low, (double)high);
	return ISO_OK;
}

static bool is_nifti(const char *path)
{
	const size_t length = strlen(path);
	return (length > 4 && strcmp(path + length - 4, ".nii") == 0) ||
	       (length > 7 && strcmp(path + length - 7, ".nii.gz") == 0);
}

iso_status iso_ct_read(const char *path, const char *series_uid, const iso_progress *progress, iso_image **out,
		       iso_ct_facts *facts, iso_error *err)
{
	iso_ct_facts own;
	series s = {.path = path, .progress = progress};
	*out = NULL;
	if (!facts) facts = &own;
	memset(facts, 0, sizeof *facts);
	facts->kvp = (double)NAN;
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/') length--;
	const char *slash = memrchr(path, '/', length), *name = slash && length > 1 ? slash + 1 : path;
	const size_t named = (size_t)(path + length - name), room = sizeof facts->source - 1;
	memcpy(facts->source, name, named < room ? named : room);
	iso_status status;
	if (is_nifti(path)) {
		if (series_uid)
			return iso_fail(err, ISO_BAD_USAGE, path, "leave --ct-series out",
					"a NIfTI file has no series");
		status = iso_nifti_read_image(path, ISO_UNIT_HU, out, err);
		if (status == ISO_OK) status = check_hounsfield(*out, path, err);
	} else
		status = read_series(&s, series_uid, out, facts, err);
	free(s.entry);
	iso_file_list_free(&s.files);
	if (status != ISO_OK) {
		iso_image_free(*out);
		*out = NULL;
	}
	return status;
}
