/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What isotrace recon prints when it is done. */
#ifndef ISOTRACE_CLI_RECON_REPORT_H
#define ISOTRACE_CLI_RECON_REPORT_H

#include "cli/cli.h"

typedef struct cli_recon_report {
	const char *output; /* the volume's path */
	const iso_recon_times *times;
	double whole_s; /* of the verb */
	bool json, quiet;
} cli_recon_report;

/* One line, or all as JSON. */
void cli_recon_print(const cli_recon_report *report, const iso_volume *volume);

#endif
