/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a list-mode norm scan to efficiencies and components: collects the sums, judges the crystals, fits, and fixes what the
 * likelihood leaves open. */
#include "isotrace/normalisation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/error.h"
#include "core/note.h"
#include "core/pair_components.h"
#include "isotrace/version.h"
#include "recon/correct/norm_fit.h"

enum { BATCH = 16384, RADIAL_NODES = 25, AXIAL_NODES = 17, BLOCK_NODES = 9 };
/* Fewer counts than this in the mean of a crystal tell nothing about it. */
static const double least_counts = 10;
/* A crystal without counts is dead when so many were to be expected; exp(-20) would be chance. */
static const double sure_counts = 20;

iso_normalise_options iso_normalise_options_default(const iso_norm_source *source, const iso_scanner *scanner)
{
	return (iso_normalise_options){.source = *source,
				       .geometric = source->kind == ISO_NORM_CYLINDER ? ISO_NORM_GEOMETRIC_DROP
										      : ISO_NORM_GEOMETRIC_KEEP,
				       .block = scanner->block_crystals[0] > 1,
				       .inner_part = 0.9};
}

/* One call of iso_normalise. */
typedef struct job {
	const iso_normalise_options *options;
	iso_scanner *scanner; /* with the components that are fitted */
	iso_norm_pairs *pairs;
	iso_norm_model model;
	iso_norm_sums counts; /* prompts less delayeds */
	double *gross;        /* [elements] prompts and delayeds */
	iso_normalisation *norm;
} job;

static iso_status check(const iso_scanner *scanner, const iso_normalise_options *o, iso_error *err)
{
	iso_status status = iso_scanner_check(scanner, NULL, err);
	if (status == ISO_OK) status = iso_norm_source_check(&o->source, err);
	if (status != ISO_OK) return status;
	if (scanner->modality != ISO_MODALITY_PET)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "normalise PET list-mode", "the scanner's modality is %s",
				iso_modality_text(scanner->modality));
	if (!(o->inner_part > 0 && o->inner_part <= 1))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a part of the radius from 0 to 1",
				"lines within %g of the radius", o->inner_part);
	if (o->block && (scanner->block_crystals[0] < 1 || scanner->elements_per_ring < 1))
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"leave block factors out, or state the blocks in the list-mode",
				"block factors: scanner '%s' does not say which crystals make a block", scanner->name);
	if (o->block && scanner->block_crystals[0] > ISO_BLOCK_POSITIONS)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "leave block factors out",
				"block factors: %u crystals across a block, at most %d can be told apart",
				scanner->block_crystals[0], ISO_BLOCK_POSITIONS);
	return ISO_OK;
}

/* Which nodes there are; all factors 1. */
static void set_nodes(job *j)
{
	iso_pair_components *c = j->scanner->components;
	const double offset = fmax(j->pairs->most_offset_mm, 1e-3), axial = j->pairs->most_axial_mm;
	if (j->options->geometric != ISO_NORM_GEOMETRIC_NONE) {
		c->radial_nodes = RADIAL_NODES;
		c->radial_step_mm = offset / (RADIAL_NODES - 1);
		c->axial_nodes = axial > 0 ? AXIAL_NODES : 0;
		c->axial_step_mm = axial / (AXIAL_NODES - 1);
	}
	c->block_nodes = j->options->block ? BLOCK_NODES : 0;
	c->block_step_mm = 2 * offset / (BLOCK_NODES - 1);
	for (int n = 0; n < ISO_PAIR_NODES; n++) c->radial[n] = c->axial[n] = 1;
	for (int k = 0; k < ISO_BLOCK_POSITIONS; k++)
		for (int n = 0; n < ISO_BLOCK_NODES; n++) c->block[k][n] = 1;
}

