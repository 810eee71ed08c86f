/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/events.h"
#include "io/hdf5_table.h"
#include "io/listmode.h"
#include "isotrace/time.h"

#define REMEDY "the file is damaged or no isotrace list-mode; make it again"
/* Nobody has so many; keeps a lying file from asking for the memory. */
#define MOST_ELEMENTS 20000000u

typedef struct native {
	char path[512];
	hid_t file, column[ISO_COLUMNS];
	uint64_t total, next;
	const iso_scanner *scanner; /* belongs to the stream */
	iso_event_counts counts;
	double duration_s;
	char *provenance;
	iso_singles *singles; /* until the stream has them */
	iso_gantry *gantry;   /* belongs to the stream as soon as there is one */
	uint64_t first;       /* number of the first event in events[] */
	size_t held;
	iso_listmode_block block;
	iso_event events[ISO_LISTMODE_BLOCK];
} native;

static iso_status bad(native *self, iso_error *err, const char *what)
{
	return iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY, "%s", what);
}

static iso_status read_floats(native *self, hid_t group, const char *name, hsize_t rows, int columns, float *values,
			      iso_error *err)
{
	hsize_t there = 0;
	const hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
	const bool fits = set >= 0 &&
			  iso_hdf5_is_table(set, columns > 1 ? 2 : 1, (hsize_t)columns, H5T_FLOAT, 4, &there) &&
			  there == rows && iso_hdf5_readable(set, ISO_LISTMODE_CHUNK_MOST) &&
			  iso_hdf5_believable(set, rows * (hsize_t)columns, 4);
	const bool read = fits && H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
	if (set >= 0) H5Dclose(set);
	if (read) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY, "/scanner/%s is missing or is not %llu x %d float32",
			name, (unsigned long long)rows, columns);
}

/* An attribute that may be absent, then *value stays. */
static iso_status number(native *self, hid_t group, const char *name, double *values, size_t count, iso_error *err)
{
	bool found;
	double read[3];
	if (!iso_hdf5_get_double(group, name, read, count, &found))
		return iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY, "the attribute %s is not %zu number%s", name,
				count, count == 1 ? "" : "s");
	if (found) memcpy(values, read, count * sizeof *values);
	return ISO_OK;
}

static iso_status text(native *self, hid_t group, const char *name, char *value, size_t size, iso_error *err)
{
	bool found;
	if (!iso_hdf5_get_text(group, name, value, size, &found))
		return iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY,
				"the attribute %s is not a text of at most %zu bytes", name, size - 1);
	return ISO_OK;
}

/* A count that must be there. */
static iso_status whole(native *self, hid_t group, const char *name, uint64_t *value, iso_error *err)
{
	bool found;
	if (iso_hdf5_get_u64(group, name, value, &found) && found) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY, "the attribute %s is missing or no whole number", name);
}

static iso_status modality(native *self, hid_t group, iso_modality *value, iso_error *err)
{
	char name[16];
	const iso_status status = text(self, group, "modality", name, sizeof name, err);
	if (status == ISO_OK) *value = iso_modality_from_text(name);
	return status;
}

static iso_status read_blocks(native *self, hid_t group, iso_scanner *s, iso_error *err)
{
	double crystals[2] = {0, 0};
	const iso_status status = number(self, group, "block_crystals", crystals, 2, err);
	for (int a = 0; status == ISO_OK && a < 2; a++) {
		if (!(crystals[a] >= 0 && crystals[a] <= s->elements) || crystals[a] != floor(crystals[a]))
			return bad(self, err, "block_crystals of /scanner are not two whole numbers");
		s->block_crystals[a] = (uint32_t)crystals[a];
	}
	return status;
}

static iso_status dead_time_model(native *self, hid_t group, iso_dead_time_model *value, iso_error *err)
{
	char name[24];
	const iso_status status = text(self, group, "dead_time_model", name, sizeof name, err);
	if (status != ISO_OK || !name[0]) return status;
	*value = iso_dead_time_model_from_text(name);
	return *value == ISO_DEAD_TIME_NONE ? bad(self, err, "dead_time_model of /scanner is neither model") : ISO_OK;
}

