/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is in a folder of DICOM files, series by series. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_gating_in.h"
#include "io/dicom_in.h"
#include "io/file_list.h"

static const struct {
	const char *text, *advice;
} uses[ISO_DICOM_USES] = {
    [ISO_DICOM_NO_USE] = {"other object", "nothing here"},
    [ISO_DICOM_CT] = {"CT series", "attenuation: recon --ct, mu --ct"},
    [ISO_DICOM_PET] = {"PET series", "a volume: convert -o X.nii.gz"},
    [ISO_DICOM_NM_IMAGE] = {"reconstructed NM image", "a volume: convert -o X.nii.gz"},
    [ISO_DICOM_NM_PROJECTIONS] = {"NM projections", "list-mode: convert -o X.lm.h5"},
    [ISO_DICOM_SEGMENTATION] = {"segmentation", "organs: convert -o ORGANS.nii.gz"},
    [ISO_DICOM_STRUCTURES] = {"RT structure set", "organs: convert --like IMAGE -o ORGANS.nii.gz"},
};

const char *iso_dicom_use_text(iso_dicom_use use)
{
	return uses[use < ISO_DICOM_USES ? use : ISO_DICOM_NO_USE].text;
}

const char *iso_dicom_use_advice(iso_dicom_use use)
{
	return uses[use < ISO_DICOM_USES ? use : ISO_DICOM_NO_USE].advice;
}

/* An object with the patient that it belongs to, by whom it is sorted and who is shown nowhere. */
typedef struct object {
	iso_dicom_series series;
	char patient[65];
} object;

static iso_dicom_use use_of(const char *class_uid, const iso_dicom_item *set)
{
	char types[128];
	iso_dicom_text(set, 0x00080008, types, sizeof types);
	if (strcmp(class_uid, "1.2.840.10008.5.1.4.1.1.2") == 0)
		return strstr(types, "LOCALIZER") ? ISO_DICOM_NO_USE : ISO_DICOM_CT;
	if (strcmp(class_uid, ISO_PET_CLASS) == 0) return ISO_DICOM_PET;
	if (strcmp(class_uid, ISO_SEG_CLASS) == 0) return ISO_DICOM_SEGMENTATION;
	if (strcmp(class_uid, ISO_RTSTRUCT_CLASS) == 0) return ISO_DICOM_STRUCTURES;
	if (strcmp(class_uid, ISO_NM_CLASS) != 0) return ISO_DICOM_NO_USE;
	/* values 3 of NM: RECON TOMO, RECON GATED TOMO, TOMO; gated projections, whole-body and planar images have no use here */
	if (iso_gating_in_nm(set) || strstr(types, "\\RECON TOMO\\") ||
	    (strlen(types) > 11 && !strcmp(types + strlen(types) - 11, "\\RECON TOMO")))
		return ISO_DICOM_NM_IMAGE;
	return strstr(types, "\\TOMO\\") || (strlen(types) > 5 && !strcmp(types + strlen(types) - 5, "\\TOMO"))
		   ? ISO_DICOM_NM_PROJECTIONS
		   : ISO_DICOM_NO_USE;
}

/* Time slots of a gated image; 0 of any other. */
static size_t gates_of(iso_dicom_use use, const iso_dicom_item *set)
{
	const bool gated = use == ISO_DICOM_PET        ? iso_gating_in_pet(set)
			   : use == ISO_DICOM_NM_IMAGE ? iso_gating_in_nm(set)
						       : false;
	if (!gated) return 0;
	const double slots = iso_dicom_number(set, 0x00540071, 0);
	return slots >= 1 && slots <= 65535 ? (size_t)slots : 0;
}

