/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "tests/harness.h"

static void readable(void)
{
	/* valid: 1 to 4 bytes; not: cut, alone, too long a form, a surrogate, beyond U+10FFFF, Latin-1 */
	static const struct {
		const char *text, *expected;
	} rows[] = {
	    {"mouse", "mouse"},
	    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xad", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xad"},
	    {"M\xe4use", "M?use"},
	    {"a\xe2\x82", "a??"},
	    {"\x80", "?"},
	    {"\xc0\xaf", "??"},
	    {"\xe0\x9f\xbf", "???"},
	    {"\xed\xa0\x80", "???"},
	    {"\xf0\x8f\xbf\xbf", "????"},
	    {"\xf4\x90\x80\x80", "????"},
	    {"\xff", "?"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *value = iso_json_readable(rows[i].text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(value);
		CU_ASSERT_STRING_EQUAL(json_string_value(value), rows[i].expected);
		json_decref(value);
		/* and jansson agrees on what is UTF-8 */
		value = json_string(rows[i].text);
		CU_ASSERT_EQUAL(value != NULL, strcmp(rows[i].text, rows[i].expected) == 0);
		json_decref(value);
	}
}

static void together(void)
{
	iso_error err;
	char *text;
	iso_json json = iso_json_begin();
	json_t *list = json_array();
	iso_json_put(&json, "name", json_string("M01"));
	iso_json_append(&json, list, json_integer(3));
	iso_json_put(&json, "list", list);
	ISO_ASSERT_OK(iso_json_text(&json, JSON_COMPACT, "f", &text, &err), err);
	CU_ASSERT_STRING_EQUAL(text, "{\"name\":\"M01\",\"list\":[3]}");
	free(text);
	iso_json_end(&json);
}

static void a_value_that_cannot_be_made(void)
{
	iso_error err;
	char *text = (char *)&err;
	iso_json json = iso_json_begin();
	iso_json_put(&json, "name", json_string("\xff")); /* jansson gives NULL for it */
	iso_json_put(&json, "next", json_integer(1));
	CU_ASSERT_EQUAL(iso_json_text(&json, JSON_COMPACT, "f.json", &text, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(text);
	CU_ASSERT_STRING_EQUAL(err.file, "f.json");
	CU_ASSERT(strstr(err.message, "UTF-8") != NULL);
	iso_json_end(&json);
}

static void parse(void)
{
	iso_error err;
	json_t *value;
	ISO_ASSERT_OK(iso_json_parse("{\"a\": 1.5}", 10, "f.json", &value, &err), err);
	ISO_ASSERT_NEAR(json_number_value(json_object_get(value, "a")), 1.5, 0);
	json_decref(value);
	static const char *const wrong[] = {"{\n\"a\": 1,\n}", "{\n\"a\": 1,\n\"a\": 2}", "", "{\n\n\"a\" 1}"};
	static const int lines[] = {3, 3, 0, 3};
	for (size_t i = 0; i < 4; i++) {
		value = (json_t *)&err;
		CU_ASSERT_EQUAL(iso_json_parse(wrong[i], strlen(wrong[i]), "f.json", &value, &err), ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(value);
		CU_ASSERT_STRING_EQUAL(err.file, "f.json");
		if (lines[i]) CU_ASSERT_EQUAL(err.position, lines[i]);
	}
}

static const iso_test tests[] = {
    {"texts that are no UTF-8 are made readable", readable},
    {"put together", together},
    {"a value that cannot be made fails the whole", a_value_that_cannot_be_made},
    {"reading, and lines of errors", parse},
};
ISO_TEST_MAIN("json", tests)
