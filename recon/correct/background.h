/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a line counts that is not a true coincidence along it:
 *     r_i = s_a s_b / TOF bins + T e_a e_b (alpha S + beta B)(pair, TOF bin)
 * s: randoms; e: the elements' efficiencies; S: scatter and B: prompt gammas, counts/s of nominal crystals (recon/correct/scatter.h,
 * prompt_gamma.h), from the image as it was last time; alpha and beta from the tails (recon/correct/tails.h) or the total. T e_a e_b stays
 * in the ratio to T m_i, so that an image of a part of the counts has the same scatter beside it. */
#ifndef ISOTRACE_RECON_CORRECT_BACKGROUND_H
#define ISOTRACE_RECON_CORRECT_BACKGROUND_H

#include "isotrace/recon.h"
#include "recon/correct/coarse_detectors.h"
#include "recon/event_store.h"

typedef struct iso_background_plan {
	const iso_scanner *scanner;
	const iso_columns *columns; /* of the scanner */
	bool scatter;
	/* the rest: with scatter */
	const iso_image *mu; /* axis-aligned, 1/cm */
	double window_kev[2], resolution;
	const iso_nuclide *nuclide; /* whose prompt gammas are wanted; NULL: none */
	iso_scatter_scale scale;
	int threads;
} iso_background_plan;

typedef struct iso_background iso_background;

/* The plan is copied, what it points to borrowed. */
iso_status iso_background_create(const iso_background_plan *plan, iso_background **out, iso_error *err);
void iso_background_free(iso_background *background);

/* rate: s in the order of iso_columns.element, borrowed; NULL: no randoms. */
void iso_background_set_randoms(iso_background *background, const float *rate);
/* b_i = r_i / (T m_i) of recon/likelihood.h; m NULL: all are 1. */
void iso_background_terms(const iso_background *background, const iso_line_block *block, const float *m, double scale_s,
			  float *additive);

/* Forgets scatter and tails, and takes the scanner's efficiencies anew: another frame begins. */
void iso_background_forget(iso_background *background);
/* The image of a frame's prompts. */
typedef struct iso_background_image {
	iso_event_store
	    *store; /* of the frame, all its events selected; its lines are passed once a frame, to count the tails */
	unsigned subsets; /* of the store */
	const iso_grid *grid;
	const float *x; /* of annihilations as the lines see them (G x), counts/s/mm */
	double scale_s; /* T */
	double prompts;
	double explained; /* counts that it predicts */
} iso_background_image;
/* What the estimate rests on. */
typedef struct iso_scatter_report {
	double scale, scale_sd; /* alpha; its standard deviation, NAN: the total or nothing scales it */
	double gamma_scale;     /* beta */
	double fraction; /* of the trues and scattered coincidences that are scattered, prompt gammas among them */
	bool from_tails, from_total; /* what most of the scale comes from */
} iso_scatter_report;
/* Into text, which is returned. */
const char *iso_scatter_report_text(const iso_scatter_report *report, char *text, size_t size);
/* Makes the scatter anew from an image. */
iso_status iso_background_update(iso_background *background, const iso_background_image *image,
				 iso_scatter_report *report, iso_error *err);

/* The terms as they are now, apart; all by the order of iso_columns.element, all borrowed. */
typedef struct iso_background_parts {
	const iso_background_plan *plan;
	const float *rate;       /* NULL: no randoms */
	const float *efficiency; /* this and the next: NULL without scatter */
	const iso_net_place *place;
	const iso_pair_table *scatter, *gammas; /* NULL: none */
	double scatter_scale, gamma_scale;      /* alpha, beta */
} iso_background_parts;
iso_background_parts iso_background_now(const iso_background *background);

/* All that updates have changed, as it has to be for a resumed run: owned by the background, [*count]; *count 0: nothing. */
float *iso_background_state(iso_background *background, size_t *count);

#endif
