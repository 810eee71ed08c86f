/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/sidecar.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"
#include "io/json.h"
#include "isotrace/time.h"

/* Where each number and text of a volume stands, so that writer and reader cannot differ. */
typedef struct {
	const char *key;
	size_t offset;
} number_field;

typedef struct {
	const char *key;
	size_t offset, size;
} text_field;

#define NUMBER(key, member)                       \
	{                                         \
		key, offsetof(iso_volume, member) \
	}
#define TEXT(key, member)                                                          \
	{                                                                          \
		key, offsetof(iso_volume, member), sizeof((iso_volume *)0)->member \
	}

static const number_field volume_numbers[] = {
    NUMBER("decay_reference_s", decay_reference_s),
    NUMBER("half_life_s", half_life_s),
    NUMBER("branching_fraction", branching_fraction),
    NUMBER("calibration_factor", calibration_factor),
    NUMBER("calibration_uncertainty", calibration_uncertainty),
    {NULL, 0},
};
static const number_field acquisition_numbers[] = {
    NUMBER("duration_s", acquisition.duration_s),
    NUMBER("injected_activity_bq", acquisition.injected_activity_bq),
    NUMBER("energy_window_low_kev", acquisition.energy_window_kev[0]),
    NUMBER("energy_window_high_kev", acquisition.energy_window_kev[1]),
    NUMBER("half_life_s", acquisition.half_life_s),
    NUMBER("branching_fraction", acquisition.branching_fraction),
    {NULL, 0},
};
/* Written always; not there in sidecars of older versions. */
static const number_field resolution_numbers[] = {
    NUMBER("energy_resolution", acquisition.energy_resolution),
    {NULL, 0},
};
static const number_field acquisition_times[] = {
    NUMBER("start_utc", acquisition.start_utc_s),
    NUMBER("injection_utc", acquisition.injection_utc_s),
    {NULL, 0},
};
static const text_field acquisition_texts[] = {
    TEXT("scanner_name", acquisition.scanner_name),
    TEXT("nuclide", acquisition.nuclide),
    TEXT("tracer", acquisition.tracer),
    TEXT("subject", acquisition.subject),
    {NULL, 0, 0},
};
static const text_field correction_texts[] = {
    TEXT("randoms", corrections.randoms),
    TEXT("attenuation", corrections.attenuation),
    TEXT("scatter", corrections.scatter),
    TEXT("normalisation", corrections.normalisation),
    TEXT("dead_time", corrections.dead_time),
    TEXT("decay", corrections.decay),
    TEXT("branching", corrections.branching),
    TEXT("calibration", corrections.calibration),
    TEXT("resolution", corrections.resolution),
    TEXT("post_filter", corrections.post_filter),
    {NULL, 0, 0},
};
static const number_field fact_numbers[] = {
    NUMBER("prompts", facts.prompts),
    NUMBER("delayeds", facts.delayeds),
    {NULL, 0},
};
static const text_field fact_texts[] = {
    TEXT("method", facts.method),
    TEXT("input", facts.input),
    TEXT("input_sha256", facts.input_sha256),
    TEXT("software", facts.software),
    {NULL, 0, 0},
};

/* Left out by the first sidecars of the format, which had no such method: they need not be there. */
static const text_field prior_texts[] = {
    TEXT("prior", facts.prior),
    {NULL, 0, 0},
};
static const text_field hash_texts[] = {
    TEXT("scanner_hash", facts.scanner_hash),
    {NULL, 0, 0},
};
static const number_field objective_numbers[] = {
    NUMBER("objective", facts.objective),
    {NULL, 0},
};

/* Of a gated volume alone. */
static const number_field gating_numbers[] = {
    NUMBER("cycle_s", gating.cycle_s),
    NUMBER("shortest_cycle_s", gating.shortest_cycle_s),
    NUMBER("longest_cycle_s", gating.longest_cycle_s),
    NUMBER("cycles", gating.cycles),
    NUMBER("rejected_cycles", gating.rejected_cycles),
    {NULL, 0},
};

static void put_numbers(iso_json *json, json_t *object, const number_field *fields, const iso_volume *volume)
{
	for (; fields->key; fields++)
		iso_json_set(json, object, fields->key,
			     iso_json_number(*(const double *)((const char *)volume + fields->offset)));
}

