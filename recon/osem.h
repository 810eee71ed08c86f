/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_OSEM_H
#define ISOTRACE_RECON_OSEM_H

#include "isotrace/progress.h"
#include "recon/operator.h"

/* Maximum likelihood by expectation maximisation, with ordered subsets.
 *
 * Over a frame, line i is expected to count  e_i = T m_i (P G x)_i + r_i : P the lines operator, G the image operator, m_i
 * what multiplies the line, T the frame's effective duration, r_i its background. One measured event of line i contributes
 * a_i = T m_i / e_i to the back projection, divided by s_j = T (G' P' m)_j. T m_i cancels from a_i when the background is
 * given as b_i = r_i / (T m_i):
 *     x <- x / s * G' P' [ n_i / ((P G x)_i + b_i) ].
 * Subset k of K holds every K-th event in time: each line's expected counts in it are e_i / K, signal and background
 * alike, so that the ratio keeps its b_i and only the sensitivity becomes s / K.
 *
 * A voxel whose sensitivity is not above `support` times the largest is on no line worth the name and stays 0. */
typedef struct iso_osem {
	size_t voxels;
	const iso_operator *image_model; /* G; NULL: identity */
	const float *sensitivity;        /* G' P' m: [voxels] */
	double sensitivity_scale;        /* T */
	double support;                  /* fraction of the largest sensitivity; see ISO_SUPPORT */
	iso_data *data;
	unsigned iterations, subsets;
	int threads;
	const char *label; /* before the stage's name, "" for none */
	const iso_progress *progress;
} iso_osem;

#define ISO_SUPPORT 1e-6

/* Of the last iteration, except where it says otherwise. */
typedef struct iso_osem_result {
	double
	    objective; /* sum log(PGx + b) - sum s x over each subset's image before its update; constants left out */
	double change; /* |x_new - x_old| / |x_old| over the iteration */
	double explained; /* counts that the image predicts: sum s x */
	uint64_t outside; /* lines that cannot count, or meet neither image nor background; in one pass */
	size_t empty_subsets;
} iso_osem_result;

/* x: [voxels], filled. objectives: [iterations] or NULL. With subsets = 1 the objective never falls. */
iso_status iso_osem_run(const iso_osem *osem, float *x, double *objectives, iso_osem_result *result, iso_error *err);

#endif