static iso_status read_scanner_facts(native *self, hid_t group, iso_scanner *s, iso_error *err)
{
	const struct {
		const char *name;
		double *value;
		size_t count;
	} facts[] = {
	    {"element_size_mm", s->element_size_mm, 3},
	    {"attenuation_per_mm", &s->attenuation_per_mm, 1},
	    {"max_axial_difference_mm", &s->rule.max_axial_difference_mm, 1},
	    {"max_transaxial_offset_mm", &s->rule.max_transaxial_offset_mm, 1},
	    {"min_distance_mm", &s->rule.min_distance_mm, 1},
	    {"tof_bin_ps", &s->tof.bin_ps, 1},
	    {"tof_fwhm_ps", &s->tof.fwhm_ps, 1},
	    {"dead_time_ns", &s->dead_time_ns, 1},
	    {"coincidence_window_ns", &s->coincidence_window_ns, 1},
	    {"calibration_factor", &s->calibration_factor, 1},
	    {"calibration_uncertainty", &s->calibration_uncertainty, 1},
	};
	iso_status status = text(self, group, "name", s->name, sizeof s->name, err);
	if (status == ISO_OK) status = modality(self, group, &s->modality, err);
	if (status == ISO_OK) status = dead_time_model(self, group, &s->dead_time_model, err);
	for (size_t f = 0; status == ISO_OK && f < sizeof facts / sizeof *facts; f++)
		status = number(self, group, facts[f].name, facts[f].value, facts[f].count, err);
	uint64_t per_ring = 0, bins = 0;
	bool found;
	if (status == ISO_OK && (!iso_hdf5_get_u64(group, "elements_per_ring", &per_ring, &found) ||
				 !iso_hdf5_get_u64(group, "tof_bins", &bins, &found)))
		return bad(self, err, "elements_per_ring or tof_bins of /scanner is no whole number");
	if (status == ISO_OK && (per_ring > s->elements || bins > 32767))
		return bad(self, err, "elements_per_ring or tof_bins of /scanner is absurdly large");
	s->elements_per_ring = (uint32_t)per_ring;
	s->tof.bins = (int32_t)bins;
	return status == ISO_OK ? read_blocks(self, group, s, err) : status;
}

static iso_status read_scanner(native *self, iso_scanner **out, iso_error *err)
{
	const hid_t group = H5Gopen2(self->file, "scanner", H5P_DEFAULT);
	if (group < 0) return iso_hdf5_fail(err, ISO_BAD_INPUT, self->path, "there is no /scanner");
	hsize_t elements = 0;
	const hid_t set = H5Dopen2(group, "efficiency", H5P_DEFAULT);
	const bool known = set >= 0 && iso_hdf5_is_table(set, 1, 0, H5T_FLOAT, 4, &elements) &&
			   iso_hdf5_readable(set, ISO_LISTMODE_CHUNK_MOST) && iso_hdf5_believable(set, elements, 4);
	if (set >= 0) H5Dclose(set);
	iso_status status = ISO_OK;
	if (!known || elements < 1 || elements > MOST_ELEMENTS)
		status = bad(self, err, "/scanner/efficiency is missing or no sensible list of float32");
	if (status == ISO_OK) status = iso_scanner_create((uint32_t)elements, "", out, err);
	if (status == ISO_OK) status = read_floats(self, group, "position_mm", elements, 3, (*out)->position_mm, err);
	if (status == ISO_OK) status = read_floats(self, group, "normal", elements, 3, (*out)->normal, err);
	if (status == ISO_OK) status = read_floats(self, group, "efficiency", elements, 1, (*out)->efficiency, err);
	if (status == ISO_OK) status = read_scanner_facts(self, group, *out, err);
	H5Gclose(group);
	if (status == ISO_OK) status = iso_scanner_check(*out, self->path, err);
	self->scanner = *out;
	return status;
}

