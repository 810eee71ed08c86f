/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Coded terms that DICOM wants where people write words. */
#ifndef ISOTRACE_IO_DICOM_CODES_H
#define ISOTRACE_IO_DICOM_CODES_H

typedef struct iso_dicom_code {
	const char *name; /* what people write */
	const char *value, *scheme, *meaning;
} iso_dicom_code;

/* NULL when the word is not known. Names compare without regard to case; meanings count as names, too. */
const iso_dicom_code *iso_dicom_species_code(const char *name);
const iso_dicom_code *iso_dicom_route_code(const char *name);
const iso_dicom_code *iso_dicom_position_code(const char *name);

#endif
