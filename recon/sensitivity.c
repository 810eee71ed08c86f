/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sensitivity image: back projection of m_i over every pair of elements that can be in coincidence, or over an even sample of
 * them. Pairs are taken sheaf by sheaf (recon/line_block.h); a sample takes every p-th row of the one column with every q-th of the other,
 * each pair counting p q times, and begins at other rows in every sheaf, so that neighbouring sheaves fill one another's gaps. */
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
#include "recon/projector.h"

enum {
	algorithm_version = 2, /* part of the cache's key: raise it when the image changes for the same input */
	batch_lines = 1 << 21, /* lines of a batch, unless one sheaf alone has more */
	batch_sheaves = 1 << 16,
	pilot_pairs = 65536,
};
static const uint64_t pilot_seed = 0x1507ad0;
/* The sequence frac(n a), frac(n b) fills the square evenly: M. Roberts' generalisation of the golden ratio, 1/g and 1/g^2 with
 * g^3 = g + 1. */
static const double even_first = 0.7548776662466927, even_second = 0.5698402909980532;

typedef struct sensitivity {
	const iso_scanner *scanner;
	const iso_image *mu;
	const iso_columns *columns;
	iso_projector *projector, *attenuation; /* attenuation NULL: none */
	double box_mm[2][3];                    /* outside it no line meets a voxel */
	uint32_t pairs;                         /* of columns */
	uint32_t stride[2];                     /* of the rows that are taken */
	int threads;
	const iso_progress *progress;
	/* a batch */
	iso_sheaf *sheaf;        /* [batch_sheaves + 1] */
	uint16_t (*row)[2];      /* [room] */
	float *factors, *depths; /* [room] */
	size_t room, count, sheaves;
	uint64_t used;
	float *voxels;
} sensitivity;

