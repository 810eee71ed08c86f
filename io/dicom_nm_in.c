/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A reconstructed NM image (RECON TOMO, RECON GATED TOMO) as a volume in Bq/mL. NM has no element for units and none for the moment of decay
 * correction: the first must be in a real-world value mapping, the second comes from the user. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "io/dicom_gating_in.h"
#include "io/dicom_in.h"
#include "io/dicom_time.h"
#include "isotrace/time.h"

typedef struct nm {
	const char *path;
	iso_dicom *file;
	const iso_dicom_item *set;
	iso_dicom_pixels pixels;
	iso_grid grid;
	bool reversed; /* slices run against the normal */
	size_t slices;
	size_t *frame_of_slice; /* [images][slices], from 0 */
	iso_gating gating;      /* no gates: one image */
	double slope, intercept, first_stored, last_stored, duration_s, start_s, zone_s;
	const iso_nuclide *nuclide;
	double half_life_s;
} nm;

/* The mapping to Bq/mL among those that the file has. */
static iso_status find_mapping(nm *n, iso_error *err)
{
	for (size_t m = 0; m < iso_dicom_items(n->set, 0x00409096); m++) {
		const iso_dicom_item *item = iso_dicom_at(n->set, 0x00409096, m);
		char unit[32];
		iso_dicom_text(iso_dicom_at(item, 0x004008ea, 0), 0x00080100, unit, sizeof unit);
		if (strcasecmp(unit, "Bq/ml") != 0) continue;
		n->slope = iso_dicom_number(item, 0x00409225, 0);
		n->intercept = iso_dicom_number(item, 0x00409224, 0);
		n->first_stored = iso_dicom_number(item, 0x00409216, 0);
		n->last_stored = iso_dicom_number(item, 0x00409211, 0);
		if (n->slope > 0 && isfinite(n->intercept) && n->first_stored <= n->last_stored) return ISO_OK;
	}
	return iso_fail(err, ISO_BAD_INPUT, n->path, "export the image quantitatively, in Bq/mL",
			"the values are counts: no real-world value mapping (0040,9096) to Bq/ml is there");
}

/* Which frame holds which slice; anything but slices makes several volumes. */
static iso_status find_slices(nm *n, iso_error *err)
{
	static const struct {
		uint32_t tag;
		const char *what;
	} others[] = {{0x00540011, "energy windows"}, {0x00540021, "detectors"},     {0x00540031, "phases"},
		      {0x00540101, "time slices"},    {0x00540061, "R-R intervals"}, {0x00540071, "time slots"}};
	/* of a gated image the last two are looked at in another place */
	const size_t refused = sizeof others / sizeof *others - (n->gating.gates ? 2 : 0);
	for (size_t t = 0; t < refused; t++)
		if (iso_dicom_number(n->set, others[t].tag, 0) > 1)
			return iso_fail(err, ISO_BAD_INPUT, n->path, "export them one by one",
					"several %s in one image", others[t].what);
	const size_t frames = n->pixels.frames, images = n->gating.gates ? n->gating.gates : 1;
	n->frame_of_slice = malloc(frames * sizeof *n->frame_of_slice);
	if (!n->frame_of_slice) return iso_fail_memory(err, "an NM image", frames * sizeof *n->frame_of_slice);
	for (size_t s = 0; s < frames; s++) n->frame_of_slice[s] = SIZE_MAX;
	n->slices = frames / images;
	const bool listed = n->gating.gates || iso_dicom_count(n->set, 0x00540080);
	for (size_t f = 0; f < frames; f++) {
		const double slice = listed ? iso_dicom_number(n->set, 0x00540080, f) : (double)(f + 1),
			     slot = n->gating.gates ? iso_dicom_number(n->set, 0x00540070, f) : 1;
		const bool good = slice >= 1 && slice <= (double)n->slices && slot >= 1 && slot <= (double)images;
		size_t *to = n->frame_of_slice + (good ? ((size_t)slot - 1) * n->slices + (size_t)slice - 1 : 0);
		if (!good || *to != SIZE_MAX)
			return iso_fail(err, ISO_BAD_INPUT, n->path, "export the image again",
					"Slice Vector (0054,0080)%s not name each of %zu slices%s once",
					n->gating.gates ? " and Time Slot Vector (0054,0070) do" : " does", n->slices,
					n->gating.gates ? " of each gate" : "");
		*to = f;
	}
	return ISO_OK;
}

