/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Gammas in coincidence with positrons. Energies and intensities per decay: ENSDF (NNDC, Brookhaven), DDEP for Ga-68 and Sc-44. What counts is
 * their number in the decays that emit a positron. Where few levels are fed by positrons it follows from the branches: Sc-44 and Mn-52
 * (all positrons end in the level from which the gammas go), Ga-68 (1.2 of 88.9 %), I-124 (of 22.7 %, 11.7 to the 603 keV level and 0.3 through it), Rb-82 (13.1 of
 * 95.4 %). Br-76 and Y-86 feed many levels: there the intensity per decay is taken. Zr-89's 909 keV follows after 16 s and is not prompt. */
#include <string.h>

#include "isotrace/nuclide.h"

enum { MOST_GAMMAS = 6 };

static const struct row {
	const char *nuclide;
	iso_prompt_gamma gamma[MOST_GAMMAS]; /* ends where the energy is 0 */
} table[] = {
    {"Br-76", {{559.1, 0.74}, {657.0, 0.159}, {1853.7, 0.147}, {1216.1, 0.088}}},
    {"Ga-68", {{1077.3, 0.0135}}},
    {"I-124", {{602.7, 0.529}, {722.8, 0.013}}},
    {"Mn-52", {{1434.1, 1.0}, {935.5, 1.0}, {744.2, 1.0}}},
    {"Rb-82", {{776.5, 0.137}}},
    {"Sc-44", {{1157.0, 1.0}}},
    {"Y-86", {{1076.6, 0.825}, {627.7, 0.326}, {1153.0, 0.305}, {777.4, 0.224}, {1920.7, 0.208}}},
};

const iso_prompt_gamma *iso_nuclide_prompt_gammas(const iso_nuclide *nuclide, size_t *count)
{
	*count = 0;
	if (!nuclide) return NULL;
	for (size_t n = 0; n < sizeof table / sizeof *table; n++) {
		if (strcmp(table[n].nuclide, nuclide->name) != 0) continue;
		while (*count < MOST_GAMMAS && table[n].gamma[*count].energy_kev > 0) (*count)++;
		return table[n].gamma;
	}
	return NULL;
}
