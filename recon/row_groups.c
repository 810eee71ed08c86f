/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/row_groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static const double slack_mm = 1e-3; /* as in iso_scanner_pair_allowed */

static uint32_t rows_of(const iso_columns *columns, uint32_t column)
{
	return columns->first[column + 1] - columns->first[column];
}

static uint32_t groups_of(const iso_columns *columns, uint32_t column, uint32_t rows)
{
	return (rows_of(columns, column) + rows - 1) / rows;
}

/* The means of elements first .. end-1 of the fine columns, into one element. */
static void take_together(const iso_row_groups *g, uint32_t first, uint32_t end, uint32_t element)
{
	double position[3] = {0}, normal[3] = {0}, efficiency = 0;
	for (uint32_t at = first; at < end; at++) {
		const size_t e = g->fine_columns->element[at];
		for (int k = 0; k < 3; k++) {
			position[k] += (double)g->fine->position_mm[3 * e + (size_t)k];
			normal[k] += (double)g->fine->normal[3 * e + (size_t)k];
		}
		efficiency += (double)g->fine->efficiency[e];
	}
	const double length = sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
	const float *same = g->fine_columns->position_mm + 3 * (size_t)first; /* x and y, to the bit */
	float *p = g->scanner->position_mm + 3 * (size_t)element, *n = g->scanner->normal + 3 * (size_t)element;
	for (int k = 0; k < 3; k++) {
		p[k] = k < 2 ? same[k] : (float)(position[k] / (end - first));
		n[k] = length > 0 ? (float)(normal[k] / length) : (float)(k == 2);
	}
	g->scanner->efficiency[element] = (float)(efficiency / (end - first));
	/* all rows of a column have the same position across their block */
	if (g->fine->components)
		g->scanner->components->position[element] =
		    g->fine->components->position[g->fine_columns->element[first]];
}

/* The distance between neighbouring rows, mean over all columns. */
static double spacing_mm(const iso_columns *columns)
{
	double length = 0, steps = 0;
	for (uint32_t c = 0; c < columns->columns; c++) {
		const uint32_t first = columns->first[c], last = columns->first[c + 1] - 1;
		length += (double)columns->position_mm[3 * (size_t)last + 2] -
			  (double)columns->position_mm[3 * (size_t)first + 2];
		steps += last - first;
	}
	return steps > 0 ? length / steps : 0;
}

/* Those of the fine scanner; whose elements stand where in a block is filled in group by group. */
static iso_status copy_components(iso_row_groups *g, iso_error *err)
{
	const iso_status status = iso_scanner_create_components(g->scanner, err);
	if (status != ISO_OK) return status;
	uint8_t *position = g->scanner->components->position;
	*g->scanner->components = *g->fine->components;
	g->scanner->components->position = position;
	return ISO_OK;
}

static iso_status fill(iso_row_groups *g, uint32_t rows, uint32_t count, iso_error *err)
{
	const iso_columns *columns = g->fine_columns;
	iso_status status = iso_scanner_create(count, g->fine->name, &g->scanner, err);
	if (status == ISO_OK && g->fine->components) status = copy_components(g, err);
	g->first = status == ISO_OK ? malloc((count + (size_t)1) * sizeof *g->first) : NULL;
	if (status != ISO_OK) return status;
	if (!g->first) return iso_fail_memory(err, "groups of rows", (count + (size_t)1) * sizeof *g->first);
	uint32_t group = 0;
	for (uint32_t c = 0; c < columns->columns; c++) {
		const uint64_t parts = groups_of(columns, c, rows), mine = rows_of(columns, c);
		for (uint64_t n = 0; n < parts; n++, group++) {
			g->first[group] = columns->first[c] + (uint32_t)(n * mine / parts);
			take_together(g, g->first[group], columns->first[c] + (uint32_t)((n + 1) * mine / parts),
				      group);
		}
	}
	g->first[group] = columns->elements;
	memcpy(g->scanner->element_size_mm, g->fine->element_size_mm, sizeof g->scanner->element_size_mm);
	g->scanner->attenuation_per_mm = g->fine->attenuation_per_mm;
	g->scanner->rule.max_transaxial_offset_mm = g->fine->rule.max_transaxial_offset_mm;
	const double spacing = spacing_mm(columns);
	g->half_mm = 0.5 * (rows - 1) * spacing;
	g->spread = (iso_axial_spread){.count = (int)rows, .offset_mm = g->offset_mm};
	for (uint32_t n = 0; n < rows; n++) g->offset_mm[n] = (float)(n * spacing - g->half_mm);
	return iso_columns_create(g->scanner, &g->columns, err);
}

iso_status iso_row_groups_create(const iso_scanner *fine, const iso_columns *fine_columns, uint32_t rows,
				 iso_row_groups **out, iso_error *err)
{
	*out = NULL;
	iso_row_groups *g = calloc(1, sizeof *g);
	if (!g) return iso_fail_memory(err, "groups of rows", sizeof *g);
	g->fine = fine;
	g->fine_columns = fine_columns;
	uint32_t count = 0;
	for (uint32_t c = 0; c < fine_columns->columns; c++) count += groups_of(fine_columns, c, rows);
	const iso_status status = fill(g, rows, count, err);
	if (status != ISO_OK) {
		iso_row_groups_free(g);
		return status;
	}
	*out = g;
	return ISO_OK;
}

void iso_row_groups_free(iso_row_groups *g)
{
	if (!g) return;
	iso_columns_free(g->columns);
	iso_scanner_free(g->scanner);
	free(g->first);
	free(g);
}

/* Sum of the products of efficiencies of the pairs that the rule allows. */
static double allowed(const iso_row_groups *g, uint32_t a, uint32_t b)
{
	const uint32_t *element = g->fine_columns->element;
	double sum = 0;
	for (uint32_t i = g->first[a]; i < g->first[a + 1]; i++)
		for (uint32_t j = g->first[b]; j < g->first[b + 1]; j++)
			if (iso_scanner_pair_allowed(g->fine, element[i], element[j]))
				sum +=
				    (double)g->fine->efficiency[element[i]] * (double)g->fine->efficiency[element[j]];
	return sum;
}

double iso_row_groups_pairs(const iso_row_groups *g, uint32_t a, uint32_t b)
{
	const iso_pair_rule *rule = &g->fine->rule;
	const double all = (double)(g->first[a + 1] - g->first[a]) * (g->first[b + 1] - g->first[b]);
	if (isinf(rule->max_axial_difference_mm) && !(rule->min_distance_mm > 0)) return all;
	const float *p = g->scanner->position_mm + 3 * (size_t)a, *q = g->scanner->position_mm + 3 * (size_t)b;
	const double apart_mm = fabs((double)q[2] - (double)p[2]);
	/* rows may be spaced unevenly: twice the mean is enough to be sure */
	const double reach_mm = 4 * g->half_mm + slack_mm;
	const double across_mm = hypot((double)q[0] - (double)p[0], (double)q[1] - (double)p[1]);
	if (apart_mm - reach_mm > rule->max_axial_difference_mm) return 0;
	if (apart_mm + reach_mm < rule->max_axial_difference_mm && across_mm > rule->min_distance_mm) return all;
	const double mean = (double)g->scanner->efficiency[a] * (double)g->scanner->efficiency[b];
	return mean > 0 ? allowed(g, a, b) / mean : 0;
}
