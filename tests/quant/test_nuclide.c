/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/nuclide.h"
#include "tests/harness.h"

/* Half-lives typed a second time, in other units than the table's, so that a slip of the unit or of a digit on either
 * side shows: value, seconds per unit, uncertainty in the same unit. */
static const struct {
	const char *name;
	double value, unit_s, uncertainty;
} half_lives[] = {
    {"C-11", 0.33935, 3600, 0.000383334},
    {"N-13", 598.02, 1, 0.24},
    {"O-15", 122.46, 1, 0.36},
    {"F-18", 109.734, 60, 0.0138},
    {"Sc-44", 238.2, 60, 2.4},
    {"Cu-62", 580.2, 1, 1.8},
    {"Cu-64", 762.024, 60, 0.12},
    {"Ga-68", 1.1305, 3600, 0.00333333},
    {"Br-76", 0.675, 86400, 0.00833333},
    {"Y-86", 884.4, 60, 1.2},
    {"Zr-89", 3.26708333, 86400, 0.005},
    {"I-124", 100.224, 3600, 0.0072},
    {"Tc-99m", 360.402, 60, 0.06},
    {"In-111", 67.3176, 3600, 0.0144},
    {"I-123", 793.404, 60, 0.222},
    {"I-125", 1425.36, 3600, 0.72},
    {"I-131", 192.5592, 3600, 0.0456},
    {"Ga-67", 78.2712, 3600, 0.012},
    {"Lu-177", 159.528, 3600, 0.096},
    {"Re-188", 1020.3, 60, 0.24},
    {"Au-198", 64.6656, 3600, 0.0192},
    {"Mn-52", 134.184, 3600, 0.072},
    {"Rb-82", 75.45, 1, 0.012},
    {"Tl-201", 73.0104, 3600, 0.0408},
};

static void the_table(void)
{
	size_t rows;
	const iso_nuclide *table = iso_nuclide_table(&rows);
	CU_ASSERT_EQUAL(rows, sizeof half_lives / sizeof *half_lives);
	for (size_t i = 0; i < rows; i++) {
		if (i) CU_ASSERT(strcmp(table[i - 1].name, table[i].name) < 0); /* sorted and unique */
		CU_ASSERT(table[i].half_life_s > 0);
		CU_ASSERT(table[i].half_life_uncertainty_s > 0 &&
			  table[i].half_life_uncertainty_s < 0.02 * table[i].half_life_s);
		CU_ASSERT(table[i].branching_fraction > 0 && table[i].branching_fraction <= 1);
		CU_ASSERT(isnan(table[i].branching_uncertainty) ||
			  (table[i].branching_uncertainty > 0 &&
			   table[i].branching_uncertainty < 0.1 * table[i].branching_fraction));
		const bool positrons = table[i].photon_kev == 511;
		CU_ASSERT_EQUAL(isnan(table[i].positron_max_kev), !positrons);
		CU_ASSERT_EQUAL(isnan(table[i].positron_mean_kev), !positrons);
		if (positrons) CU_ASSERT(table[i].positron_mean_kev < 0.6 * table[i].positron_max_kev);
		CU_ASSERT(table[i].source[0] && table[i].dicom_meaning[0] == '^');
		CU_ASSERT(strlen(table[i].dicom_code) >= 6 && strlen(table[i].dicom_code) <= 16);
		for (size_t j = 0; j < i; j++) CU_ASSERT(strcmp(table[i].dicom_code, table[j].dicom_code) != 0);
	}
}

static void half_lives_again(void)
{
	for (size_t i = 0; i < sizeof half_lives / sizeof *half_lives; i++) {
		const iso_nuclide *row;
		iso_error err;
		ISO_ASSERT_OK(iso_nuclide_find(half_lives[i].name, NULL, &row, &err), err);
		/* The digits typed above are exact or carry at least six of them. */
		ISO_ASSERT_NEAR(row->half_life_s / half_lives[i].unit_s, half_lives[i].value,
				1e-6 * half_lives[i].value);
		ISO_ASSERT_NEAR(row->half_life_uncertainty_s / half_lives[i].unit_s, half_lives[i].uncertainty,
				1e-5 * half_lives[i].uncertainty);
	}
}

static void branching(void)
{
	static const struct {
		const char *name;
		double fraction, uncertainty, kev;
	} rows[] = {
	    {"Cu-64", 0.1752, 0.0015, 511}, {"F-18", 0.9686, 0.0019, 511},      {"Ga-68", 0.889, 0.004, 511},
	    {"Zr-89", 0.2274, 0.0024, 511}, {"Tc-99m", 0.885, 0.002, 140.511},  {"Lu-177", 0.1038, 0.0007, 208.366},
	    {"I-124", 0.227, 0.013, 511},   {"Re-188", 0.156, 0.002, 155},      {"Y-86", 0.319, 0.021, 511},
	    {"Br-76", 0.55, 0.03, 511},     {"In-111", 0.9412, 0.0006, 245.35},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const iso_nuclide *row;
		ISO_ASSERT_OK(iso_nuclide_find(rows[i].name, NULL, &row, NULL), (iso_error){0});
		ISO_ASSERT_NEAR(row->branching_fraction, rows[i].fraction, 1e-12);
		ISO_ASSERT_NEAR(row->branching_uncertainty, rows[i].uncertainty, 1e-12);
		ISO_ASSERT_NEAR(row->photon_kev, rows[i].kev, 1e-9);
	}
}

