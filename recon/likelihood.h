/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_LIKELIHOOD_H
#define ISOTRACE_RECON_LIKELIHOOD_H

#include <stdbool.h>

#include "recon/operator.h"
#include "recon/sums.h"

/* The Poisson log-likelihood of the measured data, as value and gradient, subset by subset.
 *
 * Over a frame, line i is expected to count  e_i = T m_i (P G x)_i + r_i : P the lines operator, G the image operator, m_i
 * what multiplies the line, T the frame's effective duration, r_i its background. With the background given as
 * b_i = r_i / (T m_i), T m_i cancels from the ratio of a measured event to its expectation, and
 *     L(x) = sum_i n_i log((P G x)_i + b_i) - T sum_j s_j x_j + constants,    s = G' P' m,
 *     dL/dx = G' P' [ n_i / ((P G x)_i + b_i) ] - T s.
 * Subset k of K holds every K-th event in time: each line's expected counts in it are e_i / K, signal and background alike,
 * so that the ratio keeps its b_i and only the second terms become T s / K. L is the sum of its subsets' parts exactly. */
typedef struct iso_data_model {
	size_t voxels;
	const iso_operator *image_model; /* G; NULL: identity */
	const float *sensitivity;        /* s: [voxels] */
	double sensitivity_scale;        /* T */
	/* A voxel whose sensitivity is not above this part of the largest is on no line worth the name and stays 0. */
	double support;
	iso_data *data;
	unsigned subsets;
	int threads; /* 0: as many as OpenMP offers */
} iso_data_model;

#define ISO_SUPPORT 1e-6

typedef struct iso_likelihood {
	iso_data_model model;
	double least; /* sensitivity of the support's edge */
	double start; /* value of the uniform image over the support that explains all counts */
	iso_sums sums;
	float *back;            /* [voxels]: after a pass, G' P' [n / (P G x + b)] over the subset */
	float *blurred, *ratio; /* room to work in */
} iso_likelihood;

/* Of one subset at one image. */
typedef struct iso_subset_sums {
	double log_sum;          /* sum n log(P G x + b) */
	double expected;         /* counts that the image predicts over all subsets: T sum s x */
	uint64_t lines, outside; /* outside: lines that cannot count, or meet neither image nor background */
} iso_subset_sums;

/* Told of the lines that were worked on since the last call; `done`: fraction of the subset. Anything but ISO_OK ends the
 * pass. NULL: nobody watches. */
typedef struct iso_pass_watch {
	iso_status (*told)(void *user, double done, uint64_t lines, iso_error *err);
	void *user;
} iso_pass_watch;

/* What the model points to is borrowed. */
iso_status iso_likelihood_create(const iso_data_model *model, iso_likelihood *out, iso_error *err);
void iso_likelihood_release(iso_likelihood *likelihood); /* safe on a zeroed one */

/* Uniform over the support, with as many expected counts as were measured. x: [voxels]. */
void iso_likelihood_start(const iso_likelihood *likelihood, float *x);
static inline bool iso_likelihood_supports(const iso_likelihood *l, size_t voxel)
{
	return (double)l->model.sensitivity[voxel] > l->least;
}
/* Fills `back`. */
iso_status iso_likelihood_pass(iso_likelihood *likelihood, unsigned subset, const float *x, const iso_pass_watch *watch,
			       iso_subset_sums *sums, iso_error *err);
/* T sum s x. */
double iso_likelihood_explained(const iso_likelihood *likelihood, const float *x);

#endif
