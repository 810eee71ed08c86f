/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/body_voxels.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "simulate/draw.h"

struct iso_body_voxels {
	iso_grid grid;
	int16_t *owner;   /* [voxels] shape, -1 = air */
	uint32_t *member; /* voxels of shape 0, of shape 1, ... */
	size_t *first;    /* [shapes + 1] into member */
	double (*box_mm)[2][3];
};

void iso_body_voxels_free(iso_body_voxels *voxels)
{
	if (!voxels) return;
	free(voxels->owner);
	free(voxels->member);
	free(voxels->first);
	free(voxels->box_mm);
	free(voxels);
}

static iso_status find_owners(const iso_phantom *phantom, iso_body_voxels *voxels, iso_error *err)
{
	const size_t count = iso_grid_voxels(&voxels->grid);
	for (size_t v = 0; v < count; v++) {
		const double label = (double)phantom->labels->voxels[v];
		voxels->owner[v] = -1;
		if (label == 0) continue;
		size_t o = 0;
		while (o < phantom->organs && phantom->organ[o].label != label) o++;
		if (o == phantom->organs)
			return iso_fail(err, ISO_BAD_INPUT, NULL,
					"add an organ with that label, or set those voxels to 0",
					"the label volume holds %g, which no organ has", label);
		voxels->owner[v] = (int16_t)o;
		voxels->first[o + 1]++;
	}
	for (size_t o = 0; o < phantom->organs; o++) {
		if (voxels->first[o + 1] == 0)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "remove it, or correct its label",
					"organ '%s' has no voxel in the label volume", phantom->organ[o].name);
		voxels->first[o + 1] += voxels->first[o];
	}
	return ISO_OK;
}

static void widen(const iso_grid *grid, const size_t voxel[3], double box[2][3])
{
	for (int corner = 0; corner < 8; corner++) {
		double index[3], point[3];
		for (int a = 0; a < 3; a++) index[a] = (double)voxel[a] + (corner >> a & 1 ? 0.5 : -0.5);
		iso_grid_point_mm(grid, index, point);
		for (int a = 0; a < 3; a++) {
			box[0][a] = fmin(box[0][a], point[a]);
			box[1][a] = fmax(box[1][a], point[a]);
		}
	}
}

/* Members and boxes of the shapes, and how far their voxels reach. */
static void list_members(iso_body *body, iso_body_voxels *voxels, size_t *next)
{
	const iso_grid *grid = &voxels->grid;
	for (size_t s = 0; s < body->shapes; s++) {
		next[s] = voxels->first[s];
		for (int a = 0; a < 3; a++) {
			voxels->box_mm[s][0][a] = (double)INFINITY;
			voxels->box_mm[s][1][a] = -(double)INFINITY;
		}
	}
	const double half = 0.5 * sqrt(grid->voxel_mm[0] * grid->voxel_mm[0] + grid->voxel_mm[1] * grid->voxel_mm[1] +
				       grid->voxel_mm[2] * grid->voxel_mm[2]);
	for (size_t v = 0; v < iso_grid_voxels(grid); v++) {
		if (voxels->owner[v] < 0) continue;
		const size_t s = (size_t)voxels->owner[v];
		const size_t at[3] = {v % grid->size[0], v / grid->size[0] % grid->size[1],
				      v / grid->size[0] / grid->size[1]};
		const double index[3] = {(double)at[0], (double)at[1], (double)at[2]};
		double centre[3];
		iso_grid_point_mm(grid, index, centre);
		voxels->member[next[s]++] = (uint32_t)v;
		widen(grid, at, voxels->box_mm[s]);
		body->shape[s].reach_mm = fmax(body->shape[s].reach_mm, hypot(centre[0], centre[1]) + half);
	}
}

iso_status iso_body_voxels_create(const iso_phantom *phantom, iso_body *body, iso_error *err)
{
	const size_t count = iso_grid_voxels(&phantom->labels->grid), shapes = phantom->organs;
	if (count > UINT32_MAX)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "use larger voxels", "the label volume has %zu voxels",
				count);
	iso_body_voxels *voxels = calloc(1, sizeof *voxels);
	size_t *next = calloc(shapes, sizeof *next);
	body->voxels = voxels;
	iso_status status = ISO_OK;
	if (voxels) {
		voxels->grid = phantom->labels->grid;
		voxels->owner = malloc(count * sizeof *voxels->owner);
		voxels->first = calloc(shapes + 1, sizeof *voxels->first);
		voxels->box_mm = calloc(shapes, sizeof *voxels->box_mm);
	}
	if (!voxels || !next || !voxels->owner || !voxels->first || !voxels->box_mm)
		status = iso_fail_memory(err, "a phantom of voxels", count * sizeof *voxels->owner);
	if (status == ISO_OK) status = find_owners(phantom, voxels, err);
	if (status == ISO_OK) {
		voxels->member = malloc(voxels->first[shapes] * sizeof *voxels->member);
		if (!voxels->member) status = iso_fail_memory(err, "a phantom of voxels", voxels->first[shapes]);
	}
	if (status == ISO_OK) list_members(body, voxels, next);
	for (size_t s = 0; s < shapes && status == ISO_OK; s++) {
		const double voxel_ml = iso_grid_voxel_ml(&voxels->grid);
		body->shape[s].whole_ml = voxel_ml * (double)(voxels->first[s + 1] - voxels->first[s]);
	}
	free(next);
	return status;
}

