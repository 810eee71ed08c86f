/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The normalisation file; docs/normalisation-format.md says it in words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"
#include "io/hdf5_disk.h"
#include "io/hdf5_table.h"
#include "isotrace/normalisation.h"
#include "isotrace/time.h"

#define FORMAT "isotrace normalisation"
#define REMEDY "the file is damaged or no isotrace normalisation; make it again with isotrace normalise"
enum { VERSION = 1, MOST_ELEMENTS = 20000000, CHUNK = 65536 };
/* Beyond these a factor is no measurement. */
static const float most_factor = 1e6F;

static bool put_floats(hid_t where, const char *name, const char *units, hsize_t rows, hsize_t columns,
		       const float *values)
{
	const iso_hdf5_table table = {.name = name,
				      .units = units,
				      .stored = H5T_IEEE_F32LE,
				      .memory = H5T_NATIVE_FLOAT,
				      .rows = rows,
				      .columns = columns,
				      .chunk_rows = CHUNK};
	return iso_hdf5_put_table(where, &table, values);
}

static bool put_components(hid_t file, const iso_normalisation *n)
{
	const iso_pair_components *c = n->components;
	if (!c) return true;
	const hid_t group = iso_hdf5_create_group(file, "components");
	if (group < 0) return false;
	bool good = true;
	if (c->radial_nodes)
		good = iso_hdf5_put_double(group, "radial_step_mm", &c->radial_step_mm, 1) &&
		       put_floats(group, "radial", "factor by distance from the axis", c->radial_nodes, 0, c->radial);
	if (good && c->axial_nodes)
		good = iso_hdf5_put_double(group, "axial_step_mm", &c->axial_step_mm, 1) &&
		       put_floats(group, "axial", "factor by difference in z", c->axial_nodes, 0, c->axial);
	if (good && c->block_nodes) {
		float table[ISO_BLOCK_POSITIONS * ISO_BLOCK_NODES];
		for (uint32_t k = 0; k < c->block_positions; k++)
			memcpy(table + (size_t)k * c->block_nodes, c->block[k], c->block_nodes * sizeof *table);
		const iso_hdf5_table position = {.name = "position",
						 .units = "transaxial position of the element in its block",
						 .stored = H5T_STD_U8LE,
						 .memory = H5T_NATIVE_UINT8,
						 .rows = n->elements,
						 .chunk_rows = CHUNK};
		good = iso_hdf5_put_double(group, "block_step_mm", &c->block_step_mm, 1) &&
		       iso_hdf5_put_u64(group, "block_nodes", c->block_nodes) &&
		       put_floats(group, "block", "factor by position in the block and signed distance from the axis",
				  c->block_positions, c->block_nodes, table) &&
		       iso_hdf5_put_table(group, &position, c->position);
	}
	H5Gclose(group);
	return good;
}

static bool put_all(hid_t file, const iso_normalisation *n)
{
	char start[40], made[40];
	(void)iso_time_text(n->start_utc_s, start);
	(void)iso_time_text(n->made_utc_s, made);
	return iso_hdf5_put_text(file, "format", FORMAT) && iso_hdf5_put_u64(file, "format_version", VERSION) &&
	       iso_hdf5_put_text(file, "software", n->software) &&
	       iso_hdf5_put_text(file, "scanner_name", n->scanner_name) &&
	       iso_hdf5_put_text(file, "scanner_hash", n->scanner_hash) &&
	       iso_hdf5_put_text(file, "source", n->source) &&
	       (!start[0] || iso_hdf5_put_text(file, "start_utc", start)) &&
	       iso_hdf5_put_text(file, "made_utc", made) && iso_hdf5_put_double(file, "prompts", &n->prompts, 1) &&
	       iso_hdf5_put_double(file, "delayeds", &n->delayeds, 1) && iso_hdf5_put_u64(file, "dead", n->dead) &&
	       put_floats(file, "efficiency", "relative, 0 = dead", n->elements, 0, n->efficiency) &&
	       put_floats(file, "uncertainty", "of efficiency, relative, k = 1", n->elements, 0, n->uncertainty) &&
	       put_components(file, n) && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0 &&
	       iso_hdf5_put_u64(file, "complete", 1) && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0;
}

