/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT becomes a map of mu: is all of the body in it, what is each voxel, what is the mean over the PET's voxels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "core/number_text.h"
#include "isotrace/attenuation.h"
#include "isotrace/recon.h"

#define TISSUE_HU     (-300.0F) /* what is denser is body or couch; lung lies below */
#define MOST_BORDER   0.02      /* of the border: a couch's two edges are less, an arm's length is more */
#define SLICE_BORDER  0.05
#define MOST_END_AREA 0.02 /* of an end slice: a tail or a couch is less */

iso_mu_options iso_mu_options_default(void)
{
	return (iso_mu_options){.truncation = ISO_CT_TRUNCATION_REFUSE};
}

/* Distance from the middle of the slice: 1 on the circle that touches the matrix' sides. */
static double radius(const iso_grid *g, size_t i, size_t j)
{
	const double x = (2 * (double)i + 1) / (double)g->size[0] - 1, y = (2 * (double)j + 1) / (double)g->size[1] - 1;
	return sqrt(x * x + y * y);
}

/* Scanners that reconstruct a circle leave one value, or air, in the corners: then the circle is the border, else the matrix. */
static bool is_circular(const iso_image *ct)
{
	const iso_grid *g = &ct->grid;
	const double margin = 1 + 3.0 / (double)g->size[0];
	const float corner = ct->voxels[0];
	for (size_t k = 0; k < g->size[2]; k++)
		for (size_t j = 0; j < g->size[1]; j++)
			for (size_t i = 0; i < g->size[0]; i++) {
				const float hu = ct->voxels[i + g->size[0] * (j + g->size[1] * k)];
				if (hu != corner && hu > -950 && radius(g, i, j) > margin) return false;
			}
	return true;
}

static bool on_border(const iso_grid *g, bool circular, size_t i, size_t j)
{
	if (!circular) return i == 0 || j == 0 || i + 1 == g->size[0] || j + 1 == g->size[1];
	const double pixel = 2.0 / (double)(g->size[0] < g->size[1] ? g->size[0] : g->size[1]), r = radius(g, i, j);
	return r > 1 - 2.5 * pixel && r <= 1 - 1.5 * pixel;
}

static void measure_border(const iso_image *ct, bool circular, iso_mu_report *report)
{
	const iso_grid *g = &ct->grid;
	size_t border = 0, tissue = 0;
	for (size_t k = 0; k < g->size[2]; k++) {
		size_t here = 0, cut = 0;
		for (size_t j = 0; j < g->size[1]; j++)
			for (size_t i = 0; i < g->size[0]; i++) {
				if (!on_border(g, circular, i, j)) continue;
				here++;
				cut += ct->voxels[i + g->size[0] * (j + g->size[1] * k)] > TISSUE_HU;
			}
		border += here;
		tissue += cut;
		report->border_slices += (double)cut > SLICE_BORDER * (double)here;
	}
	report->border_share = border ? (double)tissue / (double)border : 0;
}

static bool has_body(const iso_image *ct, size_t k)
{
	const size_t area = ct->grid.size[0] * ct->grid.size[1];
	size_t tissue = 0;
	for (size_t v = 0; v < area; v++) tissue += ct->voxels[k * area + v] > TISSUE_HU;
	return (double)tissue > MOST_END_AREA * (double)area;
}

/* How far the wanted grid reaches beyond the CT's end slices, along their normal. */
static void measure_ends(const iso_image *ct, const iso_grid *grid, iso_mu_report *report)
{
	const iso_grid *g = &ct->grid;
	double low = (double)INFINITY, high = -(double)INFINITY;
	for (int corner = 0; corner < 8; corner++) {
		double at[3], point[3], index[3];
		for (int a = 0; a < 3; a++) at[a] = corner >> a & 1 ? (double)grid->size[a] - 1 : 0;
		iso_grid_point_mm(grid, at, point);
		iso_grid_index(g, point, index);
		low = fmin(low, index[2]);
		high = fmax(high, index[2]);
	}
	/* a voxel of either grid is no truncation */
	const double slack = fmax(g->voxel_mm[2], fmax(grid->voxel_mm[0], fmax(grid->voxel_mm[1], grid->voxel_mm[2])));
	const double beyond[2] = {-low * g->voxel_mm[2], (high - (double)(g->size[2] - 1)) * g->voxel_mm[2]};
	for (int end = 0; end < 2; end++)
		if (beyond[end] > slack && has_body(ct, end ? g->size[2] - 1 : 0))
			report->missing_mm[end] = beyond[end];
}

