/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * isotrace bench: the program's own speed on this machine. */
#include <jansson.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/cli.h"
#include "recon/sheaf.h"

enum { default_events = 2000000, default_textbook_events = 100000, default_rounds = 5 };

typedef struct bench_options {
	const char *subject, *output;
	const iso_kernels *kernels; /* NULL: the fastest */
	const bench_case *which;    /* NULL: all */
	long long events, textbook_events, rounds, threads;
	bool json, tof;
	iso_error err;
	iso_status status;
} bench_options;

static json_t *speed_json(const bench_speed *speed)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f}", "forward_events_per_s", speed->forward_per_s, "back_events_per_s",
			 speed->back_per_s, "both_events_per_s", speed->both_per_s, "adjoint_error",
			 speed->adjoint_error, "cpu_share", speed->cpu_share);
}

/* How many times as fast a is as b. */
static json_t *ratio_json(const bench_speed *a, const bench_speed *b)
{
	return json_pack("{s:f, s:f, s:f}", "forward", a->forward_per_s / b->forward_per_s, "back",
			 a->back_per_s / b->back_per_s, "both", a->both_per_s / b->both_per_s);
}

/* Part of the kernel's time that its loads and stores alone would take. */
static double forward_share(const bench_result *r)
{
	return r->forward_bound_s * r->fast.forward_per_s;
}

static double back_share(const bench_result *r)
{
	return r->back_bound_s * r->fast.back_per_s;
}

static json_t *moved_json(const bench_moved *m)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:I}", "forward_load_bytes_per_event", m->forward_load_bytes,
			 "forward_store_bytes_per_event", m->forward_store_bytes, "back_load_bytes_per_event",
			 m->back_load_bytes, "back_store_bytes_per_event", m->back_store_bytes, "working_set_bytes",
			 (json_int_t)m->working_set_bytes);
}

static json_t *result_json(const char *name, bool tof, const bench_settings *settings, const bench_result *r)
{
	json_t *traffic =
	    json_pack("{s:o, s:o}", "panel", moved_json(&r->traffic.panel), "image", moved_json(&r->traffic.image));
	json_t *result =
	    json_pack("{s:s, s:b, s:I, s:I, s:f, s:o, s:o, s:o, s:{s:f, s:f}, s:o, s:{s:f, s:f}, s:{s:f, s:f}}", "case",
		      name, "tof", (int)tof, "events", (json_int_t)settings->events, "textbook_events",
		      (json_int_t)settings->textbook_events, "prepare_s", r->prepare_s, "fast", speed_json(&r->fast),
		      "textbook", speed_json(&r->textbook), "ratio", ratio_json(&r->fast, &r->textbook), "difference",
		      "forward", r->forward_difference, "back", r->back_difference, "traffic", traffic,
		      "bound_s_per_event", "forward", r->forward_bound_s, "back", r->back_bound_s, "share_of_bound",
		      "forward", forward_share(r), "back", back_share(r));
	if (result && settings->threads > 1) {
		json_object_set_new(result, "fast_one_thread", speed_json(&r->one_thread));
		json_object_set_new(result, "threads_ratio", ratio_json(&r->fast, &r->one_thread));
	}
	return result;
}

static void print_speed(const char *name, size_t events, const bench_speed *speed)
{
	printf("  %-18s %10zu %9.3f M/s %9.3f M/s %9.3f M/s %14.1e %8.0f %%\n", name, events,
	       1e-6 * speed->forward_per_s, 1e-6 * speed->back_per_s, 1e-6 * speed->both_per_s, speed->adjoint_error,
	       100 * speed->cpu_share);
}

static void print_ratio(const char *name, const bench_speed *a, const bench_speed *b)
{
	printf("  %-29s %9.2f     %9.2f     %9.2f\n", name, a->forward_per_s / b->forward_per_s,
	       a->back_per_s / b->back_per_s, a->both_per_s / b->both_per_s);
}

static void print_moved(const char *name, const bench_moved *m)
{
	printf("  %-29s %9.0f B   %9.0f B   loaded and stored, working set %zu KiB\n", name,
	       m->forward_load_bytes + m->forward_store_bytes, m->back_load_bytes + m->back_store_bytes,
	       m->working_set_bytes >> 10);
}