static iso_status prepare(job *j, const iso_scanner *scanner, iso_error *err)
{
	const iso_normalise_options *o = j->options;
	const size_t elements = scanner->elements;
	iso_status status = iso_scanner_copy(scanner, &j->scanner, err);
	if (status == ISO_OK) status = iso_scanner_create_components(j->scanner, err);
	if (status != ISO_OK) return status;
	if (o->block) {
		iso_pair_components *c = j->scanner->components;
		c->block_positions = scanner->block_crystals[0];
		for (uint32_t e = 0; e < elements; e++)
			c->position[e] = (uint8_t)(e % scanner->elements_per_ring % c->block_positions);
	}
	status = iso_norm_pairs_create(j->scanner, &o->source, o->inner_part, o->threads, &j->pairs, err);
	if (status != ISO_OK) return status;
	set_nodes(j);
	j->counts.fan = calloc(elements, sizeof *j->counts.fan);
	j->gross = calloc(elements, sizeof *j->gross);
	j->model = (iso_norm_model){.pairs = j->pairs,
				    .components = j->scanner->components,
				    .efficiency = malloc(elements * sizeof *j->model.efficiency)};
	if (!j->counts.fan || !j->gross || !j->model.efficiency)
		return iso_fail_memory(err, "the normalisation", elements * 3 * sizeof *j->gross);
	for (size_t e = 0; e < elements; e++) j->model.efficiency[e] = scanner->efficiency[e] > 0;
	return ISO_OK;
}

static iso_status collect(job *j, iso_events *events, iso_error *err)
{
	iso_event *batch = malloc(BATCH * sizeof *batch);
	if (!batch) return iso_fail_memory(err, "events", BATCH * sizeof *batch);
	const iso_progress *progress = j->options->progress;
	const double total = (double)iso_events_total(events);
	double read = 0;
	size_t count = 1;
	iso_status status = iso_events_seek(events, 0, err);
	while (status == ISO_OK && count) {
		status = iso_events_read(events, batch, BATCH, &count, err);
		for (size_t n = 0; status == ISO_OK && n < count; n++) {
			const uint32_t a = batch[n].element[0], b = batch[n].element[1];
			const bool delayed = batch[n].kind == ISO_EVENT_DELAYED;
			if (a >= j->scanner->elements || b >= j->scanner->elements) continue;
			if (!(j->model.efficiency[a] > 0 && j->model.efficiency[b] > 0)) continue;
			if (!iso_norm_pair_counts(j->pairs, a, b)) continue;
			iso_norm_sums_add(&j->counts, &j->model, a, b, delayed ? -1 : 1);
			j->gross[a]++;
			j->gross[b]++;
			*(delayed ? &j->norm->delayeds : &j->norm->prompts) += 1;
		}
		read += (double)count;
		if (status == ISO_OK && progress && progress->report &&
		    progress->report(progress->user, "reading events", fmin(read / fmax(total, 1), 1)))
			status = iso_fail(err, ISO_CANCELLED, NULL, "run it again", "normalisation cancelled");
	}
	free(batch);
	return status;
}

/* Crystals that the source tells nothing about are an error, those that should have counted and did not are dead. */
static iso_status judge_crystals(job *j, iso_error *err)
{
	const uint32_t elements = j->scanner->elements;
	double *expected = malloc(elements * sizeof *expected);
	if (!expected) return iso_fail_memory(err, "the normalisation", elements * sizeof *expected);
	iso_status status = iso_norm_expect(&j->model, j->options->threads, expected, err);
	double counted = 0, wanted = 0, alive = 0;
	uint32_t unseen = 0, unsure = 0, example = 0;
	for (uint32_t e = 0; status == ISO_OK && e < elements; e++) {
		if (!(j->model.efficiency[e] > 0)) continue;
		counted += j->counts.fan[e];
		wanted += expected[e];
		alive++;
		if (!(expected[e] > 0)) unseen++, example = e;
	}
	if (status == ISO_OK && unseen)
		status = iso_fail(
		    err, ISO_BAD_INPUT, NULL, "scan a source that is longer or wider, or check its description",
		    "%u of %.0f crystals, such as element %u, have no line through the source", unseen, alive, example);
	if (status == ISO_OK && !(counted >= least_counts * alive))
		status = iso_fail(err, ISO_BAD_INPUT, NULL, "scan the source longer",
				  "%.0f counts on lines through the source are fewer than %g for each of %.0f crystals",
				  fmax(counted, 0), least_counts, alive);
	for (uint32_t e = 0; status == ISO_OK && e < elements; e++) {
		if (!(j->model.efficiency[e] > 0) || j->counts.fan[e] > 0) continue;
		if (expected[e] * counted / wanted < sure_counts) unsure++, example = e;
		j->model.efficiency[e] = 0;
		j->norm->dead++;
	}
	free(expected);
	if (status == ISO_OK && unsure)
		return iso_fail(
		    err, ISO_BAD_INPUT, NULL, "scan the source longer",
		    "%u crystals without counts, such as element %u, might be alive: fewer than %g counts were to be "
		    "expected of them",
		    unsure, example, sure_counts);
	return status;
}

