/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/recon_scatter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/error.h"
#include "core/output.h"
#include "io/json.h"

enum { KEY_SCATTER = 600, KEY_SCALE, KEY_UPDATES, KEY_GAMMA, KEY_WINDOW, KEY_RESOLUTION, KEY_BACKGROUND };

static const struct argp_option option_table[] = {
    {"scatter", KEY_SCATTER, "sss|none", 0,
     "Single-scatter simulation; default: where there is a --mu and the energy window and resolution are known", 3},
    {"scatter-scale", KEY_SCALE, "tails|total|none", 0,
     "How much scatter there is: by lines that pass the body (default), by the total, or as simulated", 3},
    {"scatter-updates", KEY_UPDATES, "N", 0, "Estimate scatter after each of the first N iterations; default 3", 3},
    {"prompt-gamma", KEY_GAMMA, "yes|no", OPTION_ARG_OPTIONAL,
     "Background of the nuclide's prompt gammas; default: with scatter, where the nuclide has any", 3},
    {"energy-window", KEY_WINDOW, "LOW,HIGH", 0, "In keV; default: as the list-mode states", 3},
    {"energy-resolution", KEY_RESOLUTION, "PERCENT", 0, "FWHM at 511 keV; default: as the list-mode states", 3},
    {"write-background", KEY_BACKGROUND, "FILE.json", 0,
     "Write the counts of randoms, scatter and prompt gammas expected in the last frame, by distance from the axis and "
     "by z; without checkpoint",
     3},
    {0}};

static void take_window(cli_scatter *s, const char *text)
{
	double *window = s->recon->energy_window_kev;
	char rest;
	iso_error err;
	if (sscanf(text, "%lf,%lf%c", &window[0], &window[1], &rest) == 2 && window[0] >= 0 && window[1] < 1e5 &&
	    window[0] < window[1])
		return;
	cli_keep(&s->err,
		 iso_fail(&err, ISO_BAD_USAGE, NULL, "give LOW,HIGH in keV, as 350,650",
			  "--energy-window %s is no window", text),
		 &err);
}

static void take_scale(cli_scatter *s, const char *text, struct argp_state *state)
{
	if (strcmp(text, "tails") == 0)
		s->recon->scatter_scale = ISO_SCATTER_SCALE_TAILS;
	else if (strcmp(text, "total") == 0)
		s->recon->scatter_scale = ISO_SCATTER_SCALE_TOTAL;
	else if (strcmp(text, "none") == 0)
		s->recon->scatter_scale = ISO_SCATTER_SCALE_NONE;
	else
		argp_error(state, "--scatter-scale is tails, total or none, not '%s'", text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	cli_scatter *s = state->input;
	switch (key) {
	case KEY_SCATTER:
		if (strcmp(arg, "sss") != 0 && strcmp(arg, "none") != 0)
			argp_error(state, "--scatter is sss or none, not '%s'", arg);
		s->method = arg;
		return 0;
	case KEY_SCALE: take_scale(s, arg, state); return 0;
	case KEY_UPDATES:
		s->recon->scatter_updates = (unsigned)cli_take_whole(&s->err, "scatter-updates", arg, 1, 1000);
		return 0;
	case KEY_GAMMA:
		if (arg && strcmp(arg, "yes") != 0 && strcmp(arg, "no") != 0)
			argp_error(state, "--prompt-gamma is yes or no, not '%s'", arg);
		s->have_gammas = true;
		s->recon->prompt_gammas = !arg || strcmp(arg, "yes") == 0;
		return 0;
	case KEY_WINDOW: take_window(s, arg); return 0;
	case KEY_RESOLUTION: {
		double percent = 0;
		cli_take_number(&s->err, "energy-resolution", arg, 0.1, 99, &percent);
		s->recon->energy_resolution = percent / 100;
		return 0;
	}
	case KEY_BACKGROUND:
		s->background_path = arg;
		s->recon->background = &s->background;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_scatter_argp = {.options = option_table, .parser = parse};

const char *cli_scatter_choose(const cli_scatter *s, const iso_acquisition *facts, char *line, size_t size)
{
	iso_recon_options *o = s->recon;
	const char *lacks = s->method ? NULL : iso_recon_scatter_lacks(facts, o);
	size_t gammas;
	if (s->method)
		o->scatter = strcmp(s->method, "sss") == 0 ? ISO_SCATTER_SSS : ISO_SCATTER_NONE;
	else
		o->scatter = lacks ? ISO_SCATTER_NONE : ISO_SCATTER_SSS;
	if (!s->have_gammas)
		o->prompt_gammas = o->scatter != ISO_SCATTER_NONE && iso_nuclide_prompt_gammas(o->nuclide, &gammas);
	if (s->method) return NULL;
	if (lacks)
		snprintf(line, size, "scatter: not corrected, %s (--mu, --energy-window, --energy-resolution)", lacks);
	else
		snprintf(line, size, "scatter: by single-scatter simulation%s",
			 o->prompt_gammas ? ", with the nuclide's prompt gammas" : "");
	return line;
}

static json_t *array_of(iso_json *json, const double *value, size_t count)
{
	json_t *array = json_array();
	for (size_t n = 0; n < count; n++) iso_json_append(json, array, json_real(value[n]));
	return array;
}

static void put_profile(iso_json *json, const char *name, const iso_background_profile *p)
{
	json_t *object = json_object();
	iso_json_set(json, object, "edges_mm", array_of(json, p->edges_mm, ISO_BACKGROUND_BINS + 1));
	iso_json_set(json, object, "randoms", array_of(json, p->randoms, ISO_BACKGROUND_BINS));
	iso_json_set(json, object, "scatter", array_of(json, p->scatter, ISO_BACKGROUND_BINS));
	iso_json_set(json, object, "gammas", array_of(json, p->gammas, ISO_BACKGROUND_BINS));
	iso_json_put(json, name, object);
}

iso_status cli_scatter_write(const cli_scatter *s, iso_error *err)
{
	const iso_background_totals *b = &s->background;
	if (!s->background_path) return ISO_OK;
	iso_json json = iso_json_begin();
	iso_json_put(&json, "randoms", json_real(b->randoms));
	iso_json_put(&json, "scatter", json_real(b->scatter));
	iso_json_put(&json, "gammas", json_real(b->gammas));
	put_profile(&json, "radial", &b->radial);
	put_profile(&json, "axial", &b->axial);
	char *text = NULL;
	iso_status status = iso_json_text(&json, JSON_INDENT(1), s->background_path, &text, err);
	if (status == ISO_OK) status = iso_output_write(s->background_path, text, strlen(text), err);
	free(text);
	iso_json_end(&json);
	return status;
}
