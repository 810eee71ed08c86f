/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/output.h"

static void note(iso_json *json, int failed)
{
	if (!failed || json->failed) return;
	json->failed = true;
	json->no_memory = errno == ENOMEM;
}

/* jansson does not say why a value could not be made; a failed malloc says so in errno. */
iso_json iso_json_begin(void)
{
	errno = 0;
	iso_json json = {.root = json_object()};
	note(&json, json.root == NULL);
	return json;
}

void iso_json_end(iso_json *json)
{
	json_decref(json->root);
	json->root = NULL;
}

void iso_json_put(iso_json *json, const char *key, json_t *value)
{
	iso_json_set(json, json->root, key, value);
}

void iso_json_set(iso_json *json, json_t *object, const char *key, json_t *value)
{
	note(json, json_object_set_new(object, key, value));
}

void iso_json_append(iso_json *json, json_t *array, json_t *value)
{
	note(json, json_array_append_new(array, value));
}

iso_status iso_json_text(iso_json *json, size_t flags, const char *file, char **text, iso_error *err)
{
	*text = NULL;
	if (!json->failed) {
		errno = 0;
		*text = json_dumps(json->root, flags);
		/* jansson 2.14 loses a part of the text, and says nothing, when its buffer cannot grow at some places. */
		note(json, *text == NULL || errno == ENOMEM);
	}
	if (!json->failed) return ISO_OK;
	free(*text);
	*text = NULL;
	if (json->no_memory) return iso_fail_memory(err, "a JSON text", 0);
	return iso_fail(err, ISO_BAD_INPUT, file, "use UTF-8 in names and texts",
			"a name or text is not UTF-8 and cannot be written as JSON");
}

static bool is_utf8(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at < 0x80) continue;
		const int more = *at < 0xc2 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : *at < 0xf5 ? 3 : 0;
		const unsigned char first = *at;
		if (more == 0) return false;
		for (int n = 0; n < more; n++) {
			at++;
			if ((*at & 0xc0) != 0x80) return false;
			/* no longer form than needed, no surrogate, nothing beyond U+10FFFF */
			if (n == 0 && ((first == 0xe0 && *at < 0xa0) || (first == 0xed && *at >= 0xa0) ||
				       (first == 0xf0 && *at < 0x90) || (first == 0xf4 && *at >= 0x90)))
				return false;
		}
	}
	return true;
}

void iso_json_clean(char *text)
{
	if (is_utf8(text)) return;
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80) *text = '?';
}

json_t *iso_json_readable(const char *text)
{
	char copy[1024];
	snprintf(copy, sizeof copy, "%s", text);
	iso_json_clean(copy);
	return json_string(copy);
}

iso_status iso_json_parse(const char *text, size_t size, const char *file, json_t **out, iso_error *err)
{
	json_error_t where;
	errno = 0;
	*out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
	const bool no_memory = errno == ENOMEM;
	if (*out && !no_memory) {
		/* jansson also drops a character, a digit perhaps, when the buffer of a token cannot grow, and a number then
		 * clears errno. It is read again: what was dropped once is not dropped twice. */
		json_t *again = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
		const bool same = json_equal(*out, again);
		json_decref(again);
		if (same) return ISO_OK;
	}
	if (*out || no_memory) {
		json_decref(*out);
		*out = NULL;
		return iso_fail_memory(err, "reading JSON", size);
	}
	const char *remedy = "correct the file at this line or restore it";
	if (where.line < 1) return iso_fail(err, ISO_BAD_INPUT, file, remedy, "this is no JSON: %s", where.text);
	return iso_fail_at(err, ISO_BAD_INPUT, file, ISO_POSITION_LINE, where.line, remedy, "this is no JSON: %s",
			   where.text);
}

iso_status iso_json_read(const char *path, json_t **out, iso_error *err)
{
	char *text;
	size_t size;
	*out = NULL;
	iso_status status = iso_read_file(path, (size_t)256 << 20, &text, &size, err);
	if (status != ISO_OK) return status;
	status = iso_json_parse(text, size, path, out, err);
	free(text);
	return status;
}

iso_status iso_json_dump(const json_t *value, size_t flags, char **text, iso_error *err)
{
	errno = 0;
	*text = value ? json_dumps(value, flags) : NULL;
	if (*text && errno != ENOMEM) return ISO_OK;
	free(*text);
	*text = NULL;
	return iso_fail_memory(err, "a JSON text", 0);
}

json_t *iso_json_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}
