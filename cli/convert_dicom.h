/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_CLI_CONVERT_DICOM_H
#define ISOTRACE_CLI_CONVERT_DICOM_H

#include "cli/cli.h"

enum { CLI_MOST_SEGMENTS = 64 };

/* What isotrace convert was asked about DICOM; NULL = not given. */
typedef struct cli_dicom_request {
	const char *input, *output;
	const char *series, *zone, *decay_reference, *dose_file, *nuclide, *subject;
	const char *like, *like_series, *segment[CLI_MOST_SEGMENTS];
	size_t segments;
	unsigned finer;
	bool json, quiet;
} cli_dicom_request;

/* A DICOM file, or a folder. */
bool cli_is_dicom(const char *path);
/* Converts and prints; the exit code. */
int cli_convert_dicom(const cli_dicom_request *request);

#endif