static iso_status judge_truncation(const iso_mu_options *o, const iso_mu_report *r, iso_error *err)
{
	const bool sides = r->border_share > MOST_BORDER, ends = r->missing_mm[0] > 0 || r->missing_mm[1] > 0;
	char text[300] = "";
	if (r->border_share > 0)
		iso_snprintf(text, sizeof text,
			     "tissue on %.1f %% of the border of its field (in %zu slices on more than 5 %%)",
			     100 * r->border_share, r->border_slices);
	if (ends)
		iso_snprintf(
		    text + strlen(text), sizeof text - strlen(text),
		    "%sthe image goes on for %.3g mm and %.3g mm beyond its first and last slice, which cut a body",
		    text[0] ? "; " : "", r->missing_mm[0], r->missing_mm[1]);
	if ((sides || ends) && o->truncation == ISO_CT_TRUNCATION_REFUSE)
		return iso_fail(
		    err, ISO_BAD_INPUT, NULL,
		    "use a CT with a larger field, give --ct-truncation extend with --ct-outline, or ignore it "
		    "with --ct-truncation ignore",
		    "the CT is truncated: %s", text);
	if (text[0])
		iso_note(o->progress, "CT truncated: %s%s", text,
			 o->truncation == ISO_CT_TRUNCATION_EXTEND ? "; the outline is filled with water"
								   : "; what is not in the CT counts as air");
	return ISO_OK;
}

static void convert(iso_image *ct, const iso_mu_options *o, iso_mu_report *report)
{
	const size_t voxels = iso_grid_voxels(&ct->grid);
	report->most_found_hu = -(double)INFINITY;
	for (size_t v = 0; v < voxels; v++) {
		const double hu = (double)ct->voxels[v];
		report->clamped += hu > o->curve.most_hu;
		report->most_found_hu = fmax(report->most_found_hu, hu);
		ct->voxels[v] = (float)iso_mu_of_hu(&o->curve, hu);
	}
	ct->unit = ISO_UNIT_PER_CM;
	if (report->clamped)
		iso_note(o->progress,
			 "CT: %zu voxels above %g HU (up to %g HU; metal or contrast agent?) count as %g HU",
			 report->clamped, o->curve.most_hu, report->most_found_hu, o->curve.most_hu);
}

/* Water where the outline has a body and the CT has no data. ct is used as the map of where it has data. */
static iso_status extend(iso_image *ct, bool circular, const iso_mu_options *o, iso_image *mu, iso_mu_report *report,
			 iso_error *err)
{
	const iso_grid *g = &ct->grid;
	iso_image *covered = NULL, *body = NULL, *mask = NULL;
	for (size_t k = 0; k < g->size[2]; k++)
		for (size_t j = 0; j < g->size[1]; j++)
			for (size_t i = 0; i < g->size[0]; i++)
				ct->voxels[i + g->size[0] * (j + g->size[1] * k)] =
				    !circular || radius(g, i, j) <= 1 ? 1 : 0;
	iso_status status = iso_image_resample(ct, &mu->grid, 0, &covered, err);
	if (status == ISO_OK) status = iso_image_create(&o->outline->grid, ISO_UNIT_FRACTION, &mask, err);
	for (size_t v = 0; status == ISO_OK && v < iso_grid_voxels(&mask->grid); v++)
		mask->voxels[v] = o->outline->voxels[v] > 0 ? 1 : 0;
	if (status == ISO_OK) status = iso_image_resample(mask, &mu->grid, 0, &body, err);
	for (size_t v = 0; status == ISO_OK && v < iso_grid_voxels(&mu->grid); v++) {
		const double part = fmax(0, (double)body->voxels[v] * (1 - (double)covered->voxels[v]));
		mu->voxels[v] += (float)(part * o->curve.water_per_cm);
		report->extended_ml += part * iso_grid_voxel_ml(&mu->grid);
	}
	iso_image_free(covered);
	iso_image_free(mask);
	iso_image_free(body);
	return status;
}

static double total(const iso_image *image)
{
	double sum = 0;
	for (size_t v = 0; v < iso_grid_voxels(&image->grid); v++) sum += (double)image->voxels[v];
	return sum * iso_grid_voxel_ml(&image->grid);
}

