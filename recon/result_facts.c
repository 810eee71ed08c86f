/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/result_facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/note.h"
#include "core/number_text.h"
#include "isotrace/time.h"
#include "isotrace/version.h"
#include "recon/filter.h"
#include "recon/sheaf.h"
#include "recon/solver.h"

/* A factor that the caller states comes with the caller's uncertainty, known or not. */
static double calibration(const iso_result *r, double *uncertainty)
{
	if (r->options->calibration) {
		if (uncertainty) *uncertainty = r->calibration_uncertainty;
		return r->options->calibration->factor;
	}
	const bool own = isnan(r->options->calibration_factor);
	if (uncertainty) *uncertainty = own ? r->scanner->calibration_uncertainty : r->options->calibration_uncertainty;
	return own ? r->scanner->calibration_factor : r->options->calibration_factor;
}

double iso_result_factor(const iso_result *r)
{
	const iso_recon_options *o = r->options;
	double factor = isnan(o->dead_time_factor) ? 1 : o->dead_time_factor;
	if (o->calibrate) factor *= calibration(r, NULL) / o->nuclide->branching_fraction;
	return factor;
}

static void say_scatter(const iso_result *r, iso_corrections *c)
{
	const iso_scatter_report *s = r->scatter;
	char scale[40] = "", gammas[32] = "";
	if (s && (s->from_total || !isnan(s->scale_sd)))
		iso_snprintf(scale, sizeof scale, ", x %.4g by %s", s->scale,
			     s->from_tails   ? "tails"
			     : s->from_total ? "total"
					     : "simulation");
	if (r->options->prompt_gammas)
		snprintf(gammas, sizeof gammas, "; prompt gammas of %s", r->options->nuclide->name);
	snprintf(c->scatter, sizeof c->scatter, "single-scatter simulation%s%s", scale, gammas);
}

void iso_result_say_corrections(const iso_result *r, iso_corrections *c)
{
	const iso_recon_options *o = r->options;
	char date[40] = "";
	if (o->calibration) iso_time_text(o->calibration->scan_utc_s, date);
	if (o->randoms == ISO_RANDOMS_DELAYED)
		snprintf(c->randoms, sizeof c->randoms, "delayed coincidences, crystal fan sums");
	if (o->mu)
		snprintf(c->attenuation, sizeof c->attenuation, "%s",
			 o->mu_source ? o->mu_source : "mu map, line integrals");
	if (o->scatter == ISO_SCATTER_SSS) say_scatter(r, c);
	bool measured = false;
	for (uint32_t e = 0; e < r->scanner->elements && !measured; e++)
		measured = fabs((double)r->scanner->efficiency[e] - 1) > 1e-6;
	snprintf(c->normalisation, sizeof c->normalisation, "%s",
		 measured ? "geometric factors and crystal efficiencies of the scanner file"
			  : "geometric factors; all crystals taken as equal");
	iso_detector_say(r->detector, c);
	if (!isnan(o->dead_time_factor))
		iso_snprintf(c->dead_time, sizeof c->dead_time, "stated factor %g", o->dead_time_factor);
	if (o->nuclide && o->decay_correction)
		iso_snprintf(c->decay, sizeof c->decay, "%s, half-life %.8g s, to the start of the acquisition",
			     o->nuclide->name, o->nuclide->half_life_s);
	if (o->calibrate) {
		iso_snprintf(c->branching, sizeof c->branching, "%s, branching fraction %g", o->nuclide->name,
			     o->nuclide->branching_fraction);
		iso_snprintf(c->calibration, sizeof c->calibration, "factor %g Bq/mL per counts/s/mm%s%.10s%s%s",
			     calibration(r, NULL), date[0] ? ", phantom of " : "", date, date[0] ? ", " : "",
			     o->calibration ? o->calibration->nuclide : "");
	}
	if (o->psf_fwhm_mm > 0)
		iso_snprintf(c->resolution, sizeof c->resolution, "image-space Gaussian %g mm FWHM", o->psf_fwhm_mm);
	if (o->psf_tail_share > 0)
		iso_snprintf(c->resolution + strlen(c->resolution), sizeof c->resolution - strlen(c->resolution),
			     ", %g of it %g mm", o->psf_tail_share, o->psf_tail_fwhm_mm);
	if (o->positron_range)
		snprintf(c->resolution + strlen(c->resolution), sizeof c->resolution - strlen(c->resolution),
			 "%s%s positron range by mu", c->resolution[0] ? ", " : "", o->nuclide->name);
	iso_filter_text(&o->post_filter, c->post_filter, sizeof c->post_filter);
}

void iso_result_say_facts(const iso_result *r, iso_volume *volume)
{
	const iso_recon_options *o = r->options;
	iso_reconstruction_facts *facts = &volume->facts;
	snprintf(facts->method, sizeof facts->method, "%s", iso_algorithm_text(o->algorithm, o->subsets));
	if (o->algorithm == ISO_ALGORITHM_BSREM)
		iso_snprintf(facts->prior, sizeof facts->prior,
			     "relative difference, 26 neighbours, beta %g mm2, gamma %g; relaxation %g", o->beta_mm2,
			     o->gamma, o->relaxation);
	if (o->prior_regions)
		iso_snprintf(facts->prior + strlen(facts->prior), sizeof facts->prior - strlen(facts->prior),
			     "; not across the borders of %s",
			     o->prior_regions_source ? o->prior_regions_source : "regions not stated");
	snprintf(facts->software, sizeof facts->software, "isotrace %s (%s kernels)", ISO_VERSION,
		 iso_kernels_choose(NULL)->name);
	iso_scanner_hash(r->scanner, facts->scanner_hash);
	facts->iterations = (unsigned)r->iterations;
	facts->objective = r->objective;
	facts->subsets = o->subsets;
	facts->prompts = r->prompts;
	facts->delayeds = r->delayeds;
	volume->acquisition = *r->acquisition;
	if (o->nuclide) {
		snprintf(volume->acquisition.nuclide, sizeof volume->acquisition.nuclide, "%s", o->nuclide->name);
		volume->half_life_s = o->nuclide->half_life_s;
		volume->branching_fraction = o->nuclide->branching_fraction;
		if (o->decay_correction) volume->decay_reference_s = 0;
	}
	if (o->calibrate) volume->calibration_factor = calibration(r, &volume->calibration_uncertainty);
}

void iso_result_compare_nuclide(const iso_result *r)
{
	const iso_nuclide *n = r->options->nuclide;
	if (!n) return;
	if (r->acquisition->nuclide[0] && strcmp(r->acquisition->nuclide, n->name) != 0)
		iso_note(r->options->progress, "the list-mode says %s, the reconstruction uses %s",
			 r->acquisition->nuclide, n->name);
	if (fabs(r->acquisition->half_life_s / n->half_life_s - 1) > 0.01)
		iso_note(r->options->progress,
			 "the list-mode states a half-life of %g s, %s has %g s (%s), which is used",
			 r->acquisition->half_life_s, n->name, n->half_life_s, n->source);
}
