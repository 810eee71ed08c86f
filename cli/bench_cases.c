/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/error.h"
#include "core/random.h"

enum { stream_events = 1, stream_image = 2, stream_weights = 3 };

const bench_case bench_case_table[bench_cases] = {
    {"preclinical", 80, 1.6, 81, 400, {128, 128, 160}, 0.8, 15, 90},
    {"clinical", 372, 5.56, 32, 576, {200, 200, 71}, 2.78, 150, 170},
    {"total-body", 390, 4, 480, 640, {220, 220, 600}, 3.2, 150, 1600},
};

/* 59 mm FWHM, 25 mm bins, cut at 3 sigma */
static const double tof_fwhm_mm = 59;
const iso_tof_kernel bench_tof = {.sigma_mm = 59 / 2.3548200450309493, .bin_mm = 25, .cut_sigmas = 3};

/* The duration that is written into files: any will do, so that a rate follows. */
static const double file_duration_s = 600;

const bench_case *bench_case_named(const char *name)
{
	for (int n = 0; n < bench_cases; n++)
		if (strcmp(bench_case_table[n].name, name) == 0) return bench_case_table + n;
	return NULL;
}

/* Bins on either side of the middle: half the longest line and six sigmas, which no event passes. */
static int tof_reach(const bench_case *which)
{
	const double length_mm = hypot(2 * which->radius_mm, which->rings * which->ring_spacing_mm);
	return (int)ceil((0.5 * length_mm + 6 * bench_tof.sigma_mm) / bench_tof.bin_mm);
}

iso_status bench_scanner(const bench_case *which, bool tof, iso_scanner **out, iso_error *err)
{
	iso_ring_description rings = {.rings = which->rings,
				      .crystals_per_ring = which->crystals,
				      .radius_mm = which->radius_mm,
				      .ring_spacing_mm = which->ring_spacing_mm,
				      .crystal_size_mm = {(double)NAN, (double)NAN, (double)NAN},
				      .attenuation_per_mm = (double)NAN};
	snprintf(rings.name, sizeof rings.name, "bench %s", which->name);
	const iso_status status = iso_scanner_from_rings(&rings, out, err);
	if (status != ISO_OK || !tof) return status;
	/* half the speed of light, from the library's own conversion */
	const double mm_per_ps = iso_tof_bin_centre_mm(&(iso_tof){.fwhm_ps = 1, .bin_ps = 1, .bins = 3}, 1);
	(*out)->tof = (iso_tof){.fwhm_ps = tof_fwhm_mm / mm_per_ps,
				.bin_ps = bench_tof.bin_mm / mm_per_ps,
				.bins = 2 * tof_reach(which) + 1};
	return ISO_OK;
}

/* One back-to-back pair of photons from the cylinder, caught by the crystals that it meets; false: it leaves. */
static bool draw_event(const bench_case *c, iso_random *random, iso_event *event)
{
	double d[3];
	const double rho = c->source_radius_mm * sqrt(iso_random_uniform(random)),
		     azimuth = 2 * M_PI * iso_random_uniform(random);
	const double p[3] = {rho * cos(azimuth), rho * sin(azimuth),
			     c->source_length_mm * (iso_random_uniform(random) - 0.5)};
	iso_random_direction(random, d);
	const double a = d[0] * d[0] + d[1] * d[1], b = p[0] * d[0] + p[1] * d[1];
	const double root = sqrt(b * b + a * (c->radius_mm * c->radius_mm - rho * rho));
	double at[2];
	for (int end = 0; end < 2; end++) {
		at[end] = (-b + (end ? root : -root)) / a;
		const double ring = (p[2] + at[end] * d[2]) / c->ring_spacing_mm + 0.5 * (c->rings - 1.0);
		if (!(ring >= -0.5 && ring < c->rings - 0.5)) return false;
		const double turn = atan2(p[1] + at[end] * d[1], p[0] + at[end] * d[0]) / (2 * M_PI) + 1;
		const uint32_t crystal = (uint32_t)lround(turn * c->crystals) % c->crystals;
		event->element[end] = (uint32_t)lround(fmax(ring, 0)) * c->crystals + crystal;
	}
	const double tof_mm = -0.5 * (at[0] + at[1]) + bench_tof.sigma_mm * iso_random_gaussian(random);
	const double reach = tof_reach(c);
	event->tof_bin = (int16_t)fmax(-reach, fmin(reach, rint(tof_mm / bench_tof.bin_mm)));
	return event->element[0] != event->element[1];
}

