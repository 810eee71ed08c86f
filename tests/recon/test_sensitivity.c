/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pair factors and the sensitivity image against loops and formulas of this file's own, the sample against its own
 * variance, and the cache. */
#include "recon/sensitivity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "core/random.h"
#include "isotrace/projector.h"
#include "recon/geometry.h"
#include "tests/harness.h"

static iso_error err;

enum { rings = 4, per_ring = 24, elements = rings * per_ring };
static const double front_mm = 40, depth_mm = 4, spacing_mm = 3, thick_mm = 10, mu_per_mm = 0.08;

/* Four small rings with uneven crystals, two of them dead, and a rule that excludes many pairs. */
static iso_scanner *small_scanner(void)
{
	iso_scanner *scanner;
	const iso_ring_description description = {.name = "small",
						  .rings = rings,
						  .crystals_per_ring = per_ring,
						  .radius_mm = front_mm,
						  .mean_depth_mm = depth_mm,
						  .ring_spacing_mm = spacing_mm,
						  .crystal_size_mm = {5, 3, thick_mm},
						  .attenuation_per_mm = mu_per_mm};
	ISO_ASSERT_OK(iso_scanner_from_rings(&description, &scanner, &err), err);
	for (int e = 0; e < elements; e++) scanner->efficiency[e] = (float)(0.6 + 0.05 * (e * 7 % 13));
	scanner->efficiency[5] = scanner->efficiency[61] = 0;
	scanner->rule.max_axial_difference_mm = 7;
	scanner->rule.max_transaxial_offset_mm = 25;
	return scanner;
}

static iso_grid small_grid(void)
{
	return iso_grid_centred((size_t[]){14, 12, 9}, (double[]){2.5, 3.0, 1.7}, (double[]){1.0, -2.0, 0.6});
}

static iso_image *small_mu(void)
{
	iso_image *mu;
	const iso_grid grid =
	    iso_grid_centred((size_t[]){10, 11, 8}, (double[]){4.1, 3.9, 3.3}, (double[]){-1.0, 0.5, 0.2});
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_PER_CM, &mu, &err), err);
	for (size_t n = 0; n < iso_grid_voxels(&grid); n++) mu->voxels[n] = (float)(0.05 + 0.01 * (double)(n * 5 % 11));
	return mu;
}

/* The expected factor from the ring formula alone; 0 when the pair does not count. */
static double expected_factor(const iso_scanner *scanner, int a, int b, double p[3], double q[3])
{
	const double rho = front_mm + depth_mm;
	const double s = 2 * acos(-1) * (a % per_ring) / per_ring, t = 2 * acos(-1) * (b % per_ring) / per_ring;
	const double z = (a / per_ring - 1.5) * spacing_mm, w = (b / per_ring - 1.5) * spacing_mm;
	memcpy(p, (double[]){rho * cos(s), rho * sin(s), z}, 3 * sizeof *p);
	memcpy(q, (double[]){rho * cos(t), rho * sin(t), w}, 3 * sizeof *q);
	if (a % per_ring == b % per_ring || scanner->efficiency[a] <= 0 || scanner->efficiency[b] <= 0) return 0;
	/* chord of the circle: it passes the axis at rho |cos(half the angle between)| */
	const double half = 0.5 * fabs(s - t), across = 2 * rho * sin(half);
	if (fabs(z - w) > 7 || rho * fabs(cos(half)) > 25) return 0;
	const double distance = hypot(across, z - w), cosine = sin(half) * across / distance;
	const double stop = (1 - exp(-mu_per_mm * thick_mm / cosine)) / (1 - exp(-mu_per_mm * thick_mm));
	return pow(cosine * stop, 2) / pow(distance / 100, 2) * (double)scanner->efficiency[a] *
	       (double)scanner->efficiency[b];
}

