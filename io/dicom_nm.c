/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A SPECT volume as NM Image Storage (DICOM PS3.3 A.5): RECON TOMO, one multi-frame file per time frame, because the frames of a
 * reconstructed tomogram are its slices and nothing else; or RECON GATED TOMO, one file whose frames are the slices of all gates. */
#define _GNU_SOURCE
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "io/dicom_gating.h"
#include "io/dicom_image.h"
#include "io/dicom_modules.h"
#include "io/dicom_pet.h"

static void put_corrected(iso_dcm *dcm, const iso_corrections *c)
{
	const iso_image_correction terms[] = {{c->normalisation, "UNIF"},
					      {c->dead_time, "DTIM"},
					      {c->attenuation, "ATTN"},
					      {c->scatter, "SCAT"},
					      {"by definition", "DECY"}};
	iso_image_put_corrected(dcm, terms, sizeof terms / sizeof *terms);
}

/* What is not known of the acquisition (the collimator, the views) is empty or UNKN: a volume does not carry it. */
static void put_acquisition(iso_dcm *dcm, const iso_image_series *s)
{
	const double *window_kev = s->volume->acquisition.energy_window_kev;
	iso_dcm_us(dcm, 0x00540011, 1);
	if (isfinite(window_kev[0]) && isfinite(window_kev[1])) {
		iso_dcm_begin(dcm, 0x00540012);
		iso_dicom_put_text(dcm, 0x00540018, s->nuclide->name, 16);
		iso_dcm_begin(dcm, 0x00540013);
		iso_dicom_put_decimal(dcm, 0x00540014, window_kev[0]);
		iso_dicom_put_decimal(dcm, 0x00540015, window_kev[1]);
		iso_dcm_end(dcm);
		iso_dcm_end(dcm);
	} else
		iso_dcm_empty_sequence(dcm, 0x00540012);
	iso_dcm_us(dcm, 0x00540021, 1);
	iso_dcm_begin(dcm, 0x00540022);
	iso_dcm_text(dcm, 0x00181181, "UNKN");
	/* In this IOD the plane of the first slice stands here. */
	iso_image_put_corner(dcm, s, 0);
	iso_image_put_orientation(dcm, s);
	iso_dcm_end(dcm);
	iso_dcm_us(dcm, 0x00540051, 1);
	iso_dcm_empty_sequence(dcm, 0x00540052);
}

/* Slice, gate and R-R interval of each frame. */
static iso_status put_vectors(iso_dcm *dcm, const iso_image_series *s, iso_error *err)
{
	const size_t slices = s->volume->grid.size[2], gates = s->volume->gating.gates,
		     frames = slices * (gates ? gates : 1);
	const struct {
		uint32_t tag;
		size_t run, turn; /* the number goes up every `run` frames and begins anew after `turn` of them */
	} vectors[] = {{0x00540080, 1, slices}, {0x00540070, slices, frames}, {0x00540060, frames, frames}};
	char count[24];
	const size_t size = frames * 6 + 1;
	char *text = malloc(size);
	if (!text) return iso_fail_memory(err, "the slices' numbers", size);
	for (size_t v = 0; v < (gates ? 3 : 1); v++) {
		size_t used = 0;
		for (size_t f = 0; f < frames; f++)
			used += (size_t)snprintf(text + used, size - used, "%s%zu", f ? "\\" : "",
						 f % vectors[v].turn / vectors[v].run + 1);
		iso_dcm_text(dcm, vectors[v].tag, text);
	}
	snprintf(count, sizeof count, "%zu", frames);
	iso_dcm_text(dcm, 0x00280008, count);
	iso_dcm_text(dcm, 0x00280009, gates ? "(0054,0060)\\(0054,0070)\\(0054,0080)" : "(0054,0080)");
	iso_dcm_us(dcm, 0x00540081, (uint16_t)slices);
	free(text);
	if (!gates) return ISO_OK;
	iso_dcm_us(dcm, 0x00540061, 1);
	iso_dcm_us(dcm, 0x00540071, (uint16_t)gates);
	iso_gating_put_nm(dcm, &s->volume->gating);
	return ISO_OK;
}

/* Voxels of one file. */
static size_t voxels_of_file(const iso_image_series *s)
{
	const size_t gates = s->volume->gating.gates;
	return iso_grid_voxels(&s->volume->grid) * (gates ? gates : 1);
}

/* The IOD has no place for a slope: the real world values are the official way, and RescaleSlope, which it does not forbid,
 * the way that most readers go (decision 045). Both say the same. */
static void put_scale(iso_dcm *dcm, const iso_image_series *s, double slope, const char *slope_text, double intercept,
		      const char *intercept_text)
{
	const double percent = iso_image_percent_per_gram(s);
	const iso_image_mapping activity = {.explanation = "activity concentration, decay-corrected to the SeriesTime",
					    .label = "BQML",
					    .unit = "Bq/ml",
					    .unit_meaning = "Becquerels/milliliter",
					    .slope = slope,
					    .intercept = intercept},
				uptake = {.explanation = ISO_IMAGE_PERCENT_TEXT,
					  .label = "PCTIAG",
					  .unit = "%/g",
					  .unit_meaning = "percent per gram",
					  .slope = slope * percent,
					  .intercept = intercept * percent};
	iso_image_put_mapping(dcm, &activity, true);
	if (s->dose) iso_image_put_mapping(dcm, &uptake, false);
	iso_dcm_text(dcm, 0x00281052, intercept_text);
	iso_dcm_text(dcm, 0x00281053, slope_text);
}

