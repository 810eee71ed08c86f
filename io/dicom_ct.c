/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT from a folder of DICOM files, or from NIfTI. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "io/dicom_stack.h"
#include "isotrace/ct.h"
#include "isotrace/nifti.h"

#define CT_CLASS          "1.2.840.10008.5.1.4.1.1.2"
#define ENHANCED_CT_CLASS "1.2.840.10008.5.1.4.1.1.2.1"

enum { KVP, TILT_DEG };

static iso_slice_kind choose(const iso_dicom *file, iso_slice *slice)
{
	char types[256];
	const char *sop_class = iso_dicom_class(file);
	if (strcmp(sop_class, ENHANCED_CT_CLASS) == 0) return ISO_SLICE_ENHANCED;
	const iso_dicom_item *set = iso_dicom_root(file);
	slice->fact[KVP] = iso_dicom_number(set, 0x00180060, 0);
	slice->fact[TILT_DEG] = iso_dicom_number(set, 0x00181120, 0);
	iso_dicom_text(set, 0x00080008, types, sizeof types);
	return strcmp(sop_class, CT_CLASS) == 0 && !strstr(types, "LOCALIZER") ? ISO_SLICE_WANTED : ISO_SLICE_OTHER;
}

/* What only a CT has: no tilt, and one tube voltage. */
static iso_status check_ct(const iso_stack *s, iso_error *err)
{
	const iso_slice *first = s->slice;
	for (size_t n = 0; n < s->count; n++) {
		const double *fact = s->slice[n].fact;
		if (fabs(fact[TILT_DEG]) > 0.01)
			return iso_fail(err, ISO_BAD_INPUT, s->slice[n].path,
					"use a CT without gantry tilt, or resample it to upright slices first",
					"the gantry was tilted by %g degrees", fact[TILT_DEG]);
		if (fabs(fact[KVP] - first->fact[KVP]) > 0.5 || isnan(fact[KVP]) != isnan(first->fact[KVP]))
			return iso_fail(err, ISO_BAD_INPUT, s->slice[n].path, "use a series of one tube voltage",
					"%g kV, but %g kV in %s: two tube voltages in one series", fact[KVP],
					first->fact[KVP], first->path);
	}
	return ISO_OK;
}

static iso_status state_facts(const iso_stack *s, iso_ct_facts *facts, iso_error *err)
{
	const iso_slice *first = s->slice;
	iso_dicom *file;
	iso_status status = iso_slice_open(first, &file, err);
	if (status != ISO_OK) return status;
	iso_dicom_text(iso_dicom_root(file), 0x00080070, facts->manufacturer, sizeof facts->manufacturer);
	iso_dicom_text(iso_dicom_root(file), 0x00181210, facts->kernel, sizeof facts->kernel);
	facts->kvp = first->fact[KVP] > 0 ? first->fact[KVP] : (double)NAN;
	facts->slices = s->count;
	strcpy(facts->series_uid, first->series_uid);
	strcpy(facts->frame_of_reference_uid, first->frame_of_reference_uid);
	strcpy(facts->description, first->description);
	status = iso_dicom_check(ISO_OK, first->path, err);
	iso_dicom_close(file);
	return status;
}

static iso_status read_slices(iso_stack *s, const iso_progress *p, const iso_grid *grid, iso_image **out,
			      iso_error *err)
{
	iso_status status = iso_image_create(grid, ISO_UNIT_HU, out, err);
	for (size_t n = 0; n < s->count && status == ISO_OK; n++) {
		status = iso_slice_read(s->slice + n, (*out)->voxels + n * grid->size[0] * grid->size[1], err);
		if (status == ISO_OK && p && p->report &&
		    p->report(p->user, "reading CT", (double)(n + 1) / (double)s->count))
			status = iso_fail(err, ISO_CANCELLED, s->path, "start again", "stopped while reading the CT");
	}
	return status;
}

static iso_status read_series(const char *path, const char *series_uid, const iso_progress *progress, iso_image **out,
			      iso_ct_facts *facts, iso_error *err)
{
	iso_grid grid;
	iso_stack s = {.path = path, .what = "CT", .option = "--ct-series"};
	iso_status status = iso_stack_collect(&s, choose, err);
	if (status == ISO_OK && !s.count)
		status =
		    iso_fail(err, ISO_BAD_INPUT, path,
			     s.enhanced ? "export it as classic CT images, one file per slice"
					: "name the folder or file of a CT series, or a NIfTI file in HU",
			     "there is no CT image here: %zu files are no DICOM, %zu other objects, %zu Enhanced CT",
			     s.no_dicom, s.other, s.enhanced);
	if (status == ISO_OK) status = iso_stack_choose(&s, series_uid, err);
	if (status == ISO_OK) status = iso_stack_check(&s, err);
	if (status == ISO_OK) status = check_ct(&s, err);
	if (status == ISO_OK) status = iso_stack_sort(&s, &grid, err);
	if (status == ISO_OK) status = iso_stack_measure(&s, 0, 1, s.count, &grid, err);
	if (status == ISO_OK) status = read_slices(&s, progress, &grid, out, err);
	if (status == ISO_OK) status = state_facts(&s, facts, err);
	if (status == ISO_OK && s.no_dicom + s.other)
		iso_note(progress, "CT: %zu files in %s are no slices of a CT and were passed over",
			 s.no_dicom + s.other, path);
	iso_stack_free(&s);
	return status;
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
	*out = NULL;
	if (!facts) facts = &own;
	memset(facts, 0, sizeof *facts);
	facts->kvp = (double)NAN;
	iso_stack_source(path, facts->source, sizeof facts->source);
	iso_status status;
	if (is_nifti(path)) {
		if (series_uid)
			return iso_fail(err, ISO_BAD_USAGE, path, "leave --ct-series out",
					"a NIfTI file has no series");
		status = iso_nifti_read_image(path, ISO_UNIT_HU, out, err);
		if (status == ISO_OK) status = check_hounsfield(*out, path, err);
	} else
		status = read_series(path, series_uid, progress, out, facts, err);
	if (status != ISO_OK) {
		iso_image_free(*out);
		*out = NULL;
	}
	return status;
}