/* Joseph's method as the header states it, in double, one sample at a time: row[voxel] += length. Ends are outside. */
static void add_row(const iso_grid *grid, const double p[3], const double q[3], double value, double *row)
{
	double start[3], end[3], length = 0;
	iso_grid_index(grid, p, start);
	iso_grid_index(grid, q, end);
	int axis = 0;
	for (int k = 0; k < 3; k++) {
		length += (q[k] - p[k]) * (q[k] - p[k]);
		if (fabs(end[k] - start[k]) > fabs(end[axis] - start[axis])) axis = k;
	}
	const int u = (axis + 1) % 3, v = (axis + 2) % 3;
	const double step = sqrt(length) / fabs(end[axis] - start[axis]);
	for (int k = 0; k < (int)grid->size[axis]; k++) {
		const double part = (k - start[axis]) / (end[axis] - start[axis]);
		const double x = start[u] + part * (end[u] - start[u]), y = start[v] + part * (end[v] - start[v]);
		for (int i = 0; i < (int)grid->size[u]; i++)
			for (int j = 0; j < (int)grid->size[v]; j++) {
				size_t at[3];
				at[axis] = (size_t)k, at[u] = (size_t)i, at[v] = (size_t)j;
				row[at[0] + grid->size[0] * (at[1] + grid->size[1] * at[2])] +=
				    value * step * fmax(0, 1 - fabs(x - i)) * fmax(0, 1 - fabs(y - j));
			}
	}
}

static void pair_factors_of_a_ring(void)
{
	iso_scanner *scanner = small_scanner();
	double p[3], q[3];
	int allowed = 0;
	for (int a = 0; a < elements; a++)
		for (int b = 0; b < elements; b++) {
			const double expected = expected_factor(scanner, a, b, p, q);
			const double factor = iso_pair_factor(scanner, (uint32_t)a, (uint32_t)b);
			ISO_ASSERT_NEAR(factor, expected, 1e-5 * expected); /* positions are float */
			allowed += factor > 0;
		}
	CU_ASSERT(allowed > 500 && allowed < elements * elements / 2);
	CU_ASSERT_EQUAL(iso_pair_factor(scanner, 0, elements), 0);
	iso_scanner_free(scanner);
}

/* Two crystals 200 mm apart, worked out by hand. */
static void pair_factors_by_hand(void)
{
	iso_scanner *scanner;
	ISO_ASSERT_OK(iso_scanner_create(2, "two", &scanner, &err), err);
	const float position[6] = {-100, 0, 0, 100, 0, 0}, facing[6] = {-1, 0, 0, 1, 0, 0};
	memcpy(scanner->position_mm, position, sizeof position);
	memcpy(scanner->normal, facing, sizeof facing);
	ISO_ASSERT_NEAR(iso_pair_factor(scanner, 0, 1), 0.25, 1e-12); /* (100/200)^2 */
	scanner->efficiency[0] = 0.5f;
	scanner->efficiency[1] = 3;
	ISO_ASSERT_NEAR(iso_pair_factor(scanner, 1, 0), 0.375, 1e-12);
	/* normal of element 1 turned by 60 degrees, either way round: cos = 1/2 */
	scanner->normal[3] = -0.5f;
	scanner->normal[4] = (float)sqrt(0.75);
	ISO_ASSERT_NEAR(iso_pair_factor(scanner, 0, 1), 0.1875, 1e-7);
	/* 10 mm of 0.1/mm: straight 1 - 1/e, at 60 degrees 1 - 1/e^2: 1 + 1/e times as many */
	scanner->element_size_mm[2] = 10;
	scanner->attenuation_per_mm = 0.1;
	ISO_ASSERT_NEAR(iso_pair_factor(scanner, 0, 1), 0.1875 * (1 + exp(-1)), 1e-7);
	/* the line grazes the face: no projected area */
	scanner->normal[3] = 0;
	scanner->normal[4] = 1;
	CU_ASSERT_EQUAL(iso_pair_factor(scanner, 0, 1), 0);
	const iso_event events[] = {{.element = {0, 1}}, {.element = {0, 7}}};
	float factor[2] = {9, 9};
	iso_pair_factors(scanner, events, 2, factor);
	CU_ASSERT(factor[0] == 0 && factor[1] == 0);
	iso_scanner_free(scanner);
}

/* All pairs, with and without attenuation, against the loop over all pairs. 1e-5 of the largest voxel: float positions
 * move lines by 2e-6 mm, and each of some 1000 additions rounds to 6e-8. */
