/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tags that PET and NM images of a series share. */
#include <math.h>
#include <stdio.h>

#include "io/dicom_codes.h"
#include "io/dicom_image.h"
#include "io/dicom_modules.h"
#include "isotrace/time.h"

/* Every correction in words, "none" where there was none. */
static void put_corrections_in_words(iso_dcm *dcm, const iso_corrections *c)
{
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
	size_t used = 0;
	for (size_t i = 0; i < sizeof said / sizeof *said && used + 140 < sizeof comment; i++)
		used += (size_t)snprintf(comment + used, sizeof comment - used, "%s%s: %s", used ? "; " : "",
					 said[i].name, said[i].text[0] ? said[i].text : "none");
	iso_dicom_put_text(dcm, 0x00204000, comment, 1000);
}

void iso_image_put_corrected(iso_dcm *dcm, const iso_image_correction *corrections, size_t count)
{
	char all[64] = "";
	size_t used = 0;
	for (size_t c = 0; c < count; c++)
		if (corrections[c].text[0])
			used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used ? "\\" : "",
						 corrections[c].term);
	iso_dcm_text(dcm, 0x00280051, all);
}

void iso_image_method_text(const iso_image_series *s, char text[160])
{
	const iso_reconstruction_facts *facts = &s->volume->facts;
	char passes[32] = "";
	if (facts->iterations) snprintf(passes, sizeof passes, " %ui%us", facts->iterations, facts->subsets);
	snprintf(text, 160, "%s%s", facts->method, passes);
}

static void put_series(iso_dcm *dcm, const iso_image_series *s)
{
	const iso_volume *v = s->volume;
	const char *stated = s->subject->series_description;
	char date[9], time[14], method[160], text[200];
	iso_time_dicom(v->acquisition.start_utc_s, date, time);
	iso_dcm_text(dcm, 0x0020000e, s->series_uid);
	snprintf(text, sizeof text, "%u", s->subject->series_number ? s->subject->series_number : 1);
	iso_dcm_text(dcm, 0x00200011, text);
	iso_image_method_text(s, method);
	snprintf(text, sizeof text, "%s %s %s", v->acquisition.modality == ISO_MODALITY_SPECT ? "SPECT" : "PET",
		 s->nuclide->name, method);
	iso_dicom_put_text(dcm, 0x0008103e, stated[0] ? stated : text, 64);
	/* The series' date and time are the moment to which the decay is corrected. */
	iso_dcm_text(dcm, 0x00080021, date);
	iso_dcm_text(dcm, 0x00080031, time);
	put_corrections_in_words(dcm, &v->corrections);
}

void iso_image_put_frame_start(iso_dcm *dcm, const iso_image_series *s, size_t f)
{
	char date[9], time[14], text[24];
	iso_time_dicom(s->volume->acquisition.start_utc_s + s->volume->frame[f].start_s, date, time);
	iso_dcm_text(dcm, 0x00080022, date);
	iso_dcm_text(dcm, 0x00080032, time);
	iso_dcm_text(dcm, 0x00080023, date);
	iso_dcm_text(dcm, 0x00080033, time);
	snprintf(text, sizeof text, "%zu", f + 1);
	iso_dcm_text(dcm, 0x00200012, text);
}

void iso_image_put_isotope(iso_dcm *dcm, const iso_image_series *s, double dose_unit_bq)
{
	const iso_dicom_dose *dose = s->dose;
	const char *tracer = dose && dose->tracer[0] ? dose->tracer : s->volume->acquisition.tracer;
	iso_dcm_begin(dcm, 0x00540016);
	iso_dicom_put_code(dcm, 0x00540300, s->nuclide->dicom_code, s->nuclide->dicom_scheme,
			   s->nuclide->dicom_meaning);
	iso_dicom_put_decimal(dcm, 0x00181075, s->half_life_s);
	if (s->volume->acquisition.modality != ISO_MODALITY_SPECT)
		iso_dicom_put_decimal(dcm, 0x00181076, s->nuclide->branching_fraction);
	if (tracer[0]) iso_dicom_put_text(dcm, 0x00180031, tracer, 64);
	if (dose) {
		char date[9], time[14], both[32];
		iso_time_dicom(dose->injection_utc_s, date, time);
		snprintf(both, sizeof both, "%s%s", date, time); /* its zone is that of (0008,0201) */
		iso_dcm_text(dcm, 0x00181072, time);
		iso_dcm_text(dcm, 0x00181078, both);
		iso_dicom_put_decimal(dcm, 0x00181074, dose->injected_bq / dose_unit_bq);
		const iso_dicom_code *route = dose->route[0] ? iso_dicom_route_code(dose->route) : NULL;
		if (dose->route[0]) iso_dicom_put_text(dcm, 0x00181070, route ? route->meaning : dose->route, 64);
		if (route) iso_dicom_put_code(dcm, 0x00540302, route->value, route->scheme, route->meaning);
	}
	iso_dcm_end(dcm);
}

static void put_patient_orientation(iso_dcm *dcm, const iso_dicom_subject *subject)
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

