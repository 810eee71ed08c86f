/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_PROJECTOR_H
#define ISOTRACE_PROJECTOR_H

#include "isotrace/events.h"
#include "isotrace/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A line along which activity is seen. For PET its ends are the two crystals; for SPECT the detector pixel and a
 * point beyond the object on the collimator hole's axis. The projector knows nothing else of a scanner. */
typedef struct iso_line {
	float start_mm[3], end_mm[3];
	float tof_centre_mm; /* measured position of the emission: distance from the line's middle, positive towards
	                      * end; ignored by a projector without TOF */
} iso_line;

/* What is known of the position along the line. sigma_mm = 0: nothing (no TOF). */
typedef struct iso_tof_kernel {
	double sigma_mm;   /* standard deviation of the position */
	double bin_mm;     /* width of a bin; the kernel is the Gaussian integrated over the bin */
	double cut_sigmas; /* the kernel is 0 beyond bin_mm/2 + cut_sigmas * sigma_mm */
} iso_tof_kernel;

/* The TOF kernel of a scanner (sigma_mm 0 when it has none), and the position of a bin's centre for iso_line. */
iso_tof_kernel iso_tof_kernel_of(const iso_tof *tof);
double iso_tof_bin_centre_mm(const iso_tof *tof, int tof_bin);

/* The system matrix by Joseph's method (P. M. Joseph, IEEE Trans. Med. Imaging 1 (1982) 192-196) in 3-D, as a linear
 * operator: plan once, apply to any number of lines. Element (line, voxel) is the length in mm that the line has in
 * the voxel's bilinear basis function, times the TOF kernel's weight. The grid must be axis-aligned. */
typedef struct iso_projector iso_projector;

/* threads: 0 = as many as OpenMP offers. tof NULL or sigma 0: no TOF. */
iso_status iso_projector_create(const iso_grid *grid, const iso_tof_kernel *tof, int threads, iso_projector **out,
				iso_error *err);
/* values[n] = sum over voxels of matrix(line n, voxel) * voxels[voxel]. */
iso_status iso_projector_forward(iso_projector *projector, const iso_line *lines, size_t count, const float *voxels,
				 float *values, iso_error *err);
/* voxels[voxel] += sum over lines of matrix(line n, voxel) * values[n]. The same bits for any number of threads. */
iso_status iso_projector_adjoint(iso_projector *projector, const iso_line *lines, size_t count, const float *values,
				 float *voxels, iso_error *err);
const iso_grid *iso_projector_grid(const iso_projector *projector);
void iso_projector_free(iso_projector *projector);

/* The lines of events (geometry only). */
void iso_lines_of_events(const iso_scanner *scanner, const iso_event *events, size_t count, iso_line *lines);

#ifdef __cplusplus
}
#endif
#endif