/* RECON GATED TOMO: the cycle, and as many slices of each gate. */
static iso_status find_gating(nm *n, iso_dicom_in_facts *facts, iso_error *err)
{
	if (!iso_gating_in_nm(n->set)) return ISO_OK;
	iso_status status = iso_gating_find_nm(n->set, n->path, facts, &n->gating, err);
	if (status == ISO_OK) status = iso_gating_check_stated(&n->gating, n->duration_s, n->path, err);
	if (status != ISO_OK) return status;
	const double slices = iso_dicom_number(n->set, 0x00540081, 0);
	const size_t gates = n->gating.gates, frames = n->pixels.frames;
	if (frames % gates || (slices >= 1 && slices != (double)(frames / gates)))
		return iso_fail(err, ISO_BAD_INPUT, n->path, "export the image again, with all slices of all gates",
				"%zu frames (0028,0008) are not those of %zu time slots (0054,0071) of %g slices "
				"(0054,0081)",
				frames, gates, slices);
	for (size_t f = 0; f < frames; f++)
		if (!(iso_dicom_number(n->set, 0x00540060, f) == 1))
			return iso_fail(err, ISO_BAD_INPUT, n->path, "export the image again",
					"R-R Interval Vector (0054,0060) does not say 1 for each of %zu frames",
					frames);
	return ISO_OK;
}

static iso_status find_grid(nm *n, iso_error *err)
{
	const iso_dicom_item *detector = iso_dicom_at(n->set, 0x00540022, 0), *place = detector;
	double spacing[2], cosines[6], step_mm = iso_dicom_number(n->set, 0x00180088, 0);
	iso_grid *g = &n->grid;
	/* The standard has them with the detector; some makers put them where CT has them. */
	if (!iso_dicom_count(place, 0x00200032)) place = n->set;
	if (isnan(step_mm)) step_mm = iso_dicom_number(n->set, 0x00180050, 0);
	const char *missing = NULL;
	if (!(fabs(step_mm) > 0)) missing = "Spacing Between Slices (0018,0088)";
	if (!iso_dicom_numbers(n->set, 0x00280030, spacing, 2)) missing = "Pixel Spacing (0028,0030)";
	if (!iso_dicom_numbers(place, 0x00200037, cosines, 6)) missing = "Image Orientation (Patient) (0020,0037)";
	if (!iso_dicom_numbers(place, 0x00200032, g->origin_mm, 3)) missing = "Image Position (Patient) (0020,0032)";
	if (missing)
		return iso_fail(err, ISO_BAD_INPUT, n->path, "export the image again from where it came",
				"the NM image has no %s", missing);
	g->size[0] = n->pixels.columns;
	g->size[1] = n->pixels.rows;
	g->size[2] = n->slices;
	g->voxel_mm[0] = spacing[1];
	g->voxel_mm[1] = spacing[0];
	g->voxel_mm[2] = fabs(step_mm);
	memcpy(g->direction, cosines, sizeof cosines);
	for (int k = 0; k < 3; k++) {
		const int k1 = (k + 1) % 3, k2 = (k + 2) % 3;
		g->direction[2][k] = cosines[k1] * cosines[3 + k2] - cosines[k2] * cosines[3 + k1];
	}
	/* The sign says to which side the slices are stacked; the volume is kept right-handed. */
	n->reversed = step_mm < 0;
	if (n->reversed)
		for (int k = 0; k < 3; k++) g->origin_mm[k] += step_mm * (double)(g->size[2] - 1) * g->direction[2][k];
	return iso_grid_check(g, n->path, err);
}