static iso_status check(const iso_image *ct, const iso_mu_options *o, iso_error *err)
{
	if (ct->unit != ISO_UNIT_HU)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "read the CT as HU", "the CT's unit is %s",
				iso_unit_text(ct->unit));
	if (!(o->curve.water_per_cm > 0) || !(o->curve.most_hu > o->curve.break_hu))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "find the curve of the tube voltage first",
				"no curve from HU to 1/cm");
	if (!(o->blur_fwhm_mm >= 0 && o->blur_fwhm_mm < 1e3))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 0 mm (none) or more", "a blur of %g mm",
				o->blur_fwhm_mm);
	if (o->truncation == ISO_CT_TRUNCATION_EXTEND && !o->outline)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --ct-outline IMAGE, which is above 0 inside the body",
				"extending a truncated CT needs the body's outline");
	for (size_t v = 0; v < iso_grid_voxels(&ct->grid); v++)
		if (!isfinite(ct->voxels[v]))
			return iso_fail(err, ISO_BAD_INPUT, NULL, "export the CT again",
					"voxel %zu of the CT is no number", v);
	return ISO_OK;
}

/* The map on the wanted grid, once ct is in 1/cm. */
static iso_status bring_to_grid(iso_image *ct, bool circular, const iso_mu_options *o, const iso_grid *grid,
				iso_image **out, iso_mu_report *report, iso_error *err)
{
	const iso_filter blur = {.kind = ISO_FILTER_GAUSSIAN, .fwhm_mm = o->blur_fwhm_mm};
	const double all = total(ct);
	iso_status status = iso_image_resample(ct, grid ? grid : &ct->grid, 0, out, err);
	if (status != ISO_OK) return status;
	/* interpolation to finer voxels makes up to some 1e-3 at the edges */
	report->outside_fraction = all > 0 ? fmax(0, 1 - total(*out) / all) : 0;
	if (report->outside_fraction > 0.01)
		iso_note(o->progress, "CT: %.1f %% of its attenuation lies outside the grid and is left out",
			 100 * report->outside_fraction);
	if (o->truncation == ISO_CT_TRUNCATION_EXTEND) {
		status = extend(ct, circular, o, *out, report, err);
		if (status == ISO_OK)
			iso_note(o->progress, "CT: %.4g mL of the outline lie outside the CT and count as water",
				 report->extended_ml);
	}
	if (status == ISO_OK && o->blur_fwhm_mm > 0)
		status = iso_filter_apply(&blur, &(*out)->grid, (*out)->voxels, o->threads, err);
	if (status == ISO_OK) return ISO_OK;
	iso_image_free(*out);
	*out = NULL;
	return status;
}

iso_status iso_mu_from_ct(iso_image *ct, const iso_mu_options *options, const iso_grid *grid, iso_image **out,
			  iso_mu_report *report, iso_error *err)
{
	iso_mu_report own;
	*out = NULL;
	if (!report) report = &own;
	memset(report, 0, sizeof *report);
	iso_status status = check(ct, options, err);
	if (status == ISO_OK && grid) status = iso_grid_check(grid, NULL, err);
	if (status != ISO_OK) return status;
	for (int k = 0; k < 3; k++) ct->grid.origin_mm[k] += options->offset_mm[k];
	const bool circular = is_circular(ct);
	measure_border(ct, circular, report);
	if (grid) measure_ends(ct, grid, report);
	status = judge_truncation(options, report, err);
	if (status != ISO_OK) return status;
	convert(ct, options, report);
	return bring_to_grid(ct, circular, options, grid, out, report, err);
}

iso_grid iso_grid_covering(const iso_grid *grid, const iso_grid *image_grid, const double offset_mm[3])
{
	iso_grid wide = *grid;
	double first[3] = {0, 0, 0};
	for (int a = 0; a < 3; a++) {
		double low = -0.5, high = (double)grid->size[a] - 0.5;
		for (int corner = 0; corner < 8; corner++) {
			double at[3], point[3], index[3];
			for (int b = 0; b < 3; b++) at[b] = corner >> b & 1 ? (double)image_grid->size[b] - 0.5 : -0.5;
			iso_grid_point_mm(image_grid, at, point);
			for (int k = 0; k < 3; k++) point[k] += offset_mm[k];
			iso_grid_index(grid, point, index);
			low = fmin(low, index[a]);
			high = fmax(high, index[a]);
		}
		/* whole voxels; 1e-6 of one is rounding */
		first[a] = -ceil(-0.5 - low - 1e-6);
		/* what is too large stays too large, for iso_grid_check to refuse */
		const double count = ceil(high - 0.5 - 1e-6) - first[a] + 1;
		wide.size[a] = count < 65536 ? (size_t)count : 65536;
	}
	iso_grid_point_mm(grid, first, wide.origin_mm);
	return wide;
}

char *iso_mu_text(const iso_mu_facts *facts, char text[96])
{
	if (facts->labels[0])
		snprintf(text, 96, "labels %.40s, table %.35s", facts->labels, facts->table);
	else
		snprintf(text, 96, "CT %.40s, %.45s", facts->ct.source, facts->curve.source);
	return text;
}
