/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/dicom_identity.h"

#include <stdbool.h>
#include <stdio.h>

void iso_dicom_uid(const char hex[65], char uid[65])
{
	unsigned char bytes[16];
	for (int i = 0; i < 16; i++) {
		unsigned value = 0;
		(void)sscanf(hex + 2 * i, "%2x", &value);
		bytes[i] = (unsigned char)value;
	}
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x80); /* a UUID of version 8: bits of the maker's own */
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	char digits[40];
	int at = sizeof digits - 1;
	digits[at] = '\0';
	for (bool more = true; more;) { /* long division by 10 */
		unsigned rest = 0;
		more = false;
		for (int i = 0; i < 16; i++) {
			const unsigned part = rest * 256 + bytes[i];
			bytes[i] = (unsigned char)(part / 10);
			rest = part % 10;
			more = more || bytes[i];
		}
		digits[--at] = (char)('0' + rest);
	}
	snprintf(uid, 65, "2.25.%s", digits + at);
}

void iso_dicom_uid_begin(iso_hash *hash, const char *kind)
{
	iso_hash_begin(hash);
	iso_hash_text(hash, "isotrace DICOM 1");
	iso_hash_text(hash, kind);
}

void iso_dicom_uid_end(iso_hash *hash, char uid[65])
{
	char hex[65];
	iso_hash_end(hash, hex);
	iso_dicom_uid(hex, uid);
}

void iso_dicom_study_uid(const iso_dicom_subject *subject, const iso_acquisition *acquisition, char uid[65])
{
	iso_hash hash;
	iso_dicom_uid_begin(&hash, "study");
	if (subject->study_key[0])
		iso_hash_text(&hash, subject->study_key);
	else {
		iso_hash_text(&hash, subject->patient_id);
		iso_hash_double(&hash, acquisition->start_utc_s);
	}
	iso_dicom_uid_end(&hash, uid);
}

void iso_dicom_frame_of_reference_uid(const iso_dicom_subject *subject, const iso_acquisition *acquisition,
				      char uid[65])
{
	iso_hash hash;
	iso_dicom_uid_begin(&hash, "frame of reference");
	iso_hash_text(&hash, subject->patient_id);
	iso_hash_text(&hash, acquisition->scanner_name);
	iso_hash_double(&hash, acquisition->start_utc_s);
	iso_dicom_uid_end(&hash, uid);
}

void iso_dicom_hash_subject(iso_hash *hash, const iso_dicom_subject *subject)
{
	const char *const texts[] = {subject->patient_id,
				     subject->patient_name,
				     subject->sex,
				     subject->birth_date,
				     subject->species,
				     subject->strain,
				     subject->responsible_person,
				     subject->responsible_organisation,
				     subject->study_description,
				     subject->study_id,
				     subject->accession_number,
				     subject->series_description,
				     subject->position,
				     subject->body_part,
				     subject->institution,
				     subject->manufacturer};
	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) iso_hash_text(hash, texts[t]);
	iso_hash_u64(hash, subject->series_number);
}

void iso_dicom_hash_corrections(iso_hash *hash, const iso_corrections *done)
{
	const char *const texts[] = {done->randoms,    done->attenuation, done->scatter,   done->normalisation,
				     done->dead_time,  done->decay,       done->branching, done->calibration,
				     done->resolution, done->post_filter};
	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) iso_hash_text(hash, texts[t]);
}

void iso_dicom_hash_dose(iso_hash *hash, const iso_dicom_dose *dose)
{
	iso_hash_double(hash, dose->injected_bq);
	iso_hash_double(hash, dose->injection_utc_s);
	iso_hash_double(hash, dose->body_mass_g);
	iso_hash_text(hash, dose->tracer);
	iso_hash_text(hash, dose->route);
}

void iso_dicom_hash_grid(iso_hash *hash, const iso_grid *grid)
{
	for (int a = 0; a < 3; a++) {
		iso_hash_u64(hash, grid->size[a]);
		iso_hash_double(hash, grid->voxel_mm[a]);
		iso_hash_double(hash, grid->origin_mm[a]);
		for (int k = 0; k < 3; k++) iso_hash_double(hash, grid->direction[a][k]);
	}
}
