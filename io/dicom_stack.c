/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/dicom_stack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static const char *look(const iso_dicom_item *set, iso_slice *s)
{
	double directions[6], size[2];
	const char *missing = NULL;
	iso_dicom_text(set, 0x00080018, s->instance_uid, sizeof s->instance_uid);
	iso_dicom_text(set, 0x0020000e, s->series_uid, sizeof s->series_uid);
	iso_dicom_text(set, 0x00200052, s->frame_of_reference_uid, sizeof s->frame_of_reference_uid);
	iso_dicom_text(set, 0x0008103e, s->description, sizeof s->description);
	if (!iso_dicom_text(set, 0x00100020, s->patient, sizeof s->patient))
		iso_dicom_text(set, 0x00100010, s->patient, sizeof s->patient);
	s->thickness_mm = iso_dicom_number(set, 0x00180050, 0);
	/* the last that is missing is overwritten by the first */
	s->intercept = iso_dicom_number(set, 0x00281052, 0);
	if (isnan(s->intercept)) missing = "Rescale Intercept (0028,1052)";
	s->slope = iso_dicom_number(set, 0x00281053, 0);
	if (isnan(s->slope) || s->slope == 0) missing = "Rescale Slope (0028,1053)";
	if (!iso_dicom_numbers(set, 0x00280030, s->spacing_mm, 2) || !(s->spacing_mm[0] > 0 && s->spacing_mm[1] > 0))
		missing = "Pixel Spacing (0028,0030)";
	if (!iso_dicom_numbers(set, 0x00200037, directions, 6)) missing = "Image Orientation (Patient) (0020,0037)";
	if (!iso_dicom_numbers(set, 0x00200032, s->position_mm, 3)) missing = "Image Position (Patient) (0020,0032)";
	memcpy(s->direction, directions, sizeof directions);
	for (int a = 0; a < 2; a++) size[a] = iso_dicom_number(set, a ? 0x00280011 : 0x00280010, 0);
	if (!(size[1] >= 1 && size[1] <= 65535)) missing = "Columns (0028,0011)";
	if (!(size[0] >= 1 && size[0] <= 65535)) missing = "Rows (0028,0010)";
	if (!s->series_uid[0]) missing = "Series Instance UID (0020,000E)";
	s->rows = size[0] >= 1 && size[0] <= 65535 ? (unsigned)size[0] : 0;
	s->columns = size[1] >= 1 && size[1] <= 65535 ? (unsigned)size[1] : 0;
	return missing;
}

static iso_status look_at_file(iso_stack *s, const char *path, iso_slice_chooser chooser, iso_error *err)
{
	iso_dicom *file;
	iso_status status = iso_dicom_open(path, &file, err);
	if (status != ISO_OK) return status;
	if (!file) {
		s->no_dicom++;
		return ISO_OK;
	}
	iso_slice *slice = s->slice + s->count;
	memset(slice, 0, sizeof *slice);
	const iso_slice_kind kind = chooser(file, slice);
	s->other += kind == ISO_SLICE_OTHER;
	s->enhanced += kind == ISO_SLICE_ENHANCED;
	if (kind == ISO_SLICE_WANTED) {
		slice->path = path;
		slice->missing = look(iso_dicom_root(file), slice);
		s->count++;
	}
	status = iso_dicom_check(ISO_OK, path, err);
	iso_dicom_close(file);
	return status;
}

iso_status iso_stack_collect(iso_stack *s, iso_slice_chooser chooser, iso_error *err)
{
	iso_status status = iso_file_list_collect(s->path, &s->files, err);
	if (status != ISO_OK) return status;
	s->slice = malloc((s->files.count + 1) * sizeof *s->slice);
	if (!s->slice) return iso_fail_memory(err, "a DICOM series", s->files.count * sizeof *s->slice);
	for (size_t f = 0; f < s->files.count && status == ISO_OK; f++)
		status = look_at_file(s, s->files.path[f], chooser, err);
	return status;
}

void iso_stack_free(iso_stack *s)
{
	free(s->slice);
	iso_file_list_free(&s->files);
}

static int by_series(const void *a, const void *b)
{
	return strcmp(((const iso_slice *)a)->series_uid, ((const iso_slice *)b)->series_uid);
}

