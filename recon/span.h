/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_SPAN_H
#define ISOTRACE_RECON_SPAN_H

#include <stddef.h>

#include "isotrace/volume.h"

/* The time of an image: a frame, or the parts of the scan in which a gate was collected, in order and without overlap. Borrowed. */
typedef struct iso_span {
	const iso_frame *part;
	size_t parts; /* >= 1 */
} iso_span;

static inline double iso_part_end_s(const iso_frame *part)
{
	return part->start_s + part->duration_s;
}

#endif
