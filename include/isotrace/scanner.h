/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_SCANNER_H
#define ISOTRACE_SCANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "isotrace/acquisition.h"
#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which pairs of elements the electronics may put in coincidence, in terms of where the elements are and
 * not of how they are numbered. INFINITY (0 for the minimum) where there is no limit. Pairs with an element of
 * efficiency 0 never count. */
typedef struct iso_pair_rule {
	double max_axial_difference_mm;  /* |z1 - z2|, inclusive (compared with 1e-3 mm of slack) */
	double max_transaxial_offset_mm; /* distance of the line from the axis x = y = 0, seen along z, inclusive */
	double min_distance_mm;          /* elements closer than this are no pair */
} iso_pair_rule;

/* How well arrival times are known. fwhm_ps = 0: not a TOF scanner. Bin b (..-1, 0, 1..) covers time differences
 * t0 - t1 in [(b-1/2) bin_ps, (b+1/2) bin_ps); positive: nearer to element 1, because element 0 saw it later. */
typedef struct iso_tof {
	double fwhm_ps;
	double bin_ps;
	int32_t bins; /* number of bins, odd; b runs from -(bins-1)/2 to +(bins-1)/2; 0 = not TOF */
} iso_tof;

/* Measured factors of a pair of elements beyond the product of the two efficiencies (docs/corrections.md). All are given at evenly
 * spaced nodes, linear in between and constant beyond the last one. */
enum { ISO_PAIR_NODES = 64, ISO_BLOCK_POSITIONS = 64, ISO_BLOCK_NODES = 17 };
typedef struct iso_pair_components {
	/* By the distance of the line from the axis, seen along z; node n at n * step. Count 0: 1 everywhere; so below. */
	uint32_t radial_nodes;
	double radial_step_mm;
	float radial[ISO_PAIR_NODES];
	/* By |z1 - z2|. */
	uint32_t axial_nodes;
	double axial_step_mm;
	float axial[ISO_PAIR_NODES];
	/* By an end's transaxial position in its detector block and by the line's signed distance from the axis as seen from that end
	 * (p x (q - p) / |q - p| for the end at p), node n at (n - (nodes - 1) / 2) * step; one factor for each end. */
	uint32_t block_positions, block_nodes;
	double block_step_mm;
	float block[ISO_BLOCK_POSITIONS][ISO_BLOCK_NODES];
	uint8_t *position; /* owned; [elements] below block_positions; NULL when there are none */
} iso_pair_components;

typedef enum iso_dead_time_model {
	ISO_DEAD_TIME_NONE = 0,        /* no model is stated */
	ISO_DEAD_TIME_NON_PARALYZABLE, /* an event that comes while the block is busy is lost */
	ISO_DEAD_TIME_PARALYZABLE      /* and keeps it busy for another dead time */
} iso_dead_time_model;

/* A scanner is a table of detecting elements (PET: crystals; SPECT: detector pixels in the detector's own
 * frame), each with a position and an orientation. Nothing else about its shape is known to the reconstruction. */
typedef struct iso_scanner {
	char name[64];
	iso_modality modality;
	uint32_t elements;
	float *position_mm; /* owned; 3 per element: where a detected photon is taken to have stopped, on average */
	float *normal;      /* owned; 3 per element: unit vector from the front face outwards (into the crystal) */
	float *efficiency;  /* owned; 1 per element: relative detection efficiency, 1 = nominal, 0 = dead or a gap */
	double element_size_mm[3]; /* transaxial width, axial width, depth; NAN = not known */
	double attenuation_per_mm; /* of the detector material at the photon energy; NAN = not known */
	iso_pair_rule rule;
	iso_tof tof;
	iso_dead_time_model dead_time_model;
	double dead_time_ns;            /* of a detector block, per recorded single; NAN = not known */
	double coincidence_window_ns;   /* full width, 2 tau; NAN = not known */
	double calibration_factor;      /* see recon.h; NAN = not calibrated */
	double calibration_uncertainty; /* relative, k = 1; NAN = not stated */
	/* How the elements were numbered by whoever made the scanner, only for readers and reports: ring = e / per_ring.
	 * 0 = no such order. */
	uint32_t elements_per_ring;
	/* Crystals of a detector block, whose electronics handle one photon at a time: transaxial, axial. 0, 0 = not stated.
	 * Blocks fill the rings: they need elements_per_ring and divide it, and the number of rings, without a rest. */
	uint32_t block_crystals[2];
	iso_pair_components *components; /* owned; NULL = none. Not in list-mode: a normalisation brings them. */
} iso_scanner;

/* A cylinder of identical rings: element e = ring * crystals_per_ring + index. */
typedef struct iso_ring_description {
	char name[64];
	uint32_t rings;
	uint32_t crystals_per_ring;
	double radius_mm;       /* of the crystals' front faces */
	double mean_depth_mm;   /* of interaction, behind the front face; positions lie at radius + mean depth */
	double ring_spacing_mm; /* ring r lies at z = (r - (rings-1)/2) * spacing */
	double first_angle_rad; /* of crystal 0 */
	double crystal_size_mm[3];
	double attenuation_per_mm;
	/* position of crystal c: x = rho cos a, y = rho sin a, a = first_angle + 2 pi c / crystals_per_ring */
} iso_ring_description;

/* Makes the element table. rule: no limits; tof: none; efficiency: all 1; uncalibrated. */
iso_status iso_scanner_from_rings(const iso_ring_description *description, iso_scanner **out, iso_error *err);

/* Makes an empty table of `elements` elements (positions and normals 0, efficiency 1). */
iso_status iso_scanner_create(uint32_t elements, const char *name, iso_scanner **out, iso_error *err);

iso_status iso_scanner_copy(const iso_scanner *scanner, iso_scanner **out, iso_error *err);
void iso_scanner_free(iso_scanner *scanner);

/* Positions finite, normals unit vectors, efficiencies finite and >= 0, at least 2 elements for PET, rule and TOF
 * possible, blocks that fill the rings or none, calibration factor > 0 or none. */
iso_status iso_scanner_check(const iso_scanner *scanner, const char *file, iso_error *err);

/* Can elements a and b be in coincidence? Symmetric. */
bool iso_scanner_pair_allowed(const iso_scanner *scanner, uint32_t a, uint32_t b);

/* Number of detector blocks; 0 when blocks are not stated. */
uint32_t iso_scanner_blocks(const iso_scanner *scanner);
/* The block of an element, counted along the ring first; only when there are blocks. */
uint32_t iso_scanner_block(const iso_scanner *scanner, uint32_t element);

/* The product of the pair's components; 1 when there are none. */
double iso_scanner_pair_components(const iso_scanner *scanner, uint32_t a, uint32_t b);
/* Room for components of the scanner's elements (all counts 0); those that it had are freed. */
iso_status iso_scanner_create_components(iso_scanner *scanner, iso_error *err);

/* "non-paralyzable", "paralyzable" or "unknown". */
const char *iso_dead_time_model_text(iso_dead_time_model model);
iso_dead_time_model iso_dead_time_model_from_text(const char *text);

/* 64 hex digits: SHA-256 of all that the system matrix depends on (table, sizes, material, rule, TOF, components;
 * not names, blocks, dead time, windows and calibration). */
void iso_scanner_hash(const iso_scanner *scanner, char hex[65]);

#ifdef __cplusplus
}
#endif
#endif