static iso_status moment(native *self, hid_t group, const char *name, double *utc_s, iso_error *err)
{
	char value[64];
	const iso_status status = text(self, group, name, value, sizeof value, err);
	return status == ISO_OK && value[0] ? iso_time_parse(value, self->path, utc_s, err) : status;
}

static iso_status read_acquisition(native *self, iso_acquisition *a, iso_error *err)
{
	*a = iso_acquisition_unknown();
	const hid_t group = H5Gopen2(self->file, "acquisition", H5P_DEFAULT);
	if (group < 0) return iso_hdf5_fail(err, ISO_BAD_INPUT, self->path, "there is no /acquisition");
	const struct {
		const char *name;
		char *value;
		size_t size;
	} texts[] = {{"scanner_name", a->scanner_name, sizeof a->scanner_name},
		     {"nuclide", a->nuclide, sizeof a->nuclide},
		     {"tracer", a->tracer, sizeof a->tracer},
		     {"subject", a->subject, sizeof a->subject}};
	const struct {
		const char *name;
		double *value;
		size_t count;
	} numbers[] = {{"duration_s", &a->duration_s, 1},
		       {"injected_activity_bq", &a->injected_activity_bq, 1},
		       {"half_life_s", &a->half_life_s, 1},
		       {"branching_fraction", &a->branching_fraction, 1},
		       {"energy_resolution", &a->energy_resolution, 1},
		       {"energy_window_kev", a->energy_window_kev, 2}};
	iso_status status = modality(self, group, &a->modality, err);
	for (size_t t = 0; status == ISO_OK && t < sizeof texts / sizeof *texts; t++)
		status = text(self, group, texts[t].name, texts[t].value, texts[t].size, err);
	for (size_t n = 0; status == ISO_OK && n < sizeof numbers / sizeof *numbers; n++)
		status = number(self, group, numbers[n].name, numbers[n].value, numbers[n].count, err);
	if (status == ISO_OK) status = moment(self, group, "start_utc", &a->start_utc_s, err);
	if (status == ISO_OK) status = moment(self, group, "injection_utc", &a->injection_utc_s, err);
	H5Gclose(group);
	if (status == ISO_OK && (a->duration_s < 0 || a->duration_s > 4.3e6 || isinf(a->duration_s)))
		status = bad(self, err, "duration_s of /acquisition is outside 0 ... 4.3e6 s");
	if (status == ISO_OK && (a->energy_resolution < 0 || a->energy_resolution >= 1))
		status = bad(self, err, "energy_resolution of /acquisition is outside 0 ... 1");
	self->duration_s = a->duration_s;
	return status;
}

static iso_status read_counts(native *self, iso_error *err)
{
	const hid_t group = H5Gopen2(self->file, "counts", H5P_DEFAULT);
	if (group < 0) return iso_hdf5_fail(err, ISO_BAD_INPUT, self->path, "there is no /counts");
	iso_event_counts *c = &self->counts;
	iso_status status = whole(self, group, "records", &c->records, err);
	if (status == ISO_OK) status = whole(self, group, "prompts", &c->prompts, err);
	if (status == ISO_OK) status = whole(self, group, "delayeds", &c->delayeds, err);
	if (status == ISO_OK) status = whole(self, group, "tags_time", &c->tags_time, err);
	if (status == ISO_OK) status = whole(self, group, "tags_other", &c->tags_other, err);
	for (int r = 0; status == ISO_OK && r < ISO_REJECT_REASONS; r++)
		status = whole(self, group, iso_listmode_rejected[r], &c->rejected[r], err);
	if (status == ISO_OK) status = number(self, group, "duration_s", &c->duration_s, 1, err);
	H5Gclose(group);
	if (status == ISO_OK && (c->prompts > self->total || c->prompts + c->delayeds != self->total))
		return iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY,
				"the file holds %llu events, its counts say %llu prompts and %llu delayeds",
				(unsigned long long)self->total, (unsigned long long)c->prompts,
				(unsigned long long)c->delayeds);
	return status;
}

