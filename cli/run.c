/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * isotrace run STUDY.yaml */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

typedef struct arguments {
	const char *study;
	iso_study_options options;
	bool json, quiet, failed;
	iso_error error;
} arguments;

enum { PACS = 256, PACS_CONFIG, THREADS, JSON };

static const struct argp_option option_table[] = {
    {"output", 'o', "DIR", 0, "Folder of the results (default: `output` in the study file)", 0},
    {"pacs", PACS, "PACS", 0,
     "Send each scan's DICOM there: AET@HOST:PORT, or a name in the PACS configuration (default: `pacs` in the study "
     "file, else not sent)",
     0},
    {"pacs-config", PACS_CONFIG, "FILE", 0,
     "PACS configuration file, docs/pacs.md (default: `pacs_config` in the study file)", 0},
    {"threads", THREADS, "N", 0, "Threads to use (default: all). The results do not depend on it", 0},
    {"json", JSON, 0, 0, "Print the outcome as one JSON object on stdout", 0},
    {"quiet", 'q', 0, 0, "No progress and no notes", 0},
    {0},
};

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	long long whole;
	switch (key) {
	case 'o': a->options.output = text; break;
	case PACS: a->options.pacs = text; break;
	case PACS_CONFIG: a->options.pacs_config = text; break;
	case THREADS:
		if (cli_whole("threads", text, 1, 4096, &whole, &a->error) != ISO_OK)
			a->failed = true;
		else
			a->options.threads = (int)whole;
		break;
	case JSON: a->json = true; break;
	case 'q': a->quiet = true; break;
	case ARGP_KEY_ARG:
		if (a->study) argp_error(state, "one study at a time: %s is too many", text);
		a->study = text;
		break;
	case ARGP_KEY_END:
		if (!a->study) argp_error(state, "name the study file, as in: isotrace run sample_data/study.yaml");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "STUDY.yaml",
    .doc =
	"Runs a whole study: for every row of its subjects table, convert (or simulate), reconstruct, quantify, write "
	"DICOM and send it.\v"
	"A step whose inputs, settings and outputs are unchanged is skipped, so that a second run does nothing that is "
	"already done and a stopped run goes on where it was. A scan that fails does not stop the others.\n\n"
	"Results: DIR/biodistribution.csv and .json (all subjects), DIR/study.json (what was done, from what), and for "
	"each scan DIR/SUBJECT/ with the volume, its table and its DICOM files. docs/study-file.md describes the study "
	"file and the subjects table.\n\n"
	"Example:\n  isotrace run sample_data/study.yaml -o results\n\n"
	"Exit codes: 0 all done, 2 wrong usage, 3 bad input (nothing was done, or every scan failed), 4 some scans "
	"failed and the rest is done, 5 the system failed.",
};

static void print_json(const iso_study_counts *counts, iso_status status, const iso_error *err)
{
	char text[2048] = "";
	if (status != ISO_OK) iso_error_text(err, text, sizeof text);
	printf(
	    "{\"status\": \"%s\", \"scans\": %zu, \"steps_done\": %zu, \"steps_skipped\": %zu, \"steps_failed\": %zu, "
	    "\"error\": ",
	    iso_status_name(status), counts->subjects, counts->steps_done, counts->steps_skipped, counts->steps_failed);
	if (status == ISO_OK)
		fputs("null", stdout);
	else
		cli_print_json_text(text);
	puts("}");
}

int cli_run(int argc, char **argv)
{
	arguments a = {.study = NULL};
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (a.failed) return cli_fail(&a.error);
	a.options.progress = cli_progress(a.quiet);
	iso_study_counts counts;
	iso_error err;
	const iso_status status = iso_study_run(a.study, &a.options, &counts, &err);
	cli_progress_end();
	if (a.json)
		print_json(&counts, status, &err);
	else if (counts.subjects)
		printf("%zu scans: %zu steps done, %zu unchanged, %zu failed\n", counts.subjects, counts.steps_done,
		       counts.steps_skipped, counts.steps_failed);
	return status == ISO_OK ? 0 : cli_fail(&err);
}