iso_status iso_normalisation_write(const char *path, const iso_normalisation *normalisation, iso_error *err)
{
	iso_output output;
	iso_hdf5_disk disk = {0};
	iso_status status = iso_output_begin(&output, path, err);
	if (status != ISO_OK) return status;
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	const hid_t file = iso_hdf5_create(output.temporary, &disk);
	if (file < 0 || !put_all(file, normalisation) || disk.error)
		status = iso_hdf5_disk_fail(err, &disk, output.path, "cannot write");
	if (file >= 0 && H5Fclose(file) < 0 && status == ISO_OK)
		status = iso_hdf5_disk_fail(err, &disk, output.path, "cannot write");
	if (status == ISO_OK && disk.error) status = iso_hdf5_disk_fail(err, &disk, output.path, "cannot write");
	iso_hdf5_release_disk(&disk);
	iso_hdf5_leave(&guard);
	if (status == ISO_OK) return iso_output_commit(&output, err);
	iso_output_discard(&output);
	return status;
}

/* What is read from. */
typedef struct source {
	const char *path;
	hid_t file;
	iso_normalisation *n;
} source;

static iso_status bad(const source *s, const char *what, iso_error *err)
{
	return iso_fail(err, ISO_BAD_INPUT, s->path, REMEDY, "%s", what);
}

/* A list of float32 (columns 0) or a table of as many columns; *rows 0: as many as there are, at most `most`. */
static iso_status get_floats(const source *s, hid_t where, const char *name, hsize_t columns, hsize_t most,
			     hsize_t *rows, float **values, iso_error *err)
{
	hsize_t there = 0;
	*values = NULL;
	const hid_t set = H5Dopen2(where, name, H5P_DEFAULT);
	const hsize_t wide = columns ? columns : 1;
	bool good = set >= 0 && iso_hdf5_is_table(set, columns ? 2 : 1, columns, H5T_FLOAT, 4, &there) && there >= 1 &&
		    there <= most && (*rows == 0 || *rows == there) && iso_hdf5_readable(set, 1 << 24) &&
		    iso_hdf5_believable(set, there * wide, 4);
	if (good) *values = malloc((size_t)(there * wide) * sizeof **values);
	const bool memory = !good || *values;
	if (good && *values) good = H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, *values) >= 0;
	if (set >= 0) H5Dclose(set);
	if (!memory) return iso_fail_memory(err, "the normalisation", (size_t)(there * wide) * sizeof **values);
	for (hsize_t k = 0; good && k < there * wide; k++) good = (*values)[k] >= 0 && (*values)[k] < most_factor;
	if (!good)
		return iso_fail(err, ISO_BAD_INPUT, s->path, REMEDY,
				"%s is missing or no table of float32 from 0 to 1e6", name);
	*rows = there;
	return ISO_OK;
}

/* radial or axial. */
static iso_status get_nodes(const source *s, hid_t group, const char *name, const char *step_name, uint32_t *nodes,
			    double *step_mm, float *factor, iso_error *err)
{
	if (H5Lexists(group, name, H5P_DEFAULT) <= 0) return ISO_OK;
	bool found = false;
	hsize_t rows = 0;
	float *values = NULL;
	if (!iso_hdf5_get_double(group, step_name, step_mm, 1, &found) || !found || !(*step_mm > 0 && *step_mm < 1e6))
		return bad(s, "a step of /components is missing or is not above 0 mm", err);
	const iso_status status = get_floats(s, group, name, 0, ISO_PAIR_NODES, &rows, &values, err);
	if (status == ISO_OK) {
		*nodes = (uint32_t)rows;
		memcpy(factor, values, rows * sizeof *factor);
	}
	free(values);
	return status;
}

