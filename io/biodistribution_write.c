/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * biodistribution.csv (one row per subject, frame and organ) and biodistribution.json (the same with all that led to it).
 * Columns and members are described in docs/results.md. */
#define _GNU_SOURCE
#include "isotrace/biodistribution.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "io/json.h"
#include "isotrace/time.h"
#include "isotrace/version.h"

/* The numbers of a row that the CSV and the JSON share, in the order of the columns. */
static const struct {
	const char *name;
	size_t offset;
} numbers[] = {
    {"volume_ml", offsetof(iso_uptake, volume_ml)},
    {"mass_g", offsetof(iso_uptake, mass_g)},
    {"mass_source", 0},
    {"activity_bq", offsetof(iso_uptake, activity_bq)},
    {"concentration_bq_per_ml", offsetof(iso_uptake, concentration_bq_per_ml)},
    {"percent_id", offsetof(iso_uptake, percent_id)},
    {"percent_id_per_g", offsetof(iso_uptake, percent_id_per_g)},
    {"percent_id_per_g_low", offsetof(iso_uptake, percent_id_per_g_low)},
    {"percent_id_per_g_high", offsetof(iso_uptake, percent_id_per_g_high)},
    {"suv_bw", offsetof(iso_uptake, suv_bw)},
    {"u_counting", offsetof(iso_uptake, u_counting)},
    {"u_calibration", offsetof(iso_uptake, u_calibration)},
    {"u_volume", offsetof(iso_uptake, u_volume)},
    {"u_density", offsetof(iso_uptake, u_density)},
    {"u_mass", offsetof(iso_uptake, u_mass)},
    {"u_injected", offsetof(iso_uptake, u_injected)},
    {"u_half_life", offsetof(iso_uptake, u_half_life)},
    {"u_branching", offsetof(iso_uptake, u_branching)},
    {"u_total", offsetof(iso_uptake, u_total)},
    {"degrees_of_freedom", offsetof(iso_uptake, degrees_of_freedom)},
    {"u_volume_percent_id", offsetof(iso_uptake, u_volume_percent_id)},
    {"u_total_percent_id", offsetof(iso_uptake, u_total_percent_id)},
    {"u_volume_concentration", offsetof(iso_uptake, u_volume_concentration)},
    {"u_half_life_activity", offsetof(iso_uptake, u_half_life_activity)},
    {"u_body_mass", offsetof(iso_uptake, u_body_mass)},
    {"u_total_volume", offsetof(iso_uptake, u_total_volume)},
    {"u_total_mass", offsetof(iso_uptake, u_total_mass)},
    {"u_total_activity", offsetof(iso_uptake, u_total_activity)},
    {"u_total_concentration", offsetof(iso_uptake, u_total_concentration)},
    {"u_total_suv_bw", offsetof(iso_uptake, u_total_suv_bw)},
};

static double number_of(const iso_uptake *row, size_t column)
{
	double value;
	memcpy(&value, (const char *)row + numbers[column].offset, sizeof value);
	return value;
}

/* --- CSV --- */

static void put_text(FILE *file, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, file);
		return;
	}
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"') fputc('"', file);
		fputc(*text, file);
	}
	fputc('"', file);
}

static void put_number(FILE *file, double value)
{
	fputc(',', file);
	if (isinf(value))
		fputs(value > 0 ? "inf" : "-inf", file);
	else if (!isnan(value))
		fprintf(file, "%.9g", value);
}

static void put_rows(FILE *file, const iso_biodistribution *result, bool gated)
{
	char injected[40];
	iso_time_text(result->dose.injection_utc_s, injected);
	for (size_t f = 0; f < result->frames; f++)
		for (size_t o = 0; o < result->organs; o++) {
			const iso_uptake *row = &result->row[f * result->organs + o];
			put_text(file, result->subject);
			fputc(',', file);
			put_text(file, result->group);
			put_number(file, result->time_h[f]);
			fputc(',', file);
			put_text(file, row->organ);
			for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++) {
				if (strcmp(numbers[c].name, "mass_source") != 0) {
					put_number(file, number_of(row, c));
					continue;
				}
				fputc(',', file);
				put_text(file, row->mass_source);
			}
			put_number(file, result->recovered_percent_id[f]);
			put_number(file, result->recovered_uncertainty[f]);
			put_number(file, result->expected_percent_id);
			put_number(file, result->injected_bq);
			fprintf(file, ",%s,%s", result->dose.nuclide, injected);
			if (gated && result->gate)
				fprintf(file, ",%zu", f + 1);
			else if (gated)
				fputc(',', file);
			fputs("\r\n", file);
		}
}

