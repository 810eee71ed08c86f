/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * isotrace bench: the program's own speed on this machine. */
#include <jansson.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "core/error.h"
#include "core/random.h"

enum { repetitions = 5, default_events = 200000 };

/* A scanner, an image and a uniform cylinder of activity along the axis. */
typedef struct bench_case {
	const char *name;
	double radius_mm, ring_spacing_mm;
	uint32_t rings, crystals;
	size_t size[3];
	double voxel_mm, source_radius_mm, source_length_mm;
} bench_case;

static const bench_case cases[] = {
    {"preclinical", 80, 1.6, 81, 400, {128, 128, 160}, 0.8, 15, 90},
    {"clinical", 372, 5.56, 32, 576, {200, 200, 71}, 2.78, 150, 170},
    {"total-body", 390, 4, 480, 640, {220, 220, 600}, 3.2, 150, 1600},
};

/* 59 mm FWHM, 25 mm bins, cut at 3 sigma */
static const iso_tof_kernel bench_tof = {.sigma_mm = 59 / 2.3548200450309493, .bin_mm = 25, .cut_sigmas = 3};

typedef struct bench_options {
	const char *subject;
	const bench_case *which;
	long long events, threads;
	bool json;
	iso_error err;
	iso_status status;
} bench_options;

typedef struct bench_result {
	double forward_per_s, adjoint_per_s, both_per_s; /* medians, events/s */
	double adjoint_error;                            /* |<Ax,y> - <x,A'y>| / <Ax,y> */
} bench_result;

typedef struct bench_data {
	iso_grid grid;
	iso_line *lines;
	float *image, *back, *values, *weights;
	size_t events;
} bench_data;

static void free_data(bench_data *data)
{
	free(data->lines), free(data->image), free(data->back), free(data->values), free(data->weights);
}

/* One back-to-back pair of photons from the cylinder, caught by the crystals that it meets; false: it leaves. */
static bool draw_event(const bench_case *c, iso_random *random, iso_event *event, double *tof_mm)
{
	double d[3];
	const double rho = c->source_radius_mm * sqrt(iso_random_uniform(random)),
		     azimuth = 2 * M_PI * iso_random_uniform(random);
	const double p[3] = {rho * cos(azimuth), rho * sin(azimuth),
			     c->source_length_mm * (iso_random_uniform(random) - 0.5)};
	iso_random_direction(random, d);
	const double a = d[0] * d[0] + d[1] * d[1], b = p[0] * d[0] + p[1] * d[1];
	const double root = sqrt(b * b + a * (c->radius_mm * c->radius_mm - rho * rho));
	double at[2];
	for (int end = 0; end < 2; end++) {
		at[end] = (-b + (end ? root : -root)) / a;
		const double ring = (p[2] + at[end] * d[2]) / c->ring_spacing_mm + 0.5 * (c->rings - 1.0);
		if (!(ring >= -0.5 && ring < c->rings - 0.5)) return false;
		const double turn = atan2(p[1] + at[end] * d[1], p[0] + at[end] * d[0]) / (2 * M_PI) + 1;
		const uint32_t crystal = (uint32_t)lround(turn * c->crystals) % c->crystals;
		event->element[end] = (uint32_t)lround(fmax(ring, 0)) * c->crystals + crystal;
	}
	*tof_mm = -0.5 * (at[0] + at[1]) + bench_tof.sigma_mm * iso_random_gaussian(random);
	return event->element[0] != event->element[1];
}

