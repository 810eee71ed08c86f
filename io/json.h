/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * JSON through jansson, put together without looking at every result: a value that could not be made (no memory, a text
 * that is no UTF-8) makes the whole fail at the end, instead of leaving its key out. */
#ifndef ISOTRACE_IO_JSON_H
#define ISOTRACE_IO_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "isotrace/status.h"

typedef struct iso_json {
	bool failed, no_memory;
} iso_json;

iso_json iso_json_begin(void);
/* Both take the value over, NULL being a failure. */
void iso_json_set(iso_json *json, json_t *object, const char *key, json_t *value);
void iso_json_append(iso_json *json, json_t *array, json_t *value);
/* The text of root, which is released; *text is owned by the caller (free()). file is named in errors. */
iso_status iso_json_text(iso_json *json, json_t *root, size_t flags, const char *file, char **text, iso_error *err);

/* Reads a text; what is no JSON: ISO_BAD_INPUT with the line. */
iso_status iso_json_parse(const char *text, size_t size, const char *file, json_t **out, iso_error *err);

#endif
