/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tags that all images of a PET series share as in DICOM PS3.3 A.21. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/dicom_codes.h"
#include "io/dicom_modules.h"
#include "io/dicom_pet.h"
#include "isotrace/time.h"

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
	iso_dicom_put_text(dcm, 0x00541101, c->attenuation[0] ? c->attenuation : "not corrected", 64);
	iso_dicom_put_text(dcm, 0x00541105, c->scatter[0] ? c->scatter : "not corrected", 64);
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
	iso_dicom_put_text(dcm, 0x00204000, comment, 1000);
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
	iso_dicom_put_text(dcm, 0x0008103e, s->subject->series_description[0] ? s->subject->series_description : text,
			   64);
	if (s->subject->body_part[0])
		iso_dicom_put_text(dcm, 0x00180015, s->subject->body_part, 16);
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
	iso_dicom_put_text(dcm, 0x00541103, text, 64);
	put_corrected(dcm, &v->corrections);
}

static void put_isotope(iso_dcm *dcm, const iso_pet_series *s)
{
	const iso_dicom_dose *dose = s->dose;
	const char *tracer = dose && dose->tracer[0] ? dose->tracer : s->volume->acquisition.tracer;
	iso_dcm_begin(dcm, 0x00540016);
	iso_dicom_put_code(dcm, 0x00540300, s->nuclide->dicom_code, s->nuclide->dicom_scheme,
			   s->nuclide->dicom_meaning);
	iso_dicom_put_decimal(dcm, 0x00181075, s->half_life_s);
	iso_dicom_put_decimal(dcm, 0x00181076, s->nuclide->branching_fraction);
	if (tracer[0]) iso_dicom_put_text(dcm, 0x00180031, tracer, 64);
	if (dose) {
		char date[9], time[14], both[32];
		iso_time_dicom(dose->injection_utc_s, date, time);
		snprintf(both, sizeof both, "%s%s", date, time); /* its zone is that of (0008,0201) */
		iso_dcm_text(dcm, 0x00181072, time);
		iso_dcm_text(dcm, 0x00181078, both);
		iso_dicom_put_decimal(dcm, 0x00181074, dose->injected_bq);
		const iso_dicom_code *route = dose->route[0] ? iso_dicom_route_code(dose->route) : NULL;
		if (dose->route[0]) iso_dicom_put_text(dcm, 0x00181070, route ? route->meaning : dose->route, 64);
		if (route) iso_dicom_put_code(dcm, 0x00540302, route->value, route->scheme, route->meaning);
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
		iso_dicom_put_code(dcm, 0x00540412, position->value, position->scheme, position->meaning);
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
	iso_dicom_put_decimal(dcm, 0x00180050, grid->voxel_mm[2]);
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
		iso_dicom_put_decimal(dcm, 0x00281050, s->maximum / 2);
		iso_dicom_put_decimal(dcm, 0x00281051, s->maximum);
	}
}

void iso_pet_series_tags(iso_dcm *dcm, const iso_pet_series *s)
{
	iso_dcm_text(dcm, 0x00080005, "ISO_IR 192");
	iso_dcm_text(dcm, 0x00080008, "ORIGINAL\\PRIMARY");
	iso_dcm_text(dcm, 0x00080016, "1.2.840.10008.5.1.4.1.1.128");
	iso_dcm_text(dcm, 0x00080201, "+0000"); /* all dates and times are UTC */
	iso_dicom_put_patient(dcm, s->subject, s->dose ? s->dose->body_mass_g : (double)NAN);
	/* Scans that share a study by its key share its date, too: that of the injection which they follow. */
	iso_dicom_put_study(dcm, s->subject, s->study_uid,
			    s->subject->study_key[0] && s->dose ? s->dose->injection_utc_s
								: s->volume->acquisition.start_utc_s);
	put_series(dcm, s);
	put_isotope(dcm, s);
	put_orientation(dcm, s->subject);
	iso_dcm_text(dcm, 0x00200052, s->frame_of_reference_uid);
	iso_dcm_text(dcm, 0x00201040, "");
	iso_dicom_put_equipment(dcm, s->subject, s->volume->acquisition.scanner_name, s->volume->facts.software);
	put_plane(dcm, s);
}
