/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/element_randoms.h"

#include <stdlib.h>

#include "core/error.h"

iso_status iso_element_randoms_create(const iso_scanner *scanner, const iso_detector *detector,
				      const iso_columns *columns, iso_element_randoms *out, iso_error *err)
{
	const iso_randoms_method method = detector->options->randoms;
	const size_t elements = scanner->elements;
	*out = (iso_element_randoms){.scanner = scanner, .detector = detector, .columns = columns};
	if (method == ISO_RANDOMS_NONE) return ISO_OK;
	if (method == ISO_RANDOMS_DELAYED) out->fan_sums = malloc(elements * sizeof *out->fan_sums);
	out->rates = malloc(elements * sizeof *out->rates);
	out->line_rates = malloc(elements * sizeof *out->line_rates);
	if ((method == ISO_RANDOMS_DELAYED && !out->fan_sums) || !out->rates || !out->line_rates)
		return iso_fail_memory(err, "randoms", elements * (sizeof *out->fan_sums + 2 * sizeof *out->rates));
	return ISO_OK;
}

void iso_element_randoms_release(iso_element_randoms *r)
{
	free(r->fan_sums);
	free(r->rates);
	free(r->line_rates);
	*r = (iso_element_randoms){0};
}

iso_status iso_element_randoms_find(const iso_element_randoms *r, const iso_event_store *store, iso_span span,
				    double part, iso_error *err)
{
	iso_status status;
	if (!r->rates) return ISO_OK;
	if (r->fan_sums) {
		iso_event_store_fan_sums(store, r->fan_sums);
		status = iso_randoms_from_delayeds(r->scanner, r->fan_sums, r->rates, err);
	} else
		status = iso_detector_randoms(r->detector, span, part, r->rates, err);
	for (uint32_t at = 0; at < r->columns->elements && status == ISO_OK; at++)
		r->line_rates[at] = r->rates[r->columns->element[at]];
	return status;
}
