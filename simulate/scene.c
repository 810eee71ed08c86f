/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "simulate/body.h"
#include "simulate/positron.h"
#include "simulate/scene_electronics.h"
#include "simulate/scene_materials.h"

#define MM_PER_PS 0.299792458

void iso_scene_free(iso_scene *scene)
{
	if (!scene) return;
	for (size_t o = 0; scene->phantom.organ && o < scene->phantom.organs; o++) free(scene->phantom.organ[o].term);
	free(scene->phantom.organ);
	free(scene->phantom.shape);
	iso_image_free(scene->phantom.labels);
	free(scene);
}

static iso_status wrong(iso_error *err, const char *remedy, const char *what, double value)
{
	return iso_fail(err, ISO_BAD_INPUT, NULL, remedy, "%s is %g", what, value);
}

static iso_status check_detector(const iso_simulated_detector *d, iso_error *err)
{
	const struct {
		double value;
		const char *what;
	} positive[] = {
	    {d->rings.radius_mm, "the detector's radius_mm"},
	    {d->rings.ring_spacing_mm, "the detector's ring_spacing_mm"},
	    {d->rings.crystal_size_mm[0], "the crystals' width"},
	    {d->rings.crystal_size_mm[1], "the crystals' axial size"},
	    {d->rings.crystal_size_mm[2], "the crystals' depth"},
	    {d->rings.attenuation_per_mm, "the detector's attenuation_per_mm"},
	    {d->energy_window_kev[1], "the upper end of energy_window_kev"},
	    {d->coincidence_window_ns, "coincidence_window_ns"},
	};
	for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
		if (!(positive[i].value > 0) || !isfinite(positive[i].value))
			return wrong(err, "give a number > 0", positive[i].what, positive[i].value);
	if (d->rings.rings < 1 || d->rings.crystals_per_ring < 3)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give at least 1 ring of 3 crystals",
				"the detector has %u rings of %u crystals", d->rings.rings, d->rings.crystals_per_ring);
	if (!(d->rings.mean_depth_mm >= 0 && d->rings.mean_depth_mm <= d->rings.crystal_size_mm[2]))
		return wrong(err, "give a depth inside the crystal, or leave it out to have it worked out",
			     "the detector's mean_depth_mm", d->rings.mean_depth_mm);
	if (!(d->energy_window_kev[0] >= 0 && d->energy_window_kev[0] < d->energy_window_kev[1]))
		return wrong(err, "give the lower end first", "the lower end of energy_window_kev",
			     d->energy_window_kev[0]);
	if (!(d->energy_resolution >= 0 && d->energy_resolution < 1))
		return wrong(err, "give FWHM / E between 0 and 1", "energy_resolution", d->energy_resolution);
	if (!d->crystal_material[0] && !(d->photofraction >= 0 && d->photofraction <= 1))
		return wrong(err, "give a fraction between 0 and 1", "photofraction", d->photofraction);
	if (!(d->time_resolution_ps >= 0) || !isfinite(d->time_resolution_ps))
		return wrong(err, "give a number >= 0", "time_resolution_ps", d->time_resolution_ps);
	if (!(d->tof_bin_ps >= 0) || (d->tof_bin_ps > 0 && !(d->time_resolution_ps > 0)))
		return wrong(err, "give tof_bin_ps >= 0, and with it time_resolution_ps > 0", "tof_bin_ps",
			     d->tof_bin_ps);
	if (!(d->max_transaxial_offset_mm >= 0) || !(d->max_axial_difference_mm >= 0))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give limits >= 0, or leave them out",
				"the pair rule has a negative limit");
	return ISO_OK;
}

/* Percent_id_per_g from the terms, and that it does not fall below zero during the scan: looked at in 1000 moments, which is
 * fine enough for sums of exponentials with half-lives above a hundredth of the scan. */
