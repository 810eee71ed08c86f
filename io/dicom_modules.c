/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/dicom_modules.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "io/dicom_codes.h"
#include "isotrace/time.h"

void iso_dicom_decimal(double value, char text[17])
{
	char wide[40];
	for (int digits = 10; digits > 0; digits--) {
		iso_snprintf(wide, sizeof wide, "%.*g", digits, value);
		if (strlen(wide) <= 16) break;
	}
	snprintf(text, 17, "%.16s", wide);
}

/* Text as DICOM allows it in most VRs: at most `most` characters (not bytes) of UTF-8, no backslash (which parts values)
 * and no control characters. */
void iso_dicom_put_text(iso_dcm *dcm, uint32_t tag, const char *text, size_t most)
{
	char clean[1024];
	size_t used = 0, characters = 0;
	for (; *text && used + 1 < sizeof clean; text++) {
		const unsigned char c = (unsigned char)*text;
		if ((c & 0xc0) != 0x80 && characters++ == most) break;
		clean[used++] = c < 0x20 || c == 0x7f ? ' ' : c == '\\' ? '/' : (char)c;
	}
	clean[used] = '\0';
	iso_dcm_text(dcm, tag, clean);
}

void iso_dicom_put_decimal(iso_dcm *dcm, uint32_t tag, double value)
{
	char text[17];
	iso_dicom_decimal(value, text);
	iso_dcm_text(dcm, tag, text);
}

void iso_dicom_put_code(iso_dcm *dcm, uint32_t sequence, const char *value, const char *scheme, const char *meaning)
{
	iso_dcm_begin(dcm, sequence);
	iso_dcm_text(dcm, 0x00080100, value);
	iso_dcm_text(dcm, 0x00080102, scheme);
	iso_dcm_text(dcm, 0x00080104, meaning);
	iso_dcm_end(dcm);
}

/* All of the animal's tags must be there as soon as one is (type 2: empty where not stated). */
static void put_animal(iso_dcm *dcm, const iso_dicom_subject *subject)
{
	const iso_dicom_code *species = subject->species[0] ? iso_dicom_species_code(subject->species) : NULL;
	if (!species || strcmp(species->name, "human") == 0) return;
	iso_dcm_text(dcm, 0x00102201, species->meaning);
	iso_dicom_put_code(dcm, 0x00102202, species->value, species->scheme, species->meaning);
	iso_dcm_text(dcm, 0x00102203, ""); /* neutered: not stated */
	iso_dicom_put_text(dcm, 0x00102292, subject->strain, 64);
	iso_dcm_empty_sequence(dcm, 0x00102293);
	iso_dcm_empty_sequence(dcm, 0x00102294);
	iso_dicom_put_text(dcm, 0x00102297, subject->responsible_person, 64);
	iso_dicom_put_text(dcm, 0x00102299, subject->responsible_organisation, 64);
	if (subject->strain[0]) iso_dicom_put_text(dcm, 0x00100212, subject->strain, 64);
}

iso_dicom_subject iso_dicom_subject_unknown(void)
{
	iso_dicom_subject subject;
	memset(&subject, 0, sizeof subject);
	return subject;
}

/* DA as DICOM has it, or nothing. */
static bool is_date(const char *text)
{
	return text[0] == '\0' || (strlen(text) == 8 && strspn(text, "0123456789") == 8);
}

iso_status iso_dicom_check_subject(const iso_dicom_subject *subject, iso_error *err)
{
	if (!subject->patient_id[0])
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --patient-id", "the subject has no patient ID");
	if (subject->sex[0] && !strchr("MFO", subject->sex[0]))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give M, F or O", "the sex '%s' is not known to DICOM",
				subject->sex);
	if (!is_date(subject->birth_date))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "write YYYYMMDD", "'%s' is no date of birth",
				subject->birth_date);
	if (subject->species[0] && !iso_dicom_species_code(subject->species))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give one of mouse, rat, rabbit, guinea pig, dog, pig, human",
				"the species '%s' has no code here", subject->species);
	if (strspn(subject->body_part, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ") != strlen(subject->body_part))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "write it as DICOM does, as in WHOLEBODY",
				"the body part '%s' is not in capitals", subject->body_part);
	if (subject->position[0] && !iso_dicom_position_code(subject->position))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give prone or supine", "the position '%s' is not known",
				subject->position);
	return ISO_OK;
}

iso_status iso_dicom_check_dose(const iso_dicom_dose *dose, iso_error *err)
{
	if (!(dose->injected_bq > 0) || !isfinite(dose->injected_bq) || !isfinite(dose->injection_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state the injected activity and when it was injected",
				"the injected activity is %g Bq, or its time is not known", dose->injected_bq);
	if (!isnan(dose->body_mass_g) && !(dose->body_mass_g > 0 && isfinite(dose->body_mass_g)))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state the body mass in g", "the body mass is %g g",
				dose->body_mass_g);
	return ISO_OK;
}

void iso_dicom_put_patient(iso_dcm *dcm, const iso_dicom_subject *subject, double body_mass_g)
{
	iso_dicom_put_text(dcm, 0x00100010, subject->patient_name[0] ? subject->patient_name : subject->patient_id, 64);
	iso_dicom_put_text(dcm, 0x00100020, subject->patient_id, 64);
	iso_dcm_text(dcm, 0x00100030, subject->birth_date);
	iso_dcm_text(dcm, 0x00100040, subject->sex);
	put_animal(dcm, subject);
	if (isfinite(body_mass_g)) iso_dicom_put_decimal(dcm, 0x00101030, body_mass_g / 1000);
}

void iso_dicom_put_study(iso_dcm *dcm, const iso_dicom_subject *subject, const char *study_uid, double utc_s)
{
	char date[9], time[14];
	iso_time_dicom(utc_s, date, time);
	iso_dcm_text(dcm, 0x0020000d, study_uid);
	iso_dcm_text(dcm, 0x00080020, date);
	iso_dcm_text(dcm, 0x00080030, time);
	iso_dcm_text(dcm, 0x00080090, ""); /* referring physician */
	iso_dicom_put_text(dcm, 0x00200010, subject->study_id, 16);
	iso_dicom_put_text(dcm, 0x00080050, subject->accession_number, 16);
	if (subject->study_description[0]) iso_dicom_put_text(dcm, 0x00081030, subject->study_description, 64);
}

void iso_dicom_put_equipment(iso_dcm *dcm, const iso_dicom_subject *subject, const char *scanner_name,
			     const char *software)
{
	iso_dicom_put_text(dcm, 0x00080070, subject->manufacturer, 64);
	if (subject->institution[0]) iso_dicom_put_text(dcm, 0x00080080, subject->institution, 64);
	if (scanner_name[0]) iso_dicom_put_text(dcm, 0x00081090, scanner_name, 64);
	if (software[0]) iso_dicom_put_text(dcm, 0x00181020, software, 64);
}
