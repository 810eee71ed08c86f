/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Encapsulated PDF Storage, DICOM PS3.3 A.45.1. */
#define _GNU_SOURCE
#include "io/dicom_document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"
#include "io/dicom_identity.h"
#include "io/dicom_modules.h"

#define MOST_BYTES ((size_t)1 << 30)

/* A PDF begins with its version, and ends with %%EOF and little more (ISO 32000-1, 7.5): one without was cut off on its way. */
static iso_status check_pdf(const char *pdf, const char *bytes, size_t size, iso_error *err)
{
	if (size < 8 || memcmp(bytes, "%PDF-", 5) != 0)
		return iso_fail_at(err, ISO_BAD_INPUT, pdf, ISO_POSITION_BYTE, 0, "give a PDF", "this is no PDF");
	const size_t tail = size < 1024 ? size : 1024;
	if (!memmem(bytes + size - tail, tail, "%%EOF", 5))
		return iso_fail_at(err, ISO_BAD_INPUT, pdf, ISO_POSITION_BYTE, (int64_t)size, "write the PDF anew",
				   "the PDF has no end");
	return ISO_OK;
}

static void put_all(iso_dcm *dcm, const char *title, const char *bytes, size_t size)
{
	char text[24];
	iso_dcm_text(dcm, 0x00080064, "WSD"); /* made on a workstation */
	iso_dcm_text(dcm, 0x0008002a, "");
	iso_dcm_text(dcm, 0x00280301, "YES"); /* a report tells whose it is */
	iso_dicom_put_text(dcm, 0x00420010, title, 1000);
	iso_dicom_put_code(dcm, 0x0040a043, "18748-4", "LN", "Diagnostic Imaging Report");
	iso_dcm_text(dcm, 0x00420012, "application/pdf");
	snprintf(text, sizeof text, "%zu", size);
	iso_dcm_text(dcm, 0x00420015, text);
	iso_dcm_bytes(dcm, 0x00420011, (const uint8_t *)bytes, size);
}

iso_status iso_dicom_write_pdf(const char *path, const char *shown, const iso_image_series *images, const char *pdf,
			       iso_error *err)
{
	char *bytes = NULL;
	size_t size = 0;
	iso_object object = {
	    .sop_class = "1.2.840.10008.5.1.4.1.1.104.1", .modality = "DOC", .title = "Report", .number = 400};
	const char *title = iso_base_name(pdf);
	iso_status status = iso_read_file(pdf, MOST_BYTES, &bytes, &size, err);
	if (status == ISO_OK) status = check_pdf(pdf, bytes, size, err);
	if (status != ISO_OK) {
		free(bytes);
		return status;
	}
	iso_hash hash;
	iso_object_uid_begin(&hash, "document", images);
	iso_hash_text(&hash, title);
	iso_hash_bytes(&hash, bytes, size);
	iso_dicom_uid_end(&hash, object.uid);
	iso_dcm *dcm = NULL;
	status = iso_object_create(&dcm, images, &object, err);
	if (status == ISO_OK) {
		put_all(dcm, title, bytes, size);
		status = iso_dcm_save(dcm, path, shown, err);
	}
	iso_dcm_free(dcm);
	free(bytes);
	return status;
}
