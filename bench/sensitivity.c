/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How far the sensitivity image from fewer lines is from that of all pairs, in the bench's preclinical case with the mu map of a water
 * cylinder; and what each takes. Usage: sensitivity LINES... (all pairs come first). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "isotrace/isotrace.h"

static const double field_radius_mm = 51, body_radius_mm = 15, body_half_mm = 45, water_per_cm = 0.0960;

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double distance_mm(const iso_grid *grid, size_t voxel, double *z_mm)
{
	const double index[3] = {(double)(voxel % grid->size[0]), (double)(voxel / grid->size[0] % grid->size[1]),
				 (double)(voxel / (grid->size[0] * grid->size[1]))};
	double point_mm[3];
	iso_grid_point_mm(grid, index, point_mm);
	*z_mm = point_mm[2];
	return hypot(point_mm[0], point_mm[1]);
}

static void compare(const iso_image *image, const iso_image *all)
{
	const double least[] = {0, 0.1};
	const size_t voxels = iso_grid_voxels(&all->grid);
	double largest = 0, z_mm;
	for (size_t v = 0; v < voxels; v++) largest = fmax(largest, (double)all->voxels[v]);
	for (int n = 0; n < 2; n++) {
		double square = 0, relative = 0, sum = 0, worst = 0, count = 0;
		for (size_t v = 0; v < voxels; v++) {
			const double truth = (double)all->voxels[v], error = (double)image->voxels[v] - truth;
			if (distance_mm(&all->grid, v, &z_mm) > field_radius_mm || !(truth > least[n] * largest))
				continue;
			square += error * error;
			relative += error * error / (truth * truth);
			sum += truth;
			worst = fmax(worst, fabs(error / truth));
			count++;
		}
		printf(
		    "  above %2.0f %% of the maximum: RMS error %.3f %% of the mean, RMS of relative errors %.3f %%, "
		    "largest %.1f %%\n",
		    100 * least[n], 100 * sqrt(square / count) / (sum / count), 100 * sqrt(relative / count),
		    100 * worst);
	}
}

int main(int argc, char **argv)
{
	const double none = (double)NAN;
	const iso_ring_description rings = {.name = "bench preclinical",
					    .rings = 81,
					    .crystals_per_ring = 400,
					    .radius_mm = 80,
					    .ring_spacing_mm = 1.6,
					    .crystal_size_mm = {none, none, none},
					    .attenuation_per_mm = none};
	const iso_grid grid =
	    iso_grid_centred((size_t[]){128, 128, 160}, (double[]){0.8, 0.8, 0.8}, (double[]){0, 0, 0});
	iso_scanner *scanner = NULL;
	iso_image *mu = NULL, *all = NULL;
	iso_error err;
	if (iso_scanner_from_rings(&rings, &scanner, &err) != ISO_OK ||
	    iso_image_create(&grid, ISO_UNIT_PER_CM, &mu, &err) != ISO_OK)
		return 5;
	for (size_t v = 0; v < iso_grid_voxels(&grid); v++) {
		double z_mm;
		const bool body = distance_mm(&grid, v, &z_mm) < body_radius_mm && fabs(z_mm) < body_half_mm;
		mu->voxels[v] = body ? (float)water_per_cm : 0;
	}
	for (int n = 0; n < argc; n++) {
		iso_image *image = NULL;
		const uint64_t lines = n ? strtoull(argv[n], NULL, 10) : 0;
		const double start_s = cpu_s();
		if (iso_sensitivity(scanner, &grid, mu, lines, 0, NULL, &image, &err) != ISO_OK) return 5;
		printf("%s lines: %.2f s of CPU time\n", n ? argv[n] : "all", cpu_s() - start_s);
		if (n) compare(image, all);
		fflush(stdout);
		if (n)
			iso_image_free(image);
		else
			all = image;
	}
	iso_image_free(all);
	iso_image_free(mu);
	iso_scanner_free(scanner);
	return 0;
}
