/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A volume is two or three files: the image, its sidecar and, with replicates, their image. */
#define _GNU_SOURCE
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/output.h"
#include "io/nifti_file.h"
#include "io/sidecar.h"
#include "isotrace/nifti.h"

typedef struct {
	char sidecar[PATH_MAX], replicates[PATH_MAX];
} names;

static iso_status find_names(const char *path, names *n, iso_error *err)
{
	size_t stem;
	iso_status status = iso_nifti_check_name(path, &stem, err);
	if (status != ISO_OK) return status;
	if (stem + sizeof "_replicates.nii.gz" > PATH_MAX)
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the name is too long");
	snprintf(n->sidecar, sizeof n->sidecar, "%.*s.json", (int)stem, path);
	snprintf(n->replicates, sizeof n->replicates, "%.*s_replicates%s", (int)stem, path, path + stem);
	return ISO_OK;
}

/* The frames' common duration when they follow each other without gaps, else 0. */
static double uniform_step_s(const iso_volume *volume)
{
	const iso_frame *frame = volume->frame;
	for (size_t f = 1; f < volume->frames; f++)
		if (fabs(frame[f].duration_s - frame[0].duration_s) > 1e-6 ||
		    fabs(frame[f].start_s - frame[f - 1].start_s - frame[f - 1].duration_s) > 1e-6)
			return 0;
	return volume->frames > 1 ? frame[0].duration_s : 0;
}

/* Writes one image to its temporary name. */
static iso_status write_part(iso_output *output, const char *path, const iso_nifti_content *content, iso_error *err)
{
	iso_status status = iso_output_begin(output, path, err);
	if (status == ISO_OK) status = iso_nifti_write(output->temporary, path, content, err);
	return status;
}

static iso_status check_volume(const char *path, const iso_volume *volume, iso_error *err)
{
	if (volume->unit == ISO_UNIT_UNKNOWN)
		return iso_fail(err, ISO_BAD_INPUT, path, "state what the voxels are",
				"a volume without a unit is not written");
	for (size_t f = 0; f < volume->frames; f++)
		if (!isfinite(volume->frame[f].start_s) || !(volume->frame[f].duration_s >= 0) ||
		    !isfinite(volume->frame[f].duration_s))
			return iso_fail(err, ISO_BAD_INPUT, path, "state the frames in s", "frame %zu has no times", f);
	return iso_volume_check_gating(volume, path, err);
}

iso_status iso_volume_write(const char *path, const iso_volume *volume, iso_error *err)
{
	names n;
	iso_status status = find_names(path, &n, err);
	if (status == ISO_OK) status = check_volume(path, volume, err);
	if (status != ISO_OK) return status;
	char *text = NULL;
	if ((status = iso_sidecar_text(volume, n.sidecar, &text, err)) != ISO_OK) return status;
	iso_output image = {.temporary = ""}, replicates = {.temporary = ""};
	const iso_nifti_content content = {.grid = &volume->grid,
					   .volumes = volume->frames,
					   .time_step_s = uniform_step_s(volume),
					   .description = iso_unit_text(volume->unit),
					   .values = volume->voxels};
	status = write_part(&image, path, &content, err);
	if (status == ISO_OK && volume->replicates) {
		const iso_nifti_content all = {.grid = &volume->grid,
					       .volumes = volume->replicates * volume->frames,
					       .four_dimensional = true,
					       .description = "replicates",
					       .values = volume->replicate_voxels};
		status = write_part(&replicates, n.replicates, &all, err);
	}
	if (status == ISO_OK) {
		/* An earlier volume of this name ends here: its sidecar must never stand beside the new voxels. */
		(void)unlink(n.sidecar);
		status = iso_output_commit(&image, err);
	}
	if (status == ISO_OK && volume->replicates)
		status = iso_output_commit(&replicates, err);
	else if (status == ISO_OK)
		(void)unlink(n.replicates);
	if (status == ISO_OK) status = iso_output_write(n.sidecar, text, strlen(text), err);
	iso_output_discard(&image);
	iso_output_discard(&replicates);
	free(text);
	return status;
}

/* The image's header has the grid in float32; the sidecar's doubles must agree with it. */
static iso_status check_grid(const iso_volume *volume, const iso_nifti *nifti, size_t volumes, iso_error *err)
{
	const iso_grid *stated = &volume->grid;
	bool same = nifti->volumes == volumes;
	for (int a = 0; a < 3; a++) same = same && stated->size[a] == nifti->grid.size[a];
	if (!same)
		return iso_fail(err, ISO_BAD_INPUT, nifti->path, "restore the sidecar that was written with this image",
				"%zu images of %zu x %zu x %zu voxels, but the sidecar says %zu of %zu x %zu x %zu",
				nifti->volumes, nifti->grid.size[0], nifti->grid.size[1], nifti->grid.size[2], volumes,
				stated->size[0], stated->size[1], stated->size[2]);
	for (int corner = 0; corner < 8; corner++) {
		double index[3], one[3], two[3];
		for (int a = 0; a < 3; a++) index[a] = corner >> a & 1 ? (double)stated->size[a] : 0;
		iso_grid_point_mm(stated, index, one);
		iso_grid_point_mm(&nifti->grid, index, two);
		for (int k = 0; k < 3; k++)
			if (!(fabs(one[k] - two[k]) <= 1e-3))
				return iso_fail(err, ISO_BAD_INPUT, nifti->path,
						"restore the sidecar that was written with this image",
						"the image lies %g mm from where its sidecar says",
						fabs(one[k] - two[k]));
	}
	return ISO_OK;
}

/* Reads `volumes` images of the stated grid into fresh memory. */
static iso_status read_voxels(const char *path, iso_volume *volume, size_t volumes, float **voxels, iso_error *err)
{
	iso_nifti nifti;
	iso_status status = iso_nifti_open(path, &nifti, err);
	if (status != ISO_OK) return status;
	if (volume->grid.size[0] == 0) volume->grid = nifti.grid;
	status = check_grid(volume, &nifti, volumes, err);
	if (status == ISO_OK) {
		const size_t count = iso_grid_voxels(&volume->grid) * volumes;
		*voxels = malloc(count * sizeof **voxels);
		status = *voxels ? iso_nifti_read(&nifti, *voxels, count, err)
				 : iso_fail_memory(err, "a volume", count * sizeof **voxels);
	}
	if (status == ISO_OK) status = iso_nifti_finish(&nifti, err);
	iso_nifti_close(&nifti);
	return status;
}

iso_status iso_volume_read(const char *path, iso_volume **out, iso_error *err)
{
	*out = NULL;
	names n;
	iso_status status = find_names(path, &n, err);
	if (status != ISO_OK) return status;
	if (access(path, F_OK) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "check the name and that it may be read",
				"there is no such file");
	if (access(n.sidecar, F_OK) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "keep the .json that was written beside it",
				"the image has no sidecar, so that its unit and times are not known");
	iso_volume *volume = NULL;
	if ((status = iso_sidecar_read(n.sidecar, &volume, err)) != ISO_OK) return status;
	status = read_voxels(path, volume, volume->frames, &volume->voxels, err);
	if (status == ISO_OK && volume->replicates)
		status = read_voxels(n.replicates, volume, volume->frames * volume->replicates,
				     &volume->replicate_voxels, err);
	if (status != ISO_OK) {
		iso_volume_free(volume);
		return status;
	}
	*out = volume;
	return ISO_OK;
}