static iso_status open_columns(native *self, iso_error *err)
{
	const hid_t group = H5Gopen2(self->file, "events", H5P_DEFAULT);
	if (group < 0) return iso_hdf5_fail(err, ISO_BAD_INPUT, self->path, "there is no /events");
	iso_status status = ISO_OK;
	for (int c = 0; status == ISO_OK && c < ISO_COLUMNS; c++) {
		const iso_listmode_column *column = &iso_listmode_columns[c];
		const int rank = column->per_event > 1 ? 2 : 1;
		hsize_t rows = 0;
		const hid_t set = self->column[c] = H5Dopen2(group, column->name, H5P_DEFAULT);
		if (set < 0 || !iso_hdf5_is_table(set, rank, column->per_event, H5T_INTEGER, column->size, &rows) ||
		    !iso_hdf5_readable(set, ISO_LISTMODE_CHUNK_MOST))
			status = iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY,
					  "/events/%s is missing or is no table of %zu-byte whole numbers",
					  column->name, column->size);
		else if (c > 0 && rows != self->total)
			status = iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY,
					  "/events/%s has %llu rows and /events/time_ms has %llu", column->name,
					  (unsigned long long)rows, (unsigned long long)self->total);
		else if (!iso_hdf5_believable(set, rows * column->per_event, column->size))
			status = iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY,
					  "/events/%s claims %llu rows, its bytes cannot hold them", column->name,
					  (unsigned long long)rows);
		self->total = rows;
	}
	H5Gclose(group);
	return status;
}

static iso_status read_provenance(native *self, iso_error *err)
{
	const htri_t there = H5Lexists(self->file, "provenance", H5P_DEFAULT);
	const hid_t set = there > 0 ? H5Dopen2(self->file, "provenance", H5P_DEFAULT) : -1;
	if (there == 0) {
		self->provenance = calloc(1, 1);
		return self->provenance ? ISO_OK : iso_fail_memory(err, "the provenance", 1);
	}
	const hid_t type = set < 0 ? -1 : H5Dget_type(set), space = set < 0 ? -1 : H5Dget_space(set);
	const size_t size = type < 0 ? 0 : H5Tget_size(type);
	bool good = type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
		    H5Sget_simple_extent_npoints(space) == 1 && size > 0 && size <= 1u << 26;
	if (good) self->provenance = calloc(1, size + 1);
	if (good && self->provenance) good = H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, self->provenance) >= 0;
	if (type >= 0) H5Tclose(type);
	if (space >= 0) H5Sclose(space);
	if (set >= 0) H5Dclose(set);
	if (good && !self->provenance) return iso_fail_memory(err, "the provenance", size);
	return good ? ISO_OK : bad(self, err, "/provenance is no text of a fixed length");
}

static iso_status check_format(native *self, iso_error *err)
{
	char format[64];
	uint64_t version = 0, complete = 0;
	bool named = false, versioned = false, finished = false;
	if (!iso_hdf5_get_text(self->file, "format", format, sizeof format, &named) || !named ||
	    strcmp(format, ISO_LISTMODE_FORMAT) != 0)
		return iso_fail(err, ISO_BAD_INPUT, self->path, "give a file that isotrace convert or simulate made",
				"this HDF5 file is no isotrace list-mode");
	if (!iso_hdf5_get_u64(self->file, "format_version", &version, &versioned) || !versioned)
		return bad(self, err, "format_version is missing");
	if (version != ISO_LISTMODE_VERSION)
		return iso_fail(err, ISO_BAD_INPUT, self->path, "use a newer isotrace",
				"list-mode of version %llu; this program knows version %d", (unsigned long long)version,
				ISO_LISTMODE_VERSION);
	if (!iso_hdf5_get_u64(self->file, "complete", &complete, &finished) || !finished || complete != 1)
		return iso_fail(err, ISO_BAD_INPUT, self->path, "make it again",
				"the file was never finished: its writer was interrupted");
	return ISO_OK;
}

