/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/pacs_option.h"

typedef struct {
	const char *path, *pacs, *own_title, *timeout, *retries, *config, *queue;
	bool json, quiet, status, later;
} arguments;

enum { RETRIES = 256, STATUS, LATER };

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	switch (key) {
	case 'p': a->pacs = text; break;
	case 'a': a->own_title = text; break;
	case 't': a->timeout = text; break;
	case 'c': a->config = text; break;
	case 'Q': a->queue = text; break;
	case RETRIES: a->retries = text; break;
	case STATUS: a->status = true; break;
	case LATER: a->later = true; break;
	case 'j': a->json = true; break;
	case 'q': a->quiet = true; break;
	case ARGP_KEY_ARG:
		if (a->path) argp_error(state, "one PATH, please: '%s' is too many", text);
		a->path = text;
		break;
	case ARGP_KEY_END:
		if (a->status && (a->path || a->later)) argp_error(state, "--status only shows the queue");
		if (a->path && !a->pacs) argp_error(state, "--pacs AET@HOST:PORT or a name in --config says where to");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
    {"pacs", 'p', "PACS", 0, "The receiver: AET@HOST:PORT, or its name in the configuration file", 0},
    {"config", 'c', "FILE", 0, CLI_PACS_CONFIG_HELP, 0},
    {"queue", 'Q', "DIR", 0,
     "Folder that remembers what is to be sent and what was sent [`queue` in the configuration file; without one, "
     "nothing "
     "is remembered]",
     0},
    {"status", STATUS, NULL, 0, "Show the queue, and send nothing", 0},
    {"later", LATER, NULL, 0, "Only put PATH into the queue", 0},
    {"own-aet", 'a', "AET", 0, "Our own title, by which the receiver may know us [ISOTRACE]", 0},
    {"timeout", 't', "S", 0, "Seconds to wait for the connection and for each answer [30]", 0},
    {"retries", RETRIES, "N", 0, "How often to try again after a failure, after 1, 2, 4, ... at most 60 s [3]", 0},
    {"json", 'j', NULL, 0, "Print the counts as JSON", 0},
    {"quiet", 'q', NULL, 0, "No progress and no notes", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp argp = {
    options,
    parse,
    "[PATH]",
    "Sends a DICOM file, or every DICOM file below a folder, to a PACS by C-STORE or STOW-RS.\v"
    "Examples:\n"
    "  isotrace send dicom/M01 --pacs ORTHANC@localhost:4242\n"
    "  isotrace send dicom/M01 --config pacs.yaml --pacs archive\n"
    "  isotrace send --config pacs.yaml           what waits in the queue, to whom it belongs\n"
    "  isotrace send --config pacs.yaml --status\n\n"
    "With a queue, PATH is copied into it first; what could not be sent waits there, through crashes of either side, "
    "and what "
    "was sent is not sent again. Files that are no DICOM are skipped with a note. Exit code 4: some files were not "
    "stored, or "
    "the receiver has not committed itself to keeping them; 5: no connection, or none was stored.",
    NULL,
    NULL,
    NULL};

static void show_json(const iso_pacs_queue_status *s, bool first)
{
	fputs(first ? "{\"receiver\": " : ", {\"receiver\": ", stdout);
	cli_print_json_text(s->receiver);
	printf(", \"waiting\": %zu, \"sent\": %zu, \"refused\": %zu, \"last_problem\": ", s->waiting, s->sent,
	       s->refused);
	cli_print_json_text(s->last_problem);
	printf(", \"commitment\": {\"asked\": %zu, \"committed\": %zu, \"not_committed\": %zu}}", s->asked,
	       s->committed, s->not_committed);
}

static int show_status(const char *queue, bool json)
{
	iso_pacs_queue_status *status;
	size_t count;
	iso_error err;
	if (iso_pacs_queue_look(queue, &status, &count, &err) != ISO_OK) return cli_fail(&err);
	if (json) putchar('[');
	for (size_t i = 0; i < count; i++) {
		const iso_pacs_queue_status *s = &status[i];
		if (json)
			show_json(s, i == 0);
		else
			printf("%s: %zu waiting%s%s, %zu sent, %zu refused%s%s\n", s->receiver, s->waiting,
			       s->waiting ? " since " : "", s->oldest_utc, s->sent, s->refused,
			       s->last_problem[0] ? "; " : "", s->last_problem);
		if (!json && s->asked + s->committed + s->not_committed)
			printf("%s: storage commitment: %zu committed, %zu not committed, %zu without an answer\n",
			       s->receiver, s->committed, s->not_committed, s->asked);
	}
	if (json) puts("]");
	if (!json && !count) puts("the queue is empty");
	free(status);
	return 0;
}

static void print_counts(const arguments *a, size_t stored, size_t failed, size_t known, const iso_pacs *pacs)
{
	if (a->json)
		printf("{\"stored\": %zu, \"failed\": %zu%s", stored, failed, a->queue ? "" : "}\n");
	else if (!a->quiet && pacs->send_by_web)
		printf("%zu of %zu files stored by %s at %s\n", stored, stored + failed, pacs->name, pacs->web.url);
	else if (!a->quiet)
		printf("%zu of %zu files stored by %s at %s:%u\n", stored, stored + failed, pacs->ae_title, pacs->host,
		       pacs->port);
	if (a->json && a->queue)
		printf(", \"known\": %zu}\n", known);
	else if (known && !a->quiet)
		printf("%zu files were in the queue or sent already\n", known);
}

/* One receiver: PATH into the queue when there is one, then what waits. */
static int send_to(const arguments *a, const iso_pacs *pacs, const iso_pacs_listener *listener)
{
	const iso_progress *progress = cli_progress(a->quiet);
	size_t stored = 0, failed = 0, added = 0, known = 0;
	iso_error err;
	iso_status status = ISO_OK;
	if (a->queue && a->path) status = iso_pacs_queue_add(a->queue, a->path, pacs, progress, &added, &known, &err);
	if (status == ISO_OK && a->later) {
		if (!a->quiet) printf("%zu files wait for %s\n", added, pacs->name);
		return 0;
	}
	if (status == ISO_OK)
		status = a->queue ? iso_pacs_queue_send(a->queue, pacs, listener, progress, &stored, &failed, &err)
				  : iso_dicom_send(a->path, pacs, progress, &stored, &failed, &err);
	cli_progress_end();
	if (status == ISO_OK || status == ISO_PARTIAL || stored) print_counts(a, stored, failed, known, pacs);
	return status == ISO_OK ? 0 : cli_fail(&err);
}

/* What the options change of one receiver. */
static iso_status adjust(const arguments *a, iso_pacs *pacs, iso_error *err)
{
	long long retries;
	iso_status status = ISO_OK;
	if (a->timeout) status = cli_number("timeout", a->timeout, 1, 86400, &pacs->timeout_s, err);
	if (status == ISO_OK && a->retries) {
		status = cli_whole("retries", a->retries, 0, 1000, &retries, err);
		if (status == ISO_OK) pacs->retries = (unsigned)retries;
	}
	if (a->own_title) snprintf(pacs->own_ae_title, sizeof pacs->own_ae_title, "%s", a->own_title);
	return status;
}

/* What waits, for whomever: each by its name in the configuration, or by the address under which it was added. */
static int send_waiting(const arguments *a, const iso_pacs_file *file)
{
	iso_pacs_queue_status *status;
	iso_pacs pacs;
	iso_error err;
	size_t count, busy = 0;
	int code = 0;
	if (iso_pacs_queue_look(a->queue, &status, &count, &err) != ISO_OK) return cli_fail(&err);
	for (size_t i = 0; i < count; i++) {
		if (!status[i].waiting && !status[i].asked) continue;
		busy++;
		const bool known = iso_pacs_choose(file, status[i].receiver, &pacs, &err) == ISO_OK;
		const int one =
		    known && adjust(a, &pacs, &err) == ISO_OK ? send_to(a, &pacs, &file->listener) : cli_fail(&err);
		if (one > code) code = one;
	}
	free(status);
	if (!busy && !a->quiet && !a->json) puts("nothing waits");
	return code;
}

static int run(arguments *a, const iso_pacs_file *file)
{
	iso_error err;
	iso_pacs pacs;
	if (!a->queue && file->queue[0]) a->queue = file->queue;
	if ((a->status || a->later || !a->path) && !a->queue)
		return cli_usage("send", a->status || a->later ? "which queue? --queue or --config names it"
							       : "which file or folder is to be sent? Or which queue?");
	if (a->status) return show_status(a->queue, a->json);
	if (a->own_title && strlen(a->own_title) >= sizeof pacs.own_ae_title)
		return cli_usage("send", "--own-aet %s is longer than 16 characters", a->own_title);
	if (a->pacs) {
		if (iso_pacs_choose(file, a->pacs, &pacs, &err) != ISO_OK || adjust(a, &pacs, &err) != ISO_OK)
			return cli_fail(&err);
		return send_to(a, &pacs, &file->listener);
	}
	return send_waiting(a, file);
}

int cli_send(int argc, char **argv)
{
	arguments a = {.path = NULL};
	iso_error err;
	iso_pacs_file file;
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (cli_pacs_file(a.config, &file, &err) != ISO_OK) return cli_fail(&err);
	const int code = run(&a, &file);
	iso_pacs_file_free(&file);
	return code;
}