static void equals_the_loop_over_pairs(void)
{
	iso_scanner *scanner = small_scanner();
	const iso_grid grid = small_grid();
	iso_image *mu = small_mu();
	const size_t voxels = iso_grid_voxels(&grid), mu_voxels = iso_grid_voxels(&mu->grid);
	double *expected = malloc(voxels * sizeof *expected), *row = malloc(mu_voxels * sizeof *row), p[3], q[3];
	for (int attenuated = 0; attenuated < 2; attenuated++) {
		memset(expected, 0, voxels * sizeof *expected);
		for (int a = 0; a < elements; a++)
			for (int b = a + 1; b < elements; b++) {
				double factor = expected_factor(scanner, a, b, p, q), depth_cm = 0;
				if (factor == 0) continue;
				if (attenuated) {
					memset(row, 0, mu_voxels * sizeof *row);
					add_row(&mu->grid, p, q, 0.1, row);
					for (size_t n = 0; n < mu_voxels; n++)
						depth_cm += row[n] * (double)mu->voxels[n];
				}
				add_row(&grid, p, q, factor * exp(-depth_cm), expected);
			}
		iso_image *image;
		ISO_ASSERT_OK(iso_sensitivity(scanner, &grid, attenuated ? mu : NULL, 0, 2, NULL, &image, &err), err);
		double most = 0, worst = 0;
		for (size_t n = 0; n < voxels; n++) {
			most = fmax(most, expected[n]);
			worst = fmax(worst, fabs(expected[n] - (double)image->voxels[n]));
		}
		CU_ASSERT(most > 1 && image->unit == ISO_UNIT_MM && iso_grid_equal(&image->grid, &grid));
		ISO_ASSERT_NEAR(worst / most, 0, 1e-5);
		iso_image_free(image);
	}
	free(expected), free(row);
	iso_image_free(mu);
	iso_scanner_free(scanner);
}

/* One line through a uniform water box 60 mm long: exp(-0.096/cm * 6 cm). */
static void attenuation_is_per_cm(void)
{
	iso_scanner *scanner;
	ISO_ASSERT_OK(iso_scanner_create(2, "two", &scanner, &err), err);
	const float position[6] = {-100, 0, 0, 100, 0, 0}, facing[6] = {-1, 0, 0, 1, 0, 0};
	memcpy(scanner->position_mm, position, sizeof position);
	memcpy(scanner->normal, facing, sizeof facing);
	const iso_grid grid = iso_grid_centred((size_t[]){5, 5, 5}, (double[]){2, 2, 2}, (double[]){0, 0, 0});
	const iso_grid box = iso_grid_centred((size_t[]){20, 9, 9}, (double[]){3, 3, 3}, (double[]){0, 0, 0});
	iso_image *mu, *image;
	ISO_ASSERT_OK(iso_image_create(&box, ISO_UNIT_PER_CM, &mu, &err), err);
	for (size_t n = 0; n < iso_grid_voxels(&box); n++) mu->voxels[n] = 0.096f;
	ISO_ASSERT_OK(iso_sensitivity(scanner, &grid, mu, 0, 1, NULL, &image, &err), err);
	const size_t middle = 2 + 5 * (2 + 5 * 2);
	ISO_ASSERT_NEAR(image->voxels[middle], 0.25 * 2 * exp(-0.576), 1e-6);
	ISO_ASSERT_NEAR(image->voxels[middle + 5], 0, 1e-12);
	iso_image_free(image), iso_image_free(mu);
	iso_scanner_free(scanner);
}

typedef struct listener {
	int reports, notes, stop_after;
	double last;
	char note[2000];
} listener;

static int hear(void *user, const char *stage, double done)
{
	listener *self = user;
	(void)stage;
	CU_ASSERT(done >= self->last && done <= 1);
	self->last = done;
	return self->stop_after && ++self->reports >= self->stop_after ? 1 : (self->reports++, 0);
}

static void take(void *user, const char *line)
{
	listener *self = user;
	self->notes++;
	snprintf(self->note, sizeof self->note, "%s", line);
}

static void same_bits_for_any_threads(void)
{
	iso_scanner *scanner = small_scanner();
	const iso_grid grid = small_grid();
	iso_image *mu = small_mu(), *first = NULL, *image;
	const int threads[] = {1, 2, 3, 8};
	for (uint64_t lines = 0; lines <= 700; lines += 700)
		for (int t = 0; t < 4; t++) {
			ISO_ASSERT_OK(iso_sensitivity(scanner, &grid, mu, lines, threads[t], NULL, &image, &err), err);
			if (t == 0) {
				first = image;
				continue;
			}
			CU_ASSERT(memcmp(first->voxels, image->voxels, iso_grid_voxels(&grid) * sizeof(float)) == 0);
			iso_image_free(image);
			if (t == 3) iso_image_free(first);
		}
	iso_image_free(mu);
	iso_scanner_free(scanner);
}

