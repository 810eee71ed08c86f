/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mu at 511 keV by Hounsfield units. All materials' mu at 511 keV follow the density of electrons, so that one line serves for air and water; in
 * bone the tube's photons also meet calcium, which Hounsfield units overrate: the more, the softer the beam. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xraylib/xraylib.h>

#include "core/error.h"
#include "core/number_text.h"
#include "isotrace/attenuation.h"

#define WATER         "Water, Liquid"
#define BONE          "Bone, Cortical (ICRP)"
#define BONE_G_PER_ML 1.85
#define BREAK_HU      50.0
#define PAIR_KEV      511.0

/* Clinical CT: Carney et al., Med. Phys. 33 (2006) 976, in the form in which STIR's file for GE scanners has it. */
static const struct {
	double kvp, bone_per_cm, slope_per_cm;
} clinical[] = {{80, 0.0989, 3.84e-5}, {100, 0.0985, 4.56e-5}, {120, 0.0982, 5.11e-5}, {140, 0.0980, 5.60e-5}};
enum { CLINICAL = sizeof clinical / sizeof *clinical };

/* A mixture by NIST's name. Looked up here: xraylib's CS_Total_CP tries the name as a formula first, and loses memory over that. */
static double mixture_cm2_per_g(const struct compoundDataNIST *known, double kev, xrl_error **problem)
{
	double sum = 0;
	for (int e = 0; e < known->nElements && !*problem; e++)
		sum += known->massFractions[e] * CS_Total(known->Elements[e], kev, problem);
	return sum;
}

/* xraylib reads a formula in the C locale, and leaves the whole program in it. */
static double formula_cm2_per_g(const char *formula, double kev, xrl_error **problem)
{
	char set[256];
	const char *now = setlocale(LC_NUMERIC, NULL);
	snprintf(set, sizeof set, "%s", now ? now : "C");
	const double sum = CS_Total_CP(formula, kev, problem);
	if (strcmp(set, "C") != 0) (void)setlocale(LC_NUMERIC, set);
	return sum;
}

iso_status iso_mu_of_material(const char *material, double density_g_per_ml, double kev, double *per_cm, iso_error *err)
{
	xrl_error *problem = NULL;
	*per_cm = (double)NAN;
	struct compoundDataNIST *known = GetCompoundDataNISTByName(material, NULL);
	const double cm2_per_g =
	    known ? mixture_cm2_per_g(known, kev, &problem) : formula_cm2_per_g(material, kev, &problem);
	if (known && isnan(density_g_per_ml)) density_g_per_ml = known->density;
	if (known) FreeCompoundDataNIST(known);
	if (problem) {
		char words[200];
		const bool memory = problem->code == XRL_ERROR_MEMORY;
		snprintf(words, sizeof words, "%s", problem->message);
		xrl_error_free(problem);
		if (memory) return iso_fail_memory(err, "cross-sections", 0);
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"name a material as NIST does (\"Water, Liquid\", \"Bone, Cortical (ICRP)\") or by its "
				"formula (H2O)",
				"no cross-sections of '%s' at %g keV: %s", material, kev, words);
	}
	if (isnan(density_g_per_ml))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state density_g_per_ml", "the density of '%s' is not known",
				material);
	*per_cm = cm2_per_g * density_g_per_ml;
	return ISO_OK;
}

static void start(iso_mu_curve *curve)
{
	*curve = (iso_mu_curve){.water_per_cm = ISO_MU_WATER_PER_CM,
				.break_hu = BREAK_HU,
				.kvp = (double)NAN,
				.effective_kev = (double)NAN};
}

/* Cortical bone lies at the end of the second line; half as much again leaves room for enamel and noise. */
static double most_hu(const iso_mu_curve *curve, double bone_mu)
{
	return fmax(3000, 1.5 * (bone_mu - curve->bone_per_cm) / curve->bone_slope_per_cm);
}

/* The line from the end of the first one to cortical bone, which has bone_hu in this beam. */
static iso_status aim_at_bone(double bone_hu, iso_mu_curve *curve, iso_error *err)
{
	double bone_mu;
	const iso_status status = iso_mu_of_material(BONE, BONE_G_PER_ML, PAIR_KEV, &bone_mu, err);
	if (status != ISO_OK) return status;
	const double low = curve->water_per_cm * (1 + curve->break_hu / 1000);
	curve->bone_slope_per_cm = (bone_mu - low) / (bone_hu - curve->break_hu);
	curve->bone_per_cm = low - curve->bone_slope_per_cm * curve->break_hu;
	curve->most_hu = most_hu(curve, bone_mu);
	return ISO_OK;
}

