/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/recon_gates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/note.h"

enum { KEY_GATES = 2304, KEY_TRIGGERS, KEY_GATING, KEY_SHORTEST, KEY_LONGEST, KEY_KIND };

static const struct argp_option option_table[] = {
    {NULL, 0, NULL, 0, "Gates of a cycle, instead of --frames:", 6},
    {"gates", KEY_GATES, "N", 0, "Sort the events into N gates of the cycle from each trigger to the next", 6},
    {"triggers", KEY_TRIGGERS, "TABLE.csv", 0,
     "One trigger a line: time_s or time_ms from the start of the acquisition", 6},
    {"gating", KEY_GATING, "share|time", 0,
     "A gate is the same share of every cycle (default), or the same time after every trigger", 6},
    {"shortest-cycle", KEY_SHORTEST, "S", 0, "Reject shorter cycles; default: none", 6},
    {"longest-cycle", KEY_LONGEST, "S", 0, "Reject longer cycles; default: none", 6},
    {"trigger-kind", KEY_KIND, "KIND", 0, "cardiac or respiratory, for the sidecar and DICOM; default: unknown", 6},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state)
{
	cli_recon_gates *g = state->input;
	switch (key) {
	case KEY_GATES: g->wish.gates = (size_t)cli_take_whole(&g->err, "gates", text, 2, 1000); break;
	case KEY_TRIGGERS: g->triggers = text; break;
	case KEY_GATING:
		g->wish.framing = iso_framing_from_text(text);
		if (g->wish.framing == ISO_FRAMING_UNKNOWN)
			argp_error(state, "--gating is share or time, not '%s'", text);
		break;
	case KEY_SHORTEST: cli_take_number(&g->err, "shortest-cycle", text, 0, 1e6, &g->wish.shortest_cycle_s); break;
	case KEY_LONGEST: cli_take_number(&g->err, "longest-cycle", text, 1e-3, 1e6, &g->wish.longest_cycle_s); break;
	case KEY_KIND:
		g->wish.trigger = iso_trigger_from_text(text);
		if (g->wish.trigger == ISO_TRIGGER_UNKNOWN)
			argp_error(state, "--trigger-kind is cardiac or respiratory, not '%s'", text);
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	g->wanted = true;
	return 0;
}

const struct argp cli_recon_gates_argp = {.options = option_table, .parser = parse};

cli_recon_gates cli_recon_gates_default(void)
{
	return (cli_recon_gates){
	    .wish = {.framing = ISO_FRAMING_SHARE, .shortest_cycle_s = (double)NAN, .longest_cycle_s = (double)NAN}};
}

const char *cli_recon_gates_contradiction(const cli_recon_gates *g, bool frames)
{
	if (!g->wanted) return NULL;
	if (!g->wish.gates) return "options of gates need --gates N";
	if (!g->triggers) return "--gates needs --triggers TABLE.csv";
	if (frames) return "--gates contradicts --frames";
	return g->wish.shortest_cycle_s > g->wish.longest_cycle_s ? "--shortest-cycle is longer than --longest-cycle"
								  : NULL;
}

iso_status cli_recon_gates_read(cli_recon_gates *g, const iso_acquisition *acquisition, iso_recon_options *recon,
				iso_error *err)
{
	double *trigger_s;
	size_t count;
	if (!g->triggers) return ISO_OK;
	iso_status status = iso_trigger_table_read(g->triggers, &trigger_s, &count, err);
	if (status != ISO_OK) return status;
	status = iso_gate_plan_make(trigger_s, count, acquisition->duration_s, &g->wish, &g->plan, err);
	free(trigger_s);
	if (status != ISO_OK) {
		if (err && !err->file[0]) snprintf(err->file, sizeof err->file, "%s", g->triggers);
		return status;
	}
	const iso_gating *made = &g->plan.gating;
	double collected_s = 0;
	for (size_t n = 0; n < made->gates; n++) collected_s += made->gate[n].collected_s;
	iso_note(recon->progress,
		 "gates: %zu of %.4g s, from %.0f cycles of %.4g s in the mean; %.0f cycles rejected; %.1f %% of the "
		 "acquisition collected",
		 made->gates, made->gate[0].duration_s, made->cycles, made->cycle_s, made->rejected_cycles,
		 100 * collected_s / acquisition->duration_s);
	recon->gates = &g->plan;
	return ISO_OK;
}

void cli_recon_gates_release(cli_recon_gates *g)
{
	iso_gate_plan_release(&g->plan);
}
