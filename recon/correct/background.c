/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/correct/background.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "recon/correct/double_scatter.h"
#include "recon/correct/prompt_gamma.h"
#include "recon/correct/scatter.h"
#include "recon/correct/tails.h"

enum { MU_VOXELS = 60000, ACTIVITY_VOXELS = 30000, SCATTER_POINTS = 700 };
/* How well the simulation knows scatter and prompt gammas by itself, relative (docs/decisions/037; recon/correct/response.h). */
static const double expected_sd[2] = {0.03, 0.4};
/* Of the trues, the part that is measured on a line anywhere: positrons that left through the skin and annihilate in the bore's air. Whatever their range,
 * they are as many as decay within the air's mass of the skin: surface / (4 volume) x way through the air x its density (docs/decisions/055). */
static const double misplaced = 0.0015;

struct iso_background {
	iso_background_plan plan;
	const float *rate; /* randoms; NULL: none */
	iso_coarse_detectors *detectors;
	iso_net_place *place; /* [elements], in the order of the columns; likewise */
	float *efficiency;
	iso_image *mu; /* coarse */
	iso_scatter_model model;
	iso_pair_table *table; /* alpha S + beta B */
	iso_pair_table *part;  /* S, B while they are made */
	iso_pair_table *gamma_part;
	iso_pair_table *twice; /* scattered twice, without TOF */
	iso_tails *tails;
	double alpha, beta;
	iso_pair_sums flat; /* of a table that is the same everywhere */
	bool counted;
	double counts[ISO_TAIL_GROUPS];
};

/* What the image's resolution and the map's coarse voxels may carry beyond the body's edge: a crystal and a half, 3 mm at least. */
static double margin_mm(const iso_scanner *s)
{
	const double width = fmax(s->element_size_mm[0], s->element_size_mm[1]);
	return width > 0 ? fmax(1.5 * width, 3) : 6;
}

static void take_efficiencies(iso_background *b)
{
	const iso_background_plan *p = &b->plan;
	for (uint32_t n = 0; n < p->columns->elements; n++)
		b->efficiency[n] = p->scanner->efficiency[p->columns->element[n]];
}

static iso_status prepare_scatter(iso_background *b, iso_error *err)
{
	const iso_background_plan *p = &b->plan;
	iso_status status = iso_coarse_detectors_create(p->scanner, 0, &b->detectors, err);
	if (status == ISO_OK) status = iso_pair_table_create(b->detectors, &p->scanner->tof, &b->table, err);
	if (status == ISO_OK) status = iso_pair_table_create(b->detectors, &p->scanner->tof, &b->part, err);
	if (status == ISO_OK && p->nuclide)
		status = iso_pair_table_create(b->detectors, &p->scanner->tof, &b->gamma_part, err);
	if (status == ISO_OK) status = iso_pair_table_create(b->detectors, &(iso_tof){.bins = 0}, &b->twice, err);
	if (status == ISO_OK) status = iso_coarse_map_create(&p->mu->grid, p->mu->voxels, MU_VOXELS, &b->mu, err);
	if (status == ISO_OK) status = iso_image_points_create(b->mu, SCATTER_POINTS, &b->model.points, err);
	if (status != ISO_OK) return status;
	b->model.tof = &p->scanner->tof;
	b->model.response = iso_energy_response_of(p->scanner, p->window_kev, p->resolution);
	iso_coarse_detectors_look(b->detectors, p->scanner, &b->model.response, &b->model.points);
	b->model.detectors = b->detectors;
	b->model.mu = b->mu;
	b->model.threads = p->threads;
	const uint32_t elements = p->columns->elements;
	b->place = malloc(elements * sizeof *b->place);
	b->efficiency = malloc(elements * sizeof *b->efficiency);
	if (!b->place || !b->efficiency)
		return iso_fail_memory(err, "scatter", elements * (sizeof *b->place + sizeof *b->efficiency));
	for (uint32_t n = 0; n < elements; n++) b->place[n] = b->detectors->place[p->columns->element[n]];
	take_efficiencies(b);
	return iso_tails_create(p->scanner, p->columns, b->mu, margin_mm(p->scanner), p->threads, &b->tails, err);
}