int iso_body_voxels_owner(const iso_body_voxels *voxels, const double point_mm[3])
{
	double index[3];
	size_t at[3];
	iso_grid_index(&voxels->grid, point_mm, index);
	for (int a = 0; a < 3; a++) {
		const double number = floor(index[a] + 0.5);
		if (!(number >= 0 && number < (double)voxels->grid.size[a])) return -1;
		at[a] = (size_t)number;
	}
	return voxels->owner[at[0] + voxels->grid.size[0] * (at[1] + voxels->grid.size[1] * at[2])];
}

void iso_body_voxels_point(const iso_body_voxels *voxels, size_t shape, iso_random *random, double point_mm[3])
{
	const size_t first = voxels->first[shape], members = voxels->first[shape + 1] - first;
	const size_t pick = (size_t)(iso_random_uniform(random) * (double)members);
	const size_t v = voxels->member[first + (pick < members ? pick : members - 1)];
	const size_t *size = voxels->grid.size;
	const double index[3] = {(double)(v % size[0]) + draw_uniform(random) - 0.5,
				 (double)(v / size[0] % size[1]) + draw_uniform(random) - 0.5,
				 (double)(v / size[0] / size[1]) + draw_uniform(random) - 0.5};
	iso_grid_point_mm(&voxels->grid, index, point_mm);
}

void iso_body_voxels_box(const iso_body_voxels *voxels, size_t shape, double box_mm[2][3])
{
	for (int side = 0; side < 2; side++)
		for (int a = 0; a < 3; a++) box_mm[side][a] = voxels->box_mm[shape][side][a];
}

static int owner_here(const iso_voxel_walk *walk)
{
	const size_t *size = walk->voxels->grid.size;
	return walk->voxels
	    ->owner[(size_t)walk->index[0] + size[0] * ((size_t)walk->index[1] + size[1] * (size_t)walk->index[2])];
}

bool iso_voxel_walk_begin(const iso_body_voxels *voxels, const double point_mm[3], const double direction[3],
			  iso_voxel_walk *walk)
{
	const iso_grid *grid = &voxels->grid;
	double start[3], per_mm[3], enter = 0, leave = (double)INFINITY;
	iso_grid_index(grid, point_mm, start);
	for (int a = 0; a < 3; a++) {
		per_mm[a] = (grid->direction[a][0] * direction[0] + grid->direction[a][1] * direction[1] +
			     grid->direction[a][2] * direction[2]) /
			    grid->voxel_mm[a];
		const double low = -0.5 - start[a], high = (double)grid->size[a] - 0.5 - start[a];
		if (fabs(per_mm[a]) < 1e-12) {
			if (low > 0 || high <= 0) return false;
			continue;
		}
		enter = fmax(enter, fmin(low / per_mm[a], high / per_mm[a]));
		leave = fmin(leave, fmax(low / per_mm[a], high / per_mm[a]));
	}
	if (!(leave > enter)) return false;
	*walk = (iso_voxel_walk){.voxels = voxels, .from_mm = enter, .end_mm = leave};
	for (int a = 0; a < 3; a++) {
		const double here = floor(start[a] + enter * per_mm[a] + 0.5);
		walk->index[a] = (long)fmin(fmax(here, 0), (double)grid->size[a] - 1);
		walk->way[a] = per_mm[a] < 0 ? -1 : 1;
		const bool moves = fabs(per_mm[a]) >= 1e-12;
		walk->step_mm[a] = moves ? 1 / fabs(per_mm[a]) : (double)INFINITY;
		walk->next_mm[a] =
		    moves ? ((double)walk->index[a] + 0.5 * walk->way[a] - start[a]) / per_mm[a] : (double)INFINITY;
	}
	walk->to_mm = fmin(fmin(walk->next_mm[0], fmin(walk->next_mm[1], walk->next_mm[2])), leave);
	walk->owner = owner_here(walk);
	return true;
}

bool iso_voxel_walk_on(iso_voxel_walk *walk)
{
	const double *next = walk->next_mm;
	const int a = next[0] <= next[1] ? (next[0] <= next[2] ? 0 : 2) : (next[1] <= next[2] ? 1 : 2);
	walk->index[a] += walk->way[a];
	if (walk->to_mm >= walk->end_mm || walk->index[a] < 0 || walk->index[a] >= (long)walk->voxels->grid.size[a])
		return false;
	walk->from_mm = walk->to_mm;
	walk->next_mm[a] += walk->step_mm[a];
	walk->to_mm = fmax(walk->from_mm, fmin(fmin(next[0], fmin(next[1], next[2])), walk->end_mm));
	walk->owner = owner_here(walk);
	return true;
}
