/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/hdf5_table.h"

enum { DEFLATE_LEVEL = 4 }; /* crystal numbers are nearly random: more effort gains 1 % */

hid_t iso_hdf5_plan(hid_t object_class)
{
	const hid_t plan = H5Pcreate(object_class);
	if (plan >= 0) (void)H5Pset_obj_track_times(plan, false);
	return plan;
}

hid_t iso_hdf5_create_group(hid_t file, const char *name)
{
	const hid_t plan = iso_hdf5_plan(H5P_GROUP_CREATE);
	const hid_t group = plan >= 0 ? H5Gcreate2(file, name, H5P_DEFAULT, plan, H5P_DEFAULT) : -1;
	if (plan >= 0) H5Pclose(plan);
	return group;
}

bool iso_hdf5_put_table(hid_t group, const iso_hdf5_table *table, const void *values)
{
	const hsize_t extent[2] = {table->rows, table->columns};
	const int rank = table->columns ? 2 : 1;
	const hid_t space = H5Screate_simple(rank, extent, NULL), plan = iso_hdf5_plan(H5P_DATASET_CREATE);
	bool good = space >= 0 && plan >= 0;
	if (good && table->rows > 0) {
		const bool cut = table->chunk_rows > 0 && table->chunk_rows < table->rows;
		const hsize_t chunk[2] = {cut ? table->chunk_rows : table->rows, table->columns};
		good = H5Pset_chunk(plan, rank, chunk) >= 0 && H5Pset_shuffle(plan) >= 0 &&
		       H5Pset_deflate(plan, DEFLATE_LEVEL) >= 0;
	}
	const hid_t set =
	    good ? H5Dcreate2(group, table->name, table->stored, space, H5P_DEFAULT, plan, H5P_DEFAULT) : -1;
	good = set >= 0 &&
	       (table->rows == 0 || H5Dwrite(set, table->memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0) &&
	       iso_hdf5_put_text(set, "units", table->units);
	if (set >= 0 && H5Dclose(set) < 0) good = false;
	if (space >= 0) H5Sclose(space);
	if (plan >= 0) H5Pclose(plan);
	return good;
}

bool iso_hdf5_believable(hid_t dataset, hsize_t numbers, size_t size)
{
	const hsize_t stored = H5Dget_storage_size(dataset);
	return numbers == 0 || numbers / 1100 <= (stored + 4096) / size;
}

bool iso_hdf5_readable(hid_t dataset, hsize_t most)
{
	const hid_t plan = H5Dget_create_plist(dataset);
	if (plan < 0) return false;
	hsize_t chunk[2] = {1, 1};
	bool good = true;
	const H5D_layout_t layout = H5Pget_layout(plan);
	if (layout == H5D_CHUNKED)
		good = H5Pget_chunk(plan, 2, chunk) > 0 && chunk[0] <= most && chunk[1] <= most / chunk[0];
	else
		good = layout == H5D_CONTIGUOUS || layout == H5D_COMPACT;
	const int filters = good ? H5Pget_nfilters(plan) : 0;
	for (int f = 0; good && f < filters; f++) {
		unsigned flags, values[8];
		size_t count = 8;
		char name[32];
		const H5Z_filter_t id =
		    H5Pget_filter2(plan, (unsigned)f, &flags, &count, values, sizeof name, name, NULL);
		good = id == H5Z_FILTER_DEFLATE || id == H5Z_FILTER_SHUFFLE || id == H5Z_FILTER_FLETCHER32;
	}
	H5Pclose(plan);
	return good;
}
