/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The projector as an object: a plan for one grid and TOF kernel, and how the lines of a call are shared among threads.
 * docs/projector.md tells the method, its conventions and why the adjoint gives the same bits for any number of threads. */
#include "recon/projector.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/error.h"
#include "recon/sheaf.h"
#include "recon/tof_kernel.h"

enum {
	copies_most = 64,
	lines_per_task = 256, /* of a call with single lines */
	lines_per_chunk = 16384,
	page = 2 << 20,
	tile = 16
};
/* All private images together. */
static const size_t copies_bytes = (size_t)2 << 30;

struct iso_projector {
	iso_grid grid;
	iso_joseph joseph; /* of the projector's own images, whose rows run along z */
	iso_joseph given;  /* of the caller's, whose rows run along x; without TOF table */
	double tof_bin_mm;
	const iso_kernels *kernels;
	int few_lines; /* a sheaf with fewer is walked line by line */
	int threads;
	size_t floats;            /* of an image in the projector's own order */
	float *image;             /* forward */
	float *copy[copies_most]; /* adjoint: private images, all 0 between calls; made when first needed */
	iso_sheaf_work **work;    /* [threads] */
	iso_sheaf_ends *ends;     /* [threads] */
};

/* Own images: rows along z; an odd number of them in a plane keeps neighbouring planes out of each other's way in the caches. */
static void set_order(const iso_grid *grid, iso_projector *projector)
{
	iso_joseph *joseph = &projector->joseph;
	for (int a = 0; a < 3; a++) {
		joseph->origin_mm[a] = grid->origin_mm[a];
		joseph->voxel_mm[a] = grid->voxel_mm[a];
		joseph->size[a] = (int)grid->size[a];
	}
	const size_t row = (grid->size[2] + ISO_SHEAF_PADDING - 1) / ISO_SHEAF_PADDING * ISO_SHEAF_PADDING;
	joseph->stride[2] = 1;
	joseph->stride[0] = (ptrdiff_t)row;
	joseph->stride[1] = (ptrdiff_t)(row * (grid->size[0] | 1));
	projector->floats = (size_t)joseph->stride[1] * grid->size[1];
	projector->given = *joseph;
	projector->given.stride[0] = 1;
	projector->given.stride[1] = (ptrdiff_t)grid->size[0];
	projector->given.stride[2] = (ptrdiff_t)(grid->size[0] * grid->size[1]);
}

/* Zeros, in large pages where the system has them. */
static float *make_image(const iso_projector *projector)
{
	const size_t bytes = (projector->floats * sizeof(float) + page - 1) / page * page;
	float *image = aligned_alloc(page, bytes);
	if (!image) return NULL;
	(void)madvise(image, bytes, MADV_HUGEPAGE);
	memset(image, 0, bytes);
	return image;
}

iso_status iso_projector_create_for(const iso_grid *grid, const iso_tof_kernel *tof, int threads, const char *kernels,
				    iso_projector **out, iso_error *err)
{
	*out = NULL;
	iso_status status = iso_grid_check(grid, NULL, err);
	if (status != ISO_OK) return status;
	if (!iso_grid_is_axis_aligned(grid))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "resample the image to an axis-aligned grid first",
				"the image's axes are turned against the scanner's");
	iso_projector *projector = calloc(1, sizeof *projector);
	if (!projector) return iso_fail_memory(err, "a projector", sizeof *projector);
	projector->grid = *grid;
	projector->threads = threads > 0 ? threads : omp_get_max_threads();
	projector->kernels = iso_kernels_choose(kernels);
	set_order(grid, projector);
	/* kernels count voxels in 32 bits */
	if (projector->floats <= INT32_MAX) projector->joseph.kernels = projector->kernels;
	const size_t workers = (size_t)projector->threads;
	projector->work = calloc(workers, sizeof *projector->work);
	projector->ends = calloc(workers, sizeof *projector->ends);
	if (!projector->kernels)
		status = iso_fail(err, ISO_BAD_USAGE, NULL, "leave the choice to the program",
				  "this processor has no %s", kernels);
	else if (!projector->work || !projector->ends)
		status = iso_fail_memory(err, "a projector", workers * sizeof *projector->ends);
	for (size_t n = 0; n < workers && status == ISO_OK; n++)
		status = iso_sheaf_work_create(projector->joseph.size, projector->work + n, err);
	if (status == ISO_OK) status = iso_tof_table_make(tof, &projector->joseph.tof, err);
	if (status != ISO_OK) {
		iso_projector_free(projector);
		return status;
	}
	/* Making a panel costs as much as walking so many lines on their own (docs/performance.md); with TOF twice as many, because each
	 * of them only needs a part of it. */
	projector->few_lines = 4 + (int)(grid->size[2] / 32);
	if (projector->joseph.tof.weight) {
		projector->few_lines *= 2;
		projector->given.tof = projector->joseph.tof;
		projector->tof_bin_mm = tof->bin_mm;
		iso_tof_series_make(tof, projector->joseph.tof.cut_mm, &projector->joseph.series);
	}
	*out = projector;
	return ISO_OK;
}

