/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_NORMALISATION_H
#define ISOTRACE_NORMALISATION_H

#include "isotrace/events.h"
#include "isotrace/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Component-based normalisation: what a pair of crystals records, over what geometry says that it should. A pair's factor is the
 * product of two crystal efficiencies and the scanner's iso_pair_components. docs/corrections.md explains it,
 * docs/normalisation-format.md the file. */

typedef enum iso_norm_source_kind {
	ISO_NORM_CYLINDER = 0, /* uniform, its axis along z */
	ISO_NORM_LINE,         /* a rod parallel to z that goes round evenly on an orbit */
	ISO_NORM_PLANE         /* a slab that contains the z direction, at one angle or at several, each for as long */
} iso_norm_source_kind;

/* What was scanned. Uniform in activity. Lengths in mm. */
typedef struct iso_norm_source {
	iso_norm_source_kind kind;
	double centre_mm[3];           /* of the cylinder, the orbit or the slab */
	double radius_mm;              /* of the cylinder, or of the orbit */
	double rod_radius_mm;          /* line */
	double length_mm;              /* along z; INFINITY: longer than the scanner */
	double width_mm, thickness_mm; /* plane */
	double angle_deg;              /* plane: of its width from +x towards +y, at the first position */
	unsigned positions;            /* plane: angle + n 180 / positions degrees; 1 to 64 */
	double mu_per_cm;              /* of cylinder and plane; 0: none */
} iso_norm_source;

/* Centred, length INFINITY, rod radius 1 mm, 1 position; the rest is 0 and to be stated. */
iso_norm_source iso_norm_source_default(iso_norm_source_kind kind);

typedef enum iso_norm_geometric {
	ISO_NORM_GEOMETRIC_KEEP = 0, /* fitted, and part of the normalisation */
	/* Fitted, so that it does not bias the efficiencies, and left out: the smooth part of a source that scatters is its own. */
	ISO_NORM_GEOMETRIC_DROP,
	ISO_NORM_GEOMETRIC_NONE /* not fitted */
} iso_norm_geometric;

typedef struct iso_normalise_options {
	iso_norm_source source;
	iso_norm_geometric geometric;
	bool block; /* interference by position in the block; needs the scanner's block_crystals */
	/* Lines that pass the axis of the cylinder or orbit farther away than this part of its radius do not count: there the crystals'
	 * width and the scatter matter most. */
	double inner_part;
	int threads;                  /* 0 = as many as OpenMP offers */
	const iso_progress *progress; /* may be NULL */
} iso_normalise_options;

/* Geometric factors are kept, but dropped for a cylinder; block where the scanner states it; inner part 0.9. */
iso_normalise_options iso_normalise_options_default(const iso_norm_source *source, const iso_scanner *scanner);

typedef struct iso_normalisation {
	char scanner_name[64];
	char scanner_hash[65];           /* iso_scanner_hash of the norm scan's scanner */
	char source[160];                /* what was scanned, in words */
	double start_utc_s, made_utc_s;  /* of the scan, NAN = not stated; of the normalisation */
	double prompts, delayeds;        /* that were used */
	uint32_t elements, dead;         /* dead: of elements that the scanner counts as alive, those without counts */
	float *efficiency;               /* owned; [elements]; mean over those above 0: 1 */
	float *uncertainty;              /* owned; [elements]; relative, k = 1, of counting; 0 for dead ones */
	iso_pair_components *components; /* owned; NULL = none; position[] as iso_pair_components has it */
	char software[64];
} iso_normalisation;

/* Maximum likelihood from a scan of the source. Crystals that no line through the source reaches, or fewer than 10 counts in the mean of a
 * crystal: ISO_BAD_INPUT. Prompts less delayeds are taken as counts. */
iso_status iso_normalise(iso_events *events, const iso_normalise_options *options, iso_normalisation **out,
			 iso_error *err);
void iso_normalisation_free(iso_normalisation *normalisation);

/* Puts efficiencies and components into the scanner in place of its own. Another scanner's normalisation: ISO_BAD_INPUT. */
iso_status iso_normalisation_apply(const iso_normalisation *normalisation, iso_scanner *scanner, iso_error *err);

iso_status iso_normalisation_write(const char *path, const iso_normalisation *normalisation, iso_error *err);
/* Damaged, truncated or foreign files: ISO_BAD_INPUT. */
iso_status iso_normalisation_read(const char *path, iso_normalisation **out, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
