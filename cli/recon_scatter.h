/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The options of `isotrace recon` about scatter and prompt gammas. */
#ifndef ISOTRACE_CLI_RECON_SCATTER_H
#define ISOTRACE_CLI_RECON_SCATTER_H

#include <argp.h>

#include "isotrace/isotrace.h"

typedef struct cli_scatter {
	iso_recon_options *recon;    /* to be filled */
	const char *method;          /* as given; NULL: not */
	bool have_gammas;            /* said either way */
	const char *background_path; /* NULL: not to be written */
	iso_background_totals background;
	iso_error err; /* the first value that is wrong, see cli_keep */
} cli_scatter;

/* A child of the verb's parser, whose input is a cli_scatter. */
extern const struct argp cli_scatter_argp;

/* What was not said: scatter where the data allow it, prompt gammas where there are any. Returns what to tell of it, in line (NULL: nothing). */
const char *cli_scatter_choose(const cli_scatter *scatter, const iso_acquisition *facts, char *line, size_t size);

/* --write-background, after the reconstruction. */
iso_status cli_scatter_write(const cli_scatter *scatter, iso_error *err);

#endif