static void put_times(iso_json *json, json_t *object, const number_field *fields, const iso_volume *volume)
{
	for (; fields->key; fields++) {
		char text[40];
		iso_time_text(*(const double *)((const char *)volume + fields->offset), text);
		iso_json_set(json, object, fields->key, text[0] ? json_string(text) : json_null());
	}
}

static void put_texts(iso_json *json, json_t *object, const text_field *fields, const iso_volume *volume)
{
	for (; fields->key; fields++)
		iso_json_set(json, object, fields->key, json_string((const char *)volume + fields->offset));
}

static json_t *triple(const double value[3])
{
	return json_pack("[fff]", value[0], value[1], value[2]);
}

static void put_gating(iso_json *json, json_t *object, const iso_volume *volume)
{
	const iso_gating *gating = &volume->gating;
	json_t *part = json_object(), *gates = json_array();
	iso_json_set(json, part, "trigger", json_string(iso_trigger_text(gating->trigger)));
	iso_json_set(json, part, "framing", json_string(iso_framing_text(gating->framing)));
	put_numbers(json, part, gating_numbers, volume);
	for (size_t g = 0; g < gating->gates; g++)
		iso_json_append(json, gates,
				json_pack("{s:f,s:f,s:o}", "start_s", gating->gate[g].start_s, "duration_s",
					  gating->gate[g].duration_s, "collected_s",
					  iso_json_number(gating->gate[g].collected_s)));
	iso_json_set(json, part, "gates", gates);
	iso_json_set(json, object, "gating", part);
}

static json_t *isotrace_object(iso_json *json, const iso_volume *volume)
{
	const iso_grid *grid = &volume->grid;
	json_t *object = json_object(), *part;
	iso_json_set(json, object, "format", json_string("isotrace volume 1"));
	iso_json_set(json, object, "unit", json_string(iso_unit_text(volume->unit)));
	iso_json_set(json, object, "grid",
		     json_pack("{s:[III],s:o,s:o,s:[ooo]}", "size", (json_int_t)grid->size[0],
			       (json_int_t)grid->size[1], (json_int_t)grid->size[2], "voxel_mm", triple(grid->voxel_mm),
			       "origin_mm", triple(grid->origin_mm), "direction", triple(grid->direction[0]),
			       triple(grid->direction[1]), triple(grid->direction[2])));
	part = json_array();
	for (size_t f = 0; f < volume->frames; f++)
		iso_json_append(json, part,
				json_pack("{s:f,s:f}", "start_s", volume->frame[f].start_s, "duration_s",
					  volume->frame[f].duration_s));
	iso_json_set(json, object, "frames", part);
	if (volume->gating.gates) put_gating(json, object, volume);
	iso_json_set(json, object, "replicates", json_integer((json_int_t)volume->replicates));
	put_numbers(json, object, volume_numbers, volume);
	part = json_object();
	iso_json_set(json, part, "modality", json_string(iso_modality_text(volume->acquisition.modality)));
	put_texts(json, part, acquisition_texts, volume);
	put_times(json, part, acquisition_times, volume);
	put_numbers(json, part, acquisition_numbers, volume);
	put_numbers(json, part, resolution_numbers, volume);
	iso_json_set(json, object, "acquisition", part);
	part = json_object();
	put_texts(json, part, correction_texts, volume);
	iso_json_set(json, object, "corrections", part);
	part = json_object();
	put_texts(json, part, fact_texts, volume);
	iso_json_set(json, part, "iterations", json_integer(volume->facts.iterations));
	iso_json_set(json, part, "subsets", json_integer(volume->facts.subsets));
	put_numbers(json, part, fact_numbers, volume);
	put_texts(json, part, prior_texts, volume);
	put_texts(json, part, hash_texts, volume);
	put_numbers(json, part, objective_numbers, volume);
	iso_json_set(json, object, "reconstruction", part);
	return object;
}

