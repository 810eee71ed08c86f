/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A boundary voxel holds the mean of what lies in it: f_a c_a + f_b c_b for two organs. Giving each organ its volume fraction of that
 * would take activity from the hot one (with voxels of edge h, some surface x h / 6: a tenth of a mouse's spleen at
 * 0.8 mm). So each gets what it contributes: f_a c_a / (f_a c_a + f_b c_b), with the organs' own mean concentrations, which
 * the shares yield in turn. Going back and forth is the expectation maximisation of a mixture with known fractions: it
 * converges for values >= 0. Extrapolation speeds it up, because it is slow for organs without a whole voxel.
 * For organs of uniform concentration the result is exact; no activity is made or lost; whole voxels are not touched. */
#include "quant/shares.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { CYCLES_MOST = 100 };
/* Relative change of a concentration that is none; organs below the second, relative to the hottest, are empty. */
static const double settled = 1e-9, empty = 1e-12;
/* A voxel that is filled but for this is filled: the fractions are floats, summed over label voxels. */
static const double nothing = 1e-4;
/* Where the fractions were sampled at points, a voxel inside an organ may miss this much. */
static const double sampled_nothing = 0.1;

enum state { UNLABELLED = 0, WHOLE, MIXED };

struct iso_shares {
	const iso_organs *organs;
	unsigned char *state; /* per voxel: enum state; the only array on the whole grid */
	size_t voxels;        /* mixed ones; per one of them: */
	size_t *voxel;        /* ascending */
	double *uncovered;    /* the part that no organ fills */
	double *value;        /* concentration, >= 0 */
	double *around;       /* what fills the uncovered part contributes; NAN: not known */
	double *content;      /* sum of fraction x concentration */
	size_t *first;        /* organ o has the mixed entries [first[o], first[o+1]); per one of them: */
	size_t *entry;        /* of the organs' entries */
	size_t *at;           /* number of its mixed voxel */
	double *part;         /* fraction of the voxel */
	double *whole;        /* per organ: sum over the whole voxels */
	double *volume;       /* per organ: in voxels */
	double *mean[4];      /* per organ: concentrations, of successive steps */
};

/* Voxels from low to high, both included. */
typedef struct box {
	size_t low[3], high[3];
} box;

static box box_around(const iso_grid *grid, size_t voxel, size_t reach)
{
	const size_t *size = grid->size;
	const size_t at[3] = {voxel % size[0], voxel / size[0] % size[1], voxel / size[0] / size[1]};
	box out;
	for (int a = 0; a < 3; a++) {
		out.low[a] = at[a] < reach ? 0 : at[a] - reach;
		out.high[a] = at[a] + reach < size[a] ? at[a] + reach : size[a] - 1;
	}
	return out;
}

/* Mean of the unlabelled voxels within `reach` of one; NAN when there are none. */
static double unlabelled_near(const iso_shares *s, const float *voxels, size_t voxel, size_t reach)
{
	const size_t *size = s->organs->grid.size;
	const box near = box_around(&s->organs->grid, voxel, reach);
	double sum = 0, count = 0;
	for (size_t k = near.low[2]; k <= near.high[2]; k++)
		for (size_t j = near.low[1]; j <= near.high[1]; j++)
			for (size_t i = near.low[0]; i <= near.high[0]; i++) {
				const size_t n = i + size[0] * (j + size[1] * k);
				if (s->state[n] != UNLABELLED) continue;
				sum += (double)voxels[n];
				count++;
			}
	return count > 0 ? sum / count : (double)NAN;
}

/* Whether organs fill the voxel. Sampled fractions scatter about 1 inside an organ; what tells such a voxel from one on the
 * boundary are its neighbours. */
static bool filled(const iso_organs *organs, const float *covered, size_t voxel)
{
	if ((double)covered[voxel] > 1 - nothing) return true;
	if (!organs->sampled || (double)covered[voxel] < 1 - sampled_nothing) return false;
	const size_t *size = organs->grid.size;
	const box near = box_around(&organs->grid, voxel, 1);
	for (size_t k = near.low[2]; k <= near.high[2]; k++)
		for (size_t j = near.low[1]; j <= near.high[1]; j++)
			for (size_t i = near.low[0]; i <= near.high[0]; i++)
				if (covered[i + size[0] * (j + size[1] * k)] < 0.5F) return false;
	return true;
}

/* Sets the states, which later frames need too. */
static void find_mixed(iso_shares *s, const float *covered)
{
	const iso_organs *organs = s->organs;
	for (size_t n = 0; n < organs->first[organs->count]; n++) {
		const size_t v = organs->voxel[n];
		if (s->state[v] == MIXED) continue;
		const bool alone = organs->fraction[n] == covered[v];
		const bool mixed = s->state[v] == WHOLE || !alone || !filled(organs, covered, v);
		s->voxels += mixed;
		s->state[v] = mixed ? MIXED : WHOLE;
	}
}