iso_status iso_projector_create(const iso_grid *grid, const iso_tof_kernel *tof, int threads, iso_projector **out,
				iso_error *err)
{
	return iso_projector_create_for(grid, tof, threads, NULL, out, err);
}

const iso_grid *iso_projector_grid(const iso_projector *projector)
{
	return &projector->grid;
}

void iso_projector_free(iso_projector *projector)
{
	if (!projector) return;
	for (int n = 0; n < projector->threads && projector->work; n++) iso_sheaf_work_free(projector->work[n]);
	for (int n = 0; n < copies_most; n++) free(projector->copy[n]);
	free(projector->work);
	free(projector->ends);
	free(projector->image);
	free(projector->joseph.tof.weight);
	free(projector);
}

/* The caller's image into the projector's order. */
static iso_status set_image(iso_projector *projector, const float *voxels, iso_error *err)
{
	if (!projector->image) projector->image = make_image(projector);
	if (!projector->image) return iso_fail_memory(err, "projection", projector->floats * sizeof(float));
	const iso_joseph *joseph = &projector->joseph;
	const ptrdiff_t nx = joseph->size[0], ny = joseph->size[1], nz = joseph->size[2];
#pragma omp parallel for num_threads(projector->threads) schedule(static)
	for (ptrdiff_t y = 0; y < ny; y++)
		for (ptrdiff_t z0 = 0; z0 < nz; z0 += tile) {
			const ptrdiff_t z1 = z0 + tile < nz ? z0 + tile : nz;
			for (ptrdiff_t x = 0; x < nx; x++) {
				float *row = projector->image + y * joseph->stride[1] + x * joseph->stride[0];
				for (ptrdiff_t z = z0; z < z1; z++) row[z] = voxels[(z * ny + y) * nx + x];
			}
		}
	return ISO_OK;
}

/* Adds the private images up in their order into the caller's, and leaves them 0 again. */
static void add_copies(iso_projector *projector, int copies, float *voxels)
{
	const iso_joseph *joseph = &projector->joseph;
	const ptrdiff_t nx = joseph->size[0], ny = joseph->size[1], nz = joseph->size[2];
#pragma omp parallel for num_threads(projector->threads) schedule(static)
	for (ptrdiff_t y = 0; y < ny; y++) {
		float *sum = projector->copy[0] + y * joseph->stride[1];
		for (int c = 1; c < copies; c++) {
			float *more = projector->copy[c] + y * joseph->stride[1];
			for (ptrdiff_t n = 0; n < joseph->stride[1]; n++) sum[n] += more[n];
			memset(more, 0, (size_t)joseph->stride[1] * sizeof *more);
		}
		for (ptrdiff_t z0 = 0; z0 < nz; z0 += tile) {
			const ptrdiff_t z1 = z0 + tile < nz ? z0 + tile : nz;
			for (ptrdiff_t x = 0; x < nx; x++) {
				const float *row = sum + x * joseph->stride[0];
				for (ptrdiff_t z = z0; z < z1; z++) voxels[(z * ny + y) * nx + x] += row[z];
			}
		}
		memset(sum, 0, (size_t)joseph->stride[1] * sizeof *sum);
	}
}

/* How many private images: enough to keep threads busy, few enough that adding them up is a small part of the work (about a tenth:
 * a plane of a line costs about as much as a voxel of adding up) and that they fit into memory. Never from the number
 * of threads: the order of additions, and so the bits, follow from this number. */
static int choose_copies(const iso_projector *projector, size_t lines)
{
	const int *size = projector->joseph.size;
	const double planes = 0.5 * (size[0] + size[1]),
		     work = 0.1 * planes * (double)lines / (double)projector->floats;
	const size_t fit = copies_bytes / sizeof(float) / projector->floats;
	double copies = work < 0.5 ? 1 : work < 4 ? 4 : floor(work);
	if (copies > (double)fit) copies = (double)fit;
	return copies < 1 ? 1 : copies > copies_most ? copies_most : (int)copies;
}