/* BIDS counts from TimeZero, a clock time in whole seconds; it is here the second in which the scan began. */
static void put_bids_times(iso_json *json, json_t *root, const iso_volume *volume)
{
	const iso_acquisition *a = &volume->acquisition;
	double offset_s = 0;
	if (isfinite(a->start_utc_s)) {
		char text[40];
		offset_s = a->start_utc_s - floor(a->start_utc_s);
		iso_time_text(floor(a->start_utc_s), text);
		iso_json_set(json, root, "TimeZero", json_stringn(text + 11, 8));
		if (isfinite(a->injection_utc_s))
			iso_json_set(json, root, "InjectionStart",
				     json_real(a->injection_utc_s - floor(a->start_utc_s)));
	}
	iso_json_set(json, root, "ScanStart", json_real(offset_s));
	json_t *starts = json_array(), *durations = json_array(), *factors = json_array();
	const double lambda = log(2.0) / volume->half_life_s;
	const bool corrected = isfinite(volume->decay_reference_s);
	const bool known = corrected && volume->half_life_s > 0 && isfinite(volume->half_life_s);
	for (size_t f = 0; f < volume->frames; f++) {
		const iso_frame *frame = &volume->frame[f];
		iso_json_append(json, starts, json_real(frame->start_s + offset_s));
		iso_json_append(json, durations, json_real(frame->duration_s));
		if (!known) continue;                        /* no factor: NAN is no JSON */
		const double x = lambda * frame->duration_s; /* mean activity over the frame to the reference time */
		const double within = x > 0 ? x / -expm1(-x) : 1;
		iso_json_append(json, factors,
				json_real(within * exp(lambda * (frame->start_s - volume->decay_reference_s))));
	}
	iso_json_set(json, root, "FrameTimesStart", starts);
	iso_json_set(json, root, "FrameDuration", durations);
	iso_json_set(json, root, "ImageDecayCorrected", json_boolean(corrected));
	iso_json_set(json, root, "ImageDecayCorrectionTime",
		     corrected ? json_real(volume->decay_reference_s + offset_s) : json_null());
	if (known)
		iso_json_set(json, root, "DecayCorrectionFactor", factors);
	else
		json_decref(factors);
}

static void put_known(iso_json *json, json_t *root, const char *key, const char *text)
{
	if (text[0]) iso_json_set(json, root, key, json_string(text));
}

static void put_bids(iso_json *json, json_t *root, const iso_volume *volume)
{
	const iso_acquisition *a = &volume->acquisition;
	const iso_corrections *c = &volume->corrections;
	put_known(json, root, "Modality", a->modality == ISO_MODALITY_PET ? "PT" : "");
	put_known(json, root, "ManufacturersModelName", a->scanner_name);
	put_known(json, root, "TracerName", a->tracer);
	put_known(json, root, "TracerRadionuclide", a->nuclide);
	if (isfinite(a->injected_activity_bq)) {
		iso_json_set(json, root, "InjectedRadioactivity", json_real(a->injected_activity_bq / 1e6));
		put_known(json, root, "InjectedRadioactivityUnits", "MBq");
	}
	put_bids_times(json, root, volume);
	/* What came as DICOM may have been acquired otherwise. */
	if (isfinite(volume->facts.prompts)) put_known(json, root, "AcquisitionMode", "list mode");
	put_known(json, root, "ReconMethodName", volume->facts.method);
	put_known(json, root, "ReconMethodImplementationVersion", volume->facts.software);
	if (volume->facts.iterations) {
		iso_json_set(json, root, "ReconMethodParameterLabels", json_pack("[ss]", "subsets", "iterations"));
		iso_json_set(json, root, "ReconMethodParameterUnits", json_pack("[ss]", "none", "none"));
		iso_json_set(json, root, "ReconMethodParameterValues",
			     json_pack("[ii]", (int)volume->facts.subsets, (int)volume->facts.iterations));
	}
	/* The filter's size stands in its text: "Gaussian, FWHM 1.2 mm". */
	put_known(json, root, "ReconFilterType", c->post_filter[0] ? c->post_filter : "none");
	put_known(json, root, "AttenuationCorrection", c->attenuation[0] ? c->attenuation : "none");
	put_known(json, root, "RandomsCorrection", c->randoms[0] ? c->randoms : "none");
	put_known(json, root, "ScatterCorrection", c->scatter[0] ? c->scatter : "none");
	if (isfinite(volume->calibration_factor))
		iso_json_set(json, root, "DoseCalibrationFactor", json_real(volume->calibration_factor));
}

