/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/projector.h"
#include "isotrace/recon.h"
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

static const iso_test tests[] = {
    {"projector", projector},
    {"sensitivity image and its cache", sensitivity},
};
ISO_TEST_MAIN("memory, recon", tests)
