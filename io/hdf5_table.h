/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tables of numbers in our HDF5 files: written without anything that differs from run to run, read without believing what
 * a file claims. HDF5 to be entered. */
#ifndef ISOTRACE_IO_HDF5_TABLE_H
#define ISOTRACE_IO_HDF5_TABLE_H

#include "io/hdf5.h"

/* How an object of a class is made: without the clock times that HDF5 would put in, so that the same events make the same
 * bits. */
hid_t iso_hdf5_plan(hid_t object_class);
hid_t iso_hdf5_create_group(hid_t file, const char *name);

/* A table as it is in the file and in memory. */
typedef struct iso_hdf5_table {
	const char *name, *units;
	hid_t stored, memory;  /* types */
	hsize_t rows, columns; /* columns 0: a plain list */
	hsize_t chunk_rows;    /* at most; 0: all */
} iso_hdf5_table;
bool iso_hdf5_put_table(hid_t group, const iso_hdf5_table *table, const void *values);

/* deflate cannot shrink below 1/1032: a dataset that claims more than its bytes can hold is a lie. */
bool iso_hdf5_believable(hid_t dataset, hsize_t numbers, size_t size);
/* Plain or chunked with chunks of at most `most` numbers, and only with the filters that this build has. */
bool iso_hdf5_readable(hid_t dataset, hsize_t most);

#endif
