/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A volume as a series of DICOM images: what must be known of it, its identities, its folder. */
#include "io/dicom_image.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/output.h"
#include "io/dicom_gating.h"
#include "io/dicom_identity.h"
#include "io/dicom_modules.h"
#include "io/dicom_objects.h"

bool iso_image_is_spect(const iso_image_series *s)
{
	return s->volume->acquisition.modality == ISO_MODALITY_SPECT;
}

/* --- what must be known ------------------------------------------------------------------------------------------ */

static iso_status check_facts(const iso_volume *v, const char *file, iso_error *err)
{
	if (v->unit != ISO_UNIT_BQ_PER_ML)
		return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct with a calibrated scanner (--calibration)",
				"DICOM images need Bq/mL and the volume is in %s", iso_unit_text(v->unit));
	if (!isfinite(v->acquisition.start_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, file, "state the start with date and zone when converting",
				"the absolute start of the acquisition is not known");
	if (!isfinite(v->decay_reference_s) || fabs(v->decay_reference_s) > 1e-3)
		return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct with decay correction to the scan's start",
				"the values are not decay-corrected to the start of the acquisition");
	for (size_t f = 0; f < v->frames; f++)
		if (!(v->frame[f].duration_s > 0) || v->frame[f].duration_s > 2147483 || !isfinite(v->frame[f].start_s))
			return iso_fail(err, ISO_BAD_INPUT, file, "state the frames' starts and durations",
					"frame %zu lasts %g s", f + 1, v->frame[f].duration_s);
	return ISO_OK;
}

static iso_status check_grid(const iso_volume *v, const char *file, iso_error *err)
{
	const iso_grid *grid = &v->grid;
	const double(*d)[3] = grid->direction;
	const double handed = d[2][0] * (d[0][1] * d[1][2] - d[0][2] * d[1][1]) +
			      d[2][1] * (d[0][2] * d[1][0] - d[0][0] * d[1][2]) +
			      d[2][2] * (d[0][0] * d[1][1] - d[0][1] * d[1][0]);
	if (!(handed > 0.999))
		return iso_fail(err, ISO_BAD_INPUT, file, "resample the volume to a right-handed grid",
				"the grid is left-handed and would appear mirrored");
	if (grid->size[0] > 65535 || grid->size[1] > 65535)
		return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct on a smaller grid",
				"%zu x %zu pixels are more than a DICOM image can have (65535 each way)", grid->size[0],
				grid->size[1]);
	if ((double)v->frames * (double)grid->size[2] > 65535)
		return iso_fail(err, ISO_BAD_INPUT, file, "write fewer frames per series",
				"%zu frames or gates of %zu slices are more images than a series may have (65535)",
				v->frames, grid->size[2]);
	return ISO_OK;
}

static iso_status look_at_voxels(iso_image_series *s, const char *file, iso_error *err)
{
	const iso_volume *v = s->volume;
	const size_t voxels = v->frames * iso_grid_voxels(&v->grid);
	s->minimum = s->maximum = 0;
	for (size_t i = 0; i < voxels; i++) {
		if (!isfinite(v->voxels[i]))
			return iso_fail(err, ISO_BAD_INPUT, file, "find where the calculation failed",
					"voxel %zu is not a number", i);
		s->minimum = fmin(s->minimum, (double)v->voxels[i]);
		s->maximum = fmax(s->maximum, (double)v->voxels[i]);
	}
	return ISO_OK;
}

static iso_status choose_nuclide(iso_image_series *s, const char *file, iso_error *err)
{
	const iso_volume *v = s->volume;
	iso_status status = iso_nuclide_find(v->acquisition.nuclide, file, &s->nuclide, err);
	if (status != ISO_OK) return status;
	if (!iso_image_is_spect(s) && !(fabs(s->nuclide->photon_kev - 511) < 1))
		return iso_fail(err, ISO_BAD_INPUT, file, "give a PET volume, or one that says it is SPECT",
				"%s is no positron emitter", s->nuclide->name);
	/* The half-life that the voxels were corrected with goes into the files, so that a reader undoes just that. */
	s->half_life_s = isfinite(v->half_life_s) ? v->half_life_s : s->nuclide->half_life_s;
	if (!(fabs(s->half_life_s / s->nuclide->half_life_s - 1) < 0.01))
		return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct with the right nuclide",
				"the volume was corrected with a half-life of %g s and %s has %g s", s->half_life_s,
				s->nuclide->name, s->nuclide->half_life_s);
	return ISO_OK;
}

/* --- identities --------------------------------------------------------------------------------------------------- */

/* Nothing of a volume that is not gated: its UIDs stay what they were. */
static void hash_gating(iso_hash *hash, const iso_gating *gating)
{
	if (!gating->gates) return;
	iso_hash_u64(hash, (uint64_t)gating->trigger);
	iso_hash_u64(hash, (uint64_t)gating->framing);
	const double numbers[] = {gating->cycle_s, gating->shortest_cycle_s, gating->longest_cycle_s, gating->cycles,
				  gating->rejected_cycles};
	for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) iso_hash_double(hash, numbers[n]);
	for (size_t g = 0; g < gating->gates; g++) {
		iso_hash_double(hash, gating->gate[g].start_s);
		iso_hash_double(hash, gating->gate[g].duration_s);
		iso_hash_double(hash, gating->gate[g].collected_s);
	}
}

