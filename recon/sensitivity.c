/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sensitivity image: back projection of m_i over every pair of elements that can be in coincidence, sheaf by sheaf
 * (recon/line_block.h), or over fewer lines that stand for all of them. Where elements stand in columns, rows are taken together in groups and the
 * line between two groups is spread as the lines between their elements are (recon/row_groups.h). Otherwise it is an even sample:
 * every p-th element of one run with every q-th of another, each pair counting p q times, beginning at another one for every pair of
 * runs, so that neighbours fill one another's gaps. */
#include "recon/sensitivity.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/cache.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/note.h"
#include "core/random.h"
#include "recon/geometry.h"
#include "recon/projector.h"
#include "recon/row_groups.h"
#include "recon/sheaf.h"

enum {
	algorithm_version = 3, /* part of the cache's key: raise it when the image changes for the same input */
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
	iso_row_groups *groups; /* NULL: every element for itself; else scanner and columns are theirs */
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

/* The part of the line from p to q that lies in the box, seen along z: from + t (to - from), low <= t <= high. */
static bool cross_box(double box[2][3], const float *p, const float *q, double *low, double *high)
{
	*low = 0, *high = 1;
	for (int k = 0; k < 2; k++) {
		const double at = (double)p[k], along = (double)q[k] - at;
		if (along == 0) {
			if (at < box[0][k] || at > box[1][k]) return false;
			continue;
		}
		const double s = (box[0][k] - at) / along, t = (box[1][k] - at) / along;
		*low = fmax(*low, fmin(s, t));
		*high = fmin(*high, fmax(s, t));
	}
	return *low <= *high;
}

/* Is that part anywhere at the box's height? */
static bool is_level(double box[2][3], const float *p, const float *q, double low, double high)
{
	const double z = (double)p[2], rise = (double)q[2] - z, at_low = z + low * rise, at_high = z + high * rise;
	const bool below = at_low < box[0][2] && at_high<box[0][2], above = at_low> box[1][2] && at_high > box[1][2];
	return !below && !above;
}

static bool meets_box(double box[2][3], const float *p, const float *q)
{
	double low, high;
	return cross_box(box, p, q, &low, &high) && is_level(box, p, q, low, high);
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
	double low = 0, high = 1;
	if (columns->planar && !cross_box(self->box_mm, p, q, &low, &high)) return 0;
	const uint32_t i0 = first_row(rank, even_first, self->stride[0]),
		       j0 = first_row(rank, even_second, self->stride[1]);
	const double weight = (double)self->stride[0] * self->stride[1];
	const iso_pair_law law = iso_pair_law_of(self->scanner);
	size_t count = 0;
	for (uint32_t i = i0; i < rows_of(columns, a); i += self->stride[0])
		for (uint32_t j = j0; j < rows_of(columns, b); j += self->stride[1]) {
			if (a == b && j <= i) continue;
			const float *from = p + 3 * (size_t)i, *to = q + 3 * (size_t)j;
			if (columns->planar ? !is_level(self->box_mm, from, to, low, high)
					    : !meets_box(self->box_mm, from, to))
				continue;
			const uint32_t e = columns->element[columns->first[a] + i],
				       f = columns->element[columns->first[b] + j];
			const double pairs = self->groups ? iso_row_groups_pairs(self->groups, e, f) : weight;
			const double factor = pairs > 0 ? pairs * iso_pair_law_factor(&law, e, f) : 0;
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
	return iso_projector_adjoint_spread(self->projector, &block, self->groups ? &self->groups->spread : NULL,
					    self->factors, self->voxels, err);
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

/* How many pairs that meet the grid there are for each of `lines`, from their share in a pilot sample. */
static double pairs_per_line(sensitivity *self, uint64_t lines)
{
	const uint64_t elements = self->scanner->elements, all = elements * (elements - 1) / 2;
	if (lines == 0 || lines >= all) return 1;
	uint64_t met = 0;
	for (uint64_t n = 0; n < pilot_pairs; n++) {
		iso_random random = iso_random_begin(pilot_seed, n);
		const uint32_t a = (uint32_t)(iso_random_uniform(&random) * (double)elements),
			       b = (uint32_t)(iso_random_uniform(&random) * (double)elements);
		met += a != b &&
		       meets_box(self->box_mm, self->scanner->position_mm + 3 * (size_t)a,
				 self->scanner->position_mm + 3 * (size_t)b) &&
		       iso_scanner_pair_allowed(self->scanner, a, b);
	}
	return (double)all * (double)met / pilot_pairs / (double)lines;
}

/* Takes as many rows together as the lines wanted allow; not more than the panels reach. */
static iso_status group_rows(sensitivity *self, double ratio, const iso_grid *grid, iso_error *err)
{
	const iso_columns *fine = self->columns;
	uint32_t rows = (uint32_t)fmin(fmin(ISO_GROUP_ROWS, fine->most_rows / 2.0), fmax(1, rint(sqrt(ratio))));
	for (; rows > 1; rows--) {
		const iso_status status = iso_row_groups_create(self->scanner, fine, rows, &self->groups, err);
		if (status != ISO_OK) return status;
		if (self->groups->columns->planar && self->groups->half_mm <= (ISO_SHEAF_REACH - 1) * grid->voxel_mm[2])
			break;
		iso_row_groups_free(self->groups);
		self->groups = NULL;
	}
	if (!self->groups) return ISO_OK;
	self->scanner = self->groups->scanner;
	self->columns = self->groups->columns;
	/* lines that pass by may still reach in */
	self->box_mm[0][2] -= self->groups->half_mm;
	self->box_mm[1][2] += self->groups->half_mm;
	return ISO_OK;
}

static void choose_strides(sensitivity *self, double ratio)
{
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
	const double ratio = pairs_per_line(self, sensitivity_lines);
	self->stride[0] = self->stride[1] = 1;
	if (!self->columns->planar) choose_strides(self, ratio);
	if (self->columns->planar) status = group_rows(self, ratio, grid, err);
	if (status != ISO_OK) return status;
	self->pairs = iso_columns_pairs(self->columns);
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
	iso_row_groups_free(self.groups);
	iso_columns_free(columns);
	if (status == ISO_OK)
		*out = image;
	else
		iso_image_free(image);
	return status;
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
	/* another kind of processor rounds otherwise */
	iso_hash_text(&hash, iso_kernels_choose(NULL)->name);
	iso_hash_text(&hash, scanner_hash);
	iso_hash_grid(&hash, grid);
	iso_hash_u64(&hash, sensitivity_lines);
	iso_hash_u64(&hash, mu != NULL);
	if (mu) {
		iso_hash_grid(&hash, &mu->grid);
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
	if (iso_cache_store(folder, key, (*out)->voxels, iso_grid_voxels(grid), &why) != ISO_OK && progress) {
		char text[1600];
		iso_note(progress, "the sensitivity image is not kept: %s", iso_error_text(&why, text, sizeof text));
	}
	return ISO_OK;
}
