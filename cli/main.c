/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * isotrace VERB [OPTIONS] INPUT... */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} verbs[] = {
    {"info", cli_info, "say what a file holds"},
    {"convert", cli_convert, "scanner export to native list-mode, DICOM to volumes and organs"},
    {"normalise", cli_normalise, "crystal efficiencies from a norm scan"},
    {"recon", cli_recon, "list-mode to a volume"},
    {"mu", cli_mu, "CT or labels to a map of attenuation"},
    {"calibrate", cli_calibrate, "phantom of known activity to a calibration factor"},
    {"quant", cli_quant, "volume to %ID/g per organ"},
    {"run", cli_run, "a whole study: convert, recon, quant, DICOM, send"},
    {"simulate", cli_simulate, "list-mode with a known truth"},
    {"dicom", cli_dicom, "volume to a DICOM PET or NM series"},
    {"deidentify", cli_deidentify, "DICOM files without their identities"},
    {"send", cli_send, "DICOM files to a PACS"},
    {"fetch", cli_fetch, "DICOM series from a PACS"},
    {"listen", cli_listen, "receive DICOM and start studies"},
    {"bench", cli_bench, "this machine's speed on the kernels"},
};

static void print_help(FILE *to)
{
	fputs("Usage: isotrace VERB [OPTIONS] INPUT...\n\n"
	      "From a scanner's list-mode export to decay-corrected %ID/g per organ and DICOM in a PACS.\n\n",
	      to);
	for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++)
		fprintf(to, "  %-10s %s\n", verbs[v].name, verbs[v].what);
	fputs(
	    "\nThe usual way, step by step (isotrace run does all of it for a cohort):\n"
	    "  isotrace convert scan.l.hdr -o scan.lm.h5\n"
	    "  isotrace recon scan.lm.h5 -o scan.nii.gz\n"
	    "  isotrace quant scan.nii.gz --organs labels.nii.gz --organ-table organs.csv --dose dose.yaml -o results\n"
	    "  isotrace dicom scan.nii.gz --dose dose.yaml --patient-id M01 -o dicom/M01\n"
	    "  isotrace send dicom/M01 --pacs ORTHANC@localhost:4242\n\n"
	    "isotrace VERB --help explains a verb.\n"
	    "Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 a part failed and the rest is done, 5 the system "
	    "failed.\n",
	    to);
}

int main(int argc, char **argv)
{
	/* A peer or a pipe that goes away and a full quota are errors to be reported, not deaths. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("isotrace " ISO_VERSION);
		return 0;
	}
	for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
		if (strcmp(argv[1], verbs[v].name) != 0) continue;
		char name[64];
		snprintf(name, sizeof name, "isotrace %s", verbs[v].name);
		argv[1] = name;
		int code = verbs[v].run(argc - 1, argv + 1);
		cli_progress_end();
		if (fflush(stdout) != 0 && code == 0) {
			fprintf(stderr, "isotrace: standard output: cannot write; free disk space\n");
			code = 5;
		}
		return code;
	}
	fprintf(stderr, "isotrace: there is no verb '%s'; isotrace --help lists them\n", argv[1]);
	return 2;
}
