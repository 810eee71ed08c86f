/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A volume from DICOM of another program, whatever kind it is. */
#include "io/dicom_in.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_stack.h"

iso_dicom_in_options iso_dicom_in_options_default(void)
{
	return (iso_dicom_in_options){.zone_s = (double)NAN, .decay_reference_utc_s = (double)NAN};
}

/* The one series that is a volume, or the one that was asked for. */
static iso_status choose(const iso_dicom_folder *folder, const char *path, const char *uid, iso_dicom_in_facts *facts,
			 const iso_dicom_series **out, iso_error *err)
{
	size_t found = 0, used = 0;
	char list[320] = "";
	for (size_t n = 0; n < folder->count; n++) {
		const iso_dicom_series *s = folder->series + n;
		if (s->use != ISO_DICOM_PET && s->use != ISO_DICOM_NM_IMAGE) continue;
		if (uid && strcmp(uid, s->series_uid) != 0) continue;
		*out = s;
		found++;
		if (used < sizeof list)
			used += (size_t)snprintf(list + used, sizeof list - used, "%s%s '%.40s' (%s, %zu files)",
						 found > 1 ? ", " : "", s->series_uid, s->description, s->modality,
						 s->files);
	}
	if (!found)
		return iso_fail(
		    err, ISO_BAD_INPUT, path, "see with isotrace info what is there",
		    "there is no PET or reconstructed NM image%s%s here: %zu other series, %zu files are no "
		    "DICOM, %zu are damaged",
		    uid ? " of series " : "", uid ? uid : "", folder->count, folder->no_dicom, folder->damaged);
	if (found > 1)
		return iso_fail(err, ISO_BAD_INPUT, path, "choose one with --series UID", "%zu series with images: %s",
				found, list);
	if (folder->damaged)
		return iso_fail(
		    err, ISO_BAD_INPUT, folder->first_damaged, "copy the file again from where it came",
		    "a damaged or truncated DICOM file: %zu of them are here, and they may belong to the series",
		    folder->damaged);
	if (folder->patients > 1)
		iso_dicom_warn(facts, "files of %u patients are here; those of the series are one patient's",
			       folder->patients);
	return ISO_OK;
}

iso_status iso_dicom_read_volume(const char *path, const iso_dicom_in_options *options, const iso_progress *progress,
				 iso_volume **out, iso_dicom_in_facts *facts, iso_error *err)
{
	const iso_dicom_in_options standard = iso_dicom_in_options_default();
	iso_dicom_in_facts own;
	iso_dicom_folder *folder = NULL;
	const iso_dicom_series *series = NULL;
	*out = NULL;
	if (!options) options = &standard;
	if (!facts) facts = &own;
	memset(facts, 0, sizeof *facts);
	iso_stack_source(path, facts->source, sizeof facts->source);
	iso_status status = iso_dicom_look(path, &folder, err);
	if (status == ISO_OK) status = choose(folder, path, options->series_uid, facts, &series, err);
	if (status == ISO_OK) {
		iso_dicom_in_options chosen = *options;
		chosen.series_uid = series->series_uid;
		status = series->use == ISO_DICOM_PET ? iso_dicom_read_pet(path, &chosen, progress, out, facts, err)
						      : iso_dicom_read_nm(series->first_file, &chosen, out, facts, err);
	}
	iso_dicom_folder_free(folder);
	if (status != ISO_OK) {
		iso_volume_free(*out);
		*out = NULL;
	}
	return status;
}
