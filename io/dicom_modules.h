/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Values in the forms that DICOM has for them, and the modules that all objects of a study share, whatever they hold. */
#ifndef ISOTRACE_IO_DICOM_MODULES_H
#define ISOTRACE_IO_DICOM_MODULES_H

#include "io/dicom/dicom_file.h"
#include "isotrace/dicom.h"

/* A decimal string of at most 16 characters, the VR DS. */
void iso_dicom_decimal(double value, char text[17]);

/* At most `most` characters; what DICOM's texts may not hold is replaced. */
void iso_dicom_put_text(iso_dcm *dcm, uint32_t tag, const char *text, size_t most);
void iso_dicom_put_decimal(iso_dcm *dcm, uint32_t tag, double value);
/* A sequence of one coded term. */
void iso_dicom_put_code(iso_dcm *dcm, uint32_t sequence, const char *value, const char *scheme, const char *meaning);

/* Can it be written? ISO_BAD_INPUT says what not. */
iso_status iso_dicom_check_subject(const iso_dicom_subject *subject, iso_error *err);
iso_status iso_dicom_check_dose(const iso_dicom_dose *dose, iso_error *err);

/* Patient, Patient Study and animals' elements. body_mass_g NAN: not known. */
void iso_dicom_put_patient(iso_dcm *dcm, const iso_dicom_subject *subject, double body_mass_g);
/* utc_s: the study's date and time. */
void iso_dicom_put_study(iso_dcm *dcm, const iso_dicom_subject *subject, const char *study_uid, double utc_s);
/* "" = not known. */
void iso_dicom_put_equipment(iso_dcm *dcm, const iso_dicom_subject *subject, const char *scanner_name,
			     const char *software);

#endif