/* An organ's voxel may have become mixed by a later organ: hence counted when all states are known. */
static size_t count_mixed(iso_shares *s)
{
	const iso_organs *organs = s->organs;
	size_t entries = 0;
	for (size_t o = 0; o < organs->count; o++) {
		for (size_t n = organs->first[o]; n < organs->first[o + 1]; n++)
			entries += s->state[organs->voxel[n]] == MIXED;
		s->first[o + 1] = entries;
	}
	return entries;
}

static size_t slot_of(const iso_shares *s, size_t voxel)
{
	size_t low = 0, high = s->voxels;
	while (high - low > 1) {
		const size_t middle = low + (high - low) / 2;
		if (s->voxel[middle] <= voxel)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void list_mixed(iso_shares *s, const float *covered)
{
	const iso_organs *organs = s->organs;
	const size_t count = iso_grid_voxels(&organs->grid);
	for (size_t v = 0, slot = 0; v < count; v++) {
		if (s->state[v] != MIXED) continue;
		s->uncovered[slot] = filled(organs, covered, v) ? 0 : 1 - (double)covered[v];
		s->voxel[slot++] = v;
	}
	size_t used = 0;
	for (size_t o = 0; o < organs->count; o++)
		for (size_t n = organs->first[o]; n < organs->first[o + 1]; n++) {
			const size_t v = organs->voxel[n];
			double part = 1;
			if (s->state[v] == MIXED) {
				s->entry[used] = n;
				s->at[used] = slot_of(s, v);
				part = (double)organs->fraction[n];
				if (s->uncovered[s->at[used]] == 0) part /= (double)covered[v];
				s->part[used++] = part;
			}
			s->volume[o] += part;
		}
}

static bool allocate(iso_shares *s, size_t entries)
{
	const size_t organs = s->organs->count;
	s->voxel = calloc(s->voxels + 1, sizeof *s->voxel);
	s->uncovered = calloc(s->voxels + 1, sizeof *s->uncovered);
	s->value = calloc(s->voxels + 1, sizeof *s->value);
	s->around = calloc(s->voxels + 1, sizeof *s->around);
	s->content = calloc(s->voxels + 1, sizeof *s->content);
	s->entry = calloc(entries + 1, sizeof *s->entry);
	s->at = calloc(entries + 1, sizeof *s->at);
	s->part = calloc(entries + 1, sizeof *s->part);
	s->whole = calloc(organs, sizeof *s->whole);
	s->volume = calloc(organs, sizeof *s->volume);
	bool all = s->voxel && s->uncovered && s->value && s->around && s->content && s->entry && s->at && s->part &&
		   s->whole && s->volume;
	for (int m = 0; m < 4; m++) {
		s->mean[m] = calloc(organs, sizeof **s->mean);
		all = all && s->mean[m];
	}
	return all;
}

iso_status iso_shares_begin(const iso_organs *organs, iso_shares **out, iso_error *err)
{
	*out = NULL;
	const size_t count = iso_grid_voxels(&organs->grid);
	iso_shares *made = calloc(1, sizeof *made);
	float *covered = calloc(count, sizeof *covered);
	bool enough = made && covered;
	if (enough) {
		made->organs = organs;
		made->state = calloc(count, sizeof *made->state);
		made->first = calloc(organs->count + 1, sizeof *made->first);
		enough = made->state && made->first;
	}
	if (enough) {
		for (size_t n = 0; n < organs->first[organs->count]; n++)
			covered[organs->voxel[n]] += organs->fraction[n];
		find_mixed(made, covered);
		enough = allocate(made, count_mixed(made));
	}
	if (enough) list_mixed(made, covered);
	free(covered);
	if (!enough) {
		iso_shares_end(made);
		return iso_fail_memory(err, "sharing boundary voxels", count * sizeof *covered);
	}
	*out = made;
	return ISO_OK;
}

void iso_shares_end(iso_shares *shares)
{
	if (!shares) return;
	free(shares->state);
	free(shares->voxel);
	free(shares->uncovered);
	free(shares->value);
	free(shares->around);
	free(shares->content);
	free(shares->first);
	free(shares->entry);
	free(shares->at);
	free(shares->part);
	free(shares->whole);
	free(shares->volume);
	for (int m = 0; m < 4; m++) free(shares->mean[m]);
	free(shares);
}

/* What the frame holds, and the plain fractions' concentrations to begin with. Noise below zero would make the shares leave [0, 1]: to
 * find them, a mixed voxel counts as empty then. */
static void look_at(iso_shares *s, const float *voxels)
{
	const iso_organs *organs = s->organs;
	for (size_t v = 0; v < s->voxels; v++) {
		s->value[v] = fmax((double)voxels[s->voxel[v]], 0);
		s->around[v] = 0;
		if (s->uncovered[v] == 0) continue;
		double around = unlabelled_near(s, voxels, s->voxel[v], 1);
		if (isnan(around)) around = unlabelled_near(s, voxels, s->voxel[v], 2);
		s->around[v] = isnan(around) ? (double)NAN : s->uncovered[v] * fmax(around, 0);
	}
	for (size_t o = 0; o < organs->count; o++) {
		s->whole[o] = 0;
		for (size_t n = organs->first[o]; n < organs->first[o + 1]; n++)
			if (s->state[organs->voxel[n]] == WHOLE) s->whole[o] += (double)voxels[organs->voxel[n]];
		double sum = s->whole[o];
		for (size_t n = s->first[o]; n < s->first[o + 1]; n++) sum += s->part[n] * s->value[s->at[n]];
		s->mean[0][o] = fmax(sum / s->volume[o], 0);
	}
}

/* What the concentrations make of each mixed voxel. Where nothing unlabelled is near, what the organs leave of the voxel is
 * the unlabelled part's. */
static void mix(iso_shares *s, const double *mean)
{
	for (size_t v = 0; v < s->voxels; v++) s->content[v] = isnan(s->around[v]) ? 0 : s->around[v];
	for (size_t o = 0; o < s->organs->count; o++)
		for (size_t n = s->first[o]; n < s->first[o + 1]; n++) s->content[s->at[n]] += s->part[n] * mean[o];
	for (size_t v = 0; v < s->voxels; v++)
		if (isnan(s->around[v])) s->content[v] = fmax(s->content[v], s->value[v]);
}

/* Concentrations -> shares -> concentrations; returns the largest relative change. An organ that is empty stays so. */
static double step(iso_shares *s, const double *mean, double *next)
{
	mix(s, mean);
	for (size_t v = 0; v < s->voxels; v++) s->content[v] = s->content[v] > 0 ? s->value[v] / s->content[v] : 0;
	double change = 0, hottest = 0;
	for (size_t o = 0; o < s->organs->count; o++) {
		double gain = 0;
		for (size_t n = s->first[o]; n < s->first[o + 1]; n++) gain += s->part[n] * s->content[s->at[n]];
		next[o] = fmax((s->whole[o] + mean[o] * gain) / s->volume[o], 0);
		hottest = fmax(hottest, next[o]);
	}
	for (size_t o = 0; o < s->organs->count; o++)
		if (next[o] > empty * hottest) change = fmax(change, fabs(next[o] - mean[o]) / next[o]);
	return change;
}

/* Two steps show where they lead: the squared extrapolation of Varadhan and Roland (2008), in the logarithms so that no
 * concentration falls below zero. False when there is nothing to gain. */
static bool extrapolate(const iso_shares *s, double *out)
{
	double *const *mean = s->mean;
	double first = 0, second = 0;
	for (size_t o = 0; o < s->organs->count; o++) {
		if (!(mean[0][o] > 0 && mean[1][o] > 0 && mean[2][o] > 0)) continue;
		const double r = log(mean[1][o] / mean[0][o]), w = log(mean[2][o] / mean[1][o]) - r;
		first += r * r;
		second += w * w;
	}
	const double length = second > 0 ? fmin(sqrt(first / second), 1000) : 1;
	if (!(length > 1)) return false;
	for (size_t o = 0; o < s->organs->count; o++) {
		out[o] = mean[2][o];
		if (!(mean[0][o] > 0 && mean[1][o] > 0 && mean[2][o] > 0)) continue;
		const double r = log(mean[1][o] / mean[0][o]), w = log(mean[2][o] / mean[1][o]) - r;
		out[o] = mean[0][o] * exp(fmin(fmax(2 * length * r + length * length * w, -20), 20));
	}
	return true;
}

/* mean[0] is the start and the end. An extrapolation counts only when the step after it is the smaller one. */
static void settle(iso_shares *s)
{
	const size_t bytes = s->organs->count * sizeof **s->mean;
	for (int cycle = 0; cycle < CYCLES_MOST; cycle++) {
		double change = step(s, s->mean[0], s->mean[1]);
		if (change > settled)
			change = step(s, s->mean[1], s->mean[2]);
		else
			memcpy(s->mean[2], s->mean[1], bytes);
		if (change > settled && extrapolate(s, s->mean[3]) && step(s, s->mean[3], s->mean[0]) < change)
			continue;
		memcpy(s->mean[0], s->mean[2], bytes);
		if (!(change > settled)) return;
	}
}

void iso_shares_of(iso_shares *shares, const float *voxels, float *share)
{
	iso_shares *s = shares;
	look_at(s, voxels);
	settle(s);
	mix(s, s->mean[0]);
	for (size_t n = 0; n < s->organs->first[s->organs->count]; n++) share[n] = 1;
	for (size_t o = 0; o < s->organs->count; o++)
		for (size_t n = s->first[o]; n < s->first[o + 1]; n++) {
			const double content = s->content[s->at[n]];
			share[s->entry[n]] = (float)(content > 0 ? s->part[n] * s->mean[0][o] / content : s->part[n]);
		}
}