/* The sample against its own statistics. What each pair gives to each octant of the grid is the forward projection of that
 * octant's indicator times its factor; a sample of one pair in each run of w consecutive numbers estimates the sum with the
 * variance sum over runs of w^2 var(run). Eight octants and four sizes within 4.5 standard deviations: a false
 * alarm once in 5000 such sets of seeds, and the seed is fixed. The runs are made here as the header of sensitivity.c
 * says: their number is not known to the test, and the variance for a given mean length is near enough (10 %). */
static void sample_is_unbiased(void)
{
	iso_ring_description description = {.name = "rings",
					    .rings = 8,
					    .crystals_per_ring = 60,
					    .radius_mm = 40,
					    .ring_spacing_mm = 3,
					    .crystal_size_mm = {4, 3, 10},
					    .attenuation_per_mm = (double)NAN};
	iso_scanner *scanner;
	ISO_ASSERT_OK(iso_scanner_from_rings(&description, &scanner, &err), err);
	const uint32_t count = scanner->elements;
	const size_t pairs = (size_t)count * (count - 1) / 2;
	const iso_grid grid = iso_grid_centred((size_t[]){20, 20, 12}, (double[]){2, 2, 2}, (double[]){1, 2, 0});
	const size_t voxels = iso_grid_voxels(&grid);
	iso_event *events = calloc(pairs, sizeof *events);
	iso_line *lines = malloc(pairs * sizeof *lines);
	float *factors = malloc(pairs * sizeof *factors), *gives[8], *indicator = malloc(voxels * sizeof *indicator);
	size_t n = 0, met = 0;
	for (uint32_t a = 0; a < count; a++)
		for (uint32_t b = a + 1; b < count; b++) events[n].element[0] = a, events[n++].element[1] = b;
	iso_lines_of_events(scanner, events, pairs, lines);
	iso_pair_factors(scanner, events, pairs, factors);
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create(&grid, NULL, 2, &projector, &err), err);
	for (int octant = 0; octant < 8; octant++) {
		gives[octant] = malloc(pairs * sizeof **gives);
		for (size_t v = 0; v < voxels; v++)
			indicator[v] = (v % 20 / 10 + 2 * (v / 20 % 20 / 10) + 4 * (v / 400 / 6)) == (size_t)octant;
		ISO_ASSERT_OK(iso_projector_forward(projector, lines, pairs, indicator, gives[octant], &err), err);
		for (n = 0; n < pairs; n++) gives[octant][n] *= factors[n];
	}
	for (n = 0; n < pairs; n++) {
		float sum = 0;
		for (int octant = 0; octant < 8; octant++) sum += gives[octant][n];
		met += sum > 0;
	}
	iso_image *full, *image;
	ISO_ASSERT_OK(iso_sensitivity(scanner, &grid, NULL, 0, 2, NULL, &full, &err), err);
	for (size_t wanted = 1500; wanted <= 20000; wanted *= 2) {
		ISO_ASSERT_OK(iso_sensitivity(scanner, &grid, NULL, wanted, 2, NULL, &image, &err), err);
		const size_t strata = (size_t)((double)wanted * (double)pairs / (double)met);
		double square = 0, norm = 0;
		for (int octant = 0; octant < 8; octant++) {
			double variance = 0, whole = 0, part = 0;
			for (size_t s = 0; s < strata; s++) {
				const size_t begin = s * pairs / strata, end = (s + 1) * pairs / strata;
				double sum = 0, squares = 0;
				for (n = begin; n < end; n++) {
					sum += (double)gives[octant][n];
					squares += (double)gives[octant][n] * (double)gives[octant][n];
				}
				variance += (double)(end - begin) * squares - sum * sum;
			}
			for (size_t v = 0; v < voxels; v++) {
				if ((v % 20 / 10 + 2 * (v / 20 % 20 / 10) + 4 * (v / 400 / 6)) != (size_t)octant)
					continue;
				whole += (double)full->voxels[v];
				part += (double)image->voxels[v];
			}
			ISO_ASSERT_NEAR((part - whole) / sqrt(variance), 0, 4.5);
			CU_ASSERT(variance > 0 && part != whole);
		}
		for (size_t v = 0; v < voxels; v++) {
			square += pow((double)image->voxels[v] - (double)full->voxels[v], 2);
			norm += (double)full->voxels[v] * (double)full->voxels[v];
		}
		printf("# %zu of %zu lines that meet the grid: rms error %.2f %%\n", wanted, met,
		       100 * sqrt(square / norm));
		iso_image_free(image);
	}
	/* as many as there are pairs, or more: all of them */
	ISO_ASSERT_OK(iso_sensitivity(scanner, &grid, NULL, pairs, 2, NULL, &image, &err), err);
	CU_ASSERT(memcmp(image->voxels, full->voxels, voxels * sizeof(float)) == 0);
	iso_image_free(image), iso_image_free(full);
	for (int octant = 0; octant < 8; octant++) free(gives[octant]);
	free(events), free(lines), free(factors), free(indicator);
	iso_projector_free(projector);
	iso_scanner_free(scanner);
}

