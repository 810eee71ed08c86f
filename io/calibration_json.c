/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The calibration file. One table for each kind of value, so that writer and reader cannot differ. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"
#include "io/json.h"
#include "isotrace/calibration.h"
#include "isotrace/time.h"

#define FORMAT "isotrace calibration 1"
#define REMEDY "make the calibration again with isotrace calibrate"

typedef struct number_field {
	const char *part, *key;
	size_t offset;
	double low, high; /* that make sense */
	bool needed;
} number_field;
typedef struct text_field {
	const char *part, *key;
	size_t offset, size;
} text_field;

#define NUMBER(part, key, member, low, high, needed)                            \
	{                                                                       \
		part, key, offsetof(iso_calibration, member), low, high, needed \
	}
#define TEXT(part, key, member)                                                                    \
	{                                                                                          \
		part, key, offsetof(iso_calibration, member), sizeof((iso_calibration *)0)->member \
	}
#define HUGE_NUMBER 1e30

static const number_field numbers[] = {
    NUMBER(NULL, "factor", factor, 1e-30, HUGE_NUMBER, true),
    NUMBER("uncertainty", "total", uncertainty, 0, 10, true),
    NUMBER("uncertainty", "assay", u_assay, 0, 10, false),
    NUMBER("uncertainty", "volume", u_volume, 0, 10, false),
    NUMBER("uncertainty", "noise", u_noise, 0, 10, false),
    NUMBER("uncertainty", "half_life", u_half_life, 0, 10, false),
    NUMBER("nuclide", "branching_fraction", branching_fraction, 1e-9, 10, true),
    NUMBER("nuclide", "branching_uncertainty", branching_uncertainty, 0, 10, false),
    NUMBER("nuclide", "half_life_s", half_life_s, 1e-9, HUGE_NUMBER, true),
    NUMBER("phantom", "concentration_bq_per_ml", concentration_bq_per_ml, 0, HUGE_NUMBER, false),
    NUMBER("phantom", "expected_bq_per_ml", expected_bq_per_ml, 0, HUGE_NUMBER, false),
    NUMBER("region", "volume_ml", region_ml, 0, HUGE_NUMBER, false),
    NUMBER("region", "mean", mean, 0, HUGE_NUMBER, false),
    NUMBER("region", "sd", sd, 0, HUGE_NUMBER, false),
    NUMBER("region", "lowest", lowest, -HUGE_NUMBER, HUGE_NUMBER, false),
    NUMBER("region", "highest", highest, -HUGE_NUMBER, HUGE_NUMBER, false),
    NUMBER("region", "largest_deviation_of_a_slice", slices_deviation, 0, HUGE_NUMBER, false),
    NUMBER("image", "earlier_factor", earlier_factor, 1e-30, HUGE_NUMBER, false),
};
static const number_field times[] = {
    NUMBER(NULL, "scan_utc", scan_utc_s, 0, HUGE_NUMBER, true),
    NUMBER("phantom", "assay_utc", assay_utc_s, 0, HUGE_NUMBER, false),
};
static const text_field texts[] = {
    TEXT("scanner", "name", scanner_name),
    TEXT("scanner", "hash", scanner_hash),
    TEXT("nuclide", "name", nuclide),
    TEXT("corrections", "randoms", corrections.randoms),
    TEXT("corrections", "attenuation", corrections.attenuation),
    TEXT("corrections", "scatter", corrections.scatter),
    TEXT("corrections", "normalisation", corrections.normalisation),
    TEXT("corrections", "dead_time", corrections.dead_time),
    TEXT("corrections", "decay", corrections.decay),
    TEXT("corrections", "resolution", corrections.resolution),
    TEXT("corrections", "post_filter", corrections.post_filter),
    TEXT("image", "file", image),
    TEXT("image", "sha256", image_sha256),
    TEXT(NULL, "software", software),
};
#define COUNT(table) (sizeof(table) / sizeof *(table))

/* The object that a key stands in, made when it is not there yet. */
static json_t *part_of(iso_json *json, const char *part)
{
	if (!part) return json->root;
	json_t *object = json_object_get(json->root, part);
	if (!object) {
		iso_json_put(json, part, json_object());
		object = json_object_get(json->root, part);
	}
	return object;
}

