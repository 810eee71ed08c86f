/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/volume.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

iso_status iso_volume_create(const iso_grid *grid, iso_unit unit, size_t frames, const iso_frame *frame,
			     size_t replicates, iso_volume **out, iso_error *err)
{
	*out = NULL;
	iso_status status = iso_grid_check(grid, NULL, err);
	if (status != ISO_OK) return status;
	const size_t voxels = iso_grid_voxels(grid);
	if (frames < 1 || frames > SIZE_MAX / 64 / voxels ||
	    (replicates && replicates > SIZE_MAX / 64 / voxels / frames))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "ask for fewer frames or voxels", "%zu frames of %zu voxels",
				frames, voxels);
	iso_volume *volume = calloc(1, sizeof *volume);
	if (!volume) return iso_fail_memory(err, "a volume", sizeof *volume);
	volume->frame = calloc(frames, sizeof *volume->frame);
	volume->voxels = calloc(frames * voxels, sizeof *volume->voxels);
	if (replicates) volume->replicate_voxels = calloc(replicates * frames * voxels, sizeof *volume->voxels);
	if (!volume->frame || !volume->voxels || (replicates && !volume->replicate_voxels)) {
		iso_volume_free(volume);
		return iso_fail_memory(err, "a volume", (1 + replicates) * frames * voxels * sizeof(float));
	}
	memcpy(volume->frame, frame, frames * sizeof *frame);
	volume->grid = *grid;
	volume->unit = unit;
	volume->frames = frames;
	volume->replicates = replicates;
	volume->acquisition = iso_acquisition_unknown();
	volume->decay_reference_s = (double)NAN;
	volume->half_life_s = volume->branching_fraction = (double)NAN;
	volume->calibration_factor = volume->calibration_uncertainty = (double)NAN;
	volume->facts.objective = (double)NAN;
	*out = volume;
	return ISO_OK;
}

iso_status iso_volume_check_gating(const iso_volume *volume, const char *file, iso_error *err)
{
	const iso_gating *gating = &volume->gating;
	if (!gating->gates) return ISO_OK;
	const iso_status status = iso_gating_check(gating, file, err);
	if (status != ISO_OK) return status;
	if (gating->gates != volume->frames)
		return iso_fail(err, ISO_BAD_INPUT, file, "give one image for each gate", "%zu gates and %zu images",
				gating->gates, volume->frames);
	for (size_t f = 1; f < volume->frames; f++)
		if (fabs(volume->frame[f].start_s - volume->frame[0].start_s) > 1e-6 ||
		    fabs(volume->frame[f].duration_s - volume->frame[0].duration_s) > 1e-6)
			return iso_fail(
			    err, ISO_BAD_INPUT, file,
			    "give every gate the time of the whole scan; gates of several frames are not known",
			    "gate %zu is of another time than the first one", f + 1);
	return ISO_OK;
}

iso_status iso_volume_set_gating(iso_volume *volume, const iso_gating *gating, const char *file, iso_error *err)
{
	iso_gate *gate = calloc(gating->gates + 1, sizeof *gate);
	if (!gate) return iso_fail_memory(err, "gates", gating->gates * sizeof *gate);
	if (gating->gates) memcpy(gate, gating->gate, gating->gates * sizeof *gate);
	free(volume->gating.gate);
	volume->gating = *gating;
	volume->gating.gate = gate;
	return iso_volume_check_gating(volume, file, err);
}

void iso_volume_free(iso_volume *volume)
{
	if (!volume) return;
	free(volume->gating.gate);
	free(volume->frame);
	free(volume->voxels);
	free(volume->replicate_voxels);
	free(volume);
}