static iso_status prepare_courses(iso_scene *scene, iso_error *err)
{
	enum { MOMENTS = 1000 };
	const double waited_s = scene->start_utc_s - scene->injection_utc_s;
	for (size_t o = 0; o < scene->phantom.organs; o++) {
		iso_phantom_organ *organ = &scene->phantom.organ[o];
		double largest = 0;
		for (size_t k = 0; k < organ->terms; k++) {
			const iso_uptake_term *term = &organ->term[k];
			if (!isfinite(term->percent_id_per_g) || !(term->half_life_s > 0))
				return iso_fail(err, ISO_BAD_INPUT, NULL, "give half-lives > 0, or none for what stays",
						"the time course of '%s' has %g %%ID/g with a half-life of %g s",
						organ->name, term->percent_id_per_g, term->half_life_s);
			largest = fmax(largest, fabs(term->percent_id_per_g));
		}
		for (int m = MOMENTS; m >= 0 && organ->terms; m--) {
			const double time_s = waited_s + scene->duration_s * m / MOMENTS;
			double sum = 0;
			for (size_t k = 0; k < organ->terms; k++)
				sum += organ->term[k].percent_id_per_g * exp2(-time_s / organ->term[k].half_life_s);
			if (sum < -1e-9 * largest)
				return iso_fail(err, ISO_BAD_INPUT, NULL,
						"give terms whose sum stays >= 0 during the scan",
						"the uptake of '%s' is %g %%ID/g at %g s after the injection",
						organ->name, sum, time_s);
			organ->percent_id_per_g = fmax(sum, 0);
		}
	}
	return ISO_OK;
}

static iso_status check_phantom(const iso_phantom *phantom, iso_error *err)
{
	if (phantom->labels && phantom->shapes)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "leave one of them out",
				"the phantom has shapes and a label volume");
	if (phantom->organs == 0 || (phantom->shapes == 0 && !phantom->labels))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give at least one organ, and a shape or a label volume",
				"the phantom is empty");
	for (size_t o = 0; o < phantom->organs; o++) {
		const iso_phantom_organ *organ = &phantom->organ[o];
		if (organ->label < 1 || organ->label > 32767)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "give labels from 1 to 32767",
					"organ '%s' has label %d", organ->name, organ->label);
		if (!(organ->density_g_per_ml > 0 && organ->density_g_per_ml < 25) || !(organ->mu_per_cm >= 0) ||
		    !isfinite(organ->mu_per_cm) || !(organ->percent_id_per_g >= 0) ||
		    !isfinite(organ->percent_id_per_g))
			return iso_fail(err, ISO_BAD_INPUT, NULL, "give a density > 0, and mu and uptake >= 0",
					"organ '%s' has %g g/mL, mu %g per cm, %g %%ID/g", organ->name,
					organ->density_g_per_ml, organ->mu_per_cm, organ->percent_id_per_g);
		for (size_t other = 0; other < o; other++)
			if (strcmp(phantom->organ[other].name, organ->name) == 0 ||
			    phantom->organ[other].label == organ->label)
				return iso_fail(err, ISO_BAD_INPUT, NULL, "give each organ its own name and label",
						"organs '%s' and '%s' share a name or a label",
						phantom->organ[other].name, organ->name);
		bool shaped = phantom->labels != NULL;
		for (size_t s = 0; s < phantom->shapes; s++) shaped |= phantom->shape[s].organ == o;
		if (!shaped)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "add a shape for it, or remove it",
					"organ '%s' has no shape", organ->name);
	}
	for (size_t s = 0; s < phantom->shapes; s++) {
		const iso_shape *shape = &phantom->shape[s];
		if (shape->organ >= phantom->organs)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "name an organ of the list",
					"shape %zu belongs to no organ", s + 1);
		for (int a = 0; a < 3; a++)
			if (!(shape->half_axes_mm[a] > 0) || !isfinite(shape->half_axes_mm[a]) ||
			    !isfinite(shape->centre_mm[a]) || !isfinite(shape->rotation_deg[a]))
				return iso_fail(err, ISO_BAD_INPUT, NULL, "give half axes > 0 mm and a finite centre",
						"shape %zu (%s) has half axes %g, %g, %g mm", s + 1,
						phantom->organ[shape->organ].name, shape->half_axes_mm[0],
						shape->half_axes_mm[1], shape->half_axes_mm[2]);
	}
	return ISO_OK;
}

static iso_status check_times(const iso_scene *scene, iso_error *err)
{
	if (!(scene->injected_bq > 0) || !isfinite(scene->injected_bq))
		return wrong(err, "give an activity > 0", "the injected activity in Bq", scene->injected_bq);
	/* list-mode times are milliseconds in 32 bits */
	if (!(scene->duration_s > 0 && scene->duration_s < 4294967))
		return wrong(err, "give a duration > 0 and below 4294967 s", "duration_s", scene->duration_s);
	if (!isfinite(scene->injection_utc_s) || !isfinite(scene->start_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state both with date and zone",
				"injection or scan start is not stated");
	if (scene->start_utc_s < scene->injection_utc_s)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "correct injection or scan_start",
				"the scan starts %g s before the injection",
				scene->injection_utc_s - scene->start_utc_s);
	return ISO_OK;
}