static iso_status write_csv(const iso_output *output, iso_biodistribution *const *results, size_t count, iso_error *err)
{
	FILE *file = fopen(output->temporary, "wb");
	if (!file) return iso_fail_errno(err, output->path, "cannot create");
	fputs("subject,group,time_h,organ", file);
	for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++) fprintf(file, ",%s", numbers[c].name);
	fputs(",recovered_percent_id,recovered_percent_id_uncertainty,expected_percent_id,injected_bq,nuclide,"
	      "decay_corrected_to",
	      file);
	/* a column of gated scans alone: other tables stay as they are */
	bool gated = false;
	for (size_t r = 0; r < count; r++) gated = gated || results[r]->gate;
	fputs(gated ? ",gate\r\n" : "\r\n", file);
	for (size_t r = 0; r < count; r++) put_rows(file, results[r], gated);
	const int failed = fflush(file) != 0 || ferror(file);
	iso_status status = failed ? iso_fail_errno(err, output->path, "cannot write") : ISO_OK;
	if (fclose(file) != 0 && !failed) status = iso_fail_errno(err, output->path, "cannot write");
	return status;
}

/* --- JSON; what is not known is null --- */

static void set_number(iso_json *json, json_t *object, const char *key, double value)
{
	iso_json_set(json, object, key, iso_json_number(value));
}

/* Empty is null. */
static void set_text(iso_json *json, json_t *object, const char *key, const char *text)
{
	iso_json_set(json, object, key, *text ? iso_json_readable(text) : json_null());
}

static void set_time(iso_json *json, json_t *object, const char *key, double utc_s)
{
	char text[40];
	set_text(json, object, key, iso_time_text(utc_s, text));
}

static json_t *dose_json(iso_json *json, const iso_biodistribution *result)
{
	const iso_dose *dose = &result->dose;
	json_t *out = json_object();
	set_text(json, out, "nuclide", dose->nuclide);
	const iso_nuclide *nuclide;
	if (iso_nuclide_find(dose->nuclide, NULL, &nuclide, NULL) == ISO_OK) {
		set_number(json, out, "half_life_s", nuclide->half_life_s);
		set_number(json, out, "half_life_uncertainty_s", nuclide->half_life_uncertainty_s);
		set_text(json, out, "half_life_source", nuclide->source);
	}
	set_text(json, out, "tracer", dose->tracer);
	set_text(json, out, "route", dose->route);
	set_number(json, out, "syringe_before_bq", dose->before.activity_bq);
	set_time(json, out, "syringe_before_time", dose->before.utc_s);
	set_number(json, out, "syringe_after_bq", dose->after.activity_bq);
	set_time(json, out, "syringe_after_time", dose->after.utc_s);
	set_time(json, out, "injection_time", dose->injection_utc_s);
	set_number(json, out, "injected_bq", result->injected_bq);
	set_number(json, out, "injected_relative_uncertainty", result->injected_relative_uncertainty);
	set_number(json, out, "body_mass_g", dose->body_mass_g);
	set_number(json, out, "body_mass_uncertainty_g", dose->body_mass_uncertainty_g);
	set_number(json, out, "excreted_percent_id", dose->excreted_percent_id);
	return out;
}