/* Tells what HDF5 would not: no such file, a folder, something else. */
static iso_status check_path(const char *path, iso_error *err)
{
	struct stat info;
	if (stat(path, &info) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "check the name and that it may be read", "cannot open: %s",
				strerror(errno));
	if (!S_ISREG(info.st_mode)) return iso_fail(err, ISO_BAD_INPUT, path, "name a file", "this is no regular file");
	if (access(path, R_OK) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "check that it may be read", "cannot open: %s",
				strerror(errno));
	return ISO_OK;
}

/* HDF5 to be entered. */
static iso_status open_all(native *self, iso_scanner **scanner, iso_acquisition *acquisition, iso_error *err)
{
	self->file = iso_hdf5_open(self->path);
	if (self->file < 0)
		return iso_hdf5_fail(err, ISO_BAD_INPUT, self->path, "no HDF5 file, or one cut short or damaged");
	iso_status status = check_format(self, err);
	if (status == ISO_OK) status = read_scanner(self, scanner, err);
	if (status == ISO_OK) status = open_columns(self, err);
	if (status == ISO_OK) status = read_counts(self, err);
	if (status == ISO_OK) status = read_acquisition(self, acquisition, err);
	if (status == ISO_OK) status = read_provenance(self, err);
	if (status == ISO_OK)
		status = iso_listmode_get_singles(self->file, self->path, self->scanner, self->duration_s,
						  &self->singles, err);
	if (status == ISO_OK) status = iso_listmode_get_gantry(self->file, self->path, &self->gantry, err);
	return status;
}

static void native_close(void *pointer)
{
	native *self = pointer;
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	for (int c = 0; c < ISO_COLUMNS; c++)
		if (self->column[c] >= 0) H5Dclose(self->column[c]);
	if (self->file >= 0) H5Fclose(self->file);
	iso_hdf5_leave(&guard);
	free(self->provenance);
	iso_singles_free(self->singles);
	free(self);
}

static bool read_column(native *self, int column, size_t count)
{
	const unsigned per_event = iso_listmode_columns[column].per_event;
	const int rank = per_event > 1 ? 2 : 1;
	const hsize_t start[2] = {self->first, 0}, extent[2] = {count, per_event};
	const hid_t type = column == ISO_COLUMN_TOF                                    ? H5T_NATIVE_INT16
			   : column == ISO_COLUMN_TIME || column == ISO_COLUMN_ELEMENT ? H5T_NATIVE_UINT32
										       : H5T_NATIVE_UINT8;
	const hid_t where = H5Dget_space(self->column[column]), memory = H5Screate_simple(rank, extent, NULL);
	const bool good = where >= 0 && memory >= 0 &&
			  H5Sselect_hyperslab(where, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0 &&
			  H5Dread(self->column[column], type, memory, where, H5P_DEFAULT,
				  iso_listmode_block_column(&self->block, column)) >= 0;
	if (!good) return false; /* the ids go with the file; closing them here would clear the error stack */
	H5Sclose(where);
	H5Sclose(memory);
	return true;
}

static iso_status check_event(native *self, size_t at, uint32_t previous_ms, iso_error *err)
{
	const iso_event *event = &self->events[at];
	const char *fault = iso_listmode_event_fault(event, self->scanner, self->gantry);
	if (event->time_ms < previous_ms) fault = "comes before the one ahead of it in time";
	if (!fault && event->time_ms > 1000 * self->duration_s + 1) fault = "comes after the end of the acquisition";
	if (!fault) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, self->path, REMEDY, "event %llu (element %u, %u at %u ms) %s",
			(unsigned long long)(self->first + at), event->element[0], event->element[1], event->time_ms,
			fault);
}