static iso_status make_copies(iso_projector *projector, int copies, iso_error *err)
{
	for (int n = 0; n < copies; n++) {
		if (!projector->copy[n]) projector->copy[n] = make_image(projector);
		if (!projector->copy[n])
			return iso_fail_memory(err, "back projection", projector->floats * sizeof(float));
	}
	return ISO_OK;
}

/* The work of a call: lines, or a block of sheaves. */
typedef struct lines_job {
	iso_projector *projector;
	const iso_joseph *joseph;       /* of the images that lines are walked through */
	const iso_line *line;           /* NULL: a block */
	const iso_line_block *block;    /* NULL: single lines */
	const float *factors;           /* adjoint */
	const iso_axial_spread *spread; /* of its lines; NULL: none */
	float *values;                  /* forward */
	iso_traffic *traffic;           /* only count */
	size_t count, chunk;
} lines_job;

/* One line on its own: value out, or factor in. */
static void walk_one_line(const lines_job *job, const iso_line *line, size_t number, float *image)
{
	const iso_joseph *joseph = job->joseph;
	iso_ray ray;
	const bool meets = iso_ray_begin(joseph, line, &ray);
	if (job->traffic) {
		const double bytes = meets ? 4.0 * sizeof(float) * ray.planes : 0;
		job->traffic->image.forward_load += bytes;
		job->traffic->image.back_load += bytes;
		job->traffic->image.back_store += bytes;
	} else if (job->values)
		job->values[number] = meets ? (float)iso_ray_forward(joseph, &ray, image) : 0.0f;
	else if (meets && job->factors[number] != 0)
		iso_ray_adjoint(joseph, &ray, job->factors[number], image);
}

/* Likewise, or some of the lines that it stands for, evenly chosen: every start once and every end once. */
static void walk_line(const lines_job *job, const iso_line *line, size_t number, float *image)
{
	const iso_axial_spread *spread = job->spread;
	if (!spread) {
		walk_one_line(job, line, number, image);
		return;
	}
	const int count = spread->count;
	const float share = job->factors[number] / (float)count;
	for (int n = 0; n < count && share != 0; n++) {
		iso_line one = *line;
		iso_ray ray;
		/* twice the number, modulo one that 2 does not divide: a permutation */
		const int partner = count % 2 ? (2 * n + 1) % count : 2 * (n + 1) % (count + 1) - 1;
		one.start_mm[2] += spread->offset_mm[n];
		one.end_mm[2] += spread->offset_mm[partner];
		if (iso_ray_begin(job->joseph, &one, &ray)) iso_ray_adjoint(job->joseph, &ray, share, image);
	}
}

/* The lines in `ends`, which are lines base + number[] of the block, all between the same two columns. */
static void walk_sheaf(const lines_job *job, const iso_sheaf *sheaf, size_t base, iso_sheaf_ends *ends,
		       iso_sheaf_work *work, float *image)
{
	const iso_kernels *kernels = job->projector->kernels;
	const iso_columns *columns = job->block->columns;
	if (ends->count >= job->projector->few_lines) {
		kernels->sheaf_set_lines(job->joseph, work, ends);
		if (job->traffic)
			kernels->sheaf_traffic(job->joseph, work, job->traffic);
		else if (job->values)
			kernels->sheaf_forward(job->joseph, work, image, job->values + base);
		else
			kernels->sheaf_adjoint(job->joseph, work, job->spread, job->factors + base, image);
		return;
	}
	for (int n = 0; n < ends->count; n++) {
		iso_line line = {.tof_centre_mm = ends->tof_centre_mm[n]};
		memcpy(line.start_mm, columns->position_mm + 3 * (size_t)columns->first[sheaf->column[0]],
		       2 * sizeof(float));
		memcpy(line.end_mm, columns->position_mm + 3 * (size_t)columns->first[sheaf->column[1]],
		       2 * sizeof(float));
		line.start_mm[2] = ends->start_mm[n];
		line.end_mm[2] = ends->end_mm[n];
		walk_line(job, &line, base + ends->number[n], image);
	}
}

static void line_of(const lines_job *job, const iso_sheaf *sheaf, size_t n, iso_line *line)
{
	const iso_line_block *block = job->block;
	const iso_columns *columns = block->columns;
	const size_t a = columns->first[sheaf->column[0]] + block->row[n][0],
		     b = columns->first[sheaf->column[1]] + block->row[n][1];
	memcpy(line->start_mm, columns->position_mm + 3 * a, sizeof line->start_mm);
	memcpy(line->end_mm, columns->position_mm + 3 * b, sizeof line->end_mm);
	line->tof_centre_mm = block->tof_bin ? (float)(block->tof_bin[n] * job->projector->tof_bin_mm) : 0;
}