/* Start and duration of the acquisition, as far as the rotation tells. */
static iso_status find_times(nm *n, const iso_dicom_in_options *options, iso_dicom_in_facts *facts, iso_error *err)
{
	n->start_s = iso_dicom_clock_of(n->set, 0x00080022, 0x00080032);
	if (isnan(n->start_s))
		return iso_fail(err, ISO_BAD_INPUT, n->path, "export the image again with its dates",
				"the NM image has no Acquisition Date and Time (0008,0022), (0008,0032)");
	iso_status status = iso_dicom_find_zone(n->set, options, n->path, &n->zone_s, err);
	if (status != ISO_OK) return status;
	const iso_dicom_item *rotation = iso_dicom_at(n->set, 0x00540052, 0);
	const double view_s = iso_dicom_number(rotation, 0x00181242, 0) / 1000;
	const double views = iso_dicom_number(rotation, 0x00540053, 0);
	n->duration_s = view_s * views;
	/* an element that the IOD does not know, and isotrace writes */
	if (!(n->duration_s > 0)) n->duration_s = iso_dicom_number(n->set, 0x00189073, 0);
	if (!(n->duration_s > 0)) {
		n->duration_s = 0;
		iso_dicom_warn(facts, "the NM image does not say how long the acquisition took");
	}
	return ISO_OK;
}

