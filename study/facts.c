/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"
#include "study/internal.h"

/* Takes over value, which is NULL when there was no memory for it. */
static iso_status put(json_t *facts, const char *key, json_t *value, iso_error *err)
{
	return value && json_object_set_new(facts, key, value) == 0 ? ISO_OK
								    : iso_fail_memory(err, "the facts of a step", 0);
}

iso_status iso_fact_text(json_t *facts, const char *key, const char *text, iso_error *err)
{
	json_t *value = json_string(text);
	if (!value)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "save the study's files as UTF-8", "%s is not UTF-8 text",
				key);
	return put(facts, key, value, err);
}

iso_status iso_fact_number(json_t *facts, const char *key, double value, iso_error *err)
{
	return put(facts, key, iso_json_number(value), err);
}

iso_status iso_fact_whole(json_t *facts, const char *key, uint64_t value, iso_error *err)
{
	return put(facts, key, json_integer((json_int_t)value), err);
}

iso_status iso_fact_numbers(json_t *facts, const char *key, const double *values, size_t count, iso_error *err)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, json_real(values[i])) != 0) {
			json_decref(list);
			list = NULL;
		}
	return put(facts, key, list, err);
}

iso_status iso_fact_file(iso_job *job, json_t *facts, const char *key, const char *path, iso_error *err)
{
	char hex[65];
	if (!*path) return ISO_OK;
	ISO_TRY(iso_manifest_hash(job, path, hex, err));
	return put(facts, key, json_pack("{s:s,s:s}", "file", iso_base_name(path), "sha256", hex), err);
}

iso_status iso_fact_grid(json_t *facts, const char *key, const iso_grid *grid, iso_error *err)
{
	json_t *inside = json_object();
	ISO_TRY(put(facts, key, inside, err));
	const double size[3] = {(double)grid->size[0], (double)grid->size[1], (double)grid->size[2]};
	ISO_TRY(iso_fact_numbers(inside, "voxels", size, 3, err));
	ISO_TRY(iso_fact_numbers(inside, "voxel_mm", grid->voxel_mm, 3, err));
	return iso_fact_numbers(inside, "origin_mm", grid->origin_mm, 3, err);
}

iso_status iso_facts_fingerprint(const json_t *facts, char hex[65], iso_error *err)
{
	char *text;
	ISO_TRY(iso_json_dump(facts, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17), &text, err));
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_text(&hash, text);
	iso_hash_end(&hash, hex);
	free(text);
	return ISO_OK;
}

iso_status iso_path_join(const char *folder, const char *name, char path[PATH_MAX], iso_error *err)
{
	const int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
	if (n >= 0 && n < PATH_MAX) return ISO_OK;
	return iso_fail(err, ISO_BAD_USAGE, folder, "use a shorter path", "the name of a file below it is too long");
}

iso_status iso_write_if_changed(const char *path, const char *text, size_t size, iso_error *err)
{
	char *there = NULL;
	size_t there_size = 0;
	const iso_status readable = iso_read_file(path, size + 1, &there, &there_size, NULL);
	const bool same = readable == ISO_OK && there_size == size && memcmp(there, text, size) == 0;
	free(there);
	return same ? ISO_OK : iso_output_write(path, text, size, err);
}