/* One slope for all slices, since the file has room for one only; negative voxels by an intercept, since NM pixels have no sign. */
static void put_values(iso_dcm *dcm, iso_image_series *s, size_t f, uint16_t *stored)
{
	const size_t count = voxels_of_file(s);
	const float *values = s->volume->voxels + f * count;
	double least = s->minimum, most = s->maximum;
	if (s->options.slope == ISO_DICOM_SLOPE_SLICE && s->images > 1) {
		least = most = 0;
		for (size_t i = 0; i < count; i++) {
			least = fmin(least, (double)values[i]);
			most = fmax(most, (double)values[i]);
		}
	}
	char slope_text[17], intercept_text[17];
	iso_dicom_decimal(least, intercept_text);
	const double intercept = iso_strtod(intercept_text, NULL);
	const double slope = iso_dicom_step(most - least, 65535, slope_text);
	s->scale[f] = (iso_image_scale){slope, intercept};
	if (most > least) s->largest_step = fmax(s->largest_step, slope);
	for (size_t i = 0; i < count; i++)
		stored[i] = (uint16_t)iso_dicom_stored((double)values[i], slope, intercept, 0, 65535);
	put_scale(dcm, s, slope, slope_text, intercept, intercept_text);
	iso_dcm_pixels(dcm, (const int16_t *)stored, count);
}

static void put_file(iso_dcm *dcm, iso_image_series *s, size_t f, uint16_t *stored)
{
	char uid[65], text[24];
	iso_image_uid(s, f, uid);
	iso_dcm_text(dcm, 0x00080018, uid);
	snprintf(text, sizeof text, "%zu", f + 1);
	iso_dcm_text(dcm, 0x00200013, text);
	iso_image_put_frame_start(dcm, s, f);
	iso_dcm_fd(dcm, 0x00189073, s->volume->frame[f].duration_s);
	put_values(dcm, s, f, stored);
}

static void put_series(iso_dcm *dcm, const iso_image_series *s)
{
	const iso_volume *v = s->volume;
	char text[24] = "";
	iso_dcm_text(dcm, 0x00080008,
		     v->gating.gates ? "ORIGINAL\\PRIMARY\\RECON GATED TOMO\\EMISSION"
				     : "ORIGINAL\\PRIMARY\\RECON TOMO\\EMISSION");
	iso_dcm_text(dcm, 0x00080016, s->image_class);
	iso_dcm_text(dcm, 0x00080060, "NM");
	put_corrected(dcm, &v->corrections);
	iso_image_put_isotope(dcm, s, 1e6);
	put_acquisition(dcm, s);
	iso_dicom_put_decimal(dcm, 0x00180088, v->grid.voxel_mm[2]); /* > 0: slices follow along the normal */
	if (s->images == 1 && v->facts.prompts >= 0 && v->facts.prompts < 2147483648)
		iso_snprintf(text, sizeof text, "%.0f", v->facts.prompts);
	iso_dcm_text(dcm, 0x00180070, text);
	iso_dcm_us(dcm, 0x00280102, 15);
	iso_dcm_us(dcm, 0x00280103, 0);
}

iso_status iso_nm_write_files(const char *folder, const char *shown, iso_image_series *s, size_t *files, iso_error *err)
{
	iso_dcm *dcm = NULL;
	iso_status status = iso_dcm_create(&dcm, err);
	if (status != ISO_OK) return status;
	const size_t bytes = voxels_of_file(s) * sizeof(uint16_t);
	uint16_t *stored = NULL;
	if (bytes > 0x7fffffff)
		status = iso_fail(err, ISO_BAD_INPUT, shown, "reconstruct on a smaller grid",
				  "%zu bytes do not fit into one NM image", bytes);
	else if (!(stored = malloc(bytes)))
		status = iso_fail_memory(err, "a frame", bytes);
	iso_dcm_deidentify(dcm, s->options.deidentify);
	iso_image_series_tags(dcm, s);
	put_series(dcm, s);
	if (status == ISO_OK) status = put_vectors(dcm, s, err);
	for (size_t f = 0; f < s->images && status == ISO_OK; f++) {
		char path[PATH_MAX];
		put_file(dcm, s, f, stored);
		if ((size_t)snprintf(path, sizeof path, "%s/frame%03zu.dcm", folder, f + 1) >= sizeof path)
			status = iso_fail(err, ISO_BAD_USAGE, shown, "give a shorter path", "the name is too long");
		else
			status = iso_dcm_save(dcm, path, shown, err);
		if (status == ISO_OK) ++*files;
	}
	free(stored);
	iso_dcm_free(dcm);
	return status;
}