/* Lines [first, last) of one sheaf. */
static void walk_sheaf_lines(const lines_job *job, const iso_sheaf *sheaf, size_t first, size_t last,
			     iso_sheaf_ends *ends, iso_sheaf_work *work, float *image)
{
	const iso_joseph *joseph = job->joseph;
	const iso_line_block *block = job->block;
	const iso_columns *columns = block->columns;
	const float *a = columns->position_mm + 3 * (size_t)columns->first[sheaf->column[0]],
		    *b = columns->position_mm + 3 * (size_t)columns->first[sheaf->column[1]];
	const bool smooth = !joseph->tof.weight || joseph->series.terms > 0;
	const bool meets = columns->planar && job->projector->kernels->sheaf_begin(joseph, a, b, &work->walk);
	size_t base = first;
	ends->count = 0;
	for (size_t n = first; n < last; n++) {
		const float start = a[3 * block->row[n][0] + 2], end = b[3 * block->row[n][1] + 2];
		/* a steep line has its samples elsewhere: it may meet the grid where the sheaf's own planes do not */
		if (!columns->planar || !smooth || iso_sheaf_is_steep(joseph, &work->walk, start, end)) {
			iso_line line;
			line_of(job, sheaf, n, &line);
			walk_line(job, &line, n, image);
			continue;
		}
		if (!meets) {
			if (job->values) job->values[n] = 0;
			continue;
		}
		if (ends->count == 0) base = n;
		ends->start_mm[ends->count] = start;
		ends->end_mm[ends->count] = end;
		ends->tof_centre_mm[ends->count] =
		    block->tof_bin ? (float)(block->tof_bin[n] * job->projector->tof_bin_mm) : 0;
		ends->number[ends->count++] = (uint16_t)(n - base);
		if (ends->count == ISO_SHEAF_LINES || n - base == UINT16_MAX) {
			walk_sheaf(job, sheaf, base, ends, work, image);
			ends->count = 0;
		}
	}
	if (ends->count) walk_sheaf(job, sheaf, base, ends, work, image);
}

