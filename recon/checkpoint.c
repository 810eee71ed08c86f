/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "recon/checkpoint.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cache.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/note.h"
#include "core/output.h"
#include "core/pair_components.h"
#include "core/stopwatch.h"
#include "isotrace/singles.h"
#include "isotrace/version.h"
#include "recon/checks.h"
#include "recon/sheaf.h"

/* To be raised whenever the same options give other bits. */
static const uint64_t algorithm_version = 4;
/* An image that took less is not worth a file. */
static const double short_s = 0.5;
enum { STATE_FLOATS = (sizeof(iso_solution) + sizeof(float) - 1) / sizeof(float) };

/* Tells one list of events from another; nobody forges one, so that a fast mixing of their bits is enough (the
 * finaliser of SplitMix64, chained). */
static uint64_t mix(uint64_t state, uint64_t word)
{
	state = (state ^ word) + UINT64_C(0x9E3779B97F4A7C15);
	state = (state ^ (state >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	state = (state ^ (state >> 27)) * UINT64_C(0x94D049BB133111EB);
	return state ^ (state >> 31);
}

static iso_status hash_events(iso_hash *hash, iso_events *events, iso_error *err)
{
	enum { BATCH = 16384 };
	iso_event *batch = malloc(BATCH * sizeof *batch);
	if (!batch) return iso_fail_memory(err, "events", BATCH * sizeof *batch);
	uint64_t state[2] = {1, 2}, total = 0;
	size_t count = 1;
	iso_status status = iso_events_seek(events, 0, err);
	while (status == ISO_OK && count) {
		status = iso_events_read(events, batch, BATCH, &count, err);
		for (size_t n = 0; status == ISO_OK && n < count; n++) {
			const iso_event *e = batch + n;
			const uint64_t rest = (uint64_t)(uint16_t)e->tof_bin << 16 | (uint64_t)e->kind << 8 | e->window;
			state[0] = mix(state[0], (uint64_t)e->element[0] << 32 | e->element[1]);
			state[1] = mix(state[1], (uint64_t)e->time_ms << 32 | rest);
		}
		total += status == ISO_OK ? count : 0;
	}
	free(batch);
	const iso_singles *singles = iso_events_singles(events);
	if (singles) {
		iso_hash_double(hash, singles->interval_s);
		iso_hash_bytes(hash, singles->group, singles->elements * sizeof *singles->group);
		iso_hash_bytes(hash, singles->counts, singles->intervals * singles->groups * sizeof *singles->counts);
	}
	iso_hash_u64(hash, total);
	iso_hash_u64(hash, state[0]);
	iso_hash_u64(hash, state[1]);
	return status;
}

static void hash_frames(iso_hash *hash, const iso_frame *frame, size_t count)
{
	for (size_t f = 0; f < count; f++) {
		iso_hash_double(hash, frame[f].start_s);
		iso_hash_double(hash, frame[f].duration_s);
	}
}

/* What the images depend on; what is done with them afterwards (filter, calibration) is not kept. */
static void hash_options(iso_hash *hash, const iso_recon_options *o)
{
	iso_hash_grid(hash, &o->grid);
	const uint64_t whole[] = {o->algorithm,         o->iterations,       o->subsets,         o->positron_range,
				  o->randoms,           o->decay_correction, o->replicates,      o->frames,
				  o->sensitivity_lines, o->frame != NULL,    o->nuclide != NULL, o->scatter,
				  o->scatter_scale,     o->scatter_updates,  o->prompt_gammas};
	const double numbers[] = {o->beta_mm2,    o->gamma,          o->relaxation,      o->stop_change,
				  o->psf_fwhm_mm, o->psf_tail_share, o->psf_tail_fwhm_mm};
	for (size_t n = 0; n < sizeof whole / sizeof *whole; n++) iso_hash_u64(hash, whole[n]);
	for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) iso_hash_double(hash, numbers[n]);
	if (o->frame) hash_frames(hash, o->frame, o->frames);
	for (size_t g = 0; o->gates && g < o->gates->gating.gates; g++) {
		const size_t first = o->gates->first[g];
		iso_hash_u64(hash, first);
		hash_frames(hash, o->gates->stretch + first, o->gates->first[g + 1] - first);
	}
	if (o->nuclide) {
		iso_hash_text(hash, o->nuclide->name);
		iso_hash_double(hash, o->nuclide->half_life_s);
	}
	const double detector[] = {(double)o->dead_time, (double)o->dead_time_model, o->dead_time_ns,
				   o->coincidence_window_ns};
	for (size_t n = 0; n < sizeof detector / sizeof *detector; n++) iso_hash_double(hash, detector[n]);
	if (o->normalisation) {
		const iso_normalisation *n = o->normalisation;
		iso_hash_bytes(hash, n->efficiency, n->elements * sizeof *n->efficiency);
		const iso_scanner carrier = {.elements = n->elements, .components = n->components};
		iso_pair_components_hash(&carrier, hash);
	}
	const iso_image *image[] = {o->mu, o->prior_regions};
	for (size_t n = 0; n < sizeof image / sizeof *image; n++) {
		iso_hash_u64(hash, image[n] != NULL);
		if (!image[n]) continue;
		iso_hash_grid(hash, &image[n]->grid);
		iso_hash_bytes(hash, image[n]->voxels, iso_grid_voxels(&image[n]->grid) * sizeof *image[n]->voxels);
	}
}

static iso_status find_fingerprint(iso_events *events, const iso_recon_options *options, char hex[65], iso_error *err)
{
	char scanner[65];
	iso_hash hash;
	iso_scanner_hash(iso_events_scanner(events), scanner);
	iso_hash_begin(&hash);
	iso_hash_text(&hash, "isotrace " ISO_VERSION);
	iso_hash_u64(&hash, algorithm_version);
	/* other processors may round otherwise */
	iso_hash_text(&hash, iso_kernels_choose(NULL)->name);
	iso_hash_text(&hash, scanner);
	iso_hash_double(&hash, iso_events_acquisition(events)->duration_s);
	hash_options(&hash, options);
	if (options->scatter != ISO_SCATTER_NONE) {
		const iso_energy_facts energy = iso_recon_energy(iso_events_acquisition(events), options);
		for (int n = 0; n < 2; n++) iso_hash_double(&hash, energy.window_kev[n]);
		iso_hash_double(&hash, energy.resolution);
	}
	iso_status status = ISO_OK;
	if (options->events_id)
		iso_hash_text(&hash, options->events_id);
	else
		status = hash_events(&hash, events, err);
	iso_hash_end(&hash, hex);
	return status;
}

/* 64 hex digits and ".cache", or the rest of a killed writer of one. */
static bool is_entry(const char *name)
{
	const size_t digits = strspn(name, "0123456789abcdef");
	return strncmp(name, ".part-", 6) == 0 || (digits == 64 && strcmp(name + digits, ".cache") == 0);
}

/* Returns how many entries there were. */
static size_t remove_entries(const char *folder)
{
	DIR *list = opendir(folder);
	char path[PATH_MAX];
	size_t count = 0;
	if (!list) return 0;
	for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
		const int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (is_entry(entry->d_name) && n > 0 && (size_t)n < sizeof path && unlink(path) == 0) count++;
	}
	closedir(list);
	return count;
}

