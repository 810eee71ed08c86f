/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The options that make a mu map from a CT or from labels: a part of the option tables of isotrace mu and isotrace recon. */
#ifndef ISOTRACE_CLI_ATTENUATION_H
#define ISOTRACE_CLI_ATTENUATION_H

#include "cli/cli.h"

typedef struct cli_attenuation {
	const char *ct, *series, *table, *outline, *labels, *label_table;
	const char *truncation; /* text of the option */
	double kvp, effective_kev, most_hu, blur_fwhm_mm, offset_mm[3];
	bool have_detail; /* an option that only makes sense with --ct */
	iso_error err;    /* the first value that is wrong, see cli_keep */
} cli_attenuation;

/* A child parser: its input is a cli_attenuation, set to cli_attenuation_default() before. */
extern const struct argp cli_attenuation_argp;
cli_attenuation cli_attenuation_default(void);

/* Contradictions among the options; ISO_OK also when no map is asked for. */
iso_status cli_attenuation_check(cli_attenuation *a, iso_error *err);
bool cli_attenuation_wanted(const cli_attenuation *a);

/* Makes the map. grid: NULL = the CT's or labels' own; cover: carried on to hold all of the CT. Errors name the file. */
iso_status cli_attenuation_make(const cli_attenuation *a, const iso_grid *grid, bool cover,
				const iso_progress *progress, iso_image **mu, iso_mu_facts *facts, iso_error *err);

#endif
