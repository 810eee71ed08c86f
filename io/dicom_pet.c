/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A volume as a series of PET Image Storage, one file per slice and frame. */
#include "io/dicom_pet.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/output.h"
#include "io/dicom_identity.h"
#include "io/dicom_modules.h"
#include "isotrace/time.h"

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

void iso_pet_quantise(const float *values, size_t count, int16_t *stored, char slope_text[17], double *slope)
{
	double most = 0;
	for (size_t i = 0; i < count; i++) most = fmax(most, fabs((double)values[i]));
	/* Below 1e-30 Bq/mL there is nothing to show, and 1/slope would leave the range of numbers. */
	iso_dicom_decimal(most > 1e-30 ? most / 32767 : 1, slope_text);
	*slope = strtod(slope_text, NULL);
	for (size_t i = 0; i < count; i++)
		stored[i] = (int16_t)fmin(fmax(rint((double)values[i] / *slope), -32768), 32767);
}

/* --- what must be known ----------------------------------------------------------------------------------------- */

static iso_status check_volume(const iso_volume *v, const char *file, iso_error *err)
{
	if (v->unit != ISO_UNIT_BQ_PER_ML)
		return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct with a calibrated scanner (--calibration)",
				"DICOM PET needs Bq/mL and the volume is in %s", iso_unit_text(v->unit));
	if (v->acquisition.modality == ISO_MODALITY_SPECT)
		return iso_fail(err, ISO_BAD_INPUT, file, "give a PET volume", "a SPECT volume is no PET image");
	if (!isfinite(v->acquisition.start_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, file, "state the start with date and zone when converting",
				"the absolute start of the acquisition is not known");
	if (!isfinite(v->decay_reference_s) || fabs(v->decay_reference_s) > 1e-3)
		return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct with decay correction to the scan's start",
				"the values are not decay-corrected to the start of the acquisition");
	const iso_grid *grid = &v->grid;
	const double(*d)[3] = grid->direction;
	const double handed = d[2][0] * (d[0][1] * d[1][2] - d[0][2] * d[1][1]) +
			      d[2][1] * (d[0][2] * d[1][0] - d[0][0] * d[1][2]) +
			      d[2][2] * (d[0][0] * d[1][1] - d[0][1] * d[1][0]);
	if (!(handed > 0.999))
		return iso_fail(err, ISO_BAD_INPUT, file, "resample the volume to a right-handed grid",
				"the grid is left-handed and would appear mirrored");
	if ((double)v->frames * (double)grid->size[2] > 65535)
		return iso_fail(err, ISO_BAD_INPUT, file, "write fewer frames per series",
				"%zu frames of %zu slices are more images than a PET series may have (65535)",
				v->frames, grid->size[2]);
	const size_t voxels = v->frames * iso_grid_voxels(grid);
	for (size_t i = 0; i < voxels; i++)
		if (!isfinite(v->voxels[i]))
			return iso_fail(err, ISO_BAD_INPUT, file, "find where the calculation failed",
					"voxel %zu is not a number", i);
	for (size_t f = 0; f < v->frames; f++)
		if (!(v->frame[f].duration_s > 0) || v->frame[f].duration_s > 2147483 || !isfinite(v->frame[f].start_s))
			return iso_fail(err, ISO_BAD_INPUT, file, "state the frames' starts and durations",
					"frame %zu lasts %g s", f + 1, v->frame[f].duration_s);
	return ISO_OK;
}

static iso_status choose_nuclide(iso_pet_series *s, const char *file, iso_error *err)
{
	const iso_volume *v = s->volume;
	iso_status status = iso_nuclide_find(v->acquisition.nuclide, file, &s->nuclide, err);
	if (status != ISO_OK) return status;
	if (!(fabs(s->nuclide->photon_kev - 511) < 1))
		return iso_fail(err, ISO_BAD_INPUT, file, "give a PET volume", "%s is no positron emitter",
				s->nuclide->name);
	/* The half-life that the voxels were corrected with goes into the files, so that a reader undoes just that. */
	s->half_life_s = isfinite(v->half_life_s) ? v->half_life_s : s->nuclide->half_life_s;
	if (!(fabs(s->half_life_s / s->nuclide->half_life_s - 1) < 0.01))
		return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct with the right nuclide",
				"the volume was corrected with a half-life of %g s and %s has %g s", s->half_life_s,
				s->nuclide->name, s->nuclide->half_life_s);
	return ISO_OK;
}

