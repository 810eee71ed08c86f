/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What core/scanner.c needs to carry a scanner's components along. */
#ifndef ISOTRACE_CORE_PAIR_COMPONENTS_H
#define ISOTRACE_CORE_PAIR_COMPONENTS_H

#include "core/hash.h"
#include "isotrace/scanner.h"

/* to has none yet. */
iso_status iso_scanner_copy_components(const iso_scanner *from, iso_scanner *to, iso_error *err);
void iso_pair_components_free(iso_pair_components *components);
/* Adds nothing when there are none. */
void iso_pair_components_hash(const iso_scanner *scanner, iso_hash *hash);

/* Between which nodes x lies: node[0] and node[1] with weight 1 - w and w. nodes >= 1. */
double iso_nodes_between(double x, double step, uint32_t nodes, uint32_t node[2]);
/* Signed distance of the line from p to q from the axis, as seen from p. (p, q) and (q, p) give opposite numbers to the bit. */
double iso_signed_offset_mm(const float *p, const float *q);

#endif