/* Loads or computes; says whether it was computed. */
static bool computed(const char *folder, const iso_scanner *scanner, const iso_grid *grid, const iso_image *mu,
		     const iso_image *expected)
{
	listener heard = {0};
	const iso_progress progress = {.report = hear, .note = take, .user = &heard};
	iso_image *image;
	ISO_ASSERT_OK(iso_sensitivity_cached(folder, scanner, grid, mu, 0, 2, &progress, &image, &err), err);
	CU_ASSERT(memcmp(image->voxels, expected->voxels, iso_grid_voxels(grid) * sizeof(float)) == 0);
	CU_ASSERT_EQUAL(image->unit, ISO_UNIT_MM);
	CU_ASSERT_EQUAL(heard.notes, 0);
	iso_image_free(image);
	return heard.reports > 0;
}

static void cache_hits_and_damage(void)
{
	iso_scanner *scanner = small_scanner();
	const iso_grid grid = small_grid();
	iso_image *mu = small_mu(), *plain;
	char folder[PATH_MAX], path[PATH_MAX], key[65], *bytes;
	size_t size;
	snprintf(folder, sizeof folder, "%s", iso_test_path("deep/cache"));
	ISO_ASSERT_OK(iso_sensitivity(scanner, &grid, mu, 0, 2, NULL, &plain, &err), err);
	CU_ASSERT_TRUE(computed(NULL, scanner, &grid, mu, plain));
	CU_ASSERT_TRUE(computed(folder, scanner, &grid, mu, plain));
	CU_ASSERT_FALSE(computed(folder, scanner, &grid, mu, plain));
	iso_sensitivity_key(scanner, &grid, mu, 0, key);
	CU_ASSERT_FATAL(snprintf(path, sizeof path, "%s/%s.cache", folder, key) < (int)sizeof path);
	ISO_ASSERT_OK(iso_read_file(path, 1u << 24, &bytes, &size, &err), err);
	/* a flipped bit anywhere, a missing byte, one too many, an empty file: computed anew, and repaired */
	const size_t at[] = {0, 9, 20, 40, 100, 200, size / 2, size - 1};
	for (size_t n = 0; n < sizeof at / sizeof *at; n++) {
		bytes[at[n]] ^= 4;
		ISO_ASSERT_OK(iso_output_write(path, bytes, size, &err), err);
		bytes[at[n]] ^= 4;
		CU_ASSERT_TRUE(computed(folder, scanner, &grid, mu, plain));
		CU_ASSERT_FALSE(computed(folder, scanner, &grid, mu, plain));
	}
	const size_t sizes[] = {0, 10, size - 1, size + 1};
	for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
		ISO_ASSERT_OK(iso_output_write(path, bytes, sizes[n], &err), err);
		CU_ASSERT_TRUE(computed(folder, scanner, &grid, mu, plain));
		CU_ASSERT_FALSE(computed(folder, scanner, &grid, mu, plain));
	}
	free(bytes);
	/* a folder that cannot be: the image comes all the same, with a note */
	listener heard = {0};
	const iso_progress progress = {.report = hear, .note = take, .user = &heard};
	iso_image *image;
	ISO_ASSERT_OK(iso_sensitivity_cached(path, scanner, &grid, mu, 0, 2, &progress, &image, &err), err);
	CU_ASSERT(memcmp(image->voxels, plain->voxels, iso_grid_voxels(&grid) * sizeof(float)) == 0);
	CU_ASSERT_EQUAL(heard.notes, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(heard.note, key));
	iso_image_free(image), iso_image_free(plain), iso_image_free(mu);
	iso_scanner_free(scanner);
}