/* --- identities --------------------------------------------------------------------------------------------------- */

static void make_uids(iso_pet_series *s)
{
	const iso_volume *v = s->volume;
	iso_dicom_study_uid(s->subject, &v->acquisition, s->study_uid);
	iso_dicom_frame_of_reference_uid(s->subject, &v->acquisition, s->frame_of_reference_uid);
	iso_hash hash;
	iso_dicom_uid_begin(&hash, "series");
	iso_hash_text(&hash, s->study_uid);
	iso_dicom_hash_subject(&hash, s->subject);
	const char *const texts[] = {v->acquisition.nuclide, v->acquisition.tracer, v->acquisition.scanner_name,
				     v->facts.method, v->facts.software};
	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) iso_hash_text(&hash, texts[t]);
	iso_dicom_hash_corrections(&hash, &v->corrections);
	iso_hash_u64(&hash, v->facts.iterations);
	iso_hash_u64(&hash, v->facts.subsets);
	iso_hash_double(&hash, v->acquisition.start_utc_s);
	iso_hash_double(&hash, s->half_life_s);
	if (s->dose) iso_dicom_hash_dose(&hash, s->dose);
	iso_dicom_hash_grid(&hash, &v->grid);
	for (size_t f = 0; f < v->frames; f++) {
		iso_hash_double(&hash, v->frame[f].start_s);
		iso_hash_double(&hash, v->frame[f].duration_s);
	}
	iso_hash_bytes(&hash, v->voxels, v->frames * iso_grid_voxels(&v->grid) * sizeof *v->voxels);
	iso_dicom_uid_end(&hash, s->series_uid);
}

/* --- one image ------------------------------------------------------------------------------------------------------ */

static void put_frame(iso_dcm *dcm, const iso_pet_series *s, size_t f)
{
	const iso_frame *frame = &s->volume->frame[f];
	char date[9], time[14], text[24];
	iso_time_dicom(s->volume->acquisition.start_utc_s + frame->start_s, date, time);
	iso_dcm_text(dcm, 0x00080022, date);
	iso_dcm_text(dcm, 0x00080032, time);
	iso_dcm_text(dcm, 0x00080023, date);
	iso_dcm_text(dcm, 0x00080033, time);
	snprintf(text, sizeof text, "%.0f", rint(frame->duration_s * 1000));
	iso_dcm_text(dcm, 0x00181242, text);
	snprintf(text, sizeof text, "%zu", f + 1);
	iso_dcm_text(dcm, 0x00200012, text);
	double reference_s, factor;
	iso_pet_frame_reference(s->half_life_s, frame->start_s, frame->duration_s, &reference_s, &factor);
	iso_dicom_put_decimal(dcm, 0x00541300, reference_s * 1000);
	iso_dicom_put_decimal(dcm, 0x00541321, factor);
}

/* A viewer that knows real world values shows the injected activity per gram with this, tissue taken as 1 g/mL. */
static void put_percent_per_gram(iso_dcm *dcm, const iso_pet_series *s, double slope)
{
	if (!s->dose) return;
	const double elapsed_s = s->volume->acquisition.start_utc_s - s->dose->injection_utc_s;
	const double at_reference_bq = s->dose->injected_bq * iso_decay_factor(s->half_life_s, elapsed_s);
	iso_dcm_begin(dcm, 0x00409096);
	iso_dcm_text(dcm, 0x00283003, "percent injected activity per gram, density 1 g/mL");
	iso_dcm_text(dcm, 0x00409210, "PCTIAG");
	iso_dcm_ss(dcm, 0x00409216, -32768);
	iso_dcm_ss(dcm, 0x00409211, 32767);
	iso_dcm_fd(dcm, 0x00409224, 0);
	iso_dcm_fd(dcm, 0x00409225, slope * 100 / at_reference_bq);
	iso_dcm_begin(dcm, 0x004008ea);
	iso_dcm_text(dcm, 0x00080100, "%/g");
	iso_dcm_text(dcm, 0x00080102, "UCUM");
	iso_dcm_text(dcm, 0x00080104, "percent per gram");
	iso_dcm_end(dcm);
	iso_dcm_end(dcm);
}

