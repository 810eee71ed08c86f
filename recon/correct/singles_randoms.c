/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Randoms of a pair = 2 tau times the integral of the product of the two rates of singles. All elements are taken to share one course
 * over time, that of the sum: then the product of two numbers per element says it for all pairs. Right to the statistics for a decaying source
 * that stays where it is; docs/decisions/027 says what it errs by when the tracer moves. */
#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "recon/correct/singles_randoms.h"

typedef struct frame_sums {
	double *group;  /* [groups] counts in the span */
	double total;   /* of all groups */
	double squares; /* integral of the squared rate of all */
} frame_sums;

static void add_up(const iso_counted *counted, iso_span span, frame_sums *sums)
{
	const iso_singles *s = counted->singles;
	size_t at = 0;
	for (size_t n = 0; n < s->intervals; n++) {
		const iso_interval_part part = iso_interval_in_span(counted, n, span, (double)INFINITY, &at);
		if (!(part.overlap_s > 0)) continue;
		const double share = part.overlap_s / part.interval_s;
		double all = 0;
		for (uint32_t g = 0; g < s->groups; g++) {
			const double counts = (double)s->counts[n * s->groups + g];
			sums->group[g] += share * counts;
			all += counts;
		}
		sums->total += share * all;
		sums->squares += all / part.interval_s * (all / part.interval_s) * part.overlap_s;
	}
}

iso_status iso_randoms_from_singles(const iso_counted *counted, iso_span span, double coincidence_window_ns, float *s,
				    iso_error *err)
{
	const iso_singles *singles = counted->singles;
	const iso_scanner *scanner = counted->scanner;
	frame_sums sums = {.group = calloc(singles->groups, sizeof *sums.group)};
	double *weight = calloc(singles->groups, sizeof *weight);
	if (!sums.group || !weight) {
		free(sums.group);
		free(weight);
		return iso_fail_memory(err, "randoms", 2 * singles->groups * sizeof *weight);
	}
	add_up(counted, span, &sums);
	for (uint32_t e = 0; e < scanner->elements; e++) weight[singles->group[e]] += (double)scanner->efficiency[e];
	const double scale = sums.total > 0 ? sqrt(1e-9 * coincidence_window_ns * sums.squares) / sums.total : 0;
	for (uint32_t e = 0; e < scanner->elements; e++) {
		const uint32_t g = singles->group[e];
		const double part = weight[g] > 0 ? (double)scanner->efficiency[e] / weight[g] : 0;
		s[e] = (float)(scale * sums.group[g] * part);
	}
	free(sums.group);
	free(weight);
	return ISO_OK;
}