void iso_recon_checkpoint_remove(const char *folder)
{
	(void)remove_entries(folder);
	(void)rmdir(folder); /* fails when it holds other things, or is not there: as it should be */
}

static size_t floats_of(const iso_checkpoint *c)
{
	return c->voxels + STATE_FLOATS + c->more_count;
}

iso_status iso_checkpoint_open(iso_events *events, const iso_recon_options *options, float *more, size_t more_count,
			       iso_checkpoint *out, iso_error *err)
{
	*out = (iso_checkpoint){.folder = options->checkpoint,
				.every_s = options->checkpoint_every_s,
				.voxels = iso_grid_voxels(&options->grid),
				.more = more,
				.more_count = more_count,
				.progress = options->progress};
	if (!out->folder) return ISO_OK;
	out->packed = malloc(floats_of(out) * sizeof *out->packed);
	if (!out->packed) return iso_fail_memory(err, "the checkpoint", floats_of(out) * sizeof *out->packed);
	const iso_status status = find_fingerprint(events, options, out->fingerprint, err);
	if (status != ISO_OK) return status;
	float begun;
	out->begun = iso_cache_load(out->folder, out->fingerprint, &begun, 1);
	if (!out->begun && remove_entries(out->folder))
		iso_note(out->progress, "%s: the checkpoint is damaged or of another reconstruction, and is not used",
			 out->folder);
	out->kept_s = out->image_s = iso_clock_s();
	return ISO_OK;
}

