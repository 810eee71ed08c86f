/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/error.h"

enum {
	KEY_SOURCE = 256,
	KEY_RADIUS,
	KEY_LENGTH,
	KEY_CENTRE,
	KEY_MU,
	KEY_ROD,
	KEY_WIDTH,
	KEY_THICKNESS,
	KEY_ANGLE,
	KEY_POSITIONS,
	KEY_INNER,
	KEY_GEOMETRIC,
	KEY_BLOCK,
	KEY_THREADS,
	KEY_JSON
};

static const struct argp_option option_table[] = {
    {"output", 'o', "FILE.norm.h5", 0, "Normalisation to write; needed", 0},
    {NULL, 0, NULL, 0, "What was scanned:", 1},
    {"source", KEY_SOURCE, "KIND", 0,
     "cylinder: uniform, along the axis; line: a rod that goes round; plane: a slab; needed", 1},
    {"radius", KEY_RADIUS, "MM", 0, "Of the cylinder, or of the rod's orbit", 1},
    {"length", KEY_LENGTH, "MM", 0, "Along the axis; default: longer than the scanner", 1},
    {"centre", KEY_CENTRE, "X,Y,Z", 0, "In mm; default 0,0,0", 1},
    {"mu", KEY_MU, "PER_CM", 0, "Attenuation of cylinder or plane at 511 keV, or 'water' (0.096); default 0", 1},
    {"rod-radius", KEY_ROD, "MM", 0, "line: default 1", 1},
    {"width", KEY_WIDTH, "MM", 0, "plane: across the axis", 1},
    {"thickness", KEY_THICKNESS, "MM", 0, "plane", 1},
    {"angle", KEY_ANGLE, "DEG", 0, "plane: of its width from +x towards +y at the first position; default 0", 1},
    {"positions", KEY_POSITIONS, "N", 0, "plane: scanned at N angles, 180/N degrees apart, each for as long; default 1",
     1},
    {NULL, 0, NULL, 0, "What is fitted:", 2},
    {"inner", KEY_INNER, "PART", 0, "Lines within this part of the radius count; default 0.9", 2},
    {"geometric", KEY_GEOMETRIC, "keep|drop|none", 0,
     "Factors by distance from the axis and by difference in z: keep them; fit and leave them out, since a source that "
     "scatters shows its scatter in "
     "them (default for a cylinder); do not fit them. Default for line and plane: keep",
     2},
    {"block", KEY_BLOCK, "yes|no", 0,
     "Factors by the crystal's position in its block; default: yes where the list-mode states blocks", 2},
    {NULL, 0, NULL, 0, "Machine:", 3},
    {"threads", KEY_THREADS, "N", 0, "Default: all; the result does not depend on it", 3},
    {"json", KEY_JSON, NULL, 0, "Print what was found as JSON", 3},
    {"quiet", 'q', NULL, 0, "Print nothing but errors", 3},
    {0}};

typedef struct arguments {
	const char *input, *output, *geometric, *block;
	iso_norm_source source;
	double inner, positions;
	int kind, threads; /* kind -1: not yet stated */
	bool json, quiet;
	iso_error err;
} arguments;

static int word(const char *text, const char *const *words)
{
	for (int n = 0; words[n]; n++)
		if (strcmp(text, words[n]) == 0) return n;
	return -1;
}

static const char *const kinds[] = {"cylinder", "line", "plane", NULL};
static const char *const geometrics[] = {"keep", "drop", "none", NULL};

