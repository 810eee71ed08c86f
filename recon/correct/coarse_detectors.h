/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What changes slowly from crystal to crystal is worked out for few detectors, nodes of a net of angles around the z axis and heights along it,
 * and interpolated. */
#ifndef ISOTRACE_RECON_CORRECT_COARSE_DETECTORS_H
#define ISOTRACE_RECON_CORRECT_COARSE_DETECTORS_H

#include <stddef.h>
#include <stdint.h>

#include "recon/correct/coarse_map.h"
#include "recon/correct/response.h"

/* Where an element lies in the net: between nodes angle and angle + 1 (the last one's neighbour is the first), height and height + 1. */
typedef struct iso_net_place {
	uint16_t angle[2], height[2];
	float along_angle, along_height; /* 0..1: the weight of the second one */
	float view;                      /* of iso_coarse_detectors_look */
} iso_net_place;

typedef struct iso_coarse_detectors {
	uint32_t angles, heights, count; /* count = angles * heights; node = angle * heights + height */
	/* A node stands where a ray from the axis at its angle and height meets the face of the element nearest to it, extended. On rings that is a
	 * crystal like the others; on panels, a point of the panel. */
	double (*position_mm)[3], (*normal)[3]; /* owned, [count] */
	double *view;                           /* owned, [count] */
	iso_net_place *place;                   /* owned, [elements]: by the element's number */
} iso_coarse_detectors;

/* angles 0: 48. Elements of efficiency 0 are not asked where they stand, but have a place. Layers of different depth are taken together. */
iso_status iso_coarse_detectors_create(const iso_scanner *scanner, uint32_t angles, iso_coarse_detectors **out,
				       iso_error *err);
/* How large nodes and elements look from the points: the mean of cos / R^2 x stopping power at 511 keV, weighted with their content. A rate
 * per pair goes roughly as the product of the two ends' views; what is interpolated is the rate over it, which changes little from
 * node to node. Without this call all views are 1. */
void iso_coarse_detectors_look(iso_coarse_detectors *detectors, const iso_scanner *scanner,
			       const iso_energy_response *response, const iso_image_points *points);
void iso_coarse_detectors_free(iso_coarse_detectors *detectors);

/* Counts/s of every pair of nodes, over their views, and, with TOF, of bins whose middle is at a node of time: of bin (n - middle) * stride. */
typedef struct iso_pair_table {
	const iso_coarse_detectors *detectors; /* borrowed */
	uint32_t times;                        /* odd; 1 without TOF */
	uint32_t stride;                       /* bins from one node of time to the next */
	float *value; /* owned, [count][count][times]; value[a][b][t] = value[b][a][times-1-t] */
	float *spare; /* owned, as large: working space */
} iso_pair_table;

/* All 0. As many nodes of time as the bin's width and the resolution demand. */
iso_status iso_pair_table_create(const iso_coarse_detectors *detectors, const iso_tof *tof, iso_pair_table **out,
				 iso_error *err);
void iso_pair_table_free(iso_pair_table *table);
size_t iso_pair_table_values(const iso_pair_table *table);
/* Makes a table of the rates of pairs a <= b: divides by the views, fills the other half, and lowers nodes where the rate is bent upwards (lifts them where
 * downwards), so that what is interpolated between them is right on average. */
void iso_pair_table_finish(iso_pair_table *table);
/* Of a pair of elements and a TOF bin, interpolated. */
double iso_pair_table_at(const iso_pair_table *table, const iso_net_place *a, const iso_net_place *b, int tof_bin);
/* Sums over the TOF bins of a scanner that has so many, of each pair of nodes: a table of one time whose values are the caller's to free. */
iso_status iso_pair_table_sum_times(const iso_pair_table *from, int bins, iso_pair_table *to, iso_error *err);

#endif
