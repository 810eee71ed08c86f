/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The biodistribution as a DICOM structured report: Enhanced SR with the template TID 1500 "Measurement Report" (PS3.16), one
 * measurement group (TID 1411 with a segmentation, TID 1501 without) per time and organ. docs/dicom.md lists the concepts. */
#include "io/dicom_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "io/dicom_codes.h"
#include "io/dicom_content.h"
#include "io/dicom_identity.h"
#include "io/dicom_modules.h"
#include "io/dicom_organ_codes.h"
#include "io/dicom_segmentation.h"
#include "isotrace/time.h"
#include "isotrace/version.h"

#define DCM(value, meaning)  ((iso_code){value, "DCM", meaning})
#define SCT(value, meaning)  ((iso_code){value, "SCT", meaning})
#define UCUM(value, meaning) ((iso_code){value, "UCUM", meaning})
#define OWN(value, meaning)  ((iso_code){value, ISO_DICOM_SCHEME, meaning})

#define METHOD               SCT("370129005", "Measurement Method")
#define DERIVATION           DCM("121401", "Derivation")
#define MEAN                 SCT("373098007", "Mean")
#define ONE                  UCUM("1", "no units")
#define PERCENT              UCUM("%", "percent")
#define PER_GRAM             UCUM("%/g", "percent per gram")

typedef struct report {
	const iso_image_series *images;
	const iso_biodistribution *table;
	const iso_object *segmentation; /* NULL = none */
} report;

/* --- who and what (TID 1001, 1004, 1007) --------------------------------------------------------------------------- */

static void put_observer(iso_dcm *dcm)
{
	iso_hash hash;
	char uid[65];
	iso_dicom_uid_begin(&hash, "device");
	iso_hash_text(&hash, "isotrace " ISO_VERSION);
	iso_dicom_uid_end(&hash, uid);
	iso_content_code(dcm, ISO_HAS_CONTEXT, DCM("121005", "Observer Type"), DCM("121007", "Device"));
	iso_content_uid(dcm, ISO_HAS_CONTEXT, DCM("121012", "Device Observer UID"), uid);
	iso_content_text(dcm, ISO_HAS_CONTEXT, DCM("121013", "Device Observer Name"), "isotrace");
	iso_content_text(dcm, ISO_HAS_CONTEXT, DCM("121014", "Device Observer Manufacturer"), "isotrace");
	iso_content_text(dcm, ISO_HAS_CONTEXT, DCM("121015", "Device Observer Model Name"), "isotrace " ISO_VERSION);
}

/* Names and numbers stand in the header alone, where de-identification finds them. */
static void put_subject(iso_dcm *dcm, const iso_dicom_subject *subject)
{
	static const struct {
		char sex;
		iso_code code;
	} sexes[] = {{'M', {"M", "DCM", "Male"}}, {'F', {"F", "DCM", "Female"}}, {'O', {"O", "DCM", "Other"}}};
	const iso_dicom_code *species = subject->species[0] ? iso_dicom_species_code(subject->species) : NULL;
	iso_content_code(dcm, ISO_HAS_CONTEXT, DCM("121024", "Subject Class"), DCM("121025", "Patient"));
	for (size_t s = 0; s < sizeof sexes / sizeof *sexes; s++)
		if (subject->sex[0] == sexes[s].sex)
			iso_content_code(dcm, ISO_HAS_CONTEXT, DCM("121032", "Subject Sex"), sexes[s].code);
	if (species)
		iso_content_code(dcm, ISO_HAS_CONTEXT, DCM("121034", "Subject Species"),
				 (iso_code){species->value, species->scheme, species->meaning});
}

static iso_code procedure_of(const iso_image_series *images)
{
	if (iso_image_is_spect(images)) return SCT("105371005", "Single photon emission computerized tomography");
	return strcmp(images->subject->body_part, "WHOLEBODY") == 0 ? (iso_code){"44139-4", "LN", "PET whole body"}
								    : SCT("82918005", "Positron emission tomography");
}

/* --- the images (TID 1600, 1602, 1604) ------------------------------------------------------------------------------ */

