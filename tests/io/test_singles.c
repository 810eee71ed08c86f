/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Blocks and singles in the native list-mode: what is written is read, and what a file may not say. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "isotrace/isotrace.h"
#include "tests/harness.h"

enum { RINGS = 6, PER_RING = 24, ELEMENTS = RINGS * PER_RING, INTERVALS = 4, GROUPS = 12 };

static iso_scanner *make_scanner(void)
{
	iso_scanner *scanner = NULL;
	iso_error err;
	const iso_ring_description rings = {.name = "blocks",
					    .rings = RINGS,
					    .crystals_per_ring = PER_RING,
					    .radius_mm = 40,
					    .mean_depth_mm = 3,
					    .ring_spacing_mm = 4,
					    .crystal_size_mm = {4, 4, 10},
					    .attenuation_per_mm = 0.08};
	ISO_ASSERT_OK(iso_scanner_from_rings(&rings, &scanner, &err), err);
	scanner->block_crystals[0] = 4;
	scanner->block_crystals[1] = 3;
	return scanner;
}

static iso_singles *make_singles(const iso_scanner *scanner)
{
	iso_singles *singles = NULL;
	iso_error err;
	ISO_ASSERT_OK(iso_singles_create(ELEMENTS, GROUPS, INTERVALS, 2.5, &singles, &err), err);
	for (uint32_t e = 0; e < ELEMENTS; e++) singles->group[e] = iso_scanner_block(scanner, e);
	for (uint32_t n = 0; n < INTERVALS * GROUPS; n++) singles->counts[n] = 1000003 * n;
	return singles;
}

/* 9 s in intervals of 2.5 s: the last one is cut. */
static iso_status write_file(const char *path, const iso_scanner *scanner, const iso_singles *singles, iso_error *err)
{
	iso_listmode_writer *writer = NULL;
	const iso_acquisition acquisition = iso_acquisition_unknown();
	const iso_event event = {.time_ms = 8999, .element = {0, 70}};
	iso_status status = iso_listmode_create(path, scanner, &acquisition, NULL, &writer, err);
	if (status != ISO_OK) return status;
	status = iso_listmode_append(writer, &event, 1, err);
	if (status == ISO_OK) status = iso_listmode_set_singles(writer, singles, err);
	if (status == ISO_OK) return iso_listmode_commit(writer, NULL, 9, err);
	iso_listmode_discard(writer);
	return status;
}

static bool same(const iso_singles *a, const iso_singles *b)
{
	return a && b && a->interval_s == b->interval_s && a->intervals == b->intervals && a->groups == b->groups &&
	       a->elements == b->elements && memcmp(a->group, b->group, a->elements * sizeof *a->group) == 0 &&
	       memcmp(a->counts, b->counts, a->intervals * a->groups * sizeof *a->counts) == 0;
}

static void round_trip(void)
{
	iso_error err;
	iso_events *events = NULL;
	iso_scanner *scanner = make_scanner();
	iso_singles *singles = make_singles(scanner);
	const char *path = iso_test_path("singles.lm.h5"), *copy = iso_test_path("copy.lm.h5"),
		   *none = iso_test_path("none.lm.h5");
	ISO_ASSERT_OK(write_file(path, scanner, singles, &err), err);
	ISO_ASSERT_OK(iso_listmode_open(path, &events, &err), err);
	CU_ASSERT(same(iso_events_singles(events), singles));
	CU_ASSERT_EQUAL(iso_events_scanner(events)->block_crystals[0], 4);
	CU_ASSERT_EQUAL(iso_events_scanner(events)->block_crystals[1], 3);
	/* a copy of the stream keeps them */
	ISO_ASSERT_OK(iso_listmode_write_all(copy, events, NULL, NULL, NULL, &err), err);
	iso_events_close(events);
	ISO_ASSERT_OK(iso_listmode_open(copy, &events, &err), err);
	CU_ASSERT(same(iso_events_singles(events), singles));
	iso_events_close(events);
	/* neither is a must */
	scanner->block_crystals[0] = scanner->block_crystals[1] = 0;
	ISO_ASSERT_OK(write_file(none, scanner, NULL, &err), err);
	ISO_ASSERT_OK(iso_listmode_open(none, &events, &err), err);
	CU_ASSERT_PTR_NULL(iso_events_singles(events));
	CU_ASSERT_EQUAL(iso_scanner_blocks(iso_events_scanner(events)), 0);
	iso_events_close(events);
	iso_singles_free(singles);
	iso_scanner_free(scanner);
}

