/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <znzlib.h>

#include "core/error.h"
#include "io/exports/exports.h"
#include "io/hdf5.h"
#include "io/listmode.h"

const char *iso_file_kind_text(iso_file_kind kind)
{
	switch (kind) {
	case ISO_FILE_LISTMODE: return "isotrace list-mode";
	case ISO_FILE_PETLINK_HEADER: return "Siemens PETLINK list-mode header";
	case ISO_FILE_SAFIR: return "SAFIR list-mode";
	case ISO_FILE_NIFTI: return "NIfTI volume";
	case ISO_FILE_DICOM: return "DICOM";
	case ISO_FILE_UNKNOWN: break;
	}
	return "unknown";
}

/* sizeof_hdr 348 or 540 in either byte order, and the magic. */
static bool is_nifti(const unsigned char *bytes, size_t count)
{
	const bool first = count >= 348 && ((bytes[0] == 0x5c && bytes[1] == 1) || (bytes[2] == 1 && bytes[3] == 0x5c));
	const bool second =
	    count >= 540 && ((bytes[0] == 0x1c && bytes[1] == 2) || (bytes[2] == 2 && bytes[3] == 0x1c));
	if (first) return memcmp(bytes + 344, "n+1", 4) == 0 || memcmp(bytes + 344, "ni1", 4) == 0;
	if (second) return memcmp(bytes + 4, "n+2", 4) == 0 || memcmp(bytes + 4, "ni2", 4) == 0;
	return false;
}

static bool is_zipped_nifti(const char *path)
{
	unsigned char inside[540];
	znzFile file = znzopen(path, "rb", 1);
	if (!file) return false;
	const size_t count = znzread(inside, 1, sizeof inside, file);
	znzclose(file);
	return count <= sizeof inside && is_nifti(inside, count);
}

/* An HDF5 file: ours when its format attribute says so. */
static iso_status identify_hdf5(const char *path, iso_file_kind *kind, iso_error *err)
{
	iso_hdf5_guard guard;
	iso_status status = ISO_OK;
	char format[64];
	bool found = false;
	iso_hdf5_enter(&guard);
	const hid_t file = iso_hdf5_open(path);
	if (file < 0)
		status = iso_hdf5_fail(err, ISO_BAD_INPUT, path, "an HDF5 file, cut short or damaged");
	else if (iso_hdf5_get_text(file, "format", format, sizeof format, &found) && found &&
		 strcmp(format, ISO_LISTMODE_FORMAT) == 0)
		*kind = ISO_FILE_LISTMODE;
	if (file >= 0) H5Fclose(file);
	iso_hdf5_leave(&guard);
	return status;
}

iso_status iso_file_identify(const char *path, iso_file_kind *kind, iso_error *err)
{
	unsigned char bytes[4097];
	struct stat info;
	*kind = ISO_FILE_UNKNOWN;
	FILE *file = fopen(path, "rb");
	if (!file)
		return iso_fail(err, ISO_BAD_INPUT, path, "check the name and that it may be read", "cannot open: %s",
				strerror(errno));
	if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
		fclose(file);
		return iso_fail(err, ISO_BAD_INPUT, path, "name a file", "this is a folder");
	}
	const size_t count = fread(bytes, 1, sizeof bytes - 1, file);
	const bool failed = ferror(file);
	fclose(file);
	if (failed) return iso_fail_errno(err, path, "cannot read");
	bytes[count] = '\0';
	if (count >= 8 && memcmp(bytes, "\211HDF\r\n\032\n", 8) == 0) return identify_hdf5(path, kind, err);
	if (count >= 32 &&
	    (memcmp(bytes, "MUPET CListModeData", 19) == 0 || memcmp(bytes, "SAFIR CListModeData", 19) == 0))
		*kind = ISO_FILE_SAFIR;
	else if (count >= 132 && memcmp(bytes + 128, "DICM", 4) == 0)
		*kind = ISO_FILE_DICOM;
	else if (is_nifti(bytes, count) ||
		 (count >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b && is_zipped_nifti(path)))
		*kind = ISO_FILE_NIFTI;
	else if (iso_petlink_header_recognised((const char *)bytes))
		*kind = ISO_FILE_PETLINK_HEADER;
	return ISO_OK;
}
