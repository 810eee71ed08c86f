/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Text header of a Siemens PETLINK list-mode export: lines "key := value" in the manner of Interfile. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "io/exports/exports.h"
#include "isotrace/time.h"

#define REMEDY "check the header; it is the one that the scanner wrote beside the list-mode"
enum { MOST_BYTES = 1 << 20, MOST_KEYS = 1000 };

typedef struct entry {
	char key[96], value[512];
	int64_t line;
} entry;

typedef struct table {
	const char *path;
	entry *entries;
	size_t count;
} table;

/* Lower case; '!' and '%' dropped; runs of spaces, tabs and underscores as one space; trimmed. */
static void normalise(const char *from, size_t length, char *to, size_t size)
{
	size_t used = 0;
	for (size_t n = 0; n < length && used + 1 < size; n++) {
		const unsigned char c = (unsigned char)from[n];
		if (c == '!' || c == '%' || c == '\r') continue;
		if (isspace(c) || c == '_') {
			if (used && to[used - 1] != ' ') to[used++] = ' ';
		} else
			to[used++] = (char)tolower(c);
	}
	while (used && to[used - 1] == ' ') used--;
	to[used] = '\0';
}

static void trimmed(const char *from, size_t length, char *to, size_t size)
{
	while (length && isspace((unsigned char)*from)) from++, length--;
	while (length && isspace((unsigned char)from[length - 1])) length--;
	if (length >= size) length = size - 1;
	memcpy(to, from, length);
	to[length] = '\0';
}

static iso_status add(table *t, const char *line, size_t length, int64_t number, iso_error *err)
{
	size_t mark = 0;
	while (mark + 1 < length && !(line[mark] == ':' && line[mark + 1] == '=')) mark++;
	if (mark + 1 >= length || *line == ';') return ISO_OK; /* no key: a comment or an empty line */
	if (t->count == MOST_KEYS)
		return iso_fail_at(err, ISO_BAD_INPUT, t->path, ISO_POSITION_LINE, number, REMEDY, "more than %d keys",
				   MOST_KEYS);
	entry *e = &t->entries[t->count];
	normalise(line, mark, e->key, sizeof e->key);
	trimmed(line + mark + 2, length - mark - 2, e->value, sizeof e->value);
	e->line = number;
	for (size_t n = 0; n < t->count; n++)
		if (e->value[0] && strcmp(t->entries[n].key, e->key) == 0 && strcmp(t->entries[n].value, e->value) != 0)
			return iso_fail_at(err, ISO_BAD_INPUT, t->path, ISO_POSITION_LINE, number, REMEDY,
					   "'%s' is '%s' here and '%s' on line %lld", e->key, e->value,
					   t->entries[n].value, (long long)t->entries[n].line);
	if (e->key[0]) t->count++;
	return ISO_OK;
}

bool iso_petlink_header_recognised(const char *text)
{
	bool first = true;
	for (int lines = 0; *text && lines < 50; lines++, first = false) {
		char key[64], value[64];
		const size_t length = strcspn(text, "\n");
		const char *mark = strstr(text, ":=");
		const size_t key_length = mark && (size_t)(mark - text) < length ? (size_t)(mark - text) : length;
		normalise(text, key_length, key, sizeof key);
		if (first && strcmp(key, "interfile") != 0) return false;
		if (strcmp(key, "sms-mi header name space") == 0 && key_length < length) {
			normalise(mark + 2, length - key_length - 2, value, sizeof value);
			return strncmp(value, "petlink", 7) == 0;
		}
		text += length + (text[length] == '\n');
	}
	return false;
}