static iso_status make_events(const bench_case *c, bench_data *data, iso_error *err)
{
	const iso_ring_description rings = {.name = "bench",
					    .rings = c->rings,
					    .crystals_per_ring = c->crystals,
					    .radius_mm = c->radius_mm,
					    .ring_spacing_mm = c->ring_spacing_mm,
					    .crystal_size_mm = {(double)NAN, (double)NAN, (double)NAN},
					    .attenuation_per_mm = (double)NAN};
	iso_scanner *scanner;
	const iso_status status = iso_scanner_from_rings(&rings, &scanner, err);
	if (status != ISO_OK) return status;
	iso_random random = iso_random_begin(1, 0);
	for (size_t n = 0; n < data->events; n++) {
		iso_event event = {0};
		double tof_mm = 0;
		while (!draw_event(c, &random, &event, &tof_mm)) continue;
		iso_lines_of_events(scanner, &event, 1, data->lines + n);
		data->lines[n].tof_centre_mm = (float)(bench_tof.bin_mm * rint(tof_mm / bench_tof.bin_mm));
		data->weights[n] = (float)(0.5 + iso_random_uniform(&random));
	}
	iso_scanner_free(scanner);
	return ISO_OK;
}

static iso_status make_data(const bench_case *c, size_t events, bench_data *data, iso_error *err)
{
	data->grid = iso_grid_centred(c->size, (double[]){c->voxel_mm, c->voxel_mm, c->voxel_mm}, (double[]){0, 0, 0});
	data->events = events;
	const size_t voxels = iso_grid_voxels(&data->grid);
	data->lines = malloc(events * sizeof *data->lines);
	data->values = malloc(events * sizeof *data->values);
	data->weights = malloc(events * sizeof *data->weights);
	data->image = malloc(voxels * sizeof *data->image);
	data->back = malloc(voxels * sizeof *data->back);
	if (!data->lines || !data->values || !data->weights || !data->image || !data->back)
		return iso_fail_memory(err, "the bench", events * sizeof *data->lines + 2 * voxels * sizeof(float));
	iso_random random = iso_random_begin(2, 0);
	for (size_t n = 0; n < voxels; n++) data->image[n] = (float)(0.5 + iso_random_uniform(&random));
	return make_events(c, data, err);
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, repetitions, sizeof *values, by_size);
	return values[repetitions / 2];
}

static iso_status measure(bench_data *data, const iso_tof_kernel *tof, int threads, bench_result *result,
			  iso_error *err)
{
	iso_projector *projector;
	iso_status status = iso_projector_create(&data->grid, tof, threads, &projector, err);
	double forward[repetitions], adjoint[repetitions], both[repetitions];
	const size_t voxels = iso_grid_voxels(&data->grid);
	/* one round more than is counted: the first touches the memory */
	for (int n = -1; n < repetitions && status == ISO_OK; n++) {
		memset(data->back, 0, voxels * sizeof *data->back);
		const double start = now_s();
		status = iso_projector_forward(projector, data->lines, data->events, data->image, data->values, err);
		const double middle = now_s();
		if (status == ISO_OK)
			status =
			    iso_projector_adjoint(projector, data->lines, data->events, data->weights, data->back, err);
		const double end = now_s();
		if (n < 0) continue;
		forward[n] = middle - start;
		adjoint[n] = end - middle;
		both[n] = end - start;
	}
	iso_projector_free(projector);
	if (status != ISO_OK) return status;
	double left = 0, right = 0;
	for (size_t n = 0; n < data->events; n++) left += (double)data->values[n] * (double)data->weights[n];
	for (size_t n = 0; n < voxels; n++) right += (double)data->image[n] * (double)data->back[n];
	const double events = (double)data->events;
	*result = (bench_result){events / median(forward), events / median(adjoint), events / median(both),
				 fabs(left - right) / left};
	return ISO_OK;
}

static json_t *result_json(const bench_options *options, bool tof, const bench_result *result)
{
	return json_pack("{s:s, s:b, s:I, s:i, s:f, s:f, s:f, s:f}", "case", options->which->name, "tof", (int)tof,
			 "events", (json_int_t)options->events, "repetitions", repetitions, "forward_events_per_s",
			 result->forward_per_s, "adjoint_events_per_s", result->adjoint_per_s, "both_events_per_s",
			 result->both_per_s, "adjoint_error", result->adjoint_error);
}

