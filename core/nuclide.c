/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Decay data are facts from the evaluations named per row: DDEP/LNHB (Table of Radionuclides, BIPM Monographie 5) and
 * ENSDF (NNDC, Brookhaven); docs/nuclides.md says how they were chosen. An uncertainty "(n)" there counts the last digits
 * of its value and is written out here in full, k = 1. */
#include "isotrace/nuclide.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

#define MINUTES(value, uncertainty) 60.0 * (value), 60.0 * (uncertainty)
#define HOURS(value, uncertainty)   3600.0 * (value), 3600.0 * (uncertainty)
#define DAYS(value, uncertainty)    86400.0 * (value), 86400.0 * (uncertainty)
#define PERCENT(value, uncertainty) 0.01 * (value), 0.01 * (uncertainty)
#define NONE                        (double)NAN /* not stated, or not a positron emitter */
#define DDEP                        "DDEP/LNHB"
#define ENSDF                       "ENSDF"
/* The collection that the row was taken from names no evaluation but reports agreement with ICRP 107. */
#define UNNAMED "evaluation not recorded; within 0.5 % of ICRP 107"

static const iso_nuclide table[] = {
    {"Au-198", DAYS(2.6944, 0.0008), PERCENT(95.6, 0.1), 411.80, NONE, NONE, UNNAMED, "24301009", "SCT", "^198^Gold"},
    {"Br-76", HOURS(16.2, 0.2), PERCENT(55, 3), 511, 3941, 1270, ENSDF, "79523006", "SCT", "^76^Bromine"},
    {"C-11", MINUTES(20.361, 0.023), PERCENT(99.750, 0.013), 511, 960.5, 385.3, DDEP, "40565003", "SCT", "^11^Carbon"},
    {"Cu-62", MINUTES(9.67, 0.03), PERCENT(97.8, NONE), 511, 2936.9, 1320, ENSDF, "422934004", "SCT", "^62^Copper"},
    {"Cu-64", HOURS(12.7004, 0.0020), PERCENT(17.52, 0.15), 511, 653.0, 278, DDEP, "3932008", "SCT", "^64^Copper"},
    {"F-18", HOURS(1.82890, 0.00023), PERCENT(96.86, 0.19), 511, 633.9, 250.5, DDEP, "77004003", "SCT", "^18^Fluorine"},
    {"Ga-67", DAYS(3.2613, 0.0005), PERCENT(38.1, 0.7), 93.3, NONE, NONE, DDEP, "2008008", "SCT", "^67^Gallium"},
    /* All positron branches together (87.7 + 1.2 %), not the main branch alone. */
    {"Ga-68", MINUTES(67.83, 0.20), PERCENT(88.9, 0.4), 511, 1899.1, 828, DDEP, "35337001", "SCT", "^68^Gallium"},
    {"I-123", HOURS(13.2234, 0.0037), PERCENT(83.3, 0.4), 158.97, NONE, NONE, DDEP, "21572004", "SCT", "^123^Iodine"},
    {"I-124", DAYS(4.1760, 0.0003), PERCENT(22.7, 1.3), 511, 2137.6, 815, ENSDF, "40937006", "SCT", "^124^Iodine"},
    {"I-125", DAYS(59.39, 0.03), PERCENT(6.63, NONE), 35.5, NONE, NONE, UNNAMED, "68630002", "SCT", "^125^Iodine"},
    {"I-131", DAYS(8.0233, 0.0019), PERCENT(81.2, 0.8), 364.489, NONE, NONE, DDEP, "1368003", "SCT", "^131^Iodine"},
    {"In-111", DAYS(2.8049, 0.0006), PERCENT(94.12, 0.06), 245.35, NONE, NONE, DDEP, "56609000", "SCT", "^111^Indium"},
    {"Lu-177", DAYS(6.6470, 0.0040), PERCENT(10.38, 0.07), 208.366, NONE, NONE, DDEP, "447553000", "SCT",
     "^177^Lutetium"},
    {"Mn-52", DAYS(5.591, 0.003), PERCENT(29.4, NONE), 511, 575, 242, ENSDF, "37225000", "SCT", "^52^Manganese"},
    {"N-13", MINUTES(9.967, 0.004), PERCENT(99.818, 0.013), 511, 1198.5, 492.2, DDEP, "21576001", "SCT",
     "^13^Nitrogen"},
    {"O-15", MINUTES(2.041, 0.006), PERCENT(99.885, 0.006), 511, 1731.9, 734.8, DDEP, "129504001", "SCT", "^15^Oxygen"},
    {"Rb-82", MINUTES(1.2575, 0.0002), PERCENT(95.4, NONE), 511, 3378, 1473, ENSDF, "79197006", "SCT", "^82^Rubidium"},
    {"Re-188", HOURS(17.005, 0.004), PERCENT(15.6, 0.2), 155.0, NONE, NONE, UNNAMED, "423578007", "SCT",
     "^188^Rhenium"},
    /* The ground state. A newer measurement gives 4.042(7) h; the evaluated value stands until it is re-evaluated. */
    {"Sc-44", HOURS(3.97, 0.04), PERCENT(94.27, 0.05), 511, 1473.5, 632, ENSDF, "126600", "DCM", "^44^Scandium"},
    {"Tc-99m", HOURS(6.0067, 0.0010), PERCENT(88.5, 0.2), 140.511, NONE, NONE, DDEP, "72454006", "SCT",
     "^99m^Technetium"},
    {"Tl-201", DAYS(3.0421, 0.0017), PERCENT(10.0, 0.1), 167.4, NONE, NONE, ENSDF, "60057003", "SCT", "^201^Thallium"},
    {"Y-86", HOURS(14.74, 0.02), PERCENT(31.9, 2.1), 511, 3141, 690, ENSDF, "10738001", "SCT", "^86^Yttrium"},
    {"Zr-89", HOURS(78.41, 0.12), PERCENT(22.74, 0.24), 511, 902, 392.1, ENSDF, "63360001", "SCT", "^89^Zirconium"},
};

