/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static const uint32_t rows_of_run = 256, most_rows = 65536; /* a row has 16 bits */
static const uint32_t most_columns = 92681;                 /* whose pairs a <= b just fit into 32 bits */
static const uint64_t most_ranked = 1 << 22;                /* pairs; their two tables take 32 MB */
/* Measured on the bench's scanners: 4 to 16 directions and 5 to 10 lines are within a tenth of one another; one direction at a time is up to
 * half as slow again. */
enum { directions_together = 8, lines_together = 6 };
static const double pi = 3.14159265358979323846;

/* An element's place, to sort by. x and y by their bits: only elements that are exactly in line make a column. */
typedef struct placed {
	uint32_t x, y;
	float z;
	uint32_t element;
} placed;

static int by_place(const void *left, const void *right)
{
	const placed *a = left, *b = right;
	if (a->x != b->x) return a->x < b->x ? -1 : 1;
	if (a->y != b->y) return a->y < b->y ? -1 : 1;
	if (a->z != b->z) return a->z < b->z ? -1 : 1;
	return a->element < b->element ? -1 : a->element > b->element;
}

static bool begins_column(const placed *order, uint32_t n, uint32_t rows)
{
	return n == 0 || rows == most_rows || order[n].x != order[n - 1].x || order[n].y != order[n - 1].y;
}

/* Puts each element's column and row into place[]; returns the number of columns. Columns are numbered by their lowest element, so that
 * those that are numbered one after the other are neighbours as the scanner's maker numbered them. new_number: [elements] */
static uint32_t place_in_columns(placed *order, uint32_t elements, iso_place *place, uint32_t *new_number)
{
	qsort(order, elements, sizeof *order, by_place);
	uint32_t columns = 0, rows = 0;
	for (uint32_t n = 0; n < elements; n++, rows++) {
		if (begins_column(order, n, rows)) {
			new_number[columns++] = UINT32_MAX;
			rows = 0;
		}
		place[order[n].element] = (iso_place){columns - 1, (uint16_t)rows};
	}
	uint32_t next = 0;
	for (uint32_t e = 0; e < elements; e++) {
		uint32_t *number = new_number + place[e].column;
		if (*number == UINT32_MAX) *number = next++;
		place[e].column = *number;
	}
	return columns;
}

static uint32_t place_in_runs(uint32_t elements, iso_place *place)
{
	uint32_t rows = rows_of_run;
	while ((elements - 1) / rows >= most_columns) rows *= 2;
	for (uint32_t e = 0; e < elements; e++) place[e] = (iso_place){e / rows, (uint16_t)(e % rows)};
	return (elements - 1) / rows + 1;
}

static iso_status find_columns(iso_columns *c, const iso_scanner *scanner, iso_error *err)
{
	const uint32_t elements = scanner->elements;
	placed *order = malloc(elements * sizeof *order);
	uint32_t *new_number = malloc(elements * sizeof *new_number);
	if (!order || !new_number) {
		free(order);
		free(new_number);
		return iso_fail_memory(err, "the scanner's columns", elements * (sizeof *order + sizeof *new_number));
	}
	for (uint32_t e = 0; e < elements; e++) {
		const float *p = scanner->position_mm + 3 * (size_t)e;
		order[e] = (placed){.z = p[2], .element = e};
		memcpy(&order[e].x, p, sizeof order->x);
		memcpy(&order[e].y, p + 1, sizeof order->y);
	}
	c->columns = place_in_columns(order, elements, c->place, new_number);
	c->planar = c->columns <= elements / 2 && c->columns <= most_columns;
	if (!c->planar) c->columns = place_in_runs(elements, c->place);
	free(order);
	free(new_number);
	return ISO_OK;
}

