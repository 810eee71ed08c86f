/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "recon/scratch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

static iso_status fail(const iso_scratch_file *scratch, const char *what, int number, iso_error *err)
{
	return iso_fail(err, ISO_IO, scratch->folder,
			"give more --max-memory, or a folder with more room as --scratch (or in TMPDIR)",
			"events that do not fit into memory cannot be %s in this folder: %s", what,
			number ? strerror(number) : "the file has become shorter");
}

iso_status iso_scratch_begin(iso_scratch_file *scratch, const char *folder, iso_error *err)
{
	*scratch = (iso_scratch_file){.descriptor = -1};
	if (!folder) folder = getenv("TMPDIR");
	if (!folder || !folder[0]) folder = "/tmp";
	if (strlen(folder) >= sizeof scratch->folder)
		return iso_fail(err, ISO_BAD_USAGE, folder, "give a shorter --scratch",
				"the folder's name is too long");
	memcpy(scratch->folder, folder, strlen(folder) + 1);
	return ISO_OK;
}

static iso_status make_file(iso_scratch_file *scratch, iso_error *err)
{
	char path[sizeof scratch->folder + 32];
	snprintf(path, sizeof path, "%s/isotrace-events-XXXXXX", scratch->folder);
	scratch->descriptor = mkostemp(path, O_CLOEXEC);
	if (scratch->descriptor < 0) return fail(scratch, "kept", errno, err);
	unlink(path);
	return ISO_OK;
}

iso_status iso_scratch_write(iso_scratch_file *scratch, const void *bytes, size_t size, int64_t *offset, iso_error *err)
{
	if (scratch->descriptor < 0) {
		const iso_status status = make_file(scratch, err);
		if (status != ISO_OK) return status;
	}
	*offset = scratch->end;
	for (size_t done = 0; done < size;) {
		const ssize_t part = pwrite(scratch->descriptor, (const char *)bytes + done, size - done,
					    (off_t)(scratch->end + (int64_t)done));
		if (part < 0 && errno == EINTR) continue;
		if (part <= 0) return fail(scratch, "kept", part ? errno : ENOSPC, err);
		done += (size_t)part;
	}
	scratch->end += (int64_t)size;
	return ISO_OK;
}

iso_status iso_scratch_read(const iso_scratch_file *scratch, void *bytes, size_t size, int64_t offset, iso_error *err)
{
	for (size_t done = 0; done < size;) {
		const ssize_t part =
		    pread(scratch->descriptor, (char *)bytes + done, size - done, (off_t)(offset + (int64_t)done));
		if (part < 0 && errno == EINTR) continue;
		if (part <= 0) return fail(scratch, "read back", part ? errno : 0, err);
		done += (size_t)part;
	}
	return ISO_OK;
}

void iso_scratch_forget(const iso_scratch_file *scratch, int64_t offset, size_t size)
{
	/* Where this is not supported, the file stays larger until it is closed: nothing else is lost. */
	(void)fallocate(scratch->descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
}

void iso_scratch_end(iso_scratch_file *scratch)
{
	if (scratch->descriptor >= 0) close(scratch->descriptor);
	scratch->descriptor = -1;
	scratch->end = 0;
}
