/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sensitivity image: back projection of m_i over every pair of elements that can be in coincidence, or over a
 * stratified sample of them. Pairs a < b are numbered 0, 1, .. along b first; a sample takes one pair at random out of each
 * run of consecutive numbers, and counts it as many times as the run is long. */
#include "recon/sensitivity.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cache.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/random.h"
#include "recon/geometry.h"

enum {
	algorithm_version = 1, /* part of the cache's key: raise it when the image changes for the same input */
	chunk_pairs = 2048,    /* one thread's piece */
	batch_chunks = 64,
	batch_pairs = chunk_pairs * batch_chunks,
	buffer_lines = 4 * batch_pairs,
	pilot_pairs = 65536,
};
static const uint64_t sample_seed = 0x1507ace, pilot_seed = 0x1507ad0;
static const uint64_t most_strata = 4000000000u; /* so that the square fits into 64 bits */

typedef struct sensitivity {
	const iso_scanner *scanner;
	const iso_image *mu;
	iso_projector *projector, *attenuation; /* attenuation NULL: none */
	double box_mm[2][3];                    /* outside it no line meets a voxel */
	uint64_t pairs, strata;                 /* strata == pairs: all of them */
	int threads;
	const iso_progress *progress;
	iso_line *lines; /* [buffer_lines] */
	float *factors, *depths;
	size_t count; /* lines in the buffer */
	uint64_t used;
	float *voxels;
} sensitivity;

/* Pairs before row a. */
static uint64_t row_start(uint64_t elements, uint64_t a)
{
	return a * (2 * elements - a - 1) / 2;
}

static void pair_of_number(uint64_t elements, uint64_t number, uint32_t *a, uint32_t *b)
{
	const double half = (double)elements - 0.5, root = half * half - 2 * (double)number;
	const double guess = half - sqrt(root > 0 ? root : 0);
	uint64_t row = guess > 0 ? (uint64_t)guess : 0;
	if (row > elements - 2) row = elements - 2;
	while (row > 0 && row_start(elements, row) > number) row--;
	while (row + 2 < elements && row_start(elements, row + 1) <= number) row++;
	*a = (uint32_t)row;
	*b = (uint32_t)(row + 1 + number - row_start(elements, row));
}

/* Does the line from p to q meet the box? */
static bool meets_box(const double box[2][3], const float *p, const float *q)
{
	double low = 0, high = 1;
	for (int k = 0; k < 3; k++) {
		const double at = (double)p[k], along = (double)q[k] - at;
		if (along == 0) {
			if (at < box[0][k] || at > box[1][k]) return false;
			continue;
		}
		const double s = (box[0][k] - at) / along, t = (box[1][k] - at) / along;
		low = fmax(low, fmin(s, t));
		high = fmin(high, fmax(s, t));
	}
	return low <= high;
}

static bool wanted(const sensitivity *self, uint32_t a, uint32_t b)
{
	const float *position = self->scanner->position_mm;
	return meets_box(self->box_mm, position + 3 * (size_t)a, position + 3 * (size_t)b) &&
	       iso_scanner_pair_allowed(self->scanner, a, b);
}

/* Lines and weights of strata [begin, end); returns how many there are. */
static size_t fill_chunk(const sensitivity *self, uint64_t begin, uint64_t end, iso_line *lines, float *factors)
{
	const uint64_t elements = self->scanner->elements, whole = self->pairs / self->strata,
		       rest = self->pairs % self->strata;
	size_t count = 0;
	for (uint64_t stratum = begin; stratum < end; stratum++) {
		uint64_t number = stratum * whole + stratum * rest / self->strata;
		const uint64_t next = (stratum + 1) * whole + (stratum + 1) * rest / self->strata;
		const double weight = (double)(next - number);
		if (next - number > 1) {
			iso_random random = iso_random_begin(sample_seed, stratum);
			number += (uint64_t)(iso_random_uniform(&random) * weight);
		}
		uint32_t a, b;
		pair_of_number(elements, number, &a, &b);
		if (!wanted(self, a, b)) continue;
		const double factor = weight * iso_pair_factor(self->scanner, a, b);
		if (!(factor > 0)) continue;
		iso_line *line = lines + count;
		memcpy(line->start_mm, self->scanner->position_mm + 3 * (size_t)a, sizeof line->start_mm);
		memcpy(line->end_mm, self->scanner->position_mm + 3 * (size_t)b, sizeof line->end_mm);
		line->tof_centre_mm = 0;
		factors[count++] = (float)factor;
	}
	return count;
}

