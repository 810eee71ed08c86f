/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quant/uncertainty.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

double iso_relative_error_of_mean(const double *values, size_t n, double mean)
{
	if (n < 2 || mean == 0) return (double)NAN;
	double average = 0, squares = 0;
	for (size_t i = 0; i < n; i++) average += values[i] / (double)n;
	for (size_t i = 0; i < n; i++) squares += (values[i] - average) * (values[i] - average);
	return sqrt(squares / (double)(n - 1) / (double)n) / fabs(mean);
}

double iso_boundary_ratio(const iso_organs *organs, size_t organ, const float *voxels, double mean, float *fraction)
{
	const size_t *size = organs->grid.size;
	const size_t stride[3] = {1, size[0], size[0] * size[1]};
	const size_t begin = organs->first[organ], end = organs->first[organ + 1];
	for (size_t n = begin; n < end; n++) fraction[organs->voxel[n]] = organs->fraction[n];
	double weights = 0, sum = 0;
	for (size_t n = begin; n < end; n++) {
		const size_t v = organs->voxel[n];
		const double here = (double)fraction[v], value = (double)voxels[v];
		for (int a = 0; a < 3; a++) {
			const double area = 1 / organs->grid.voxel_mm[a];
			const size_t at = v / stride[a] % size[a];
			for (int side = 0; side < 2; side++) {
				const bool edge = side ? at + 1 == size[a] : at == 0;
				const size_t w = edge ? v : side ? v + stride[a] : v - stride[a];
				const double there = edge ? 0 : (double)fraction[w];
				/* A face between two entries is met from both sides. */
				const double weight = area * fabs(here - there) * (there > 0 ? 0.5 : 1);
				weights += weight;
				sum += weight * 0.5 * (value + (double)voxels[w]);
			}
		}
	}
	for (size_t n = begin; n < end; n++) fraction[organs->voxel[n]] = 0;
	return weights > 0 && mean != 0 ? sum / weights / mean : (double)NAN;
}

double iso_volume_uncertainty(const iso_organs *organs, size_t organ)
{
	/* Standard deviation of an even distribution of width 1. */
	return organs->surface_ml[organ] / organs->volume_ml[organ] / sqrt(12.0);
}

double iso_quadrature(const double *components, size_t n)
{
	double squares = 0;
	bool any = false;
	for (size_t i = 0; i < n; i++) {
		if (isnan(components[i])) continue;
		squares += components[i] * components[i];
		any = true;
	}
	return any ? sqrt(squares) : (double)NAN;
}

void iso_uptake_total(iso_uptake *uptake, double counting_dof)
{
	const double common[] = {uptake->u_counting, uptake->u_calibration, uptake->u_injected, uptake->u_half_life,
				 uptake->u_branching};
	const double shared = iso_quadrature(common, sizeof common / sizeof *common);
	uptake->u_total_percent_id = iso_quadrature((double[]){shared, uptake->u_volume_percent_id}, 2);
	uptake->u_total = iso_quadrature((double[]){shared, uptake->u_volume, uptake->u_density, uptake->u_mass}, 4);
	uptake->u_total_suv_bw =
	    isnan(uptake->suv_bw)
		? (double)NAN
		: iso_quadrature((double[]){shared, uptake->u_volume_concentration, uptake->u_body_mass}, 3);
	const double undosed[] = {uptake->u_counting, uptake->u_calibration, uptake->u_half_life_activity,
				  uptake->u_branching};
	const double measured = iso_quadrature(undosed, sizeof undosed / sizeof *undosed);
	uptake->u_total_activity = iso_quadrature((double[]){measured, uptake->u_volume_percent_id}, 2);
	uptake->u_total_concentration = iso_quadrature((double[]){measured, uptake->u_volume_concentration}, 2);
	uptake->degrees_of_freedom = (double)INFINITY;
	if (uptake->u_counting > 0)
		uptake->degrees_of_freedom = counting_dof * pow(uptake->u_total / uptake->u_counting, 4);
	/* Above this Student's t is the normal distribution to six digits, and gsl's series grows slow. */
	const double t = uptake->degrees_of_freedom < 1e6 ? gsl_cdf_tdist_Pinv(0.975, uptake->degrees_of_freedom)
							  : gsl_cdf_ugaussian_Pinv(0.975);
	const double half = t * uptake->u_total * fabs(uptake->percent_id_per_g);
	uptake->percent_id_per_g_low = uptake->percent_id_per_g - half;
	uptake->percent_id_per_g_high = uptake->percent_id_per_g + half;
}