/* Nodes without counts take the nearest factor that has some. */
static void fill_gaps(float *factor, const double *counts, uint32_t nodes)
{
	for (uint32_t n = 0; n < nodes; n++) {
		if (counts[n] > 0) continue;
		for (uint32_t away = 1; away < nodes; away++) {
			const bool below = n >= away && counts[n - away] > 0,
				   above = n + away < nodes && counts[n + away] > 0;
			if (!below && !above) continue;
			factor[n] = below ? factor[n - away] : factor[n + away];
			break;
		}
	}
}

static double mean_of(const float *factor, const double *counts, uint32_t nodes)
{
	double sum = 0, weight = 0;
	for (uint32_t n = 0; n < nodes; n++) {
		const double w = fmax(counts[n], 0);
		sum += w * (double)factor[n];
		weight += w;
	}
	return weight > 0 ? sum / weight : 1;
}

/* A factor common to all positions belongs to the radial ones, one common to all offsets to the crystals. */
static void fix_block(job *j)
{
	iso_pair_components *c = j->model.components;
	const uint32_t nodes = c->block_nodes, positions = c->block_positions;
	if (!nodes || !positions) return;
	for (uint32_t k = 0; k < positions; k++) fill_gaps(c->block[k], j->counts.block[k], nodes);
	for (int round = 0; round < 20; round++) {
		for (uint32_t n = 0; n < nodes; n++) {
			double mean = 0;
			for (uint32_t k = 0; k < positions; k++) mean += (double)c->block[k][n] / positions;
			for (uint32_t k = 0; k < positions; k++)
				c->block[k][n] = (float)((double)c->block[k][n] / mean);
		}
		for (uint32_t k = 0; k < positions; k++) {
			const double mean = mean_of(c->block[k], j->counts.block[k], nodes);
			for (uint32_t n = 0; n < nodes; n++) c->block[k][n] = (float)((double)c->block[k][n] / mean);
		}
	}
}

static void fix_means(job *j)
{
	iso_pair_components *c = j->model.components;
	fill_gaps(c->radial, j->counts.radial, c->radial_nodes);
	fill_gaps(c->axial, j->counts.axial, c->axial_nodes);
	const double radial = mean_of(c->radial, j->counts.radial, c->radial_nodes),
		     axial = mean_of(c->axial, j->counts.axial, c->axial_nodes);
	for (uint32_t n = 0; n < c->radial_nodes; n++) c->radial[n] = (float)((double)c->radial[n] / radial);
	for (uint32_t n = 0; n < c->axial_nodes; n++) c->axial[n] = (float)((double)c->axial[n] / axial);
	if (j->options->geometric == ISO_NORM_GEOMETRIC_DROP) c->radial_nodes = c->axial_nodes = 0;
}

/* Block factors, once their means are fixed, move what they held to the others: those are fitted again with them as they are. */
static iso_status fit(job *j, iso_error *err)
{
	const iso_normalise_options *o = j->options;
	const iso_status status = iso_norm_fit(&j->model, j->pairs, &j->counts, false, o->threads, o->progress, err);
	if (status != ISO_OK || !j->model.components->block_nodes) return status;
	fix_block(j);
	return iso_norm_fit(&j->model, j->pairs, &j->counts, true, o->threads, o->progress, err);
}

