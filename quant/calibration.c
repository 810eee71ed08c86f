/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a phantom's image and what was filled in to the calibration factor. */
#include "isotrace/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "isotrace/version.h"
#include "quant/uncertainty.h"

#define FEW_VOXELS  100
#define MOST_UNEVEN 0.05 /* of a slice's mean: beyond, the region is not inside the phantom or it was not mixed */

static bool is_inside(const iso_calibration_region *r, const double point_mm[3])
{
	const double d[3] = {point_mm[0] - r->centre_mm[0], point_mm[1] - r->centre_mm[1],
			     point_mm[2] - r->centre_mm[2]};
	if (r->kind == ISO_REGION_SPHERE) return d[0] * d[0] + d[1] * d[1] + d[2] * d[2] <= r->radius_mm * r->radius_mm;
	if (r->kind == ISO_REGION_CYLINDER)
		return d[0] * d[0] + d[1] * d[1] <= r->radius_mm * r->radius_mm && fabs(d[2]) <= r->height_mm / 2;
	const iso_grid *g = &r->labels->grid;
	double index[3];
	size_t at[3];
	iso_grid_index(g, point_mm, index);
	for (int a = 0; a < 3; a++) {
		const double nearest = rint(index[a]);
		if (!(nearest >= 0 && nearest < (double)g->size[a])) return false;
		at[a] = (size_t)nearest;
	}
	return r->labels->voxels[at[0] + g->size[0] * (at[1] + g->size[1] * at[2])] == (float)r->label;
}

/* The numbers of the voxels inside, in their order. */
static iso_status find_voxels(const iso_grid *g, const iso_calibration_region *region, size_t **voxel, size_t *count,
			      iso_error *err)
{
	*count = 0;
	*voxel = malloc(iso_grid_voxels(g) * sizeof **voxel);
	if (!*voxel) return iso_fail_memory(err, "a region", iso_grid_voxels(g) * sizeof **voxel);
	for (size_t k = 0; k < g->size[2]; k++)
		for (size_t j = 0; j < g->size[1]; j++)
			for (size_t i = 0; i < g->size[0]; i++) {
				double point[3];
				iso_grid_point_mm(g, (const double[]){(double)i, (double)j, (double)k}, point);
				if (is_inside(region, point))
					(*voxel)[(*count)++] = i + g->size[0] * (j + g->size[1] * k);
			}
	if (*count) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, NULL, "give the region in the image's mm (isotrace info shows its extent)",
			"no voxel of the image lies in the region");
}

static double mean_of(const float *values, const size_t *voxel, size_t count)
{
	double sum = 0;
	for (size_t n = 0; n < count; n++) sum += (double)values[voxel[n]];
	return sum / (double)count;
}

static void measure(const iso_volume *v, const float *values, const size_t *voxel, size_t count, iso_calibration *c)
{
	const size_t slice = v->grid.size[0] * v->grid.size[1];
	double squares = 0;
	c->voxels = count;
	c->region_ml = (double)count * iso_grid_voxel_ml(&v->grid);
	c->mean = mean_of(values, voxel, count);
	c->lowest = c->highest = (double)values[voxel[0]];
	for (size_t n = 0; n < count; n++) {
		const double value = (double)values[voxel[n]];
		squares += (value - c->mean) * (value - c->mean);
		c->lowest = fmin(c->lowest, value);
		c->highest = fmax(c->highest, value);
	}
	c->sd = count > 1 ? sqrt(squares / (double)(count - 1)) : 0;
	/* slices with less than half of the voxels of a usual one are the caps of a sphere: too noisy to judge */
	const size_t least = count / v->grid.size[2] / 2;
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first; next < count && voxel[next] / slice == voxel[first] / slice;) next++;
		if (next - first > least && c->mean > 0)
			c->slices_deviation =
			    fmax(c->slices_deviation, fabs(mean_of(values, voxel + first, next - first) / c->mean - 1));
	}
}

