/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * isotrace recon's options that are about the detector: normalisation, dead time, coincidence window. */
#ifndef ISOTRACE_CLI_RECON_DETECTOR_H
#define ISOTRACE_CLI_RECON_DETECTOR_H

#include "cli/cli.h"

typedef struct cli_recon_detector {
	const char *normalisation; /* the file's path, NULL: none */
	iso_recon_options *recon;  /* to be set before parsing; is filled */
	iso_error err;             /* the first value that is wrong, see cli_keep */
	iso_normalisation *read;   /* owned, after cli_recon_detector_read */
} cli_recon_detector;

/* A child of the verb's parser; its input is a cli_recon_detector. */
extern const struct argp cli_recon_detector_argp;

/* Reads the files into the options. */
iso_status cli_recon_detector_read(cli_recon_detector *detector, iso_error *err);
void cli_recon_detector_release(cli_recon_detector *detector);

#endif