iso_status iso_background_create(const iso_background_plan *plan, iso_background **out, iso_error *err)
{
	*out = NULL;
	iso_background *b = calloc(1, sizeof *b);
	if (!b) return iso_fail_memory(err, "the background", sizeof *b);
	b->plan = *plan;
	const iso_status status = plan->scatter ? prepare_scatter(b, err) : ISO_OK;
	if (status == ISO_OK)
		*out = b;
	else
		iso_background_free(b);
	return status;
}

void iso_background_free(iso_background *b)
{
	if (!b) return;
	iso_tails_free(b->tails);
	iso_pair_table_free(b->table);
	iso_pair_table_free(b->part);
	iso_pair_table_free(b->gamma_part);
	iso_pair_table_free(b->twice);
	iso_image_points_free(&b->model.points);
	iso_image_free(b->mu);
	iso_coarse_detectors_free(b->detectors);
	free(b->place);
	free(b->efficiency);
	free(b);
}

void iso_background_set_randoms(iso_background *b, const float *rate)
{
	b->rate = rate;
}

void iso_background_terms(const iso_background *b, const iso_line_block *block, const float *m, double scale_s,
			  float *additive)
{
	const int32_t bins = b->plan.scanner->tof.bins;
	const double share = 1 / (scale_s * (bins > 1 ? bins : 1));
	const int64_t sheaves = (int64_t)block->sheaves;
#pragma omp parallel for num_threads(b->plan.threads) schedule(dynamic, 512)
	for (int64_t s = 0; s < sheaves; s++) {
		const iso_sheaf *sheaf = block->sheaf + s;
		const uint32_t *first = block->columns->first, from = first[sheaf->column[0]],
			       to = first[sheaf->column[1]];
		for (uint32_t n = sheaf->first; n < sheaf[1].first; n++) {
			const uint32_t i = from + block->row[n][0], j = to + block->row[n][1];
			double r = 0; /* r_i / T */
			if (b->rate) r = (double)b->rate[i] * (double)b->rate[j] * share;
			if (b->table)
				r += (double)b->efficiency[i] * (double)b->efficiency[j] *
				     iso_pair_table_at(b->table, b->place + i, b->place + j,
						       block->tof_bin ? block->tof_bin[n] : 0);
			additive[n] = !m ? (float)r : m[n] > 0 ? (float)(r / (double)m[n]) : INFINITY;
		}
	}
}

void iso_background_forget(iso_background *b)
{
	if (!b->table) return;
	take_efficiencies(b); /* dead time may have changed them */
	memset(b->table->value, 0, iso_pair_table_values(b->table) * sizeof *b->table->value);
	memset(b->counts, 0, sizeof b->counts);
	b->counted = false;
	b->alpha = b->beta = 0;
}

/* The frame's lines that pass the body, counted once. */
static iso_status count_tails(iso_background *b, const iso_background_image *image, iso_error *err)
{
	iso_status status = ISO_OK;
	memset(b->counts, 0, sizeof b->counts);
	for (unsigned k = 0; k < image->subsets && status == ISO_OK; k++) {
		const iso_line_block *lines = NULL;
		const float *additive;
		iso_event_store_rewind(image->store, k);
		do {
			status = iso_event_store_next(image->store, &lines, &additive, err);
			if (status == ISO_OK && lines)
				status = iso_tails_count(b->tails, lines, iso_event_store_factors(image->store),
							 b->counts, err);
		} while (status == ISO_OK && lines);
	}
	b->counted = status == ISO_OK;
	return status;
}

/* Sums over pairs, in counts of the frame. */
typedef struct sums {
	iso_pair_sums scatter, gammas, randoms;
} sums;

/* randoms_of: the rates by the element's number, which the pairs' sums are made from. */
static iso_status add_up(const iso_background *b, double scale_s, sums *s, iso_error *err)
{
	*s = (sums){0};
	iso_pair_sums *const part[2] = {&s->scatter, &s->gammas};
	const iso_pair_table *table[2] = {b->part, b->gamma_part};
	for (int n = 0; n < 2; n++) {
		if (!table[n]) continue;
		iso_tails_table_sums(b->tails, table[n], b->plan.scanner->efficiency, part[n]);
		part[n]->all *= scale_s;
		for (int g = 0; g < ISO_TAIL_GROUPS; g++) part[n]->tails[g] *= scale_s;
	}
	if (!b->rate) return ISO_OK;
	const uint32_t elements = b->plan.columns->elements;
	float *rate = malloc(elements * sizeof *rate);
	if (!rate) return iso_fail_memory(err, "scatter", elements * sizeof *rate);
	for (uint32_t n = 0; n < elements; n++) rate[b->plan.columns->element[n]] = b->rate[n];
	iso_tails_rate_sums(b->tails, rate, &s->randoms);
	free(rate);
	return ISO_OK;
}

