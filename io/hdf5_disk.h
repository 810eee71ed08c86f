/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How HDF5 writes our files. HDF5 cannot close a file whose last bytes do not reach the disk: its handles stay open and the
 * process crashes when it ends. This file driver therefore tells HDF5 that every write succeeded, keeps the first error for the
 * caller to look at, and writes nothing more: the file is then closed like any other and thrown away. */
#ifndef ISOTRACE_IO_HDF5_DISK_H
#define ISOTRACE_IO_HDF5_DISK_H

#include <hdf5.h>
#include <stdbool.h>

typedef struct iso_hdf5_disk {
	int error;    /* errno of the first write that failed, 0 = none */
	hid_t driver; /* HDF5's number for this way of writing, 0 = none yet */
} iso_hdf5_disk;

/* Makes files that are created with these access properties report to `disk`, which must outlive them. HDF5 to be
 * entered. */
bool iso_hdf5_use_disk(hid_t access, iso_hdf5_disk *disk);
/* When the file is closed and not before: HDF5 1.10 gives up the driver and then calls it once more. */
void iso_hdf5_release_disk(iso_hdf5_disk *disk);

#endif