/* The first sheaf that begins at line `first` or later. */
static size_t sheaf_from(const iso_line_block *block, size_t first)
{
	size_t low = 0, high = block->sheaves;
	while (low < high) {
		const size_t middle = (low + high) / 2;
		if (block->sheaf[middle].first < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The sheaves that begin in chunk c. */
static void walk_chunk(const lines_job *job, size_t c, int thread, float *image)
{
	if (!job->block) {
		const size_t last = (c + 1) * job->chunk < job->count ? (c + 1) * job->chunk : job->count;
		for (size_t n = c * job->chunk; n < last; n++) walk_line(job, job->line + n, n, image);
		return;
	}
	const iso_sheaf *sheaf = job->block->sheaf;
	const size_t end = sheaf_from(job->block, (c + 1) * job->chunk);
	for (size_t s = sheaf_from(job->block, c * job->chunk), next; s < end; s = next) {
		/* groups do not matter here */
		for (next = s + 1; next < end && sheaf[next].column[0] == sheaf[s].column[0] &&
				   sheaf[next].column[1] == sheaf[s].column[1];)
			next++;
		walk_sheaf_lines(job, sheaf + s, sheaf[s].first, sheaf[next].first, job->projector->ends + thread,
				 job->projector->work[thread], image);
	}
}

static iso_status run_forward(const lines_job *job, const float *voxels, iso_error *err)
{
	iso_projector *projector = job->projector;
	if (job->count == 0) return ISO_OK;
	const iso_status status = set_image(projector, voxels, err);
	if (status != ISO_OK) return status;
	const ptrdiff_t chunks = (ptrdiff_t)((job->count + job->chunk - 1) / job->chunk);
#pragma omp parallel for num_threads(projector->threads) schedule(dynamic, 1)
	for (ptrdiff_t c = 0; c < chunks; c++) walk_chunk(job, (size_t)c, omp_get_thread_num(), projector->image);
	return ISO_OK;
}

/* Chunk c goes into private image c mod copies, after chunk c - copies: any thread may do it, the order within each image is
 * always the same. Chunks are handed out in order, so the first one that is not done never waits. */
static iso_status run_adjoint(const lines_job *job, float *voxels, iso_error *err)
{
	iso_projector *projector = job->projector;
	if (job->count == 0) return ISO_OK;
	const int copies = choose_copies(projector, job->count);
	const iso_status status = make_copies(projector, copies, err);
	if (status != ISO_OK) return status;
	const size_t chunks = (job->count + job->chunk - 1) / job->chunk;
	atomic_size_t next = 0, done[copies_most];
	for (int n = 0; n < copies; n++) atomic_init(done + n, 0);
#pragma omp parallel num_threads(projector->threads)
	for (;;) {
		const size_t c = atomic_fetch_add(&next, 1), copy = c % (size_t)copies;
		if (c >= chunks) break;
		while (atomic_load_explicit(done + copy, memory_order_acquire) != c / (size_t)copies) sched_yield();
		walk_chunk(job, c, omp_get_thread_num(), projector->copy[copy]);
		atomic_fetch_add_explicit(done + copy, 1, memory_order_release);
	}
	add_copies(projector, copies, voxels);
	return ISO_OK;
}

/* Few lines are walked through the caller's image as it is: putting it into another order would take longer. */
static bool are_few(const iso_projector *projector, size_t lines)
{
	const int *size = projector->joseph.size;
	return (double)lines * (size[0] + size[1] + size[2]) < 4 * (double)projector->floats;
}

iso_status iso_projector_forward(iso_projector *projector, const iso_line *lines, size_t count, const float *voxels,
				 float *values, iso_error *err)
{
	lines_job job = {.projector = projector,
			 .joseph = &projector->joseph,
			 .line = lines,
			 .values = values,
			 .count = count,
			 .chunk = lines_per_task};
	if (!are_few(projector, count)) return run_forward(&job, voxels, err);
	job.joseph = &projector->given;
	const ptrdiff_t total = (ptrdiff_t)count;
#pragma omp parallel for num_threads(projector->threads) schedule(dynamic, lines_per_task)
	for (ptrdiff_t n = 0; n < total; n++) walk_line(&job, lines + n, (size_t)n, (float *)voxels);
	return ISO_OK;
}

iso_status iso_projector_adjoint(iso_projector *projector, const iso_line *lines, size_t count, const float *values,
				 float *voxels, iso_error *err)
{
	lines_job job = {.projector = projector,
			 .joseph = &projector->joseph,
			 .line = lines,
			 .factors = values,
			 .count = count,
			 .chunk = lines_per_task};
	if (!are_few(projector, count)) return run_adjoint(&job, voxels, err);
	job.joseph = &projector->given;
	for (size_t n = 0; n < count; n++) walk_line(&job, lines + n, n, voxels);
	return ISO_OK;
}

static lines_job block_job(iso_projector *projector, const iso_line_block *block)
{
	return (lines_job){.projector = projector,
			   .joseph = &projector->joseph,
			   .block = block,
			   .count = block->count,
			   .chunk = lines_per_chunk};
}

iso_status iso_projector_forward_block(iso_projector *projector, const iso_line_block *block, const float *voxels,
				       float *values, iso_error *err)
{
	lines_job job = block_job(projector, block);
	job.values = values;
	return run_forward(&job, voxels, err);
}

iso_status iso_projector_adjoint_spread(iso_projector *projector, const iso_line_block *block,
					const iso_axial_spread *spread, const float *values, float *voxels,
					iso_error *err)
{
	lines_job job = block_job(projector, block);
	job.factors = values;
	job.spread = spread && spread->count > 1 ? spread : NULL;
	return run_adjoint(&job, voxels, err);
}

iso_status iso_projector_adjoint_block(iso_projector *projector, const iso_line_block *block, const float *values,
				       float *voxels, iso_error *err)
{
	lines_job job = block_job(projector, block);
	job.factors = values;
	return run_adjoint(&job, voxels, err);
}

iso_traffic iso_projector_block_traffic(iso_projector *projector, const iso_line_block *block)
{
	const size_t rows = (size_t)(projector->joseph.size[2] + 2 * ISO_SHEAF_GUARD);
	iso_traffic traffic = {.panel_bytes = rows * (size_t)projector->kernels->lanes * sizeof(float),
			       .image_bytes = projector->floats * sizeof(float)};
	lines_job job = block_job(projector, block);
	job.traffic = &traffic;
	const size_t chunks = (block->count + job.chunk - 1) / job.chunk;
	for (size_t c = 0; c < chunks; c++) walk_chunk(&job, c, 0, NULL);
	return traffic;
}
