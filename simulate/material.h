/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Materials by name and what they do to photons: cross-sections of xraylib, put into tables when a simulation starts. */
#ifndef ISOTRACE_SIMULATE_MATERIAL_H
#define ISOTRACE_SIMULATE_MATERIAL_H

#include <string.h>

#include "core/random.h"
#include <stdbool.h>

#include "isotrace/status.h"

/* The table's energies: 256 equal steps in each octave from 16 keV to 2048 keV. */
#define ISO_MATERIAL_LOWEST_KEV  16.0
#define ISO_MATERIAL_HIGHEST_KEV 2048.0
enum { ISO_MATERIAL_ENERGIES = 7 * 256, ISO_MATERIAL_TRANSFERS = 320 };

/* Per gram, cm2/g. */
typedef struct iso_cross_section {
	double photoelectric, compton, rayleigh;
} iso_cross_section;

typedef struct iso_material {
	const char *name;
	double density_g_ml;      /* usual */
	double lutetium_fraction; /* by mass */
	/* The running sums that a draw between processes needs: photoelectric, + Compton, + Rayleigh = total. */
	struct {
		double absorbed, with_compton, total;
	} table[ISO_MATERIAL_ENERGIES + 1];
	/* Integral of the squared form factor over the square of the momentum transfer x = E sin(angle/2) / 12.398 keV A. */
	double transfer2[ISO_MATERIAL_TRANSFERS], form2_integral[ISO_MATERIAL_TRANSFERS];
} iso_material;

/* A name that is not known: ISO_BAD_INPUT, the remedy lists those that are. Free with free(). */
iso_status iso_material_create(const char *name, iso_material **out, iso_error *err);
/* Without a table; the energy within the table's. Unknown names: NAN. */
double iso_material_attenuation_cm2_g(const char *name, double energy_kev);
/* False: unknown. Any of the numbers may be NULL. */
bool iso_material_facts(const char *name, double *density_g_ml, double *lutetium_fraction);
/* Straight from xraylib and its continuation to higher energies. */
iso_cross_section iso_material_cross_section(const char *name, double energy_kev);

/* Where an energy of the table's range lies in it: steps begin at multiples of 2^(octave - 8), so that the bits of the number
 * say it without a logarithm. */
static inline size_t iso_material_step(double energy_kev, double *fraction)
{
	uint64_t bits;
	memcpy(&bits, &energy_kev, sizeof bits);
	*fraction = (double)(bits & ((UINT64_C(1) << 44) - 1)) * 0x1p-44;
	return (size_t)(bits >> 44) - ((1023 + 4) << 8);
}

static inline double iso_material_total(const iso_material *material, size_t step, double fraction)
{
	const double low = material->table[step].total;
	return low + fraction * (material->table[step + 1].total - low);
}

typedef enum iso_process { ISO_PROCESS_PHOTOELECTRIC, ISO_PROCESS_COMPTON, ISO_PROCESS_RAYLEIGH } iso_process;

/* What happens, given that something does; u in (0, 1). */
static inline iso_process iso_material_process(const iso_material *material, size_t step, double fraction, double u)
{
	const double level = u * iso_material_total(material, step, fraction);
	const double absorbed = material->table[step].absorbed, compton = material->table[step].with_compton;
	if (level < absorbed + fraction * (material->table[step + 1].absorbed - absorbed))
		return ISO_PROCESS_PHOTOELECTRIC;
	return level < compton + fraction * (material->table[step + 1].with_compton - compton) ? ISO_PROCESS_COMPTON
											       : ISO_PROCESS_RAYLEIGH;
}

#endif