/* Relative standard uncertainty of the region's mean from the replicates. */
static iso_status measure_noise(const iso_volume *v, size_t frame, const size_t *voxel, size_t count,
				iso_calibration *c, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(&v->grid);
	c->u_noise = (double)NAN;
	if (v->replicates < 2) return ISO_OK;
	double *mean = calloc(v->replicates, sizeof *mean);
	if (!mean) return iso_fail_memory(err, "replicates", v->replicates * sizeof *mean);
	for (size_t r = 0; r < v->replicates; r++)
		mean[r] = mean_of(v->replicate_voxels + (r * v->frames + frame) * voxels, voxel, count);
	c->u_noise = iso_relative_error_of_mean(mean, v->replicates, c->mean);
	free(mean);
	return ISO_OK;
}

static iso_status check(const iso_volume *v, size_t frame, const iso_assayed_phantom *p,
			const iso_calibration_region *r, iso_error *err)
{
	if (v->gating.gates)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct the phantom without gates",
				"a phantom does not beat: the image has %zu gates", v->gating.gates);
	if (frame >= v->frames)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a frame that is there", "frame %zu of %zu", frame + 1,
				v->frames);
	const bool by_activity = p->activity_bq > 0 && p->volume_ml > 0, direct = p->concentration_bq_per_ml > 0;
	if (by_activity == direct ||
	    !isfinite(by_activity ? p->activity_bq / p->volume_ml : p->concentration_bq_per_ml))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give activity and volume, or the concentration",
				"the phantom's concentration is %s",
				direct && by_activity ? "stated twice" : "not stated, or not above 0");
	if (!isfinite(p->assay_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state the time for which the activity holds",
				"no time of the assay");
	if (!(p->assay_uncertainty >= 0 && p->assay_uncertainty < 1) ||
	    !(p->volume_uncertainty >= 0 && p->volume_uncertainty < 1))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give percents from 0 to below 100",
				"uncertainties of %g (assay) and %g (volume)", p->assay_uncertainty,
				p->volume_uncertainty);
	if (r->kind == ISO_REGION_LABEL ? !r->labels || r->label < 1 : !(r->radius_mm > 0))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a radius > 0 mm, or labels and a label >= 1",
				"the region is not described");
	if (v->unit != ISO_UNIT_COUNTS_PER_S_MM && v->unit != ISO_UNIT_BQ_PER_ML)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct the phantom with --uncalibrated",
				"an image in %s cannot be calibrated", iso_unit_text(v->unit));
	if (v->unit == ISO_UNIT_BQ_PER_ML && !(v->calibration_factor > 0 && v->branching_fraction > 0))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct the phantom with --uncalibrated",
				"the image is in Bq/mL by a factor that it does not state");
	return ISO_OK;
}

/* Concentration in the phantom at the time of the image, and what the half-life adds to its uncertainty. */
static iso_status expect(const iso_volume *v, size_t frame, const iso_assayed_phantom *p, const iso_nuclide *nuclide,
			 iso_calibration *c, iso_error *err)
{
	const double start = isnan(p->scan_start_utc_s) ? v->acquisition.start_utc_s : p->scan_start_utc_s;
	const iso_frame *f = v->frame + frame;
	if (!isfinite(start))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --scan-start TIME",
				"the image does not say when the scan began");
	c->scan_utc_s = start;
	c->assay_utc_s = p->assay_utc_s;
	c->concentration_bq_per_ml =
	    p->concentration_bq_per_ml > 0 ? p->concentration_bq_per_ml : p->activity_bq / p->volume_ml;
	const bool corrected = isfinite(v->decay_reference_s);
	double elapsed_s = start - p->assay_utc_s + (corrected ? v->decay_reference_s : 0);
	double decay = iso_decay_factor(nuclide->half_life_s, elapsed_s);
	if (!corrected) {
		decay *= iso_decay_integral_s(nuclide->half_life_s, f->start_s, f->duration_s) / f->duration_s;
		elapsed_s += f->start_s + f->duration_s / 2;
	}
	c->expected_bq_per_ml = c->concentration_bq_per_ml * decay;
	c->u_half_life =
	    log(2.0) * fabs(elapsed_s) / nuclide->half_life_s * nuclide->half_life_uncertainty_s / nuclide->half_life_s;
	if (c->expected_bq_per_ml > 0 && isfinite(c->expected_bq_per_ml)) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, NULL, "correct the times of assay and scan",
			"%.3g half-lives between assay and scan leave %g Bq/mL", elapsed_s / nuclide->half_life_s,
			c->expected_bq_per_ml);
}

