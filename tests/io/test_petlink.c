/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isotrace/isotrace.h"
#include "tests/harness.h"

#define HEADER "mmr_listmode/PET_ACQ_small.l.hdr.STIR"

/* The mMR's layout, as formats.md has it. */
static const iso_petlink_layout mmr = {.tangs = 344,
				       .views = 252,
				       .rings = 64,
				       .crystals_per_ring = 504,
				       .max_ring_difference = 60,
				       .sinograms = 4084,
				       .tof_bins = 1};

static bool round_trip(const iso_petlink_layout *layout, uint32_t address)
{
	uint32_t pair[2], back = 0, swapped_back = 0;
	int32_t tof;
	if (!iso_petlink_address_to_pair(layout, address, pair, &tof)) return false;
	const uint32_t swapped[2] = {pair[1], pair[0]};
	if (!iso_petlink_pair_to_address(layout, pair, tof, &back) || back != address) return false;
	return layout->tof_bins > 1 ||
	       (iso_petlink_pair_to_address(layout, swapped, tof, &swapped_back) && swapped_back == address);
}

/* Every address of a small scanner, and every pair: the pairs that have an address are as many as addresses. */
static void small_layout_exhaustively(void)
{
	/* 5 rings, difference up to 3: 5 + 2 (4 + 3 + 2) = 23 sinograms */
	const iso_petlink_layout small = {.tangs = 10,
					  .views = 12,
					  .rings = 5,
					  .crystals_per_ring = 24,
					  .max_ring_difference = 3,
					  .sinograms = 23,
					  .tof_bins = 1};
	const uint32_t bins = 10 * 12 * 23;
	uint32_t bad = 0, pairs = 0, address, pair[2];
	int32_t tof;
	for (uint32_t a = 0; a < bins; a++) bad += !round_trip(&small, a);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_FALSE(iso_petlink_address_to_pair(&small, bins, pair, &tof));
	for (uint32_t a = 0; a < 5 * 24; a++)
		for (uint32_t b = a; b < 5 * 24; b++) {
			const uint32_t both[2] = {a, b};
			pairs += iso_petlink_pair_to_address(&small, both, 0, &address);
		}
	CU_ASSERT_EQUAL(pairs, bins);
	const uint32_t outside[2] = {0, 5 * 24};
	CU_ASSERT_FALSE(iso_petlink_pair_to_address(&small, outside, 0, &address));
	/* odd numbers of projections, and TOF: the order of the pair is then kept */
	iso_petlink_layout odd = small;
	odd.tangs = 11;
	odd.tof_bins = 3;
	for (uint32_t a = 0; a < 3 * 11 * 12 * 23; a++) bad += !round_trip(&odd, a);
	CU_ASSERT_EQUAL(bad, 0);
}

/* 354 million addresses: every 997th (a prime that divides none of the factors), and both ends. */
static void mmr_layout_sampled(void)
{
	const uint32_t bins = 344u * 252u * 4084u;
	uint32_t bad = 0, pair[2];
	int32_t tof;
	for (uint32_t a = 0; a < bins; a += 997) bad += !round_trip(&mmr, a);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT(round_trip(&mmr, 0));
	CU_ASSERT(round_trip(&mmr, bins - 1));
	CU_ASSERT_FALSE(iso_petlink_address_to_pair(&mmr, bins, pair, &tof));
	/* By hand: tang 172 (t = 0), view 0, sinogram 0 is the line from crystal 0 to crystal 252 of ring 0. */
	CU_ASSERT(iso_petlink_address_to_pair(&mmr, 172, pair, &tof));
	CU_ASSERT(pair[0] == 0 && pair[1] == 252);
	/* sinogram 64 is the first of segment -1: ring 1 and ring 0; 64 + 63 the first of segment +1. */
	CU_ASSERT(iso_petlink_address_to_pair(&mmr, 172 + 344u * 252u * 64u, pair, &tof));
	CU_ASSERT(pair[0] == 504 && pair[1] == 252);
	CU_ASSERT(iso_petlink_address_to_pair(&mmr, 172 + 344u * 252u * 127u, pair, &tof));
	CU_ASSERT(pair[0] == 0 && pair[1] == 504 + 252);
}