/* first[], element[], position_mm[] and most_rows from place[]. */
static iso_status list_columns(iso_columns *c, const iso_scanner *scanner, iso_error *err)
{
	c->first = calloc(c->columns + (size_t)1, sizeof *c->first);
	if (!c->first) return iso_fail_memory(err, "the scanner's columns", (c->columns + 1ull) * sizeof *c->first);
	for (uint32_t e = 0; e < c->elements; e++) c->first[c->place[e].column + 1]++;
	for (uint32_t n = 0; n < c->columns; n++) {
		if (c->first[n + 1] > c->most_rows) c->most_rows = c->first[n + 1];
		c->first[n + 1] += c->first[n];
	}
	for (uint32_t e = 0; e < c->elements; e++) {
		const uint32_t at = c->first[c->place[e].column] + c->place[e].row;
		c->element[at] = e;
		memcpy(c->position_mm + 3 * (size_t)at, scanner->position_mm + 3 * (size_t)e, 3 * sizeof(float));
	}
	return ISO_OK;
}

/* A pair of columns as a line seen along z. */
typedef struct seen_line {
	double angle, offset_mm;
	uint32_t number;
	uint32_t direction, band; /* place in the order, see rank_lines */
} seen_line;

static int by_angle(const void *left, const void *right)
{
	const seen_line *a = left, *b = right;
	if (a->angle != b->angle) return a->angle < b->angle ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* Turns, bands within a turn, directions within a band, lines within a direction; to and fro on every level. */
static int by_place_in_order(const void *left, const void *right)
{
	const seen_line *a = left, *b = right;
	const uint32_t turn = a->direction / directions_together, other = b->direction / directions_together;
	if (turn != other) return turn < other ? -1 : 1;
	const bool back = turn % 2;
	if (a->band != b->band) return (a->band < b->band) != back ? -1 : 1;
	const bool fro = a->band % 2;
	if (a->direction != b->direction) return (a->direction < b->direction) != fro ? -1 : 1;
	const bool reverse = a->direction % 2;
	if (a->offset_mm != b->offset_mm) return (a->offset_mm < b->offset_mm) != reverse ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static seen_line see_line(const double *p, const double *q, uint32_t number)
{
	const double dx = q[0] - p[0], dy = q[1] - p[1], length = sqrt(dx * dx + dy * dy);
	if (!(length > 0)) return (seen_line){.angle = 2 * pi, .number = number}; /* along the axis: after all others */
	double angle = atan2(dy, dx), sign = 1;
	if (angle < 0) angle += pi, sign = -1;
	if (angle >= pi) angle = 0, sign = -sign;
	return (seen_line){.angle = angle, .offset_mm = sign * (p[1] * dx - p[0] * dy) / length, .number = number};
}

/* Numbers the directions; returns how many there are. On a ring all pairs with the same a + b are parallel, up to the rounding of
 * positions: angles closer together than a quarter of the angle between neighbouring directions count as one. */
static uint32_t number_directions(const iso_columns *c, seen_line *line, uint32_t pairs)
{
	const double width = pi / (4 * (double)c->columns);
	uint32_t direction = 0;
	qsort(line, pairs, sizeof *line, by_angle);
	for (uint32_t first = 0, n = 0; n < pairs; n++) {
		if (line[n].angle - line[first].angle > width) {
			first = n;
			direction++;
		}
		line[n].direction = direction;
	}
	return direction + 1;
}

/* A few neighbouring directions are gone through together, in bands of a few lines each: what a band's lines see of an image then stays in
 * the cache from one direction to the next. */
static void rank_lines(iso_columns *c, seen_line *line, uint32_t pairs)
{
	const uint32_t directions = number_directions(c, line, pairs);
	double low = 0, high = 0;
	for (uint32_t n = 0; n < pairs; n++) {
		low = fmin(low, line[n].offset_mm);
		high = fmax(high, line[n].offset_mm);
	}
	const double width_mm = lines_together * (high - low) * directions / pairs;
	for (uint32_t n = 0; n < pairs; n++)
		line[n].band = width_mm > 0 ? (uint32_t)((line[n].offset_mm - low) / width_mm) : 0;
	qsort(line, pairs, sizeof *line, by_place_in_order);
	for (uint32_t n = 0; n < pairs; n++) {
		c->number[n] = line[n].number;
		c->rank[line[n].number] = n;
	}
}

static iso_status rank_pairs(iso_columns *c, iso_error *err)
{
	const size_t pairs = iso_columns_pairs(c);
	if (pairs > most_ranked) return ISO_OK;
	c->rank = malloc(pairs * sizeof *c->rank);
	c->number = malloc(pairs * sizeof *c->number);
	seen_line *line = malloc(pairs * sizeof *line);
	double(*middle)[2] = calloc(c->columns, sizeof *middle);
	if (!c->rank || !c->number || !line || !middle) {
		free(line);
		free(middle);
		return iso_fail_memory(err, "the order of lines", pairs * (sizeof *line + 2 * sizeof *c->rank));
	}
	for (uint32_t n = 0; n < c->columns; n++)
		for (uint32_t at = c->first[n]; at < c->first[n + 1]; at++)
			for (int k = 0; k < 2; k++)
				middle[n][k] += (double)c->position_mm[3 * (size_t)at + (size_t)k] /
						(c->first[n + 1] - c->first[n]);
	for (uint32_t a = 0; a < c->columns; a++)
		for (uint32_t b = a; b < c->columns; b++) {
			const uint32_t number = iso_columns_number(c, a, b);
			line[number] = see_line(middle[a], middle[b], number);
		}
	rank_lines(c, line, (uint32_t)pairs);
	free(line);
	free(middle);
	return ISO_OK;
}

static iso_status create_parts(iso_columns *c, const iso_scanner *scanner, iso_error *err)
{
	const size_t elements = c->elements;
	c->place = malloc(elements * sizeof *c->place);
	c->element = malloc(elements * sizeof *c->element);
	c->position_mm = malloc(elements * 3 * sizeof *c->position_mm);
	if (!c->place || !c->element || !c->position_mm)
		return iso_fail_memory(err, "the scanner's columns",
				       elements * (sizeof *c->place + sizeof *c->element + 3 * sizeof(float)));
	iso_status status = find_columns(c, scanner, err);
	if (status == ISO_OK) status = list_columns(c, scanner, err);
	if (status == ISO_OK) status = rank_pairs(c, err);
	return status;
}

iso_status iso_columns_create(const iso_scanner *scanner, iso_columns **out, iso_error *err)
{
	*out = NULL;
	if (scanner->elements == 0)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "check the scanner's description", "a scanner of 0 elements");
	iso_columns *c = calloc(1, sizeof *c);
	if (!c) return iso_fail_memory(err, "the scanner's columns", sizeof *c);
	c->elements = scanner->elements;
	const iso_status status = create_parts(c, scanner, err);
	if (status != ISO_OK) {
		iso_columns_free(c);
		return status;
	}
	*out = c;
	return ISO_OK;
}

void iso_columns_free(iso_columns *c)
{
	if (!c) return;
	free(c->place);
	free(c->first);
	free(c->element);
	free(c->position_mm);
	free(c->rank);
	free(c->number);
	free(c);
}

void iso_columns_pair(const iso_columns *c, uint32_t rank, uint32_t column[2])
{
	const uint64_t number = c->number ? c->number[rank] : rank, columns = c->columns;
	/* Pair (a, a) has the number a (2 C + 1 - a) / 2: solve for a, and mend the square root's rounding. */
	const double half = (double)columns + 0.5, root = half * half - 2 * (double)number;
	const double guess = half - sqrt(root > 0 ? root : 0);
	uint64_t a = guess > 0 ? (uint64_t)guess : 0;
	if (a >= columns) a = columns - 1;
	while (a > 0 && a * (2 * columns + 1 - a) / 2 > number) a--;
	while (a + 1 < columns && (a + 1) * (2 * columns - a) / 2 <= number) a++;
	column[0] = (uint32_t)a;
	column[1] = (uint32_t)(a + number - a * (2 * columns + 1 - a) / 2);
}