static void describe(const iso_dicom *file, const char *path, object *o)
{
	const iso_dicom_item *set = iso_dicom_root(file);
	iso_dicom_series *s = &o->series;
	memset(o, 0, sizeof *o);
	snprintf(s->class_uid, sizeof s->class_uid, "%s", iso_dicom_class(file));
	s->use = use_of(s->class_uid, set);
	s->gates = gates_of(s->use, set);
	iso_dicom_text(set, 0x0020000e, s->series_uid, sizeof s->series_uid);
	iso_dicom_text(set, 0x0020000d, s->study_uid, sizeof s->study_uid);
	iso_dicom_text(set, 0x00200052, s->frame_of_reference_uid, sizeof s->frame_of_reference_uid);
	iso_dicom_text(set, 0x00080060, s->modality, sizeof s->modality);
	iso_dicom_text(set, 0x0008103e, s->description, sizeof s->description);
	if (!iso_dicom_text(set, 0x00100020, o->patient, sizeof o->patient))
		iso_dicom_text(set, 0x00100010, o->patient, sizeof o->patient);
	snprintf(s->first_file, sizeof s->first_file, "%s", path);
	s->files = 1;
}

/* Patients by their IDs, so that their numbers do not depend on the names of files. */
static int in_order(const void *a, const void *b)
{
	const object *one = a, *two = b;
	int order = strcmp(one->patient, two->patient);
	if (!order) order = strcmp(one->series.study_uid, two->series.study_uid);
	if (!order) order = strcmp(one->series.series_uid, two->series.series_uid);
	if (!order) order = strcmp(one->series.class_uid, two->series.class_uid);
	if (!order) order = (int)one->series.use - (int)two->series.use;
	return order ? order : strcmp(one->series.first_file, two->series.first_file);
}

static bool same_series(const object *a, const object *b)
{
	return strcmp(a->patient, b->patient) == 0 && strcmp(a->series.study_uid, b->series.study_uid) == 0 &&
	       strcmp(a->series.series_uid, b->series.series_uid) == 0 &&
	       strcmp(a->series.class_uid, b->series.class_uid) == 0 && a->series.use == b->series.use;
}

static void group(object *all, size_t count, iso_dicom_folder *folder)
{
	qsort(all, count, sizeof *all, in_order);
	for (size_t n = 0; n < count; n++) {
		folder->patients += n == 0 || strcmp(all[n].patient, all[n - 1].patient) != 0;
		if (n && same_series(all + n - 1, all + n)) {
			folder->series[folder->count - 1].files++;
			continue;
		}
		all[n].series.patient = folder->patients;
		folder->series[folder->count++] = all[n].series;
	}
}

static iso_status look_at(const char *path, iso_dicom_folder *folder, object *all, size_t *count, iso_error *err)
{
	iso_dicom *file;
	iso_status status = iso_dicom_open(path, &file, err);
	if (status == ISO_BAD_INPUT) {
		if (!folder->damaged++) snprintf(folder->first_damaged, sizeof folder->first_damaged, "%s", path);
		return ISO_OK;
	}
	if (status != ISO_OK) return status;
	if (!file) {
		folder->no_dicom++;
		return ISO_OK;
	}
	describe(file, path, all + (*count)++);
	status = iso_dicom_check(ISO_OK, path, err);
	iso_dicom_close(file);
	return status;
}

iso_status iso_dicom_look(const char *path, iso_dicom_folder **out, iso_error *err)
{
	iso_file_list files = {.path = NULL};
	object *all = NULL;
	size_t count = 0;
	iso_dicom_folder *folder = calloc(1, sizeof *folder);
	*out = NULL;
	if (!folder) return iso_fail_memory(err, "a folder of DICOM files", sizeof *folder);
	iso_status status = iso_file_list_collect(path, &files, err);
	if (status == ISO_OK) {
		all = malloc((files.count + 1) * sizeof *all);
		folder->series = malloc((files.count + 1) * sizeof *folder->series);
		if (!all || !folder->series)
			status = iso_fail_memory(err, "a folder of DICOM files", files.count * sizeof *all);
	}
	for (size_t f = 0; f < files.count && status == ISO_OK; f++)
		status = look_at(files.path[f], folder, all, &count, err);
	if (status == ISO_OK) group(all, count, folder);
	free(all);
	iso_file_list_free(&files);
	if (status != ISO_OK) {
		iso_dicom_folder_free(folder);
		return status;
	}
	*out = folder;
	return ISO_OK;
}

void iso_dicom_folder_free(iso_dicom_folder *folder)
{
	if (!folder) return;
	free(folder->series);
	free(folder);
}
