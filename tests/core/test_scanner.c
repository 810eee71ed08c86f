/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "core/random.h"
#include "isotrace/events.h"
#include "isotrace/scanner.h"
#include "tests/harness.h"

/* 3 rings of 8 crystals, 45 degrees apart, the first at 0; crystal 2 is at 90 degrees, 4 opposite. */
static iso_scanner *ring_of_eight(void)
{
	const iso_ring_description rings = {.name = "eight",
					    .rings = 3,
					    .crystals_per_ring = 8,
					    .radius_mm = 96,
					    .mean_depth_mm = 4,
					    .ring_spacing_mm = 10,
					    .crystal_size_mm = {2, 3, 15},
					    .attenuation_per_mm = 0.087};
	iso_scanner *scanner;
	iso_error err;
	if (iso_scanner_from_rings(&rings, &scanner, &err) != ISO_OK) {
		iso_test_print_error(&err);
		CU_FAIL_FATAL("no scanner");
	}
	return scanner;
}

static void rings(void)
{
	iso_scanner *scanner = ring_of_eight();
	iso_error err;
	ISO_ASSERT_OK(iso_scanner_check(scanner, NULL, &err), err);
	CU_ASSERT_EQUAL(scanner->elements, 24);
	CU_ASSERT_EQUAL(scanner->elements_per_ring, 8);
	CU_ASSERT_EQUAL(scanner->modality, ISO_MODALITY_PET);
	/* By hand: element 0 of ring 0 at (100, 0, -10); 8 + 2 at (0, 100, 0); 16 + 5 at 225 degrees, z = 10. */
	static const struct {
		uint32_t element;
		double x, y, z, nx, ny;
	} rows[] = {
	    {0, 100, 0, -10, 1, 0},
	    {10, 0, 100, 0, 0, 1},
	    {21, -70.7106781, -70.7106781, 10, -0.70710678, -0.70710678},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const float *p = scanner->position_mm + 3 * rows[i].element, *n = scanner->normal + 3 * rows[i].element;
		/* float at 100 mm: half a unit in the last place is 4e-6 */
		ISO_ASSERT_NEAR(p[0], rows[i].x, 5e-6);
		ISO_ASSERT_NEAR(p[1], rows[i].y, 5e-6);
		ISO_ASSERT_NEAR(p[2], rows[i].z, 5e-6);
		ISO_ASSERT_NEAR(n[0], rows[i].nx, 1e-7);
		ISO_ASSERT_NEAR(n[1], rows[i].ny, 1e-7);
		ISO_ASSERT_NEAR(n[2], 0, 0);
		ISO_ASSERT_NEAR(scanner->efficiency[rows[i].element], 1, 0);
	}
	CU_ASSERT(isnan(scanner->calibration_factor));
	iso_scanner_free(scanner);
	iso_scanner_free(NULL);
}

static void first_angle(void)
{
	const iso_ring_description description = {.name = "turned",
						  .rings = 1,
						  .crystals_per_ring = 4,
						  .radius_mm = 50,
						  .ring_spacing_mm = 1,
						  .first_angle_rad = 1.5707963267948966};
	iso_scanner *scanner;
	iso_error err;
	ISO_ASSERT_OK(iso_scanner_from_rings(&description, &scanner, &err), err);
	ISO_ASSERT_NEAR(scanner->position_mm[1], 50, 1e-5); /* crystal 0 at the top of y, the next at -x */
	ISO_ASSERT_NEAR(scanner->position_mm[3], -50, 1e-5);
	iso_scanner_free(scanner);
}

