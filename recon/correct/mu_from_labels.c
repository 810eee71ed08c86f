/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "isotrace/attenuation.h"

static iso_status find_mu(const iso_mu_label *row, double *per_cm, iso_error *err)
{
	*per_cm = row->mu_per_cm;
	if (isnan(*per_cm)) return iso_mu_of_material(row->material, row->density_g_per_ml, 511, per_cm, err);
	/* as the reconstruction's check of maps */
	if (*per_cm >= 0 && *per_cm <= 50) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, NULL, "give linear attenuation coefficients in 1/cm",
			"label %d has %g per cm", row->label, *per_cm);
}

static iso_status fill(const iso_image *labels, const iso_mu_label *rows, const double *per_cm, size_t count,
		       iso_image *mu, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&labels->grid);
	size_t r = 0; /* neighbours mostly share their label */
	for (size_t v = 0; v < voxels; v++) {
		const double label = (double)labels->voxels[v];
		if (!(r < count && (double)rows[r].label == label))
			for (r = 0; r < count && (double)rows[r].label != label;) r++;
		if (r == count && label != 0)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "add a row for it to the table",
					"the table has no label %g, which the image has", label);
		mu->voxels[v] = r < count ? (float)per_cm[r] : 0;
	}
	return ISO_OK;
}

iso_status iso_mu_from_labels(const iso_image *labels, const iso_mu_label *rows, size_t count, const iso_grid *grid,
			      iso_image **out, iso_error *err)
{
	*out = NULL;
	double *per_cm = calloc(count + 1, sizeof *per_cm);
	if (!per_cm) return iso_fail_memory(err, "a table of labels", count * sizeof *per_cm);
	iso_image *mu = NULL;
	iso_status status = ISO_OK;
	for (size_t r = 0; r < count && status == ISO_OK; r++) status = find_mu(rows + r, per_cm + r, err);
	if (status == ISO_OK) status = iso_image_create(&labels->grid, ISO_UNIT_PER_CM, &mu, err);
	if (status == ISO_OK) status = fill(labels, rows, per_cm, count, mu, err);
	if (status == ISO_OK && grid) {
		status = iso_image_resample(mu, grid, 0, out, err);
		iso_image_free(mu);
	} else if (status == ISO_OK)
		*out = mu;
	else
		iso_image_free(mu);
	free(per_cm);
	return status;
}