static void print_result(const bench_options *options, bool tof, const bench_result *result)
{
	if (!tof)
		printf("%-12s %-8s %10s %12s %12s %12s %14s\n", "case", "", "events", "forward", "adjoint", "both",
		       "adjoint error");
	printf("%-12s %-8s %10lld %9.3f M/s %9.3f M/s %9.3f M/s %14.1e\n", options->which->name,
	       tof ? "TOF" : "non-TOF", options->events, 1e-6 * result->forward_per_s, 1e-6 * result->adjoint_per_s,
	       1e-6 * result->both_per_s, result->adjoint_error);
	fflush(stdout);
}

static int bench_projector(bench_options *options)
{
	const int threads = options->threads ? (int)options->threads : omp_get_max_threads();
	bench_data data = {0};
	json_t *list = json_array();
	iso_status status = make_data(options->which, (size_t)options->events, &data, &options->err);
	for (int tof = 0; tof < 2 && status == ISO_OK; tof++) {
		bench_result result;
		status = measure(&data, tof ? &bench_tof : NULL, threads, &result, &options->err);
		if (status != ISO_OK) break;
		if (options->json)
			json_array_append_new(list, result_json(options, tof, &result));
		else
			print_result(options, tof, &result);
	}
	free_data(&data);
	if (status != ISO_OK) {
		json_decref(list);
		return cli_fail(&options->err);
	}
	if (options->json) {
		json_t *report = json_pack("{s:s, s:s, s:i, s:o}", "bench", "projector", "software",
					   "isotrace " ISO_VERSION, "threads", threads, "cases", list);
		char *text = report ? json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
		if (text) puts(text);
		free(text);
		json_decref(report);
	} else
		json_decref(list);
	return 0;
}

enum { option_case = 1, option_events, option_threads, option_json };

static const struct argp_option options_table[] = {
    {"case", option_case, "NAME", 0, "preclinical (default), clinical or total-body", 0},
    {"events", option_events, "N", 0, "events to project (default 200000)", 0},
    {"threads", option_threads, "N", 0, "threads (default: all)", 0},
    {"json", option_json, NULL, 0, "print JSON", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state)
{
	bench_options *options = state->input;
	switch (key) {
	case option_case:
		options->which = NULL;
		for (size_t n = 0; n < sizeof cases / sizeof *cases; n++)
			if (strcmp(cases[n].name, text) == 0) options->which = cases + n;
		if (!options->which) argp_error(state, "--case %s: preclinical, clinical or total-body", text);
		return 0;
	case option_events:
		if (cli_whole("events", text, 1, 100000000, &options->events, &options->err) != ISO_OK)
			options->status = ISO_BAD_USAGE;
		return 0;
	case option_threads:
		if (cli_whole("threads", text, 1, 1024, &options->threads, &options->err) != ISO_OK)
			options->status = ISO_BAD_USAGE;
		return 0;
	case option_json: options->json = true; return 0;
	case ARGP_KEY_ARG:
		if (options->subject) argp_error(state, "one subject at a time");
		options->subject = text;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

int cli_bench(int argc, char **argv)
{
	static const struct argp argp = {
	    .options = options_table,
	    .parser = parse,
	    .args_doc = "projector",
	    .doc =
		"Measures the projector's speed on this machine: events per second forward, back (adjoint) and both, "
		"medians of five rounds, without and with TOF (59 mm FWHM, 25 mm bins), and how well the two "
		"directions "
		"are each other's adjoint.\vExample: isotrace bench projector --events 1000000 --json"};
	bench_options options = {.which = cases, .events = default_events};
	if (!cli_parse(&argp, argc, argv, &options)) return 2;
	if (options.status != ISO_OK) return cli_fail(&options.err);
	if (!options.subject || strcmp(options.subject, "projector") != 0)
		return cli_usage("bench", options.subject ? "bench knows no %s" : "say what to measure: projector",
				 options.subject);
	return bench_projector(&options);
}