/* Appends the lines of one batch to the buffer, in the order of their numbers. */
static void fill_batch(sensitivity *self, uint64_t first)
{
	iso_line *lines = self->lines + self->count;
	float *factors = self->factors + self->count;
	size_t counts[batch_chunks];
#pragma omp parallel for num_threads(self->threads) schedule(dynamic, 1)
	for (int c = 0; c < batch_chunks; c++) {
		const uint64_t begin = first + (uint64_t)c * chunk_pairs, end = begin + chunk_pairs;
		counts[c] = begin >= self->strata
				? 0
				: fill_chunk(self, begin, end < self->strata ? end : self->strata,
					     lines + (size_t)c * chunk_pairs, factors + (size_t)c * chunk_pairs);
	}
	size_t total = 0;
	for (int c = 0; c < batch_chunks; c++) {
		memmove(lines + total, lines + (size_t)c * chunk_pairs, counts[c] * sizeof *lines);
		memmove(factors + total, factors + (size_t)c * chunk_pairs, counts[c] * sizeof *factors);
		total += counts[c];
	}
	self->count += total;
	self->used += total;
}

static iso_status project_buffer(sensitivity *self, iso_error *err)
{
	if (self->attenuation) {
		const iso_status status = iso_projector_forward(self->attenuation, self->lines, self->count,
								self->mu->voxels, self->depths, err);
		if (status != ISO_OK) return status;
		const ptrdiff_t count = (ptrdiff_t)self->count;
		/* lengths are in mm, mu in 1/cm */
#pragma omp parallel for num_threads(self->threads) schedule(static)
		for (ptrdiff_t n = 0; n < count; n++)
			self->factors[n] = (float)((double)self->factors[n] * exp(-0.1 * (double)self->depths[n]));
	}
	const iso_status status =
	    iso_projector_adjoint(self->projector, self->lines, self->count, self->factors, self->voxels, err);
	self->count = 0;
	return status;
}

static iso_status project_all(sensitivity *self, iso_error *err)
{
	for (uint64_t first = 0; first < self->strata; first += batch_pairs) {
		fill_batch(self, first);
		const bool last = self->strata - first <= batch_pairs;
		if (self->count > buffer_lines - batch_pairs || last) {
			const iso_status status = project_buffer(self, err);
			if (status != ISO_OK) return status;
		}
		const double done = last ? 1 : ((double)first + batch_pairs) / (double)self->strata;
		if (self->progress && self->progress->report &&
		    self->progress->report(self->progress->user, "sensitivity", done))
			return iso_fail(err, ISO_CANCELLED, NULL, "run it again",
					"stopped while computing the sensitivity");
	}
	if (self->used == 0)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "check the grid's place and the scanner's pair rule",
				"no line of response of the scanner meets the grid");
	return ISO_OK;
}

/* How many strata give about `lines` lines that meet the grid, from the share of such pairs in a pilot sample. */
static void choose_strata(sensitivity *self, uint64_t lines)
{
	self->strata = self->pairs;
	if (lines == 0 || lines >= self->pairs) return;
	uint64_t met = 0;
	for (uint64_t n = 0; n < pilot_pairs; n++) {
		uint32_t a, b;
		iso_random random = iso_random_begin(pilot_seed, n);
		pair_of_number(self->scanner->elements, (uint64_t)(iso_random_uniform(&random) * (double)self->pairs),
			       &a, &b);
		met += wanted(self, a, b);
	}
	const double strata = (double)lines * pilot_pairs / (double)(met ? met : 1);
	if (strata < (double)self->pairs) self->strata = strata < (double)most_strata ? (uint64_t)strata : most_strata;
}

static iso_status check_input(const iso_scanner *scanner, const iso_image *mu, iso_error *err)
{
	if (scanner->modality == ISO_MODALITY_SPECT)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "use a PET scanner",
				"the sensitivity of a SPECT scanner needs its gantry positions");
	const iso_status status = iso_scanner_check(scanner, NULL, err);
	if (status != ISO_OK || !mu) return status;
	if (mu->unit != ISO_UNIT_PER_CM && mu->unit != ISO_UNIT_UNKNOWN)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give the attenuation image in 1/cm",
				"the attenuation image is in %s", iso_unit_text(mu->unit));
	const size_t voxels = iso_grid_voxels(&mu->grid);
	for (size_t n = 0; n < voxels; n++)
		if (!isfinite(mu->voxels[n]))
			return iso_fail(err, ISO_BAD_INPUT, NULL, "repair the attenuation image",
					"voxel %zu of the attenuation image is not a number", n);
	return ISO_OK;
}

