/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "io/yaml.h"
#include "tests/harness.h"

typedef struct dog {
	char *name;
	double mass_g;
	int legs;
	double *ages;
	unsigned ages_count;
} dog;

static const cyaml_schema_value_t age = {CYAML_VALUE_FLOAT(CYAML_FLAG_DEFAULT, double)};
static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, dog, name, 0, CYAML_UNLIMITED),
    CYAML_FIELD_FLOAT("mass_g", CYAML_FLAG_OPTIONAL, dog, mass_g),
    CYAML_FIELD_INT("legs", CYAML_FLAG_OPTIONAL, dog, legs),
    CYAML_FIELD_SEQUENCE("ages", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, dog, ages, &age, 0, CYAML_UNLIMITED),
    CYAML_FIELD_END};
static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, dog, fields)};

static iso_error err;

static iso_status load(const char *text, dog **out)
{
	const char *path = iso_test_path("dog.yaml");
	iso_error write_err;
	ISO_ASSERT_OK(iso_output_write(path, text, strlen(text), &write_err), write_err);
	void *data = &err;
	const iso_status status = iso_yaml_load(path, &schema, &data, &err);
	*out = data;
	return status;
}

static void good(void)
{
	dog *rex;
	ISO_ASSERT_OK(load("# a dog\nname: Rex the \"Great\"\nmass_g: 1.25e4\nlegs: 4\nages: [1, 2.5]\n", &rex), err);
	CU_ASSERT_STRING_EQUAL(rex->name, "Rex the \"Great\"");
	ISO_ASSERT_NEAR(rex->mass_g, 12500, 0);
	CU_ASSERT_EQUAL(rex->legs, 4);
	CU_ASSERT_EQUAL(rex->ages_count, 2);
	ISO_ASSERT_NEAR(rex->ages[1], 2.5, 0);
	iso_yaml_free(&schema, rex);
	ISO_ASSERT_OK(load("\xEF\xBB\xBFname: Rex\r\nlegs: 3\r\n", &rex), err); /* as Windows editors save it */
	CU_ASSERT_STRING_EQUAL(rex->name, "Rex");
	iso_yaml_free(&schema, rex);
	iso_yaml_free(&schema, NULL);
}

/* line 0: none is asked for */
static void refused(const char *text, int line, const char *because)
{
	dog *rex;
	CU_ASSERT_EQUAL(load(text, &rex), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(rex);
	CU_ASSERT_STRING_EQUAL(err.file, iso_test_path("dog.yaml"));
	CU_ASSERT(err.remedy[0] != '\0');
	if (!strstr(err.message, because) || (line && err.position != line))
		printf("# said: line %lld: %s\n", (long long)err.position, err.message);
	CU_ASSERT(strstr(err.message, because) != NULL);
	if (line) {
		CU_ASSERT_EQUAL(err.position_kind, ISO_POSITION_LINE);
		CU_ASSERT_EQUAL(err.position, line);
	}
}

static void bad(void)
{
	refused("name: Rex\nmass_g: heavy\n", 2, "mass_g: 'heavy' is not a plain number");
	refused("name: Rex\nmass_g: 4 kg\n", 2, "4 kg"); /* not four grams */
	refused("name: Rex\nmass_g: 4,5\n", 2, "4,5");
	refused("name: Rex\nmass_g:\n", 2, "mass_g");
	refused("name: Rex\nmass_g: nan\n", 2, "nan");
	refused("name: Rex\nlegs: 4.5\n", 2, "legs: '4.5' is not a whole number");
	refused("name: Rex\nlegs: 4 left\n", 2, "4 left");
	refused("name: Rex\nlegs: 99999999999999999999\n", 2, "99999999999999999999");
	refused("name: Rex\nlegs: 5000000000\n", 2, "5000000000");            /* no int */
	refused("name: Rex\n\n# note\nmass_kg: 12\n", 4, "no key 'mass_kg'"); /* a mistyped key never does nothing */
	refused("# a dog\nmass_g: 12\n", 2, "the key name is missing");
	refused("name: Rex\nages: 3\n", 2, "ages must be a list");
	refused("name: Rex\nages: [1,\n 2x]\n", 3, "ages: '2x'");
	refused("name: Rex\nmass_g: {a: 1}\n", 2, "single value");
	refused("name: [Rex\n", 0, "not YAML");
	refused("name: Rex\n\tlegs: 4\n", 2, "tab");
	refused("name: Rex\nname: Max\n", 2, "name is given twice");
	refused("- name\n", 1, "not a mapping");
	refused("just text\n", 1, "not a mapping");
	refused("", 0, "empty");
	refused("# nothing\n", 0, "empty");
}

static void no_file(void)
{
	void *data = &err;
	CU_ASSERT_EQUAL(iso_yaml_load(iso_test_path("absent.yaml"), &schema, &data, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(data);
	CU_ASSERT_STRING_EQUAL(err.file, iso_test_path("absent.yaml"));
	CU_ASSERT_EQUAL(iso_yaml_load(iso_test_folder(), &schema, &data, &err), ISO_BAD_INPUT);
}

static const iso_test tests[] = {
    {"a file straight into a struct", good},
    {"what the schema does not allow is refused with its line", bad},
    {"no file", no_file},
};
ISO_TEST_MAIN("yaml", tests)
