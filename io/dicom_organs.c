/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Organs of another program: from a segmentation or a structure set to a label image and its table. */
#include "io/dicom_organs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "io/dicom_stack.h"

bool iso_organ_wanted(const iso_organ_source *s, const char *name)
{
	for (size_t n = 0; n < s->options->names; n++)
		if (strcasecmp(s->options->name[n], name) == 0) return true;
	return s->options->names == 0;
}

/* A name that fits into the table, cut between characters of UTF-8. */
static void copy_name(const char *name, char to[32])
{
	size_t length = strlen(name);
	while (length && name[length - 1] == ' ') length--;
	if (length > 31) {
		length = 31;
		while (length && ((unsigned char)name[length] & 0xc0) == 0x80) length--;
	}
	snprintf(to, 32, "%.*s", (int)length, name);
}

iso_status iso_organ_add(iso_organ_source *s, int label, const char *name, const char *meaning, size_t *number,
			 iso_error *err)
{
	if (s->count == s->room) {
		const size_t room = s->room ? 2 * s->room : 16;
		iso_organ *organ = realloc(s->organ, room * sizeof *organ);
		if (organ) s->organ = organ;
		size_t *voxels = organ ? realloc(s->voxels, room * sizeof *voxels) : NULL;
		if (voxels) s->voxels = voxels;
		if (!voxels) return iso_fail_memory(err, "the organs", room * sizeof *organ);
		s->room = room;
	}
	iso_organ *organ = s->organ + s->count;
	*organ = (iso_organ){.label = label,
			     .density_g_per_ml = (double)NAN,
			     .density_uncertainty_g_per_ml = (double)NAN,
			     .mass_g = (double)NAN,
			     .mass_uncertainty_g = (double)NAN};
	copy_name(name, organ->name);
	if (!organ->name[0]) snprintf(organ->name, sizeof organ->name, "organ %d", label);
	/* The table takes each name once. */
	for (size_t o = 0; o < s->count; o++)
		if (strcasecmp(s->organ[o].name, organ->name) == 0) {
			snprintf(organ->name, sizeof organ->name, "%.20s (%d)", s->organ[o].name, label);
			break;
		}
	if (!iso_tissue_density(organ->name, &organ->density_g_per_ml, &organ->density_uncertainty_g_per_ml, NULL))
		(void)iso_tissue_density(meaning, &organ->density_g_per_ml, &organ->density_uncertainty_g_per_ml, NULL);
	s->voxels[s->count] = 0;
	*number = s->count++;
	return ISO_OK;
}

void iso_organ_claim(iso_organ_source *s, size_t voxel, size_t number)
{
	float *at = s->labels->voxels + voxel;
	const float label = (float)s->organ[number].label;
	if (*at != 0 && *at != label) {
		if (!s->overlapping++) {
			s->pair[1] = number;
			for (size_t o = 0; o < s->count; o++)
				if ((float)s->organ[o].label == *at) s->pair[0] = o;
		}
		return;
	}
	s->voxels[number] += *at == 0;
	*at = label;
}

iso_status iso_organ_check_frame(const iso_organ_source *s, const char *uid, iso_error *err)
{
	const char *wanted = s->options->frame_of_reference_uid;
	if (!wanted || !wanted[0] || !uid[0]) {
		if (!s->facts->warning_count)
			iso_dicom_warn(s->facts,
				       "the frames of reference of organs and image are not both known: that they lie "
				       "in one space is not checked");
		return ISO_OK;
	}
	if (strcmp(wanted, uid) == 0) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, s->path,
			"give the image on which the organs were drawn, or register them first",
			"the organs are in another frame of reference (0020,0052) than the image");
}

