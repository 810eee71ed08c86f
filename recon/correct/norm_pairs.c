/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/norm_pairs.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/pair_components.h"
#include "recon/geometry.h"

/* Classes that would need more than this are worked out each time instead. */
static const size_t most_table_bytes = (size_t)512 << 20;
static const uint32_t most_kinds = 1 << 24; /* of column pairs, to look for classes among them */
enum { MOST_LISTS = 64, KEY_NUMBERS = 6 };
static const double quantum_mm = 1e-4; /* positions that differ by less are the same, up to rounding */

static const float *place(const iso_norm_pairs *p, uint32_t column, uint32_t row)
{
	return p->nominal->position_mm + 3 * (size_t)p->element[p->first[column] + row];
}

static const float *normal(const iso_norm_pairs *p, uint32_t column, uint32_t row)
{
	return p->nominal->normal + 3 * (size_t)p->element[p->first[column] + row];
}

/* Columns of the scanner where it has them; otherwise every element is one. */
static iso_status list_columns(iso_norm_pairs *p, const iso_scanner *scanner, iso_error *err)
{
	iso_columns *columns = NULL;
	iso_status status = iso_columns_create(scanner, &columns, err);
	if (status != ISO_OK) return status;
	bool planar = columns->planar;
	const iso_pair_components *c = scanner->components;
	for (uint32_t n = 0; planar && c && n < columns->columns; n++)
		for (uint32_t at = columns->first[n]; at < columns->first[n + 1]; at++)
			planar &= c->position[columns->element[at]] == c->position[columns->element[columns->first[n]]];
	p->columns = planar ? columns->columns : scanner->elements;
	p->most_rows = planar ? columns->most_rows : 1;
	p->first = malloc((p->columns + (size_t)1) * sizeof *p->first);
	p->element = malloc(scanner->elements * sizeof *p->element);
	p->place = malloc(scanner->elements * sizeof *p->place);
	p->column = malloc(scanner->elements * sizeof *p->column);
	if (!p->first || !p->element || !p->place || !p->column)
		status = iso_fail_memory(err, "the normalisation", 2 * (size_t)scanner->elements * sizeof *p->first);
	for (uint32_t n = 0; status == ISO_OK && n <= p->columns; n++) p->first[n] = planar ? columns->first[n] : n;
	for (uint32_t e = 0; status == ISO_OK && e < scanner->elements; e++)
		p->element[e] = planar ? columns->element[e] : e;
	for (uint32_t n = 0; status == ISO_OK && n < p->columns; n++)
		for (uint32_t at = p->first[n]; at < p->first[n + 1]; at++) {
			p->place[p->element[at]] = at;
			p->column[p->element[at]] = n;
		}
	iso_columns_free(columns);
	return status;
}

/* Numbers the different lists of z that columns have; -1: too many, or crystals of a column that look into different directions. */
static bool find_lists(const iso_norm_pairs *p, int *list)
{
	uint32_t example[MOST_LISTS];
	int count = 0;
	for (uint32_t u = 0; u < p->columns; u++) {
		const uint32_t rows = iso_norm_rows(p, u);
		for (uint32_t i = 0; i < rows; i++)
			if (memcmp(normal(p, u, i), normal(p, u, 0), 3 * sizeof(float)) != 0) return false;
		list[u] = -1;
		for (int n = 0; n < count && list[u] < 0; n++) {
			bool same = iso_norm_rows(p, example[n]) == rows;
			for (uint32_t i = 0; same && i < rows; i++)
				same = place(p, example[n], i)[2] == place(p, u, i)[2];
			if (same) list[u] = n;
		}
		if (list[u] >= 0) continue;
		if (count == MOST_LISTS) return false;
		example[count] = u;
		list[u] = count++;
	}
	return true;
}

typedef struct key {
	int64_t number[KEY_NUMBERS];
} key;

static int64_t whole(double x, double quantum)
{
	return llrint(x / quantum);
}