static void print_result(const char *name, bool tof, const bench_settings *settings, const bench_result *r)
{
	printf("%s, %s, %d thread%s, %s kernels\n", name, tof ? "TOF" : "non-TOF", settings->threads,
	       settings->threads > 1 ? "s" : "", settings->kernels);
	printf("  %-18s %10s %13s %13s %13s %14s %10s\n", "", "events", "forward", "back", "both", "adjoint error",
	       "CPU");
	print_speed("fast", settings->events, &r->fast);
	print_speed("textbook", settings->textbook_events, &r->textbook);
	print_ratio("fast / textbook", &r->fast, &r->textbook);
	if (settings->threads > 1) {
		char title[40];
		print_speed("fast, 1 thread", settings->events, &r->one_thread);
		snprintf(title, sizeof title, "%d threads / 1 thread", settings->threads);
		print_ratio(title, &r->fast, &r->one_thread);
	}
	printf("  %-29s %9.1e     %9.1e\n", "largest relative difference", r->forward_difference, r->back_difference);
	print_moved("moved in the panel, per event", &r->traffic.panel);
	print_moved("moved in the image, per event", &r->traffic.image);
	printf("  %-29s %9.1f %%   %9.1f %%\n", "share of the machine's bound", 100 * forward_share(r),
	       100 * back_share(r));
	printf("  %-29s %9.3f s\n", "prepared in", r->prepare_s);
	fflush(stdout);
}

static void print_json(json_t *list, const bench_settings *settings)
{
	json_t *report = json_pack("{s:s, s:s, s:s, s:i, s:i, s:O}", "bench", "projector", "software",
				   "isotrace " ISO_VERSION, "kernels", settings->kernels, "threads", settings->threads,
				   "rounds", settings->rounds, "cases", list);
	char *text = report ? json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
	if (text) puts(text);
	free(text);
	json_decref(report);
}

static iso_status bench_one_case(const bench_case *which, const bench_settings *settings, bool json, json_t *list,
				 iso_error *err)
{
	bench_data data;
	iso_status status = bench_data_make(which, settings->events, &data, err);
	if (status != ISO_OK) return status;
	for (int tof = 0; tof < 2 && status == ISO_OK; tof++) {
		bench_result result;
		status = bench_measure(&data, tof ? &bench_tof : NULL, settings, &result, err);
		if (status != ISO_OK) break;
		if (json)
			json_array_append_new(list, result_json(which->name, tof, settings, &result));
		else
			print_result(which->name, tof, settings, &result);
	}
	bench_data_free(&data);
	return status;
}

static int bench_projector(bench_options *options)
{
	const long long textbook_events = options->textbook_events ? options->textbook_events : default_textbook_events;
	const bench_settings settings = {
	    .events = (size_t)options->events,
	    .textbook_events = (size_t)(textbook_events < options->events ? textbook_events : options->events),
	    .rounds = (int)options->rounds,
	    .threads = options->threads ? (int)options->threads : omp_get_max_threads(),
	    .kernels = (options->kernels ? options->kernels : iso_kernels_choose(NULL))->name};
	json_t *list = json_array();
	iso_status status = ISO_OK;
	for (int n = 0; n < bench_cases && status == ISO_OK; n++)
		if (!options->which || options->which == bench_case_table + n)
			status = bench_one_case(bench_case_table + n, &settings, options->json, list, &options->err);
	if (status == ISO_OK && options->json) print_json(list, &settings);
	json_decref(list);
	return status == ISO_OK ? 0 : cli_fail(&options->err);
}

static int bench_events(bench_options *options)
{
	if (!options->which) return cli_usage("bench", "say which case's events with --case");
	if (!options->output) return cli_usage("bench", "say where the events go with -o X.lm.h5");
	const iso_status status = bench_write_events(options->which, options->tof, (uint64_t)options->events,
						     options->output, cli_progress(options->json), &options->err);
	cli_progress_end();
	if (status != ISO_OK) return cli_fail(&options->err);
	if (options->json)
		printf("{\"bench\": \"events\", \"case\": \"%s\", \"events\": %lld, \"tof\": %s}\n",
		       options->which->name, options->events, options->tof ? "true" : "false");
	return 0;
}

