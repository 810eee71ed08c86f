/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/attenuation.h"
#include "isotrace/projector.h"
#include "isotrace/recon.h"
#include "isotrace/singles.h"
#include "recon/sensitivity.h"
#include "tests/failure/inject.h"
#include "tests/harness.h"

static iso_scanner *scanner;
static iso_image *mu;
static iso_grid grid;

static void prepare(void)
{
	const iso_ring_description rings = {.name = "small",
					    .rings = 3,
					    .crystals_per_ring = 24,
					    .radius_mm = 30,
					    .ring_spacing_mm = 4,
					    .crystal_size_mm = {4, 4, 10},
					    .attenuation_per_mm = 0.087};
	iso_error err;
	grid = iso_grid_centred((const size_t[]){8, 8, 4}, (const double[]){3, 3, 3}, (const double[]){0, 0, 0});
	ISO_ASSERT_OK(iso_scanner_from_rings(&rings, &scanner, &err), err);
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_PER_CM, &mu, &err), err);
	for (size_t v = 0; v < iso_grid_voxels(&grid); v++) mu->voxels[v] = 0.096f;
}

static void finish(void)
{
	iso_scanner_free(scanner);
	iso_image_free(mu);
}

static iso_status project(const char *folder, iso_error *err)
{
	(void)folder;
	enum { LINES = 300 };
	static iso_line lines[LINES];
	static float values[LINES], voxels[8 * 8 * 4];
	for (uint32_t n = 0; n < LINES; n++) {
		const iso_event event = {.element = {n % 24, 24 + (n * 7 + 11) % 48}};
		iso_lines_of_events(scanner, &event, 1, &lines[n]);
	}
	iso_projector *projector = NULL;
	const iso_tof_kernel kernel = {.sigma_mm = 20, .bin_mm = 5, .cut_sigmas = 4};
	iso_status status = iso_projector_create(&grid, &kernel, 2, &projector, err);
	if (status == ISO_OK) status = iso_projector_forward(projector, lines, LINES, voxels, values, err);
	if (status == ISO_OK) status = iso_projector_adjoint(projector, lines, LINES, values, voxels, err);
	iso_projector_free(projector);
	return status;
}

static void projector(void)
{
	prepare();
	iso_fail_every_allocation(&(iso_scenario){.run = project});
	finish();
}

static iso_status sensitivity_image(const char *folder, iso_error *err)
{
	char cache[PATH_MAX];
	snprintf(cache, sizeof cache, "%s/cache", folder);
	iso_image *image = NULL, *again = NULL;
	iso_status status = iso_sensitivity_cached(cache, scanner, &grid, mu, 0, 2, NULL, &image, err);
	if (status == ISO_OK) status = iso_sensitivity_cached(cache, scanner, &grid, mu, 0, 2, NULL, &again, err);
	iso_image_free(image);
	iso_image_free(again);
	return status;
}

static void sensitivity(void)
{
	prepare();
	/* An entry of the cache is whole or not there; the first image may be in it when the second one fails. */
	iso_fail_every_allocation(
	    &(iso_scenario){.run = sensitivity_image, .may_remain = (const char *[]){"cache", NULL}});
	finish();
}

enum { EVENTS = 3000 };
static iso_event list[EVENTS];
static iso_image *oblique_mu, *regions;
static iso_algorithm algorithm;
static bool with_scatter;
static bool known; /* what the image must be */