/* A stream that no file is behind can be given singles, and gives them up with itself. */
static void given(void)
{
	iso_error err;
	iso_events *events = NULL;
	iso_scanner *scanner = make_scanner();
	const iso_acquisition acquisition = iso_acquisition_unknown();
	ISO_ASSERT_OK(iso_events_from_array(NULL, 0, scanner, &acquisition, &events, &err), err);
	CU_ASSERT_PTR_NULL(iso_events_singles(events));
	iso_events_set_singles(events, make_singles(scanner));
	iso_events_set_singles(events, make_singles(scanner));
	/* 1000003 (0 + 1 + .. + 47) */
	CU_ASSERT_EQUAL(iso_singles_total(iso_events_singles(events)), 1000003u * 1128u);
	iso_events_close(events);
	iso_scanner_free(scanner);
}

/* Blocks of 4 x 3 in rings of 24: six along the ring, two rows of them. */
static void blocks(void)
{
	iso_error err;
	iso_scanner *scanner = make_scanner();
	CU_ASSERT_EQUAL(iso_scanner_blocks(scanner), 12);
	CU_ASSERT_EQUAL(iso_scanner_block(scanner, 0), 0);
	CU_ASSERT_EQUAL(iso_scanner_block(scanner, 3), 0);
	CU_ASSERT_EQUAL(iso_scanner_block(scanner, 4), 1);
	CU_ASSERT_EQUAL(iso_scanner_block(scanner, 2 * PER_RING + 23), 5);
	CU_ASSERT_EQUAL(iso_scanner_block(scanner, 3 * PER_RING), 6);
	CU_ASSERT_EQUAL(iso_scanner_block(scanner, ELEMENTS - 1), 11);
	uint32_t members[12] = {0};
	for (uint32_t e = 0; e < ELEMENTS; e++) members[iso_scanner_block(scanner, e)]++;
	for (int b = 0; b < 12; b++) CU_ASSERT_EQUAL(members[b], 12);
	char with[65], without[65];
	iso_scanner_hash(scanner, with);
	static const uint32_t wrong[][2] = {{5, 3}, {4, 4}, {4, 0}, {0, 3}, {24, 7}};
	for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
		memcpy(scanner->block_crystals, wrong[n], sizeof wrong[n]);
		CU_ASSERT_EQUAL(iso_scanner_check(scanner, NULL, &err), ISO_BAD_INPUT);
	}
	scanner->block_crystals[0] = scanner->block_crystals[1] = 0;
	ISO_ASSERT_OK(iso_scanner_check(scanner, NULL, &err), err);
	iso_scanner_hash(scanner, without);
	CU_ASSERT_STRING_EQUAL(with, without); /* the system matrix does not depend on them */
	scanner->block_crystals[0] = scanner->block_crystals[1] = 1;
	scanner->elements_per_ring = 0;
	CU_ASSERT_EQUAL(iso_scanner_check(scanner, NULL, &err), ISO_BAD_INPUT);
	iso_scanner_free(scanner);
}