#define ROWS (sizeof table / sizeof *table)

const iso_nuclide *iso_nuclide_table(size_t *rows)
{
	if (rows) *rows = ROWS;
	return table;
}

/* Lower case without the marks that only separate; false when it does not fit. */
static bool bare(const char *name, char *text, size_t size)
{
	size_t used = 0;
	for (; *name; name++) {
		if (*name == '-' || *name == '^' || *name == ' ') continue;
		if (used + 1 >= size) return false;
		text[used++] = (char)tolower((unsigned char)*name);
	}
	text[used] = '\0';
	return true;
}

/* Element before mass or mass before element; the element by its symbol or by its English name. Comparing with whole
 * spellings keeps "52Mn" apart from a metastable "52mN". */
static bool matches(const iso_nuclide *row, const char *wanted)
{
	char symbol[32], meaning[32], mass[16], form[64];
	(void)bare(row->name, symbol, sizeof symbol);
	(void)bare(row->dicom_meaning, meaning, sizeof meaning); /* already mass before element */
	const size_t letters = strcspn(symbol, "0123456789");
	snprintf(mass, sizeof mass, "%s", symbol + letters);
	const char *element = meaning + strlen(mass);
	if (strcmp(wanted, symbol) == 0 || strcmp(wanted, meaning) == 0) return true;
	snprintf(form, sizeof form, "%s%.*s", mass, (int)letters, symbol);
	if (strcmp(wanted, form) == 0) return true;
	snprintf(form, sizeof form, "%s%s", element, mass);
	return strcmp(wanted, form) == 0;
}

iso_status iso_nuclide_find(const char *name, const char *file, const iso_nuclide **out, iso_error *err)
{
	*out = NULL;
	char wanted[32];
	if (name && bare(name, wanted, sizeof wanted))
		for (size_t i = 0; i < ROWS; i++)
			if (matches(&table[i], wanted)) {
				*out = &table[i];
				return ISO_OK;
			}
	char known[400];
	size_t used = 0;
	for (size_t i = 0; i < ROWS && used < sizeof known; i++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", table[i].name);
	if (!name || !*name)
		return iso_fail(err, ISO_BAD_INPUT, file, "name the nuclide, as in Cu-64", "the nuclide is not stated");
	char remedy[480];
	snprintf(remedy, sizeof remedy, "use one of %s", known);
	return iso_fail(err, ISO_BAD_INPUT, file, remedy, "the nuclide '%.40s' is not in the table", name);
}

double iso_decay_factor(double half_life_s, double elapsed_s)
{
	return exp(-M_LN2 * elapsed_s / half_life_s);
}

double iso_decay_integral_s(double half_life_s, double start_s, double duration_s)
{
	const double rate = M_LN2 / half_life_s;
	if (rate == 0) return duration_s;
	/* expm1: for frames that are short against the half-life 1 - exp(-x) would lose its digits. */
	return exp(-rate * start_s) * -expm1(-rate * duration_s) / rate;
}
