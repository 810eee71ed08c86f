/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The options of `isotrace dicom` about what is written beside the images. */
#ifndef ISOTRACE_CLI_DICOM_OBJECTS_H
#define ISOTRACE_CLI_DICOM_OBJECTS_H

#include "cli/cli.h"

typedef struct cli_objects {
	const char *labels, *table; /* as in isotrace quant */
	bool report;
	iso_dicom_objects wanted; /* what of it is to be written; filled by cli_objects_prepare */
	iso_image *image;         /* owned from here on */
	iso_organs *organs;
	iso_biodistribution *result;
} cli_objects;

/* A child of the verb's argp; its input is a cli_objects. */
extern const struct argp cli_objects_argp;

/* Reads what the wanted objects need. dose: the file, or NULL. */
iso_status cli_objects_prepare(cli_objects *objects, const iso_volume *volume, const char *dose, const char *subject,
			       bool quiet, iso_error *err);
void cli_objects_free(cli_objects *objects);

#endif