/* "1.2.3 'Body 1.0' (80 slices), ..." of slices that are in the order of their series; as much as fits. */
static void list_series(const iso_stack *s, char *text, size_t size)
{
	size_t used = 0;
	for (size_t first = 0, next; first < s->count; first = next) {
		const iso_slice *slice = s->slice + first;
		for (next = first; next < s->count && by_series(slice, s->slice + next) == 0;) next++;
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

iso_status iso_stack_choose(iso_stack *s, const char *uid, iso_error *err)
{
	size_t kept = 0, found = 1;
	char text[400] = "", remedy[80];
	qsort(s->slice, s->count, sizeof *s->slice, by_series);
	for (size_t n = 1; n < s->count; n++) found += by_series(s->slice + n - 1, s->slice + n) != 0;
	list_series(s, text, sizeof text);
	snprintf(remedy, sizeof remedy, "choose one with %s UID", s->option);
	if (!uid && found > 1)
		return iso_fail(err, ISO_BAD_INPUT, s->path, remedy, "%zu %s series in one folder: %s", found, s->what,
				text);
	for (size_t n = 0; n < s->count; n++)
		if (!uid || strcmp(s->slice[n].series_uid, uid) == 0) s->slice[kept++] = s->slice[n];
	if (!kept)
		return iso_fail(err, ISO_BAD_INPUT, s->path, "choose one that is there", "no %s series %s, but: %s",
				s->what, uid, text);
	s->count = kept;
	return ISO_OK;
}

#define FAIL(s, n, err, remedy, ...) iso_fail(err, ISO_BAD_INPUT, (s)->slice[n].path, remedy, __VA_ARGS__)

iso_status iso_stack_check(const iso_stack *s, iso_error *err)
{
	const iso_slice *first = s->slice;
	for (size_t n = 0; n < s->count; n++) {
		const iso_slice *slice = s->slice + n;
		if (slice->missing)
			return FAIL(s, n, err, "export the series again from where it came", "the %s image has no %s",
				    s->what, slice->missing);
		if (strcmp(slice->patient, first->patient) != 0)
			return FAIL(s, n, err, "put each patient's files into a folder of their own",
				    "another patient than in %s, in the same series", first->path);
		if (strcmp(slice->frame_of_reference_uid, first->frame_of_reference_uid) != 0)
			return FAIL(s, n, err, "export the series again from where it came",
				    "another frame of reference than in %s, in the same series", first->path);
		bool same = slice->rows == first->rows && slice->columns == first->columns;
		for (int a = 0; a < 2; a++) {
			same = same && fabs(slice->spacing_mm[a] / first->spacing_mm[a] - 1) < 1e-3;
			for (int k = 0; k < 3; k++)
				same = same && fabs(slice->direction[a][k] - first->direction[a][k]) < 1e-3;
		}
		if (!same)
			return FAIL(s, n, err, "export the series again, or remove what does not belong to it",
				    "size, spacing or direction differ from those of %s", first->path);
	}
	return ISO_OK;
}

static int by_time(const void *a, const void *b)
{
	const iso_slice *one = a, *two = b;
	if (one->time_s != two->time_s) return one->time_s < two->time_s ? -1 : 1;
	return strcmp(one->path, two->path);
}

static int by_place(const void *a, const void *b)
{
	const iso_slice *one = a, *two = b;
	if (one->along_mm != two->along_mm) return one->along_mm < two->along_mm ? -1 : 1;
	return by_time(a, b);
}

iso_status iso_stack_sort(iso_stack *s, iso_grid *grid, iso_error *err)
{
	const iso_slice *first = s->slice;
	*grid = (iso_grid){.size = {first->columns, first->rows, 1},
			   .voxel_mm = {first->spacing_mm[1], first->spacing_mm[0], 1}};
	for (int k = 0; k < 3; k++) {
		const int k1 = (k + 1) % 3, k2 = (k + 2) % 3;
		grid->direction[0][k] = first->direction[0][k];
		grid->direction[1][k] = first->direction[1][k];
		grid->direction[2][k] = first->direction[0][k1] * first->direction[1][k2] -
					first->direction[0][k2] * first->direction[1][k1];
	}
	const iso_status status = iso_grid_check(grid, first->path, err);
	if (status != ISO_OK) return status;
	for (size_t n = 0; n < s->count; n++) {
		s->slice[n].along_mm = 0;
		for (int k = 0; k < 3; k++) s->slice[n].along_mm += grid->direction[2][k] * s->slice[n].position_mm[k];
	}
	qsort(s->slice, s->count, sizeof *s->slice, by_place);
	/* Places that rounding keeps apart are one. */
	for (size_t one = 0, next; one < s->count; one = next) {
		for (next = one + 1;
		     next < s->count && s->slice[next].along_mm - s->slice[one].along_mm < ISO_SAME_PLACE_MM;)
			next++;
		qsort(s->slice + one, next - one, sizeof *s->slice, by_time);
	}
	return ISO_OK;
}

static int by_size(const void *a, const void *b)
{
	const double one = *(const double *)a, two = *(const double *)b;
	return (one > two) - (one < two);
}

/* The usual distance of neighbours: the median, which a few gaps do not change. */
static iso_status find_step(iso_stack *s, size_t first, size_t stride, size_t slices, iso_error *err)
{
	const iso_slice *slice = s->slice + first;
	if (slices == 1) {
		s->step_mm = slice->thickness_mm;
		if (s->step_mm > 0) return ISO_OK;
		return FAIL(s, first, err, "give the whole series",
			    "a single slice without Slice Thickness (0018,0050)");
	}
	double *step = calloc(slices, sizeof *step);
	if (!step) return iso_fail_memory(err, "a DICOM series", slices * sizeof *step);
	for (size_t n = 1; n < slices; n++) step[n - 1] = slice[n * stride].along_mm - slice[(n - 1) * stride].along_mm;
	qsort(step, slices - 1, sizeof *step, by_size);
	s->step_mm = step[(slices - 1) / 2];
	free(step);
	return ISO_OK;
}

static iso_status check_step(const iso_stack *s, size_t n, size_t before, const iso_grid *grid, iso_error *err)
{
	const iso_slice *one = s->slice + before, *two = s->slice + n;
	const double step = two->along_mm - one->along_mm;
	const double tolerance = fmax(0.01 * s->step_mm, 0.05);
	double across[2] = {0, 0};
	for (int a = 0; a < 2; a++)
		for (int k = 0; k < 3; k++)
			across[a] += grid->direction[a][k] * (two->position_mm[k] - one->position_mm[k]);
	/* below the tolerance twice over no spacing could be told from none */
	if (step < fmin(0.5 * s->step_mm, 0.01) || step < 1e-4)
		return FAIL(s, n, err, "remove one of them, or separate the two acquisitions into folders",
			    "it lies at the same place as %s, %.4g mm along the slices' normal", one->path,
			    two->along_mm);
	if (fabs(step - s->step_mm) > fmin(tolerance, 0.25 * s->step_mm))
		return FAIL(s, n, err, "find the missing files; equal spacing is needed",
			    "a gap: %.4g mm from %s where others are %.4g mm apart; about %.0f slices are missing",
			    step, one->path, s->step_mm, fmax(rint(step / s->step_mm) - 1, 0));
	if (fabs(across[0]) > tolerance || fabs(across[1]) > tolerance)
		return FAIL(s, n, err, "use a scan without gantry tilt, or resample it to upright slices first",
			    "the slices are sheared: this one lies %.3g mm aside of its neighbour",
			    hypot(across[0], across[1]));
	return ISO_OK;
}

iso_status iso_stack_measure(iso_stack *s, size_t first, size_t stride, size_t slices, iso_grid *grid, iso_error *err)
{
	const iso_slice *slice = s->slice + first;
	iso_status status = find_step(s, first, stride, slices, err);
	for (size_t n = 1; n < slices && status == ISO_OK; n++)
		status = check_step(s, first + n * stride, first + (n - 1) * stride, grid, err);
	if (status != ISO_OK) return status;
	grid->size[2] = slices;
	memcpy(grid->origin_mm, slice->position_mm, sizeof grid->origin_mm);
	grid->voxel_mm[2] =
	    slices == 1 ? s->step_mm : (slice[(slices - 1) * stride].along_mm - slice->along_mm) / (double)(slices - 1);
	return iso_grid_check(grid, slice->path, err);
}

iso_status iso_slice_open(const iso_slice *slice, iso_dicom **file, iso_error *err)
{
	const iso_status status = iso_dicom_open(slice->path, file, err);
	if (status != ISO_OK || *file) return status;
	return iso_fail(err, ISO_BAD_INPUT, slice->path, "start again", "it has changed");
}

iso_status iso_slice_pixels(iso_dicom *file, const iso_slice *slice, float *value, iso_error *err)
{
	iso_dicom_pixels pixels;
	iso_status status = iso_dicom_read_pixels(file, &pixels, err);
	if (status == ISO_OK && pixels.frames != 1)
		status = iso_fail(err, ISO_BAD_INPUT, slice->path, "export the series again, one file per slice",
				  "this image cannot be read: it has several frames");
	if (status == ISO_OK && (pixels.rows != slice->rows || pixels.columns != slice->columns))
		status = iso_fail(err, ISO_BAD_INPUT, slice->path, "start again", "it has changed");
	for (size_t n = 0; n < pixels.rows * pixels.columns && status == ISO_OK; n++)
		value[n] = (float)(slice->slope * pixels.value[n] + slice->intercept);
	free(pixels.value);
	return status;
}

iso_status iso_slice_read(const iso_slice *slice, float *value, iso_error *err)
{
	iso_dicom *file = NULL;
	iso_status status = iso_slice_open(slice, &file, err);
	if (status == ISO_OK) status = iso_slice_pixels(file, slice, value, err);
	iso_dicom_close(file);
	return status;
}

void iso_stack_source(const char *path, char *name, size_t size)
{
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/') length--;
	const char *slash = memrchr(path, '/', length), *last = slash && length > 1 ? slash + 1 : path;
	snprintf(name, size, "%.*s", (int)(path + length - last), last);
}