static iso_status store(job *j, const iso_scanner *scanner, const iso_acquisition *facts, iso_error *err)
{
	iso_normalisation *n = j->norm;
	const uint32_t elements = scanner->elements;
	n->elements = elements;
	n->efficiency = calloc(elements, sizeof *n->efficiency);
	n->uncertainty = calloc(elements, sizeof *n->uncertainty);
	if (!n->efficiency || !n->uncertainty)
		return iso_fail_memory(err, "the normalisation", 2 * elements * sizeof *n->efficiency);
	double sum = 0, alive = 0;
	for (uint32_t e = 0; e < elements; e++) {
		sum += j->model.efficiency[e];
		alive += j->model.efficiency[e] > 0;
	}
	for (uint32_t e = 0; e < elements; e++) {
		if (!(j->model.efficiency[e] > 0)) continue;
		n->efficiency[e] = (float)(j->model.efficiency[e] * alive / sum);
		n->uncertainty[e] = (float)(sqrt(j->gross[e]) / j->counts.fan[e]);
	}
	snprintf(n->scanner_name, sizeof n->scanner_name, "%s", scanner->name);
	iso_scanner_hash(scanner, n->scanner_hash);
	iso_norm_source_text(&j->options->source, n->source, sizeof n->source);
	snprintf(n->software, sizeof n->software, "isotrace %s", ISO_VERSION);
	n->start_utc_s = facts->start_utc_s;
	n->made_utc_s = (double)time(NULL);
	/* what is left goes along */
	const iso_pair_components *c = j->scanner->components;
	if (!c->radial_nodes && !c->axial_nodes && !c->block_nodes) return ISO_OK;
	n->components = j->scanner->components;
	j->scanner->components = NULL;
	return ISO_OK;
}

iso_status iso_normalise(iso_events *events, const iso_normalise_options *options, iso_normalisation **out,
			 iso_error *err)
{
	*out = NULL;
	const iso_scanner *scanner = iso_events_scanner(events);
	job j = {.options = options, .norm = calloc(1, sizeof *j.norm)};
	if (!j.norm) return iso_fail_memory(err, "the normalisation", sizeof *j.norm);
	iso_status status = check(scanner, options, err);
	if (status == ISO_OK) status = prepare(&j, scanner, err);
	if (status == ISO_OK) status = collect(&j, events, err);
	if (status == ISO_OK) status = judge_crystals(&j, err);
	if (status == ISO_OK) status = fit(&j, err);
	if (status == ISO_OK) {
		fix_means(&j);
		status = store(&j, scanner, iso_events_acquisition(events), err);
	}
	if (status == ISO_OK && j.norm->dead)
		iso_note(options->progress, "%u of %u crystals have no counts and are dead from now on", j.norm->dead,
			 j.norm->elements);
	iso_norm_pairs_free(j.pairs);
	iso_scanner_free(j.scanner);
	free(j.counts.fan);
	free(j.gross);
	free(j.model.efficiency);
	if (status == ISO_OK)
		*out = j.norm;
	else
		iso_normalisation_free(j.norm);
	return status;
}

void iso_normalisation_free(iso_normalisation *normalisation)
{
	if (!normalisation) return;
	free(normalisation->efficiency);
	free(normalisation->uncertainty);
	iso_pair_components_free(normalisation->components);
	free(normalisation);
}

iso_status iso_normalisation_apply(const iso_normalisation *normalisation, iso_scanner *scanner, iso_error *err)
{
	char hash[65];
	iso_scanner_hash(scanner, hash);
	if (normalisation->elements != scanner->elements || strcmp(hash, normalisation->scanner_hash) != 0)
		return iso_fail(
		    err, ISO_BAD_INPUT, NULL, "make a normalisation from a norm scan of this scanner",
		    "the normalisation is of another scanner ('%s', %u elements) than the list-mode ('%s', %u "
		    "elements), or of another description of it",
		    normalisation->scanner_name, normalisation->elements, scanner->name, scanner->elements);
	if (normalisation->components) {
		const iso_status status = iso_scanner_create_components(scanner, err);
		if (status != ISO_OK) return status;
		uint8_t *position = scanner->components->position;
		memcpy(position, normalisation->components->position, scanner->elements);
		*scanner->components = *normalisation->components;
		scanner->components->position = position;
	} else {
		iso_pair_components_free(scanner->components);
		scanner->components = NULL;
	}
	memcpy(scanner->efficiency, normalisation->efficiency, scanner->elements * sizeof *scanner->efficiency);
	return ISO_OK;
}