static iso_status check_fit(const iso_scene *scene, const iso_body *body, iso_error *err)
{
	for (size_t s = 0; s < body->shapes; s++) {
		const double reach = iso_body_shape_reach_mm(&body->shape[s]);
		if (!(reach < scene->detector.rings.radius_mm))
			return iso_fail(
			    err, ISO_BAD_INPUT, NULL, "make the body smaller or the detector larger",
			    "shape %zu (%s) reaches %.1f mm from the axis, into the detector of %.1f mm radius", s + 1,
			    scene->phantom.organ[body->shape[s].organ].name, reach, scene->detector.rings.radius_mm);
	}
	return ISO_OK;
}

/* Mean depth of the first interaction of photons that enter at right angles and do interact: the mean of an
 * exponential distribution cut at the crystal's back. */
static double mean_depth_mm(double attenuation_per_mm, double depth_mm)
{
	return 1 / attenuation_per_mm - depth_mm / expm1(attenuation_per_mm * depth_mm);
}

iso_status iso_scene_prepare(iso_scene *scene, iso_error *err)
{
	const iso_nuclide *nuclide = NULL;
	iso_positron_range range;
	iso_ring_description *rings = &scene->detector.rings;
	iso_status status = iso_scene_prepare_materials(scene, err);
	if (isnan(rings->mean_depth_mm))
		rings->mean_depth_mm = mean_depth_mm(rings->attenuation_per_mm, rings->crystal_size_mm[2]);
	if (status == ISO_OK) status = check_detector(&scene->detector, err);
	if (status == ISO_OK) status = iso_scene_check_electronics(scene, err);
	if (status == ISO_OK) status = check_times(scene, err);
	if (status == ISO_OK) status = prepare_courses(scene, err);
	if (status == ISO_OK) status = check_phantom(&scene->phantom, err);
	if (status == ISO_OK) status = iso_nuclide_find(scene->nuclide, NULL, &nuclide, err);
	if (status == ISO_OK && !isfinite(nuclide->positron_mean_kev))
		status =
		    iso_fail(err, ISO_BAD_INPUT, NULL, "name a positron emitter",
			     "%s emits no positrons, and the simulated scanner sees only coincidences", nuclide->name);
	if (status == ISO_OK && scene->positron_range) status = iso_positron_range_find(nuclide->name, &range, err);
	if (status != ISO_OK) return status;
	iso_body body;
	status = iso_body_create(&scene->phantom, &body, err);
	if (status == ISO_OK) status = check_fit(scene, &body, err);
	if (status != ISO_OK) {
		iso_body_free(&body);
		return status;
	}
	iso_body_integrate(&body);
	const double left = iso_decay_factor(nuclide->half_life_s, scene->start_utc_s - scene->injection_utc_s);
	iso_phantom_organ *organs = scene->phantom.organ;
	for (size_t o = 0; o < scene->phantom.organs && status == ISO_OK; o++) {
		double volume_ml = 0;
		for (size_t s = 0; s < body.shapes; s++)
			if (body.shape[s].organ == o) volume_ml += body.shape[s].owned_ml;
		if (!(volume_ml > 0))
			status = iso_fail(err, ISO_BAD_INPUT, NULL, "put it after the shapes that cover it",
					  "nothing is left of organ '%s': later shapes cover it", organs[o].name);
		organs[o].volume_ml = volume_ml;
		organs[o].mass_g = volume_ml * organs[o].density_g_per_ml;
		organs[o].activity_bq = organs[o].percent_id_per_g * organs[o].mass_g / 100 * scene->injected_bq * left;
	}
	iso_body_free(&body);
	double activity_bq = 0;
	for (size_t o = 0; o < scene->phantom.organs; o++)
		activity_bq += organs[o].terms ? 1 : organs[o].activity_bq; /* an uptake may rise from zero */
	if (status == ISO_OK && !(activity_bq > 0))
		status =
		    iso_fail(err, ISO_BAD_INPUT, NULL, "give an organ an uptake, and a scan before all has decayed",
			     "there is no activity in the scene at the start of the scan");
	return status;
}

