/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is said of a reconstruction: the factor to the volume's unit, the texts of the corrections, the facts of the method. */
#ifndef ISOTRACE_RECON_RESULT_FACTS_H
#define ISOTRACE_RECON_RESULT_FACTS_H

#include "isotrace/recon.h"
#include "recon/correct/background.h"
#include "recon/correct/detector.h"

/* What they follow from; all borrowed. */
typedef struct iso_result {
	const iso_recon_options *options;
	const iso_scanner *scanner; /* as the list-mode has it */
	const iso_acquisition *acquisition;
	const iso_detector *detector;
	const iso_scatter_report *scatter; /* the last one; NULL: there was none */
	double calibration_uncertainty;    /* of options->calibration for this nuclide */
	double prompts, delayeds;          /* used, all frames */
	uint64_t iterations;               /* the most that a frame took */
	double objective;                  /* all frames */
} iso_result;

/* x -> the volume's unit: dead time, then calibration and branching, each once. */
double iso_result_factor(const iso_result *result);
/* corrections: zeroed. */
void iso_result_say_corrections(const iso_result *result, iso_corrections *corrections);
/* The volume's facts, acquisition, nuclide and calibration. */
void iso_result_say_facts(const iso_result *result, iso_volume *volume);
/* Notes where what the export states contradicts the table of nuclides. */
void iso_result_compare_nuclide(const iso_result *result);

#endif
