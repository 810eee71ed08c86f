/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/pacs_option.h"

typedef struct {
	const char *pacs, *config, *output, *timeout;
	iso_fetch_key key;
	bool json, quiet;
} arguments;

static void take(struct argp_state *state, const char *option, const char *text, char *to, size_t size)
{
	if (strlen(text) >= size) argp_error(state, "--%s %s is longer than %zu characters", option, text, size - 1);
	snprintf(to, size, "%s", text);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	switch (key) {
	case 'c': a->config = text; break;
	case 'p': a->pacs = text; break;
	case 'o': a->output = text; break;
	case 't': a->timeout = text; break;
	case 'P': take(state, "patient-id", text, a->key.patient_id, sizeof a->key.patient_id); break;
	case 's': take(state, "study", text, a->key.study, sizeof a->key.study); break;
	case 'A': take(state, "accession", text, a->key.accession, sizeof a->key.accession); break;
	case 'S': take(state, "series", text, a->key.series, sizeof a->key.series); break;
	case 'm': take(state, "modality", text, a->key.modality, sizeof a->key.modality); break;
	case 'j': a->json = true; break;
	case 'q': a->quiet = true; break;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s'? --patient-id, --study or --accession say what to fetch", text);
		break;
	case ARGP_KEY_END:
		if (!a->pacs) argp_error(state, "--pacs says from whom");
		if (!a->output) argp_error(state, "-o DIR says where to");
		if (!a->key.patient_id[0] && !a->key.study[0] && !a->key.accession[0])
			argp_error(state, "--patient-id, --study or --accession says what");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
    {"pacs", 'p', "PACS", 0, "AET@HOST:PORT, or a name in the configuration file", 0},
    {"config", 'c', "FILE", 0, CLI_PACS_CONFIG_HELP, 0},
    {"patient-id", 'P', "ID", 0, "All studies of this patient or animal", 0},
    {"study", 's', "UID", 0, "The study of this instance UID", 0},
    {"accession", 'A', "NUMBER", 0, "The study of this accession number", 0},
    {"series", 'S', "UID", 0, "Of those only this series", 0},
    {"modality", 'm', "CODE", 0, "Of those only the series of this modality: CT, PT, NM, SEG, RTSTRUCT, ...", 0},
    {"output", 'o', "DIR", 0, "Folder for them: DIR/MODALITY_SERIES/INSTANCE.dcm", 0},
    {"timeout", 't', "S", 0, "Seconds to wait for the connection and for each answer [30]", 0},
    {"json", 'j', NULL, 0, "Print the counts as JSON", 0},
    {"quiet", 'q', NULL, 0, "No progress and no notes", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp argp = {options,
				 parse,
				 NULL,
				 "Fetches series from a PACS by C-GET, C-MOVE or WADO-RS.\v"
				 "Examples:\n"
				 "  isotrace fetch --pacs ORTHANC@localhost:4242 --patient-id M01 --modality CT -o ct\n"
				 "  isotrace fetch --config pacs.yaml --pacs archive --study 1.2.3.4 -o study\n\n"
				 "C-GET is used unless `fetch_by` in the configuration file says otherwise. The folder "
				 "appears whole or not at all: when the "
				 "PACS has more objects than came, nothing is written. Exit code 3: the PACS has "
				 "nothing that fits; 5: it was not reached, or "
				 "failed.",
				 NULL,
				 NULL,
				 NULL};

int cli_fetch(int argc, char **argv)
{
	arguments a = {.pacs = NULL};
	iso_error err;
	iso_pacs_file file;
	iso_pacs pacs;
	size_t series = 0, objects = 0;
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	iso_status status = cli_pacs_file(a.config, &file, &err);
	if (status == ISO_OK) status = iso_pacs_choose(&file, a.pacs, &pacs, &err);
	if (status == ISO_OK && a.timeout) status = cli_number("timeout", a.timeout, 1, 86400, &pacs.timeout_s, &err);
	if (status == ISO_OK)
		status = iso_pacs_fetch(&pacs, &a.key, &file.listener, a.output, cli_progress(a.quiet), &series,
					&objects, &err);
	cli_progress_end();
	iso_pacs_file_free(&file);
	if (status != ISO_OK) return cli_fail(&err);
	if (a.json)
		printf("{\"series\": %zu, \"objects\": %zu}\n", series, objects);
	else if (!a.quiet)
		printf("%zu objects of %zu series in %s\n", objects, series, a.output);
	return 0;
}