iso_status iso_calibration_write(const char *path, const iso_calibration *calibration, iso_error *err)
{
	const char *base = (const char *)calibration;
	char *text = NULL;
	iso_json json = iso_json_begin();
	iso_json_put(&json, "format", json_string(FORMAT));
	iso_json_put(&json, "unit", json_string("Bq/mL per counts/s/mm, branching fraction 1"));
	for (size_t n = 0; n < COUNT(numbers); n++) {
		const double value = *(const double *)(base + numbers[n].offset);
		iso_json_set(&json, part_of(&json, numbers[n].part), numbers[n].key, iso_json_number(value));
	}
	for (size_t n = 0; n < COUNT(times); n++) {
		char when[40];
		iso_time_text(*(const double *)(base + times[n].offset), when);
		iso_json_set(&json, part_of(&json, times[n].part), times[n].key,
			     when[0] ? json_string(when) : json_null());
	}
	for (size_t n = 0; n < COUNT(texts); n++)
		iso_json_set(&json, part_of(&json, texts[n].part), texts[n].key,
			     iso_json_readable(base + texts[n].offset));
	iso_json_set(&json, part_of(&json, "region"), "voxels", json_integer((json_int_t)calibration->voxels));
	iso_status status = iso_json_text(&json, JSON_INDENT(2) | JSON_REAL_PRECISION(17), path, &text, err);
	iso_json_end(&json);
	if (status == ISO_OK) status = iso_output_write(path, text, strlen(text), err);
	free(text);
	return status;
}

static const json_t *value_at(const json_t *root, const char *part, const char *key)
{
	return json_object_get(part ? json_object_get(root, part) : root, key);
}

static iso_status get_number(const json_t *root, const char *path, const number_field *field, double *to,
			     iso_error *err)
{
	const json_t *value = value_at(root, field->part, field->key);
	*to = (double)NAN;
	if (json_is_null(value) && !field->needed) return ISO_OK;
	*to = json_number_value(value);
	if (json_is_number(value) && *to >= field->low && *to <= field->high) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "'%s%s%s' is missing or no number that makes sense",
			field->part ? field->part : "", field->part ? "." : "", field->key);
}

static iso_status get_time(const json_t *root, const char *path, const number_field *field, double *to, iso_error *err)
{
	const json_t *value = value_at(root, field->part, field->key);
	*to = (double)NAN;
	if (json_is_string(value)) return iso_time_parse(json_string_value(value), path, to, err);
	if (json_is_null(value) && !field->needed) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "the time '%s' is missing", field->key);
}

static iso_status get_text(const json_t *root, const char *path, const text_field *field, char *to, iso_error *err)
{
	const char *text = json_string_value(value_at(root, field->part, field->key));
	if (!text || strlen(text) >= field->size)
		return iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "'%s%s%s' is missing or too long",
				field->part ? field->part : "", field->part ? "." : "", field->key);
	strcpy(to, text);
	return ISO_OK;
}

static iso_status read_all(const json_t *root, const char *path, iso_calibration *out, iso_error *err)
{
	char *base = (char *)out;
	const char *format = json_string_value(json_object_get(root, "format"));
	if (!format || strcmp(format, FORMAT) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "give a file that isotrace calibrate wrote",
				"this is no calibration ('format' is not \"%s\")", FORMAT);
	iso_status status = ISO_OK;
	for (size_t n = 0; n < COUNT(numbers) && status == ISO_OK; n++)
		status = get_number(root, path, numbers + n, (double *)(base + numbers[n].offset), err);
	for (size_t n = 0; n < COUNT(times) && status == ISO_OK; n++)
		status = get_time(root, path, times + n, (double *)(base + times[n].offset), err);
	for (size_t n = 0; n < COUNT(texts) && status == ISO_OK; n++)
		status = get_text(root, path, texts + n, base + texts[n].offset, err);
	const json_t *voxels = value_at(root, "region", "voxels");
	if (status == ISO_OK && !(json_is_integer(voxels) && json_integer_value(voxels) > 0))
		status = iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "'region.voxels' is missing or not above 0");
	if (status == ISO_OK) out->voxels = (size_t)json_integer_value(voxels);
	return status;
}

iso_status iso_calibration_read(const char *path, iso_calibration *out, iso_error *err)
{
	json_t *root;
	memset(out, 0, sizeof *out);
	iso_status status = iso_json_read(path, &root, err);
	if (status != ISO_OK) return status;
	status = read_all(root, path, out, err);
	json_decref(root);
	return status;
}
