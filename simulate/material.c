/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/material.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xraylib.h>

#include "core/error.h"

/* xraylib (Kissel's photoelectric cross-sections; Compton and Rayleigh of EPDL97) ends at 800 keV, the photoelectric ones of
 * elements from sodium on just below 1 MeV. */
#define TABLE_END_KEV 800.0
/* From here on momentum transfers scatter nothing: the squared form factors are below 1e-6 of their value at 0. */
#define LARGEST_TRANSFER 90.0

typedef struct ingredient {
	int element;
	double fraction; /* by mass */
} ingredient;

/* Body and plastics: mass fractions of the NIST list of compositions (ICRU 44 and ICRP 23 tissues). Crystals: from their
 * formulas; LYSO is Lu1.8 Y0.2 SiO5. */
static const struct recipe {
	const char *name;
	double density_g_ml;
	ingredient of[14];
} recipes[] = {
    {"water", 1.0, {{1, 0.111894}, {8, 0.888106}}},
    {"soft tissue", 1.0, {{1, 0.101172}, {6, 0.111}, {7, 0.026}, {8, 0.761828}}},
    {"lung",
     1.05,
     {{1, 0.101278},
      {6, 0.10231},
      {7, 0.02865},
      {8, 0.757072},
      {11, 0.00184},
      {12, 0.00073},
      {15, 0.0008},
      {16, 0.00225},
      {17, 0.00266},
      {19, 0.00194},
      {20, 0.00009},
      {26, 0.00037},
      {30, 0.00001}}},
    {"adipose",
     0.92,
     {{1, 0.119477},
      {6, 0.63724},
      {7, 0.00797},
      {8, 0.232333},
      {11, 0.0005},
      {12, 0.00002},
      {15, 0.00016},
      {16, 0.00073},
      {17, 0.00119},
      {19, 0.00032},
      {20, 0.00002},
      {26, 0.00002},
      {30, 0.00002}}},
    {"cortical bone",
     1.85,
     {{1, 0.047234},
      {6, 0.14433},
      {7, 0.04199},
      {8, 0.446096},
      {12, 0.0022},
      {15, 0.10497},
      {16, 0.00315},
      {20, 0.20993},
      {30, 0.0001}}},
    {"PMMA", 1.19, {{1, 0.080538}, {6, 0.599848}, {8, 0.319614}}},
    {"polyethylene", 0.94, {{1, 0.143711}, {6, 0.856289}}},
    {"air", 0.001205, {{6, 0.000124}, {7, 0.755267}, {8, 0.231781}, {18, 0.012827}}},
    {"Teflon", 2.2, {{6, 0.240183}, {9, 0.759817}}},
    {"LSO", 7.4, {{8, 0.174646}, {14, 0.061323}, {71, 0.764032}}},
    {"LYSO", 7.1, {{8, 0.181467}, {14, 0.063718}, {39, 0.040331}, {71, 0.714485}}},
    {"BGO", 7.13, {{8, 0.154122}, {32, 0.174808}, {83, 0.671071}}},
    {"GSO", 6.71, {{8, 0.1893}, {14, 0.066468}, {64, 0.744232}}},
    {"NaI", 3.67, {{11, 0.153425}, {53, 0.846575}}},
};

static const struct recipe *find(const char *name)
{
	for (size_t r = 0; r < sizeof recipes / sizeof *recipes; r++)
		if (strcmp(recipes[r].name, name) == 0) return &recipes[r];
	return NULL;
}

/* Above the table a power law whose exponent goes on changing with ln E as it does from 500 to 800 keV: for iodine, lutetium and
 * bismuth it meets the values that xraylib still has at 850 to 997 keV within 0.3 %. */
static double photoelectric(int element, double kev)
{
	if (kev <= TABLE_END_KEV) return CS_Photo(element, kev, NULL);
	const double e[3] = {500, 632.45553, TABLE_END_KEV}; /* equal ratios */
	double s[3];
	for (int i = 0; i < 3; i++) s[i] = log(CS_Photo(element, e[i], NULL));
	const double step = log(e[2] / e[1]), x = log(kev / e[2]) / step;
	return exp(s[2] + x * (s[2] - s[1]) + 0.5 * x * (x + 1) * (s[2] - 2 * s[1] + s[0]));
}

/* Free electrons above the table, with the table's own last ratio to them (binding: 1 % in heavy elements). */
static double compton(int element, double kev)
{
	if (kev <= TABLE_END_KEV) return CS_Compt(element, kev, NULL);
	return CS_Compt(element, TABLE_END_KEV, NULL) * CS_KN(kev, NULL) / CS_KN(TABLE_END_KEV, NULL);
}