enum {
	option_case = 1,
	option_events,
	option_textbook_events,
	option_rounds,
	option_threads,
	option_kernels,
	option_tof,
	option_json,
	option_output = 'o'
};

static const struct argp_option options_table[] = {
    {"case", option_case, "NAME", 0, "preclinical, clinical, total-body or all (default for projector)", 0},
    {"events", option_events, "N", 0, "events (default 2000000)", 0},
    {"json", option_json, NULL, 0, "print JSON", 0},
    {0, 0, 0, 0, "projector:", 1},
    {"textbook-events", option_textbook_events, "N", 0,
     "leading part of the events that the textbook kernel is timed and compared with (default 100000)", 1},
    {"rounds", option_rounds, "N", 0, "rounds, of which medians are taken (default 5)", 1},
    {"threads", option_threads, "N", 0, "threads (default: all)", 1},
    {"kernels", option_kernels, "NAME", 0,
     "avx512, avx2 or baseline: those for such processors (default: the fastest that this one runs)", 1},
    {0, 0, 0, 0, "events:", 2},
    {"output", option_output, "X.lm.h5", 0, "the list-mode to write", 2},
    {"tof", option_tof, NULL, 0, "with time of flight", 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state)
{
	bench_options *options = state->input;
	iso_status status = ISO_OK;
	switch (key) {
	case option_case:
		options->which = bench_case_named(text);
		if (!options->which && strcmp(text, "all") != 0)
			argp_error(state, "--case %s: preclinical, clinical, total-body or all", text);
		return 0;
	case option_events:
		status = cli_whole("events", text, 1, 1000000000000, &options->events, &options->err);
		break;
	case option_textbook_events:
		status = cli_whole("textbook-events", text, 1, 100000000, &options->textbook_events, &options->err);
		break;
	case option_rounds:
		status = cli_whole("rounds", text, 1, bench_rounds_most, &options->rounds, &options->err);
		break;
	case option_threads: status = cli_whole("threads", text, 1, 1024, &options->threads, &options->err); break;
	case option_kernels:
		options->kernels = iso_kernels_choose(text);
		if (!options->kernels)
			argp_error(state, "--kernels %s: this processor has none of that name; its fastest are %s",
				   text, iso_kernels_choose(NULL)->name);
		return 0;
	case option_tof: options->tof = true; return 0;
	case option_json: options->json = true; return 0;
	case option_output: options->output = text; return 0;
	case ARGP_KEY_ARG:
		if (options->subject) argp_error(state, "one subject at a time");
		options->subject = text;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
	if (status != ISO_OK) options->status = status;
	return 0;
}

int cli_bench(int argc, char **argv)
{
	static const struct argp argp = {
	    .options = options_table,
	    .parser = parse,
	    .args_doc = "projector\nevents",
	    .doc = "projector: measures the projector's speed on this machine against the textbook kernel, both taking "
		   "turns in "
		   "one process: events per second forward, back and both, medians of the rounds, without and with TOF "
		   "(59 mm "
		   "FWHM, 25 mm bins), how far their results differ, and which part of the time the loads and stores "
		   "alone "
		   "would take. docs/projector.md explains each number.\n"
		   "events: writes such a case's events as list-mode, for the speed of isotrace recon.\v"
		   "Examples:\n\n"
		   "  isotrace bench projector --json\n"
		   "  isotrace bench events --case preclinical --events 100000000 -o X.lm.h5\n"};
	bench_options options = {.events = default_events, .rounds = default_rounds};
	if (!cli_parse(&argp, argc, argv, &options)) return 2;
	if (options.status != ISO_OK) return cli_fail(&options.err);
	if (!options.subject) return cli_usage("bench", "say what: projector or events");
	if (strcmp(options.subject, "events") == 0) return bench_events(&options);
	if (strcmp(options.subject, "projector") != 0) return cli_usage("bench", "bench knows no %s", options.subject);
	if (options.events > 100000000) return cli_usage("bench", "projector takes at most 100000000 events");
	return bench_projector(&options);
}