static iso_status load(const char *path, table *t, iso_error *err)
{
	char *text = NULL;
	size_t size = 0;
	*t = (table){.path = path};
	iso_status status = iso_read_file(path, MOST_BYTES, &text, &size, err);
	if (status != ISO_OK) return status;
	if (strlen(text) != size || !iso_petlink_header_recognised(text))
		status =
		    iso_fail(err, ISO_BAD_INPUT, path, "name the header that the scanner wrote beside the list-mode",
			     "this is no header of a PETLINK list-mode");
	if (status == ISO_OK && !(t->entries = calloc(MOST_KEYS, sizeof *t->entries)))
		status = iso_fail_memory(err, "a header", MOST_KEYS * sizeof *t->entries);
	int64_t number = 1;
	for (const char *line = text; status == ISO_OK && *line; number++) {
		const size_t length = strcspn(line, "\n");
		status = add(t, line, length, number, err);
		line += length + (line[length] == '\n');
	}
	free(text);
	return status;
}

static const entry *find(const table *t, const char *key)
{
	for (size_t n = 0; n < t->count; n++)
		if (strcmp(t->entries[n].key, key) == 0 && t->entries[n].value[0]) return &t->entries[n];
	return NULL;
}

static const entry *find_prefix(const table *t, const char *prefix)
{
	for (size_t n = 0; n < t->count; n++)
		if (strncmp(t->entries[n].key, prefix, strlen(prefix)) == 0 && t->entries[n].value[0])
			return &t->entries[n];
	return NULL;
}

/* A number within [low, high]; *value stays when the key is absent and not required. */
static iso_status number(const table *t, const char *key, bool required, double low, double high, double *value,
			 iso_error *err)
{
	const entry *e = find(t, key);
	if (!e && required) return iso_fail(err, ISO_BAD_INPUT, t->path, REMEDY, "the header does not state '%s'", key);
	if (!e) return ISO_OK;
	char *end;
	const double read = iso_strtod(e->value, &end);
	if (end == e->value || *end || !(read >= low && read <= high))
		return iso_fail_at(err, ISO_BAD_INPUT, t->path, ISO_POSITION_LINE, e->line, REMEDY,
				   "'%s' is '%s', not a number from %g to %g", key, e->value, low, high);
	*value = read;
	return ISO_OK;
}

static iso_status whole(const table *t, const char *key, double low, double high, uint32_t *value, iso_error *err)
{
	double read = 0;
	const iso_status status = number(t, key, true, low, high, &read, err);
	if (status == ISO_OK && read != floor(read))
		return iso_fail(err, ISO_BAD_INPUT, t->path, REMEDY, "'%s' is %g, not a whole number", key, read);
	*value = (uint32_t)read;
	return status;
}

/* The header must state this value, because the reader knows no other. */
static iso_status must_be(const table *t, const char *key, const char *wanted, bool required, iso_error *err)
{
	char value[128], expected[128];
	const entry *e = find(t, key);
	if (!e && required) return iso_fail(err, ISO_BAD_INPUT, t->path, REMEDY, "the header does not state '%s'", key);
	if (!e) return ISO_OK;
	normalise(e->value, strlen(e->value), value, sizeof value);
	normalise(wanted, strlen(wanted), expected, sizeof expected);
	if (strcmp(value, expected) == 0) return ISO_OK;
	return iso_fail_at(err, ISO_BAD_INPUT, t->path, ISO_POSITION_LINE, e->line,
			   "this reader takes 32-bit PET coincidences of crystal pairs only",
			   "'%s' is '%s' and not '%s'", key, e->value, wanted);
}

/* "study date (yyyy:mm:dd)" and "study time (hh:mm:ss gmt+00:00)": the zone stands in the key. Unknown (NAN) when either
 * is absent or the key names no zone. */