/* All that a reconstruction can be asked for, small. max_memory_bytes 1: all events go to the scratch file. */
static iso_status reconstruct_within(uint64_t max_memory_bytes, const char *folder, iso_error *err)
{
	char checkpoint[PATH_MAX];
	snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
	iso_acquisition facts = iso_acquisition_unknown();
	facts.modality = ISO_MODALITY_PET;
	facts.duration_s = 30;
	facts.start_utc_s = 1773480413;
	strcpy(facts.nuclide, "Cu-64");
	const iso_frame frames[2] = {{0, 10}, {10, 20}};
	iso_recon_options options = iso_recon_options_default();
	options.grid = grid;
	options.algorithm = algorithm;
	options.iterations = 1;
	options.subsets = 2;
	options.checkpoint = checkpoint;
	options.psf_fwhm_mm = 4;
	options.positron_range = algorithm == ISO_ALGORITHM_OSEM && !with_scatter; /* slow, and once is enough */
	options.post_filter = (iso_filter){.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = 5};
	options.randoms = ISO_RANDOMS_DELAYED;
	options.mu = oblique_mu;
	options.scatter = with_scatter ? ISO_SCATTER_SSS : ISO_SCATTER_NONE;
	options.scatter_updates = 1;
	options.energy_window_kev[0] = 350;
	options.energy_window_kev[1] = 650;
	options.energy_resolution = 0.15;
	options.prompt_gammas = with_scatter;
	options.frame = frames;
	options.frames = with_scatter ? 1 : 2; /* one more would be simulated anew */
	options.decay_correction = true;
	options.dead_time_factor = 1;
	options.replicates = 2;
	if (algorithm == ISO_ALGORITHM_BSREM) options.prior_regions = regions;
	options.threads = 2;
	options.max_memory_bytes = max_memory_bytes;
	options.scratch_folder = folder;
	static iso_background_totals totals;
	if (with_scatter && max_memory_bytes) {
		options.background = &totals;
		options.checkpoint = NULL;
	}
	iso_events *events = NULL;
	iso_volume *volume = NULL;
	iso_status status = iso_nuclide_find(with_scatter ? "Sc-44" : "Cu-64", NULL, &options.nuclide, err);
	if (status == ISO_OK) status = iso_events_from_array(list, EVENTS, scanner, &facts, &events, err);
	if (status == ISO_OK) status = iso_reconstruct(events, &options, &volume, err);
	/* What the library does without (a thread, a table) and where events lie must not show: the same to the last bit. */
	static float first[2 * 8 * 8 * 4];
	const size_t bytes = sizeof first / 2 * options.frames;
	if (status == ISO_OK && !known) memcpy(first, volume->voxels, bytes);
	if (status == ISO_OK && known && memcmp(first, volume->voxels, bytes) != 0) status = ISO_BAD_INPUT;
	known |= status == ISO_OK;
	iso_volume_free(volume);
	iso_events_close(events);
	return status;
}

static iso_status reconstruct_in_memory(const char *folder, iso_error *err)
{
	return reconstruct_within(0, folder, err);
}

static iso_status reconstruct_from_disk(const char *folder, iso_error *err)
{
	return reconstruct_within(1, folder, err);
}

static void reconstruction(void)
{
	prepare();
	iso_error err;
	const iso_grid finer =
	    iso_grid_centred((const size_t[]){10, 10, 6}, (const double[]){2, 2, 2}, (const double[]){1, 0, 0});
	ISO_ASSERT_OK(iso_image_create(&finer, ISO_UNIT_PER_CM, &oblique_mu, &err), err);
	for (size_t v = 0; v < iso_grid_voxels(&finer); v++)
		oblique_mu->voxels[v] = 0.04f; /* lung: positrons are followed */
	ISO_ASSERT_OK(iso_image_create(&finer, ISO_UNIT_LABEL, &regions, &err), err);
	for (size_t v = 0; v < iso_grid_voxels(&finer); v++) regions->voxels[v] = (float)(v % 2 + 1);
	for (uint32_t n = 0; n < EVENTS; n++)
		list[n] = (iso_event){.time_ms = 10 * n,
				      .element = {n % 24, 24 * (n % 3) + (n + 12 + n % 5 - 2) % 24},
				      .kind = n % 6 == 0 ? ISO_EVENT_DELAYED : ISO_EVENT_PROMPT};
	const iso_algorithm both[] = {ISO_ALGORITHM_OSEM, ISO_ALGORITHM_BSREM};
	for (int n = 0; n < 3; n++) {
		/* a checkpoint is there to remain */
		iso_scenario scenario = {.run = reconstruct_in_memory,
					 .max_runs = n ? 36 : 50,
					 .may_recover = true,
					 .may_remain = (const char *[]){"checkpoint", NULL}};
		algorithm = both[n % 2];
		with_scatter = n == 2;
		known = false;
		iso_fail_every_allocation(&scenario);
		scenario.run = reconstruct_from_disk;
		scenario.max_runs = 16;
		iso_fail_every_allocation(&scenario);
	}
	iso_image_free(oblique_mu);
	iso_image_free(regions);
	finish();
}