static json_t *volume_json(iso_json *json, const iso_biodistribution *result)
{
	const iso_corrections *c = &result->corrections;
	const struct {
		const char *name, *text;
	} corrections[] = {
	    {"randoms", c->randoms},       {"attenuation", c->attenuation},
	    {"scatter", c->scatter},       {"normalisation", c->normalisation},
	    {"dead_time", c->dead_time},   {"decay", c->decay},
	    {"branching", c->branching},   {"calibration", c->calibration},
	    {"resolution", c->resolution}, {"post_filter", c->post_filter},
	};
	json_t *done = json_object(), *facts = json_object(), *out = json_object();
	for (size_t i = 0; i < sizeof corrections / sizeof *corrections; i++)
		set_text(json, done, corrections[i].name, corrections[i].text);
	set_text(json, facts, "method", result->facts.method);
	set_text(json, facts, "prior", result->facts.prior);
	iso_json_set(json, facts, "iterations", json_integer(result->facts.iterations));
	iso_json_set(json, facts, "subsets", json_integer(result->facts.subsets));
	set_number(json, facts, "prompts", result->facts.prompts);
	set_number(json, facts, "delayeds", result->facts.delayeds);
	set_text(json, facts, "input", result->facts.input);
	set_text(json, facts, "input_sha256", result->facts.input_sha256);
	set_text(json, facts, "software", result->facts.software);
	set_time(json, out, "acquisition_start", result->start_utc_s);
	set_number(json, out, "decay_reference_s_after_start", result->decay_reference_s);
	set_number(json, out, "half_life_s", result->half_life_s);
	set_number(json, out, "branching_fraction", result->branching_fraction);
	set_number(json, out, "calibration_factor", result->calibration_factor);
	set_number(json, out, "calibration_relative_uncertainty", result->calibration_uncertainty);
	iso_json_set(json, out, "corrections", done);
	iso_json_set(json, out, "reconstruction", facts);
	return out;
}

static json_t *frame_json(iso_json *json, const iso_biodistribution *result, size_t f)
{
	json_t *out = json_object(), *balance = json_object(), *organs = json_array();
	set_number(json, out, "start_s", result->frame[f].start_s);
	set_number(json, out, "duration_s", result->frame[f].duration_s);
	set_number(json, out, "time_h", result->time_h[f]);
	if (result->gate) {
		iso_json_set(json, out, "gate", json_integer((json_int_t)f + 1));
		set_number(json, out, "gate_start_s", result->gate[f].start_s);
		set_number(json, out, "gate_duration_s", result->gate[f].duration_s);
	}
	set_number(json, balance, "recovered_percent_id", result->recovered_percent_id[f]);
	set_number(json, balance, "recovered_percent_id_uncertainty", result->recovered_uncertainty[f]);
	set_number(json, balance, "expected_percent_id", result->expected_percent_id);
	iso_json_set(json, out, "mass_balance", balance);
	for (size_t o = 0; o < result->organs; o++) {
		const iso_uptake *row = &result->row[f * result->organs + o];
		json_t *organ = json_object();
		set_text(json, organ, "organ", row->organ);
		for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++)
			if (strcmp(numbers[c].name, "mass_source") == 0)
				set_text(json, organ, "mass_source", row->mass_source);
			else
				set_number(json, organ, numbers[c].name, number_of(row, c));
		iso_json_append(json, organs, organ);
	}
	iso_json_set(json, out, "organs", organs);
	return out;
}

static json_t *subject_json(iso_json *json, const iso_biodistribution *result)
{
	json_t *out = json_object(), *warnings = json_array(), *frames = json_array();
	set_text(json, out, "subject", result->subject);
	set_text(json, out, "group", result->group);
	set_time(json, out, "decay_corrected_to", result->dose.injection_utc_s);
	iso_json_set(json, out, "dose", dose_json(json, result));
	iso_json_set(json, out, "volume", volume_json(json, result));
	for (size_t w = 0; w < result->warning_count; w++)
		iso_json_append(json, warnings, iso_json_readable(result->warnings[w]));
	iso_json_set(json, out, "warnings", warnings);
	for (size_t f = 0; f < result->frames; f++) iso_json_append(json, frames, frame_json(json, result, f));
	iso_json_set(json, out, "frames", frames);
	return out;
}

