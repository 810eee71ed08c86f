/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tags that all images of a PET series share, module by module as in DICOM PS3.3 A.21. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/dicom_codes.h"
#include "io/dicom_pet.h"
#include "isotrace/time.h"

/* Text as DICOM allows it in most VRs: at most `most` characters (not bytes) of UTF-8, no backslash (which parts values)
 * and no control characters. */
static void put_text(iso_dcm *dcm, uint32_t tag, const char *text, size_t most)
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

static void put_decimal(iso_dcm *dcm, uint32_t tag, double value)
{
	char text[17];
	iso_dicom_decimal(value, text);
	iso_dcm_text(dcm, tag, text);
}

static void put_code(iso_dcm *dcm, uint32_t sequence, const char *value, const char *scheme, const char *meaning)
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
	put_code(dcm, 0x00102202, species->value, species->scheme, species->meaning);
	iso_dcm_text(dcm, 0x00102203, ""); /* neutered: not stated */
	put_text(dcm, 0x00102292, subject->strain, 64);
	iso_dcm_empty_sequence(dcm, 0x00102293);
	iso_dcm_empty_sequence(dcm, 0x00102294);
	put_text(dcm, 0x00102297, subject->responsible_person, 64);
	put_text(dcm, 0x00102299, subject->responsible_organisation, 64);
	if (subject->strain[0]) put_text(dcm, 0x00100212, subject->strain, 64);
}

static void put_patient(iso_dcm *dcm, const iso_pet_series *s)
{
	const iso_dicom_subject *subject = s->subject;
	put_text(dcm, 0x00100010, subject->patient_name[0] ? subject->patient_name : subject->patient_id, 64);
	put_text(dcm, 0x00100020, subject->patient_id, 64);
	iso_dcm_text(dcm, 0x00100030, subject->birth_date);
	iso_dcm_text(dcm, 0x00100040, subject->sex);
	put_animal(dcm, subject);
	if (s->dose && isfinite(s->dose->body_mass_g)) put_decimal(dcm, 0x00101030, s->dose->body_mass_g / 1000);
}

static void put_study(iso_dcm *dcm, const iso_pet_series *s)
{
	const iso_dicom_subject *subject = s->subject;
	/* Scans that share a study by its key share its date, too: that of the injection which they follow. */
	const bool injection = subject->study_key[0] && s->dose;
	char date[9], time[14];
	iso_time_dicom(injection ? s->dose->injection_utc_s : s->volume->acquisition.start_utc_s, date, time);
	iso_dcm_text(dcm, 0x0020000d, s->study_uid);
	iso_dcm_text(dcm, 0x00080020, date);
	iso_dcm_text(dcm, 0x00080030, time);
	iso_dcm_text(dcm, 0x00080090, ""); /* referring physician */
	put_text(dcm, 0x00200010, subject->study_id, 16);
	put_text(dcm, 0x00080050, subject->accession_number, 16);
	if (subject->study_description[0]) put_text(dcm, 0x00081030, subject->study_description, 64);
}

/* "RAN\ATTN\DECY": what the corrections' texts say was done. */
static void put_corrected(iso_dcm *dcm, const iso_corrections *c)
{
	const struct {
		const char *text, *term;
	} terms[] = {{c->normalisation, "NORM"}, {c->dead_time, "DTIM"}, {c->randoms, "RAN"},
		     {c->attenuation, "ATTN"},   {c->scatter, "SCAT"},   {"by definition", "DECY"},
		     {c->calibration, "DCAL"}};
	char all[64] = "";
	size_t used = 0;
	for (size_t t = 0; t < sizeof terms / sizeof *terms; t++)
		if (terms[t].text[0])
			used +=
			    (size_t)snprintf(all + used, sizeof all - used, "%s%s", used ? "\\" : "", terms[t].term);
	iso_dcm_text(dcm, 0x00280051, all);
	if (!c->randoms[0] || strcasestr(c->randoms, "delayed"))
		iso_dcm_text(dcm, 0x00541100, c->randoms[0] ? "DLYD" : "NONE");
	else if (strcasestr(c->randoms, "singles"))
		iso_dcm_text(dcm, 0x00541100, "SING");
	put_text(dcm, 0x00541101, c->attenuation[0] ? c->attenuation : "not corrected", 64);
	put_text(dcm, 0x00541105, c->scatter[0] ? c->scatter : "not corrected", 64);
	const struct {
		const char *name, *text;
	} said[] = {{"randoms", c->randoms},
		    {"attenuation", c->attenuation},
		    {"scatter", c->scatter},
		    {"normalisation", c->normalisation},
		    {"dead time", c->dead_time},
		    {"decay", c->decay},
		    {"branching", c->branching},
		    {"calibration", c->calibration},
		    {"resolution model", c->resolution},
		    {"post-filter", c->post_filter}};
	char comment[1024] = "";
	used = 0;
	for (size_t i = 0; i < sizeof said / sizeof *said && used + 140 < sizeof comment; i++)
		used += (size_t)snprintf(comment + used, sizeof comment - used, "%s%s: %s", used ? "; " : "",
					 said[i].name, said[i].text[0] ? said[i].text : "none");
	put_text(dcm, 0x00204000, comment, 1000);
}

