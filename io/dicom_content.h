/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Content items of a structured report (DICOM PS3.3 C.17.3), put into the item that is open. Those that `begin` stay open for their
 * children until iso_dcm_end. */
#ifndef ISOTRACE_IO_DICOM_CONTENT_H
#define ISOTRACE_IO_DICOM_CONTENT_H

#include "io/dicom/dicom_file.h"

typedef struct iso_code {
	const char *value, *scheme, *meaning;
} iso_code;

/* How an item belongs to its parent. */
#define ISO_CONTAINS     "CONTAINS"
#define ISO_HAS_CONTEXT  "HAS OBS CONTEXT"
#define ISO_HAS_SOURCE   "HAS ACQ CONTEXT"
#define ISO_HAS_MODIFIER "HAS CONCEPT MOD"
#define ISO_HAS_PROPERTY "HAS PROPERTIES"

/* The root: no relationship. template: "1500" of the DICOM Content Mapping Resource. */
void iso_content_root(iso_dcm *dcm, iso_code concept, const char *template_id);
void iso_content_begin_container(iso_dcm *dcm, iso_code concept);
void iso_content_begin_code(iso_dcm *dcm, const char *relation, iso_code concept, iso_code value);
/* As %.9g, just as biodistribution.csv has it, and as a double. */
void iso_content_begin_number(iso_dcm *dcm, const char *relation, iso_code concept, double value, iso_code unit);
/* An image without a name or with one (concept.value NULL: none), whose reference the caller puts into (0008,1199). */
void iso_content_begin_image(iso_dcm *dcm, iso_code concept);

void iso_content_code(iso_dcm *dcm, const char *relation, iso_code concept, iso_code value);
void iso_content_number(iso_dcm *dcm, const char *relation, iso_code concept, double value, iso_code unit);
void iso_content_text(iso_dcm *dcm, const char *relation, iso_code concept, const char *text);
void iso_content_uid(iso_dcm *dcm, const char *relation, iso_code concept, const char *uid);
void iso_content_time(iso_dcm *dcm, const char *relation, iso_code concept, double utc_s);

#endif
