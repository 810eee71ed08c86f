/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The list-mode system model of a scanner and a grid, made of projector, multiplicative factors and image-space
 * resolution, as operators. */
#ifndef ISOTRACE_RECON_SYSTEM_H
#define ISOTRACE_RECON_SYSTEM_H

#include "isotrace/recon.h"
#include "recon/line_block.h"
#include "recon/operator.h"
#include "recon/positron_range.h"

typedef struct iso_system iso_system;

/* What lies between the image and what a perfect scanner would see. */
typedef struct iso_resolution {
	double psf_fwhm_mm;              /* Gaussian; 0: none */
	double tail_share, tail_fwhm_mm; /* ... and a wider one that has this share; 0: none */
	const iso_positron_range *range; /* of the nuclide, in thin tissue as mu shows it; NULL: none */
} iso_resolution;

/* scanner and mu (NULL: none; needed for the range) are borrowed. */
iso_status iso_system_create(const iso_scanner *scanner, const iso_grid *grid, const iso_resolution *resolution,
			     const iso_image *mu, int threads, iso_system **out, iso_error *err);
void iso_system_free(iso_system *system);

/* G, image -> image; NULL when there is none. */
const iso_operator *iso_system_image_model(const iso_system *system);
/* The scanner's elements as the blocks below must have them. */
const iso_columns *iso_system_columns(const iso_system *system);
/* P, image -> the lines of the block last given to iso_system_aim. */
const iso_operator *iso_system_lines(const iso_system *system);
/* The block is borrowed while P is used. */
void iso_system_aim(iso_system *system, const iso_line_block *block);
/* m_i = geometric factor * efficiencies, times attenuation where asked; 0: the pair cannot count. Touches nothing that the
 * operators use: another thread may call it meanwhile. */
iso_status iso_system_factors(iso_system *system, const iso_line_block *block, bool attenuation, float *factors,
			      iso_error *err);

/* Seconds spent in projections of P so far. */
void iso_system_times(const iso_system *system, double *forward_s, double *back_s);

#endif
