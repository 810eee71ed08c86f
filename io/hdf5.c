/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/hdf5.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* HDF5 keeps its own global state; this only serialises who touches it. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

void iso_hdf5_enter(iso_hdf5_guard *guard)
{
	pthread_mutex_lock(&gate);
	guard->print = NULL;
	guard->print_data = NULL;
	(void)H5Eget_auto2(H5E_DEFAULT, &guard->print, &guard->print_data);
	(void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void iso_hdf5_leave(const iso_hdf5_guard *guard)
{
	(void)H5Eset_auto2(H5E_DEFAULT, guard->print, guard->print_data);
	pthread_mutex_unlock(&gate);
}

/* The innermost message says what really happened; a failed system call leaves "errno = N" in one of them. */
typedef struct stack_facts {
	char innermost[200];
	int system_errno;
} stack_facts;

static herr_t look(unsigned n, const H5E_error2_t *entry, void *user)
{
	stack_facts *facts = user;
	(void)n;
	if (entry->desc && !facts->innermost[0]) snprintf(facts->innermost, sizeof facts->innermost, "%s", entry->desc);
	const char *code = entry->desc ? strstr(entry->desc, "errno = ") : NULL;
	if (code && !facts->system_errno) facts->system_errno = atoi(code + strlen("errno = "));
	return 0;
}

iso_status iso_hdf5_fail(iso_error *err, iso_status otherwise, const char *file, const char *what)
{
	stack_facts facts = {.system_errno = 0};
	(void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look, &facts);
	if (facts.system_errno) {
		errno = facts.system_errno;
		return iso_fail_errno(err, file, what);
	}
	if (otherwise == ISO_IO)
		return iso_fail(err, ISO_IO, file, "check the disk and the folder's permissions", "%s: %s", what,
				facts.innermost[0] ? facts.innermost : "HDF5 failed");
	return iso_fail(err, otherwise, file, "the file is damaged or no isotrace list-mode; make it again", "%s: %s",
			what, facts.innermost[0] ? facts.innermost : "HDF5 failed");
}

hid_t iso_hdf5_open(const char *path)
{
	const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
	hid_t file = -1;
	/* Locks fail on read-only and network file systems, and a finished file is never written again. */
	if (access >= 0 && H5Pset_file_locking(access, false, true) >= 0) file = H5Fopen(path, H5F_ACC_RDONLY, access);
	if (access >= 0) H5Pclose(access);
	return file;
}

static bool put(hid_t where, const char *name, hid_t stored, hid_t memory, hid_t space, const void *value)
{
	const hid_t attribute = H5Acreate2(where, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
	bool good = attribute >= 0 && H5Awrite(attribute, memory, value) >= 0;
	if (attribute >= 0 && H5Aclose(attribute) < 0) good = false;
	return good;
}

bool iso_hdf5_put_text(hid_t where, const char *name, const char *text)
{
	const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
	const bool good = type >= 0 && space >= 0 && H5Tset_size(type, strlen(text) + 1) >= 0 &&
			  H5Tset_cset(type, H5T_CSET_UTF8) >= 0 && put(where, name, type, type, space, text);
	if (type >= 0) H5Tclose(type);
	if (space >= 0) H5Sclose(space);
	return good;
}

bool iso_hdf5_put_double(hid_t where, const char *name, const double *values, size_t count)
{
	const hsize_t extent = count;
	const hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &extent, NULL);
	const bool good = space >= 0 && put(where, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, space, values);
	if (space >= 0) H5Sclose(space);
	return good;
}

bool iso_hdf5_put_u64s(hid_t where, const char *name, const uint64_t *values, size_t count)
{
	const hsize_t extent = count;
	const hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &extent, NULL);
	const bool good = space >= 0 && put(where, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, space, values);
	if (space >= 0) H5Sclose(space);
	return good;
}

bool iso_hdf5_put_u64(hid_t where, const char *name, uint64_t value)
{
	return iso_hdf5_put_u64s(where, name, &value, 1);
}

/* Opens the attribute when it is there and holds `count` values. */
static bool open_attribute(hid_t where, const char *name, size_t count, hid_t *attribute, hid_t *type, bool *found)
{
	*attribute = *type = -1;
	const htri_t there = H5Aexists(where, name);
	*found = there > 0;
	if (there <= 0) return there == 0;
	*attribute = H5Aopen(where, name, H5P_DEFAULT);
	if (*attribute < 0) return false;
	const hid_t space = H5Aget_space(*attribute);
	const hssize_t points = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
	if (space >= 0) H5Sclose(space);
	*type = H5Aget_type(*attribute);
	return points == (hssize_t)count && *type >= 0;
}

static void close_attribute(hid_t attribute, hid_t type)
{
	if (type >= 0) H5Tclose(type);
	if (attribute >= 0) H5Aclose(attribute);
}

static bool read_fixed(hid_t attribute, hid_t type, char *text, size_t size)
{
	const size_t stored = H5Tget_size(type);
	if (stored < 1 || stored > 1u << 16) return false;
	char bytes[(1 << 16) + 1]; /* not from the heap: there would be no way to say that there is none */
	memset(bytes, 0, stored + 1);
	const bool good = H5Aread(attribute, type, bytes) >= 0 && strlen(bytes) < size;
	if (good) memcpy(text, bytes, strlen(bytes) + 1);
	return good;
}

/* h5py and others write texts of variable length: somebody may have added a fact by hand. */
static bool read_variable(hid_t attribute, hid_t type, char *text, size_t size)
{
	char *bytes = NULL;
	bool good = H5Aread(attribute, type, &bytes) >= 0 && bytes && strlen(bytes) < size;
	if (good) memcpy(text, bytes, strlen(bytes) + 1);
	if (bytes) (void)H5free_memory(bytes);
	return good;
}

bool iso_hdf5_get_text(hid_t where, const char *name, char *text, size_t size, bool *found)
{
	hid_t attribute, type;
	text[0] = '\0';
	bool good = open_attribute(where, name, 1, &attribute, &type, found);
	if (good && *found) {
		good = H5Tget_class(type) == H5T_STRING;
		if (good)
			good = H5Tis_variable_str(type) > 0 ? read_variable(attribute, type, text, size)
							    : read_fixed(attribute, type, text, size);
	}
	close_attribute(attribute, type);
	return good;
}

bool iso_hdf5_get_double(hid_t where, const char *name, double *values, size_t count, bool *found)
{
	hid_t attribute, type;
	bool good = open_attribute(where, name, count, &attribute, &type, found);
	if (good && *found) {
		const H5T_class_t class = H5Tget_class(type);
		good =
		    (class == H5T_FLOAT || class == H5T_INTEGER) && H5Aread(attribute, H5T_NATIVE_DOUBLE, values) >= 0;
	}
	close_attribute(attribute, type);
	return good;
}

bool iso_hdf5_get_u64(hid_t where, const char *name, uint64_t *value, bool *found)
{
	hid_t attribute, type;
	bool good = open_attribute(where, name, 1, &attribute, &type, found);
	if (good && *found)
		good = H5Tget_class(type) == H5T_INTEGER && H5Aread(attribute, H5T_NATIVE_UINT64, value) >= 0;
	close_attribute(attribute, type);
	return good;
}

bool iso_hdf5_is_table(hid_t dataset, int rank, hsize_t columns, H5T_class_t class, size_t size, hsize_t *rows)
{
	hsize_t extent[2] = {0, 0};
	const hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
	bool good = space >= 0 && type >= 0 && H5Tget_class(type) == class && H5Tget_size(type) == size &&
		    H5Sis_simple(space) > 0 && H5Sget_simple_extent_ndims(space) == rank && rank <= 2 &&
		    H5Sget_simple_extent_dims(space, extent, NULL) == rank;
	if (good && rank == 2) good = extent[1] == columns;
	*rows = extent[0];
	if (space >= 0) H5Sclose(space);
	if (type >= 0) H5Tclose(type);
	return good;
}