static void tell(const iso_calibration *c, const iso_progress *progress)
{
	if (c->voxels < FEW_VOXELS)
		iso_note(progress, "calibration: only %zu voxels in the region; a larger one is more certain",
			 c->voxels);
	if (isnan(c->u_noise))
		iso_note(progress, "calibration: the image has no replicates: its noise is not in the uncertainty");
	if (c->slices_deviation > MOST_UNEVEN)
		iso_note(
		    progress,
		    "calibration: a slice of the region deviates by %.1f %% from its mean: is all of it inside the "
		    "phantom, and mixed?",
		    100 * c->slices_deviation);
	if (!isnan(c->earlier_factor))
		iso_note(progress, "calibration: the image was calibrated with %g; the new factor is %+.2f %% from it",
			 c->earlier_factor, 100 * (c->factor / c->earlier_factor - 1));
}

static void state_facts(const iso_volume *v, const iso_assayed_phantom *p, const iso_nuclide *nuclide,
			iso_calibration *c)
{
	snprintf(c->scanner_name, sizeof c->scanner_name, "%s", v->acquisition.scanner_name);
	snprintf(c->scanner_hash, sizeof c->scanner_hash, "%s", v->facts.scanner_hash);
	snprintf(c->nuclide, sizeof c->nuclide, "%s", nuclide->name);
	c->branching_fraction = nuclide->branching_fraction;
	c->branching_uncertainty = nuclide->branching_uncertainty / nuclide->branching_fraction;
	c->half_life_s = nuclide->half_life_s;
	c->u_assay = p->assay_uncertainty;
	c->u_volume = p->volume_uncertainty;
	c->corrections = v->corrections;
	c->earlier_factor = v->unit == ISO_UNIT_BQ_PER_ML ? v->calibration_factor : (double)NAN;
	snprintf(c->software, sizeof c->software, "isotrace %s", ISO_VERSION);
}

/* Bq/mL back to counts/s/mm. */
static void undo_calibration(const iso_volume *v, iso_calibration *c)
{
	if (v->unit != ISO_UNIT_BQ_PER_ML) return;
	const double back = v->branching_fraction / v->calibration_factor;
	c->mean *= back;
	c->sd *= back;
	c->lowest *= back;
	c->highest *= back;
}

iso_status iso_calibrate(const iso_volume *volume, size_t frame, const iso_assayed_phantom *phantom,
			 const iso_calibration_region *region, const iso_progress *progress, iso_calibration *out,
			 iso_error *err)
{
	memset(out, 0, sizeof *out);
	const iso_nuclide *nuclide = NULL;
	size_t *voxel = NULL, count = 0;
	iso_status status = check(volume, frame, phantom, region, err);
	if (status == ISO_OK && !volume->acquisition.nuclide[0])
		status = iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct the phantom with --nuclide NAME",
				  "the image does not say its nuclide");
	if (status == ISO_OK) status = iso_nuclide_find(volume->acquisition.nuclide, NULL, &nuclide, err);
	if (status == ISO_OK) status = expect(volume, frame, phantom, nuclide, out, err);
	if (status == ISO_OK) status = find_voxels(&volume->grid, region, &voxel, &count, err);
	if (status == ISO_OK) {
		state_facts(volume, phantom, nuclide, out);
		measure(volume, volume->voxels + frame * iso_grid_voxels(&volume->grid), voxel, count, out);
		status = measure_noise(volume, frame, voxel, count, out, err);
		undo_calibration(volume, out);
	}
	free(voxel);
	if (status == ISO_OK && !(out->mean > 0 && isfinite(out->mean)))
		status = iso_fail(err, ISO_BAD_INPUT, NULL, "give a region inside the phantom",
				  "the image's mean in the region is %g", out->mean);
	if (status != ISO_OK) return status;
	out->factor = out->expected_bq_per_ml * nuclide->branching_fraction / out->mean;
	out->uncertainty = iso_quadrature((double[]){out->u_assay, out->u_volume, out->u_noise, out->u_half_life}, 4);
	tell(out, progress);
	return ISO_OK;
}
