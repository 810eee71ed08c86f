/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The step that writes a scan's DICOM: the images, the organs as a segmentation, and the numbers as a structured report. */
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "isotrace/isotrace.h"
#include "study/internal.h"

bool iso_study_writes_dicom(const iso_job *job)
{
	return job->study->write_dicom;
}

/* Names of people and places decide whether the step is done again, but do not stand in the record: their digest does. The key of the
 * de-identification is told by what it makes of a fixed text. */
static iso_status describe_names(const iso_job *job, json_t *facts, iso_error *err)
{
	const iso_dicom_subject *shared = &job->study->dicom;
	char hex[65];
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_text(&hash, shared->responsible_person);
	iso_hash_text(&hash, shared->responsible_organisation);
	iso_hash_text(&hash, shared->institution);
	iso_hash_end(&hash, hex);
	ISO_TRY(iso_fact_text(facts, "names_sha256", hex, err));
	if (!job->study->deidentify[0]) return ISO_OK;
	static const char text[] = "isotrace run";
	iso_dicom_key key;
	ISO_TRY(iso_dicom_key_read(job->study->deidentify, &key, err));
	iso_hash_keyed(key.bytes, key.size, text, sizeof text, hex);
	hex[16] = '\0';
	return iso_fact_text(facts, "deidentify_key", hex, err);
}

static bool uses_organs(const iso_job *job)
{
	return job->study->segmentation || job->study->structured_report;
}

iso_status iso_study_describe_dicom(iso_job *job, json_t *facts, iso_error *err)
{
	const iso_dicom_subject *shared = &job->study->dicom;
	ISO_TRY(iso_job_describe_volume(job, facts, err));
	ISO_TRY(iso_job_describe_dose(job, facts, err));
	if (uses_organs(job)) {
		ISO_TRY(iso_fact_file(job, facts, "labels", job->row->labels, err));
		ISO_TRY(iso_fact_file(job, facts, "organs", job->study->organ_table, err));
	}
	ISO_TRY(iso_fact_whole(facts, "segmentation", job->study->segmentation, err));
	ISO_TRY(iso_fact_whole(facts, "structured_report", job->study->structured_report, err));
	ISO_TRY(iso_fact_text(facts, "subject", job->row->subject, err));
	ISO_TRY(iso_fact_text(facts, "sex", job->row->sex, err));
	ISO_TRY(iso_fact_text(facts, "species", shared->species, err));
	ISO_TRY(iso_fact_text(facts, "strain", shared->strain, err));
	ISO_TRY(iso_fact_text(facts, "study_name", job->study->name, err));
	ISO_TRY(iso_fact_text(facts, "study_description", shared->study_description, err));
	ISO_TRY(iso_fact_text(facts, "manufacturer", shared->manufacturer, err));
	ISO_TRY(iso_fact_text(facts, "position", shared->position, err));
	return describe_names(job, facts, err);
}

/* What the DICOM files need of the dose. */
static iso_status dicom_dose(const iso_job *job, iso_dicom_dose *out, iso_error *err)
{
	iso_dose dose;
	ISO_TRY(iso_job_read_dose(job, &dose, err));
	*out = (iso_dicom_dose){.injection_utc_s = dose.injection_utc_s, .body_mass_g = dose.body_mass_g};
	snprintf(out->tracer, sizeof out->tracer, "%s", dose.tracer);
	snprintf(out->route, sizeof out->route, "%s", dose.route);
	return iso_dose_injected_bq(&dose, job->nuclide, &out->injected_bq, err);
}

static void tell_organs(const iso_job *job, const iso_organs *organs)
{
	for (size_t o = 0; o < organs->count; o++)
		if (!iso_dicom_organ_is_coded(organs->organ[o].name))
			iso_study_tell(
			    job, "no public code for the organ '%s': other programs will know it by its name alone",
			    organs->organ[o].name);
}

iso_status iso_study_run_dicom(iso_job *job, const json_t *facts, iso_error *err)
{
	(void)facts;
	char path[PATH_MAX];
	iso_dicom_dose dose;
	iso_dicom_key key;
	iso_job_data data;
	iso_dicom_subject subject = job->study->dicom;
	/* All scans of one animal in one study of the PACS. */
	snprintf(subject.patient_id, sizeof subject.patient_id, "%s", job->row->subject);
	snprintf(subject.patient_name, sizeof subject.patient_name, "%s", job->row->subject);
	snprintf(subject.sex, sizeof subject.sex, "%s", job->row->sex);
	snprintf(subject.study_key, sizeof subject.study_key, "%.60s/%.60s", job->study->name, job->row->subject);
	if (!subject.study_description[0])
		snprintf(subject.study_description, sizeof subject.study_description, "%s", job->study->name);
	ISO_TRY(iso_path_join(job->folder, ISO_STUDY_DICOM, path, err));
	ISO_TRY(dicom_dose(job, &dose, err));
	if (job->study->deidentify[0]) ISO_TRY(iso_dicom_key_read(job->study->deidentify, &key, err));
	/* Quantified in this run, it was from the same files: it would be found again. Where that step was skipped it is: the table on the
	 * disk has nine digits. */
	const iso_biodistribution *known = job->study->structured_report ? job->result : NULL;
	ISO_TRY(iso_job_read(job, uses_organs(job), job->study->structured_report && !known, &data, err));
	const iso_dicom_objects objects = {.segmentation = job->study->segmentation,
					   .labels = data.labels,
					   .organs = data.organs,
					   .report = known ? known : data.result};
	const iso_dicom_options options = {.deidentify = job->study->deidentify[0] ? &key : NULL, .objects = &objects};
	if (data.organs) tell_organs(job, data.organs);
	const iso_status status = iso_dicom_write_images(path, data.volume, &dose, &subject, &options, NULL, err);
	iso_job_data_free(&data);
	return status;
}
