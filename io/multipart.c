/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/multipart.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/output.h"

typedef struct body {
	const char *path;
	const unsigned char *bytes;
	size_t size;
} body;

static iso_status damaged(const body *b, size_t at, const char *what, iso_error *err)
{
	return iso_fail_at(err, ISO_IO, b->path, ISO_POSITION_BYTE, (int64_t)at, "fetch again; check the PACS",
			   "the answer of the PACS %s", what);
}

/* "--" and the boundary, from: multipart/related; type="application/dicom"; boundary="..." */
static int boundary_of(const char *content_type, char delimiter[80])
{
	const char *at = strcasestr(content_type, "boundary=");
	if (!at) return 0;
	at += strlen("boundary=");
	const size_t length = *at == '"' ? strcspn(++at, "\"") : strcspn(at, "; \t");
	if (length == 0 || length > 70) return 0; /* RFC 2046: at most 70 */
	snprintf(delimiter, 80, "--%.*s", (int)length, at);
	return 1;
}

static iso_status write_part(const char *folder, const char *prefix, size_t number, const unsigned char *bytes,
			     size_t size, iso_error *err)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof path, "%s/%s-%zu.dcm", folder, prefix, number) >= sizeof path)
		return iso_fail(err, ISO_BAD_USAGE, folder, "give a shorter path", "the folder's name is too long");
	FILE *file = fopen(path, "wb");
	if (!file) return iso_fail_errno(err, path, "cannot create");
	const int written = fwrite(bytes, 1, size, file) == size;
	if (fclose(file) != 0 || !written) return iso_fail_errno(err, path, "cannot write");
	return ISO_OK;
}

static iso_status split(const body *b, const char *delimiter, const char *folder, const char *prefix, size_t *parts,
			iso_error *err)
{
	const size_t length = strlen(delimiter);
	const unsigned char *end = b->bytes + b->size, *at = memmem(b->bytes, b->size, delimiter, length);
	while (at) {
		at += length;
		if (end - at >= 2 && memcmp(at, "--", 2) == 0) return ISO_OK; /* the last one */
		const unsigned char *data = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
		if (!data) return damaged(b, (size_t)(at - b->bytes), "breaks off in the header of a part", err);
		data += 4;
		/* The boundary with its line break before cannot be within a part; that is the sender's duty. */
		const unsigned char *next = data;
		while ((next = memmem(next, (size_t)(end - next), delimiter, length)) != NULL &&
		       !(next >= data + 2 && next[-2] == '\r' && next[-1] == '\n'))
			next++;
		if (!next) return damaged(b, (size_t)(data - b->bytes), "breaks off within a part", err);
		const iso_status status = write_part(folder, prefix, ++*parts, data, (size_t)(next - 2 - data), err);
		if (status != ISO_OK) return status;
		at = next;
	}
	return damaged(b, 0, *parts ? "has no end" : "has no parts", err);
}

iso_status iso_multipart_split(const char *path, const char *content_type, const char *folder, const char *prefix,
			       size_t *parts, iso_error *err)
{
	char delimiter[80];
	*parts = 0;
	FILE *file;
	struct stat info;
	const int single =
	    strncasecmp(content_type, "application/dicom", 17) == 0 && (!content_type[17] || content_type[17] == ';');
	if (!single &&
	    (strncasecmp(content_type, "multipart/related", 17) != 0 || !boundary_of(content_type, delimiter)))
		return iso_fail(err, ISO_IO, path, "check that the URL is a DICOMweb service",
				"the answer of the PACS is '%.100s' and no DICOM", content_type);
	iso_status status = iso_open_to_read(path, &file, err);
	if (status != ISO_OK) return status;
	body b = {.path = path};
	if (fstat(fileno(file), &info) != 0 || info.st_size <= 0) {
		fclose(file);
		return damaged(&b, 0, "is empty", err);
	}
	b.size = (size_t)info.st_size;
	void *mapped = mmap(NULL, b.size, PROT_READ, MAP_PRIVATE, fileno(file), 0);
	fclose(file);
	if (mapped == MAP_FAILED) return iso_fail_errno(err, path, "cannot map");
	b.bytes = mapped;
	if (single)
		status = write_part(folder, prefix, ++*parts, b.bytes, b.size, err);
	else
		status = split(&b, delimiter, folder, prefix, parts, err);
	munmap(mapped, b.size);
	return status;
}