static iso_status filter(const char *folder, iso_error *err)
{
	(void)folder;
	static float voxels[8 * 8 * 4];
	const iso_filter butterworth = {.kind = ISO_FILTER_BUTTERWORTH, .cutoff_per_mm = 0.1, .order = 2};
	return iso_filter_apply(&butterworth, &grid, voxels, 1, err);
}

static iso_status randoms(const char *folder, iso_error *err)
{
	(void)folder;
	static uint64_t sums[72];
	static float singles[72];
	for (int e = 0; e < 72; e++) sums[e] = 100 + (uint64_t)e;
	iso_status status = iso_randoms_from_delayeds(scanner, sums, singles, err);
	/* The table of columns that see each other is only kept when there is memory for it. */
	static float first[72];
	if (status == ISO_OK && first[0] > 0 && memcmp(first, singles, sizeof first) != 0) status = ISO_BAD_INPUT;
	if (status == ISO_OK) memcpy(first, singles, sizeof first);
	return status;
}

static void filter_and_randoms(void)
{
	prepare();
	iso_fail_every_allocation(&(iso_scenario){.run = filter});
	iso_fail_every_allocation(&(iso_scenario){.run = randoms, .may_recover = true});
	finish();
}

static iso_status make_mu(const char *folder, iso_error *err)
{
	(void)folder;
	iso_mu_options options = iso_mu_options_default();
	iso_image *ct = NULL, *map = NULL;
	options.truncation = ISO_CT_TRUNCATION_EXTEND;
	options.outline = mu;
	options.blur_fwhm_mm = 4;
	options.threads = 1;
	iso_status status = iso_mu_curve_of_kvp(50, &options.curve, err);
	if (status == ISO_OK) status = iso_image_create(&grid, ISO_UNIT_HU, &ct, err);
	const iso_grid wide = iso_grid_covering(&grid, &grid, (const double[]){5, 5, 5});
	if (status == ISO_OK) status = iso_mu_from_ct(ct, &options, &wide, &map, NULL, err);
	iso_image_free(map);
	iso_image_free(ct);
	return status;
}

static iso_status make_mu_of_labels(const char *folder, iso_error *err)
{
	(void)folder;
	iso_image *labels = NULL, *map = NULL;
	const iso_mu_label row = {.label = 1, .mu_per_cm = (double)NAN, .material = "H2O", .density_g_per_ml = 1};
	iso_status status = iso_image_create(&grid, ISO_UNIT_LABEL, &labels, err);
	if (status == ISO_OK) status = iso_mu_from_labels(labels, &row, 1, &grid, &map, err);
	iso_image_free(map);
	iso_image_free(labels);
	return status;
}

static void attenuation(void)
{
	prepare();
	iso_fail_every_allocation(&(iso_scenario){.run = make_mu});
	iso_fail_every_allocation(&(iso_scenario){.run = make_mu_of_labels});
	finish();
}

