/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/emission.h"

#include <string.h>

#include "core/error.h"

/* Yields per decay: DDEP/LNHB and ENSDF, the lines above 5 % (docs/simulation.md lists them). Shares between branches, from
 * ENSDF's feeding of the levels:
 * - Sc-44: every positron feeds the 1157 keV level. Ga-68: 1.2 of the 88.9 % feed the 1077 keV level.
 * - I-124: positrons to the ground state 10.7 %, to the 603 keV level 11.7 %, to the 1326 keV level 0.3 %; the 1691 and most
 *   of the 723 keV gammas follow electron capture, each in a cascade with 602.7 keV.
 * - Mn-52: every positron feeds the 3114 keV level, which falls through all three lines.
 * - Rb-82: 13.1 % of the decays are positrons to the 776 keV level.
 * - Br-76, Y-86, Cu-62: tens of levels, each with positrons and electron capture; taken as independent of the positron and
 *   of one another.
 * - Zr-89: 909 keV comes from Y-89m, 15.7 s later. */
static const iso_decay_scheme table[] = {
    {"Br-76",
     {{0.55, true, {{559.1, 0.74}, {657.0, 0.159}, {1853.7, 0.147}, {1216.1, 0.088}}},
      {0.45, false, {{559.1, 0.74}, {657.0, 0.159}, {1853.7, 0.147}, {1216.1, 0.088}}}},
     {0, 0}},
    {"C-11", {{0.9975, true, {{0, 0}}}, {0.0025, false, {{0, 0}}}}, {0, 0}},
    {"Cu-62", {{0.978, true, {{1172.9, 0.0034}}}, {0.022, false, {{1172.9, 0.0034}}}}, {0, 0}},
    {"Cu-64", {{0.1752, true, {{0, 0}}}, {0.8248, false, {{1345.8, 0.00475 / 0.8248}}}}, {0, 0}},
    {"F-18", {{0.9686, true, {{0, 0}}}, {0.0314, false, {{0, 0}}}}, {0, 0}},
    {"Ga-68",
     {{0.877, true, {{0, 0}}}, {0.012, true, {{1077.3, 1}}}, {0.111, false, {{1077.3, 0.0204 / 0.111}}}},
     {0, 0}},
    {"I-124",
     {{0.107, true, {{0, 0}}},
      {0.117, true, {{602.7, 1}}},
      {0.003, true, {{602.7, 1}, {722.8, 1}}},
      {0.112, false, {{1691.0, 1}, {602.7, 1}}},
      {0.101, false, {{722.8, 1}, {602.7, 1}}},
      {0.296, false, {{602.7, 1}}},
      {0.264, false, {{0, 0}}}},
     {0, 0}},
    {"Mn-52",
     {{0.294, true, {{744.2, 1}, {935.5, 1}, {1434.1, 1}}},
      {0.706, false, {{744.2, 0.606 / 0.706}, {935.5, 0.651 / 0.706}, {1434.1, 1}}}},
     {0, 0}},
    {"N-13", {{0.99818, true, {{0, 0}}}, {0.00182, false, {{0, 0}}}}, {0, 0}},
    {"O-15", {{0.99885, true, {{0, 0}}}, {0.00115, false, {{0, 0}}}}, {0, 0}},
    {"Rb-82", {{0.954, true, {{776.5, 0.131 / 0.954}}}, {0.046, false, {{776.5, 0.020 / 0.046}}}}, {0, 0}},
    {"Sc-44", {{0.9427, true, {{1157.0, 1}}}, {0.0573, false, {{1157.0, 0.0563 / 0.0573}}}}, {0, 0}},
    {"Y-86",
     {{0.319, true, {{1076.6, 0.825}, {627.7, 0.326}, {1153.0, 0.305}, {777.4, 0.224}, {1920.7, 0.208}}},
      {0.681, false, {{1076.6, 0.825}, {627.7, 0.326}, {1153.0, 0.305}, {777.4, 0.224}, {1920.7, 0.208}}}},
     {0, 0}},
    {"Zr-89", {{0.2274, true, {{0, 0}}}, {0.7726, false, {{1713.0, 0.0075 / 0.7726}}}}, {909.15, 0.9904}},
};

iso_status iso_decay_scheme_find(const char *nuclide, const iso_decay_scheme **out, iso_error *err)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(table[i].nuclide, nuclide) == 0) {
			*out = &table[i];
			return ISO_OK;
		}
	return iso_fail(err, ISO_BAD_INPUT, NULL, "switch prompt_gammas off, or take a nuclide of docs/simulation.md",
			"the gammas of %s are not known", nuclide);
}
