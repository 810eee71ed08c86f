/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Densities of tissues: ICRP Publication 110 and ICRU Report 46 (adult human tissue; rodents' differ by less than the
 * uncertainties here). Those reports state no uncertainty: it is estimated here as that of a rectangular distribution
 * over the spread between them, half-width / sqrt(3). */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "isotrace/organs.h"

#define SOFT  0.01 /* half-width 0.015 to 0.02 g/mL among soft tissues */
#define LUNG  0.07 /* 0.26 inflated without blood ... 0.50 deflated */
#define BONE  0.06 /* share of marrow */
#define MIXED 0.02 /* tissue together with what it holds */

static const struct {
	const char *organ;
	double g_per_ml, uncertainty_g_per_ml;
} table[] = {
    {"adrenals", 1.03, SOFT},     {"bladder", 1.03, MIXED},
    {"blood", 1.06, SOFT},        {"body", 1.03, MIXED},
    {"bone", 1.35, BONE},         {"brain", 1.04, SOFT},
    {"carcass", 1.03, MIXED},     {"cortical bone", 1.92, BONE},
    {"fat", 0.95, SOFT},          {"femur", 1.35, BONE},
    {"gall bladder", 1.03, SOFT}, {"gallbladder", 1.03, SOFT},
    {"heart", 1.05, SOFT},        {"intestine", 1.04, MIXED},
    {"intestines", 1.04, MIXED},  {"kidney", 1.05, SOFT},
    {"kidney left", 1.05, SOFT},  {"kidney right", 1.05, SOFT},
    {"kidneys", 1.05, SOFT},      {"large intestine", 1.04, MIXED},
    {"left kidney", 1.05, SOFT},  {"liver", 1.05, SOFT},
    {"lung", 0.38, LUNG},         {"lungs", 0.38, LUNG},
    {"lymph node", 1.03, SOFT},   {"muscle", 1.05, SOFT},
    {"myocardium", 1.05, SOFT},   {"pancreas", 1.05, SOFT},
    {"remainder", 1.03, MIXED},   {"rest", 1.03, MIXED},
    {"right kidney", 1.05, SOFT}, {"skeleton", 1.35, BONE},
    {"skin", 1.09, SOFT},         {"small intestine", 1.04, MIXED},
    {"soft tissue", 1.04, SOFT},  {"spleen", 1.05, SOFT},
    {"spongiosa", 1.18, BONE},    {"stomach", 1.04, MIXED},
    {"testes", 1.04, SOFT},       {"thyroid", 1.05, SOFT},
    {"tumor", 1.05, MIXED},       {"tumour", 1.05, MIXED},
    {"urine", 1.02, SOFT},        {"whole body", 1.03, MIXED},
};

bool iso_tissue_density(const char *organ, double *g_per_ml, double *uncertainty_g_per_ml, const char **source)
{
	char name[32];
	if (strlen(organ) >= sizeof name) return false;
	strcpy(name, organ);
	for (char *at = name; *at; at++)
		if (*at == '_' || *at == '-') *at = ' ';
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (strcasecmp(table[i].organ, name) != 0) continue;
		if (g_per_ml) *g_per_ml = table[i].g_per_ml;
		if (uncertainty_g_per_ml) *uncertainty_g_per_ml = table[i].uncertainty_g_per_ml;
		if (source) *source = "ICRP 110 / ICRU 46; uncertainty estimated from their spread";
		return true;
	}
	return false;
}