/* Forward coherent scatter falls with the square of the energy. */
static double rayleigh(int element, double kev)
{
	if (kev <= TABLE_END_KEV) return CS_Rayl(element, kev, NULL);
	return CS_Rayl(element, TABLE_END_KEV, NULL) * TABLE_END_KEV * TABLE_END_KEV / (kev * kev);
}

static iso_cross_section cross_section(const struct recipe *recipe, double kev)
{
	iso_cross_section sum = {0, 0, 0};
	for (const ingredient *i = recipe->of; i->element; i++) {
		sum.photoelectric += i->fraction * photoelectric(i->element, kev);
		sum.compton += i->fraction * compton(i->element, kev);
		sum.rayleigh += i->fraction * rayleigh(i->element, kev);
	}
	return sum;
}

iso_cross_section iso_material_cross_section(const char *name, double energy_kev)
{
	const struct recipe *recipe = find(name);
	const double none = (double)NAN;
	return recipe ? cross_section(recipe, energy_kev) : (iso_cross_section){none, none, none};
}

double iso_material_attenuation_cm2_g(const char *name, double energy_kev)
{
	const iso_cross_section all = iso_material_cross_section(name, energy_kev);
	return all.photoelectric + all.compton + all.rayleigh;
}

static double lutetium_fraction(const struct recipe *recipe)
{
	for (const ingredient *i = recipe->of; i->element; i++)
		if (i->element == 71) return i->fraction;
	return 0;
}

bool iso_material_facts(const char *name, double *density_g_ml, double *lutetium)
{
	const struct recipe *recipe = find(name);
	if (!recipe) return false;
	if (density_g_ml) *density_g_ml = recipe->density_g_ml;
	if (lutetium) *lutetium = lutetium_fraction(recipe);
	return true;
}

static double form2(const struct recipe *recipe, double transfer)
{
	double sum = 0;
	for (const ingredient *i = recipe->of; i->element; i++) {
		const double f = FF_Rayl(i->element, transfer, NULL);
		sum += i->fraction / AtomicWeight(i->element, NULL) * f * f;
	}
	return sum;
}

/* Trapezoids on a grid that is even in the logarithm of x, from a first step below which the form factor is that of 0. */
static void fill_form_factors(iso_material *material, const struct recipe *recipe)
{
	const double ratio = pow(LARGEST_TRANSFER / 1e-3, 1.0 / (ISO_MATERIAL_TRANSFERS - 2));
	double before = form2(recipe, 0), x = 1e-3;
	material->transfer2[0] = material->form2_integral[0] = 0;
	for (int i = 1; i < ISO_MATERIAL_TRANSFERS; i++, x *= ratio) {
		const double here = form2(recipe, fmin(x, LARGEST_TRANSFER));
		material->transfer2[i] = x * x;
		material->form2_integral[i] =
		    material->form2_integral[i - 1] +
		    0.5 * (before + here) * (material->transfer2[i] - material->transfer2[i - 1]);
		before = here;
	}
}

iso_status iso_material_create(const char *name, iso_material **out, iso_error *err)
{
	*out = NULL;
	const struct recipe *recipe = find(name);
	if (!recipe) {
		char known[240] = "name one of:";
		for (size_t r = 0, at = strlen(known); r < sizeof recipes / sizeof *recipes; r++)
			at += (size_t)snprintf(known + at, sizeof known - at, "%s %s", r ? "," : "", recipes[r].name);
		return iso_fail(err, ISO_BAD_INPUT, NULL, known, "the material '%s' is not known", name);
	}
	iso_material *material = malloc(sizeof *material);
	if (!material) return iso_fail_memory(err, "a material", sizeof *material);
	material->name = recipe->name;
	material->density_g_ml = recipe->density_g_ml;
	material->lutetium_fraction = lutetium_fraction(recipe);
	for (int i = 0; i <= ISO_MATERIAL_ENERGIES; i++) {
		const double kev = ldexp(ISO_MATERIAL_LOWEST_KEV * (1 + (i % 256) / 256.0), i / 256);
		const iso_cross_section all = cross_section(recipe, kev);
		material->table[i].absorbed = all.photoelectric;
		material->table[i].with_compton = all.photoelectric + all.compton;
		material->table[i].total = all.photoelectric + all.compton + all.rayleigh;
	}
	fill_form_factors(material, recipe);
	*out = material;
	return ISO_OK;
}