static void what_may_not_be_written(void)
{
	iso_error err;
	iso_scanner *scanner = make_scanner();
	const char *path = iso_test_path("refused.lm.h5");
	for (int n = 0; n < 4; n++) {
		iso_singles *singles = make_singles(scanner);
		if (n == 0) singles->group[7] = GROUPS;
		if (n == 1) singles->interval_s = 2.2; /* 5 intervals would be needed */
		if (n == 2) singles->interval_s = 4;   /* and 3 here */
		if (n == 3) singles->elements--;
		CU_ASSERT_EQUAL(write_file(path, scanner, singles, &err), ISO_BAD_INPUT);
		CU_ASSERT(err.message[0]);
		iso_singles_free(singles);
	}
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	iso_singles *too_many = NULL;
	CU_ASSERT_EQUAL(iso_singles_create(10, 1u << 20, 1u << 20, 1, &too_many, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_singles_create(10, 0, 1, 1, &too_many, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_singles_create(10, 1, 0, 1, &too_many, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(too_many);
	iso_scanner_free(scanner);
}

static void put_dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *extent, const void *values)
{
	const hsize_t chunk[2] = {1, rank > 1 ? extent[1] : 1};
	const hid_t space = H5Screate_simple(rank, extent, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
	if (!values) { /* claims much and holds nothing */
		H5Pset_chunk(plan, rank, chunk);
		H5Pset_deflate(plan, 1);
	}
	const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
	CU_ASSERT(set >= 0);
	if (values) CU_ASSERT(H5Dwrite(set, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
	H5Dclose(set);
	H5Pclose(plan);
	H5Sclose(space);
}

static void replace_numbers(hid_t file, const char *group, const char *name, const double *values, hsize_t count)
{
	const hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, NULL);
	H5Adelete_by_name(file, group, name, H5P_DEFAULT);
	const hid_t attribute =
	    H5Acreate_by_name(file, group, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	CU_ASSERT(H5Awrite(attribute, H5T_NATIVE_DOUBLE, values) >= 0);
	H5Aclose(attribute);
	H5Sclose(space);
}

/* Harms one thing of a sound file. */
static void harm(hid_t file, int which)
{
	static uint32_t values[ELEMENTS + 1];
	const hsize_t more = ELEMENTS + 1, all = ELEMENTS, huge[2] = {1u << 20, 100}, absurd[2] = {1u << 28, 100},
		      fewer[2] = {INTERVALS - 1, GROUPS}, wide[2] = {1, ELEMENTS + 1};
	const double zero = 0, negative[2] = {-4, 3}, fraction[2] = {4, 2.5};
	memset(values, 0, sizeof values);
	switch (which) {
	case 0: H5Ldelete(file, "singles/counts", H5P_DEFAULT); break;
	case 1: H5Ldelete(file, "singles/group", H5P_DEFAULT); break;
	case 2: H5Adelete_by_name(file, "singles", "interval_s", H5P_DEFAULT); break;
	case 3:
	case 4:
		H5Ldelete(file, "singles/group", H5P_DEFAULT);
		values[100] = GROUPS; /* no such group, and then one too many of them */
		put_dataset(file, "singles/group", H5T_STD_U32LE, 1, which == 3 ? &all : &more, values);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		H5Ldelete(file, "singles/counts", H5P_DEFAULT);
		put_dataset(file, "singles/counts", H5T_STD_U32LE, 2,
			    which == 5   ? huge
			    : which == 6 ? absurd
			    : which == 7 ? fewer
					 : wide,
			    which == 7 ? values : NULL);
		break;
	case 9: replace_numbers(file, "scanner", "block_crystals", negative, 2); break;
	case 10: replace_numbers(file, "scanner", "block_crystals", fraction, 2); break;
	case 11: replace_numbers(file, "singles", "interval_s", &zero, 1); break;
	default: /* not a group at all */
		H5Ldelete(file, "singles", H5P_DEFAULT);
		put_dataset(file, "singles", H5T_STD_U32LE, 1, &all, values);
	}
}

static void hostile(void)
{
	iso_scanner *scanner = make_scanner();
	iso_singles *singles = make_singles(scanner);
	const char *path = iso_test_path("hostile.lm.h5");
	for (int which = 0; which <= 12; which++) {
		iso_error err = {.status = ISO_OK};
		iso_events *events = NULL;
		ISO_ASSERT_OK(write_file(path, scanner, singles, &err), err);
		const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
		CU_ASSERT_FATAL(file >= 0);
		harm(file, which);
		H5Fclose(file);
		const iso_status status = iso_listmode_open(path, &events, &err);
		if (status != ISO_BAD_INPUT) printf("# harm %d: status %d\n", which, (int)status);
		CU_ASSERT_EQUAL(status, ISO_BAD_INPUT);
		CU_ASSERT(err.message[0] && err.remedy[0]);
		iso_events_close(events);
	}
	iso_singles_free(singles);
	iso_scanner_free(scanner);
}

static void intervals(void)
{
	CU_ASSERT_EQUAL(iso_singles_intervals(10, 1), 10);
	CU_ASSERT_EQUAL(iso_singles_intervals(10.5, 1), 11);
	CU_ASSERT_EQUAL(iso_singles_intervals(0.3, 0.1), 3); /* 0.3 / 0.1 is a little less than 3 */
	CU_ASSERT_EQUAL(iso_singles_intervals(0.7, 0.1), 7); /* and here a little less or more */
	CU_ASSERT_EQUAL(iso_singles_intervals(0.001, 5), 1);
}

static const iso_test tests[] = {{"what is written is read", round_trip},
				 {"singles of any stream", given},
				 {"numbering of blocks", blocks},
				 {"what may not be written", what_may_not_be_written},
				 {"hostile files", hostile},
				 {"intervals", intervals}};
ISO_TEST_MAIN("singles", tests)