iso_status iso_sidecar_text(const iso_volume *volume, const char *file, char **text, iso_error *err)
{
	iso_json json = iso_json_begin();
	put_known(&json, json.root, "Units", iso_unit_text(volume->unit));
	put_bids(&json, json.root, volume);
	iso_json_put(&json, "isotrace", isotrace_object(&json, volume));
	/* 17 digits bring every double back to its bits. */
	const iso_status status = iso_json_text(&json, JSON_INDENT(2) | JSON_REAL_PRECISION(17), file, text, err);
	iso_json_end(&json);
	return status;
}

/* Reading. The first failure is kept; what follows then does nothing. */
typedef struct {
	const char *file;
	iso_status status;
	iso_error *err;
} reader;

static void complain(reader *r, const char *key, const char *what)
{
	if (r->status == ISO_OK)
		r->status = iso_fail(r->err, ISO_BAD_INPUT, r->file,
				     "restore the sidecar that was written with this image", "'%s' %s", key, what);
}

static double get_number(reader *r, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (json_is_number(value)) return json_number_value(value);
	if (!json_is_null(value)) complain(r, key, value ? "is no number" : "is missing");
	return (double)NAN;
}

static size_t get_count(reader *r, const json_t *object, const char *key, json_int_t high)
{
	const json_t *value = json_object_get(object, key);
	if (json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= high)
		return (size_t)json_integer_value(value);
	complain(r, key, value ? "is no count" : "is missing");
	return 0;
}

static void get_numbers(reader *r, const json_t *object, const number_field *fields, iso_volume *volume)
{
	for (; fields->key; fields++) *(double *)((char *)volume + fields->offset) = get_number(r, object, fields->key);
}

static void get_times(reader *r, const json_t *object, const number_field *fields, iso_volume *volume)
{
	for (; fields->key && r->status == ISO_OK; fields++) {
		const json_t *value = json_object_get(object, fields->key);
		double *time = (double *)((char *)volume + fields->offset);
		*time = (double)NAN;
		if (json_is_string(value))
			r->status = iso_time_parse(json_string_value(value), r->file, time, r->err);
		else if (!json_is_null(value))
			complain(r, fields->key, value ? "is no time" : "is missing");
	}
}

static void get_texts(reader *r, const json_t *object, const text_field *fields, iso_volume *volume)
{
	for (; fields->key; fields++) {
		const char *text = json_string_value(json_object_get(object, fields->key));
		if (!text)
			complain(r, fields->key, "is missing or no text");
		else if (strlen(text) >= fields->size)
			complain(r, fields->key, "is too long");
		else
			strcpy((char *)volume + fields->offset, text);
	}
}

static void get_triple(reader *r, const json_t *array, const char *key, double value[3])
{
	for (size_t i = 0; i < 3; i++) {
		const json_t *number = json_array_get(array, i);
		if (!json_is_number(number)) complain(r, key, "is missing or not three numbers");
		value[i] = json_number_value(number);
	}
}

static void get_grid(reader *r, const json_t *object, iso_grid *grid)
{
	double size[3] = {0};
	get_triple(r, json_object_get(object, "size"), "size", size);
	get_triple(r, json_object_get(object, "voxel_mm"), "voxel_mm", grid->voxel_mm);
	get_triple(r, json_object_get(object, "origin_mm"), "origin_mm", grid->origin_mm);
	const json_t *direction = json_object_get(object, "direction");
	for (size_t a = 0; a < 3; a++) {
		get_triple(r, json_array_get(direction, a), "direction", grid->direction[a]);
		if (!(size[a] >= 1 && size[a] <= 65535 && size[a] == rint(size[a])))
			complain(r, "size", "is no number of voxels");
		else
			grid->size[a] = (size_t)size[a];
	}
	if (r->status == ISO_OK) r->status = iso_grid_check(grid, r->file, r->err);
}

