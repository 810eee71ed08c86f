/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The phantom on a grid. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "simulate/body.h"

/* Samples along each axis of a voxel that a surface may cut: the fraction of a voxel is right to some 0.2 % of it. */
enum { SAMPLES = 6, MOST_SHAPES_PER_VOXEL = 256 };

/* What a sample of each organ contributes, and what one outside all of them does. */
typedef struct painting {
	const iso_body *body;
	const iso_phantom *phantom;
	const double *value; /* [organs] */
	bool majority;
	iso_image *image;
} painting;

typedef enum side { OUTSIDE, INSIDE, CUT } side;

/* Where a ball lies. In the shape's unit coordinates a step of 1 mm is at most 1/smallest half axis. */
static side side_of(const iso_body_shape *shape, const double centre_mm[3], double radius_mm)
{
	double u[3];
	for (int i = 0; i < 3; i++) {
		u[i] = 0;
		for (int a = 0; a < 3; a++) u[i] += shape->to_unit[i][a] * (centre_mm[a] - shape->centre_mm[a]);
	}
	const double slack = radius_mm / shape->smallest_mm;
	const double across2 = u[0] * u[0] + u[1] * u[1];
	if (shape->kind == ISO_SHAPE_ELLIPSOID) {
		const double r = sqrt(across2 + u[2] * u[2]);
		return r > 1 + slack ? OUTSIDE : r < 1 - slack ? INSIDE : CUT;
	}
	const double r = fmax(sqrt(across2), fabs(u[2]));
	return r > 1 + slack ? OUTSIDE : r < 1 - slack ? INSIDE : CUT;
}

/* Samples a voxel among the shapes that may hold part of it, last first; `beneath` owns what none of them does. */
static double sample_voxel(const painting *p, const double index[3], const size_t *cut, size_t cuts, int beneath)
{
	int votes[MOST_SHAPES_PER_VOXEL + 1] = {0};
	for (int n = 0; n < SAMPLES * SAMPLES * SAMPLES; n++) {
		const double at[3] = {index[0] + (n % SAMPLES + 0.5) / SAMPLES - 0.5,
				      index[1] + (n / SAMPLES % SAMPLES + 0.5) / SAMPLES - 0.5,
				      index[2] + (n / (SAMPLES * SAMPLES) + 0.5) / SAMPLES - 0.5};
		double point[3];
		iso_grid_point_mm(&p->image->grid, at, point);
		size_t c = 0;
		while (c < cuts && !iso_body_shape_holds(&p->body->shape[cut[c]], point)) c++;
		votes[c]++;
	}
	/* Shapes of the same organ vote together. */
	double sum = 0, best = 0;
	int most = 0;
	for (size_t c = 0; c <= cuts; c++) {
		const int owner = c < cuts ? (int)p->body->shape[cut[c]].organ : beneath;
		const double value = owner < 0 ? 0 : p->value[owner];
		sum += votes[c] * value;
		int together = 0;
		for (size_t other = 0; other <= cuts; other++)
			if ((other < cuts ? (int)p->body->shape[cut[other]].organ : beneath) == owner)
				together += votes[other];
		if (together > most) {
			most = together;
			best = value;
		}
	}
	return p->majority ? best : sum / (SAMPLES * SAMPLES * SAMPLES);
}

/* A voxel of a voxelised phantom's truth: samples decide as in sample_voxel, but any organ may be met. */
static double sample_labels(const painting *p, const double index[3], int *votes)
{
	const size_t organs = p->phantom->organs;
	double sum = 0;
	memset(votes, 0, (organs + 1) * sizeof *votes);
	for (int n = 0; n < SAMPLES * SAMPLES * SAMPLES; n++) {
		const double at[3] = {index[0] + (n % SAMPLES + 0.5) / SAMPLES - 0.5,
				      index[1] + (n / SAMPLES % SAMPLES + 0.5) / SAMPLES - 0.5,
				      index[2] + (n / (SAMPLES * SAMPLES) + 0.5) / SAMPLES - 0.5};
		double point[3];
		iso_grid_point_mm(&p->image->grid, at, point);
		const int owner = iso_body_owner(p->body, 0, point);
		votes[owner < 0 ? organs : (size_t)owner]++;
		if (owner >= 0) sum += p->value[owner];
	}
	size_t most = organs;
	for (size_t o = 0; o < organs; o++)
		if (votes[o] > votes[most]) most = o;
	const double best = most < organs ? p->value[most] : 0;
	return p->majority ? best : sum / (SAMPLES * SAMPLES * SAMPLES);
}