static void put_radiopharmaceutical(iso_dcm *dcm, const iso_image_series *images)
{
	const iso_nuclide *nuclide = images->nuclide;
	const iso_dicom_dose *dose = images->dose;
	iso_content_code(dcm, ISO_HAS_SOURCE, SCT("89457008", "Radionuclide"),
			 (iso_code){nuclide->dicom_code, nuclide->dicom_scheme, nuclide->dicom_meaning});
	iso_content_number(dcm, ISO_HAS_SOURCE, SCT("304283002", "Half-life of radiopharmaceutical"),
			   images->half_life_s, UCUM("s", "s"));
	if (!dose) return;
	const iso_dicom_code *route = dose->route[0] ? iso_dicom_route_code(dose->route) : NULL;
	iso_content_time(dcm, ISO_HAS_SOURCE, DCM("123003", "Radiopharmaceutical Start DateTime"),
			 dose->injection_utc_s);
	iso_content_number(dcm, ISO_HAS_SOURCE, DCM("123006", "Radionuclide Total Dose"), dose->injected_bq,
			   UCUM("Bq", "Bq"));
	if (route)
		iso_content_code(dcm, ISO_HAS_SOURCE, SCT("410675002", "Route of administration"),
				 (iso_code){route->value, route->scheme, route->meaning});
}