/* Does the line from p to q meet the box, seen along z only (axes 2) or in space (3)? */
static bool meets_box(double box[2][3], const float *p, const float *q, int axes)
{
	double low = 0, high = 1;
	for (int k = 0; k < axes; k++) {
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

static uint32_t rows_of(const iso_columns *columns, uint32_t column)
{
	return columns->first[column + 1] - columns->first[column];
}

/* Lines that a sheaf may have at most. */
static size_t sheaf_most(const sensitivity *self, uint32_t rank)
{
	uint32_t column[2];
	size_t lines = 1;
	iso_columns_pair(self->columns, rank, column);
	for (int side = 0; side < 2; side++)
		lines *= (rows_of(self->columns, column[side]) + self->stride[side] - 1) / self->stride[side];
	return lines;
}

static uint32_t first_row(uint32_t rank, double even, uint32_t stride)
{
	const double turn = (double)rank * even;
	const uint32_t row = (uint32_t)((turn - floor(turn)) * stride);
	return row < stride ? row : stride - 1;
}

/* Rows and weights of the sheaf of this rank; returns how many lines there are. */
static size_t fill_sheaf(sensitivity *self, uint32_t rank, iso_sheaf *sheaf, uint16_t (*row)[2], float *factors)
{
	const iso_columns *columns = self->columns;
	*sheaf = (iso_sheaf){0};
	iso_columns_pair(columns, rank, sheaf->column);
	const uint32_t a = sheaf->column[0], b = sheaf->column[1];
	const float *p = columns->position_mm + 3 * (size_t)columns->first[a],
		    *q = columns->position_mm + 3 * (size_t)columns->first[b];
	if (columns->planar && !meets_box(self->box_mm, p, q, 2)) return 0;
	const uint32_t i0 = first_row(rank, even_first, self->stride[0]),
		       j0 = first_row(rank, even_second, self->stride[1]);
	const double weight = (double)self->stride[0] * self->stride[1];
	size_t count = 0;
	for (uint32_t i = i0; i < rows_of(columns, a); i += self->stride[0])
		for (uint32_t j = j0; j < rows_of(columns, b); j += self->stride[1]) {
			if (a == b && j <= i) continue;
			if (!meets_box(self->box_mm, p + 3 * (size_t)i, q + 3 * (size_t)j, 3)) continue;
			const double factor =
			    weight * iso_pair_factor(self->scanner, columns->element[columns->first[a] + i],
						     columns->element[columns->first[b] + j]);
			if (!(factor > 0)) continue;
			row[count][0] = (uint16_t)i;
			row[count][1] = (uint16_t)j;
			factors[count++] = (float)factor;
		}
	return count;
}

/* The next sheaves by rank, as many as there is room for, with all their lines. Returns the rank after the last. */
static uint32_t fill_batch(sensitivity *self, uint32_t begin, size_t *start, size_t *counts)
{
	uint32_t end = begin;
	size_t most = 0;
	for (; end < self->pairs && end - begin < batch_sheaves; end++) {
		const size_t more = sheaf_most(self, end);
		if (most + more > self->room) break;
		start[end - begin] = most;
		most += more;
	}
	const int64_t sheaves = (int64_t)(end - begin);
#pragma omp parallel for num_threads(self->threads) schedule(dynamic, 16)
	for (int64_t s = 0; s < sheaves; s++)
		counts[s] = fill_sheaf(self, begin + (uint32_t)s, self->sheaf + s, self->row + start[s],
				       self->factors + start[s]);
	self->count = self->sheaves = 0;
	for (int64_t s = 0; s < sheaves; s++) {
		if (counts[s] == 0) continue;
		iso_sheaf sheaf = self->sheaf[s];
		sheaf.first = (uint32_t)self->count;
		memmove(self->row + self->count, self->row + start[s], counts[s] * sizeof *self->row);
		memmove(self->factors + self->count, self->factors + start[s], counts[s] * sizeof *self->factors);
		self->count += counts[s];
		self->sheaf[self->sheaves++] = sheaf;
	}
	self->sheaf[self->sheaves].first = (uint32_t)self->count;
	self->used += self->count;
	return end;
}

static iso_status project_batch(sensitivity *self, iso_error *err)
{
	const iso_line_block block = {.columns = self->columns,
				      .count = self->count,
				      .sheaves = self->sheaves,
				      .sheaf = self->sheaf,
				      .row = (void *)self->row};
	if (self->attenuation) {
		const iso_status status =
		    iso_projector_forward_block(self->attenuation, &block, self->mu->voxels, self->depths, err);
		if (status != ISO_OK) return status;
		const ptrdiff_t count = (ptrdiff_t)self->count;
		/* lengths are in mm, mu in 1/cm */
#pragma omp parallel for num_threads(self->threads) schedule(static)
		for (ptrdiff_t n = 0; n < count; n++)
			self->factors[n] = (float)((double)self->factors[n] * exp(-0.1 * (double)self->depths[n]));
	}
	return iso_projector_adjoint_block(self->projector, &block, self->factors, self->voxels, err);
}

static iso_status project_all(sensitivity *self, iso_error *err)
{
	size_t *start = malloc(batch_sheaves * sizeof *start), *counts = malloc(batch_sheaves * sizeof *counts);
	iso_status status = ISO_OK;
	if (!start || !counts)
		status = iso_fail_memory(err, "the sensitivity image", 2 * batch_sheaves * sizeof *start);
	for (uint32_t rank = 0; rank < self->pairs && status == ISO_OK;) {
		rank = fill_batch(self, rank, start, counts);
		status = project_batch(self, err);
		if (status == ISO_OK && self->progress && self->progress->report &&
		    self->progress->report(self->progress->user, "sensitivity", (double)rank / (double)self->pairs))
			status = iso_fail(err, ISO_CANCELLED, NULL, "run it again",
					  "stopped while computing the sensitivity");
	}
	free(start);
	free(counts);
	if (status == ISO_OK && self->used == 0)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "check the grid's place and the scanner's pair rule",
				"no line of response of the scanner meets the grid");
	return status;
}

/* Which rows to take for about `lines` lines that meet the grid, from the share of such pairs in a pilot sample. */
static void choose_strides(sensitivity *self, uint64_t lines)
{
	const uint64_t elements = self->scanner->elements, all = elements * (elements - 1) / 2;
	self->stride[0] = self->stride[1] = 1;
	if (lines == 0 || lines >= all) return;
	uint64_t met = 0;
	for (uint64_t n = 0; n < pilot_pairs; n++) {
		iso_random random = iso_random_begin(pilot_seed, n);
		const uint32_t a = (uint32_t)(iso_random_uniform(&random) * (double)elements),
			       b = (uint32_t)(iso_random_uniform(&random) * (double)elements);
		met += a != b &&
		       meets_box(self->box_mm, self->scanner->position_mm + 3 * (size_t)a,
				 self->scanner->position_mm + 3 * (size_t)b, 3) &&
		       iso_scanner_pair_allowed(self->scanner, a, b);
	}
	const double ratio = (double)all * (double)met / pilot_pairs / (double)lines;
	const double most = self->columns->most_rows;
	for (int side = 0; side < 2; side++) {
		const double wanted = side ? ratio / self->stride[0] : sqrt(ratio);
		self->stride[side] = (uint32_t)fmax(1, fmin(most, rint(wanted)));
	}
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

static iso_status prepare(sensitivity *self, const iso_grid *grid, uint64_t sensitivity_lines, iso_error *err)
{
	iso_status status = iso_projector_create(grid, NULL, self->threads, &self->projector, err);
	if (status == ISO_OK && self->mu)
		status = iso_projector_create(&self->mu->grid, NULL, self->threads, &self->attenuation, err);
	if (status != ISO_OK) return status;
	for (int k = 0; k < 3; k++) {
		self->box_mm[0][k] = grid->origin_mm[k] - grid->voxel_mm[k];
		self->box_mm[1][k] = grid->origin_mm[k] + grid->voxel_mm[k] * (double)grid->size[k];
	}
	choose_strides(self, sensitivity_lines);
	const size_t largest = (size_t)self->columns->most_rows * self->columns->most_rows;
	self->room = largest > batch_lines ? largest : batch_lines;
	self->sheaf = malloc((batch_sheaves + 1) * sizeof *self->sheaf);
	self->row = malloc(self->room * sizeof *self->row);
	self->factors = malloc(self->room * sizeof *self->factors);
	self->depths = malloc(self->room * sizeof *self->depths);
	if (!self->sheaf || !self->row || !self->factors || !self->depths)
		return iso_fail_memory(err, "the sensitivity image",
				       self->room * (sizeof *self->row + 2 * sizeof *self->factors));
	return ISO_OK;
}

iso_status iso_sensitivity(const iso_scanner *scanner, const iso_grid *grid, const iso_image *mu,
			   uint64_t sensitivity_lines, int threads, const iso_progress *progress, iso_image **out,
			   iso_error *err)
{
	*out = NULL;
	iso_status status = check_input(scanner, mu, err);
	if (status != ISO_OK) return status;
	sensitivity self = {.scanner = scanner,
			    .mu = mu,
			    .threads = threads > 0 ? threads : omp_get_max_threads(),
			    .progress = progress};
	iso_columns *columns = NULL;
	iso_image *image = NULL;
	status = iso_image_create(grid, ISO_UNIT_MM, &image, err);
	if (status == ISO_OK) status = iso_columns_create(scanner, &columns, err);
	if (status == ISO_OK) {
		self.columns = columns;
		self.pairs = iso_columns_pairs(columns);
		self.voxels = image->voxels;
		status = prepare(&self, grid, sensitivity_lines, err);
	}
	if (status == ISO_OK) status = project_all(&self, err);
	free(self.sheaf);
	free(self.row);
	free(self.factors);
	free(self.depths);
	iso_projector_free(self.projector);
	iso_projector_free(self.attenuation);
	iso_columns_free(columns);
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