void bench_draw(const bench_case *which, uint64_t first, size_t count, iso_event *events)
{
	const ptrdiff_t blocks = (ptrdiff_t)((count + bench_block - 1) / bench_block);
#pragma omp parallel for schedule(dynamic, 1)
	for (ptrdiff_t block = 0; block < blocks; block++) {
		const size_t begin = (size_t)block * bench_block,
			     end = begin + bench_block < count ? begin + bench_block : count;
		iso_random random = iso_random_begin(stream_events, first / bench_block + (uint64_t)block);
		for (size_t n = begin; n < end; n++) {
			events[n] = (iso_event){.kind = ISO_EVENT_PROMPT};
			while (!draw_event(which, &random, events + n)) continue;
		}
	}
}

iso_status bench_data_make(const bench_case *which, size_t events, bench_data *data, iso_error *err)
{
	*data = (bench_data){.which = which, .count = events};
	data->grid = iso_grid_centred(which->size, (double[]){which->voxel_mm, which->voxel_mm, which->voxel_mm},
				      (double[]){0, 0, 0});
	const size_t voxels = iso_grid_voxels(&data->grid);
	data->events = malloc(events * sizeof *data->events);
	data->lines = malloc(events * sizeof *data->lines);
	data->weights = malloc(events * sizeof *data->weights);
	data->image = malloc(voxels * sizeof *data->image);
	iso_status status = bench_scanner(which, true, &data->scanner, err);
	if (status == ISO_OK && (!data->events || !data->lines || !data->weights || !data->image))
		status = iso_fail_memory(err, "the bench", events * 64 + voxels * sizeof(float));
	if (status != ISO_OK) {
		bench_data_free(data);
		return status;
	}
	bench_draw(which, 0, events, data->events);
	iso_lines_of_events(data->scanner, data->events, events, data->lines);
	iso_random random = iso_random_begin(stream_image, 0);
	for (size_t n = 0; n < voxels; n++) data->image[n] = (float)(0.5 + iso_random_uniform(&random));
	random = iso_random_begin(stream_weights, 0);
	for (size_t n = 0; n < events; n++) data->weights[n] = (float)(0.5 + iso_random_uniform(&random));
	return ISO_OK;
}

void bench_data_free(bench_data *data)
{
	iso_scanner_free(data->scanner);
	free(data->events), free(data->lines), free(data->weights), free(data->image);
	*data = (bench_data){0};
}

/* Draws and appends all events, a few blocks at a time. */
static iso_status write_blocks(const bench_case *which, bool tof, uint64_t events, iso_listmode_writer *writer,
			       const iso_progress *progress, iso_error *err)
{
	enum { batch = 16 * bench_block };
	iso_event *buffer = malloc(batch * sizeof *buffer);
	if (!buffer) return iso_fail_memory(err, "the bench's events", batch * sizeof *buffer);
	iso_status status = ISO_OK;
	for (uint64_t first = 0; first < events && status == ISO_OK; first += batch) {
		const size_t count = events - first < batch ? (size_t)(events - first) : batch;
		bench_draw(which, first, count, buffer);
		for (size_t n = 0; n < count; n++) {
			buffer[n].time_ms = (uint32_t)(1e3 * file_duration_s * (double)(first + n) / (double)events);
			if (!tof) buffer[n].tof_bin = 0;
		}
		status = iso_listmode_append(writer, buffer, NULL, count, err);
		if (status == ISO_OK && progress && progress->report &&
		    progress->report(progress->user, "writing events", (double)(first + count) / (double)events))
			status = iso_fail(err, ISO_CANCELLED, NULL, "start again", "stopped on request");
	}
	free(buffer);
	return status;
}

iso_status bench_write_events(const bench_case *which, bool tof, uint64_t events, const char *path,
			      const iso_progress *progress, iso_error *err)
{
	iso_acquisition acquisition = iso_acquisition_unknown();
	acquisition.modality = ISO_MODALITY_PET;
	acquisition.duration_s = file_duration_s;
	snprintf(acquisition.nuclide, sizeof acquisition.nuclide, "F-18");
	snprintf(acquisition.subject, sizeof acquisition.subject, "uniform cylinder");
	snprintf(acquisition.scanner_name, sizeof acquisition.scanner_name, "bench %s", which->name);
	char provenance[256];
	snprintf(provenance, sizeof provenance,
		 "{\"source\": \"isotrace bench events\", \"case\": \"%s\", \"cylinder_radius_mm\": %g, "
		 "\"cylinder_length_mm\": %g}",
		 which->name, which->source_radius_mm, which->source_length_mm);
	iso_scanner *scanner = NULL;
	iso_listmode_writer *writer = NULL;
	iso_status status = bench_scanner(which, tof, &scanner, err);
	if (status == ISO_OK) status = iso_listmode_create(path, scanner, &acquisition, provenance, &writer, err);
	iso_scanner_free(scanner);
	if (status == ISO_OK) status = write_blocks(which, tof, events, writer, progress, err);
	if (status != ISO_OK) {
		iso_listmode_discard(writer);
		return status;
	}
	return iso_listmode_commit(writer, NULL, file_duration_s, err);
}
