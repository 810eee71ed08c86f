/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How HDF5 writes our files. HDF5 cannot close a file whose last bytes do not reach the disk: its handles stay open and the
 * process crashes when it ends. This file driver therefore tells HDF5 that every write succeeded, keeps the first error for the
 * caller to look at, and writes nothing more: the file is then closed like any other and thrown away. */
#ifndef ISOTRACE_IO_HDF5_DISK_H
#define ISOTRACE_IO_HDF5_DISK_H

#include <hdf5.h>

#include "isotrace/status.h"

typedef struct iso_hdf5_disk {
	int error;    /* errno of the first write that failed, 0 = none */
	hid_t driver; /* HDF5's number for this way of writing, 0 = none yet */
} iso_hdf5_disk;

/* Creates a file that reports to `disk`, which must outlive it; < 0: failed. In the newest file format that HDF5 1.10 knows: all its
 * metadata carry checksums, so that damage is seen. HDF5 to be entered. */
hid_t iso_hdf5_create(const char *path, iso_hdf5_disk *disk);
/* Fills err with the first write that failed, or when none did with the call of HDF5 that just failed, as ISO_IO. */
iso_status iso_hdf5_disk_fail(iso_error *err, const iso_hdf5_disk *disk, const char *file, const char *what);
/* When the file is closed and not before: HDF5 1.10 gives up the driver and then calls it once more. */
void iso_hdf5_release_disk(iso_hdf5_disk *disk);

#endif
