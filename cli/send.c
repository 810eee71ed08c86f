/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

typedef struct {
	const char *path, *pacs, *own_title, *timeout;
	bool json, quiet;
} arguments;

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	switch (key) {
	case 'p': a->pacs = text; break;
	case 'a': a->own_title = text; break;
	case 't': a->timeout = text; break;
	case 'j': a->json = true; break;
	case 'q': a->quiet = true; break;
	case ARGP_KEY_ARG:
		if (a->path) argp_error(state, "one PATH, please: '%s' is too many", text);
		a->path = text;
		break;
	case ARGP_KEY_END:
		if (!a->path) argp_error(state, "which file or folder is to be sent?");
		if (!a->pacs) argp_error(state, "--pacs AET@HOST:PORT says where to");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
    {"pacs", 'p', "AET@HOST:PORT", 0, "The receiver: its application entity title, host and port", 0},
    {"own-aet", 'a', "AET", 0, "Our own title, by which the receiver may know us [ISOTRACE]", 0},
    {"timeout", 't', "S", 0, "Seconds to wait for the connection and for each answer [30]", 0},
    {"json", 'j', NULL, 0, "Print the counts as JSON", 0},
    {"quiet", 'q', NULL, 0, "No progress and no notes", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp argp = {options,
				 parse,
				 "PATH",
				 "Sends a DICOM file, or every DICOM file below a folder, to a PACS by C-STORE.\v"
				 "Example: isotrace send dicom/M01 --pacs ORTHANC@localhost:4242\n\n"
				 "The connection is tried with C-ECHO first. Files that are no DICOM are skipped with "
				 "a note. Sending again is harmless: "
				 "the same file has the same identity. Exit code 4: some files were not stored; 5: no "
				 "connection, or none was stored.",
				 NULL,
				 NULL,
				 NULL};

int cli_send(int argc, char **argv)
{
	arguments a = {.path = NULL};
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	iso_error err;
	iso_pacs pacs;
	if (iso_pacs_parse(a.pacs, &pacs, &err) != ISO_OK) return cli_fail(&err);
	if (a.own_title) {
		if (strlen(a.own_title) >= sizeof pacs.own_ae_title)
			return cli_usage("send", "--own-aet %s is longer than 16 characters", a.own_title);
		strcpy(pacs.own_ae_title, a.own_title);
	}
	if (a.timeout && cli_number("timeout", a.timeout, 1, 86400, &pacs.timeout_s, &err) != ISO_OK)
		return cli_fail(&err);
	size_t stored, failed;
	const iso_status status = iso_dicom_send(a.path, &pacs, cli_progress(a.quiet), &stored, &failed, &err);
	cli_progress_end();
	if (status == ISO_OK || status == ISO_PARTIAL || stored) {
		if (a.json)
			printf("{\"stored\": %zu, \"failed\": %zu}\n", stored, failed);
		else if (!a.quiet)
			printf("%zu of %zu files stored by %s at %s:%u\n", stored, stored + failed, pacs.ae_title,
			       pacs.host, pacs.port);
	}
	return status == ISO_OK ? 0 : cli_fail(&err);
}
