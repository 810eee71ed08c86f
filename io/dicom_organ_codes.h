/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What DICOM calls an organ, and the colour in which viewers show it. */
#ifndef ISOTRACE_IO_DICOM_ORGAN_CODES_H
#define ISOTRACE_IO_DICOM_ORGAN_CODES_H

#include <stdbool.h>
#include <stdint.h>

/* isotrace's own codes, for what no public scheme has; every object that uses one says what the scheme is. */
#define ISO_DICOM_SCHEME      "99ISOTRACE"
#define ISO_DICOM_SCHEME_NAME "isotrace: organs and measurements without a public code"

typedef struct iso_organ_code {
	char value[17], meaning[65];
	const char *scheme;
	const char *category, *category_meaning; /* SCT, CID 7150 */
	const char *side, *side_meaning;         /* SCT, CID 244; NULL = not paired, or not said */
	uint16_t cielab[3];                      /* RecommendedDisplayCIELabValue */
	bool known;                              /* false: a private code, made of the name */
} iso_organ_code;

/* By name: case, "_" and "-" do not count; "left kidney" and "kidney_left" are the same. A name that the table lacks gets a
 * code of isotrace's own scheme, always the same for the same name. number: chooses a colour for what has none. */
iso_organ_code iso_organ_code_of(const char *name, unsigned number);

/* sRGB as CIELab against D50, scaled as DICOM PS3.3 C.10.7.1.1 has it. */
void iso_dicom_cielab(const uint8_t srgb[3], uint16_t cielab[3]);

#endif