static iso_status moment(const table *t, const char *what, double *utc_s, char *warning, size_t size, iso_error *err)
{
	char key[64], text[64];
	int y, mo, d, h, mi, s, used = 0;
	snprintf(key, sizeof key, "%s date", what);
	const entry *date = find_prefix(t, key);
	snprintf(key, sizeof key, "%s time", what);
	const entry *time = find_prefix(t, key);
	if (!date || !time) return ISO_OK;
	const char *zone = strstr(time->key, "gmt");
	int hours = 0, minutes = 0;
	char sign = 0;
	if (!zone || sscanf(zone, "gmt%c%2d:%2d", &sign, &hours, &minutes) != 3 || (sign != '+' && sign != '-')) {
		snprintf(warning, size, "the header's %s time names no time zone and is not used", what);
		return ISO_OK;
	}
	if (sscanf(date->value, "%4d:%2d:%2d%n", &y, &mo, &d, &used) != 3 || date->value[used] != '\0')
		return iso_fail_at(err, ISO_BAD_INPUT, t->path, ISO_POSITION_LINE, date->line, REMEDY,
				   "'%s' is no date like 2017:03:27", date->value);
	if (sscanf(time->value, "%2d:%2d:%2d%n", &h, &mi, &s, &used) != 3 || time->value[used] != '\0')
		return iso_fail_at(err, ISO_BAD_INPUT, t->path, ISO_POSITION_LINE, time->line, REMEDY,
				   "'%s' is no time like 17:00:35", time->value);
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", y, mo, d, h, mi, s, sign, hours,
		 minutes);
	return iso_time_parse(text, t->path, utc_s, err);
}

static void copy_text(const table *t, const char *key, char *to, size_t size)
{
	const entry *e = find(t, key);
	if (!e) return;
	trimmed(e->value, strlen(e->value), to, size);
	iso_json_clean(to);
}

/* The data file lies relative to the header's folder; of a path of another system only the name counts. */
static bool resolve(const table *t, char *to, size_t size)
{
	const entry *e = find(t, "name of data file");
	if (!e) return false;
	const char *backslash = strrchr(e->value, '\\'), *name = backslash ? backslash + 1 : e->value;
	const char *slash = strrchr(t->path, '/');
	const int folder = name[0] == '/' || !slash ? 0 : (int)(slash - t->path + 1);
	return name[0] && (size_t)snprintf(to, size, "%.*s%s", folder, t->path, name) < size;
}

static iso_status read_layout(const table *t, iso_petlink_header *h, iso_error *err)
{
	iso_petlink_layout *l = &h->layout;
	double radius_cm = 0, spacing_cm = 0;
	iso_status status = must_be(t, "lm event and tag words format (bits)", "32", true, err);
	if (status == ISO_OK) status = must_be(t, "type of data", "PET", true, err);
	if (status == ISO_OK) status = must_be(t, "data format", "CoincidenceList", true, err);
	if (status == ISO_OK) status = must_be(t, "pet data type", "Emission", false, err);
	if (status == ISO_OK) status = must_be(t, "pet scanner type", "cylindrical", false, err);
	if (status == ISO_OK) status = must_be(t, "axial compression", "1", true, err);
	if (status == ISO_OK) status = must_be(t, "number of tof time bins", "1", false, err);
	if (status == ISO_OK) status = must_be(t, "timing tagwords interval (msec)", "1", true, err);
	if (status == ISO_OK) status = whole(t, "number of projections", 1, 65535, &l->tangs, err);
	if (status == ISO_OK) status = whole(t, "number of views", 1, 32767, &l->views, err);
	if (status == ISO_OK) status = whole(t, "number of rings", 1, 1024, &l->rings, err);
	if (status == ISO_OK) status = whole(t, "maximum ring difference", 0, 1023, &l->max_ring_difference, err);
	if (status == ISO_OK) status = number(t, "gantry crystal radius (cm)", true, 0.1, 1000, &radius_cm, err);
	if (status == ISO_OK) status = number(t, "distance between rings (cm)", true, 0.001, 100, &spacing_cm, err);
	if (status != ISO_OK) return status;
	h->radius_mm = 10 * radius_cm;
	h->ring_spacing_mm = 10 * spacing_cm;
	l->crystals_per_ring = 2 * l->views; /* views are not mashed: one for every second crystal pair's angle */
	l->tof_bins = 1;
	const char *fault = iso_petlink_layout_finish(l);
	if (fault)
		return iso_fail(err, ISO_BAD_INPUT, t->path, REMEDY,
				"%u rings, ring difference up to %u, %u views of %u projections: %s", l->rings,
				l->max_ring_difference, l->views, l->tangs, fault);
	return ISO_OK;
}

