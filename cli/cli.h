/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the verbs share. A verb is one file: it parses its options with argp (so that --help cannot drift from them), calls
 * the library and prints. Results go to stdout, messages and progress to stderr. */
#ifndef ISOTRACE_CLI_H
#define ISOTRACE_CLI_H

#include <argp.h>
#include <limits.h>
#include <stdbool.h>

#include "isotrace/isotrace.h"

/* The verbs; each returns the process's exit code. argv[0] is "isotrace VERB". */
int cli_bench(int argc, char **argv);
int cli_calibrate(int argc, char **argv);
int cli_convert(int argc, char **argv);
int cli_deidentify(int argc, char **argv);
int cli_dicom(int argc, char **argv);
int cli_fetch(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_listen(int argc, char **argv);
int cli_mu(int argc, char **argv);
int cli_normalise(int argc, char **argv);
int cli_quant(int argc, char **argv);
int cli_recon(int argc, char **argv);
int cli_run(int argc, char **argv);
int cli_send(int argc, char **argv);
int cli_simulate(int argc, char **argv);

/* Parses with argp; false: wrong usage was reported and the verb must return 2. --help and --usage exit 0. */
bool cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Prints "isotrace: FILE: [where]: what; remedy" to stderr and returns the exit code of the status. */
int cli_fail(const iso_error *err);
/* "isotrace: what" for a contradiction among options; returns 2. */
int cli_usage(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A text as JSON on stdout: in quotes, with quotes, backslashes and control characters escaped. */
void cli_print_json_text(const char *text);

/* A progress line with time left on stderr when it is a terminal; without one, the notes as plain lines. quiet: nothing. */
const iso_progress *cli_progress(bool quiet);
/* Ends the progress line, so that what follows starts on a line of its own. */
void cli_progress_end(void);

/* Numbers on the command line: the whole text must be one, else ISO_BAD_USAGE naming the option. */
iso_status cli_number(const char *option, const char *text, double low, double high, double *value, iso_error *err);
iso_status cli_whole(const char *option, const char *text, long long low, long long high, long long *value,
		     iso_error *err);
/* "64,64,128" or "64x64x128" or one number for all three. */
iso_status cli_triple(const char *option, const char *text, double value[3], iso_error *err);
/* argp hands over one option after the other: the first value that is wrong is kept, and told when all are parsed. first->status ISO_OK:
 * none so far. */
void cli_keep(iso_error *first, iso_status status, const iso_error *err);
void cli_take_number(iso_error *first, const char *option, const char *text, double low, double high, double *to);
/* `low` when it is wrong. */
long long cli_take_whole(iso_error *first, const char *option, const char *text, long long low, long long high);
void cli_take_triple(iso_error *first, const char *option, const char *text, double to[3]);
/* Name of the organ table that belongs to labels when none is given: organs.nii.gz -> organs.csv. ISO_BAD_INPUT: it is not there. */
iso_status cli_organ_table_beside(const char *labels, char table[PATH_MAX], iso_error *err);
/* "4G", "512M", "100000" in bytes. */
iso_status cli_bytes(const char *option, const char *text, uint64_t *value, iso_error *err);

#endif