/* A normalisation from events, into a file and back into a scanner. */
static iso_status normalise_all(const char *folder, iso_error *err)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/a.norm.h5", folder);
	iso_acquisition facts = iso_acquisition_unknown();
	facts.modality = ISO_MODALITY_PET;
	iso_norm_source source = iso_norm_source_default(ISO_NORM_CYLINDER);
	source.radius_mm = 20;
	iso_events *events = NULL;
	iso_normalisation *made = NULL, *back = NULL;
	iso_scanner *copy = NULL;
	iso_normalise_options options = iso_normalise_options_default(&source, scanner);
	options.geometric = ISO_NORM_GEOMETRIC_KEEP;
	options.threads = 2;
	iso_status status = iso_events_from_array(list, EVENTS, scanner, &facts, &events, err);
	if (status == ISO_OK) status = iso_normalise(events, &options, &made, err);
	if (status == ISO_OK) status = iso_normalisation_write(path, made, err);
	if (status == ISO_OK) status = iso_normalisation_read(path, &back, err);
	if (status == ISO_OK) status = iso_scanner_copy(scanner, &copy, err);
	if (status == ISO_OK) status = iso_normalisation_apply(back, copy, err);
	iso_normalisation_free(made);
	iso_normalisation_free(back);
	iso_scanner_free(copy);
	iso_events_close(events);
	return status;
}

/* Randoms and dead time from singles, and a scanner with components. */
static iso_status reconstruct_from_singles(const char *folder, iso_error *err)
{
	(void)folder;
	iso_acquisition facts = iso_acquisition_unknown();
	facts.modality = ISO_MODALITY_PET;
	facts.duration_s = 30;
	const iso_frame frames[2] = {{0, 10}, {10, 20}};
	iso_recon_options options = iso_recon_options_default();
	options.grid = grid;
	options.iterations = 1;
	options.subsets = 1;
	options.frame = frames;
	options.frames = 2;
	options.randoms = ISO_RANDOMS_SINGLES;
	options.dead_time = ISO_DEAD_TIME_FROM_SINGLES;
	options.threads = 2;
	iso_events *events = NULL;
	iso_singles *singles = NULL;
	iso_volume *volume = NULL;
	iso_status status = iso_singles_create(scanner->elements, scanner->elements, 30, 1, &singles, err);
	/* the second frame's blocks differ: another sensitivity image */
	for (uint32_t n = 0; status == ISO_OK && n < 30 * scanner->elements; n++)
		singles->counts[n] = 1000 + 20 * (n / scanner->elements > 10 && n % 24 < 6 ? 100 : 1);
	if (status == ISO_OK) status = iso_events_from_array(list, EVENTS, scanner, &facts, &events, err);
	if (status == ISO_OK)
		iso_events_set_singles(events, singles);
	else
		iso_singles_free(singles);
	if (status == ISO_OK) status = iso_reconstruct(events, &options, &volume, err);
	iso_volume_free(volume);
	iso_events_close(events);
	return status;
}

static void detector(void)
{
	prepare();
	scanner->block_crystals[0] = 6;
	scanner->block_crystals[1] = 1;
	scanner->dead_time_model = ISO_DEAD_TIME_NON_PARALYZABLE;
	scanner->dead_time_ns = 1000;
	scanner->coincidence_window_ns = 5;
	for (uint32_t n = 0; n < EVENTS; n++)
		list[n] =
		    (iso_event){.time_ms = 10 * n, .element = {n % 24, 24 * (n % 3) + (n + 12 + n / 24 % 5 - 2) % 24}};
	/* crystals of ring 0 are in every pair: counts enough for all */
	for (uint32_t n = 0; n < EVENTS; n++) list[n].element[0] += 24 * (n / 7 % 3);
	for (uint32_t n = 0; n < EVENTS; n++)
		if (list[n].element[0] == list[n].element[1]) list[n].element[1] = (list[n].element[1] + 12) % 24;
	iso_fail_every_allocation(
	    &(iso_scenario){.run = normalise_all, .may_remain = (const char *[]){"a.norm.h5", NULL}, .max_runs = 43});
	iso_fail_every_allocation(
	    &(iso_scenario){.run = reconstruct_from_singles, .may_recover = true, .max_runs = 100});
	finish();
}

static const iso_test tests[] = {
    {"mu from CT and from labels", attenuation},

    {"projector", projector},
    {"sensitivity image and its cache", sensitivity},
    {"filter and randoms", filter_and_randoms},
    {"reconstruction", reconstruction},
    {"normalisation, dead time and randoms from singles", detector},
};
ISO_TEST_MAIN("memory, recon", tests)
