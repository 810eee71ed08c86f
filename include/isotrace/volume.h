/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_VOLUME_H
#define ISOTRACE_VOLUME_H

#include "isotrace/acquisition.h"
#include "isotrace/gating.h"
#include "isotrace/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A time frame, seconds from the start of the acquisition. */
typedef struct iso_frame {
	double start_s, duration_s;
} iso_frame;

/* What was done to the numbers; text is what a reader sees ("delayed coincidences, crystal fan sums"), "" = not
 * corrected. Every one of these reaches the sidecar and the DICOM tags. */
typedef struct iso_corrections {
	char randoms[96];
	char attenuation[96];
	char scatter[96];
	char normalisation[96];
	char dead_time[96];
	char decay[96];
	char branching[96];
	char calibration[96];
	char resolution[96]; /* resolution modelling in the reconstruction */
	char post_filter[96];
} iso_corrections;

typedef struct iso_reconstruction_facts {
	char method[64];              /* "list-mode OSEM" */
	char prior[192];              /* what a penalised reconstruction preferred, with its parameters; "" = nothing */
	unsigned iterations, subsets; /* iterations: that were done, the most of all frames */
	/* (Penalised) log-likelihood without constants, all frames together, as of the last iteration; NAN = not known. It
	 * compares reconstructions of the same events. */
	double objective;
	double prompts, delayeds; /* used */
	char input[256];          /* file name of the list-mode */
	char input_sha256[65];
	char software[64];     /* "isotrace 0.1.0 (avx2 kernels)": bits differ between kinds of processor */
	char scanner_hash[65]; /* iso_scanner_hash of the scanner; "" = not known */
} iso_reconstruction_facts;

/* A reconstructed volume, one or more images on one grid, with all that is needed to understand it: frames in time, or gates of a
 * cycle. */
typedef struct iso_volume {
	iso_grid grid;
	iso_unit unit;
	size_t frames;
	iso_frame *frame; /* owned, [frames] */
	float *voxels;    /* owned, [frames][k][j][i] */
	/* Of a gated volume there are gating.gates == frames, and every frame has the same time: that of the whole scan, to which the
	 * decay goes. gating.gate is owned. */
	iso_gating gating;
	/* Values are decay-corrected to this moment; seconds from the start of the acquisition; NAN = not corrected. */
	double decay_reference_s;
	iso_acquisition acquisition;
	double half_life_s, branching_fraction;             /* that were used; NAN = none */
	double calibration_factor, calibration_uncertainty; /* used; uncertainty relative, k = 1; NAN = none */
	/* Replicates: statistically independent reconstructions from 1/n-th of the counts each, interleaved in time, from
	 * which the noise of any region's mean follows: sd(mean over replicates)/sqrt(n). 0 = none.
	 * replicate_voxels: owned, [replicates][frames][k][j][i], NULL when 0. Same unit as voxels. */
	size_t replicates;
	float *replicate_voxels;
	iso_corrections corrections;
	iso_reconstruction_facts facts;
} iso_volume;

/* Zero voxels, facts unknown, frames as given. */
iso_status iso_volume_create(const iso_grid *grid, iso_unit unit, size_t frames, const iso_frame *frame,
			     size_t replicates, iso_volume **out, iso_error *err);
void iso_volume_free(iso_volume *volume);
/* Makes the volume's frames gates; the gating is copied. ISO_BAD_INPUT as of iso_volume_check_gating. */
iso_status iso_volume_set_gating(iso_volume *volume, const iso_gating *gating, const char *file, iso_error *err);
/* Not gated, or the gating is whole, has a gate for each frame, and the frames have the same time; else ISO_BAD_INPUT. */
iso_status iso_volume_check_gating(const iso_volume *volume, const char *file, iso_error *err);

/* A frame table: CSV with the header start_s,duration_s (seconds from the start of the acquisition). Frames must be in
 * order and not overlap. *frames is owned by the caller (free()). */
iso_status iso_frame_table_read(const char *path, iso_frame **frames, size_t *count, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
