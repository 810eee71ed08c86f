/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/output.h"
#include "io/csv.h"
#include "io/yaml.h"
#include "isotrace/events.h"
#include "isotrace/volume.h"
#include "tests/failure/inject.h"
#include "tests/harness.h"

static const iso_ring_description eight = {
    .name = "eight", .rings = 3, .crystals_per_ring = 8, .radius_mm = 96, .ring_spacing_mm = 10};

static iso_status scanner_and_events(const char *folder, iso_error *err)
{
	(void)folder;
	iso_scanner *scanner = NULL, *copy = NULL;
	iso_events *events = NULL;
	const iso_event list[2] = {{.element = {0, 4}}, {.element = {1, 5}}};
	const iso_acquisition facts = iso_acquisition_unknown();
	iso_status status = iso_scanner_from_rings(&eight, &scanner, err);
	if (status == ISO_OK) status = iso_scanner_copy(scanner, &copy, err);
	if (status == ISO_OK) status = iso_events_from_array(list, 2, scanner, &facts, &events, err);
	iso_event read[2];
	size_t count = 2;
	if (status == ISO_OK) status = iso_events_read(events, read, 2, &count, err);
	if (status == ISO_OK && count != 2) status = ISO_BAD_INPUT;
	iso_events_close(events);
	iso_scanner_free(copy);
	iso_scanner_free(scanner);
	return status;
}

static iso_status images(const char *folder, iso_error *err)
{
	(void)folder;
	const size_t size[3] = {5, 6, 7}, fewer[3] = {2, 3, 3};
	const double voxel[3] = {1, 1, 1}, larger[3] = {2.5, 2, 2.3}, centre[3] = {0, 0, 0};
	const iso_grid fine = iso_grid_centred(size, voxel, centre), coarse = iso_grid_centred(fewer, larger, centre);
	iso_image *image = NULL, *resampled = NULL;
	iso_status status = iso_image_create(&fine, ISO_UNIT_PER_CM, &image, err);
	if (status == ISO_OK) status = iso_image_resample(image, &coarse, 0, &resampled, err);
	iso_image_free(image);
	iso_image_free(resampled);
	return status;
}

static iso_status volumes(const char *folder, iso_error *err)
{
	(void)folder;
	const iso_grid grid =
	    iso_grid_centred((const size_t[]){2, 2, 2}, (const double[]){1, 1, 1}, (const double[]){0, 0, 0});
	const iso_frame frames[2] = {{0, 1}, {1, 1}};
	iso_volume *volume = NULL;
	const iso_status status = iso_volume_create(&grid, ISO_UNIT_BQ_PER_ML, 2, frames, 2, &volume, err);
	iso_volume_free(volume);
	return status;
}

static iso_status write_text(const char *name, const char *text, iso_error *err)
{
	return iso_output_write(iso_test_path(name), text, strlen(text), err);
}

static iso_status tables(const char *folder, iso_error *err)
{
	(void)folder;
	iso_csv *csv = NULL;
	const iso_status status = iso_csv_read(iso_test_path("table.csv"), &csv, err);
	iso_csv_free(csv);
	return status;
}

typedef struct list {
	char *name;
	double *values;
	unsigned values_count;
} list;
static const cyaml_schema_value_t number = {CYAML_VALUE_FLOAT(CYAML_FLAG_DEFAULT, double)};
static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, list, name, 0, CYAML_UNLIMITED),
    CYAML_FIELD_SEQUENCE("values", CYAML_FLAG_POINTER, list, values, &number, 0, CYAML_UNLIMITED), CYAML_FIELD_END};
static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, list, fields)};

static iso_status yaml(const char *folder, iso_error *err)
{
	(void)folder;
	void *data = NULL;
	const iso_status status = iso_yaml_load(iso_test_path("list.yaml"), &schema, &data, err);
	iso_yaml_free(&schema, data);
	return status;
}

static iso_status files(const char *folder, iso_error *err)
{
	char path[PATH_MAX], hex[65], *text = NULL;
	static char bytes[20000];
	snprintf(path, sizeof path, "%s/file", folder);
	iso_status status = iso_output_write(path, bytes, sizeof bytes, err);
	if (status == ISO_OK) status = iso_hash_file(path, hex, err);
	if (status == ISO_OK) status = iso_read_file(path, 1 << 20, &text, NULL, err);
	free(text);
	return status;
}

static void test_objects(void)
{
	iso_fail_every_allocation(&(iso_scenario){.run = scanner_and_events});
	iso_fail_every_allocation(&(iso_scenario){.run = images});
	iso_fail_every_allocation(&(iso_scenario){.run = volumes});
}

static void test_files(void)
{
	iso_fail_every_allocation(&(iso_scenario){.run = files, .may_remain = (const char *[]){"file", NULL}});
}

static void test_tables(void)
{
	iso_error err;
	char text[4000], *at = text;
	at += sprintf(at, "a,b\n");
	for (int row = 0; row < 200; row++) at += sprintf(at, "%d,\"x\"\n", row);
	ISO_ASSERT_OK(write_text("table.csv", text, &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = tables});
	ISO_ASSERT_OK(write_text("list.yaml", "name: long enough\nvalues: [1, 2, 3, 4, 5]\n", &err), err);
	iso_fail_every_allocation(&(iso_scenario){.run = yaml});
}

static const iso_test tests[] = {
    {"scanner, events, images, volumes", test_objects},
    {"files", test_files},
    {"CSV and YAML", test_tables},
};
ISO_TEST_MAIN("memory, core", tests)
