/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A PET volume as a series of PET Image Storage (DICOM PS3.3 A.21), one file per slice and frame. */
#define _GNU_SOURCE
#include "io/dicom_pet.h"

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

void iso_pet_frame_reference(double half_life_s, double start_s, double duration_s, double *reference_s, double *factor)
{
	const double lambda = log(2.0) / half_life_s, x = lambda * duration_s;
	/* x/(1-exp(-x)): start-of-frame activity over the frame's mean. Its series where the quotient is 0/0. */
	const double within = x > 1e-12 ? x / -expm1(-x) : 1 + x / 2;
	/* For short frames log(within) is a difference of nearly equal numbers: log1p of the series, x/2 + x^2/12. */
	const double shift = x > 1e-4 ? log(within) : log1p(x / 2 + x * x / 12);
	*reference_s = start_s + shift / lambda;
	*factor = within * exp(lambda * start_s);
}

double iso_dicom_step(double most, double steps, char slope_text[17])
{
	/* Below 1e-30 Bq/mL there is nothing to show, and 1/slope would leave the range of numbers. */
	iso_dicom_decimal(most > 1e-30 ? most / steps : 1, slope_text);
	return iso_strtod(slope_text, NULL);
}

int iso_dicom_stored(double value, double slope, double intercept, int low, int high)
{
	return (int)fmin(fmax(rint((value - intercept) / slope), low), high);
}

/* --- tags ----------------------------------------------------------------------------------------------------------- */

static void put_corrected(iso_dcm *dcm, const iso_corrections *c)
{
	const iso_image_correction terms[] = {
	    {c->normalisation, "NORM"}, {c->dead_time, "DTIM"},    {c->randoms, "RAN"},     {c->attenuation, "ATTN"},
	    {c->scatter, "SCAT"},       {"by definition", "DECY"}, {c->calibration, "DCAL"}};
	iso_image_put_corrected(dcm, terms, sizeof terms / sizeof *terms);
	if (!c->randoms[0] || strcasestr(c->randoms, "delayed"))
		iso_dcm_text(dcm, 0x00541100, c->randoms[0] ? "DLYD" : "NONE");
	else if (strcasestr(c->randoms, "singles"))
		iso_dcm_text(dcm, 0x00541100, "SING");
	iso_dicom_put_text(dcm, 0x00541101, c->attenuation[0] ? c->attenuation : "not corrected", 64);
	iso_dicom_put_text(dcm, 0x00541105, c->scatter[0] ? c->scatter : "not corrected", 64);
}

static void put_series(iso_dcm *dcm, const iso_image_series *s)
{
	const iso_volume *v = s->volume;
	char method[160];
	iso_dcm_text(dcm, 0x00080008, "ORIGINAL\\PRIMARY");
	iso_dcm_text(dcm, 0x00080016, s->image_class);
	iso_dcm_text(dcm, 0x00080060, "PT");
	const bool gated = v->gating.gates > 0;
	iso_dcm_text(dcm, 0x00541000, gated ? "GATED\\IMAGE" : v->frames > 1 ? "DYNAMIC\\IMAGE" : "STATIC\\IMAGE");
	iso_dcm_us(dcm, 0x00540081, (uint16_t)v->grid.size[2]);
	if (gated)
		iso_gating_put_pet_series(dcm, &v->gating);
	else if (v->frames > 1)
		iso_dcm_us(dcm, 0x00540101, (uint16_t)v->frames);
	iso_dcm_text(dcm, 0x00541001, "BQML");
	iso_dcm_text(dcm, 0x00541002, "EMISSION");
	iso_dcm_text(dcm, 0x00541102, "START");
	iso_dcm_text(dcm, 0x00181181, "NONE"); /* collimator */
	iso_image_method_text(s, method);
	iso_dicom_put_text(dcm, 0x00541103, method, 64);
	put_corrected(dcm, &v->corrections);
	iso_image_put_isotope(dcm, s, 1);
	iso_image_put_orientation(dcm, s);
	iso_dcm_us(dcm, 0x00280102, 15);
	iso_dcm_us(dcm, 0x00280103, 1);
	iso_dcm_text(dcm, 0x00281052, "0");
}