static iso_status get_positions(const source *s, hid_t group, iso_pair_components *c, iso_error *err)
{
	hsize_t rows = 0;
	const hid_t set = H5Dopen2(group, "position", H5P_DEFAULT);
	bool good = set >= 0 && iso_hdf5_is_table(set, 1, 0, H5T_INTEGER, 1, &rows) && rows == s->n->elements &&
		    iso_hdf5_readable(set, 1 << 24) && iso_hdf5_believable(set, rows, 1) &&
		    H5Dread(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->position) >= 0;
	if (set >= 0) H5Dclose(set);
	for (uint32_t e = 0; good && e < s->n->elements; e++) good = c->position[e] < c->block_positions;
	return good ? ISO_OK : bad(s, "/components/position is missing or names positions that there are not", err);
}

static iso_status get_block(const source *s, hid_t group, iso_pair_components *c, iso_error *err)
{
	if (H5Lexists(group, "block", H5P_DEFAULT) <= 0) return ISO_OK;
	bool found = false, stepped = false;
	uint64_t nodes = 0;
	hsize_t rows = 0;
	float *values = NULL;
	if (!iso_hdf5_get_u64(group, "block_nodes", &nodes, &found) || !found || nodes < 1 || nodes > ISO_BLOCK_NODES ||
	    !iso_hdf5_get_double(group, "block_step_mm", &c->block_step_mm, 1, &stepped) || !stepped ||
	    !(c->block_step_mm > 0 && c->block_step_mm < 1e6))
		return bad(s, "block_nodes or block_step_mm of /components is missing or impossible", err);
	const iso_status status = get_floats(s, group, "block", nodes, ISO_BLOCK_POSITIONS, &rows, &values, err);
	if (status == ISO_OK) {
		c->block_nodes = (uint32_t)nodes;
		c->block_positions = (uint32_t)rows;
		for (size_t k = 0; k < rows; k++) memcpy(c->block[k], values + k * nodes, nodes * sizeof *values);
	}
	free(values);
	return status == ISO_OK ? get_positions(s, group, c, err) : status;
}

static iso_status get_components(const source *s, iso_error *err)
{
	const htri_t there = H5Lexists(s->file, "components", H5P_DEFAULT);
	if (there == 0) return ISO_OK;
	const hid_t group = there > 0 ? H5Gopen2(s->file, "components", H5P_DEFAULT) : -1;
	if (group < 0) return bad(s, "/components cannot be opened", err);
	iso_pair_components *c = s->n->components = calloc(1, sizeof *c);
	iso_status status = ISO_OK;
	if (c) c->position = calloc(s->n->elements, 1);
	if (!c || !c->position) status = iso_fail_memory(err, "the normalisation", sizeof *c + s->n->elements);
	if (status == ISO_OK)
		status = get_nodes(s, group, "radial", "radial_step_mm", &c->radial_nodes, &c->radial_step_mm,
				   c->radial, err);
	if (status == ISO_OK)
		status =
		    get_nodes(s, group, "axial", "axial_step_mm", &c->axial_nodes, &c->axial_step_mm, c->axial, err);
	if (status == ISO_OK) status = get_block(s, group, c, err);
	H5Gclose(group);
	return status;
}

static iso_status check_format(const source *s, iso_error *err)
{
	char format[64];
	uint64_t version = 0, complete = 0;
	bool named = false, versioned = false, finished = false;
	if (!iso_hdf5_get_text(s->file, "format", format, sizeof format, &named) || !named ||
	    strcmp(format, FORMAT) != 0)
		return iso_fail(err, ISO_BAD_INPUT, s->path, "give a file that isotrace normalise made",
				"this HDF5 file is no isotrace normalisation");
	if (!iso_hdf5_get_u64(s->file, "format_version", &version, &versioned) || !versioned || version != VERSION)
		return iso_fail(err, ISO_BAD_INPUT, s->path, "use a newer isotrace",
				"normalisation of version %llu; this program knows version %d",
				(unsigned long long)version, VERSION);
	if (!iso_hdf5_get_u64(s->file, "complete", &complete, &finished) || !finished || complete != 1)
		return bad(s, "the file was never finished: its writer was interrupted", err);
	return ISO_OK;
}