static void get_gating(reader *r, const json_t *object, iso_volume *volume)
{
	iso_gating *gating = &volume->gating;
	const char *trigger = json_string_value(json_object_get(object, "trigger"));
	const char *framing = json_string_value(json_object_get(object, "framing"));
	const json_t *gates = json_object_get(object, "gates");
	if (json_array_size(gates) != volume->frames) {
		complain(r, "gating.gates", "has not one entry per frame");
		return;
	}
	if (!trigger || !framing) complain(r, "gating", "has no trigger or no framing");
	gating->trigger = iso_trigger_from_text(trigger ? trigger : "");
	gating->framing = iso_framing_from_text(framing ? framing : "");
	get_numbers(r, object, gating_numbers, volume);
	gating->gate = calloc(volume->frames, sizeof *gating->gate);
	if (!gating->gate) {
		r->status = iso_fail_memory(r->err, "gates", volume->frames * sizeof *gating->gate);
		return;
	}
	gating->gates = volume->frames;
	for (size_t g = 0; g < gating->gates; g++) {
		const json_t *gate = json_array_get(gates, g);
		gating->gate[g] = (iso_gate){.start_s = get_number(r, gate, "start_s"),
					     .duration_s = get_number(r, gate, "duration_s"),
					     .collected_s = get_number(r, gate, "collected_s")};
	}
	if (r->status == ISO_OK) r->status = iso_volume_check_gating(volume, r->file, r->err);
}

static void get_isotrace(reader *r, const json_t *object, iso_volume *volume)
{
	get_grid(r, json_object_get(object, "grid"), &volume->grid);
	const json_t *frames = json_object_get(object, "frames");
	for (size_t f = 0; f < volume->frames; f++) {
		const json_t *frame = json_array_get(frames, f);
		volume->frame[f].start_s = get_number(r, frame, "start_s");
		volume->frame[f].duration_s = get_number(r, frame, "duration_s");
	}
	const json_t *gating = json_object_get(object, "gating");
	if (gating) get_gating(r, gating, volume);
	volume->replicates = get_count(r, object, "replicates", 32767);
	get_numbers(r, object, volume_numbers, volume);
	const json_t *part = json_object_get(object, "acquisition");
	const char *modality = json_string_value(json_object_get(part, "modality"));
	if (modality)
		volume->acquisition.modality = iso_modality_from_text(modality);
	else
		complain(r, "modality", "is missing");
	get_texts(r, part, acquisition_texts, volume);
	get_times(r, part, acquisition_times, volume);
	get_numbers(r, part, acquisition_numbers, volume);
	if (json_object_get(part, "energy_resolution")) get_numbers(r, part, resolution_numbers, volume);
	get_texts(r, json_object_get(object, "corrections"), correction_texts, volume);
	part = json_object_get(object, "reconstruction");
	get_texts(r, part, fact_texts, volume);
	get_numbers(r, part, fact_numbers, volume);
	if (json_object_get(part, "prior")) get_texts(r, part, prior_texts, volume);
	if (json_object_get(part, "scanner_hash")) get_texts(r, part, hash_texts, volume);
	if (json_object_get(part, "objective")) get_numbers(r, part, objective_numbers, volume);
	volume->facts.iterations = (unsigned)get_count(r, part, "iterations", 1000000);
	volume->facts.subsets = (unsigned)get_count(r, part, "subsets", 1000000);
}

/* A sidecar that another program wrote: what BIDS states, and nothing else. BIDS clock times have no date, so that the
 * absolute times stay unknown. */