/* What the counts of the lines between two columns depend on. */
static key key_of(const iso_norm_pairs *p, const int *list, uint32_t u, uint32_t v)
{
	const float *a = place(p, u, 0), *b = place(p, v, 0), *n = normal(p, u, 0), *m = normal(p, v, 0);
	const double dx = (double)b[0] - (double)a[0], dy = (double)b[1] - (double)a[1],
		     across = sqrt(dx * dx + dy * dy);
	return (key){.number = {whole(across, quantum_mm), whole(fabs(iso_signed_offset_mm(a, b)), quantum_mm),
				/* where along the line the axis is nearest */
				whole(((double)a[0] * dx + (double)a[1] * dy) / fmax(across, 1e-9), quantum_mm),
				whole((dx * (double)n[0] + dy * (double)n[1]) / fmax(across, 1e-9), 1e-5),
				whole((dx * (double)m[0] + dy * (double)m[1]) / fmax(across, 1e-9), 1e-5),
				list[u] * MOST_LISTS + list[v]}};
}

static uint64_t mix(const key *k)
{
	uint64_t state = 0;
	for (int n = 0; n < KEY_NUMBERS; n++) {
		state = (state ^ (uint64_t)k->number[n]) * UINT64_C(0x9E3779B97F4A7C15);
		state ^= state >> 29;
	}
	return state;
}

typedef struct finder {
	key *key;       /* [room] of the classes */
	uint32_t *slot; /* [slots] 1 + class; 0: free */
	uint32_t room, slots;
} finder;

/* The class of the key, a new one when there is none; UINT32_MAX: there is no room for another one. */
static uint32_t find_class(finder *f, uint32_t *classes, const key *k)
{
	for (uint32_t at = (uint32_t)mix(k) & (f->slots - 1);; at = (at + 1) & (f->slots - 1)) {
		if (f->slot[at] && memcmp(&f->key[f->slot[at] - 1], k, sizeof *k) == 0) return f->slot[at] - 1;
		if (f->slot[at]) continue;
		if (*classes == f->room) return UINT32_MAX;
		f->key[*classes] = *k;
		f->slot[at] = ++*classes;
		return *classes - 1;
	}
}

/* Kinds of all column pairs. room: classes at most. */
static void sort_pairs(iso_norm_pairs *p, finder *f, const int *list)
{
	iso_norm_chords chords;
	for (uint32_t u = 0; u < p->columns; u++)
		for (uint32_t v = 0; v < p->columns; v++) {
			uint32_t *kind = &p->kind[(size_t)u * p->columns + v];
			*kind = 0;
			if (u == v || fabs(iso_signed_offset_mm(place(p, u, 0), place(p, v, 0))) >
					  p->nominal->rule.max_transaxial_offset_mm + 2e-3)
				continue;
			if (!iso_norm_chords_of(p->source, p->inner_part, place(p, u, 0), place(p, v, 0), &chords))
				continue;
			*kind = ISO_NORM_ALONE;
			if (!f) continue;
			const key k = key_of(p, list, u, v);
			const uint32_t before = p->classes, class = find_class(f, &p->classes, &k);
			if (class == UINT32_MAX) continue;
			if (p->classes > before) p->representative[class][0] = u, p->representative[class][1] = v;
			*kind = 1 + class;
		}
}

/* The matrix of two columns, without axial factors. */
static void fill(const iso_norm_pairs *p, uint32_t u, uint32_t v, float *matrix)
{
	iso_norm_chords chords;
	const uint32_t rows = iso_norm_rows(p, u), others = iso_norm_rows(p, v);
	memset(matrix, 0, (size_t)rows * others * sizeof *matrix);
	if (!iso_norm_chords_of(p->source, p->inner_part, place(p, u, 0), place(p, v, 0), &chords)) return;
	for (uint32_t i = 0; i < rows; i++)
		for (uint32_t j = 0; j < others; j++) {
			const uint32_t a = p->element[p->first[u] + i], b = p->element[p->first[v] + j];
			const double factor = iso_pair_factor(p->nominal, a, b);
			if (factor > 0)
				matrix[(size_t)i * others + j] =
				    (float)(factor * iso_norm_integral(&chords, place(p, u, i), place(p, v, j)));
		}
}