static void put_series(iso_dcm *dcm, const iso_pet_series *s)
{
	const iso_volume *v = s->volume;
	const iso_reconstruction_facts *facts = &v->facts;
	char date[9], time[14], text[160], passes[32] = "";
	iso_time_dicom(v->acquisition.start_utc_s, date, time);
	if (facts->iterations) snprintf(passes, sizeof passes, " %ui%us", facts->iterations, facts->subsets);
	iso_dcm_text(dcm, 0x00080060, "PT");
	iso_dcm_text(dcm, 0x0020000e, s->series_uid);
	snprintf(text, sizeof text, "%u", s->subject->series_number ? s->subject->series_number : 1);
	iso_dcm_text(dcm, 0x00200011, text);
	snprintf(text, sizeof text, "PET %s %s%s", s->nuclide->name, facts->method, passes);
	put_text(dcm, 0x0008103e, s->subject->series_description[0] ? s->subject->series_description : text, 64);
	if (s->subject->body_part[0])
		put_text(dcm, 0x00180015, s->subject->body_part, 16);
	else
		iso_dcm_text(dcm, 0x00200060, ""); /* one of both must be there: laterality, not known */
	/* The series' date and time are the moment to which the decay is corrected. */
	iso_dcm_text(dcm, 0x00080021, date);
	iso_dcm_text(dcm, 0x00080031, time);
	iso_dcm_text(dcm, 0x00541000, v->frames > 1 ? "DYNAMIC\\IMAGE" : "STATIC\\IMAGE");
	iso_dcm_us(dcm, 0x00540081, (uint16_t)v->grid.size[2]);
	if (v->frames > 1) iso_dcm_us(dcm, 0x00540101, (uint16_t)v->frames);
	iso_dcm_text(dcm, 0x00541001, "BQML");
	iso_dcm_text(dcm, 0x00541002, "EMISSION");
	iso_dcm_text(dcm, 0x00541102, "START");
	iso_dcm_text(dcm, 0x00181181, "NONE"); /* collimator */
	snprintf(text, sizeof text, "%s%s", facts->method, passes);
	put_text(dcm, 0x00541103, text, 64);
	put_corrected(dcm, &v->corrections);
}

static void put_isotope(iso_dcm *dcm, const iso_pet_series *s)
{
	const iso_dicom_dose *dose = s->dose;
	const char *tracer = dose && dose->tracer[0] ? dose->tracer : s->volume->acquisition.tracer;
	iso_dcm_begin(dcm, 0x00540016);
	put_code(dcm, 0x00540300, s->nuclide->dicom_code, s->nuclide->dicom_scheme, s->nuclide->dicom_meaning);
	put_decimal(dcm, 0x00181075, s->half_life_s);
	put_decimal(dcm, 0x00181076, s->nuclide->branching_fraction);
	if (tracer[0]) put_text(dcm, 0x00180031, tracer, 64);
	if (dose) {
		char date[9], time[14], both[32];
		iso_time_dicom(dose->injection_utc_s, date, time);
		snprintf(both, sizeof both, "%s%s", date, time); /* its zone is that of (0008,0201) */
		iso_dcm_text(dcm, 0x00181072, time);
		iso_dcm_text(dcm, 0x00181078, both);
		put_decimal(dcm, 0x00181074, dose->injected_bq);
		const iso_dicom_code *route = dose->route[0] ? iso_dicom_route_code(dose->route) : NULL;
		if (dose->route[0]) put_text(dcm, 0x00181070, route ? route->meaning : dose->route, 64);
		if (route) put_code(dcm, 0x00540302, route->value, route->scheme, route->meaning);
	}
	iso_dcm_end(dcm);
}