static iso_status prepare(sensitivity *self, const iso_grid *grid, iso_error *err)
{
	iso_status status = iso_projector_create(grid, NULL, self->threads, &self->projector, err);
	if (status == ISO_OK && self->mu)
		status = iso_projector_create(&self->mu->grid, NULL, self->threads, &self->attenuation, err);
	if (status != ISO_OK) return status;
	for (int k = 0; k < 3; k++) {
		self->box_mm[0][k] = grid->origin_mm[k] - grid->voxel_mm[k];
		self->box_mm[1][k] = grid->origin_mm[k] + grid->voxel_mm[k] * (double)grid->size[k];
	}
	self->lines = malloc(buffer_lines * sizeof *self->lines);
	self->factors = malloc(buffer_lines * sizeof *self->factors);
	self->depths = malloc(buffer_lines * sizeof *self->depths);
	if (!self->lines || !self->factors || !self->depths)
		return iso_fail_memory(err, "the sensitivity image",
				       buffer_lines * (sizeof *self->lines + 2 * sizeof *self->factors));
	return ISO_OK;
}

iso_status iso_sensitivity(const iso_scanner *scanner, const iso_grid *grid, const iso_image *mu,
			   uint64_t sensitivity_lines, int threads, const iso_progress *progress, iso_image **out,
			   iso_error *err)
{
	*out = NULL;
	iso_status status = check_input(scanner, mu, err);
	if (status != ISO_OK) return status;
	const uint64_t elements = scanner->elements;
	sensitivity self = {.scanner = scanner,
			    .mu = mu,
			    .pairs = elements * (elements - 1) / 2,
			    .threads = threads > 0 ? threads : omp_get_max_threads(),
			    .progress = progress};
	iso_image *image = NULL;
	status = iso_image_create(grid, ISO_UNIT_MM, &image, err);
	if (status == ISO_OK) {
		self.voxels = image->voxels;
		status = prepare(&self, grid, err);
	}
	if (status == ISO_OK) {
		choose_strata(&self, sensitivity_lines);
		status = project_all(&self, err);
	}
	free(self.lines);
	free(self.factors);
	free(self.depths);
	iso_projector_free(self.projector);
	iso_projector_free(self.attenuation);
	if (status == ISO_OK)
		*out = image;
	else
		iso_image_free(image);
	return status;
}

static void hash_grid(iso_hash *hash, const iso_grid *grid)
{
	for (int a = 0; a < 3; a++) {
		iso_hash_u64(hash, grid->size[a]);
		iso_hash_double(hash, grid->voxel_mm[a]);
		iso_hash_double(hash, grid->origin_mm[a]);
	}
}

void iso_sensitivity_key(const iso_scanner *scanner, const iso_grid *grid, const iso_image *mu,
			 uint64_t sensitivity_lines, char hex[65])
{
	char scanner_hash[65];
	iso_scanner_hash(scanner, scanner_hash);
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_text(&hash, "iso_sensitivity");
	iso_hash_u64(&hash, algorithm_version);
	iso_hash_text(&hash, scanner_hash);
	hash_grid(&hash, grid);
	iso_hash_u64(&hash, sensitivity_lines);
	iso_hash_u64(&hash, mu != NULL);
	if (mu) {
		hash_grid(&hash, &mu->grid);
		iso_hash_bytes(&hash, mu->voxels, iso_grid_voxels(&mu->grid) * sizeof *mu->voxels);
	}
	iso_hash_end(&hash, hex);
}

iso_status iso_sensitivity_cached(const char *folder, const iso_scanner *scanner, const iso_grid *grid,
				  const iso_image *mu, uint64_t sensitivity_lines, int threads,
				  const iso_progress *progress, iso_image **out, iso_error *err)
{
	if (!folder) return iso_sensitivity(scanner, grid, mu, sensitivity_lines, threads, progress, out, err);
	*out = NULL;
	iso_status status = check_input(scanner, mu, err);
	if (status != ISO_OK) return status;
	iso_image *image = NULL;
	status = iso_image_create(grid, ISO_UNIT_MM, &image, err);
	if (status != ISO_OK) return status;
	char key[65];
	iso_sensitivity_key(scanner, grid, mu, sensitivity_lines, key);
	if (iso_cache_load(folder, key, image->voxels, iso_grid_voxels(grid))) {
		*out = image;
		return ISO_OK;
	}
	iso_image_free(image);
	status = iso_sensitivity(scanner, grid, mu, sensitivity_lines, threads, progress, out, err);
	if (status != ISO_OK) return status;
	iso_error why;
	if (iso_cache_store(folder, key, (*out)->voxels, iso_grid_voxels(grid), &why) != ISO_OK && progress &&
	    progress->note) {
		char text[1600], line[1700];
		snprintf(line, sizeof line, "the sensitivity image is not kept: %s",
			 iso_error_text(&why, text, sizeof text));
		progress->note(progress->user, line);
	}
	return ISO_OK;
}
