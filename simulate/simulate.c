/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <omp.h>

#include "core/error.h"
#include "simulate/scan.h"

uint64_t iso_simulation_prompts(const iso_simulation_counts *counts)
{
	return counts->trues + counts->scattered + counts->randoms + counts->prompt_gammas + counts->background;
}

iso_event_counts iso_simulation_event_counts(const iso_simulation_counts *counts, double duration_s)
{
	const uint64_t prompts = iso_simulation_prompts(counts);
	return (iso_event_counts){.records = prompts + counts->delayeds,
				  .prompts = prompts,
				  .delayeds = counts->delayeds,
				  .duration_s = duration_s};
}

iso_status iso_simulate(const iso_scene *scene, const iso_event_sink *sink, int threads, const iso_progress *progress,
			iso_simulation_counts *counts, iso_error *err)
{
	iso_simulation_counts own;
	if (!counts) counts = &own;
	*counts = (iso_simulation_counts){.decays = 0};
	double volume_ml = 0;
	for (size_t o = 0; o < scene->phantom.organs; o++) volume_ml += scene->phantom.organ[o].volume_ml;
	if (!(volume_ml > 0))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "call iso_scene_prepare first", "the scene is not prepared");
	iso_transport *transport = NULL;
	iso_status status = iso_transport_create(scene, &transport, err);
	if (status != ISO_OK) return status;
	if (threads < 1) threads = omp_get_max_threads();
	status = scene->electronics.on ? iso_full_scan(transport, sink, threads, progress, counts, err)
				       : iso_fast_scan(transport, sink, threads, progress, counts, err);
	iso_transport_free(transport);
	return status;
}