iso_status iso_mu_curve_of_energy(double effective_kev, iso_mu_curve *out, iso_error *err)
{
	start(out);
	if (!(effective_kev >= 15 && effective_kev <= 150))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give the effective energy of the X-rays, 15 to 150 keV",
				"an effective energy of %g keV", effective_kev);
	double water, bone;
	iso_status status = iso_mu_of_material(WATER, 1, effective_kev, &water, err);
	if (status == ISO_OK) status = iso_mu_of_material(BONE, BONE_G_PER_ML, effective_kev, &bone, err);
	if (status != ISO_OK) return status;
	out->effective_kev = effective_kev;
	iso_snprintf(out->source, sizeof out->source, "water and cortical bone at %.1f keV (xraylib)", effective_kev);
	return aim_at_bone(1000 * (bone / water - 1), out, err);
}

/* The effective energy of a preclinical CT, by what Hounsfield units mean: where bone has the HU that it has in the beam. The
 * beam: Kramers' spectrum behind 1 mm of aluminium and 15 mm of water (a mouse), in a detector that adds up energy in 0.2 mm of CsI.
 * Other filters (0.5 to 2 mm of aluminium) move the energy by +-3 keV: docs/attenuation.md says what that does. */
static iso_status preclinical_bone_hu(double kvp, double *bone_hu, iso_error *err)
{
	double sums[3] = {0, 0, 0};
	for (double kev = 10.5; kev < kvp; kev += 1) {
		double al, water, bone, csi;
		iso_status status = iso_mu_of_material("Al", 2.699, kev, &al, err);
		if (status == ISO_OK) status = iso_mu_of_material(WATER, 1, kev, &water, err);
		if (status == ISO_OK) status = iso_mu_of_material(BONE, BONE_G_PER_ML, kev, &bone, err);
		if (status == ISO_OK) status = iso_mu_of_material("CsI", 4.51, kev, &csi, err);
		if (status != ISO_OK) return status;
		/* photons per keV ~ kvp/kev - 1; each leaves kev in the detector */
		const double signal = (kvp / kev - 1) * kev * exp(-0.1 * al - 1.5 * water) * -expm1(-0.02 * csi);
		sums[0] += signal;
		sums[1] += signal * water;
		sums[2] += signal * bone;
	}
	*bone_hu = 1000 * (sums[2] / sums[1] - 1);
	return ISO_OK;
}

static iso_status energy_of_bone_hu(double bone_hu, double *effective_kev, iso_error *err)
{
	double low = 15, high = 150;
	for (int n = 0; n < 40; n++) {
		double water, bone;
		*effective_kev = (low + high) / 2;
		iso_status status = iso_mu_of_material(WATER, 1, *effective_kev, &water, err);
		if (status == ISO_OK) status = iso_mu_of_material(BONE, BONE_G_PER_ML, *effective_kev, &bone, err);
		if (status != ISO_OK) return status;
		/* bone's HU falls with the energy */
		if (1000 * (bone / water - 1) > bone_hu)
			low = *effective_kev;
		else
			high = *effective_kev;
	}
	return ISO_OK;
}

static iso_status preclinical(double kvp, iso_mu_curve *out, iso_error *err)
{
	double bone_hu;
	iso_status status = preclinical_bone_hu(kvp, &bone_hu, err);
	if (status == ISO_OK) status = energy_of_bone_hu(bone_hu, &out->effective_kev, err);
	if (status == ISO_OK) status = aim_at_bone(bone_hu, out, err);
	iso_snprintf(out->source, sizeof out->source, "preclinical beam of %g kV, effective %.1f keV (xraylib)", kvp,
		     out->effective_kev);
	return status;
}

iso_status iso_mu_curve_of_kvp(double kvp, iso_mu_curve *out, iso_error *err)
{
	start(out);
	if (isnan(kvp))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --kvp KV", "the CT does not state its tube voltage");
	if (!(kvp >= 40 && kvp <= 150))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --ct-table FILE or --ct-effective-kev KEV",
				"no table for a tube voltage of %g kV, only from 40 to 150 kV", kvp);
	out->kvp = kvp;
	if (kvp < 70) return preclinical(kvp, out, err);
	int row = 0;
	while (row < CLINICAL - 2 && kvp > clinical[row + 1].kvp) row++;
	const double part = (kvp - clinical[row].kvp) / (clinical[row + 1].kvp - clinical[row].kvp);
	out->bone_per_cm =
	    clinical[row].bone_per_cm + part * (clinical[row + 1].bone_per_cm - clinical[row].bone_per_cm);
	out->bone_slope_per_cm =
	    clinical[row].slope_per_cm + part * (clinical[row + 1].slope_per_cm - clinical[row].slope_per_cm);
	out->most_hu = 3000;
	iso_snprintf(out->source, sizeof out->source, "published table of clinical CT at %g kV", kvp);
	return ISO_OK;
}

double iso_mu_of_hu(const iso_mu_curve *curve, double hu)
{
	if (hu <= curve->break_hu) return fmax(0, curve->water_per_cm * (1 + hu / 1000));
	return curve->bone_per_cm + curve->bone_slope_per_cm * fmin(hu, curve->most_hu);
}