static void impossible_rings(void)
{
	const iso_ring_description good = {.rings = 2, .crystals_per_ring = 8, .radius_mm = 50, .ring_spacing_mm = 1};
	iso_ring_description bad[8] = {good, good, good, good, good, good, good, good};
	bad[0].rings = 0;
	bad[1].crystals_per_ring = 1;
	bad[2].radius_mm = 0;
	bad[3].radius_mm = (double)NAN;
	bad[4].ring_spacing_mm = -1;
	bad[5].mean_depth_mm = (double)INFINITY;
	bad[6].first_angle_rad = (double)NAN;
	bad[7].rings = bad[7].crystals_per_ring = 70000; /* 4.9e9 elements: more than 32 bits hold */
	for (int i = 0; i < 8; i++) {
		iso_scanner *scanner = (iso_scanner *)&good;
		iso_error err;
		CU_ASSERT_EQUAL(iso_scanner_from_rings(&bad[i], &scanner, &err), ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(scanner);
	}
}

static void check_finds(void)
{
	iso_error err;
	for (int fault = 0; fault < 10; fault++) {
		iso_scanner *scanner = ring_of_eight();
		switch (fault) {
		case 0: scanner->position_mm[7] = NAN; break;
		case 1: scanner->normal[3] = 0.5f; break;
		case 2: scanner->efficiency[5] = -1; break;
		case 3: scanner->efficiency[5] = INFINITY; break;
		case 4: scanner->rule.max_axial_difference_mm = -1; break;
		case 5: scanner->rule.min_distance_mm = (double)NAN; break;
		case 6: scanner->tof = (iso_tof){.bins = 4, .bin_ps = 100, .fwhm_ps = 500}; break;
		case 7: scanner->tof = (iso_tof){.bins = 5, .bin_ps = 0, .fwhm_ps = 500}; break;
		case 8: scanner->elements = 1; break;
		case 9: scanner->calibration_factor = 0; break;
		default: break;
		}
		CU_ASSERT_EQUAL(iso_scanner_check(scanner, "x.lm.h5", &err), ISO_BAD_INPUT);
		CU_ASSERT_STRING_EQUAL(err.file, "x.lm.h5");
		CU_ASSERT(err.message[0] && err.remedy[0]);
		iso_scanner_free(scanner);
	}
}

static void pair_rule(void)
{
	/* Seen along z the chord between crystals that are n steps of 45 degrees apart passes the axis at
	 * 100 cos(22.5 n degrees): 92.388, 70.711, 38.268, 0 mm for n = 1..4; its length is 200 sin(22.5 n): 76.537, 141.42,
	 * 184.78, 200 mm. Rings are 10 mm apart. */
	static const double offset_mm[] = {(double)NAN, 92.38795, 70.71068, 38.26834, 0},
			    length_mm[] = {0, 76.53669, 141.42136, 184.77591, 200};
	iso_scanner *scanner = ring_of_eight();
	for (uint32_t n = 1; n <= 4; n++)
		for (uint32_t ring = 0; ring < 3; ring++) {
			const uint32_t a = 3, b = ring * 8 + (3 + n) % 8;
			scanner->rule = (iso_pair_rule){.max_axial_difference_mm = (double)INFINITY,
							.max_transaxial_offset_mm = (double)INFINITY};
			CU_ASSERT(iso_scanner_pair_allowed(scanner, a, b));
			scanner->rule.max_transaxial_offset_mm = offset_mm[n] + 0.01;
			CU_ASSERT(iso_scanner_pair_allowed(scanner, a, b));
			scanner->rule.max_transaxial_offset_mm = offset_mm[n]; /* inclusive */
			CU_ASSERT(iso_scanner_pair_allowed(scanner, a, b));
			scanner->rule.max_transaxial_offset_mm = offset_mm[n] - 0.01;
			if (n < 4) CU_ASSERT(!iso_scanner_pair_allowed(scanner, a, b)); /* 4 passes through the axis */
			scanner->rule.max_transaxial_offset_mm = (double)INFINITY;
			scanner->rule.max_axial_difference_mm = 10.0 * ring;
			CU_ASSERT(iso_scanner_pair_allowed(scanner, a, b));
			scanner->rule.max_axial_difference_mm = 10.0 * ring - 0.01;
			CU_ASSERT(!iso_scanner_pair_allowed(scanner, a, b));
			scanner->rule.max_axial_difference_mm = (double)INFINITY;
			const double distance = hypot(length_mm[n], 10.0 * ring);
			scanner->rule.min_distance_mm = distance - 0.01;
			CU_ASSERT(iso_scanner_pair_allowed(scanner, a, b));
			scanner->rule.min_distance_mm = distance + 0.01;
			CU_ASSERT(!iso_scanner_pair_allowed(scanner, a, b));
		}
	/* Parallel to the axis: the line passes it at the crystals' own 100 mm. */
	scanner->rule = (iso_pair_rule){.max_axial_difference_mm = (double)INFINITY, .max_transaxial_offset_mm = 99};
	CU_ASSERT(!iso_scanner_pair_allowed(scanner, 1, 9));
	scanner->rule.max_transaxial_offset_mm = 100.1;
	CU_ASSERT(iso_scanner_pair_allowed(scanner, 1, 9));
	CU_ASSERT(!iso_scanner_pair_allowed(scanner, 1, 1));
	scanner->efficiency[9] = 0;
	CU_ASSERT(!iso_scanner_pair_allowed(scanner, 1, 9));
	CU_ASSERT(!iso_scanner_pair_allowed(scanner, 9, 1));
	iso_scanner_free(scanner);
}

static void pair_rule_is_symmetric(void)
{
	/* Positions anywhere, and the limit exactly at a pair's own offset: the two orders must agree to the last bit. */
	enum { ELEMENTS = 60 };
	iso_scanner *scanner;
	iso_error err;
	ISO_ASSERT_OK(iso_scanner_create(ELEMENTS, "scattered", &scanner, &err), err);
	iso_random random = iso_random_begin(11, 0);
	for (int i = 0; i < 3 * ELEMENTS; i++)
		scanner->position_mm[i] = (float)(200 * iso_random_uniform(&random) - 100);
	for (uint32_t a = 0; a < ELEMENTS; a++)
		for (uint32_t b = 0; b < ELEMENTS; b++) {
			const float *p = scanner->position_mm + 3 * a, *q = scanner->position_mm + 3 * b;
			const double dx = (double)q[0] - (double)p[0], dy = (double)q[1] - (double)p[1];
			scanner->rule.max_transaxial_offset_mm =
			    a == b ? 1 : fabs((double)p[0] * dy - (double)p[1] * dx) / sqrt(dx * dx + dy * dy) - 1e-3;
			CU_ASSERT_EQUAL(iso_scanner_pair_allowed(scanner, a, b),
					iso_scanner_pair_allowed(scanner, b, a));
		}
	iso_scanner_free(scanner);
}

static void copies_and_hashes(void)
{
	iso_scanner *scanner = ring_of_eight(), *copy;
	iso_error err;
	scanner->efficiency[3] = 0.5f;
	ISO_ASSERT_OK(iso_scanner_copy(scanner, &copy, &err), err);
	CU_ASSERT(copy->position_mm != scanner->position_mm);
	char one[65], two[65];
	iso_scanner_hash(scanner, one);
	iso_scanner_hash(copy, two);
	CU_ASSERT_STRING_EQUAL(one, two);
	/* Names and calibration are no part of the system matrix. */
	strcpy(copy->name, "other");
	copy->calibration_factor = 3;
	iso_scanner_hash(copy, two);
	CU_ASSERT_STRING_EQUAL(one, two);
	iso_scanner_free(copy);
	for (int change = 0; change < 11; change++) {
		ISO_ASSERT_OK(iso_scanner_copy(scanner, &copy, &err), err);
		switch (change) {
		case 0: copy->position_mm[40] += 0.001f; break;
		case 1: copy->normal[40] = -copy->normal[40] - 1; break;
		case 2: copy->efficiency[3] = 0.25f; break;
		case 3: copy->rule.max_axial_difference_mm = 5; break;
		case 4: copy->rule.max_transaxial_offset_mm = 5; break;
		case 5: copy->rule.min_distance_mm = 5; break;
		case 6: copy->tof.fwhm_ps = 300; break;
		case 7: copy->tof.bins = 3; break;
		case 8: copy->attenuation_per_mm = 0.09; break;
		case 9: copy->element_size_mm[2] = 14; break;
		case 10: copy->modality = ISO_MODALITY_SPECT; break;
		default: break;
		}
		iso_scanner_hash(copy, two);
		CU_ASSERT(strcmp(one, two) != 0);
		iso_scanner_free(copy);
	}
	iso_scanner_free(scanner);
}

static void events_of_an_array(void)
{
	iso_scanner *scanner = ring_of_eight();
	const iso_acquisition facts = iso_acquisition_unknown();
	const iso_event list[5] = {{.time_ms = 100, .element = {0, 4}},
				   {.time_ms = 150, .element = {1, 5}, .kind = ISO_EVENT_DELAYED},
				   {.time_ms = 150, .element = {2, 6}},
				   {.time_ms = 300, .element = {3, 7}},
				   {.time_ms = 2100, .element = {0, 5}}};
	iso_events *events;
	iso_error err;
	ISO_ASSERT_OK(iso_events_from_array(list, 5, scanner, &facts, &events, &err), err);
	iso_scanner_free(scanner); /* was copied */
	CU_ASSERT_EQUAL(iso_events_scanner(events)->elements, 24);
	CU_ASSERT_EQUAL(iso_events_total(events), 5);
	iso_event buffer[3];
	size_t count;
	ISO_ASSERT_OK(iso_events_read(events, buffer, 3, &count, &err), err);
	CU_ASSERT_EQUAL(count, 3);
	iso_event_counts counts; /* of what has been read so far */
	iso_events_counts(events, &counts);
	CU_ASSERT_EQUAL(counts.records, 3);
	CU_ASSERT_EQUAL(counts.delayeds, 1);
	ISO_ASSERT_NEAR(counts.duration_s, 0.05, 1e-12);
	ISO_ASSERT_OK(iso_events_read(events, buffer, 3, &count, &err), err);
	CU_ASSERT_EQUAL(count, 2);
	CU_ASSERT_EQUAL(buffer[1].element[1], 5);
	ISO_ASSERT_OK(iso_events_read(events, buffer, 3, &count, &err), err);
	CU_ASSERT_EQUAL(count, 0);
	iso_events_counts(events, &counts);
	CU_ASSERT_EQUAL(counts.prompts, 4);
	ISO_ASSERT_NEAR(counts.duration_s, 2, 1e-12);
	ISO_ASSERT_OK(iso_events_seek(events, 4, &err), err);
	ISO_ASSERT_OK(iso_events_read(events, buffer, 3, &count, &err), err);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(buffer[0].time_ms, 2100);
	ISO_ASSERT_OK(iso_events_seek(events, UINT64_MAX, &err), err); /* beyond the end is the end */
	ISO_ASSERT_OK(iso_events_read(events, buffer, 3, &count, &err), err);
	CU_ASSERT_EQUAL(count, 0);
	iso_events_close(events);
	iso_events_close(NULL);
}

static const iso_test tests[] = {
    {"elements of a ring scanner lie where they must", rings},
    {"the first crystal's angle", first_angle},
    {"impossible rings are refused", impossible_rings},
    {"a check finds each fault", check_finds},
    {"pair rule against chords by hand", pair_rule},
    {"pair rule is symmetric to the last bit", pair_rule_is_symmetric},
    {"copies are equal, every part of the system matrix counts in the hash", copies_and_hashes},
    {"events of an array: read, count, seek", events_of_an_array},
};
ISO_TEST_MAIN("scanner", tests)
