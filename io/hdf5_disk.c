/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/hdf5_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "io/hdf5.h"
#include "io/hdf5_table.h"

typedef struct disk_file {
	H5FD_t base; /* HDF5's own part, must be first */
	int fd;
	haddr_t eoa, eof; /* end of what HDF5 allocated, end of what was written */
	iso_hdf5_disk *disk;
} disk_file;

typedef struct disk_info {
	iso_hdf5_disk *disk;
} disk_info;

static H5FD_t *disk_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
	(void)most;
	const disk_info *info = H5Pget_driver_info(access);
	if (!info) return NULL;
	disk_file *file = calloc(1, sizeof *file);
	if (!file) {
		info->disk->error = ENOMEM;
		return NULL;
	}
	const int mode = (flags & H5F_ACC_RDWR ? O_RDWR : O_RDONLY) | (flags & H5F_ACC_TRUNC ? O_TRUNC : 0) |
			 (flags & H5F_ACC_CREAT ? O_CREAT : 0) | (flags & H5F_ACC_EXCL ? O_EXCL : 0) | O_CLOEXEC;
	struct stat facts;
	file->disk = info->disk;
	file->fd = open(name, mode, 0666);
	if (file->fd < 0 || fstat(file->fd, &facts) != 0) {
		/* HDF5 first looks whether the file is there: only when it wants to create it this is an error. */
		if (flags & H5F_ACC_CREAT) file->disk->error = errno;
		if (file->fd >= 0) close(file->fd);
		free(file);
		return NULL;
	}
	file->eof = (haddr_t)facts.st_size;
	return &file->base;
}

static herr_t disk_close(H5FD_t *base)
{
	disk_file *file = (disk_file *)base;
	/* network file systems report a full disk only now */
	if (close(file->fd) != 0 && !file->disk->error) file->disk->error = errno;
	free(file);
	return 0;
}

static int disk_compare(const H5FD_t *a, const H5FD_t *b)
{
	struct stat x, y;
	if (fstat(((const disk_file *)a)->fd, &x) != 0 || fstat(((const disk_file *)b)->fd, &y) != 0) return -1;
	if (x.st_dev != y.st_dev) return x.st_dev < y.st_dev ? -1 : 1;
	return x.st_ino == y.st_ino ? 0 : x.st_ino < y.st_ino ? -1 : 1;
}

static herr_t disk_query(const H5FD_t *base, unsigned long *features)
{
	(void)base;
	*features = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
		    H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
	return 0;
}

static haddr_t disk_get_eoa(const H5FD_t *base, H5FD_mem_t type)
{
	(void)type;
	return ((const disk_file *)base)->eoa;
}

static herr_t disk_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
	(void)type;
	((disk_file *)base)->eoa = address;
	return 0;
}

static haddr_t disk_get_eof(const H5FD_t *base, H5FD_mem_t type)
{
	(void)type;
	return ((const disk_file *)base)->eof;
}

static herr_t disk_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, void *to)
{
	(void)type, (void)transfer;
	const disk_file *file = (const disk_file *)base;
	unsigned char *bytes = to;
	while (size > 0) {
		const ssize_t got = pread(file->fd, bytes, size, (off_t)address);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0) return -1;
		if (got == 0) {
			memset(bytes, 0, size); /* beyond the end, as HDF5 expects it */
			return 0;
		}
		bytes += got;
		address += (haddr_t)got;
		size -= (size_t)got;
	}
	return 0;
}

static herr_t disk_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, const void *from)
{
	(void)type, (void)transfer;
	disk_file *file = (disk_file *)base;
	const unsigned char *bytes = from;
	if (address + size > file->eof) file->eof = address + size;
	while (size > 0 && !file->disk->error) {
		const ssize_t put = pwrite(file->fd, bytes, size, (off_t)address);
		if (put < 0 && errno == EINTR) continue;
		if (put <= 0) {
			file->disk->error = put < 0 ? errno : ENOSPC;
			break;
		}
		bytes += put;
		address += (haddr_t)put;
		size -= (size_t)put;
	}
	return 0;
}

static herr_t disk_truncate(H5FD_t *base, hid_t transfer, hbool_t closing)
{
	(void)transfer, (void)closing;
	disk_file *file = (disk_file *)base;
	if (file->eof == file->eoa) return 0;
	if (!file->disk->error && ftruncate(file->fd, (off_t)file->eoa) != 0) file->disk->error = errno;
	file->eof = file->eoa;
	return 0;
}

static const H5FD_class_t disk_class = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, /* below 256 are HDF5's own */
#endif
    .name = "isotrace_disk",
    .maxaddr = ((haddr_t)1 << 62) - 1,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(disk_info),
    .open = disk_open,
    .close = disk_close,
    .cmp = disk_compare,
    .query = disk_query,
    .get_eoa = disk_get_eoa,
    .set_eoa = disk_set_eoa,
    .get_eof = disk_get_eof,
    .read = disk_read,
    .write = disk_write,
    .truncate = disk_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static bool use_disk(hid_t access, iso_hdf5_disk *disk)
{
	const disk_info info = {.disk = disk};
	disk->error = 0;
	disk->driver = H5FDregister(&disk_class);
	if (disk->driver < 0) return false;
	return H5Pset_driver(access, disk->driver, &info) >= 0;
}

hid_t iso_hdf5_create(const char *path, iso_hdf5_disk *disk)
{
	const hid_t access = H5Pcreate(H5P_FILE_ACCESS), plan = iso_hdf5_plan(H5P_FILE_CREATE);
	hid_t file = -1;
	if (access >= 0 && plan >= 0 && use_disk(access, disk) &&
	    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 &&
	    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
		file = H5Fcreate(path, H5F_ACC_TRUNC, plan, access);
	if (access >= 0) H5Pclose(access);
	if (plan >= 0) H5Pclose(plan);
	return file;
}

iso_status iso_hdf5_disk_fail(iso_error *err, const iso_hdf5_disk *disk, const char *file, const char *what)
{
	errno = disk->error;
	return errno ? iso_fail_errno(err, file, what) : iso_hdf5_fail(err, ISO_IO, file, what);
}

void iso_hdf5_release_disk(iso_hdf5_disk *disk)
{
	if (disk->driver > 0) (void)H5FDunregister(disk->driver);
	disk->driver = 0;
}