/* Fills events[] with the block that holds event `next`. */
static iso_status load_block(native *self, iso_error *err)
{
	const uint64_t after = self->first + self->held;
	const uint32_t ended_ms = self->held ? self->events[self->held - 1].time_ms : 0;
	self->first = self->next - self->next % ISO_LISTMODE_BLOCK;
	self->held = 0;
	const uint64_t left = self->total - self->first;
	const size_t count = left < ISO_LISTMODE_BLOCK ? (size_t)left : ISO_LISTMODE_BLOCK;
	iso_status status = ISO_OK;
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	for (int c = 0; status == ISO_OK && c < ISO_COLUMNS; c++)
		if (!read_column(self, c, count))
			status = iso_hdf5_fail(err, ISO_BAD_INPUT, self->path, "cannot read events");
	iso_hdf5_leave(&guard);
	if (status != ISO_OK) return status;
	uint32_t previous_ms = self->first == after ? ended_ms : 0;
	const iso_listmode_block *b = &self->block;
	for (size_t n = 0; n < count; n++) {
		self->events[n] = (iso_event){.time_ms = b->time_ms[n],
					      .element = {b->element[n][0], b->element[n][1]},
					      .tof_bin = b->tof_bin[n],
					      .kind = b->kind[n],
					      .window = b->window[n]};
		status = check_event(self, n, previous_ms, err);
		if (status != ISO_OK) return status;
		previous_ms = b->time_ms[n];
	}
	self->held = count;
	return ISO_OK;
}

static iso_status native_read(void *pointer, iso_event *events, size_t capacity, size_t *count, iso_error *err)
{
	native *self = pointer;
	*count = 0;
	while (*count < capacity && self->next < self->total) {
		if (self->next < self->first || self->next >= self->first + self->held) {
			const iso_status status = load_block(self, err);
			if (status != ISO_OK) return status;
		}
		const size_t at = (size_t)(self->next - self->first), room = capacity - *count;
		const size_t take = self->held - at < room ? self->held - at : room;
		memcpy(events + *count, self->events + at, take * sizeof *events);
		*count += take;
		self->next += take;
	}
	return ISO_OK;
}

static iso_status native_seek(void *pointer, uint64_t first, iso_error *err)
{
	(void)err;
	native *self = pointer;
	self->next = first < self->total ? first : self->total;
	return ISO_OK;
}

static uint64_t native_total(void *pointer)
{
	return ((native *)pointer)->total;
}

/* The fate of the records of the export that the file was made of, all of them. */
static void native_counts(void *pointer, iso_event_counts *counts)
{
	*counts = ((native *)pointer)->counts;
}

static const iso_events_methods native_methods = {native_read, native_seek, native_total, native_counts, native_close};

iso_status iso_listmode_open(const char *path, iso_events **out, iso_error *err)
{
	*out = NULL;
	iso_status status = check_path(path, err);
	if (status != ISO_OK) return status;
	native *self = calloc(1, sizeof *self);
	if (!self) return iso_fail_memory(err, "reading list-mode", sizeof *self);
	if ((size_t)snprintf(self->path, sizeof self->path, "%s", path) >= sizeof self->path) {
		free(self);
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the name is too long");
	}
	self->file = -1;
	for (int c = 0; c < ISO_COLUMNS; c++) self->column[c] = -1;
	iso_scanner *scanner = NULL;
	iso_acquisition acquisition;
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	status = open_all(self, &scanner, &acquisition, err);
	iso_hdf5_leave(&guard);
	if (status == ISO_OK) {
		iso_singles *singles = self->singles;
		iso_gantry *gantry = self->gantry;
		self->singles = NULL;
		status = iso_events_open(&native_methods, self, scanner, &acquisition, out, err);
		if (status == ISO_OK) {
			iso_events_set_singles(*out, singles);
			iso_events_set_gantry(*out, gantry);
		} else {
			iso_singles_free(singles);
			iso_gantry_free(gantry);
		}
		return status;
	}
	iso_gantry_free(self->gantry);
	iso_scanner_free(scanner);
	native_close(self);
	return status;
}

const char *iso_listmode_provenance(const iso_events *events)
{
	if (!events || events->methods != &native_methods) return NULL;
	return ((const native *)events->self)->provenance;
}
