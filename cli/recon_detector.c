/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/recon_detector.h"
#include "core/output.h"

#include <string.h>

enum {
	KEY_NORMALISATION = 2048,
	KEY_DEAD_TIME,
	KEY_DEAD_TIME_FACTOR,
	KEY_DEAD_TIME_NS,
	KEY_DEAD_TIME_MODEL,
	KEY_WINDOW
};

static const struct argp_option option_table[] = {
    {"normalisation", KEY_NORMALISATION, "FILE.norm.h5", 0,
     "Crystal efficiencies and geometric factors that isotrace normalise made; default: the efficiencies of the "
     "list-mode",
     3},
    {"dead-time", KEY_DEAD_TIME, "FACTOR|singles", 0,
     "A factor that multiplies the image (1 = stated to be none), or what each block loses, from its rate of singles "
     "in each "
     "frame; default: not corrected",
     3},
    {"dead-time-factor", KEY_DEAD_TIME_FACTOR, "F", 0, "The same as --dead-time F", 3},
    {"dead-time-ns", KEY_DEAD_TIME_NS, "NS", 0, "Of a block, per recorded single; default: as the list-mode states", 3},
    {"dead-time-model", KEY_DEAD_TIME_MODEL, "MODEL", 0,
     "paralyzable or non-paralyzable; default: as the list-mode states", 3},
    {"coincidence-window-ns", KEY_WINDOW, "NS", 0,
     "Full width, for --randoms singles; default: as the list-mode states", 3},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state)
{
	cli_recon_detector *d = state->input;
	iso_recon_options *o = d ? d->recon : NULL;
	switch (key) {
	case KEY_NORMALISATION: d->normalisation = text; return 0;
	case KEY_DEAD_TIME:
		if (strcmp(text, "singles") == 0)
			o->dead_time = ISO_DEAD_TIME_FROM_SINGLES;
		else
			cli_take_number(&d->err, "dead-time", text, 1, 1000, &o->dead_time_factor);
		return 0;
	case KEY_DEAD_TIME_FACTOR:
		cli_take_number(&d->err, "dead-time-factor", text, 1, 1000, &o->dead_time_factor);
		return 0;
	case KEY_DEAD_TIME_NS: cli_take_number(&d->err, "dead-time-ns", text, 0, 1e8, &o->dead_time_ns); return 0;
	case KEY_DEAD_TIME_MODEL:
		o->dead_time_model = iso_dead_time_model_from_text(text);
		if (o->dead_time_model == ISO_DEAD_TIME_NONE)
			argp_error(state, "--dead-time-model is paralyzable or non-paralyzable, not '%s'", text);
		return 0;
	case KEY_WINDOW:
		cli_take_number(&d->err, "coincidence-window-ns", text, 1e-3, 1e6, &o->coincidence_window_ns);
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_recon_detector_argp = {.options = option_table, .parser = parse};

iso_status cli_recon_detector_read(cli_recon_detector *d, iso_error *err)
{
	if (!d->normalisation) return ISO_OK;
	const iso_status status = iso_normalisation_read(d->normalisation, &d->read, err);
	d->recon->normalisation = d->read;
	d->recon->normalisation_name = iso_base_name(d->normalisation);
	return status;
}

void cli_recon_detector_release(cli_recon_detector *d)
{
	iso_normalisation_free(d->read);
	d->read = NULL;
}
