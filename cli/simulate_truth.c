/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "cli/simulate_truth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"
#include "io/csv.h"
#include "io/json.h"

static json_t *moment(double utc_s)
{
	char text[40];
	return json_string(iso_time_text(utc_s, text));
}

static void put(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static double percent_id(const iso_phantom_organ *organ)
{
	return organ->percent_id_per_g * organ->mass_g;
}

/* For what a frame should hold: the terms as they stand in the scene. */
static json_t *time_course(const iso_phantom_organ *organ)
{
	json_t *terms = json_array();
	for (size_t k = 0; k < organ->terms; k++) {
		json_t *term = json_object();
		put(term, "percent_id_per_g", iso_json_number(organ->term[k].percent_id_per_g));
		put(term, "half_life_s", iso_json_number(organ->term[k].half_life_s));
		(void)json_array_append_new(terms, term);
	}
	return terms;
}

json_t *truth_json(const iso_scene *scene, const char *scene_path, const iso_simulation_counts *counts)
{
	char hex[65] = "";
	json_t *root = json_object(), *organs = json_array();
	double mass_g = 0, activity_bq = 0, percent = 0;
	for (size_t o = 0; o < scene->phantom.organs; o++) {
		const iso_phantom_organ *organ = &scene->phantom.organ[o];
		json_t *row = json_object();
		put(row, "organ", json_string(organ->name));
		put(row, "label", json_integer(organ->label));
		put(row, "volume_ml", iso_json_number(organ->volume_ml));
		put(row, "mass_g", iso_json_number(organ->mass_g));
		put(row, "activity_bq", iso_json_number(organ->activity_bq));
		put(row, "concentration_bq_per_ml", iso_json_number(organ->activity_bq / organ->volume_ml));
		put(row, "percent_id", iso_json_number(percent_id(organ)));
		put(row, "percent_id_per_g", iso_json_number(organ->percent_id_per_g));
		if (organ->terms) put(row, "time_course", time_course(organ));
		(void)json_array_append_new(organs, row);
		mass_g += organ->mass_g;
		activity_bq += organ->activity_bq;
		percent += percent_id(organ);
	}
	put(root, "software", json_string("isotrace " ISO_VERSION));
	put(root, "verb", json_string("simulate"));
	put(root, "scene", json_string(scene_path));
	if (iso_hash_file(scene_path, hex, NULL) == ISO_OK) put(root, "scene_sha256", json_string(hex));
	put(root, "seed", json_integer((json_int_t)scene->seed));
	put(root, "subject", json_string(scene->subject));
	put(root, "tracer", json_string(scene->tracer));
	put(root, "nuclide", json_string(scene->nuclide));
	put(root, "injected_bq", iso_json_number(scene->injected_bq));
	put(root, "injection_time", moment(scene->injection_utc_s));
	put(root, "scan_start_time", moment(scene->start_utc_s));
	put(root, "duration_s", iso_json_number(scene->duration_s));
	put(root, "decay_reference_of_activity", json_string("start of the scan"));
	put(root, "decay_reference_of_percent_id", json_string("injection"));
	put(root, "organs", organs);
	json_t *body = json_object();
	put(body, "mass_g", iso_json_number(mass_g));
	put(body, "activity_bq", iso_json_number(activity_bq));
	put(body, "percent_id", iso_json_number(percent));
	put(root, "whole_body", body);
	if (counts) {
		json_t *happened = json_object();
		put(happened, "decays", iso_json_number(counts->decays));
		put(happened, "positrons", iso_json_number(counts->positrons));
		const struct {
			const char *name;
			uint64_t count;
			bool always; /* or only with electronics */
		} fates[] = {{"trues", counts->trues, true},
			     {"randoms", counts->randoms, true},
			     {"delayeds", counts->delayeds, true},
			     {"scattered", counts->scattered, false},
			     {"prompt_gammas", counts->prompt_gammas, false},
			     {"background", counts->background, false},
			     {"multiples", counts->multiples, false},
			     {"photons", counts->photons, false},
			     {"lost_dead_time", counts->lost_dead_time, false},
			     {"piled_up", counts->piled_up, false},
			     {"lost_efficiency", counts->lost_efficiency, false},
			     {"outside_window", counts->outside_window, false},
			     {"singles", counts->singles, false}};
		for (size_t n = 0; n < sizeof fates / sizeof *fates; n++)
			if (fates[n].always || scene->electronics.on)
				put(happened, fates[n].name, json_integer((json_int_t)fates[n].count));
		put(happened, "prompts", json_integer((json_int_t)iso_simulation_prompts(counts)));
		if (scene->electronics.on)
			put(happened, "background_decays", iso_json_number(counts->background_decays));
		put(root, "counts", happened);
	}
	return root;
}

iso_status truth_write_json(const char *path, const json_t *truth, iso_error *err)
{
	char *text = truth ? json_dumps(truth, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
	if (!text) return iso_fail_memory(err, "the truth", 0);
	const iso_status status = iso_output_write(path, text, strlen(text), err);
	free(text);
	return status;
}

/* Writes what a text stream in memory has collected. */
static iso_status write_text(const char *path, FILE *stream, char **text, size_t *size, iso_error *err)
{
	const int failed = ferror(stream);
	if (fclose(stream) != 0 || failed) {
		free(*text);
		return iso_fail_memory(err, "a text file", *size);
	}
	const iso_status status = iso_output_write(path, *text, *size, err);
	free(*text);
	return status;
}

iso_status truth_write_organ_table(const char *path, const iso_scene *scene, iso_error *err)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	if (!stream) return iso_fail_memory(err, "a text file", 0);
	fputs("label,organ,density_g_per_ml\n", stream);
	for (size_t o = 0; o < scene->phantom.organs; o++)
		fprintf(stream, "%d,%s,%.10g\n", scene->phantom.organ[o].label, scene->phantom.organ[o].name,
			scene->phantom.organ[o].density_g_per_ml);
	return write_text(path, stream, &text, &size, err);
}

/* As in the laboratory: the syringe is measured ten minutes before and five minutes after the injection, and 2 % of what
 * it would have held at the injection stays in it. */
iso_status truth_write_dose(const char *path, const iso_scene *scene, iso_error *err)
{
	const double before_s = 600, after_s = 300, residue = 0.02;
	const iso_nuclide *nuclide = NULL;
	iso_status status = iso_nuclide_find(scene->nuclide, NULL, &nuclide, err);
	if (status != ISO_OK) return status;
	const double full_bq = scene->injected_bq / (1 - residue);
	double percent = 0, mass_g = 0;
	for (size_t o = 0; o < scene->phantom.organs; o++) {
		percent += percent_id(&scene->phantom.organ[o]);
		mass_g += scene->phantom.organ[o].mass_g;
	}
	char *text = NULL, at[40];
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	if (!stream) return iso_fail_memory(err, "a text file", 0);
	fputs("# Written by isotrace simulate: the net injected activity is the scene's.\n", stream);
	fprintf(stream, "nuclide: %s\n", nuclide->name);
	if (scene->tracer[0]) fprintf(stream, "tracer: \"%s\"\n", scene->tracer);
	fprintf(stream, "injection_time: %s\n", iso_time_text(scene->injection_utc_s, at));
	fprintf(stream, "syringe_before:\n  activity_mbq: %.10g\n  time: %s\n",
		1e-6 * full_bq * iso_decay_factor(nuclide->half_life_s, -before_s),
		iso_time_text(scene->injection_utc_s - before_s, at));
	fprintf(stream, "syringe_after:\n  activity_mbq: %.10g\n  time: %s\n",
		1e-6 * full_bq * residue * iso_decay_factor(nuclide->half_life_s, after_s),
		iso_time_text(scene->injection_utc_s + after_s, at));
	fprintf(stream, "body_mass_g: %.6g\nexcreted_percent_id: %.6g\n", mass_g, fmax(100 - percent, 0));
	return write_text(path, stream, &text, &size, err);
}

iso_status truth_write_image(const char *path, const iso_scene *scene, iso_truth what, iso_error *err)
{
	static const char *const description[] = {"organ labels", "mu at 511 keV, 1/cm",
						  "activity at scan start, Bq/mL"};
	iso_image *image = NULL;
	iso_status status = iso_scene_truth(scene, what, &image, err);
	if (status == ISO_OK) status = iso_nifti_write_image(path, image, description[what], err);
	iso_image_free(image);
	return status;
}

iso_status truth_read_uptakes(const char *path, iso_scene *scene, iso_error *err)
{
	iso_csv *csv = NULL;
	iso_status status = iso_csv_read(path, &csv, err);
	if (status != ISO_OK) return status;
	const int name = iso_csv_column(csv, "organ"), uptake = iso_csv_column(csv, "percent_id_per_g");
	if (name < 0 || uptake < 0)
		status =
		    iso_fail(err, ISO_BAD_INPUT, path, "give the header organ,percent_id_per_g", "a column is missing");
	for (size_t row = 0; row < csv->rows && status == ISO_OK; row++) {
		const char *organ = iso_csv_field(csv, row, name);
		size_t o = 0;
		while (o < scene->phantom.organs && strcmp(scene->phantom.organ[o].name, organ) != 0) o++;
		double value = (double)NAN;
		status = iso_csv_number(csv, row, uptake, &value, err);
		if (status == ISO_OK && o == scene->phantom.organs)
			status =
			    iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, (int64_t)csv->line[row],
					"use the names of the scene's organs", "the scene has no organ '%s'", organ);
		if (status == ISO_OK && !(value >= 0))
			status = iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, (int64_t)csv->line[row],
					     "give an uptake >= 0 in %ID/g",
					     "the uptake of '%s' is missing or negative", organ);
		if (status == ISO_OK) {
			scene->phantom.organ[o].percent_id_per_g = value;
			scene->phantom.organ[o].terms =
			    0; /* constant from now on; what it was is freed with the scene */
		}
	}
	iso_csv_free(csv);
	return status;
}