static void paint_labels(const painting *p, size_t k, int *votes)
{
	const iso_grid *grid = &p->image->grid;
	for (size_t j = 0; j < grid->size[1]; j++)
		for (size_t i = 0; i < grid->size[0]; i++) {
			const double index[3] = {(double)i, (double)j, (double)k};
			p->image->voxels[i + grid->size[0] * (j + grid->size[1] * k)] =
			    (float)sample_labels(p, index, votes);
		}
}

static void paint_slice(const painting *p, size_t k)
{
	const iso_grid *grid = &p->image->grid;
	const double radius = 0.5 * sqrt(grid->voxel_mm[0] * grid->voxel_mm[0] + grid->voxel_mm[1] * grid->voxel_mm[1] +
					 grid->voxel_mm[2] * grid->voxel_mm[2]);
	size_t cut[MOST_SHAPES_PER_VOXEL];
	for (size_t j = 0; j < grid->size[1]; j++)
		for (size_t i = 0; i < grid->size[0]; i++) {
			const double index[3] = {(double)i, (double)j, (double)k};
			double centre[3];
			iso_grid_point_mm(grid, index, centre);
			size_t cuts = 0;
			int beneath = -1;
			for (size_t s = p->body->shapes; s-- > 0;) {
				const side where = side_of(&p->body->shape[s], centre, radius);
				if (where == INSIDE) {
					beneath = (int)p->body->shape[s].organ;
					break;
				}
				if (where == CUT) cut[cuts++] = s;
			}
			const double value = cuts          ? sample_voxel(p, index, cut, cuts, beneath)
					     : beneath < 0 ? 0
							   : p->value[beneath];
			p->image->voxels[i + grid->size[0] * (j + grid->size[1] * k)] = (float)value;
		}
}

iso_status iso_scene_truth(const iso_scene *scene, iso_truth what, iso_image **out, iso_error *err)
{
	static const iso_unit unit[] = {ISO_UNIT_LABEL, ISO_UNIT_PER_CM, ISO_UNIT_BQ_PER_ML};
	*out = NULL;
	const size_t organs = scene->phantom.organs;
	double *value = calloc(organs ? organs : 1, sizeof *value);
	int *votes = calloc(scene->phantom.labels ? scene->truth_grid.size[2] * (organs + 1) : 1, sizeof *votes);
	if (!value || !votes) {
		free(value);
		free(votes);
		return iso_fail_memory(err, "the truth", organs * sizeof *value);
	}
	for (size_t o = 0; o < organs; o++) {
		const iso_phantom_organ *organ = &scene->phantom.organ[o];
		value[o] = what == ISO_TRUTH_LABELS ? organ->label
			   : what == ISO_TRUTH_MU   ? organ->mu_per_cm
						    : organ->activity_bq / organ->volume_ml;
	}
	iso_body body;
	iso_status status = iso_body_create(&scene->phantom, &body, err);
	if (status == ISO_OK) status = iso_image_create(&scene->truth_grid, unit[what], out, err);
	if (status == ISO_OK) {
		const painting p = {.body = &body,
				    .phantom = &scene->phantom,
				    .value = value,
				    .majority = what == ISO_TRUTH_LABELS,
				    .image = *out};
		const ptrdiff_t slices = (ptrdiff_t)scene->truth_grid.size[2];
#pragma omp parallel for schedule(dynamic)
		for (ptrdiff_t k = 0; k < slices; k++) {
			if (body.voxels)
				paint_labels(&p, (size_t)k, votes + (size_t)k * (organs + 1));
			else
				paint_slice(&p, (size_t)k);
		}
	}
	iso_body_free(&body);
	free(value);
	free(votes);
	return status;
}