void iso_image_put_corner(iso_dcm *dcm, const iso_image_series *s, size_t slice)
{
	char text[3 * 17], part[3][17];
	double corner_mm[3];
	iso_grid_point_mm(&s->volume->grid, (const double[3]){0, 0, (double)slice}, corner_mm);
	for (int a = 0; a < 3; a++) iso_dicom_decimal(corner_mm[a], part[a]);
	snprintf(text, sizeof text, "%s\\%s\\%s", part[0], part[1], part[2]);
	iso_dcm_text(dcm, 0x00200032, text);
}

void iso_image_put_orientation(iso_dcm *dcm, const iso_image_series *s)
{
	char text[6 * 17], part[6][17];
	for (int i = 0; i < 6; i++) iso_dicom_decimal(s->volume->grid.direction[i / 3][i % 3], part[i]);
	snprintf(text, sizeof text, "%s\\%s\\%s\\%s\\%s\\%s", part[0], part[1], part[2], part[3], part[4], part[5]);
	iso_dcm_text(dcm, 0x00200037, text);
}

double iso_image_percent_per_gram(const iso_image_series *s)
{
	if (!s->dose) return (double)NAN;
	const double elapsed_s = s->volume->acquisition.start_utc_s - s->dose->injection_utc_s;
	return 100 / (s->dose->injected_bq * iso_decay_factor(s->half_life_s, elapsed_s));
}

void iso_image_put_mapping(iso_dcm *dcm, const iso_image_mapping *mapping, bool first)
{
	(first ? iso_dcm_begin : iso_dcm_begin_next)(dcm, 0x00409096);
	iso_dicom_put_text(dcm, 0x00283003, mapping->explanation, 64);
	iso_dcm_text(dcm, 0x00409210, mapping->label);
	if (mapping->is_signed) {
		iso_dcm_ss(dcm, 0x00409216, -32768);
		iso_dcm_ss(dcm, 0x00409211, 32767);
	} else {
		iso_dcm_us(dcm, 0x00409216, 0);
		iso_dcm_us(dcm, 0x00409211, 65535);
	}
	iso_dcm_fd(dcm, 0x00409224, mapping->intercept);
	iso_dcm_fd(dcm, 0x00409225, mapping->slope);
	iso_dicom_put_code(dcm, 0x004008ea, mapping->unit, "UCUM", mapping->unit_meaning);
	iso_dcm_end(dcm);
}

static void put_plane(iso_dcm *dcm, const iso_image_series *s)
{
	const iso_grid *grid = &s->volume->grid;
	char text[2 * 17], part[2][17];
	iso_dicom_decimal(grid->voxel_mm[1], part[0]); /* row spacing comes first */
	iso_dicom_decimal(grid->voxel_mm[0], part[1]);
	snprintf(text, sizeof text, "%s\\%s", part[0], part[1]);
	iso_dcm_text(dcm, 0x00280030, text);
	iso_dicom_put_decimal(dcm, 0x00180050, grid->voxel_mm[2]);
	iso_dcm_us(dcm, 0x00280002, 1);
	iso_dcm_text(dcm, 0x00280004, "MONOCHROME2");
	iso_dcm_us(dcm, 0x00280010, (uint16_t)grid->size[1]);
	iso_dcm_us(dcm, 0x00280011, (uint16_t)grid->size[0]);
	iso_dcm_us(dcm, 0x00280100, 16);
	iso_dcm_us(dcm, 0x00280101, 16);
	iso_dcm_text(dcm, 0x00282110, "00");
	if (s->maximum >= 1) { /* one window for the whole series, in Bq/mL */
		iso_dicom_put_decimal(dcm, 0x00281050, s->maximum / 2);
		iso_dicom_put_decimal(dcm, 0x00281051, s->maximum);
	}
}

void iso_image_put_context(iso_dcm *dcm, const iso_image_series *s)
{
	iso_dcm_text(dcm, 0x00080005, "ISO_IR 192");
	iso_dcm_text(dcm, 0x00080201, "+0000"); /* all dates and times are UTC */
	iso_dicom_put_patient(dcm, s->subject, s->dose ? s->dose->body_mass_g : (double)NAN);
	iso_dicom_put_study(dcm, s->subject, s->study_uid, iso_image_study_utc_s(s));
	if (s->subject->body_part[0])
		iso_dicom_put_text(dcm, 0x00180015, s->subject->body_part, 16);
	else
		iso_dcm_text(dcm, 0x00200060, ""); /* one of both must be there: laterality, not known */
	iso_dicom_put_equipment(dcm, s->subject, s->volume->acquisition.scanner_name, s->volume->facts.software);
}

void iso_image_series_tags(iso_dcm *dcm, const iso_image_series *s)
{
	iso_image_put_context(dcm, s);
	put_series(dcm, s);
	put_patient_orientation(dcm, s->subject);
	iso_dcm_text(dcm, 0x00200052, s->frame_of_reference_uid);
	iso_dcm_text(dcm, 0x00201040, "");
	put_plane(dcm, s);
}