/* Bins that cover any emission inside the bore and three standard deviations of the timing. */
static iso_tof tof_of(const iso_simulated_detector *d)
{
	if (!(d->tof_bin_ps > 0)) return (iso_tof){.bins = 0};
	const double length = d->rings.rings * d->rings.ring_spacing_mm;
	const double longest = sqrt(4 * d->rings.radius_mm * d->rings.radius_mm + length * length);
	const double half_ps = longest / MM_PER_PS + 3 * d->time_resolution_ps / 2.3548200450309493;
	return (iso_tof){.fwhm_ps = d->time_resolution_ps,
			 .bin_ps = d->tof_bin_ps,
			 .bins = 2 * (int32_t)fmin(ceil(half_ps / d->tof_bin_ps - 0.5), 16000) + 1};
}

/* The list-mode's dead time is per recorded single (docs/listmode-format.md), the electronics' per photon that a block takes; of those the
 * crystals' efficiencies let a part through. */
static iso_status state_dead_time(const iso_scene *scene, iso_scanner *scanner, iso_error *err)
{
	const iso_simulated_electronics *e = &scene->electronics;
	if (!e->on || e->dead_time == ISO_DEAD_TIME_NONE) return ISO_OK;
	scanner->dead_time_model = e->dead_time;
	scanner->dead_time_ns = e->dead_time_ns;
	if (!(e->efficiency_spread > 0)) return ISO_OK;
	float *efficiency = malloc(scanner->elements * sizeof *efficiency);
	if (!efficiency) return iso_fail_memory(err, "efficiencies", scanner->elements * sizeof *efficiency);
	iso_scene_efficiencies(scene, efficiency);
	double sum = 0, best = 0;
	for (uint32_t c = 0; c < scanner->elements; c++) {
		sum += (double)efficiency[c];
		best = fmax(best, (double)efficiency[c]);
	}
	free(efficiency);
	scanner->dead_time_ns *= best * scanner->elements / sum;
	return ISO_OK;
}

iso_status iso_scene_scanner(const iso_scene *scene, iso_scanner **out, iso_error *err)
{
	iso_status status = check_detector(&scene->detector, err);
	if (status == ISO_OK) status = iso_scanner_from_rings(&scene->detector.rings, out, err);
	if (status != ISO_OK) return status;
	iso_scanner *scanner = *out;
	scanner->rule.max_transaxial_offset_mm = scene->detector.max_transaxial_offset_mm;
	scanner->rule.max_axial_difference_mm = scene->detector.max_axial_difference_mm;
	scanner->tof = tof_of(&scene->detector);
	scanner->coincidence_window_ns = scene->detector.coincidence_window_ns;
	memcpy(scanner->block_crystals, scene->detector.block_crystals, sizeof scanner->block_crystals);
	scanner->calibration_factor = scene->calibration_factor;
	scanner->calibration_uncertainty = scene->calibration_uncertainty;
	status = state_dead_time(scene, scanner, err);
	if (status != ISO_OK) {
		iso_scanner_free(scanner);
		*out = NULL;
	}
	return status;
}

iso_acquisition iso_scene_acquisition(const iso_scene *scene)
{
	iso_acquisition acquisition = iso_acquisition_unknown();
	const iso_nuclide *nuclide = NULL;
	acquisition.modality = ISO_MODALITY_PET;
	snprintf(acquisition.scanner_name, sizeof acquisition.scanner_name, "%s", scene->detector.rings.name);
	snprintf(acquisition.nuclide, sizeof acquisition.nuclide, "%s", scene->nuclide);
	snprintf(acquisition.tracer, sizeof acquisition.tracer, "%s", scene->tracer);
	snprintf(acquisition.subject, sizeof acquisition.subject, "%s", scene->subject);
	acquisition.start_utc_s = scene->start_utc_s;
	acquisition.duration_s = scene->duration_s;
	acquisition.injection_utc_s = scene->injection_utc_s;
	acquisition.injected_activity_bq = scene->injected_bq;
	for (int i = 0; i < 2; i++) acquisition.energy_window_kev[i] = scene->detector.energy_window_kev[i];
	acquisition.energy_resolution = scene->detector.energy_resolution;
	if (iso_nuclide_find(scene->nuclide, NULL, &nuclide, NULL) == ISO_OK) {
		snprintf(acquisition.nuclide, sizeof acquisition.nuclide, "%s", nuclide->name);
		acquisition.half_life_s = nuclide->half_life_s;
		acquisition.branching_fraction = nuclide->branching_fraction;
	}
	return acquisition;
}