static json_t *units_json(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "activities",
			 "Bq, decay-corrected to the injection (decay_corrected_to)", "percent_id",
			 "% of the net injected activity", "percent_id_per_g", "%ID/g; _low and _high: 95 % interval",
			 "suv_bw", "g/mL", "u_*",
			 "relative standard uncertainty (k = 1), of %ID/g or of what the name ends in; null: not known",
			 "time_h", "h from the injection to the middle of the frame");
}

static iso_status write_json(const iso_output *output, iso_biodistribution *const *results, size_t count,
			     const char *provenance_json, iso_error *err)
{
	json_t *provenance = NULL;
	iso_status status = ISO_OK;
	iso_error why = {0};
	if (provenance_json) status = iso_json_parse(provenance_json, strlen(provenance_json), NULL, &provenance, &why);
	if (status == ISO_NO_MEMORY) return iso_fail_memory(err, "the provenance", strlen(provenance_json));
	if (status != ISO_OK) /* the caller's fault, not a file's */
		return iso_fail(err, ISO_BAD_USAGE, output->path, "hand over valid JSON or NULL",
				"the provenance is no JSON: %s", why.message);
	iso_json json = iso_json_begin();
	json_t *subjects = json_array();
	set_text(&json, json.root, "software", "isotrace " ISO_VERSION);
	iso_json_put(&json, "units", units_json());
	set_text(&json, json.root, "boundary_voxels", "shared by volume fraction x concentration");
	for (size_t r = 0; r < count; r++) iso_json_append(&json, subjects, subject_json(&json, results[r]));
	iso_json_put(&json, "subjects", subjects);
	iso_json_put(&json, "provenance", provenance ? provenance : json_null());
	char *text;
	status = iso_json_text(&json, JSON_INDENT(1) | JSON_REAL_PRECISION(12), output->path, &text, err);
	iso_json_end(&json);
	if (status != ISO_OK) return status;
	FILE *file = fopen(output->temporary, "wb");
	if (!file) {
		status = iso_fail_errno(err, output->path, "cannot create");
	} else {
		const bool failed = fputs(text, file) == EOF || fputc('\n', file) == EOF || fflush(file) != 0;
		if (failed) status = iso_fail_errno(err, output->path, "cannot write");
		if (fclose(file) != 0 && !failed) status = iso_fail_errno(err, output->path, "cannot write");
	}
	free(text);
	return status;
}

/* Both are written before either gets its name. The table is renamed last: who sees it sees the JSON too. */
static iso_status write_both(const char *directory, iso_biodistribution *const *results, size_t count,
			     const char *provenance_json, iso_error *err)
{
	char path[PATH_MAX];
	iso_output csv = {.temporary = ""}, json = {.temporary = ""};
	if (strlen(directory) + sizeof "/biodistribution.json" > sizeof path)
		return iso_fail(err, ISO_BAD_USAGE, directory, "give a shorter path", "the name is too long");
	snprintf(path, sizeof path, "%s/biodistribution.csv", directory);
	iso_status status = iso_output_begin(&csv, path, err);
	snprintf(path, sizeof path, "%s/biodistribution.json", directory);
	if (status == ISO_OK) status = iso_output_begin(&json, path, err);
	if (status == ISO_OK) status = write_csv(&csv, results, count, err);
	if (status == ISO_OK) status = write_json(&json, results, count, provenance_json, err);
	if (status == ISO_OK) status = iso_output_commit(&json, err);
	if (status == ISO_OK) status = iso_output_commit(&csv, err);
	iso_output_discard(&csv);
	iso_output_discard(&json);
	return status;
}

iso_status iso_biodistribution_write(const char *directory, iso_biodistribution *const *results, size_t count,
				     const char *provenance_json, iso_error *err)
{
	iso_status status = iso_make_directory(directory, err);
	if (status != ISO_OK) return status;
	const locale_t before = iso_c_locale_enter();
	status = write_both(directory, results, count, provenance_json, err);
	iso_c_locale_leave(before);
	return status;
}
