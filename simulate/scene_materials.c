/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/scene_materials.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "simulate/emission.h"
#include "simulate/material.h"

#define ANNIHILATION_KEV 510.99895
/* Attenuations of tables differ by less; a material that was mixed up does not. */
#define AGREEMENT 0.02

/* The attenuation of a material, into *per_mm, or compared with what stands there. */
static iso_status settle(const char *what, const char *material, double density_g_ml, double *per_length,
			 double lengths_per_cm, iso_error *err)
{
	if (!iso_material_facts(material, NULL, NULL)) {
		iso_material *none = NULL; /* says which are known */
		const iso_status status = iso_material_create(material, &none, err);
		free(none);
		return status;
	}
	const double follows =
	    iso_material_attenuation_cm2_g(material, ANNIHILATION_KEV) * density_g_ml / lengths_per_cm;
	if (isnan(*per_length)) *per_length = follows;
	if (fabs(*per_length - follows) > AGREEMENT * follows)
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"leave the attenuation out, or correct it, the material or the density",
				"%s is %s of %g g/mL, which attenuates %.5g per %s at 511 keV, but %.5g is stated",
				what, material, density_g_ml, follows, lengths_per_cm > 1 ? "mm" : "cm", *per_length);
	return ISO_OK;
}

static iso_status settle_organs(iso_phantom *phantom, iso_error *err)
{
	for (size_t o = 0; o < phantom->organs; o++) {
		iso_phantom_organ *organ = &phantom->organ[o];
		char what[48];
		if (!organ->material[0]) {
			if (isnan(organ->mu_per_cm))
				return iso_fail(err, ISO_BAD_INPUT, NULL, "give mu_per_cm, or the material",
						"the attenuation of organ '%s' is not stated", organ->name);
			continue;
		}
		(void)snprintf(what, sizeof what, "organ '%s'", organ->name);
		const iso_status status =
		    settle(what, organ->material, organ->density_g_per_ml, &organ->mu_per_cm, 1, err);
		if (status != ISO_OK) return status;
	}
	return ISO_OK;
}

static iso_status check_effects(const iso_scene *scene, iso_error *err)
{
	const char *crystal = scene->detector.crystal_material;
	const struct {
		bool on;
		const char *name;
	} need_crystal[] = {{scene->scatter, "scatter"},
			    {scene->prompt_gammas, "prompt_gammas"},
			    {scene->lutetium_background, "lutetium_background"}};
	for (size_t i = 0; i < sizeof need_crystal / sizeof *need_crystal; i++)
		if (need_crystal[i].on && !crystal[0])
			return iso_fail(err, ISO_BAD_INPUT, NULL,
					"state the detector's crystal_material instead of attenuation_per_mm and "
					"photofraction",
					"%s needs crystals that tell energies apart", need_crystal[i].name);
	if (scene->scatter && !scene->attenuation)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "switch attenuation on, or scatter off",
				"scatter is on and attenuation off");
	double lutetium = 0;
	if (scene->lutetium_background && iso_material_facts(crystal, NULL, &lutetium) && !(lutetium > 0))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "switch it off, or take crystals of LSO or LYSO",
				"lutetium_background is on, but %s has no lutetium", crystal);
	const iso_nuclide *nuclide = NULL;
	const iso_decay_scheme *scheme = NULL;
	if (!scene->prompt_gammas) return ISO_OK;
	const iso_status status = iso_nuclide_find(scene->nuclide, NULL, &nuclide, err);
	return status == ISO_OK ? iso_decay_scheme_find(nuclide->name, &scheme, err) : status;
}

iso_status iso_scene_prepare_materials(iso_scene *scene, iso_error *err)
{
	iso_simulated_detector *detector = &scene->detector;
	iso_status status = ISO_OK;
	double density_g_ml = 0;
	if (detector->crystal_material[0]) {
		(void)iso_material_facts(detector->crystal_material, &density_g_ml, NULL);
		status = settle("the crystal", detector->crystal_material, density_g_ml,
				&detector->rings.attenuation_per_mm, 10, err);
	}
	if (status == ISO_OK) status = settle_organs(&scene->phantom, err);
	if (status == ISO_OK) status = check_effects(scene, err);
	return status;
}