/* The simulation says how many are scattered for each true of the image; both together are what was counted beyond randoms. */
static bool scale_by_total(const sums *s, const iso_background_image *image, iso_scatter_report *report)
{
	const double simulated = image->explained + s->scatter.all + s->gammas.all;
	const double measured = image->prompts - s->randoms.all;
	if (!(simulated > 0) || !(measured > 0)) return false;
	report->scale = report->gamma_scale = measured / simulated;
	return true;
}

/* What the tails say of both scales, weighed with the simulation's own. What was found are all counts that the image and the background that it was made
 * with (`before`) explain. Prompts less randoms would do as well, were the image of noisy data not too bright. */
static void scale_by_tails(const iso_background *b, const sums *s, double explained, double before,
			   iso_scatter_report *report)
{
	const iso_scale_counts counts = {
	    .trues = explained, .scatter = s->scatter.all, .gammas = s->gammas.all, .found = explained + before};
	double shape[2][ISO_TAIL_GROUPS], weight;
	memcpy(shape[0], s->scatter.tails, sizeof shape[0]);
	memcpy(shape[1], s->gammas.tails, sizeof shape[1]);
	const int shapes = b->gamma_part ? 2 : 1;
	const iso_tail_fit tails =
	    iso_tails_fit(b->counts, s->randoms.tails, (const double(*)[ISO_TAIL_GROUPS])shape, shapes);
	const iso_tail_fit fit = iso_tails_weigh(&tails, shapes, &counts, expected_sd, &weight);
	report->scale = fit.scale[0];
	report->scale_sd = fit.sd[0];
	report->gamma_scale = fit.scale[b->gamma_part ? 1 : 0];
	report->from_tails = weight > 0.5;
}

static iso_status find_scales(const iso_background *b, const iso_background_image *image, double before,
			      iso_scatter_report *report, iso_error *err)
{
	sums s;
	*report = (iso_scatter_report){.scale = 1, .gamma_scale = 1, .scale_sd = (double)NAN, .fraction = (double)NAN};
	const iso_status status = add_up(b, image->scale_s, &s, err);
	if (status != ISO_OK) return status;
	if (b->plan.scale == ISO_SCATTER_SCALE_TOTAL) report->from_total = scale_by_total(&s, image, report);
	if (b->plan.scale == ISO_SCATTER_SCALE_TAILS) {
		sums beside = s;
		for (int g = 0; g < ISO_TAIL_GROUPS && b->flat.all > 0; g++)
			beside.randoms.tails[g] += misplaced * image->explained * b->flat.tails[g] / b->flat.all;
		scale_by_tails(b, &beside, image->explained, before, report);
	}
	const double scattered = report->scale * s.scatter.all + report->gamma_scale * s.gammas.all;
	const double beyond = image->prompts - s.randoms.all;
	if (beyond > 0) report->fraction = scattered / beyond;
	return ISO_OK;
}

/* Fills `table` with the mean of `part` over its pairs, by time. */
static void level(const iso_pair_table *part, iso_pair_table *table)
{
	const size_t pairs = (size_t)part->detectors->count * part->detectors->count;
	for (uint32_t t = 0; t < part->times; t++) {
		double sum = 0;
		for (size_t n = 0; n < pairs; n++) sum += (double)part->value[n * part->times + t];
		for (size_t n = 0; n < pairs; n++) table->value[n * part->times + t] = (float)(sum / (double)pairs);
	}
}