static iso_status make_tables(iso_norm_pairs *p, int threads, iso_error *err)
{
	size_t total = 0;
	p->start = malloc((p->classes + (size_t)1) * sizeof *p->start);
	if (!p->start) return iso_fail_memory(err, "the normalisation", (p->classes + (size_t)1) * sizeof *p->start);
	for (uint32_t c = 0; c < p->classes; c++) {
		p->start[c] = total;
		total += (size_t)iso_norm_rows(p, p->representative[c][0]) * iso_norm_rows(p, p->representative[c][1]);
	}
	p->start[p->classes] = total;
	p->table = malloc((total + 1) * sizeof *p->table);
	p->weighted = malloc((total + 1) * sizeof *p->weighted);
	if (!p->table || !p->weighted) return iso_fail_memory(err, "the normalisation", 2 * total * sizeof *p->table);
	const int64_t classes = p->classes;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
	for (int64_t c = 0; c < classes; c++)
		fill(p, p->representative[c][0], p->representative[c][1], p->table + p->start[c]);
	memcpy(p->weighted, p->table, total * sizeof *p->table);
	return ISO_OK;
}

static iso_status find_kinds(iso_norm_pairs *p, int threads, iso_error *err)
{
	const uint64_t kinds = (uint64_t)p->columns * p->columns;
	if (kinds > most_kinds) return ISO_OK;
	const size_t each = (size_t)p->most_rows * p->most_rows * 2 * sizeof(float);
	finder f = {.room = (uint32_t)fmin(fmax((double)(most_table_bytes / each), 1), 1 << 20), .slots = 1 << 21};
	p->kind = malloc(kinds * sizeof *p->kind);
	p->representative = malloc(f.room * sizeof *p->representative);
	f.key = malloc(f.room * sizeof *f.key);
	f.slot = calloc(f.slots, sizeof *f.slot);
	int *list = malloc(p->columns * sizeof *list);
	iso_status status = ISO_OK;
	if (!p->kind || !p->representative || !f.key || !f.slot || !list)
		status = iso_fail_memory(err, "the normalisation", kinds * sizeof *p->kind + f.slots * sizeof *f.slot);
	if (status == ISO_OK) {
		const bool alike = iso_norm_source_is_round(p->source) && find_lists(p, list);
		sort_pairs(p, alike ? &f : NULL, list);
		status = make_tables(p, threads, err);
	}
	free(f.key);
	free(f.slot);
	free(list);
	return status;
}

/* How far from the axis and apart along it the pairs that count are. */
static void find_extent(iso_norm_pairs *p)
{
	iso_norm_chords chords;
	float low = (float)INFINITY, high = -(float)INFINITY;
	for (uint32_t e = 0; e < p->nominal->elements; e++) {
		low = fminf(low, p->nominal->position_mm[3 * (size_t)e + 2]);
		high = fmaxf(high, p->nominal->position_mm[3 * (size_t)e + 2]);
	}
	p->most_axial_mm = fmin((double)high - (double)low, p->nominal->rule.max_axial_difference_mm);
	for (uint32_t u = 0; u < p->columns; u++)
		for (uint32_t v = 0; v < p->columns; v++) {
			const double offset = fabs(iso_signed_offset_mm(place(p, u, 0), place(p, v, 0)));
			if (offset <= p->most_offset_mm || offset > p->nominal->rule.max_transaxial_offset_mm + 1e-3)
				continue;
			if (p->kind
				? p->kind[(size_t)u * p->columns + v] != 0
				: iso_norm_chords_of(p->source, p->inner_part, place(p, u, 0), place(p, v, 0), &chords))
				p->most_offset_mm = offset;
		}
}

