/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/dead_time.h"

#include <gsl/gsl_sf_lambert.h>
#include <math.h>
#include <stdlib.h>

#include "core/error.h"

double iso_live_fraction(iso_dead_time_model model, double dead_time_s, double rate_per_s)
{
	const double busy = rate_per_s * dead_time_s;
	if (model == ISO_DEAD_TIME_NON_PARALYZABLE) return busy < 1 ? 1 - busy : (double)NAN;
	/* n tau = -W(-m tau), the principal branch */
	const double most = 0.36787944117144233; /* 1/e */
	gsl_sf_result w;
	if (!(busy < most) || gsl_sf_lambert_W0_e(-busy, &w) != 0) return (double)NAN;
	return exp(w.val);
}

/* Rate of each block in an interval. Groups that are no blocks share their counts evenly among their elements. */
static void block_rates(const iso_scanner *scanner, const iso_singles *singles, const double *per_count,
			size_t interval, double interval_s, double *rate)
{
	const uint32_t blocks = iso_scanner_blocks(scanner), *counts = singles->counts + interval * singles->groups;
	for (uint32_t b = 0; b < blocks; b++) rate[b] = 0;
	for (uint32_t e = 0; e < scanner->elements; e++) {
		const uint32_t group = singles->group[e];
		rate[iso_scanner_block(scanner, e)] += (double)counts[group] * per_count[group] / interval_s;
	}
}

typedef struct room {
	double *per_count; /* [groups] 1 / elements of the group */
	double *rate;      /* [blocks] */
	double *sum;       /* [blocks] of weight x mean x live */
} room;

/* Integrals over the span, weighed by the decay: of 1, and of the squared mean of the blocks' live fractions. */
typedef struct integrals {
	double one, square;
} integrals;

static iso_status add_up(const iso_counted *counted, const iso_dead_time_law *dt, iso_span span, const room *r,
			 integrals *sum, iso_error *err)
{
	const iso_scanner *scanner = counted->scanner;
	const iso_singles *singles = counted->singles;
	const uint32_t blocks = iso_scanner_blocks(scanner);
	size_t at = 0;
	for (size_t n = 0; n < singles->intervals; n++) {
		const iso_interval_part part = iso_interval_in_span(counted, n, span, dt->half_life_s, &at);
		if (!(part.overlap_s > 0)) continue;
		const double weight = part.weight_s;
		block_rates(scanner, singles, r->per_count, n, part.interval_s, r->rate);
		double mean = 0;
		for (uint32_t b = 0; b < blocks; b++) {
			const double live = iso_live_fraction(dt->model, dt->dead_time_s, r->rate[b]);
			if (isnan(live))
				return iso_fail(err, ISO_BAD_INPUT, NULL,
						"check the dead time and its model (--dead-time-ns, --dead-time-model)",
						"block %u records %.4g singles/s at %.4g s: more than a %s dead time "
						"of %g ns lets through",
						b, r->rate[b], part.start_s, iso_dead_time_model_text(dt->model),
						1e9 * dt->dead_time_s);
			r->rate[b] = live;
			mean += live / blocks;
		}
		sum->one += weight;
		sum->square += weight * mean * mean;
		for (uint32_t b = 0; b < blocks; b++) r->sum[b] += weight * mean * r->rate[b];
	}
	return ISO_OK;
}

iso_status iso_dead_time_live(const iso_counted *counted, const iso_dead_time_law *dead_time, iso_span span,
			      iso_live *live, iso_error *err)
{
	const iso_scanner *scanner = counted->scanner;
	const iso_singles *singles = counted->singles;
	const size_t blocks = iso_scanner_blocks(scanner), groups = singles->groups;
	const room r = {.per_count = calloc(groups, sizeof *r.per_count),
			.rate = calloc(blocks + 1, sizeof *r.rate),
			.sum = calloc(blocks + 1, sizeof *r.sum)};
	integrals sum = {0};
	iso_status status = ISO_OK;
	if (!r.per_count || !r.rate || !r.sum)
		status = iso_fail_memory(err, "dead time", (groups + 2 * blocks) * sizeof(double));
	if (status == ISO_OK) {
		for (uint32_t e = 0; e < scanner->elements; e++) r.per_count[singles->group[e]]++;
		for (size_t g = 0; g < groups; g++)
			if (r.per_count[g] > 0) r.per_count[g] = 1 / r.per_count[g];
		status = add_up(counted, dead_time, span, &r, &sum, err);
	}
	if (status == ISO_OK && !(sum.one > 0))
		status = iso_fail(err, ISO_BAD_INPUT, NULL, "choose frames within the acquisition",
				  "no interval of the singles lies in the frame from %g s on", span.part->start_s);
	if (status == ISO_OK) {
		live->pair = sum.square / sum.one;
		for (uint32_t e = 0; e < scanner->elements; e++)
			live->element[e] = (float)(r.sum[iso_scanner_block(scanner, e)] / sum.square);
	}
	free(r.per_count);
	free(r.rate);
	free(r.sum);
	return status;
}