static iso_status check_result(iso_organ_source *s, iso_error *err)
{
	size_t kept = 0;
	if (s->overlapping)
		return iso_fail(
		    err, ISO_BAD_INPUT, s->path, "choose some of them with --segment NAME, or draw them apart",
		    "%zu voxels belong to two organs, first '%s' and '%s', and a label image holds one per voxel",
		    s->overlapping, s->organ[s->pair[0]].name, s->organ[s->pair[1]].name);
	for (size_t o = 0; o < s->count; o++)
		if (s->voxels[o])
			s->organ[kept++] = s->organ[o];
		else
			iso_dicom_warn(s->facts, "'%s' is empty and was left out", s->organ[o].name);
	s->count = kept;
	if (kept) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, s->path,
			s->options->names ? "give names that are there" : "give an object that has organs in it",
			"no organ was found%s", s->options->names ? " of the names that were asked for" : "");
}

iso_status iso_dicom_read_organs(const char *path, const iso_dicom_organ_options *options, iso_image **labels,
				 iso_organ **organs, size_t *count, iso_dicom_in_facts *facts, iso_error *err)
{
	const iso_dicom_organ_options standard = {.grid = NULL};
	iso_dicom_in_facts own;
	iso_organ_source s = {.path = path, .options = options ? options : &standard, .facts = facts ? facts : &own};
	*labels = NULL;
	*organs = NULL;
	*count = 0;
	memset(s.facts, 0, sizeof *s.facts);
	iso_stack_source(path, s.facts->source, sizeof s.facts->source);
	iso_status status = iso_dicom_open(path, &s.file, err);
	if (status != ISO_OK) return status;
	const char *sop_class = s.file ? iso_dicom_class(s.file) : "";
	const bool seg = strcmp(sop_class, ISO_SEG_CLASS) == 0, contours = strcmp(sop_class, ISO_RTSTRUCT_CLASS) == 0;
	if (!seg && !contours) {
		iso_dicom_close(s.file);
		return iso_fail(err, ISO_BAD_INPUT, path, "name a DICOM segmentation or RT structure set",
				"this is no DICOM object with organs");
	}
	s.set = iso_dicom_root(s.file);
	status = seg ? iso_seg_read(&s, err) : iso_rtstruct_read(&s, err);
	if (status == ISO_OK) status = check_result(&s, err);
	iso_dicom_text(s.set, 0x0020000e, s.facts->series_uid, sizeof s.facts->series_uid);
	iso_dicom_text(s.set, 0x0008103e, s.facts->description, sizeof s.facts->description);
	s.facts->files = 1;
	status = iso_dicom_check(status, path, err);
	iso_dicom_close(s.file);
	free(s.voxels);
	if (status != ISO_OK) {
		iso_image_free(s.labels);
		free(s.organ);
		return status;
	}
	*labels = s.labels;
	*organs = s.organ;
	*count = s.count;
	return ISO_OK;
}

static iso_slice_kind choose(const iso_dicom *file, iso_slice *slice)
{
	const char *sop_class = iso_dicom_class(file);
	(void)slice;
	return strcmp(sop_class, ISO_PET_CLASS) == 0 || strcmp(sop_class, "1.2.840.10008.5.1.4.1.1.2") == 0
		   ? ISO_SLICE_WANTED
		   : ISO_SLICE_OTHER;
}

iso_status iso_dicom_read_grid(const char *path, const char *series_uid, iso_grid *grid,
			       char frame_of_reference_uid[65], iso_error *err)
{
	iso_stack s = {.path = path, .what = "image", .option = "--like-series"};
	size_t frames = 1;
	iso_status status = iso_stack_collect(&s, choose, err);
	if (status == ISO_OK && !s.count)
		status = iso_fail(err, ISO_BAD_INPUT, path, "name the CT or PET series on which the organs were drawn",
				  "there is no CT or PET image here");
	if (status == ISO_OK) status = iso_stack_choose(&s, series_uid, err);
	if (status == ISO_OK) status = iso_stack_check(&s, err);
	if (status == ISO_OK) status = iso_stack_sort(&s, grid, err);
	if (status == ISO_OK) {
		while (frames < s.count && s.slice[frames].along_mm - s.slice[0].along_mm < ISO_SAME_PLACE_MM) frames++;
		status = iso_stack_measure(&s, 0, frames, s.count / frames, grid, err);
		snprintf(frame_of_reference_uid, 65, "%s", s.slice[0].frame_of_reference_uid);
	}
	iso_stack_free(&s);
	return status;
}