iso_status iso_norm_pairs_create(const iso_scanner *scanner, const iso_norm_source *source, double inner_part,
				 int threads, iso_norm_pairs **out, iso_error *err)
{
	*out = NULL;
	iso_norm_pairs *p = calloc(1, sizeof *p);
	if (!p) return iso_fail_memory(err, "the normalisation", sizeof *p);
	p->source = source;
	p->inner_part = inner_part;
	iso_status status = iso_scanner_copy(scanner, &p->nominal, err);
	if (status == ISO_OK) {
		iso_pair_components_free(p->nominal->components);
		p->nominal->components = NULL;
		for (uint32_t e = 0; e < scanner->elements; e++) p->nominal->efficiency[e] = 1;
		status = list_columns(p, scanner, err);
	}
	if (status == ISO_OK) status = find_kinds(p, threads > 0 ? threads : omp_get_max_threads(), err);
	if (status != ISO_OK) {
		iso_norm_pairs_free(p);
		return status;
	}
	find_extent(p);
	*out = p;
	return ISO_OK;
}

void iso_norm_pairs_free(iso_norm_pairs *p)
{
	if (!p) return;
	iso_scanner_free(p->nominal);
	free(p->first);
	free(p->element);
	free(p->place);
	free(p->column);
	free(p->kind);
	free(p->representative);
	free(p->start);
	free(p->table);
	free(p->weighted);
	free(p);
}

bool iso_norm_pair_counts(const iso_norm_pairs *pairs, uint32_t a, uint32_t b)
{
	iso_norm_chords chords;
	const uint32_t u = pairs->column[a], v = pairs->column[b];
	const uint32_t kind = pairs->kind ? pairs->kind[(size_t)u * pairs->columns + v] : ISO_NORM_ALONE;
	if (kind == 0) return false;
	if (kind != ISO_NORM_ALONE)
		return pairs->table[pairs->start[kind - 1] +
				    (size_t)(pairs->place[a] - pairs->first[u]) * iso_norm_rows(pairs, v) +
				    (pairs->place[b] - pairs->first[v])] > 0;
	const float *p = pairs->nominal->position_mm + 3 * (size_t)a, *q = pairs->nominal->position_mm + 3 * (size_t)b;
	return iso_scanner_pair_allowed(pairs->nominal, a, b) &&
	       iso_norm_chords_of(pairs->source, pairs->inner_part, p, q, &chords) &&
	       iso_norm_integral(&chords, p, q) > 0;
}

static void weigh(const iso_norm_pairs *p, uint32_t u, uint32_t v, const iso_pair_components *c, const float *from,
		  float *to)
{
	const uint32_t rows = iso_norm_rows(p, u), others = iso_norm_rows(p, v);
	for (uint32_t i = 0; i < rows; i++)
		for (uint32_t j = 0; j < others; j++) {
			uint32_t node[2];
			const size_t at = (size_t)i * others + j;
			const double apart = fabs((double)place(p, v, j)[2] - (double)place(p, u, i)[2]),
				     w = iso_nodes_between(apart, c->axial_step_mm, c->axial_nodes, node);
			to[at] =
			    from[at] * (float)((1 - w) * (double)c->axial[node[0]] + w * (double)c->axial[node[1]]);
		}
}

void iso_norm_pairs_weigh(iso_norm_pairs *p, const iso_pair_components *components, int threads)
{
	if (!components->axial_nodes) return;
	const int64_t classes = p->classes;
#pragma omp parallel for num_threads(threads) schedule(static)
	for (int64_t c = 0; c < classes; c++)
		weigh(p, p->representative[c][0], p->representative[c][1], components, p->table + p->start[c],
		      p->weighted + p->start[c]);
}

const float *iso_norm_pairs_matrix(const iso_norm_pairs *p, uint32_t u, uint32_t v,
				   const iso_pair_components *components, float *room)
{
	const uint32_t kind = p->kind ? p->kind[(size_t)u * p->columns + v] : ISO_NORM_ALONE;
	if (kind == 0 || u == v) return NULL;
	if (kind != ISO_NORM_ALONE) return p->weighted + p->start[kind - 1];
	fill(p, u, v, room);
	if (components->axial_nodes) weigh(p, u, v, components, room, room);
	return room;
}
