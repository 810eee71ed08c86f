/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/pair_components.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

double iso_nodes_between(double x, double step, uint32_t nodes, uint32_t node[2])
{
	const double at = x / step, last = nodes - 1.0;
	node[0] = node[1] = at > 0 ? nodes - 1 : 0;
	if (!(at > 0) || at >= last) return 0;
	node[0] = (uint32_t)at;
	node[1] = node[0] + 1;
	return at - node[0];
}

static double at_nodes(const float *factor, double x, double step, uint32_t nodes)
{
	uint32_t node[2];
	const double w = iso_nodes_between(x, step, nodes, node);
	return (1 - w) * (double)factor[node[0]] + w * (double)factor[node[1]];
}

double iso_signed_offset_mm(const float *p, const float *q)
{
	const double dx = (double)q[0] - (double)p[0], dy = (double)q[1] - (double)p[1];
	const double cross = (double)p[0] * (double)q[1] - (double)p[1] * (double)q[0],
		     across = sqrt(dx * dx + dy * dy);
	return across > 0 ? cross / across : hypot((double)p[0], (double)p[1]);
}

double iso_scanner_pair_components(const iso_scanner *scanner, uint32_t a, uint32_t b)
{
	const iso_pair_components *c = scanner->components;
	if (!c) return 1;
	const float *p = scanner->position_mm + 3 * (size_t)a, *q = scanner->position_mm + 3 * (size_t)b;
	const double offset = iso_signed_offset_mm(p, q);
	double factor = 1;
	if (c->radial_nodes) factor *= at_nodes(c->radial, fabs(offset), c->radial_step_mm, c->radial_nodes);
	if (c->axial_nodes)
		factor *= at_nodes(c->axial, fabs((double)q[2] - (double)p[2]), c->axial_step_mm, c->axial_nodes);
	if (c->block_nodes && c->position) {
		const double middle = 0.5 * (c->block_nodes - 1) * c->block_step_mm;
		factor *= at_nodes(c->block[c->position[a]], middle + offset, c->block_step_mm, c->block_nodes) *
			  at_nodes(c->block[c->position[b]], middle - offset, c->block_step_mm, c->block_nodes);
	}
	return factor;
}

iso_status iso_scanner_create_components(iso_scanner *scanner, iso_error *err)
{
	iso_pair_components_free(scanner->components);
	scanner->components = calloc(1, sizeof *scanner->components);
	if (scanner->components) scanner->components->position = calloc((size_t)scanner->elements + 1, 1);
	if (scanner->components && scanner->components->position) return ISO_OK;
	iso_pair_components_free(scanner->components);
	scanner->components = NULL;
	return iso_fail_memory(err, "factors of pairs", sizeof *scanner->components + scanner->elements);
}

iso_status iso_scanner_copy_components(const iso_scanner *from, iso_scanner *to, iso_error *err)
{
	if (!from->components) return ISO_OK;
	const iso_status status = iso_scanner_create_components(to, err);
	if (status != ISO_OK) return status;
	uint8_t *position = to->components->position;
	memcpy(position, from->components->position, from->elements);
	*to->components = *from->components;
	to->components->position = position;
	return ISO_OK;
}

void iso_pair_components_free(iso_pair_components *components)
{
	if (!components) return;
	free(components->position);
	free(components);
}

void iso_pair_components_hash(const iso_scanner *scanner, iso_hash *hash)
{
	const iso_pair_components *c = scanner->components;
	if (!c) return;
	const uint64_t counts[] = {c->radial_nodes, c->axial_nodes, c->block_positions, c->block_nodes};
	const double steps[] = {c->radial_step_mm, c->axial_step_mm, c->block_step_mm};
	iso_hash_text(hash, "components");
	for (size_t n = 0; n < 4; n++) iso_hash_u64(hash, counts[n]);
	for (size_t n = 0; n < 3; n++) iso_hash_double(hash, steps[n]);
	iso_hash_bytes(hash, c->radial, c->radial_nodes * sizeof *c->radial);
	iso_hash_bytes(hash, c->axial, c->axial_nodes * sizeof *c->axial);
	for (uint32_t k = 0; k < c->block_positions && c->block_nodes; k++)
		iso_hash_bytes(hash, c->block[k], c->block_nodes * sizeof *c->block[k]);
	if (c->block_positions && c->position) iso_hash_bytes(hash, c->position, scanner->elements);
}
