/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "isotrace/gates.h"

enum { MOST_GATES = 1000 };
/* Of a clock that counts ms: a cycle as long as the limit is within it. */
#define ROUNDING_S 1e-6

typedef struct cycles {
	const double *trigger_s;
	size_t triggers;
	double scan_s;
	const iso_gate_wish *wish;
	iso_gating *gating;
} cycles;

/* The n-th cycle, from trigger n on, lies in the scan. */
static bool is_whole(const cycles *c, size_t n)
{
	return n + 1 < c->triggers && c->trigger_s[n] >= 0 && c->trigger_s[n + 1] <= c->scan_s + ROUNDING_S;
}

static bool is_accepted(const cycles *c, size_t n)
{
	const double length_s = c->trigger_s[n + 1] - c->trigger_s[n];
	return !(length_s < c->wish->shortest_cycle_s - ROUNDING_S) &&
	       !(length_s > c->wish->longest_cycle_s + ROUNDING_S);
}

static iso_status check(const cycles *c, iso_error *err)
{
	const iso_gate_wish *w = c->wish;
	if (w->gates < 2 || w->gates > MOST_GATES)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 2 to 1000", "%zu gates", w->gates);
	if (w->framing != ISO_FRAMING_SHARE && w->framing != ISO_FRAMING_TIME)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "choose a share of each cycle or a time after each trigger",
				"gates of unknown framing");
	if (w->shortest_cycle_s < 0 || w->longest_cycle_s <= 0 || w->shortest_cycle_s > w->longest_cycle_s)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give limits in s, the shortest first",
				"cycles from %g to %g s", w->shortest_cycle_s, w->longest_cycle_s);
	if (!(c->scan_s > 0) || !isfinite(c->scan_s))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "convert it again with its duration",
				"gates need the duration of the acquisition, which the list-mode does not state");
	for (size_t n = 0; n < c->triggers; n++)
		if (!isfinite(c->trigger_s[n]) || (n && !(c->trigger_s[n] > c->trigger_s[n - 1])))
			return iso_fail(err, ISO_BAD_INPUT, NULL, "put the triggers in the order of time",
					"trigger %zu is at %g s, after one at %g s", n + 1, c->trigger_s[n],
					n ? c->trigger_s[n - 1] : 0);
	return ISO_OK;
}

/* How many cycles there are, and their mean. */
static iso_status count_cycles(const cycles *c, iso_error *err)
{
	size_t accepted = 0, rejected = 0;
	double sum_s = 0;
	for (size_t n = 0; n + 1 < c->triggers; n++) {
		if (!is_whole(c, n)) continue;
		if (is_accepted(c, n)) {
			accepted++;
			sum_s += c->trigger_s[n + 1] - c->trigger_s[n];
		} else
			rejected++;
	}
	if (!accepted)
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"give triggers in s from the start of the acquisition, and limits that fit",
				"no cycle of %zu triggers is accepted: %zu are outside of the limits, the others not "
				"whole within the %g s of the acquisition",
				c->triggers, rejected, c->scan_s);
	c->gating->cycles = (double)accepted;
	c->gating->rejected_cycles = (double)rejected;
	c->gating->cycle_s = sum_s / (double)accepted;
	const double length_s = c->gating->cycle_s / (double)c->wish->gates;
	if (length_s < 1e-3)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "take fewer gates",
				"gates of %g ms: events are counted in whole ms", length_s * 1000);
	return ISO_OK;
}

/* Where gate `gate` begins in the n-th cycle, ms; that of number `gates` is the end of the last one. */
static double edge_ms(const cycles *c, size_t n, size_t gate)
{
	const double begin_s = c->trigger_s[n], end_s = c->trigger_s[n + 1], gates = (double)c->wish->gates;
	const double length_s = c->wish->framing == ISO_FRAMING_SHARE ? end_s - begin_s : c->gating->cycle_s;
	return rint(1000 * fmin(begin_s + length_s * (double)gate / gates, end_s));
}

static iso_status collect(const cycles *c, iso_gate_plan *plan, iso_error *err)
{
	size_t used = 0;
	for (size_t g = 0; g < c->wish->gates; g++) {
		iso_gate *gate = plan->gating.gate + g;
		const double length_s = c->gating->cycle_s / (double)c->wish->gates;
		double sum_ms = 0;
		plan->first[g] = used;
		for (size_t n = 0; n + 1 < c->triggers; n++) {
			if (!is_whole(c, n) || !is_accepted(c, n)) continue;
			const double begin_ms = edge_ms(c, n, g), end_ms = edge_ms(c, n, g + 1);
			if (!(end_ms > begin_ms)) continue;
			plan->stretch[used++] = (iso_frame){begin_ms / 1000, (end_ms - begin_ms) / 1000};
			sum_ms += end_ms - begin_ms;
		}
		*gate = (iso_gate){(double)g * length_s, length_s, sum_ms / 1000};
		if (used == plan->first[g])
			return iso_fail(err, ISO_BAD_INPUT, NULL, "take fewer gates",
					"no cycle reaches gate %zu, %g s after the trigger", g + 1, gate->start_s);
	}
	plan->first[c->wish->gates] = used;
	return ISO_OK;
}

iso_status iso_gate_plan_make(const double *trigger_s, size_t triggers, double scan_s, const iso_gate_wish *wish,
			      iso_gate_plan *out, iso_error *err)
{
	*out = (iso_gate_plan){.gating = {.trigger = wish->trigger,
					  .framing = wish->framing,
					  .shortest_cycle_s = wish->shortest_cycle_s,
					  .longest_cycle_s = wish->longest_cycle_s}};
	const cycles c = {trigger_s, triggers, scan_s, wish, &out->gating};
	iso_status status = check(&c, err);
	if (status == ISO_OK) status = count_cycles(&c, err);
	if (status != ISO_OK) return status;
	const size_t stretches = wish->gates * (size_t)out->gating.cycles;
	out->gating.gates = wish->gates;
	out->gating.gate = calloc(wish->gates, sizeof *out->gating.gate);
	out->first = calloc(wish->gates + 1, sizeof *out->first);
	out->stretch = calloc(stretches, sizeof *out->stretch);
	if (!out->gating.gate || !out->first || !out->stretch)
		return iso_fail_memory(err, "gates", stretches * sizeof *out->stretch);
	status = collect(&c, out, err);
	return status == ISO_OK ? iso_gating_check(&out->gating, NULL, err) : status;
}

void iso_gate_plan_release(iso_gate_plan *plan)
{
	free(plan->gating.gate);
	free(plan->stretch);
	free(plan->first);
	*plan = (iso_gate_plan){.stretch = NULL};
}