static void make_uids(iso_image_series *s)
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
	iso_hash_u64(&hash, (uint64_t)v->acquisition.modality);
	iso_hash_u64(&hash, (uint64_t)s->options.slope);
	iso_hash_double(&hash, v->facts.prompts);
	iso_hash_double(&hash, v->acquisition.energy_window_kev[0]);
	iso_hash_double(&hash, v->acquisition.energy_window_kev[1]);
	iso_hash_double(&hash, v->acquisition.start_utc_s);
	iso_hash_double(&hash, s->half_life_s);
	if (s->dose) iso_dicom_hash_dose(&hash, s->dose);
	iso_dicom_hash_grid(&hash, &v->grid);
	for (size_t f = 0; f < v->frames; f++) {
		iso_hash_double(&hash, v->frame[f].start_s);
		iso_hash_double(&hash, v->frame[f].duration_s);
	}
	hash_gating(&hash, &v->gating);
	iso_hash_bytes(&hash, v->voxels, v->frames * iso_grid_voxels(&v->grid) * sizeof *v->voxels);
	iso_dicom_uid_end(&hash, s->series_uid);
}

double iso_image_study_utc_s(const iso_image_series *s)
{
	return s->subject->study_key[0] && s->dose ? s->dose->injection_utc_s : s->volume->acquisition.start_utc_s;
}

void iso_image_uid(const iso_image_series *series, size_t image, char uid[65])
{
	iso_hash hash;
	iso_dicom_uid_begin(&hash, "image");
	iso_hash_text(&hash, series->series_uid);
	iso_hash_u64(&hash, image);
	iso_dicom_uid_end(&hash, uid);
}

/* Checks that all is known that the images must say (ISO_BAD_INPUT names `file`), and makes the UIDs. */
static iso_status prepare_series(iso_image_series *s, const char *file, iso_error *err)
{
	iso_status status = check_facts(s->volume, file, err);
	if (status == ISO_OK) status = iso_volume_check_gating(s->volume, file, err);
	if (status == ISO_OK) status = iso_gating_check_equal(&s->volume->gating, file, err);
	if (status == ISO_OK) status = check_grid(s->volume, file, err);
	if (status == ISO_OK) status = look_at_voxels(s, file, err);
	if (status == ISO_OK) status = iso_dicom_check_subject(s->subject, err);
	if (status == ISO_OK && s->dose) status = iso_dicom_check_dose(s->dose, err);
	if (status == ISO_OK) status = choose_nuclide(s, file, err);
	if (status != ISO_OK) return status;
	make_uids(s);
	s->image_class = iso_image_is_spect(s) ? "1.2.840.10008.5.1.4.1.1.20" : "1.2.840.10008.5.1.4.1.1.128";
	s->is_signed = !iso_image_is_spect(s);
	s->images = !iso_image_is_spect(s)    ? s->volume->frames * s->volume->grid.size[2]
		    : s->volume->gating.gates ? 1
					      : s->volume->frames;
	s->scale = calloc(s->images, sizeof *s->scale);
	return s->scale ? ISO_OK : iso_fail_memory(err, "the slopes of the images", s->images * sizeof *s->scale);
}

static void release_series(iso_image_series *s)
{
	free(s->scale);
	s->scale = NULL;
}

/* --- the folder --------------------------------------------------------------------------------------------------- */

static bool is_ours(const char *name)
{
	unsigned frame, slice;
	int end = 0;
	if (iso_dicom_is_object_file(name)) return true;
	if (sscanf(name, "frame%u-slice%u.dcm%n", &frame, &slice, &end) == 2 && end && !name[end]) return true;
	end = 0;
	if (strcmp(name, ISO_RWVM_NAME) == 0) return true;
	return sscanf(name, "frame%u.dcm%n", &frame, &end) == 1 && end && !name[end];
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
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
		foreign = !is_ours(e->d_name);
		if (foreign) snprintf(name, sizeof name, "%.60s", e->d_name);
	}
	closedir(dir);
	return !foreign ? ISO_OK
			: iso_fail(err, ISO_BAD_USAGE, directory, "give a folder of its own to each series",
				   "the folder holds something else already (%s)", name);
}

static iso_status write_folder(const char *directory, iso_image_series *series, size_t *files, iso_error *err)
{
	iso_output output;
	iso_status status = iso_output_begin(&output, directory, err);
	if (status != ISO_OK) return status;
	if (mkdir(output.temporary, 0777) != 0) return iso_fail_errno(err, directory, "cannot make the folder");
	status = (iso_image_is_spect(series) ? iso_nm_write_files : iso_pet_write_files)(output.temporary, directory,
											 series, files, err);
	if (status == ISO_OK && series->options.real_world_values) {
		status = iso_rwvm_write_file(output.temporary, directory, series, err);
		if (status == ISO_OK) ++*files;
	}
	if (status == ISO_OK) status = iso_dicom_write_objects(output.temporary, directory, series, files, err);
	if (status == ISO_OK) return iso_output_commit(&output, err);
	iso_output_discard(&output);
	return status;
}

iso_status iso_dicom_write_images(const char *directory, const iso_volume *volume, const iso_dicom_dose *dose,
				  const iso_dicom_subject *subject, const iso_dicom_options *options,
				  iso_dicom_written *written, iso_error *err)
{
	iso_dicom_written ignored;
	if (!written) written = &ignored;
	memset(written, 0, sizeof *written);
	iso_image_series series = {.volume = volume, .dose = dose, .subject = subject};
	if (options) series.options = *options;
	if (series.options.real_world_values && !dose)
		return iso_fail(err, ISO_BAD_INPUT, directory, "state the dose",
				"without the injected activity there are no real world values in %%/g");
	iso_status status = prepare_series(&series, directory, err);
	if (status == ISO_OK) status = iso_dicom_check_objects(&series, err);
	if (status == ISO_OK) status = check_folder(directory, err);
	if (status == ISO_OK) status = write_folder(directory, &series, &written->files, err);
	written->largest_step = series.largest_step;
	release_series(&series);
	return status;
}
