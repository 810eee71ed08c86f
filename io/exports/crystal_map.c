/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "io/exports/exports.h"

#define REMEDY "write lines of ring, det, [layer,] x, y, z (mm), indices from 0, every combination once"
enum { MOST_BYTES = 1 << 30, MOST_CRYSTALS = 20000000 };

typedef struct crystal {
	uint32_t ring, det, layer;
	float position_mm[3];
	int64_t line;
} crystal;

typedef struct crystal_list {
	crystal *items;
	size_t count, room;
	int columns; /* 5 or 6; 0 = no line yet */
} crystal_list;

/* Splits one line into at most 7 numbers; -1: something that is none. */
static int numbers_of(const char *line, double values[7])
{
	int count = 0;
	for (const char *at = line;;) {
		at += strspn(at, " \t,\r");
		if (!*at || *at == '#') return count;
		char *end;
		if (count == 7) return 7;
		values[count] = iso_strtod(at, &end);
		if (end == at || !isfinite(values[count])) return -1;
		count++;
		at = end;
		if (*at && !strchr(" \t,\r#", *at)) return -1;
	}
}

static bool index_of(double value, uint32_t *index)
{
	*index = value >= 0 && value <= 65535 ? (uint32_t)value : 0;
	return value >= 0 && value <= 65535 && value == floor(value);
}

static iso_status add_line(crystal_list *list, const char *line, int64_t number, const char *path, iso_error *err)
{
	double v[7];
	const int columns = numbers_of(line, v);
	if (columns == 0) return ISO_OK;
	if ((columns != 5 && columns != 6) || (list->columns && columns != list->columns))
		return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, number, REMEDY,
				   "the line does not have %s numbers",
				   list->columns == 6   ? "6"
				   : list->columns == 5 ? "5"
							: "5 or 6");
	crystal c = {.line = number};
	const int at = columns - 3;
	if (!index_of(v[0], &c.ring) || !index_of(v[1], &c.det) || (columns == 6 && !index_of(v[2], &c.layer)))
		return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, number, REMEDY,
				   "ring, det or layer is no whole number from 0 to 65535");
	for (int a = 0; a < 3; a++) c.position_mm[a] = (float)v[at + a];
	if (!(hypot(v[at], v[at + 1]) > 1e-3) || !(fabs(v[at]) + fabs(v[at + 1]) + fabs(v[at + 2]) < 1e5))
		return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, number, REMEDY,
				   "a crystal at (%g, %g, %g) mm: on the scanner's axis or too far away", v[at],
				   v[at + 1], v[at + 2]);
	if (list->count == list->room) {
		const size_t room = list->room ? 2 * list->room : 4096;
		crystal *more = room > MOST_CRYSTALS ? NULL : realloc(list->items, room * sizeof *more);
		if (!more) return iso_fail_memory(err, "the crystal map", room * sizeof *more);
		list->items = more;
		list->room = room;
	}
	list->columns = columns;
	list->items[list->count++] = c;
	return ISO_OK;
}

static iso_status read_lines(const char *path, crystal_list *list, iso_error *err)
{
	char *text = NULL;
	size_t size = 0;
	iso_status status = iso_read_file(path, MOST_BYTES, &text, &size, err);
	if (status == ISO_OK && strlen(text) != size)
		status = iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_BYTE, (int64_t)strlen(text), REMEDY,
				     "this is no text file");
	int64_t number = 1;
	for (char *line = text; status == ISO_OK && line && *line; number++) {
		char *end = strchr(line, '\n');
		if (end) *end = '\0';
		status = add_line(list, line, number, path, err);
		line = end ? end + 1 : NULL;
	}
	free(text);
	if (status == ISO_OK && list->count < 2)
		status = iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "the map has %zu crystals", list->count);
	return status;
}

static iso_status place(const crystal_list *list, const iso_crystal_grid *grid, const char *path, iso_scanner *scanner,
			iso_error *err)
{
	for (size_t n = 0; n < list->count; n++) {
		const crystal *c = &list->items[n];
		const size_t e = ((size_t)c->layer * grid->rings + c->ring) * grid->dets + c->det;
		float *position = scanner->position_mm + 3 * e, *normal = scanner->normal + 3 * e;
		if (position[0] != 0 || position[1] != 0)
			return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, c->line, REMEDY,
					   "ring %u, det %u, layer %u is there twice", c->ring, c->det, c->layer);
		const double r = hypot((double)c->position_mm[0], (double)c->position_mm[1]);
		memcpy(position, c->position_mm, sizeof c->position_mm);
		normal[0] = (float)((double)c->position_mm[0] / r);
		normal[1] = (float)((double)c->position_mm[1] / r);
	}
	return ISO_OK;
}

iso_status iso_crystal_map_load(const char *path, iso_scanner **out, iso_crystal_grid *grid, iso_error *err)
{
	crystal_list list = {.items = NULL};
	*out = NULL;
	*grid = (iso_crystal_grid){.layers = 0};
	iso_status status = read_lines(path, &list, err);
	for (size_t n = 0; status == ISO_OK && n < list.count; n++) {
		const crystal *c = &list.items[n];
		if (c->layer >= grid->layers) grid->layers = c->layer + 1;
		if (c->ring >= grid->rings) grid->rings = c->ring + 1;
		if (c->det >= grid->dets) grid->dets = c->det + 1;
	}
	const uint64_t places = (uint64_t)grid->layers * grid->rings * grid->dets;
	if (status == ISO_OK && places != list.count)
		status = iso_fail(err, ISO_BAD_INPUT, path, REMEDY,
				  "%zu crystals for %u layers x %u rings x %u dets: the grid is not complete",
				  list.count, grid->layers, grid->rings, grid->dets);
	if (status == ISO_OK) status = iso_scanner_create((uint32_t)places, "", out, err);
	if (status == ISO_OK) status = place(&list, grid, path, *out, err);
	free(list.items);
	if (status == ISO_OK) {
		(*out)->elements_per_ring = grid->dets;
		return ISO_OK;
	}
	iso_scanner_free(*out);
	*out = NULL;
	return status;
}

iso_status iso_crystal_map_read(const char *path, iso_scanner **out, iso_error *err)
{
	iso_crystal_grid grid;
	return iso_crystal_map_load(path, out, &grid, err);
}
