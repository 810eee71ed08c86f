/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What send, fetch and listen share: which configuration. */
#ifndef ISOTRACE_CLI_PACS_OPTION_H
#define ISOTRACE_CLI_PACS_OPTION_H

#include "isotrace/isotrace.h"

#define CLI_PACS_CONFIG_HELP "PACS configuration file [$ISOTRACE_PACS]; docs/pacs.md describes it"

/* Loads the file that --config or the environment names; an empty one when neither does. To be freed in any case. */
iso_status cli_pacs_file(const char *config, iso_pacs_file *file, iso_error *err);
#endif