static void put_frame(iso_dcm *dcm, const iso_image_series *s, size_t f)
{
	const iso_frame *frame = &s->volume->frame[f];
	char text[24];
	iso_image_put_frame_start(dcm, s, f);
	iso_snprintf(text, sizeof text, "%.0f", rint(frame->duration_s * 1000));
	iso_dcm_text(dcm, 0x00181242, text);
	double reference_s, factor;
	iso_pet_frame_reference(s->half_life_s, frame->start_s, frame->duration_s, &reference_s, &factor);
	iso_dicom_put_decimal(dcm, 0x00541300, reference_s * 1000);
	iso_dicom_put_decimal(dcm, 0x00541321, factor);
	if (s->volume->gating.gates) iso_gating_put_pet_image(dcm, &s->volume->gating, f);
}

/* --- one image ------------------------------------------------------------------------------------------------------ */

static void put_values(iso_dcm *dcm, iso_image_series *s, size_t image, int16_t *stored)
{
	const size_t count = s->volume->grid.size[0] * s->volume->grid.size[1];
	const float *values = s->volume->voxels + image * count;
	char text[17];
	double most = fmax(s->maximum, -s->minimum);
	if (s->options.slope == ISO_DICOM_SLOPE_SLICE) {
		most = 0;
		for (size_t i = 0; i < count; i++) most = fmax(most, fabs((double)values[i]));
	}
	const double slope = iso_dicom_step(most, 32767, text);
	s->scale[image] = (iso_image_scale){.slope = slope};
	if (most > 0) s->largest_step = fmax(s->largest_step, slope);
	for (size_t i = 0; i < count; i++)
		stored[i] = (int16_t)iso_dicom_stored((double)values[i], slope, 0, -32768, 32767);
	iso_dcm_text(dcm, 0x00281053, text);
	/* A viewer that knows real world values shows the injected activity per gram with this. */
	const iso_image_mapping mapping = {.explanation = ISO_IMAGE_PERCENT_TEXT,
					   .label = "PCTIAG",
					   .unit = "%/g",
					   .unit_meaning = "percent per gram",
					   .slope = slope * iso_image_percent_per_gram(s),
					   .is_signed = s->is_signed};
	if (s->dose) iso_image_put_mapping(dcm, &mapping, true);
	iso_dcm_pixels(dcm, stored, count);
}

static void put_slice(iso_dcm *dcm, iso_image_series *s, size_t f, size_t k, int16_t *stored)
{
	const size_t image = f * s->volume->grid.size[2] + k;
	char uid[65], text[24];
	iso_image_uid(s, image, uid);
	iso_dcm_text(dcm, 0x00080018, uid);
	snprintf(text, sizeof text, "%zu", image + 1);
	iso_dcm_text(dcm, 0x00200013, text);
	iso_dcm_us(dcm, 0x00541330, (uint16_t)(image + 1));
	iso_image_put_corner(dcm, s, k);
	put_values(dcm, s, image, stored);
}

iso_status iso_pet_write_files(const char *folder, const char *shown, iso_image_series *s, size_t *files,
			       iso_error *err)
{
	const iso_volume *v = s->volume;
	iso_dcm *dcm = NULL;
	iso_status status = iso_dcm_create(&dcm, err);
	if (status != ISO_OK) return status;
	const size_t bytes = v->grid.size[0] * v->grid.size[1] * sizeof(int16_t);
	int16_t *stored = malloc(bytes);
	if (!stored) status = iso_fail_memory(err, "a slice", bytes);
	iso_dcm_deidentify(dcm, s->options.deidentify);
	iso_image_series_tags(dcm, s);
	put_series(dcm, s);
	for (size_t f = 0; f < v->frames && status == ISO_OK; f++) {
		put_frame(dcm, s, f);
		for (size_t k = 0; k < v->grid.size[2] && status == ISO_OK; k++) {
			char path[PATH_MAX];
			put_slice(dcm, s, f, k, stored);
			if ((size_t)snprintf(path, sizeof path, "%s/frame%03zu-slice%04zu.dcm", folder, f + 1, k + 1) >=
			    sizeof path)
				status =
				    iso_fail(err, ISO_BAD_USAGE, shown, "give a shorter path", "the name is too long");
			else
				status = iso_dcm_save(dcm, path, shown, err);
			if (status == ISO_OK) ++*files;
		}
	}
	free(stored);
	iso_dcm_free(dcm);
	return status;
}
