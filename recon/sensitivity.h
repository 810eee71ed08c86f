/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_SENSITIVITY_H
#define ISOTRACE_RECON_SENSITIVITY_H

#include "isotrace/recon.h"

/* iso_sensitivity, kept in `folder` (NULL: not kept) under a key made of all that the image depends on. A damaged entry is
 * computed anew; a folder that cannot be written is a note to progress and no error. */
iso_status iso_sensitivity_cached(const char *folder, const iso_scanner *scanner, const iso_grid *grid,
				  const iso_image *mu, uint64_t sensitivity_lines, int threads,
				  const iso_progress *progress, iso_image **out, iso_error *err);

/* The key: 64 hex digits. */
void iso_sensitivity_key(const iso_scanner *scanner, const iso_grid *grid, const iso_image *mu,
			 uint64_t sensitivity_lines, char hex[65]);

#endif