static void put_slice(iso_dcm *dcm, const iso_pet_series *s, size_t f, size_t k, int16_t *stored)
{
	const iso_volume *v = s->volume;
	const size_t pixels = v->grid.size[0] * v->grid.size[1], image = f * v->grid.size[2] + k;
	char uid[65], text[3 * 17], part[3][17], slope_text[17];
	iso_hash hash;
	iso_dicom_uid_begin(&hash, "image");
	iso_hash_text(&hash, s->series_uid);
	iso_hash_u64(&hash, image);
	iso_dicom_uid_end(&hash, uid);
	iso_dcm_text(dcm, 0x00080018, uid);
	snprintf(text, sizeof text, "%zu", image + 1);
	iso_dcm_text(dcm, 0x00200013, text);
	iso_dcm_us(dcm, 0x00541330, (uint16_t)(image + 1));
	double corner_mm[3], slope;
	iso_grid_point_mm(&v->grid, (const double[3]){0, 0, (double)k}, corner_mm);
	for (int a = 0; a < 3; a++) iso_dicom_decimal(corner_mm[a], part[a]);
	snprintf(text, sizeof text, "%s\\%s\\%s", part[0], part[1], part[2]);
	iso_dcm_text(dcm, 0x00200032, text);
	iso_pet_quantise(v->voxels + image * pixels, pixels, stored, slope_text, &slope);
	iso_dcm_text(dcm, 0x00281053, slope_text);
	put_percent_per_gram(dcm, s, slope);
	iso_dcm_pixels(dcm, stored, pixels);
}

/* --- all of them ----------------------------------------------------------------------------------------------------- */

static iso_status write_images(const char *folder, const char *shown, const iso_pet_series *s, iso_error *err)
{
	const iso_volume *v = s->volume;
	iso_dcm *dcm = NULL;
	iso_status status = iso_dcm_create(&dcm, err);
	if (status != ISO_OK) return status;
	const size_t bytes = v->grid.size[0] * v->grid.size[1] * sizeof(int16_t);
	int16_t *stored = malloc(bytes);
	if (!stored) status = iso_fail_memory(err, "a slice", bytes);
	iso_pet_series_tags(dcm, s);
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
		}
	}
	free(stored);
	iso_dcm_free(dcm);
	return status;
}

/* An existing folder is replaced as a whole, so that it must hold nothing but an earlier series. */
static iso_status check_folder(const char *directory, iso_error *err)
{
	DIR *dir = opendir(directory);
	if (!dir && errno == ENOENT) return ISO_OK;
	if (!dir) return iso_fail_errno(err, directory, "cannot use this name for the folder");
	bool foreign = false;
	char name[64] = "";
	for (const struct dirent *e; !foreign && (e = readdir(dir));) {
		unsigned frame, slice;
		int end = 0;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
		foreign =
		    sscanf(e->d_name, "frame%u-slice%u.dcm%n", &frame, &slice, &end) != 2 || end == 0 || e->d_name[end];
		if (foreign) snprintf(name, sizeof name, "%.60s", e->d_name);
	}
	closedir(dir);
	return !foreign ? ISO_OK
			: iso_fail(err, ISO_BAD_USAGE, directory, "give a folder of its own to each series",
				   "the folder holds something else already (%s)", name);
}

iso_status iso_dicom_write_pet(const char *directory, const iso_volume *volume, const iso_dicom_dose *dose,
			       const iso_dicom_subject *subject, size_t *files, iso_error *err)
{
	if (files) *files = 0;
	iso_pet_series series = {.volume = volume, .dose = dose, .subject = subject};
	iso_status status = check_volume(volume, directory, err);
	if (status == ISO_OK) status = iso_dicom_check_subject(subject, err);
	if (status == ISO_OK && dose) status = iso_dicom_check_dose(dose, err);
	if (status == ISO_OK) status = choose_nuclide(&series, directory, err);
	if (status == ISO_OK) status = check_folder(directory, err);
	if (status != ISO_OK) return status;
	const size_t voxels = volume->frames * iso_grid_voxels(&volume->grid);
	for (size_t i = 0; i < voxels; i++) series.maximum = fmax(series.maximum, (double)volume->voxels[i]);
	make_uids(&series);
	iso_output output;
	if ((status = iso_output_begin(&output, directory, err)) != ISO_OK) return status;
	if (mkdir(output.temporary, 0777) != 0) return iso_fail_errno(err, directory, "cannot make the folder");
	status = write_images(output.temporary, directory, &series, err);
	if (status != ISO_OK) {
		iso_output_discard(&output);
		return status;
	}
	status = iso_output_commit(&output, err);
	if (status == ISO_OK && files) *files = volume->frames * volume->grid.size[2];
	return status;
}
