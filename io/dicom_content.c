/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/dicom_content.h"

#include <stdio.h>

#include "core/number_text.h"
#include "io/dicom_modules.h"
#include "isotrace/time.h"

static void put_code(iso_dcm *dcm, uint32_t sequence, iso_code code)
{
	iso_dcm_begin(dcm, sequence);
	iso_dcm_text(dcm, 0x00080100, code.value);
	iso_dcm_text(dcm, 0x00080102, code.scheme);
	iso_dicom_put_text(dcm, 0x00080104, code.meaning, 64);
	iso_dcm_end(dcm);
}

static void begin(iso_dcm *dcm, const char *relation, const char *type, iso_code concept)
{
	iso_dcm_begin_next(dcm, 0x0040a730);
	iso_dcm_text(dcm, 0x0040a010, relation);
	iso_dcm_text(dcm, 0x0040a040, type);
	if (concept.value) put_code(dcm, 0x0040a043, concept);
}

void iso_content_root(iso_dcm *dcm, iso_code concept, const char *template_id)
{
	iso_dcm_text(dcm, 0x0040a040, "CONTAINER");
	put_code(dcm, 0x0040a043, concept);
	iso_dcm_text(dcm, 0x0040a050, "SEPARATE");
	iso_dcm_begin(dcm, 0x0040a504);
	iso_dcm_text(dcm, 0x00080105, "DCMR");
	iso_dcm_text(dcm, 0x00080118, "1.2.840.10008.8.1.1");
	iso_dcm_text(dcm, 0x0040db00, template_id);
	iso_dcm_end(dcm);
}

void iso_content_begin_container(iso_dcm *dcm, iso_code concept)
{
	begin(dcm, ISO_CONTAINS, "CONTAINER", concept);
	iso_dcm_text(dcm, 0x0040a050, "SEPARATE");
}

void iso_content_begin_code(iso_dcm *dcm, const char *relation, iso_code concept, iso_code value)
{
	begin(dcm, relation, "CODE", concept);
	put_code(dcm, 0x0040a168, value);
}

void iso_content_begin_number(iso_dcm *dcm, const char *relation, iso_code concept, double value, iso_code unit)
{
	char text[17];
	iso_snprintf(text, sizeof text, "%.9g", value);
	begin(dcm, relation, "NUM", concept);
	iso_dcm_begin(dcm, 0x0040a300);
	iso_dcm_text(dcm, 0x0040a30a, text);
	iso_dcm_fd(dcm, 0x0040a161, value);
	put_code(dcm, 0x004008ea, unit);
	iso_dcm_end(dcm);
}

void iso_content_begin_image(iso_dcm *dcm, iso_code concept)
{
	begin(dcm, ISO_CONTAINS, "IMAGE", concept);
}

void iso_content_code(iso_dcm *dcm, const char *relation, iso_code concept, iso_code value)
{
	iso_content_begin_code(dcm, relation, concept, value);
	iso_dcm_end(dcm);
}

void iso_content_number(iso_dcm *dcm, const char *relation, iso_code concept, double value, iso_code unit)
{
	iso_content_begin_number(dcm, relation, concept, value, unit);
	iso_dcm_end(dcm);
}

void iso_content_text(iso_dcm *dcm, const char *relation, iso_code concept, const char *text)
{
	begin(dcm, relation, "TEXT", concept);
	iso_dicom_put_text(dcm, 0x0040a160, text, 1000);
	iso_dcm_end(dcm);
}

void iso_content_uid(iso_dcm *dcm, const char *relation, iso_code concept, const char *uid)
{
	begin(dcm, relation, "UIDREF", concept);
	iso_dcm_text(dcm, 0x0040a124, uid);
	iso_dcm_end(dcm);
}

void iso_content_time(iso_dcm *dcm, const char *relation, iso_code concept, double utc_s)
{
	char date[9], time[14], both[32];
	iso_time_dicom(utc_s, date, time);
	snprintf(both, sizeof both, "%s%s", date, time);
	begin(dcm, relation, "DATETIME", concept);
	iso_dcm_text(dcm, 0x0040a120, both);
	iso_dcm_end(dcm);
}
