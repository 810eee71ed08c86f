/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "io/dicom_organ_codes.h"
#include "isotrace/dicom.h"
#include "isotrace/organs.h"
#include "tests/harness.h"

/* L*a*b* worked out apart from the code: matrix from the chromaticities of sRGB's primaries and of D65, adapted by Bradford to D50
 * (0.96422, 1, 0.82521); four decimals. */
static void colours(void)
{
	static const struct {
		uint8_t srgb[3];
		double lab[3];
	} known[] = {{{255, 255, 255}, {100, 0, 0}},
		     {{0, 0, 0}, {0, 0, 0}},
		     {{255, 0, 0}, {54.2917, 80.8125, 69.8851}},
		     {{0, 255, 0}, {87.8181, -79.2873, 80.9902}},
		     {{0, 0, 255}, {29.5676, 68.2986, -112.0294}},
		     {{128, 128, 128}, {53.5850, 0, 0}}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		uint16_t cielab[3];
		iso_dicom_cielab(known[i].srgb, cielab);
		/* PS3.3 C.10.7.1.1: L* 0..100 and a*, b* -128..127 onto 0..65535: half a step is 0.0008 and 0.002; the matrix in the
		 * code has seven digits (200 times 1e-7). */
		ISO_ASSERT_NEAR(cielab[0] / 65535.0 * 100, known[i].lab[0], 0.0008 + 2e-4);
		ISO_ASSERT_NEAR(cielab[1] / 65535.0 * 255 - 128, known[i].lab[1], 0.002 + 2e-4);
		ISO_ASSERT_NEAR(cielab[2] / 65535.0 * 255 - 128, known[i].lab[2], 0.002 + 2e-4);
	}
}

static void check(const char *name, const char *value, const char *side)
{
	const iso_organ_code code = iso_organ_code_of(name, 3);
	CU_ASSERT_STRING_EQUAL(code.value, value);
	CU_ASSERT_STRING_EQUAL(code.scheme, "SCT");
	CU_ASSERT_TRUE(code.known && iso_dicom_organ_is_coded(name));
	CU_ASSERT_STRING_EQUAL(code.side ? code.side : "", side);
}

static void names(void)
{
	check("liver", "10200004", "");
	check("Left_Kidney", "64033007", "7771000");
	check("kidney right", "64033007", "24028007");
	check("KIDNEYS", "64033007", "51440002");
	check("left lung", "39607008", "7771000");
	check("left ventricle", "87878005", "");
	check("large intestine", "14742008", "");
}

/* An organ without a public code has the same one of isotrace's own always, and no other organ has it. */
static void unknown(void)
{
	const iso_organ_code one = iso_organ_code_of("quux gland", 0), again = iso_organ_code_of("QUUX_gland", 5);
	const iso_organ_code left = iso_organ_code_of("left quux gland", 0);
	CU_ASSERT_FALSE(one.known || iso_dicom_organ_is_coded("quux gland"));
	CU_ASSERT_STRING_EQUAL(one.scheme, "99ISOTRACE");
	CU_ASSERT_STRING_EQUAL(one.value, again.value);
	CU_ASSERT_STRING_NOT_EQUAL(one.value, left.value);
	CU_ASSERT_STRING_EQUAL(one.meaning, "quux gland");
	CU_ASSERT_TRUE(strlen(one.value) == 16);
	CU_ASSERT_TRUE(memcmp(one.cielab, again.cielab, sizeof one.cielab) != 0);
	CU_ASSERT_FALSE(iso_organ_code_of("left", 0).known);
	CU_ASSERT_FALSE(iso_organ_code_of("", 0).known);
}

/* Whatever has a density has a code, but for what is no organ. */
static void densities(void)
{
	static const char *const all[] = {
	    "adrenals",    "bladder",  "blood",        "body",         "bone",       "brain",
	    "fat",         "femur",    "gall bladder", "gallbladder",  "heart",      "intestine",
	    "intestines",  "kidney",   "kidney left",  "kidney right", "kidneys",    "large intestine",
	    "left kidney", "liver",    "lung",         "lungs",        "lymph node", "muscle",
	    "myocardium",  "pancreas", "right kidney", "skeleton",     "skin",       "small intestine",
	    "soft tissue", "spleen",   "stomach",      "testes",       "thyroid",    "tumor",
	    "tumour",      "urine",    "whole body"};
	static const char *const without[] = {"carcass", "cortical bone", "remainder", "rest", "spongiosa"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		CU_ASSERT_TRUE(iso_tissue_density(all[i], NULL, NULL, NULL));
		CU_ASSERT_TRUE(iso_dicom_organ_is_coded(all[i]));
	}
	for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
		CU_ASSERT_TRUE(iso_tissue_density(without[i], NULL, NULL, NULL));
		CU_ASSERT_FALSE(iso_dicom_organ_is_coded(without[i]));
	}
}

static const iso_test tests[] = {{"colours are CIELab against D50", colours},
				 {"names, sides and pairs", names},
				 {"a name without a code", unknown},
				 {"organs with a density have a code", densities}};
ISO_TEST_MAIN("organ codes", tests)