static void put_orientation(iso_dcm *dcm, const iso_dicom_subject *subject)
{
	const iso_dicom_code *position = subject->position[0] ? iso_dicom_position_code(subject->position) : NULL;
	if (position) {
		iso_dcm_begin(dcm, 0x00540410);
		iso_dcm_text(dcm, 0x00080100, "102538003");
		iso_dcm_text(dcm, 0x00080102, "SCT");
		iso_dcm_text(dcm, 0x00080104, "recumbent");
		put_code(dcm, 0x00540412, position->value, position->scheme, position->meaning);
		iso_dcm_end(dcm);
	} else
		iso_dcm_empty_sequence(dcm, 0x00540410);
	iso_dcm_empty_sequence(dcm, 0x00540414); /* which end went in first is not known */
}

static void put_plane(iso_dcm *dcm, const iso_pet_series *s)
{
	const iso_grid *grid = &s->volume->grid;
	char text[6 * 17], part[6][17];
	iso_dicom_decimal(grid->voxel_mm[1], part[0]); /* row spacing comes first */
	iso_dicom_decimal(grid->voxel_mm[0], part[1]);
	snprintf(text, sizeof text, "%s\\%s", part[0], part[1]);
	iso_dcm_text(dcm, 0x00280030, text);
	for (int i = 0; i < 6; i++) iso_dicom_decimal(grid->direction[i / 3][i % 3], part[i]);
	snprintf(text, sizeof text, "%s\\%s\\%s\\%s\\%s\\%s", part[0], part[1], part[2], part[3], part[4], part[5]);
	iso_dcm_text(dcm, 0x00200037, text);
	put_decimal(dcm, 0x00180050, grid->voxel_mm[2]);
	iso_dcm_us(dcm, 0x00280002, 1);
	iso_dcm_text(dcm, 0x00280004, "MONOCHROME2");
	iso_dcm_us(dcm, 0x00280010, (uint16_t)grid->size[1]);
	iso_dcm_us(dcm, 0x00280011, (uint16_t)grid->size[0]);
	iso_dcm_us(dcm, 0x00280100, 16);
	iso_dcm_us(dcm, 0x00280101, 16);
	iso_dcm_us(dcm, 0x00280102, 15);
	iso_dcm_us(dcm, 0x00280103, 1);
	iso_dcm_text(dcm, 0x00281052, "0");
	iso_dcm_text(dcm, 0x00282110, "00");
	if (s->maximum >= 1) { /* one window for the whole series, in Bq/mL */
		put_decimal(dcm, 0x00281050, s->maximum / 2);
		put_decimal(dcm, 0x00281051, s->maximum);
	}
}

void iso_pet_series_tags(iso_dcm *dcm, const iso_pet_series *s)
{
	iso_dcm_text(dcm, 0x00080005, "ISO_IR 192");
	iso_dcm_text(dcm, 0x00080008, "ORIGINAL\\PRIMARY");
	iso_dcm_text(dcm, 0x00080016, "1.2.840.10008.5.1.4.1.1.128");
	iso_dcm_text(dcm, 0x00080201, "+0000"); /* all dates and times are UTC */
	put_patient(dcm, s);
	put_study(dcm, s);
	put_series(dcm, s);
	put_isotope(dcm, s);
	put_orientation(dcm, s->subject);
	iso_dcm_text(dcm, 0x00200052, s->frame_of_reference_uid);
	iso_dcm_text(dcm, 0x00201040, "");
	put_text(dcm, 0x00080070, s->subject->manufacturer, 64);
	if (s->subject->institution[0]) put_text(dcm, 0x00080080, s->subject->institution, 64);
	if (s->volume->acquisition.scanner_name[0]) put_text(dcm, 0x00081090, s->volume->acquisition.scanner_name, 64);
	if (s->volume->facts.software[0]) put_text(dcm, 0x00181020, s->volume->facts.software, 64);
	put_plane(dcm, s);
}
