/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/bsrem.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"

/* Parts of the uniform image that explains all counts: far below any activity of interest. */
static const double floor_part = 1e-4, epsilon_part = 1e-3;
/* As in OSEM: what one subset by chance knows nothing about must not vanish at once. */
static const double smallest_step = 0.1;

iso_status iso_bsrem_create(const iso_likelihood *likelihood, const iso_grid *grid, const iso_penalty *penalty,
			    double relaxation, iso_bsrem *out, iso_error *err)
{
	const iso_data_model *m = &likelihood->model;
	const double start = likelihood->start;
	*out = (iso_bsrem){
	    .likelihood = likelihood,
	    /* Without counts the image is 0 and the prior, too. */
	    .prior = iso_prior_relative_difference(grid, penalty->gamma, start > 0 ? epsilon_part * start : 1),
	    .beta = penalty->beta,
	    .relaxation = relaxation,
	    .floor = floor_part * start};
	out->kappa = malloc(m->voxels * sizeof(float));
	out->curvature = malloc(m->voxels * sizeof(float));
	out->gradient = malloc(m->voxels * sizeof(float));
	if (!out->kappa || !out->curvature || !out->gradient) {
		iso_bsrem_release(out);
		return iso_fail_memory(err, "the images of BSREM", 3 * m->voxels * sizeof(float));
	}
	/* Voxels outside the support stay 0, which says nothing about their neighbours. */
	for (size_t j = 0; j < m->voxels; j++)
		out->kappa[j] = iso_likelihood_supports(likelihood, j)
				    ? (float)sqrt(m->sensitivity_scale * (double)m->sensitivity[j])
				    : 0;
	out->prior.kappa = out->kappa;
	out->prior.region = penalty->region;
	iso_prior_curvature(&out->prior, likelihood->sums.threads, out->curvature);
	return ISO_OK;
}

void iso_bsrem_release(iso_bsrem *bsrem)
{
	free(bsrem->kappa);
	free(bsrem->curvature);
	free(bsrem->gradient);
	*bsrem = (iso_bsrem){0};
}

double iso_bsrem_step(const iso_bsrem *bsrem, unsigned iteration)
{
	const double subsets = bsrem->likelihood->model.subsets;
	return 1 / (1 + bsrem->relaxation * (1 - 1 / subsets) * iteration);
}

void iso_bsrem_update(const iso_bsrem *bsrem, unsigned iteration, float *x)
{
	const iso_likelihood *l = bsrem->likelihood;
	const iso_data_model *m = &l->model;
	const double step = iso_bsrem_step(bsrem, iteration), beta = bsrem->beta, low = bsrem->floor;
	const double shrink = m->subsets > 1 ? smallest_step : 0;
	const int64_t voxels = (int64_t)m->voxels;
	if (beta > 0) iso_prior_gradient(&bsrem->prior, x, l->sums.threads, bsrem->gradient);
#pragma omp parallel for schedule(static) num_threads(l->sums.threads)
	for (int64_t j = 0; j < voxels; j++) {
		if (!iso_likelihood_supports(l, (size_t)j)) continue;
		const double ts = m->sensitivity_scale * (double)m->sensitivity[j], old = (double)x[j];
		double ascent = m->subsets * (double)l->back[j] - ts, scale = ts;
		if (beta > 0) {
			ascent -= beta * (double)bsrem->gradient[j];
			scale += 2 * beta * (double)bsrem->curvature[j];
		}
		const double value = fmax(old + step * (old + low) * ascent / scale, fmax(shrink * old, low));
		if (isfinite(value)) x[j] = (float)fmin(value, 1e30);
	}
}

double iso_bsrem_penalty(const iso_bsrem *bsrem, const float *x)
{
	return bsrem->beta > 0 ? bsrem->beta * iso_prior_value(&bsrem->prior, &bsrem->likelihood->sums, x) : 0;
}
