/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The JSON beside a volume: BIDS-PET's keys for other programs, and an object "isotrace" that holds all that a volume
 * knows, from which it is read back. Described in docs/volumes.md. */
#ifndef ISOTRACE_IO_SIDECAR_H
#define ISOTRACE_IO_SIDECAR_H

#include "isotrace/volume.h"

/* *text is owned by the caller (free()). */
iso_status iso_sidecar_text(const iso_volume *volume, const char *file, char **text, iso_error *err);

/* Reads all but the voxels: *out has frames and facts, voxels NULL, and replicates as stated. A sidecar without the
 * isotrace object is read from its BIDS keys; the grid is then all zero: the image has it. */
iso_status iso_sidecar_read(const char *path, iso_volume **out, iso_error *err);

#endif