static void get_bids(reader *r, const json_t *root, iso_volume *volume)
{
	const double scan_start_s = get_number(r, root, "ScanStart");
	const json_t *starts = json_object_get(root, "FrameTimesStart"),
		     *durations = json_object_get(root, "FrameDuration");
	if (!isfinite(scan_start_s)) complain(r, "ScanStart", "is not known");
	if (json_array_size(durations) != volume->frames)
		complain(r, "FrameDuration", "has not one entry per FrameTimesStart");
	for (size_t f = 0; f < volume->frames; f++) {
		const json_t *start = json_array_get(starts, f), *duration = json_array_get(durations, f);
		if (!json_is_number(start) || !json_is_number(duration))
			complain(r, "FrameTimesStart", "or FrameDuration holds something that is no number");
		volume->frame[f].start_s = json_number_value(start) - scan_start_s;
		volume->frame[f].duration_s = json_number_value(duration);
	}
	if (json_is_true(json_object_get(root, "ImageDecayCorrected")))
		volume->decay_reference_s = get_number(r, root, "ImageDecayCorrectionTime") - scan_start_s;
	else if (!json_is_false(json_object_get(root, "ImageDecayCorrected")))
		complain(r, "ImageDecayCorrected", "is not stated");
	const char *nuclide = json_string_value(json_object_get(root, "TracerRadionuclide"));
	const char *tracer = json_string_value(json_object_get(root, "TracerName"));
	const char *scanner = json_string_value(json_object_get(root, "ManufacturersModelName"));
	snprintf(volume->acquisition.nuclide, sizeof volume->acquisition.nuclide, "%s", nuclide ? nuclide : "");
	snprintf(volume->acquisition.tracer, sizeof volume->acquisition.tracer, "%s", tracer ? tracer : "");
	snprintf(volume->acquisition.scanner_name, sizeof volume->acquisition.scanner_name, "%s",
		 scanner ? scanner : "");
}

/* "Bq/mL" and the other texts of iso_unit_text; a unit that is not stated is not guessed. */
static iso_unit get_unit(reader *r, const json_t *root, const json_t *own)
{
	const char *bids = json_string_value(json_object_get(root, "Units"));
	const char *unit = own ? json_string_value(json_object_get(own, "unit")) : bids;
	if (!bids || !unit) {
		complain(r, "Units", "is missing: the unit of the voxels is not stated");
		return ISO_UNIT_UNKNOWN;
	}
	if (strcmp(bids, unit) != 0) complain(r, "Units", "and isotrace.unit contradict each other");
	if (iso_unit_from_text(unit) == ISO_UNIT_UNKNOWN) complain(r, "Units", "is a unit that isotrace does not know");
	return iso_unit_from_text(unit);
}

iso_status iso_sidecar_read(const char *path, iso_volume **out, iso_error *err)
{
	*out = NULL;
	char *text;
	size_t size;
	iso_status status = iso_read_file(path, (size_t)64 << 20, &text, &size, err);
	if (status != ISO_OK) return status;
	json_t *root;
	status = iso_json_parse(text, size, path, &root, err);
	free(text);
	if (status != ISO_OK) return status;
	if (!json_is_object(root)) {
		json_decref(root);
		return iso_fail(err, ISO_BAD_INPUT, path, "restore the sidecar that was written with this image",
				"the sidecar is no JSON object");
	}
	reader r = {.file = path, .status = ISO_OK, .err = err};
	const json_t *own = json_object_get(root, "isotrace");
	const json_t *frames = own ? json_object_get(own, "frames") : json_object_get(root, "FrameTimesStart");
	const iso_unit unit = get_unit(&r, root, own);
	if (json_array_size(frames) < 1 || json_array_size(frames) > 32767)
		complain(&r, own ? "frames" : "FrameTimesStart", "is missing or no list of frames");
	iso_volume *volume = NULL;
	if (r.status == ISO_OK) {
		volume = calloc(1, sizeof *volume);
		if (volume) volume->frame = calloc(json_array_size(frames), sizeof *volume->frame);
		if (!volume || !volume->frame) r.status = iso_fail_memory(err, "a sidecar", json_array_size(frames));
	}
	if (r.status == ISO_OK) {
		volume->unit = unit;
		volume->frames = json_array_size(frames);
		volume->acquisition = iso_acquisition_unknown();
		volume->decay_reference_s = volume->half_life_s = volume->branching_fraction = (double)NAN;
		volume->calibration_factor = volume->calibration_uncertainty = (double)NAN;
		if (own)
			get_isotrace(&r, own, volume);
		else
			get_bids(&r, root, volume);
	}
	for (size_t f = 0; r.status == ISO_OK && f < volume->frames; f++)
		if (!isfinite(volume->frame[f].start_s) || !(volume->frame[f].duration_s >= 0))
			complain(&r, "frames", "holds a frame without start or duration");
	json_decref(root);
	if (r.status != ISO_OK) {
		iso_volume_free(volume);
		return r.status;
	}
	*out = volume;
	return ISO_OK;
}
