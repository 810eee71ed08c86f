/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/dicom_objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { KEY_ORGANS = 400, KEY_TABLE, KEY_SEGMENTATION, KEY_REPORT, KEY_MAP, KEY_PDF };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Beside the images, in the same folder and study:", 2},
    {"organs", KEY_ORGANS, "LABELS.nii.gz", 0, "Organ labels, as isotrace quant takes them", 2},
    {"organ-table", KEY_TABLE, "TABLE.csv", 0, "Names of the labels [LABELS.csv beside LABELS.nii.gz]", 2},
    {"segmentation", KEY_SEGMENTATION, "binary|fractional", OPTION_ARG_OPTIONAL,
     "The organs as a DICOM segmentation: the labels as they are [binary], or of each voxel of the images the part "
     "inside the "
     "organ",
     2},
    {"structured-report", KEY_REPORT, NULL, 0,
     "The uptake of each organ (volume, mass, Bq, Bq/mL, %ID, %ID/g, SUVbw and their uncertainties) as a DICOM "
     "structured report, TID 1500",
     2},
    {"parametric-map", KEY_MAP, "percent|suv", OPTION_ARG_OPTIONAL,
     "The volume in floats, in %ID/g [percent] or SUVbw, as a DICOM parametric map", 2},
    {"pdf", KEY_PDF, "FILE.pdf", 0, "A report of your own, as an encapsulated PDF", 2},
    {NULL, 0, NULL, 0, NULL, 0},
};

static void check(const cli_objects *o, struct argp_state *state)
{
	const bool need = o->wanted.segmentation || o->report;
	if (need && !o->labels)
		argp_error(state, "--organs LABELS.nii.gz is needed by --segmentation and --structured-report");
	if (o->labels && !need)
		argp_error(state, "--organs without --segmentation or --structured-report: what are they for?");
	if (o->table && !o->labels) argp_error(state, "--organ-table without --organs");
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	cli_objects *o = state->input;
	switch (key) {
	case KEY_ORGANS: o->labels = text; break;
	case KEY_TABLE: o->table = text; break;
	case KEY_REPORT: o->report = true; break;
	case KEY_PDF: o->wanted.pdf = text; break;
	case KEY_SEGMENTATION:
		if (!text || strcmp(text, "binary") == 0)
			o->wanted.segmentation = ISO_DICOM_SEGMENTS_BINARY;
		else if (strcmp(text, "fractional") == 0)
			o->wanted.segmentation = ISO_DICOM_SEGMENTS_FRACTIONAL;
		else
			argp_error(state, "--segmentation is binary or fractional, not '%s'", text);
		break;
	case KEY_MAP:
		if (!text || strcmp(text, "percent") == 0)
			o->wanted.map = ISO_DICOM_MAP_PERCENT_ID_PER_G;
		else if (strcmp(text, "suv") == 0)
			o->wanted.map = ISO_DICOM_MAP_SUV;
		else
			argp_error(state, "--parametric-map is percent or suv, not '%s'", text);
		break;
	case ARGP_KEY_END: check(o, state); break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp cli_objects_argp = {.options = options, .parser = parse};

static iso_status read_organs(cli_objects *o, const iso_volume *volume, bool quiet, iso_error *err)
{
	char beside[PATH_MAX];
	iso_organ *organ = NULL;
	size_t count = 0;
	const char *table = o->table;
	iso_status status = table ? ISO_OK : cli_organ_table_beside(o->labels, beside, err);
	if (status == ISO_OK) status = iso_organ_table_read(table ? table : beside, &organ, &count, err);
	if (status == ISO_OK) status = iso_nifti_read_image(o->labels, ISO_UNIT_LABEL, &o->image, err);
	if (status == ISO_OK)
		status = iso_organs_create(o->image, organ, count, &volume->grid, o->labels, &o->organs, err);
	for (size_t i = 0; status == ISO_OK && i < count; i++)
		if (!quiet && !iso_dicom_organ_is_coded(organ[i].name))
			fprintf(stderr,
				"isotrace: no public code for the organ '%s': other programs will know it by its name "
				"alone\n",
				organ[i].name);
	free(organ);
	return status;
}

iso_status cli_objects_prepare(cli_objects *o, const iso_volume *volume, const char *dose_path, const char *subject,
			       bool quiet, iso_error *err)
{
	iso_dose dose;
	if (o->report && !dose_path)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give --dose DOSE.yaml",
				"a report of uptake needs the injected activity");
	iso_status status = o->labels ? read_organs(o, volume, quiet, err) : ISO_OK;
	if (status == ISO_OK && o->report) status = iso_dose_read(dose_path, &dose, err);
	if (status == ISO_OK && o->report)
		status = iso_quantify(volume, o->organs, &dose, subject, NULL, &o->result, err);
	if (status != ISO_OK) return status;
	o->wanted.labels = o->image;
	o->wanted.organs = o->organs;
	o->wanted.report = o->result;
	for (size_t w = 0; o->result && w < o->result->warning_count; w++)
		fprintf(stderr, "isotrace: warning: %s\n", o->result->warnings[w]);
	return ISO_OK;
}

void cli_objects_free(cli_objects *o)
{
	iso_image_free(o->image);
	iso_organs_free(o->organs);
	iso_biodistribution_free(o->result);
}
