/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Volumes for the tests of files and DICOM. */
#ifndef ISOTRACE_TESTS_VOLUME_SAMPLES_H
#define ISOTRACE_TESTS_VOLUME_SAMPLES_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "isotrace/time.h"
#include "isotrace/volume.h"

/* 2026-03-14T09:26:53Z */
#define SAMPLE_START_UTC_S 1773480413.0

/* Every field has a value of its own that a careless reader would lose. */
static inline iso_status sample_volume(size_t frames, size_t replicates, iso_volume **out, iso_error *err)
{
	const size_t size[3] = {5, 7, 3};
	const double voxel[3] = {0.5, 0.4, 1.1}, centre[3] = {1.25, -2.5, 33.3};
	const iso_grid grid = iso_grid_centred(size, voxel, centre);
	iso_frame frame[8];
	for (size_t f = 0; f < frames; f++)
		frame[f] = (iso_frame){.start_s = 1.0 / 3 + 600 * (double)f, .duration_s = 600};
	iso_status status = iso_volume_create(&grid, ISO_UNIT_BQ_PER_ML, frames, frame, replicates, out, err);
	if (status != ISO_OK) return status;
	iso_volume *v = *out;
	const size_t voxels = frames * iso_grid_voxels(&grid);
	for (size_t i = 0; i < voxels; i++) v->voxels[i] = 1000.0f * sinf((float)i) + 1234.5f;
	for (size_t i = 0; i < replicates * voxels; i++) v->replicate_voxels[i] = expf(-0.01f * (float)i);
	iso_acquisition *a = &v->acquisition;
	a->modality = ISO_MODALITY_PET;
	strcpy(a->scanner_name, "ring of tests");
	strcpy(a->nuclide, "Cu-64");
	strcpy(a->tracer, "[64Cu]Cu-NOTA particle \"A\"");
	strcpy(a->subject, "M01");
	a->start_utc_s = SAMPLE_START_UTC_S + 0.25;
	a->injection_utc_s = a->start_utc_s - 3600;
	a->duration_s = 1800;
	a->injected_activity_bq = 7.4e6;
	a->energy_window_kev[0] = 350;
	a->energy_window_kev[1] = 650;
	a->energy_resolution = 0.14;
	a->half_life_s = 45721.44;
	v->decay_reference_s = 0;
	v->half_life_s = 45721.44;
	v->branching_fraction = 0.1752;
	v->calibration_factor = 1.0 / 7;
	strcpy(v->corrections.randoms, "delayed coincidences, crystal fan sums");
	strcpy(v->corrections.attenuation, "mu map, 511 keV");
	strcpy(v->corrections.decay, "to the start of the acquisition");
	strcpy(v->corrections.calibration, "phantom");
	strcpy(v->facts.method, "list-mode OSEM");
	strcpy(v->facts.input, "m01.lm.h5");
	strcpy(v->facts.software, "isotrace test");
	strcpy(v->facts.prior, "relative difference");
	v->facts.objective = -123456.75;
	v->facts.iterations = 4;
	v->facts.subsets = 8;
	v->facts.prompts = 218881;
	v->facts.delayeds = 35320;
	return ISO_OK;
}

#endif
