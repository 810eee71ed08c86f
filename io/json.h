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
	json_t *root; /* owned: the object that is put together */
	bool failed, no_memory;
} iso_json;

/* root is an empty object. */
iso_json iso_json_begin(void);
/* All take the value over, NULL being a failure; put is set on the root. */
void iso_json_put(iso_json *json, const char *key, json_t *value);
void iso_json_set(iso_json *json, json_t *object, const char *key, json_t *value);
void iso_json_append(iso_json *json, json_t *array, json_t *value);
/* The text of what was put together; *text is owned by the caller (free()). file is named in errors. */
iso_status iso_json_text(iso_json *json, size_t flags, const char *file, char **text, iso_error *err);
/* Releases the root. */
void iso_json_end(iso_json *json);

/* Makes a text that is not UTF-8 (old headers, names of files, texts that were cut) fit for JSON and HDF5: foreign bytes
 * become '?'. */
void iso_json_clean(char *text);
/* A string of such a text, of which at most 1023 bytes are kept. */
json_t *iso_json_readable(const char *text);
/* null when it is not finite: not known. */
json_t *iso_json_number(double value);

/* Reads a text; what is no JSON: ISO_BAD_INPUT with the line. */
iso_status iso_json_parse(const char *text, size_t size, const char *file, json_t **out, iso_error *err);
/* The same of a whole file. */
iso_status iso_json_read(const char *path, json_t **out, iso_error *err);
/* json_dumps that does not lose a part of the text without a word: ISO_NO_MEMORY. value NULL: was not made for want of
 * memory. */
iso_status iso_json_dump(const json_t *value, size_t flags, char **text, iso_error *err);

#endif
