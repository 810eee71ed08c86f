/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What every HDF5 file of ours needs: silence on stderr, one thread in the HDF5 library at a time, its error stack as an
 * iso_error, and attributes in one line each. */
#ifndef ISOTRACE_IO_HDF5_H
#define ISOTRACE_IO_HDF5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isotrace/status.h"

/* Everything between enter and leave has HDF5 to itself (Debian's build is not thread-safe) and its automatic printing
 * switched off; leave restores what was set before. */
typedef struct iso_hdf5_guard {
	H5E_auto2_t print;
	void *print_data;
} iso_hdf5_guard;
void iso_hdf5_enter(iso_hdf5_guard *guard);
void iso_hdf5_leave(const iso_hdf5_guard *guard);

/* Fills err from the call of HDF5 that just failed; to be called before any other HDF5 call. A failure of the system
 * below HDF5 (disk full, I/O error) is ISO_IO, anything else `otherwise`. */
iso_status iso_hdf5_fail(iso_error *err, iso_status otherwise, const char *file, const char *what);

/* Opens for reading; < 0: failed. Everything that opens a file must do it so: HDF5 refuses a second handle of the same file
 * with other properties. */
hid_t iso_hdf5_open(const char *path);

/* Attributes. false: HDF5 failed. Texts are stored with a fixed length, so that no byte lies in HDF5's unchecked heap. */
bool iso_hdf5_put_text(hid_t where, const char *name, const char *text);
bool iso_hdf5_put_double(hid_t where, const char *name, const double *values, size_t count);
bool iso_hdf5_put_u64(hid_t where, const char *name, uint64_t value);
bool iso_hdf5_put_u64s(hid_t where, const char *name, const uint64_t *values, size_t count);

/* Reading: *found says whether the attribute is there; false: it is there and is not what it must be. text is always
 * terminated; a text longer than size - 1 is refused. */
bool iso_hdf5_get_text(hid_t where, const char *name, char *text, size_t size, bool *found);
bool iso_hdf5_get_double(hid_t where, const char *name, double *values, size_t count, bool *found);
bool iso_hdf5_get_u64(hid_t where, const char *name, uint64_t *value, bool *found);

/* Is it a dataset with this rank, extents (0 = any, the first is returned in *rows), class and size of its type? */
bool iso_hdf5_is_table(hid_t dataset, int rank, hsize_t columns, H5T_class_t class, size_t size, hsize_t *rows);

#endif
