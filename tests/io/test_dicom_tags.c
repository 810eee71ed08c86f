/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The arithmetic behind DICOM tags, and the description of a PACS. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/dicom_codes.h"
#include "io/dicom_identity.h"
#include "io/dicom_modules.h"
#include "io/dicom_pet.h"
#include "isotrace/pacs.h"
#include "tests/harness.h"

/* Closed form: the mean of exp(-l t) over 0..D is (1 - exp(-x))/x with x = l D. Values worked out with 40 digits. */
static void frame_references(void)
{
	static const struct {
		double half_life_s, duration_s, reference_s, factor;
	} cases[] = {
	    {1.82890 * 3600, 600, 298.420899, 1.031915538}, /* F-18 */
	    {20.361 * 60, 60, 29.914894, 1.017118017},      /* C-11 */
	    {67.83 * 60, 600, 297.445500, 1.051964503},     /* Ga-68 */
	    {67.71 * 60, 600, 297.440974, 1.052058142},     /* Ga-68 with an older half-life that many tables have */
	    {12.7004 * 3600, 600, 299.772597, 1.004554962}, /* Cu-64 */
	};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		double reference_s, factor;
		iso_pet_frame_reference(cases[c].half_life_s, 0, cases[c].duration_s, &reference_s, &factor);
		/* half of the last printed digit */
		ISO_ASSERT_NEAR(reference_s, cases[c].reference_s, 0.0000005);
		ISO_ASSERT_NEAR(factor, cases[c].factor, 0.0000000005);
		/* A later frame of the same length: the reference moves along, the factor grows by the decay until then. */
		double later_s, later;
		iso_pet_frame_reference(cases[c].half_life_s, 1000, cases[c].duration_s, &later_s, &later);
		ISO_ASSERT_NEAR(later_s - reference_s, 1000, 1e-9);
		ISO_ASSERT_NEAR(later / factor, exp2(1000 / cases[c].half_life_s), 1e-12);
		/* Definition: the factor is the decay from the reference back to 0. */
		ISO_ASSERT_NEAR(factor, exp2(reference_s / cases[c].half_life_s), 1e-12);
	}
	/* Frames that are short against the half-life have their reference in the middle: D/2 (1 - x/12 + ...). */
	for (double duration_s = 1e-6; duration_s < 1000; duration_s *= 3) {
		double reference_s, factor;
		const double half_life_s = 1e7, x = log(2.0) / half_life_s * duration_s;
		iso_pet_frame_reference(half_life_s, 0, duration_s, &reference_s, &factor);
		ISO_ASSERT_NEAR(reference_s / duration_s, 0.5 - x / 24, 1e-9);
	}
}

static void decimals(void)
{
	static const double values[] = {
	    0,     1,        -1,     0.1, 1.0 / 3, -1.0 / 3e-7, 1e300, -1.23456789012e-300, 123456789012345.0,
	    7.4e6, -123.456, 6584.04};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char text[17];
		iso_dicom_decimal(values[i], text);
		CU_ASSERT(strlen(text) >= 1 && strlen(text) <= 16);
		CU_ASSERT_EQUAL(strspn(text, "0123456789+-.e"), strlen(text));
		ISO_ASSERT_NEAR(strtod(text, NULL), values[i], fabs(values[i]) * 1e-8);
	}
}

static void quantised(void)
{
	const float values[] = {0, 1.5f, -3.25f, 1000.125f, 999.99f, 1e-20f};
	int16_t stored[6];
	char text[17];
	double slope;
	iso_pet_quantise(values, 6, stored, text, &slope);
	CU_ASSERT_EQUAL(slope, strtod(text, NULL));
	CU_ASSERT_EQUAL(stored[3], 32767);
	for (int i = 0; i < 6; i++) ISO_ASSERT_NEAR(stored[i] * slope, values[i], slope * 0.5001);
	const float none[] = {0, 0};
	iso_pet_quantise(none, 2, stored, text, &slope);
	CU_ASSERT_STRING_EQUAL(text, "1");
	CU_ASSERT(stored[0] == 0 && stored[1] == 0);
	const float tiny[] = {1e-38f, -1e-38f};
	iso_pet_quantise(tiny, 2, stored, text, &slope);
	CU_ASSERT(stored[0] == 0 && stored[1] == 0);
}

/* 128 bits with the version's and the variant's bits set, by hand: all zero gives 0x8000 << 64 | 0x80 << 56. */
static void identities(void)
{
	char uid[65];
	iso_dicom_uid("0000000000000000000000000000000000000000000000000000000000000000", uid);
	/* 0x00000000000080008000000000000000 = 2^79 + 2^63 = 604462909807314587353088 + 9223372036854775808 */
	CU_ASSERT_STRING_EQUAL(uid, "2.25.604472133179351442128896");
	iso_dicom_uid("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", uid);
	/* 2^128 - 1 - (0x70 << 72) - (0x40 << 56) */
	CU_ASSERT_STRING_EQUAL(uid, "2.25.340282366920937934553716840013076889599");
	CU_ASSERT(strlen(uid) <= 64);
}

static void pacs(void)
{
	iso_error err;
	iso_pacs p;
	ISO_ASSERT_OK(iso_pacs_parse("ORTHANC@localhost:4242", &p, &err), err);
	CU_ASSERT_STRING_EQUAL(p.ae_title, "ORTHANC");
	CU_ASSERT_STRING_EQUAL(p.host, "localhost");
	CU_ASSERT_EQUAL(p.port, 4242);
	CU_ASSERT_STRING_EQUAL(p.own_ae_title, "ISOTRACE");
	CU_ASSERT(p.timeout_s > 0);
	static const char *const wrong[] = {
	    "",         "localhost:104", "A@host", "@host:104", "A@:104",     "A@h:0",     "A@h:65536",
	    "A@h:104x", "A@h:-1",        "A@h:",   "   @h:1",   "A\\B@h:104", "A@h h:104", "SEVENTEEN_LETTERS@h:104",
	    "A@B@h:104"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const iso_status status = iso_pacs_parse(wrong[i], &p, &err);
		if (status != ISO_BAD_USAGE) printf("# '%s' was taken\n", wrong[i]);
		CU_ASSERT_EQUAL(status, ISO_BAD_USAGE);
	}
}

static void codes(void)
{
	CU_ASSERT_STRING_EQUAL(iso_dicom_species_code("Mouse")->value, "447612001");
	CU_ASSERT_STRING_EQUAL(iso_dicom_species_code("mus musculus")->value, "447612001");
	CU_ASSERT_PTR_NULL(iso_dicom_species_code("unicorn"));
	CU_ASSERT_STRING_EQUAL(iso_dicom_route_code("intravenous")->value, "47625008");
	CU_ASSERT_PTR_NULL(iso_dicom_route_code("by post"));
}

static const iso_test tests[] = {
    {"frame reference time and decay factor", frame_references},
    {"decimal strings", decimals},
    {"stored values and slope", quantised},
    {"UIDs", identities},
    {"AET@HOST:PORT", pacs},
    {"species and routes", codes},
};
ISO_TEST_MAIN("DICOM tags", tests)
