/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * isotrace recon's options that are about gates. */
#ifndef ISOTRACE_CLI_RECON_GATES_H
#define ISOTRACE_CLI_RECON_GATES_H

#include "cli/cli.h"

typedef struct cli_recon_gates {
	const char *triggers; /* the table's path, NULL: no gates */
	iso_gate_wish wish;   /* .gates 0: --gates was not given */
	bool wanted;          /* any of the options was */
	iso_error err;        /* the first value that is wrong, see cli_keep */
	iso_gate_plan plan;   /* owned, after cli_recon_gates_read */
} cli_recon_gates;

/* A child of the verb's parser; its input is a cli_recon_gates, from cli_recon_gates_default. */
extern const struct argp cli_recon_gates_argp;
cli_recon_gates cli_recon_gates_default(void);

/* What is wrong with the options together, NULL: nothing. frames: time frames are wanted, too. */
const char *cli_recon_gates_contradiction(const cli_recon_gates *gates, bool frames);
/* Reads the triggers and makes the plan, which goes into the options; nothing when no gates are wanted. */
iso_status cli_recon_gates_read(cli_recon_gates *gates, const iso_acquisition *acquisition, iso_recon_options *recon,
				iso_error *err);
void cli_recon_gates_release(cli_recon_gates *gates);

#endif