static iso_status state_decay(nm *n, const iso_dicom_in_options *options, iso_volume *v, iso_error *err)
{
	char corrected[128], text[40];
	const bool listed = iso_dicom_text(n->set, 0x00280051, corrected, sizeof corrected);
	const bool done = listed && strstr(corrected, "DECY");
	const double reference_utc_s = options->decay_reference_utc_s;
	if (isnan(reference_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, n->path,
				"state it with --decay-reference TIME, or none when they are not corrected",
				"NM has no element for the moment to which the values are decay-corrected%s",
				done     ? "; they are corrected (DECY)"
				: listed ? "; Corrected Image (0028,0051) does not list DECY"
					 : "");
	if (isinf(reference_utc_s) ? done : listed && !done)
		return iso_fail(err, ISO_BAD_INPUT, n->path, "correct what was stated",
				"--decay-reference contradicts Corrected Image (0028,0051): '%.100s'", corrected);
	if (isinf(reference_utc_s)) {
		if (n->duration_s > 0) return ISO_OK;
		return iso_fail(
		    err, ISO_BAD_INPUT, n->path, "export the image decay-corrected",
		    "values that are not decay-corrected need the acquisition's duration, which is not stated");
	}
	v->decay_reference_s = reference_utc_s - (n->start_s - n->zone_s);
	v->half_life_s = n->half_life_s;
	snprintf(v->corrections.decay, sizeof v->corrections.decay, "to %s (as stated by the user)",
		 iso_time_text(reference_utc_s, text));
	return ISO_OK;
}

static void state_facts(nm *n, iso_volume *v, iso_dicom_in_facts *facts)
{
	iso_acquisition *a = &v->acquisition;
	char corrected[128], maker[33], version[33];
	iso_dicom_text(n->set, 0x00280051, corrected, sizeof corrected);
	a->modality = ISO_MODALITY_SPECT;
	snprintf(a->nuclide, sizeof a->nuclide, "%s", n->nuclide->name);
	snprintf(a->tracer, sizeof a->tracer, "%s", facts->dose.tracer);
	iso_dicom_text(n->set, 0x00081090, a->scanner_name, sizeof a->scanner_name);
	iso_dicom_text(n->set, 0x00100020, a->subject, sizeof a->subject);
	a->start_utc_s = n->start_s - n->zone_s;
	facts->dose.injection_utc_s -= n->zone_s;
	a->injection_utc_s = facts->dose.injection_utc_s;
	a->injected_activity_bq = facts->dose.injected_bq;
	if (n->duration_s > 0) a->duration_s = n->duration_s;
	iso_corrections *c = &v->corrections;
	static const char stated[] = "as the file states, method not stated";
	if (strstr(corrected, "ATTN")) strcpy(c->attenuation, stated);
	if (strstr(corrected, "SCAT")) strcpy(c->scatter, stated);
	if (strstr(corrected, "UNIF")) strcpy(c->normalisation, stated);
	if (strstr(corrected, "DTIM")) strcpy(c->dead_time, stated);
	strcpy(c->calibration, "as exported (real-world value mapping to Bq/ml)");
	iso_dicom_text(n->set, 0x00080070, maker, sizeof maker);
	iso_dicom_text(n->set, 0x00181020, version, sizeof version);
	snprintf(v->facts.software, sizeof v->facts.software, "%.31s %.31s", maker, version);
	snprintf(v->facts.input, sizeof v->facts.input, "%s", facts->source);
	v->facts.prompts = v->facts.delayeds = (double)NAN;
	iso_dicom_text(n->set, 0x0020000e, facts->series_uid, sizeof facts->series_uid);
	iso_dicom_text(n->set, 0x00200052, facts->frame_of_reference_uid, sizeof facts->frame_of_reference_uid);
	iso_dicom_text(n->set, 0x0008103e, facts->description, sizeof facts->description);
	snprintf(facts->manufacturer, sizeof facts->manufacturer, "%s", maker);
	facts->files = 1;
}

static iso_status fill(const nm *n, iso_volume *v, iso_error *err)
{
	const size_t plane = n->pixels.rows * n->pixels.columns, slices = n->slices;
	for (size_t s = 0; s < n->pixels.frames; s++) {
		const size_t k = s % slices, from = n->reversed ? s - k + slices - 1 - k : s;
		const int32_t *stored = n->pixels.value + n->frame_of_slice[from] * plane;
		for (size_t p = 0; p < plane; p++) {
			if (stored[p] < n->first_stored || stored[p] > n->last_stored)
				return iso_fail(err, ISO_BAD_INPUT, n->path, "export the image again",
						"a pixel of %d lies outside of its mapping to Bq/ml (%g to %g)",
						(int)stored[p], n->first_stored, n->last_stored);
			v->voxels[s * plane + p] = (float)(n->slope * stored[p] + n->intercept);
		}
	}
	return ISO_OK;
}

/* All that the file says, but for the dose and the decay. */
static iso_status look(nm *n, const iso_dicom_in_options *options, iso_dicom_in_facts *facts, iso_error *err)
{
	iso_status status = iso_dicom_open(n->path, &n->file, err);
	if (status == ISO_OK && !n->file)
		status = iso_fail(err, ISO_BAD_INPUT, n->path, "start again", "it has changed");
	if (status != ISO_OK) return status;
	n->set = iso_dicom_root(n->file);
	status = find_mapping(n, err);
	if (status == ISO_OK)
		status = iso_dicom_find_nuclide(n->set, options->nuclide, n->path, &n->nuclide, &n->half_life_s, err);
	if (status == ISO_OK && !n->nuclide)
		status = iso_fail(err, ISO_BAD_INPUT, n->path, "say which with --nuclide",
				  "the file does not say which nuclide was used (0054,0300)");
	if (status == ISO_OK) status = find_times(n, options, facts, err);
	if (status == ISO_OK) status = iso_dicom_read_pixels(n->file, &n->pixels, err);
	if (status == ISO_OK) status = find_gating(n, facts, err);
	if (status == ISO_OK) status = find_slices(n, err);
	if (status == ISO_OK) status = find_grid(n, err);
	return status;
}

static iso_status make_volume(nm *n, const iso_dicom_in_options *options, iso_volume **out, iso_dicom_in_facts *facts,
			      iso_error *err)
{
	iso_status status = look(n, options, facts, err);
	if (status != ISO_OK) return status;
	const size_t images = n->gating.gates ? n->gating.gates : 1;
	iso_frame *frame = malloc(images * sizeof *frame);
	if (!frame) return iso_fail_memory(err, "gates", images * sizeof *frame);
	for (size_t f = 0; f < images; f++) frame[f] = (iso_frame){.start_s = 0, .duration_s = n->duration_s};
	/* RadionuclideTotalDose counts MBq in NM, Bq in PET. */
	iso_dicom_find_dose(n->set, n->start_s, n->half_life_s, 1e6, facts);
	status = iso_volume_create(&n->grid, ISO_UNIT_BQ_PER_ML, images, frame, 0, out, err);
	free(frame);
	if (status == ISO_OK && n->gating.gates) status = iso_volume_set_gating(*out, &n->gating, n->path, err);
	if (status == ISO_OK) status = state_decay(n, options, *out, err);
	if (status == ISO_OK) status = fill(n, *out, err);
	if (status == ISO_OK) state_facts(n, *out, facts);
	return status;
}

iso_status iso_dicom_read_nm(const char *path, const iso_dicom_in_options *options, iso_volume **out,
			     iso_dicom_in_facts *facts, iso_error *err)
{
	nm n = {.path = path};
	const iso_status status = iso_dicom_check(make_volume(&n, options, out, facts, err), path, err);
	free(n.pixels.value);
	free(n.frame_of_slice);
	free(n.gating.gate);
	iso_dicom_close(n.file);
	return status;
}