static iso_status get_facts(const source *s, iso_error *err)
{
	iso_normalisation *n = s->n;
	char start[64], made[64];
	bool found[8] = {false};
	uint64_t dead = 0;
	if (!iso_hdf5_get_text(s->file, "software", n->software, sizeof n->software, &found[0]) ||
	    !iso_hdf5_get_text(s->file, "scanner_name", n->scanner_name, sizeof n->scanner_name, &found[1]) ||
	    !iso_hdf5_get_text(s->file, "scanner_hash", n->scanner_hash, sizeof n->scanner_hash, &found[2]) ||
	    !iso_hdf5_get_text(s->file, "source", n->source, sizeof n->source, &found[3]) ||
	    !iso_hdf5_get_text(s->file, "start_utc", start, sizeof start, &found[4]) ||
	    !iso_hdf5_get_text(s->file, "made_utc", made, sizeof made, &found[5]) ||
	    !iso_hdf5_get_double(s->file, "prompts", &n->prompts, 1, &found[6]) ||
	    !iso_hdf5_get_double(s->file, "delayeds", &n->delayeds, 1, &found[7]))
		return bad(s, "an attribute is not what it must be", err);
	if (!found[2] || strspn(n->scanner_hash, "0123456789abcdef") != 64 || !found[6] || !found[7] ||
	    !(n->prompts >= 0 && n->prompts < 1e15) || !(n->delayeds >= 0 && n->delayeds < 1e15))
		return bad(s, "scanner_hash, prompts or delayeds is missing or impossible", err);
	n->start_utc_s = n->made_utc_s = (double)NAN;
	iso_status status = start[0] ? iso_time_parse(start, s->path, &n->start_utc_s, err) : ISO_OK;
	if (status == ISO_OK && made[0]) status = iso_time_parse(made, s->path, &n->made_utc_s, err);
	if (status == ISO_OK && (!iso_hdf5_get_u64(s->file, "dead", &dead, &found[0]) || dead > n->elements))
		status = bad(s, "the number of dead elements is impossible", err);
	n->dead = (uint32_t)dead;
	return status;
}

static iso_status get_all(source *s, iso_error *err)
{
	hsize_t elements = 0;
	s->file = iso_hdf5_open(s->path);
	if (s->file < 0) return iso_hdf5_fail(err, ISO_BAD_INPUT, s->path, "no HDF5 file, or one cut short or damaged");
	iso_status status = check_format(s, err);
	if (status == ISO_OK)
		status = get_floats(s, s->file, "efficiency", 0, MOST_ELEMENTS, &elements, &s->n->efficiency, err);
	s->n->elements = (uint32_t)elements;
	if (status == ISO_OK)
		status = get_floats(s, s->file, "uncertainty", 0, MOST_ELEMENTS, &elements, &s->n->uncertainty, err);
	if (status == ISO_OK) status = get_facts(s, err);
	if (status == ISO_OK) status = get_components(s, err);
	if (s->file >= 0) H5Fclose(s->file);
	return status;
}

iso_status iso_normalisation_read(const char *path, iso_normalisation **out, iso_error *err)
{
	*out = NULL;
	FILE *there = NULL; /* tells what HDF5 would not: no such file, a folder */
	iso_status status = iso_open_to_read(path, &there, err);
	if (status != ISO_OK) return status;
	fclose(there);
	source s = {.path = path, .file = -1, .n = calloc(1, sizeof *s.n)};
	if (!s.n) return iso_fail_memory(err, "the normalisation", sizeof *s.n);
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	status = get_all(&s, err);
	iso_hdf5_leave(&guard);
	if (status == ISO_OK)
		*out = s.n;
	else
		iso_normalisation_free(s.n);
	return status;
}