static iso_status read_acquisition(const table *t, iso_petlink_header *h, iso_error *err)
{
	iso_acquisition *a = &h->acquisition;
	*a = iso_acquisition_unknown();
	a->modality = ISO_MODALITY_PET;
	copy_text(t, "isotope name", a->nuclide, sizeof a->nuclide);
	copy_text(t, "radiopharmaceutical", a->tracer, sizeof a->tracer);
	iso_status status = moment(t, "study", &a->start_utc_s, h->warning, sizeof h->warning, err);
	if (status == ISO_OK)
		status = moment(t, "tracer injection", &a->injection_utc_s, h->warning, sizeof h->warning, err);
	if (status == ISO_OK) status = number(t, "isotope gamma halflife (sec)", false, 0, 1e15, &a->half_life_s, err);
	if (status == ISO_OK) status = number(t, "isotope branching factor", false, 0, 1, &a->branching_fraction, err);
	if (status == ISO_OK)
		status = number(t, "tracer activity at time of injection (bq)", false, 0, 1e15,
				&a->injected_activity_bq, err);
	if (status == ISO_OK)
		status = number(t, "energy window lower level (kev) [1]", false, 0, 1e5, &a->energy_window_kev[0], err);
	if (status == ISO_OK)
		status = number(t, "energy window upper level (kev) [1]", false, 0, 1e5, &a->energy_window_kev[1], err);
	/* Consoles write 0 for what nobody entered. */
	if (a->injected_activity_bq == 0) a->injected_activity_bq = (double)NAN;
	if (a->half_life_s == 0) a->half_life_s = (double)NAN;
	if (a->branching_fraction == 0) a->branching_fraction = (double)NAN;
	return status;
}

iso_status iso_petlink_header_read(const char *path, iso_petlink_header *h, iso_error *err)
{
	table t;
	double words = 0, offset = 0;
	memset(h, 0, sizeof *h);
	h->duration_s = (double)NAN;
	if ((size_t)snprintf(h->path, sizeof h->path, "%s", path) >= sizeof h->path)
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the name is too long");
	iso_status status = load(path, &t, err);
	if (status == ISO_OK && !resolve(&t, h->data_path, sizeof h->data_path))
		status = iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "the header names no data file");
	if (status == ISO_OK) status = read_layout(&t, h, err);
	if (status == ISO_OK) status = read_acquisition(&t, h, err);
	if (status == ISO_OK) status = number(&t, "total listmode word counts", false, 0, 1e15, &words, err);
	if (status == ISO_OK) status = number(&t, "image duration (sec)", false, 0, 4.3e6, &h->duration_s, err);
	if (status == ISO_OK) status = number(&t, "data offset in bytes", false, 0, 1e15, &offset, err);
	if (status == ISO_OK) {
		h->words = (uint64_t)words;
		h->data_offset = (int64_t)offset;
		copy_text(&t, "originating system", h->originating_system, sizeof h->originating_system);
		copy_text(&t, "patient orientation", h->orientation, sizeof h->orientation);
	}
	free(t.entries);
	return status;
}

bool iso_petlink_header_data(const char *path, char data_path[1024])
{
	table t;
	const bool good = load(path, &t, NULL) == ISO_OK && resolve(&t, data_path, 1024);
	free(t.entries);
	return good;
}

iso_status iso_petlink_header_layout(const char *header_path, iso_petlink_layout *layout, iso_error *err)
{
	iso_petlink_header *header = malloc(sizeof *header);
	if (!header) return iso_fail_memory(err, "a header", sizeof *header);
	const iso_status status = iso_petlink_header_read(header_path, header, err);
	if (status == ISO_OK) *layout = header->layout;
	free(header);
	return status;
}
