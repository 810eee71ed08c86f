/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The textbook kernel: Joseph's projector as one writes it down from the paper. It is the yardstick of `isotrace bench` and
 * the tests' oracle, so it stays as simple as it is; the reconstruction uses isotrace/projector.h. What is computed is the
 * same, see docs/projector.md: values in mm times the voxels' unit, and lines that meet nothing give 0. */
#ifndef ISOTRACE_RECON_TEXTBOOK_H
#define ISOTRACE_RECON_TEXTBOOK_H

#include <stddef.h>

#include "isotrace/projector.h"

/* values[n] = integral over line n. The grid must be axis-aligned. tof NULL or sigma 0: no TOF; threads 0: all. */
void iso_textbook_forward(const iso_grid *grid, const iso_tof_kernel *tof, const iso_line *lines, size_t count,
			  int threads, const float *voxels, float *values);
/* voxels += back projection of the values. Threads add in any order: the last bits differ from call to call. */
void iso_textbook_adjoint(const iso_grid *grid, const iso_tof_kernel *tof, const iso_line *lines, size_t count,
			  int threads, const float *values, float *voxels);

#endif