static void put_image_library(iso_dcm *dcm, const iso_image_series *images)
{
	iso_content_begin_container(dcm, DCM("111028", "Image Library"));
	iso_content_begin_container(dcm, DCM("126200", "Image Library Group"));
	iso_content_code(dcm, ISO_HAS_SOURCE, DCM("121139", "Modality"),
			 iso_image_is_spect(images) ? DCM("NM", "Nuclear Medicine")
						    : DCM("PT", "Positron emission tomography"));
	iso_content_uid(dcm, ISO_HAS_SOURCE, DCM("112227", "Frame of Reference UID"), images->frame_of_reference_uid);
	put_radiopharmaceutical(dcm, images);
	for (size_t i = 0; i < images->images; i++) {
		iso_content_begin_image(dcm, (iso_code){NULL, NULL, NULL});
		iso_dcm_begin(dcm, 0x00081199);
		iso_object_put_image(dcm, images, i);
		iso_dcm_end(dcm);
		iso_dcm_end(dcm);
	}
	iso_dcm_end(dcm);
	iso_dcm_end(dcm);
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */

/* What is not known is not written. An endless number has no place in DICOM: many degrees of freedom are none at all. */
static bool begin_number(iso_dcm *dcm, iso_code concept, double value, iso_code unit)
{
	if (!isfinite(value)) return false;
	iso_content_begin_number(dcm, ISO_CONTAINS, concept, value, unit);
	return true;
}

/* A measurement with up to two modifiers of its concept. */
static void put_number(iso_dcm *dcm, iso_code concept, double value, iso_code unit, const iso_code *method,
		       const iso_code *derivation)
{
	if (!begin_number(dcm, concept, value, unit)) return;
	if (method) iso_content_code(dcm, ISO_HAS_MODIFIER, METHOD, *method);
	if (derivation) iso_content_code(dcm, ISO_HAS_MODIFIER, DERIVATION, *derivation);
	iso_dcm_end(dcm);
}

static void put_percent_id_per_g(iso_dcm *dcm, const iso_uptake *row, const iso_code *corrected, const iso_code *mean)
{
	const double value = row->percent_id_per_g, low = row->percent_id_per_g_low, high = row->percent_id_per_g_high;
	if (begin_number(dcm, OWN("IT001", "Percent injected activity per gram"), value, PER_GRAM)) {
		iso_content_code(dcm, ISO_HAS_MODIFIER, METHOD, *corrected);
		iso_content_code(dcm, ISO_HAS_MODIFIER, DERIVATION, *mean);
		if (isfinite(low) && isfinite(high)) {
			iso_content_number(dcm, ISO_HAS_PROPERTY,
					   SCT("371886008", "+, range of upper measurement uncertainty"), high - value,
					   PER_GRAM);
			iso_content_number(dcm, ISO_HAS_PROPERTY,
					   SCT("371885007", "-, range of lower measurement uncertainty"), value - low,
					   PER_GRAM);
		}
		iso_dcm_end(dcm);
	}
	put_number(dcm, OWN("IT011", "Percent injected activity per gram, 95 % interval, low"), low, PER_GRAM, NULL,
		   NULL);
	put_number(dcm, OWN("IT012", "Percent injected activity per gram, 95 % interval, high"), high, PER_GRAM, NULL,
		   NULL);
	put_number(dcm, OWN("IT013", "Relative standard uncertainty of IT001"), row->u_total, ONE, NULL, NULL);
	put_number(dcm, OWN("IT015", "Degrees of freedom of IT013"), row->degrees_of_freedom, ONE, NULL, NULL);
}

static void put_uncertainties(iso_dcm *dcm, const iso_uptake *row)
{
	put_number(dcm, OWN("IT014", "Relative standard uncertainty of IT002"), row->u_total_percent_id, ONE, NULL,
		   NULL);
	put_number(dcm, OWN("IT018", "Relative standard uncertainty of Volume"), row->u_total_volume, ONE, NULL, NULL);
	put_number(dcm, OWN("IT019", "Relative standard uncertainty of Mass"), row->u_total_mass, ONE, NULL, NULL);
	put_number(dcm, OWN("IT020", "Relative standard uncertainty of IT006"), row->u_total_activity, ONE, NULL, NULL);
	put_number(dcm, OWN("IT021", "Relative standard uncertainty of IT003"), row->u_total_concentration, ONE, NULL,
		   NULL);
	put_number(dcm, OWN("IT022", "Relative standard uncertainty of SUVbw"), row->u_total_suv_bw, ONE, NULL, NULL);
}

static void put_numbers(iso_dcm *dcm, const iso_uptake *row)
{
	const iso_code corrected = OWN("IT100", "Decay-corrected to the injection"), mean = MEAN;
	const iso_code segmented = DCM("126030", "Sum of segmented voxel volumes");
	const iso_code mass =
	    strcmp(row->mass_source, "entered") == 0 ? OWN("IT101", "Weighed") : OWN("IT102", "Volume x density");
	const iso_code suv = DCM("126410", "SUV body weight calculation method");
	put_number(dcm, SCT("118565006", "Volume"), row->volume_ml, UCUM("ml", "milliliter"), &segmented, NULL);
	put_number(dcm, SCT("118538004", "Mass"), row->mass_g, UCUM("g", "gram"), &mass, NULL);
	put_number(dcm, OWN("IT006", "Activity"), row->activity_bq, UCUM("Bq", "Becquerel"), &corrected, NULL);
	put_number(dcm, OWN("IT003", "Activity concentration"), row->concentration_bq_per_ml,
		   UCUM("Bq/ml", "Becquerels/milliliter"), &corrected, &mean);
	put_number(dcm, OWN("IT002", "Percent injected activity"), row->percent_id, PERCENT, &corrected, NULL);
	put_percent_id_per_g(dcm, row, &corrected, &mean);
	put_number(dcm, DCM("126401", "SUVbw"), row->suv_bw,
		   UCUM("g/ml{SUVbw}", "Standardized Uptake Value body weight"), &suv, &mean);
	put_uncertainties(dcm, row);
}

/* --- groups ------------------------------------------------------------------------------------------------------------ */

static void begin_group(iso_dcm *dcm, const report *r, size_t frame, const char *what)
{
	char text[65];
	iso_content_begin_container(dcm, DCM("125007", "Measurement Group"));
	iso_content_text(dcm, ISO_HAS_CONTEXT, DCM("112039", "Tracking Identifier"), what);
	iso_object_tracking_uid(r->images, what, text);
	iso_content_uid(dcm, ISO_HAS_CONTEXT, DCM("112040", "Tracking Unique Identifier"), text);
	iso_snprintf(text, sizeof text, "%.9g h after injection", r->table->time_h[frame]);
	iso_content_text(dcm, ISO_HAS_CONTEXT, (iso_code){"C2348792", "UMLS", "Time Point"}, text);
}

static void put_organ(iso_dcm *dcm, const report *r, size_t frame, size_t organ)
{
	const iso_uptake *row = &r->table->row[frame * r->table->organs + organ];
	const iso_organ_code code = iso_organ_code_of(row->organ, (unsigned)organ);
	begin_group(dcm, r, frame, row->organ);
	iso_content_code(dcm, ISO_CONTAINS, DCM("121071", "Finding"), SCT("113343008", "Organ"));
	if (r->segmentation) {
		iso_content_begin_image(dcm, DCM("121191", "Referenced Segment"));
		iso_dcm_begin(dcm, 0x00081199);
		iso_dcm_text(dcm, 0x00081150, r->segmentation->sop_class);
		iso_dcm_text(dcm, 0x00081155, r->segmentation->uid);
		iso_dcm_us(dcm, 0x0062000b, (uint16_t)(organ + 1));
		iso_dcm_end(dcm);
		iso_dcm_end(dcm);
		iso_content_uid(dcm, ISO_CONTAINS, DCM("121232", "Source series for segmentation"),
				r->images->series_uid);
	}
	iso_content_begin_code(dcm, ISO_HAS_MODIFIER, SCT("363698007", "Finding Site"),
			       (iso_code){code.value, code.scheme, code.meaning});
	if (code.side)
		iso_content_code(dcm, ISO_HAS_MODIFIER, SCT("272741003", "Laterality"),
				 SCT(code.side, code.side_meaning));
	iso_dcm_end(dcm);
	put_number(dcm, OWN("IT005", "Time after injection"), r->table->time_h[frame], UCUM("h", "hour"), NULL, NULL);
	put_numbers(dcm, row);
	iso_dcm_end(dcm);
}

/* All that was found, which tells a reader whether dose, calibration and field of view fit together. */
static void put_mass_balance(iso_dcm *dcm, const report *r, size_t frame)
{
	const iso_biodistribution *t = r->table;
	begin_group(dcm, r, frame, "whole field of view");
	iso_content_code(dcm, ISO_HAS_MODIFIER, SCT("363698007", "Finding Site"), SCT("38266002", "Entire body"));
	put_number(dcm, OWN("IT005", "Time after injection"), t->time_h[frame], UCUM("h", "hour"), NULL, NULL);
	if (begin_number(dcm, OWN("IT010", "Mass balance, recovered injected activity"), t->recovered_percent_id[frame],
			 PERCENT)) {
		if (isfinite(t->recovered_uncertainty[frame]))
			iso_content_number(dcm, ISO_HAS_PROPERTY, OWN("IT016", "Standard uncertainty of the value"),
					   t->recovered_uncertainty[frame], PERCENT);
		iso_dcm_end(dcm);
	}
	put_number(dcm, OWN("IT017", "Mass balance, expected injected activity"), t->expected_percent_id, PERCENT, NULL,
		   NULL);
	iso_dcm_end(dcm);
}

/* --- the document ------------------------------------------------------------------------------------------------------- */

static void put_evidence(iso_dcm *dcm, const report *r)
{
	char uid[65];
	iso_dcm_begin(dcm, 0x0040a375);
	iso_dcm_text(dcm, 0x0020000d, r->images->study_uid);
	iso_dcm_begin(dcm, 0x00081115);
	iso_dcm_text(dcm, 0x0020000e, r->images->series_uid);
	for (size_t i = 0; i < r->images->images; i++) {
		iso_dcm_begin_next(dcm, 0x00081199);
		iso_object_put_image(dcm, r->images, i);
		iso_dcm_end(dcm);
	}
	iso_dcm_end(dcm);
	if (r->segmentation) {
		iso_dcm_begin_next(dcm, 0x00081115);
		iso_object_series_uid(r->segmentation, uid);
		iso_dcm_text(dcm, 0x0020000e, uid);
		iso_dcm_begin(dcm, 0x00081199);
		iso_dcm_text(dcm, 0x00081150, r->segmentation->sop_class);
		iso_dcm_text(dcm, 0x00081155, r->segmentation->uid);
		iso_dcm_end(dcm);
		iso_dcm_end(dcm);
	}
	iso_dcm_end(dcm);
}

/* What a reader must know before he believes the numbers: uncertainties that are not known, a mass balance that is off. */
static void put_warnings(iso_dcm *dcm, const iso_biodistribution *table)
{
	for (size_t w = 0; w < table->warning_count; w++)
		iso_content_text(dcm, ISO_CONTAINS, DCM("121106", "Comment"), table->warnings[w]);
}

static void put_content(iso_dcm *dcm, const report *r)
{
	const iso_dicom_subject *subject = r->images->subject;
	iso_content_root(dcm, DCM("126000", "Imaging Measurement Report"), "1500");
	iso_content_code(dcm, ISO_HAS_MODIFIER, DCM("121049", "Language of Content Item and Descendants"),
			 (iso_code){"eng", "RFC5646", "English"});
	put_observer(dcm);
	put_subject(dcm, subject);
	iso_content_code(dcm, ISO_HAS_MODIFIER, DCM("121058", "Procedure reported"), procedure_of(r->images));
	put_image_library(dcm, r->images);
	iso_content_begin_container(dcm, DCM("126010", "Imaging Measurements"));
	for (size_t f = 0; f < r->table->frames; f++) {
		for (size_t o = 0; o < r->table->organs; o++) put_organ(dcm, r, f, o);
		put_mass_balance(dcm, r, f);
	}
	iso_dcm_end(dcm);
	put_warnings(dcm, r->table);
}

static void make_uid(const report *r, char uid[65])
{
	const iso_biodistribution *t = r->table;
	iso_hash hash;
	iso_object_uid_begin(&hash, "report", r->images);
	iso_hash_text(&hash, r->segmentation ? r->segmentation->uid : "");
	for (size_t i = 0; i < t->frames * t->organs; i++) {
		const iso_uptake *row = &t->row[i];
		const double numbers[] = {
		    row->volume_ml,      row->mass_g,           row->activity_bq,          row->concentration_bq_per_ml,
		    row->percent_id,     row->percent_id_per_g, row->percent_id_per_g_low, row->percent_id_per_g_high,
		    row->suv_bw,         row->u_total,          row->u_total_percent_id,   row->degrees_of_freedom,
		    row->u_total_volume, row->u_total_mass,     row->u_total_activity,     row->u_total_concentration,
		    row->u_total_suv_bw};
		iso_hash_text(&hash, row->organ);
		iso_hash_text(&hash, row->mass_source);
		for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) iso_hash_double(&hash, numbers[n]);
	}
	for (size_t f = 0; f < t->frames; f++) {
		iso_hash_double(&hash, t->time_h[f]);
		iso_hash_double(&hash, t->recovered_percent_id[f]);
		iso_hash_double(&hash, t->recovered_uncertainty[f]);
	}
	iso_hash_double(&hash, t->expected_percent_id);
	for (size_t w = 0; w < t->warning_count; w++) iso_hash_text(&hash, t->warnings[w]);
	iso_dicom_uid_end(&hash, uid);
}

iso_status iso_dicom_write_report(const char *path, const char *shown, const iso_image_series *images,
				  const iso_biodistribution *table, const iso_object *segmentation, iso_error *err)
{
	const report r = {images, table, segmentation};
	iso_object object = {.sop_class = "1.2.840.10008.5.1.4.1.1.88.22", /* Enhanced SR */
			     .modality = "SR",
			     .title = "Uptake per organ",
			     .number = 200};
	iso_dcm *dcm = NULL;
	make_uid(&r, object.uid);
	iso_status status = iso_object_create(&dcm, images, &object, err);
	if (status != ISO_OK) return status;
	iso_object_put_scheme(dcm);
	iso_dcm_empty_sequence(dcm, 0x00081111);
	iso_dcm_empty_sequence(dcm, 0x0040a372);
	iso_dcm_text(dcm, 0x0040a491, "COMPLETE");
	iso_dcm_text(dcm, 0x0040a493, "UNVERIFIED");
	put_evidence(dcm, &r);
	put_content(dcm, &r);
	status = iso_dcm_save(dcm, path, shown, err);
	iso_dcm_free(dcm);
	return status;
}
