/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is not known exactly, and what it does to %ID and %ID/g. The model is described in docs/quantification.md. */
#ifndef ISOTRACE_QUANT_UNCERTAINTY_H
#define ISOTRACE_QUANT_UNCERTAINTY_H

#include "isotrace/biodistribution.h"

/* Standard uncertainty of a mean of n independent values, relative to `mean`; NAN for n < 2 or mean 0. */
double iso_relative_error_of_mean(const double *values, size_t n, double mean);

/* Concentration at the organ's boundary as a multiple of its mean: the mean over all faces between voxels, weighted by the step of
 * the organ's fraction and the face's area. fraction: dense scratch on the organs' grid, all zero before and after. */
double iso_boundary_ratio(const iso_organs *organs, size_t organ, const float *voxels, double mean, float *fraction);

/* Relative standard uncertainty of an organ's volume: every boundary voxel is off by the same part of itself, even between
 * -1/2 and +1/2. */
double iso_volume_uncertainty(const iso_organs *organs, size_t organ);

/* Quadrature over those of the n components that are known (not NAN); NAN when none is. */
double iso_quadrature(const double *components, size_t n);

/* Fills u_total, degrees_of_freedom, the totals of %ID, activity, concentration and SUVbw, and the 95 % interval of %ID/g from the
 * components. counting_dof: of u_counting; the others count as well known. */
void iso_uptake_total(iso_uptake *uptake, double counting_dof);

#endif
