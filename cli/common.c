/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/error.h"

bool cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	argp_err_exit_status = 2;
	return argp_parse(argp, argc, argv, 0, NULL, input) == 0;
}

int cli_fail(const iso_error *err)
{
	char text[2048];
	cli_progress_end();
	fprintf(stderr, "isotrace: %s\n", iso_error_text(err, text, sizeof text));
	return iso_status_exit_code(err->status);
}

int cli_usage(const char *verb, const char *format, ...)
{
	va_list values;
	va_start(values, format);
	fputs("isotrace: ", stderr);
	vfprintf(stderr, format, values);
	va_end(values);
	fprintf(stderr, "; see isotrace %s --help\n", verb);
	return 2;
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct {
	char stage[120];
	double started_s, shown_s;
	bool line_open;
	/* of the whole call, once it tells: units of work, and when they were first heard of */
	double work_done, work_total, work_started, work_started_s;
} shown;

static void work(void *user, double done, double total)
{
	(void)user;
	if (!(shown.work_total > 0) || done < shown.work_done) {
		shown.work_started = done;
		shown.work_started_s = now_s();
	}
	shown.work_done = done;
	shown.work_total = total;
}

/* "1 h 5 min", "2 min 5 s", "12 s" */
static void duration_text(double seconds, char *text, size_t size)
{
	const long s = (long)fmin(ceil(seconds), 1e9);
	if (s >= 3600)
		snprintf(text, size, "%ld h %ld min", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(text, size, "%ld min %ld s", s / 60, s % 60);
	else
		snprintf(text, size, "%ld s", s);
}

/* Of the whole call: ": 45 % of all, 1.20 million events/s, 2 min 5 s left". False: not known yet. */
static bool describe_work(double now, char *text, size_t size)
{
	const double worked = shown.work_done - shown.work_started, passed_s = now - shown.work_started_s;
	/* when all is done the call is over, and what is shown is another one */
	if (!(worked > 0) || !(shown.work_done < shown.work_total) || !(passed_s > 0.5)) return false;
	char left[40];
	const double rate = worked / passed_s;
	duration_text((shown.work_total - shown.work_done) / rate, left, sizeof left);
	snprintf(text, size, ": %3.0f %% of all, %.3g million events/s, %s left",
		 100 * shown.work_done / shown.work_total, rate / 1e6, left);
	return true;
}

static int show(void *user, const char *stage, double done)
{
	(void)user;
	const double now = now_s();
	if (strncmp(stage, shown.stage, sizeof shown.stage - 1) != 0) {
		snprintf(shown.stage, sizeof shown.stage, "%s", stage);
		shown.started_s = now;
		shown.shown_s = 0;
	}
	if (now - shown.shown_s < 0.1 && done < 1) return 0;
	shown.shown_s = now;
	char left[48] = "", all[120];
	if (describe_work(now, all, sizeof all)) {
		fprintf(stderr, "\r\033[K%s%s", shown.stage, all);
	} else {
		if (done > 0.02 && done < 1 && now - shown.started_s > 0.5) {
			memcpy(left, ", ", 3);
			duration_text((now - shown.started_s) * (1 - done) / done, left + 2, sizeof left - 8);
			strcat(left, " left");
		}
		fprintf(stderr, "\r\033[K%s: %3.0f %%%s", shown.stage, 100 * fmin(fmax(done, 0), 1), left);
	}
	fflush(stderr);
	shown.line_open = true;
	return 0;
}

static void end_line(void)
{
	if (shown.line_open) fputs("\r\033[K", stderr);
	shown.line_open = false;
	shown.stage[0] = '\0';
}

static void note(void *user, const char *line)
{
	(void)user;
	end_line();
	fprintf(stderr, "%s\n", line);
}

const iso_progress *cli_progress(bool quiet)
{
	static const iso_progress terminal = {.report = show, .note = note, .work = work};
	static const iso_progress log = {.note = note};
	return quiet ? NULL : isatty(STDERR_FILENO) ? &terminal : &log;
}

void cli_progress_end(void)
{
	end_line();
	shown.work_done = shown.work_total = 0;
}

void cli_print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\') putchar('\\');
		if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

iso_status cli_number(const char *option, const char *text, double low, double high, double *value, iso_error *err)
{
	char *end;
	errno = 0;
	*value = strtod(text, &end);
	if (end == text || *end || !(*value >= low && *value <= high))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a plain number, the unit stands in --help",
				"--%s %s is not a number from %g to %g", option, text, low, high);
	return ISO_OK;
}

iso_status cli_whole(const char *option, const char *text, long long low, long long high, long long *value,
		     iso_error *err)
{
	char *end;
	errno = 0;
	*value = strtoll(text, &end, 10);
	if (end == text || *end || errno || *value < low || *value > high)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a whole number",
				"--%s %s is not a whole number from %lld to %lld", option, text, low, high);
	return ISO_OK;
}

iso_status cli_triple(const char *option, const char *text, double value[3], iso_error *err)
{
	const char *at = text;
	int count = 0;
	while (count < 3) {
		char *end;
		value[count] = strtod(at, &end);
		if (end == at || !isfinite(value[count])) break;
		count++;
		at = end;
		if (*at != ',' && *at != 'x') break;
		at++;
	}
	if (*at || (count != 1 && count != 3))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give one number or three, as in 64,64,128",
				"--%s %s is not three numbers", option, text);
	if (count == 1) value[1] = value[2] = value[0];
	return ISO_OK;
}

iso_status cli_bytes(const char *option, const char *text, uint64_t *value, iso_error *err)
{
	char *end;
	const double number = strtod(text, &end);
	double scale = 1;
	if (*end == 'K' || *end == 'k')
		scale = 1024.0, end++;
	else if (*end == 'M')
		scale = 1048576.0, end++;
	else if (*end == 'G')
		scale = 1073741824.0, end++;
	if (end == text || *end || !(number > 0) || number * scale > 1e18)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give bytes, or K, M, G as in 4G",
				"--%s %s is no amount of memory", option, text);
	*value = (uint64_t)(number * scale);
	return ISO_OK;
}

void cli_keep(iso_error *first, iso_status status, const iso_error *err)
{
	if (first->status == ISO_OK && status != ISO_OK) *first = *err;
}

void cli_take_number(iso_error *first, const char *option, const char *text, double low, double high, double *to)
{
	iso_error err;
	cli_keep(first, cli_number(option, text, low, high, to, &err), &err);
}

long long cli_take_whole(iso_error *first, const char *option, const char *text, long long low, long long high)
{
	iso_error err;
	long long value = low;
	cli_keep(first, cli_whole(option, text, low, high, &value, &err), &err);
	return value;
}

void cli_take_triple(iso_error *first, const char *option, const char *text, double to[3])
{
	iso_error err;
	cli_keep(first, cli_triple(option, text, to, &err), &err);
}

iso_status cli_organ_table_beside(const char *labels, char table[PATH_MAX], iso_error *err)
{
	const size_t length = strlen(labels);
	size_t stem = length;
	if (length > 7 && strcmp(labels + length - 7, ".nii.gz") == 0)
		stem = length - 7;
	else if (length > 4 && strcmp(labels + length - 4, ".nii") == 0)
		stem = length - 4;
	snprintf(table, PATH_MAX, "%.*s.csv", (int)stem, labels);
	if (access(table, R_OK) == 0) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, table, "write it, or name another with --organ-table",
			"there is no organ table beside the labels");
}
