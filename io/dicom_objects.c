/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The objects beside the images, each a file and a series of its own. */
#include "io/dicom_objects.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_document.h"
#include "io/dicom_map.h"
#include "io/dicom_organ_codes.h"
#include "io/dicom_report.h"
#include "io/dicom_segmentation.h"

#define SEGMENTATION "segmentation.dcm"
#define REPORT       "report.dcm"
#define MAP          "parametric-map.dcm"
#define DOCUMENT     "document.dcm"

bool iso_dicom_is_object_file(const char *name)
{
	static const char *const names[] = {SEGMENTATION, REPORT, MAP, DOCUMENT};
	for (size_t n = 0; n < sizeof names / sizeof *names; n++)
		if (strcmp(name, names[n]) == 0) return true;
	return false;
}

bool iso_dicom_organ_is_coded(const char *organ)
{
	return iso_organ_code_of(organ, 0).known;
}

/* The report's rows are the segments, in their order. */
static iso_status check_report(const iso_image_series *images, const iso_dicom_objects *o, iso_error *err)
{
	const iso_biodistribution *table = o->report;
	bool same = table->frames == images->volume->frames;
	if (o->segmentation) {
		same = same && table->organs == o->organs->count;
		for (size_t i = 0; same && i < table->organs; i++)
			same = strcmp(table->row[i].organ, o->organs->organ[i].name) == 0;
	}
	return same ? ISO_OK
		    : iso_fail(err, ISO_BAD_USAGE, NULL, "quantify this volume with these organs",
			       "the report is of other frames or organs than the images");
}

iso_status iso_dicom_check_objects(const iso_image_series *images, iso_error *err)
{
	const iso_dicom_objects *o = images->options.objects;
	if (!o) return ISO_OK;
	if (images->volume->gating.gates && (o->report || o->map))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "make it from the scan's image without gates",
				"a structured report or a parametric map of gates: both count frames in time");
	if (images->options.deidentify && o->pdf)
		return iso_fail(err, ISO_BAD_USAGE, o->pdf, "leave it out, or write it for those who may know",
				"a PDF may show who it was, and nothing can be taken out of it");
	if (o->segmentation && !o->organs)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give the organs", "a segmentation without organs");
	if (o->segmentation == ISO_DICOM_SEGMENTS_BINARY && !o->labels)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give the labels", "a binary segmentation without labels");
	if (o->segmentation == ISO_DICOM_SEGMENTS_FRACTIONAL &&
	    !iso_grid_equal(&o->organs->grid, &images->volume->grid))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "bring the organs onto the grid of the images",
				"the organs' fractions are on another grid than the images");
	if (o->map && !images->dose)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state the dose (--dose)",
				"a parametric map needs the injected activity");
	if (o->map == ISO_DICOM_MAP_SUV && !isfinite(images->dose->body_mass_g))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state body_mass_g in the dose file",
				"a map of SUVbw needs the body mass");
	return o->report ? check_report(images, o, err) : ISO_OK;
}

static iso_status join(const char *folder, const char *name, const char *shown, char path[PATH_MAX], iso_error *err)
{
	if (snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return ISO_OK;
	return iso_fail(err, ISO_BAD_USAGE, shown, "give a shorter path", "the name is too long");
}

iso_status iso_dicom_write_objects(const char *folder, const char *shown, const iso_image_series *images, size_t *files,
				   iso_error *err)
{
	const iso_dicom_objects *o = images->options.objects;
	char path[PATH_MAX];
	iso_object segmentation;
	iso_status status = ISO_OK;
	if (!o) return ISO_OK;
	if (o->segmentation) {
		status = join(folder, SEGMENTATION, shown, path, err);
		if (status == ISO_OK)
			status = iso_dicom_write_segmentation(path, shown, images, o->labels, o->organs,
							      o->segmentation == ISO_DICOM_SEGMENTS_FRACTIONAL,
							      &segmentation, err);
	}
	if (status == ISO_OK && o->report) {
		status = join(folder, REPORT, shown, path, err);
		if (status == ISO_OK)
			status = iso_dicom_write_report(path, shown, images, o->report,
							o->segmentation ? &segmentation : NULL, err);
	}
	if (status == ISO_OK && o->map) {
		status = join(folder, MAP, shown, path, err);
		if (status == ISO_OK) status = iso_dicom_write_map(path, shown, images, o->map, err);
	}
	if (status == ISO_OK && o->pdf) {
		status = join(folder, DOCUMENT, shown, path, err);
		if (status == ISO_OK) status = iso_dicom_write_pdf(path, shown, images, o->pdf, err);
	}
	if (status == ISO_OK) *files += (o->segmentation != 0) + (o->report != NULL) + (o->map != 0) + (o->pdf != NULL);
	return status;
}
