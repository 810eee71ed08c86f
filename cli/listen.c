/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/pacs_option.h"

typedef struct {
	const char *config;
	bool quiet;
} arguments;

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	switch (key) {
	case 'c': a->config = text; break;
	case 'q': a->quiet = true; break;
	case ARGP_KEY_ARG: argp_error(state, "what is '%s'? Everything stands in the configuration file", text); break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, CLI_PACS_CONFIG_HELP, 0},
    {"quiet", 'q', NULL, 0, "No notes", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp argp = {options,
				 parse,
				 NULL,
				 "Receives DICOM objects (C-STORE) and starts a command when a study is complete.\v"
				 "Example: isotrace listen --config pacs.yaml\n\n"
				 "Objects go to FOLDER/STUDY/MODALITY_SERIES/INSTANCE.dcm. A study is complete when "
				 "nothing has come for it for quiet_s seconds "
				 "and it has series of all modalities in `needs`; then `command` is started, one at a "
				 "time, with {folder} replaced by the "
				 "study's folder and with its output in .command.log there. Only the titles and hosts "
				 "that the file names are answered. "
				 "SIGTERM or SIGINT ends it.",
				 NULL,
				 NULL,
				 NULL};

static volatile sig_atomic_t ending;
static void end_soon(int number)
{
	(void)number;
	ending = 1;
}

typedef struct starting {
	const iso_pacs_listener *listener;
	const iso_progress *progress;
	pid_t process; /* 0: none runs */
	char folder[600];
} starting;

static void tell(const starting *s, const char *what, const char *folder)
{
	char line[1200];
	snprintf(line, sizeof line, "%s: %s", folder, what);
	if (s->progress && s->progress->note) s->progress->note(s->progress->user, line);
}

/* A word of the command with every {folder} replaced; owned by the caller. */
static char *fill_in(const char *word, const char *folder)
{
	static const char place[] = "{folder}";
	size_t places = 0;
	for (const char *at = word; (at = strstr(at, place)) != NULL; at += strlen(place)) places++;
	char *text = malloc(strlen(word) + places * strlen(folder) + 1), *to = text;
	for (const char *next; text && (next = strstr(word, place)) != NULL; word = next + strlen(place)) {
		to = mempcpy(to, word, (size_t)(next - word));
		to = stpcpy(to, folder);
	}
	if (text) strcpy(to, word);
	return text;
}

/* In the new process. */
static void be_command(char **words, const char *folder, const char *study)
{
	char log[700];
	snprintf(log, sizeof log, "%s/.command.log", folder);
	const int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666), in = open("/dev/null", O_RDONLY);
	if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(126);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	setenv("ISOTRACE_STUDY_FOLDER", folder, 1);
	setenv("ISOTRACE_STUDY_UID", study, 1);
	execvp(words[0], words);
	fprintf(stderr, "%s: cannot be started: %s\n", words[0], strerror(errno));
	_exit(127);
}

static bool complete(void *user, const char *folder, const char *study, size_t objects)
{
	starting *s = user;
	char what[80];
	if (s->process) return false;
	snprintf(what, sizeof what, "complete, %zu objects", objects);
	if (!s->listener->command_count) {
		tell(s, what, folder);
		return true;
	}
	char **words = calloc(s->listener->command_count + 1, sizeof *words);
	bool filled = words != NULL;
	for (size_t w = 0; filled && w < s->listener->command_count; w++)
		filled = (words[w] = fill_in(s->listener->command[w], folder)) != NULL;
	s->process = filled ? fork() : -1;
	if (s->process == 0) be_command(words, folder, study);
	for (size_t w = 0; words && words[w]; w++) free(words[w]);
	free(words);
	if (s->process < 0) {
		s->process = 0;
		return false; /* no memory for it now */
	}
	snprintf(s->folder, sizeof s->folder, "%s", folder);
	tell(s, what, folder);
	return true;
}

static bool stop(void *user)
{
	starting *s = user;
	int how;
	if (s->process && waitpid(s->process, &how, WNOHANG) == s->process) {
		char what[80] = "the command is done";
		if (!WIFEXITED(how) || WEXITSTATUS(how))
			snprintf(what, sizeof what, "the command failed with %s %d; see .command.log there",
				 WIFEXITED(how) ? "exit code" : "signal",
				 WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
		tell(s, what, s->folder);
		s->process = 0;
	}
	return ending;
}

int cli_listen(int argc, char **argv)
{
	arguments a = {.config = NULL};
	iso_error err;
	iso_pacs_file file;
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (cli_pacs_file(a.config, &file, &err) != ISO_OK) return cli_fail(&err);
	if (!file.path[0]) {
		iso_pacs_file_free(&file);
		return cli_usage("listen", "--config names the PACS configuration file");
	}
	/* SA_RESTART is not wanted: a signal ends the wait. */
	const struct sigaction end = {.sa_handler = end_soon};
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	starting s = {.listener = &file.listener, .progress = cli_progress(a.quiet)};
	const iso_pacs_events events = {.user = &s, .complete = complete, .stop = stop};
	const iso_status status = iso_pacs_listen(&file, &events, s.progress, &err);
	/* A command that runs goes on to its end: the study's. */
	iso_pacs_file_free(&file);
	return status == ISO_OK ? 0 : cli_fail(&err);
}