static void names(void)
{
	static const char *const spelled[][2] = {
	    {"Cu-64", "Cu-64"},
	    {"64Cu", "Cu-64"},
	    {"Cu64", "Cu-64"},
	    {"cu-64", "Cu-64"},
	    {"^64^Copper", "Cu-64"},
	    {"64-CU", "Cu-64"},
	    {"copper-64", "Cu-64"},
	    {"Tc-99m", "Tc-99m"},
	    {"99mTc", "Tc-99m"},
	    {"Tc99m", "Tc-99m"},
	    {"^99m^Technetium", "Tc-99m"},
	    {"^18^Fluorine", "F-18"},
	    {"52Mn", "Mn-52"},
	    {"C11", "C-11"},
	    {"In-111", "In-111"},
	    {"^177^Lutetium", "Lu-177"},
	    {"I 131", "I-131"},
	};
	for (size_t i = 0; i < sizeof spelled / sizeof *spelled; i++) {
		const iso_nuclide *row;
		iso_error err;
		ISO_ASSERT_OK(iso_nuclide_find(spelled[i][0], NULL, &row, &err), err);
		CU_ASSERT_STRING_EQUAL(row->name, spelled[i][1]);
	}
}

static void unknown_names(void)
{
	static const char *const wrong[] = {"Cu-65",   "Tc-99",  "64",
					    "Cu",      "Cu-644", "FDG",
					    "Cu-6 4x", "52mN",   "Unobtainium-123456789012345678901234567890"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const iso_nuclide *row;
		iso_error err = {0};
		const iso_status status = iso_nuclide_find(wrong[i], "dose.yaml", &row, &err);
		if (strcmp(wrong[i], "52mN") == 0) { /* letter case is not looked at: this is manganese */
			CU_ASSERT_EQUAL(status, ISO_OK);
			continue;
		}
		CU_ASSERT_EQUAL(status, ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(row);
		CU_ASSERT_STRING_EQUAL(err.file, "dose.yaml");
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "not in the table"));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.remedy, "Zr-89"));
	}
	const iso_nuclide *row;
	CU_ASSERT_EQUAL(iso_nuclide_find("", NULL, &row, NULL), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_nuclide_find(NULL, NULL, &row, NULL), ISO_BAD_INPUT);
}

static void decay(void)
{
	/* One half-life halves, minus two quadruple. */
	ISO_ASSERT_NEAR(iso_decay_factor(100, 100), 0.5, 1e-15);
	ISO_ASSERT_NEAR(iso_decay_factor(100, -200), 4, 1e-14);
	CU_ASSERT_EQUAL(iso_decay_factor((double)INFINITY, 1e9), 1);
	/* From 0 to one half-life: T/ln2 * (1 - 1/2) = 100 * 0.5 / 0.693147180559945 = 72.1347520444482 s;
	 * a half-life later it is half of that. */
	ISO_ASSERT_NEAR(iso_decay_integral_s(100, 0, 100), 72.1347520444482, 1e-11);
	ISO_ASSERT_NEAR(iso_decay_integral_s(100, 100, 100), 36.0673760222241, 1e-11);
	CU_ASSERT_EQUAL(iso_decay_integral_s((double)INFINITY, 50, 7), 7);
	/* 1 us of In-111: 1 - x/2 with x = 1e-6 * ln2 / 242343 s = 2.9e-12, lost by 1 - exp(-x) at 1e-4 of it. */
	ISO_ASSERT_NEAR(iso_decay_integral_s(242343.36, 0, 1e-6) / 1e-6, 1, 1e-11);
	/* The factors that DICOM readers of F-18 and Cu-64 at 600 s must show: duration / integral. */
	ISO_ASSERT_NEAR(600 / iso_decay_integral_s(6584.04, 0, 600), 1.031916, 5e-7);
	ISO_ASSERT_NEAR(600 / iso_decay_integral_s(45721.44, 0, 600), 1.004555, 5e-7);
	ISO_ASSERT_NEAR(600 / iso_decay_integral_s(4062.6, 0, 600), 1.052058, 5e-7); /* Ga-68 at the older 67.71 min */
}

/* docs/nuclides.md shows the rows that the program has. */
static void documentation(void)
{
	const char *root = getenv("ISOTRACE_SOURCE_ROOT");
	if (!root) ISO_SKIP("ISOTRACE_SOURCE_ROOT is not set");
	char path[PATH_MAX], row[200], *text;
	snprintf(path, sizeof path, "%s/docs/nuclides.md", root);
	iso_error err;
	ISO_ASSERT_OK(iso_read_file(path, 1 << 20, &text, NULL, &err), err);
	size_t rows;
	const iso_nuclide *table = iso_nuclide_table(&rows);
	for (size_t i = 0; i < rows; i++) {
		snprintf(row, sizeof row, "| %s | %.9g | %.6g | %g | %.6g |", table[i].name, table[i].half_life_s,
			 table[i].half_life_uncertainty_s, table[i].photon_kev, table[i].branching_fraction);
		if (!strstr(text, row)) printf("# not in docs/nuclides.md: %s\n", row);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, row));
	}
	free(text);
}

static const iso_test tests[] = {
    {"rows are sorted, unique and complete", the_table},
    {"half-lives equal those typed in other units", half_lives_again},
    {"branching fractions", branching},
    {"every spelling of a name", names},
    {"unknown names are refused", unknown_names},
    {"decay factor and integral", decay},
    {"the documented table", documentation},
};
ISO_TEST_MAIN("nuclide", tests)