/* The words themselves, read here without the reader: every address goes to a pair and back. */
static void real_addresses(void)
{
	char path[PATH_MAX];
	if (!iso_shared_data("mmr_listmode/small_listmode_file.l", path)) ISO_SKIP("no shared data");
	FILE *file = fopen(path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	unsigned char b[4];
	uint32_t words = 0, events = 0, bad = 0, largest = 0;
	while (fread(b, 1, 4, file) == 4) {
		const uint32_t w = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
		words++;
		if (w >> 31) continue;
		events++;
		bad += !round_trip(&mmr, w & 0x3fffffff);
		if ((w & 0x3fffffff) > largest) largest = w & 0x3fffffff;
	}
	fclose(file);
	CU_ASSERT_EQUAL(words, 254816);
	CU_ASSERT_EQUAL(events, 218881 + 35320);
	CU_ASSERT_EQUAL(largest, 354031236);
	CU_ASSERT_EQUAL(bad, 0);
}

/* The stream: numbers of the data's README, every pair allowed by the scanner, addresses the same as in the file. */
static void real_stream(void)
{
	char path[PATH_MAX];
	iso_error err;
	iso_events *events;
	iso_event_counts c;
	iso_petlink_layout layout;
	if (!iso_shared_data(HEADER, path)) ISO_SKIP("no shared data");
	iso_export_options options = iso_export_options_default();
	options.require_complete = true;
	CU_ASSERT_EQUAL(iso_export_open(path, &options, &events, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "331257106"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.remedy, "--require-complete"));
	options.require_complete = false;
	ISO_ASSERT_OK(iso_export_open(path, &options, &events, &err), err);
	ISO_ASSERT_OK(iso_petlink_header_layout(path, &layout, &err), err);
	CU_ASSERT_EQUAL(memcmp(&layout, &mmr, sizeof mmr), 0);
	const iso_scanner *scanner = iso_events_scanner(events);
	CU_ASSERT_EQUAL(scanner->elements, 64 * 504);
	iso_event batch[1000];
	size_t count;
	uint32_t refused = 0, largest = 0, address, previous_ms = 0, backwards = 0;
	double sum = 0;
	do {
		ISO_ASSERT_OK(iso_events_read(events, batch, 1000, &count, &err), err);
		for (size_t n = 0; n < count; n++) {
			refused += !iso_scanner_pair_allowed(scanner, batch[n].element[0], batch[n].element[1]);
			refused += !iso_petlink_pair_to_address(&layout, batch[n].element, 0, &address);
			if (address > largest) largest = address;
			backwards += batch[n].time_ms < previous_ms;
			previous_ms = batch[n].time_ms;
			sum += (batch[n].kind == ISO_EVENT_PROMPT ? 1 : -1) * (double)(address % 344);
		}
	} while (count);
	iso_events_counts(events, &c);
	CU_ASSERT_EQUAL(c.records, 254816);
	CU_ASSERT_EQUAL(c.prompts, 218881);
	CU_ASSERT_EQUAL(c.delayeds, 35320);
	CU_ASSERT_EQUAL(c.tags_time, 613);
	CU_ASSERT_EQUAL(c.tags_other, 2);
	for (int r = 0; r < ISO_REJECT_REASONS; r++) CU_ASSERT_EQUAL(c.rejected[r], 0);
	ISO_ASSERT_NEAR(c.duration_s, 0.612, 1e-9);
	ISO_ASSERT_NEAR(iso_events_acquisition(events)->duration_s, 0.612, 1e-9);
	CU_ASSERT_EQUAL(refused, 0);
	CU_ASSERT_EQUAL(backwards, 0);
	CU_ASSERT_EQUAL(previous_ms, 612);
	CU_ASSERT_EQUAL(largest, 354031236);
	/* README: 165.7 */
	ISO_ASSERT_NEAR(sum / (218881 - 35320), 165.7, 0.05);
	/* 2017-03-27T17:00:35Z and 16:07:00Z, by hand: 17252 days after 1970-01-01 */
	ISO_ASSERT_NEAR(iso_events_acquisition(events)->start_utc_s, 17252 * 86400.0 + 17 * 3600 + 35, 1e-6);
	ISO_ASSERT_NEAR(iso_events_acquisition(events)->injection_utc_s, 17252 * 86400.0 + 16 * 3600 + 7 * 60, 1e-6);
	/* seeking: event 100,000 twice */
	iso_event once, again;
	ISO_ASSERT_OK(iso_events_seek(events, 100000, &err), err);
	ISO_ASSERT_OK(iso_events_read(events, &once, 1, &count, &err), err);
	ISO_ASSERT_OK(iso_events_seek(events, 0, &err), err);
	for (int n = 0; n <= 100; n++)
		ISO_ASSERT_OK(iso_events_read(events, batch, n < 100 ? 1000 : 1, &count, &err), err);
	again = batch[0];
	CU_ASSERT_EQUAL(memcmp(&once, &again, sizeof once), 0);
	iso_events_close(events);
}

/* Geometry by hand: crystal 0 at the top (y = -335), crystal 126 at +x; ring 0 at z = -63 * 4.0625 / 2; every ninth
 * position a gap. */
static void geometry(void)
{
	char path[PATH_MAX];
	iso_error err;
	iso_events *events;
	if (!iso_shared_data(HEADER, path)) ISO_SKIP("no shared data");
	iso_export_options options = iso_export_options_default();
	ISO_ASSERT_OK(iso_export_open(path, &options, &events, &err), err);
	const iso_scanner *s = iso_events_scanner(events);
	ISO_ASSERT_NEAR(s->position_mm[0], 0, 1e-4);
	ISO_ASSERT_NEAR(s->position_mm[1], -335, 1e-4);
	ISO_ASSERT_NEAR(s->position_mm[2], -63 * 4.0625 / 2, 1e-4);
	ISO_ASSERT_NEAR(s->position_mm[3 * 126], 335, 1e-4);
	ISO_ASSERT_NEAR(s->position_mm[3 * 63 * 504 + 2], 63 * 4.0625 / 2, 1e-4);
	uint32_t gaps = 0;
	for (uint32_t e = 0; e < s->elements; e++) gaps += s->efficiency[e] <= 0;
	CU_ASSERT_EQUAL(gaps, 64 * 56);
	CU_ASSERT(s->efficiency[0] <= 0 && s->efficiency[1] > 0);
	/* The rule is the layout's: of all pairs of crystal 1 in ring 0, those with an address, and the mirror images of
	 * the outermost projection (tang 0 has no partner on the other side). */
	uint32_t differ = 0, address;
	for (uint32_t e = 0; e < s->elements; e++) {
		if (e == 1 || s->efficiency[e] <= 0) continue;
		const uint32_t pair[2] = {1, e};
		const bool allowed = iso_scanner_pair_allowed(s, 1, e),
			   has = iso_petlink_pair_to_address(&mmr, pair, 0, &address);
		/* |t| = D/2 - the crystals' distance round the ring */
		const uint32_t round = (e % 504 + 504 - 1) % 504, t = round > 252 ? round - 252 : 252 - round;
		differ += t == 172 ? has && !allowed : has != allowed;
	}
	CU_ASSERT_EQUAL(differ, 0);
	iso_events_close(events);
}

static const iso_test tests[] = {{"every address of a small layout", small_layout_exhaustively},
				 {"sampled addresses of the mMR", mmr_layout_sampled},
				 {"every address of the real file", real_addresses},
				 {"counts and times of the real file", real_stream},
				 {"scanner geometry, gaps and pair rule", geometry}};
ISO_TEST_MAIN("petlink", tests)
