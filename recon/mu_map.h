/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_MU_MAP_H
#define ISOTRACE_RECON_MU_MAP_H

#include "isotrace/image.h"

/* The map on an axis-aligned grid around it, as projectors want it: *out NULL when it is on one already, else an image of the
 * caller's. Axes that are only flipped or exchanged (NIfTI's RAS+ is) keep every value. */
iso_status iso_mu_map_align(const iso_image *mu, iso_image **out, iso_error *err);

#endif