/* Photons that scatter twice and more often, with the TOF of those that do once. Overwrites b->table. */
static iso_status add_multiple_scatter(iso_background *b, const iso_image *activity, iso_error *err)
{
	iso_pair_sums single, twice;
	iso_pair_table whole; /* single scatter, all of its times */
	const float *efficiency = b->plan.scanner->efficiency;
	iso_status status = iso_double_scatter_simulate(&b->model, activity, b->twice, err);
	if (status == ISO_OK) status = iso_pair_table_sum_times(b->part, b->plan.scanner->tof.bins, &whole, err);
	if (status != ISO_OK) return status;
	level(b->part, b->table);
	iso_tails_table_sums(b->tails, b->table, efficiency, &b->flat);
	iso_tails_table_sums(b->tails, b->part, efficiency, &single);
	iso_tails_table_sums(b->tails, b->twice, efficiency, &twice);
	/* were the number of scatters Poisson's, those of three would be to those of two as two thirds of those of two to those of one */
	const double more = single.all > 0 ? 1 + 2.0 / 3 * twice.all / single.all : 1;
	const size_t pairs = iso_pair_table_values(b->twice), times = b->part->times;
	double mean = 0;
	for (size_t n = 0; n < pairs; n++) mean += (double)whole.value[n] / (double)pairs;
	for (size_t n = 0; n < pairs; n++) {
		const bool own = (double)whole.value[n] > 0.01 * mean; /* else the mean pair's TOF */
		const float *profile = (own ? b->part : b->table)->value + n * times;
		const double add = more * (double)b->twice->value[n] / (own ? (double)whole.value[n] : mean);
		for (size_t t = 0; t < times && mean > 0; t++)
			b->part->value[n * times + t] += (float)(add * (double)profile[t]);
	}
	free(whole.value);
	return ISO_OK;
}

iso_status iso_background_update(iso_background *b, const iso_background_image *image, iso_scatter_report *report,
				 iso_error *err)
{
	iso_image *activity;
	iso_status status = ISO_OK;
	iso_pair_sums before;
	iso_tails_table_sums(b->tails, b->table, b->plan.scanner->efficiency, &before);
	if (b->plan.scale == ISO_SCATTER_SCALE_TAILS && !b->counted) status = count_tails(b, image, err);
	if (status != ISO_OK) return status;
	status = iso_coarse_map_create(image->grid, image->x, ACTIVITY_VOXELS, &activity, err);
	if (status != ISO_OK) return status;
	status = iso_scatter_simulate(&b->model, activity, b->part, err);
	if (status == ISO_OK && b->gamma_part)
		status = iso_prompt_gamma_simulate(&b->model, b->plan.nuclide, activity, b->gamma_part, err);
	if (status == ISO_OK) status = add_multiple_scatter(b, activity, err);
	iso_image_free(activity);
	if (status == ISO_OK) status = find_scales(b, image, before.all * image->scale_s, report, err);
	if (status != ISO_OK) return status;
	const size_t values = iso_pair_table_values(b->table);
	const float alpha = (float)report->scale, beta = (float)report->gamma_scale;
	b->alpha = report->scale;
	b->beta = report->gamma_scale;
	for (size_t n = 0; n < values; n++)
		b->table->value[n] = alpha * b->part->value[n] + (b->gamma_part ? beta * b->gamma_part->value[n] : 0);
	return ISO_OK;
}

const char *iso_scatter_report_text(const iso_scatter_report *r, char *text, size_t size)
{
	char by[80] = "absolute", share[64] = "", gammas[40] = "";
	if (r->from_tails)
		iso_snprintf(by, sizeof by, "simulated x %.4g +- %.2g by the tails", r->scale, r->scale_sd);
	else if (r->from_total)
		iso_snprintf(by, sizeof by, "simulated x %.4g by the total", r->scale);
	else if (!isnan(r->scale_sd))
		iso_snprintf(by, sizeof by, "simulated x %.4g +- %.2g, not contradicted by the tails", r->scale,
			     r->scale_sd);
	if (!isnan(r->fraction))
		iso_snprintf(share, sizeof share, "%.3g %% of prompts less randoms, ", 100 * r->fraction);
	if (r->gamma_scale != r->scale) iso_snprintf(gammas, sizeof gammas, ", prompt gammas x %.4g", r->gamma_scale);
	snprintf(text, size, "%s%s%s", share, by, gammas);
	return text;
}

iso_background_parts iso_background_now(const iso_background *b)
{
	return (iso_background_parts){.plan = &b->plan,
				      .rate = b->rate,
				      .efficiency = b->efficiency,
				      .place = b->place,
				      .scatter = b->part,
				      .gammas = b->gamma_part,
				      .scatter_scale = b->alpha,
				      .gamma_scale = b->beta};
}

float *iso_background_state(iso_background *b, size_t *count)
{
	*count = b->table ? iso_pair_table_values(b->table) : 0;
	return b->table ? b->table->value : NULL;
}
