/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/recon_report.h"

#include <jansson.h>
#include <stdio.h>

void cli_recon_print(const cli_recon_report *r, const iso_volume *v)
{
	const iso_grid *g = &v->grid;
	if (!r->json) {
		if (!r->quiet)
			printf("%s: %zu x %zu x %zu voxels, %zu %s%s, %s, %.0f prompts\n", r->output, g->size[0],
			       g->size[1], g->size[2], v->frames, v->gating.gates ? "gate" : "frame",
			       v->frames > 1 ? "s" : "", iso_unit_text(v->unit), v->facts.prompts);
		return;
	}
	const iso_corrections *c = &v->corrections;
	json_t *root =
	    json_pack("{s:s, s:s, s:[I,I,I], s:[f,f,f], s:[f,f,f], s:I, s:I, s:s, s:s, s:i, s:i, s:f, s:f, s:f}",
		      "output", r->output, "unit", iso_unit_text(v->unit), "size", (json_int_t)g->size[0],
		      (json_int_t)g->size[1], (json_int_t)g->size[2], "voxel_mm", g->voxel_mm[0], g->voxel_mm[1],
		      g->voxel_mm[2], "origin_mm", g->origin_mm[0], g->origin_mm[1], g->origin_mm[2], "frames",
		      (json_int_t)v->frames, "replicates", (json_int_t)v->replicates, "method", v->facts.method,
		      "prior", v->facts.prior, "iterations", (int)v->facts.iterations, "subsets", (int)v->facts.subsets,
		      "prompts", v->facts.prompts, "delayeds", v->facts.delayeds, "objective", v->facts.objective);
	json_t *corrections =
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "randoms", c->randoms, "attenuation",
		      c->attenuation, "scatter", c->scatter, "normalisation", c->normalisation, "dead_time",
		      c->dead_time, "decay", c->decay, "branching", c->branching, "calibration", c->calibration,
		      "resolution", c->resolution, "post_filter", c->post_filter);
	(void)json_object_set_new(root, "corrections", corrections);
	const iso_recon_times *t = r->times;
	(void)json_object_set_new(root, "seconds",
				  json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "whole", r->whole_s,
					    "reconstruction", t->whole_s, "sensitivity", t->sensitivity_s, "scatter",
					    t->scatter_s, "waiting_for_events", t->waiting_s, "forward", t->forward_s,
					    "back", t->back_s));
	(void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(root);
}
