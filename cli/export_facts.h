/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What convert and info print alike. */
#ifndef ISOTRACE_CLI_EXPORT_FACTS_H
#define ISOTRACE_CLI_EXPORT_FACTS_H

#include <jansson.h>

#include "cli/cli.h"

json_t *cli_text_or_null(const char *text);
/* prompts, delayeds, tags, rejected by reason, duration_s, and the acquisition's and scanner's facts; what is not known is
 * null. */
json_t *cli_event_facts(const iso_events *events, const iso_event_counts *counts, bool scanner_known);
/* The "warnings" of an export's provenance, an array that may be empty. */
json_t *cli_export_warnings(const char *export_provenance, const iso_event_counts *counts);
/* The same for people. */
void cli_print_facts(const json_t *facts);
/* Prints the object as JSON (json) or for people, frees it. */
void cli_print_result(json_t *facts, bool json);

#endif
