/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "cli/cli.h"

typedef struct {
	const char *path, *key, *output;
	bool json, quiet;
} arguments;

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	switch (key) {
	case 'k': a->key = text; break;
	case 'o': a->output = text; break;
	case 'j': a->json = true; break;
	case 'q': a->quiet = true; break;
	case ARGP_KEY_ARG:
		if (a->path) argp_error(state, "one PATH, please: '%s' is too many", text);
		a->path = text;
		break;
	case ARGP_KEY_END:
		if (!a->path) argp_error(state, "which file or folder is to be de-identified?");
		if (!a->key) argp_error(state, "--key FILE holds the secret by which new UIDs follow from old ones");
		if (!a->output) argp_error(state, "-o DIR says where to write the files");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
    {"key", 'k', "FILE", 0, "The secret, at least 16 bytes: head -c 32 /dev/urandom | base64 > key makes one", 0},
    {"output", 'o', "DIR", 0, "Folder for the files; made new, or earlier de-identified files in it replaced", 0},
    {"json", 'j', NULL, 0, "Print the count as JSON", 0},
    {"quiet", 'q', NULL, 0, "Print nothing but errors", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp argp = {options,
				 parse,
				 "PATH",
				 "Takes the identities out of a DICOM file, or of every file below a folder: Basic "
				 "Application Level Confidentiality "
				 "Profile of DICOM PS3.15.\v"
				 "Example: isotrace deidentify dicom/M01 --key key -o public/M01\n\n"
				 "UIDs and patient are replaced by what follows from them and the key, so that files "
				 "that belong together still do, also "
				 "from call to call. Dates are moved by some days, the same for all files of a "
				 "patient; sex, age, size and weight stay. "
				 "Files that may hold names where none can be found are refused. See docs/dicom.md.",
				 NULL,
				 NULL,
				 NULL};

int cli_deidentify(int argc, char **argv)
{
	arguments a = {.path = NULL};
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	iso_error err;
	iso_dicom_key key;
	size_t files;
	iso_status status = iso_dicom_key_read(a.key, &key, &err);
	if (status == ISO_OK) status = iso_dicom_deidentify(a.path, a.output, &key, &files, &err);
	if (status != ISO_OK) return cli_fail(&err);
	if (a.json)
		printf("{\"files\": %zu}\n", files);
	else if (!a.quiet)
		printf("%zu DICOM files without identities in %s\n", files, a.output);
	return 0;
}