void iso_checkpoint_close(iso_checkpoint *checkpoint)
{
	free(checkpoint->packed);
	*checkpoint = (iso_checkpoint){0};
}

static void find_key(const iso_checkpoint *c, size_t image, char hex[65])
{
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_text(&hash, c->fingerprint);
	iso_hash_u64(&hash, image);
	iso_hash_end(&hash, hex);
}

void iso_checkpoint_load(iso_checkpoint *c, size_t image, const char *label, float *x, iso_solution *solution)
{
	char key[65], path[PATH_MAX];
	*solution = (iso_solution){0};
	c->image_s = iso_clock_s();
	if (!c->begun) return;
	find_key(c, image, key);
	if (iso_cache_load(c->folder, key, c->packed, floats_of(c))) {
		memcpy(x, c->packed, c->voxels * sizeof *x);
		memcpy(solution, c->packed + c->voxels, sizeof *solution);
		if (c->more_count)
			memcpy(c->more, c->packed + c->voxels + STATE_FLOATS, c->more_count * sizeof *c->more);
		iso_note(c->progress, "%sresumed after iteration %llu", label,
			 (unsigned long long)solution->iterations);
		return;
	}
	const int n = snprintf(path, sizeof path, "%s/%s.cache", c->folder, key);
	if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0)
		iso_note(c->progress, "%sthe checkpoint %s is damaged; begun anew", label, path);
}

static iso_status write_entry(iso_checkpoint *c, size_t image, const iso_solution *solution, const float *x,
			      iso_error *err)
{
	static const float mark = 1;
	char key[65];
	find_key(c, image, key);
	memset(c->packed + c->voxels, 0, STATE_FLOATS * sizeof *c->packed);
	memcpy(c->packed, x, c->voxels * sizeof *x);
	memcpy(c->packed + c->voxels, solution, sizeof *solution);
	if (c->more_count) memcpy(c->packed + c->voxels + STATE_FLOATS, c->more, c->more_count * sizeof *c->more);
	iso_status status = c->begun ? ISO_OK : iso_cache_store(c->folder, c->fingerprint, &mark, 1, err);
	c->begun |= status == ISO_OK;
	return status == ISO_OK ? iso_cache_store(c->folder, key, c->packed, floats_of(c), err) : status;
}

void iso_checkpoint_keep(iso_checkpoint *c, size_t image, const iso_solution *solution, const float *x, bool last)
{
	if (!c->folder) return;
	const double start = iso_clock_s(), least = fmax(c->every_s, 10 * c->cost_s);
	const bool due = start - c->kept_s >= least;
	/* A finished image is worth more than a short time: many images may each take less than the interval. */
	if (!due && !(last && start - c->image_s >= fmax(short_s, 10 * c->cost_s))) return;
	iso_error why;
	if (write_entry(c, image, solution, x, &why) != ISO_OK) {
		char text[1600];
		iso_note(c->progress, "no checkpoint is kept: %s", iso_error_text(&why, text, sizeof text));
		c->folder = NULL;
		return;
	}
	c->kept_s = iso_clock_s();
	/* every_s 0 means every iteration, however long that takes */
	c->cost_s = c->every_s > 0 ? c->kept_s - start : 0;
}
