/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /singles of the native list-mode. */
#include <math.h>

#include "core/error.h"
#include "io/hdf5_table.h"
#include "io/listmode.h"

#define REMEDY "the file is damaged or no isotrace list-mode; make it again"

/* Numbers per chunk of counts: one interval of a large scanner, many of a few blocks. */
enum { CHUNK = 65536 };

bool iso_listmode_put_singles(hid_t file, const iso_singles *singles)
{
	const hid_t group = iso_hdf5_create_group(file, "singles");
	if (group < 0) return false;
	const iso_hdf5_table groups = {.name = "group",
				       .units = "number of the group that an element belongs to",
				       .stored = H5T_STD_U32LE,
				       .memory = H5T_NATIVE_UINT32,
				       .rows = singles->elements,
				       .chunk_rows = CHUNK};
	const iso_hdf5_table counts = {.name = "counts",
				       .units = "photons per interval and group",
				       .stored = H5T_STD_U32LE,
				       .memory = H5T_NATIVE_UINT32,
				       .rows = singles->intervals,
				       .columns = singles->groups,
				       .chunk_rows = CHUNK / singles->groups + 1};
	const bool good = iso_hdf5_put_double(group, "interval_s", &singles->interval_s, 1) &&
			  iso_hdf5_put_table(group, &groups, singles->group) &&
			  iso_hdf5_put_table(group, &counts, singles->counts);
	H5Gclose(group);
	return good;
}

typedef struct tables {
	hid_t group, counts; /* datasets */
	hsize_t elements, extent[2];
	double interval_s;
} tables;

/* The extents of /singles/counts, whatever they are; the number of groups is known from nowhere else. */
static bool counts_extent(hid_t set, hsize_t extent[2])
{
	const hid_t space = H5Dget_space(set);
	const bool good = space >= 0 && H5Sis_simple(space) > 0 && H5Sget_simple_extent_ndims(space) == 2 &&
			  H5Sget_simple_extent_dims(space, extent, NULL) == 2;
	if (space >= 0) H5Sclose(space);
	return good;
}

static const char *tables_fault(tables *t, const iso_scanner *scanner)
{
	hsize_t rows = 0;
	if (t->group < 0 || !iso_hdf5_is_table(t->group, 1, 0, H5T_INTEGER, 4, &rows) || rows != scanner->elements ||
	    !iso_hdf5_readable(t->group, ISO_LISTMODE_CHUNK_MOST) || !iso_hdf5_believable(t->group, rows, 4))
		return "/singles/group is missing or does not have one whole number of 4 bytes per element";
	if (t->counts < 0 || !counts_extent(t->counts, t->extent) ||
	    !iso_hdf5_is_table(t->counts, 2, t->extent[1], H5T_INTEGER, 4, &rows))
		return "/singles/counts is missing or is no table of whole numbers of 4 bytes";
	if (t->extent[0] < 1 || t->extent[1] < 1 || t->extent[1] > scanner->elements ||
	    t->extent[0] > ISO_MOST_SINGLES_COUNTS / t->extent[1])
		return "/singles/counts is empty or absurdly large";
	if (!iso_hdf5_readable(t->counts, ISO_LISTMODE_CHUNK_MOST) ||
	    !iso_hdf5_believable(t->counts, t->extent[0] * t->extent[1], 4))
		return "/singles/counts claims more numbers than its bytes can hold";
	return NULL;
}

static iso_status read_tables(tables *t, const char *path, const iso_scanner *scanner, iso_singles **out,
			      iso_error *err)
{
	const char *fault = tables_fault(t, scanner);
	if (fault) return iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "%s", fault);
	const iso_status status = iso_singles_create(scanner->elements, (uint32_t)t->extent[1], (size_t)t->extent[0],
						     t->interval_s, out, err);
	if (status != ISO_OK) return status;
	if (H5Dread(t->group, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, (*out)->group) < 0 ||
	    H5Dread(t->counts, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, (*out)->counts) < 0)
		return iso_hdf5_fail(err, ISO_BAD_INPUT, path, "cannot read the singles");
	return ISO_OK;
}

iso_status iso_listmode_get_singles(hid_t file, const char *path, const iso_scanner *scanner, double duration_s,
				    iso_singles **out, iso_error *err)
{
	*out = NULL;
	const htri_t there = H5Lexists(file, "singles", H5P_DEFAULT);
	if (there == 0) return ISO_OK;
	const hid_t group = there > 0 ? H5Gopen2(file, "singles", H5P_DEFAULT) : -1;
	if (group < 0) return iso_hdf5_fail(err, ISO_BAD_INPUT, path, "/singles cannot be opened");
	bool found = false;
	tables t = {.interval_s = (double)NAN};
	iso_status status = ISO_OK;
	if (!iso_hdf5_get_double(group, "interval_s", &t.interval_s, 1, &found) || !found)
		status = iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "interval_s of /singles is missing or no number");
	t.group = status == ISO_OK ? H5Dopen2(group, "group", H5P_DEFAULT) : -1;
	t.counts = status == ISO_OK ? H5Dopen2(group, "counts", H5P_DEFAULT) : -1;
	if (status == ISO_OK) status = read_tables(&t, path, scanner, out, err);
	if (status == ISO_OK) status = iso_singles_check(*out, scanner, duration_s, path, err);
	if (t.group >= 0) H5Dclose(t.group);
	if (t.counts >= 0) H5Dclose(t.counts);
	H5Gclose(group);
	if (status != ISO_OK) {
		iso_singles_free(*out);
		*out = NULL;
	}
	return status;
}