static error_t parse_source(int key, char *text, arguments *a)
{
	iso_norm_source *s = &a->source;
	switch (key) {
	case KEY_RADIUS: cli_take_number(&a->err, "radius", text, 1e-3, 1e5, &s->radius_mm); return 0;
	case KEY_LENGTH: cli_take_number(&a->err, "length", text, 1e-3, 1e6, &s->length_mm); return 0;
	case KEY_CENTRE: cli_take_triple(&a->err, "centre", text, s->centre_mm); return 0;
	case KEY_MU:
		if (strcmp(text, "water") == 0)
			s->mu_per_cm = 0.0960;
		else
			cli_take_number(&a->err, "mu", text, 0, 50, &s->mu_per_cm);
		return 0;
	case KEY_ROD: cli_take_number(&a->err, "rod-radius", text, 1e-3, 1e4, &s->rod_radius_mm); return 0;
	case KEY_WIDTH: cli_take_number(&a->err, "width", text, 1e-3, 1e5, &s->width_mm); return 0;
	case KEY_THICKNESS: cli_take_number(&a->err, "thickness", text, 1e-3, 1e5, &s->thickness_mm); return 0;
	case KEY_ANGLE: cli_take_number(&a->err, "angle", text, -360, 360, &s->angle_deg); return 0;
	case KEY_POSITIONS: cli_take_number(&a->err, "positions", text, 1, 64, &a->positions); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	double threads = 0;
	switch (key) {
	case 'o': a->output = text; return 0;
	case KEY_SOURCE:
		a->kind = word(text, kinds);
		if (a->kind < 0) argp_error(state, "--source is cylinder, line or plane, not '%s'", text);
		return 0;
	case KEY_INNER: cli_take_number(&a->err, "inner", text, 1e-3, 1, &a->inner); return 0;
	case KEY_GEOMETRIC:
		if (word(text, geometrics) < 0) argp_error(state, "--geometric is keep, drop or none, not '%s'", text);
		a->geometric = text;
		return 0;
	case KEY_BLOCK:
		if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
			argp_error(state, "--block is yes or no, not '%s'", text);
		a->block = text;
		return 0;
	case KEY_THREADS:
		cli_take_number(&a->err, "threads", text, 1, 4096, &threads);
		a->threads = (int)threads;
		return 0;
	case KEY_JSON: a->json = true; return 0;
	case 'q': a->quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (a->input) argp_error(state, "one norm scan at a time; '%s' is a second one", text);
		a->input = text;
		return 0;
	default: return parse_source(key, text, a);
	}
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "NORM.lm.h5",
    .doc =
	"Crystal efficiencies and geometric factors from the list-mode of a norm scan, by maximum likelihood, into one "
	"file for isotrace recon "
	"--normalisation.\vExamples:\n\n"
	"  isotrace normalise cylinder.lm.h5 --source cylinder --radius 30 --length 160 --mu water -o 2026-03.norm.h5\n"
	"  isotrace normalise rod.lm.h5 --source line --radius 35 --rod-radius 1.5 -o 2026-03.norm.h5\n"};

static void print(const arguments *a, const iso_normalisation *n)
{
	double sum = 0, alive = 0, low = (double)INFINITY, high = 0;
	for (uint32_t e = 0; e < n->elements; e++) {
		if (!(n->efficiency[e] > 0)) continue;
		sum += pow((double)n->uncertainty[e], 2);
		alive++;
		low = fmin(low, (double)n->efficiency[e]);
		high = fmax(high, (double)n->efficiency[e]);
	}
	const double uncertainty = alive > 0 ? sqrt(sum / alive) : 0;
	if (a->json)
		printf(
		    "{\"output\": \"%s\", \"elements\": %u, \"dead\": %u, \"prompts\": %.0f, \"delayeds\": %.0f, "
		    "\"efficiency\": [%.6g, %.6g], \"uncertainty\": %.6g, \"radial_nodes\": %u, \"axial_nodes\": %u, "
		    "\"block_positions\": %u}\n",
		    a->output, n->elements, n->dead, n->prompts, n->delayeds, low, high, uncertainty,
		    n->components ? n->components->radial_nodes : 0, n->components ? n->components->axial_nodes : 0,
		    n->components ? n->components->block_positions : 0);
	else if (!a->quiet)
		printf("%s: %u crystals, %u dead, efficiencies %.3g to %.3g, known to %.2g %% (rms), %.0f prompts\n",
		       a->output, n->elements, n->dead, low, high, 100 * uncertainty, n->prompts);
}

static iso_status normalise(arguments *a)
{
	iso_events *events = NULL;
	iso_normalisation *norm = NULL;
	const iso_export_options none = iso_export_options_default();
	iso_status status = iso_export_open(a->input, &none, &events, &a->err);
	if (status != ISO_OK) return status;
	iso_normalise_options o = iso_normalise_options_default(&a->source, iso_events_scanner(events));
	o.progress = cli_progress(a->quiet || a->json);
	o.threads = a->threads;
	if (a->inner > 0) o.inner_part = a->inner;
	if (a->geometric) o.geometric = (iso_norm_geometric)word(a->geometric, geometrics);
	if (a->block) o.block = strcmp(a->block, "yes") == 0;
	status = iso_normalise(events, &o, &norm, &a->err);
	if (status != ISO_OK && !a->err.file[0]) snprintf(a->err.file, sizeof a->err.file, "%s", a->input);
	if (status == ISO_OK) status = iso_normalisation_write(a->output, norm, &a->err);
	cli_progress_end();
	if (status == ISO_OK) print(a, norm);
	iso_normalisation_free(norm);
	iso_events_close(events);
	return status;
}

int cli_normalise(int argc, char **argv)
{
	arguments a = {.kind = -1, .positions = 1, .source = iso_norm_source_default(ISO_NORM_CYLINDER)};
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (a.err.status != ISO_OK) return cli_fail(&a.err);
	if (!a.input) return cli_usage("normalise", "name the list-mode of the norm scan");
	if (!a.output) return cli_usage("normalise", "say with -o FILE.norm.h5 where to write");
	if (a.kind < 0) return cli_usage("normalise", "say with --source what was scanned");
	a.source.kind = (iso_norm_source_kind)a.kind;
	a.source.positions = (unsigned)a.positions;
	return normalise(&a) == ISO_OK ? 0 : cli_fail(&a.err);
}