static void key_changes_with_all_that_matters(void)
{
	enum { most = 20 };
	char keys[most][65];
	int count = 0;
	iso_scanner *scanner = small_scanner();
	iso_grid grid = small_grid();
	iso_image *mu = small_mu();
#define KEY(change, undo)                                                                         \
	do {                                                                                      \
		change;                                                                           \
		iso_sensitivity_key(scanner, &grid, mu, 0, keys[count]);                          \
		for (int n = 0; n < count; n++) CU_ASSERT_STRING_NOT_EQUAL(keys[n], keys[count]); \
		count++;                                                                          \
		undo;                                                                             \
	} while (0)
	const iso_grid same = grid, mu_same = mu->grid;
	const float voxel = mu->voxels[77], efficiency = scanner->efficiency[3], place = scanner->position_mm[9];
	KEY((void)0, (void)0);
	KEY(grid.size[0]++, grid = same);
	KEY(grid.voxel_mm[1] = 3.001, grid = same);
	KEY(grid.origin_mm[2] += 0.5, grid = same);
	KEY(mu->voxels[77] += 0.125f, mu->voxels[77] = voxel);
	KEY(mu->grid.origin_mm[0] += 1, mu->grid = mu_same);
	KEY(mu->grid.voxel_mm[2] *= 2, mu->grid = mu_same);
	KEY(scanner->efficiency[3] *= 2, scanner->efficiency[3] = efficiency);
	KEY(scanner->position_mm[9] += 1, scanner->position_mm[9] = place);
	KEY(scanner->normal[2] = 0.01f, scanner->normal[2] = 0);
	KEY(scanner->rule.max_axial_difference_mm = 9, scanner->rule.max_axial_difference_mm = 7);
	KEY(scanner->attenuation_per_mm = (double)NAN, scanner->attenuation_per_mm = mu_per_mm);
	iso_sensitivity_key(scanner, &grid, mu, 1000, keys[count]);
	for (int n = 0; n < count; n++) CU_ASSERT_STRING_NOT_EQUAL(keys[n], keys[count]);
	count++;
	iso_sensitivity_key(scanner, &grid, NULL, 0, keys[count]);
	for (int n = 0; n < count; n++) CU_ASSERT_STRING_NOT_EQUAL(keys[n], keys[count]);
	/* what does not matter: the name and the calibration */
	snprintf(scanner->name, sizeof scanner->name, "another name");
	scanner->calibration_factor = 3;
	iso_sensitivity_key(scanner, &grid, mu, 0, keys[count]);
	CU_ASSERT_STRING_EQUAL(keys[0], keys[count]);
	iso_image_free(mu);
	iso_scanner_free(scanner);
}

static void bad_input(void)
{
	iso_scanner *scanner = small_scanner();
	iso_grid grid = small_grid();
	iso_image *mu = small_mu(), *image;
	mu->voxels[12] = NAN;
	CU_ASSERT_EQUAL(iso_sensitivity(scanner, &grid, mu, 0, 1, NULL, &image, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(image);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "voxel 12"));
	mu->voxels[12] = 0;
	mu->unit = ISO_UNIT_BQ_PER_ML;
	CU_ASSERT_EQUAL(iso_sensitivity_cached(iso_test_folder(), scanner, &grid, mu, 0, 1, NULL, &image, &err),
			ISO_BAD_INPUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "Bq/mL"));
	listener heard = {.stop_after = 1};
	const iso_progress progress = {.report = hear, .user = &heard};
	CU_ASSERT_EQUAL(iso_sensitivity(scanner, &grid, NULL, 0, 1, &progress, &image, &err), ISO_CANCELLED);
	CU_ASSERT_PTR_NULL(image);
	grid.origin_mm[2] = 500; /* the scanner is 12 mm long */
	CU_ASSERT_EQUAL(iso_sensitivity(scanner, &grid, NULL, 0, 1, NULL, &image, &err), ISO_BAD_INPUT);
	grid = small_grid();
	scanner->modality = ISO_MODALITY_SPECT;
	CU_ASSERT_EQUAL(iso_sensitivity(scanner, &grid, NULL, 0, 1, NULL, &image, &err), ISO_BAD_USAGE);
	iso_image_free(mu);
	iso_scanner_free(scanner);
}

static const iso_test tests[] = {
    {"pair factors of a ring", pair_factors_of_a_ring},
    {"pair factors by hand", pair_factors_by_hand},
    {"equals the loop over pairs", equals_the_loop_over_pairs},
    {"attenuation is per cm", attenuation_is_per_cm},
    {"same bits for any number of threads", same_bits_for_any_threads},
    {"a sample is unbiased", sample_is_unbiased},
    {"cache: hits and damage", cache_hits_and_damage},
    {"cache: the key", key_changes_with_all_that_matters},
    {"bad input", bad_input},
};
ISO_TEST_MAIN("sensitivity", tests)
