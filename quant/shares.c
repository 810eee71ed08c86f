/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A boundary voxel holds the mean of what lies in it: f_a c_a + f_b c_b for two organs. Giving each organ its volume fraction of that
 * would take activity from the hot one (with voxels of edge h, some surface x h / 6: a tenth of a mouse's spleen at
 * 0.8 mm). So each gets what it contributes: f_a c_a / (f_a c_a + f_b c_b), with the organs' own mean concentrations, found by
 * repetition. For organs of uniform concentration this is exact; no activity is made or lost; whole voxels are not touched. */
#include "quant/shares.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"

enum { ROUNDS_MOST = 200 };
/* A fraction that is closer than this to 0 or 1 is 0 or 1: the fractions are floats, summed over label voxels. */
static const double nothing = 1e-4;

typedef struct mixture {
	const iso_organs *organs;
	const float *voxels;
	double *covered; /* per voxel: the part that organs fill */
	double *outside; /* per voxel: concentration around the organs, where a voxel is partly uncovered */
	double *content; /* per voxel: sum of fraction x concentration */
	double *mean;    /* per organ: concentration */
} mixture;

/* Mean of the uncovered voxels within `reach` of one; NAN when there are none. */
static double uncovered_near(const mixture *m, size_t voxel, long reach)
{
	const size_t *size = m->organs->grid.size;
	const long at[3] = {(long)(voxel % size[0]), (long)(voxel / size[0] % size[1]),
			    (long)(voxel / (size[0] * size[1]))};
	double sum = 0, count = 0;
	for (long k = at[2] - reach; k <= at[2] + reach; k++)
		for (long j = at[1] - reach; j <= at[1] + reach; j++)
			for (long i = at[0] - reach; i <= at[0] + reach; i++) {
				if (i < 0 || j < 0 || k < 0 || i >= (long)size[0] || j >= (long)size[1] ||
				    k >= (long)size[2])
					continue;
				const size_t n = (size_t)i + size[0] * ((size_t)j + size[1] * (size_t)k);
				if (m->covered[n] > nothing) continue;
				sum += (double)m->voxels[n];
				count++;
			}
	return count > 0 ? sum / count : (double)NAN;
}

/* What lies around the organs in the voxels that they do not fill: the neighbours without any organ say it, or else the
 * voxel itself. */
static void find_outside(mixture *m)
{
	const iso_organs *organs = m->organs;
	for (size_t n = 0; n < organs->first[organs->count]; n++)
		m->covered[organs->voxel[n]] += (double)organs->fraction[n];
	for (size_t n = 0; n < organs->first[organs->count]; n++) {
		const size_t v = organs->voxel[n];
		if (m->covered[v] > 1 - nothing || m->outside[v] > 0) continue;
		double around = uncovered_near(m, v, 1);
		if (isnan(around)) around = uncovered_near(m, v, 2);
		m->outside[v] = fmax(isnan(around) ? (double)m->voxels[v] : around, 0);
	}
}

static void fill_shares(mixture *m, float *share)
{
	const iso_organs *organs = m->organs;
	const size_t entries = organs->first[organs->count];
	for (size_t n = 0; n < entries; n++) {
		const size_t v = organs->voxel[n];
		m->content[v] = m->covered[v] < 1 - nothing ? (1 - m->covered[v]) * m->outside[v] : 0;
	}
	for (size_t o = 0; o < organs->count; o++)
		for (size_t n = organs->first[o]; n < organs->first[o + 1]; n++)
			m->content[organs->voxel[n]] += (double)organs->fraction[n] * m->mean[o];
	for (size_t o = 0; o < organs->count; o++)
		for (size_t n = organs->first[o]; n < organs->first[o + 1]; n++) {
			const double content = m->content[organs->voxel[n]];
			share[n] = content > 0 ? (float)((double)organs->fraction[n] * m->mean[o] / content)
					       : organs->fraction[n];
		}
}

/* The organs' concentrations from the shares; returns the largest relative change. */
static double update_means(mixture *m, const float *share)
{
	const iso_organs *organs = m->organs;
	double change = 0;
	for (size_t o = 0; o < organs->count; o++) {
		double activity = 0, volume = 0;
		for (size_t n = organs->first[o]; n < organs->first[o + 1]; n++) {
			activity += (double)share[n] * (double)m->voxels[organs->voxel[n]];
			volume += (double)organs->fraction[n];
		}
		const double mean = volume > 0 ? fmax(activity / volume, 0) : 0;
		change = fmax(change, fabs(mean - m->mean[o]) / fmax(mean, 1e-300));
		m->mean[o] = mean;
	}
	return change;
}

iso_status iso_shares_of_activity(const iso_organs *organs, const float *voxels, float *share, iso_error *err)
{
	const size_t count = iso_grid_voxels(&organs->grid);
	mixture m = {.organs = organs,
		     .voxels = voxels,
		     .covered = calloc(count, sizeof(double)),
		     .outside = calloc(count, sizeof(double)),
		     .content = calloc(count, sizeof(double)),
		     .mean = calloc(organs->count + 1, sizeof(double))};
	iso_status status = ISO_OK;
	if (m.covered && m.outside && m.content && m.mean) {
		find_outside(&m);
		for (size_t n = 0; n < organs->first[organs->count]; n++) share[n] = organs->fraction[n];
		for (int round = 0; round < ROUNDS_MOST && update_means(&m, share) > 1e-7; round++)
			fill_shares(&m, share);
	} else
		status = iso_fail_memory(err, "sharing boundary voxels", 3 * count * sizeof(double));
	free(m.covered);
	free(m.outside);
	free(m.content);
	free(m.mean);
	return status;
}
