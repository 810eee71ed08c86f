/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_H
#define ISOTRACE_RECON_H

#include "isotrace/calibration.h"
#include "isotrace/events.h"
#include "isotrace/gates.h"
#include "isotrace/normalisation.h"
#include "isotrace/nuclide.h"
#include "isotrace/progress.h"
#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* List-mode reconstruction: OSEM, MLEM, or penalised likelihood by BSREM.
 *
 * Model: the expected prompts of line i in a frame are T_eff (m_i sum_j a_ij x_j) + r_i, with x in counts/s per mm at
 * the decay reference time (ISO_UNIT_COUNTS_PER_S_MM), a_ij the projector's lengths in mm, m_i = geometric factor *
 * components * efficiencies * attenuation, r_i the expected randoms, scatter and prompt gammas (recon/correct/background.h),
 * T_eff the integral of the decay over the frame. The
 * geometric factor of a pair is cos(t1) cos(t2) / (d/d_ref)^2 times the stopping probabilities
 * (1 - exp(-mu L/cos t)) relative to normal incidence, d_ref = 100 mm.
 * A calibration factor turns x into Bq/mL: concentration = x * calibration_factor / branching_fraction. The factor
 * therefore belongs to a nuclide of branching 1, and branching is divided out exactly once. */

typedef enum iso_filter_kind { ISO_FILTER_NONE = 0, ISO_FILTER_GAUSSIAN, ISO_FILTER_BUTTERWORTH } iso_filter_kind;
typedef struct iso_filter {
	iso_filter_kind kind;
	double fwhm_mm;       /* Gaussian */
	double cutoff_per_mm; /* Butterworth: frequency of half amplitude, |H| = 1/(1 + (f/fc)^(2 order)) */
	double order;
} iso_filter;

typedef enum iso_randoms_method {
	ISO_RANDOMS_NONE = 0,
	ISO_RANDOMS_DELAYED, /* variance-reduced: crystal fan sums of the delayed events */
	ISO_RANDOMS_SINGLES  /* 2 tau times the product of the elements' rates of singles */
} iso_randoms_method;

typedef enum iso_dead_time_source {
	ISO_DEAD_TIME_BY_FACTOR = 0, /* dead_time_factor, which may be not known */
	ISO_DEAD_TIME_FROM_SINGLES   /* live fraction of each detector block from its rate of singles, frame by frame */
} iso_dead_time_source;

typedef enum iso_scatter_method {
	ISO_SCATTER_NONE = 0,
	ISO_SCATTER_SSS /* single-scatter simulation from the image and mu; needs mu, energy window and energy resolution */
} iso_scatter_method;
/* What makes the simulated scatter as large as the measured one, which holds multiple scatter and scatter from outside, too. */
typedef enum iso_scatter_scale {
	ISO_SCATTER_SCALE_TAILS = 0, /* lines that pass the body, weighed with the simulation itself */
	ISO_SCATTER_SCALE_TOTAL,     /* the simulated ratio of scatter to trues, applied to what was counted */
	ISO_SCATTER_SCALE_NONE       /* nothing: the simulation is absolute */
} iso_scatter_scale;

typedef enum iso_algorithm {
	ISO_ALGORITHM_OSEM = 0, /* maximum likelihood by ordered subsets; stop early, or the noise is fitted */
	ISO_ALGORITHM_MLEM,     /* the same with subsets = 1 */
	/* Penalised likelihood with the relative difference prior: converges to one image, the same for any number of
	 * subsets, as smooth as beta says. */
	ISO_ALGORITHM_BSREM
} iso_algorithm;

/* Where the time of a call went, in seconds of the clock on the wall. */
typedef struct iso_recon_times {
	double whole_s;
	double sensitivity_s;     /* making the sensitivity image, or finding it in the cache */
	double waiting_s;         /* for events, with nothing else to do */
	double forward_s, back_s; /* projecting events */
	double scatter_s;         /* simulating and scaling scatter */
} iso_recon_times;

/* What is expected beside the trues in the last frame, in counts over all pairs that may count, from the image's last update. */
enum { ISO_BACKGROUND_BINS = 23 };
typedef struct iso_background_profile {
	double edges_mm[ISO_BACKGROUND_BINS + 1];
	double randoms[ISO_BACKGROUND_BINS], scatter[ISO_BACKGROUND_BINS], gammas[ISO_BACKGROUND_BINS];
} iso_background_profile;
typedef struct iso_background_totals {
	double randoms, scatter, gammas;
	iso_background_profile radial; /* by the distance of the line from the axis */
	iso_background_profile axial;  /* by the mean z of the two elements */
} iso_background_totals;

typedef struct iso_recon_options {
	iso_grid grid;
	iso_algorithm algorithm;
	unsigned iterations, subsets; /* iterations: at most; subsets interleaved in time */
	/* BSREM. beta: strength of the prior in mm^2, about the square of the length over which it smooths, independent of voxel
	 * size, counts and scanner (recon/prior.h says how); 0: none. gamma: how much edges are spared, 2 is usual. relaxation
	 * c: in iteration n = 0, 1 .. steps are 1 / (1 + c n) of full ones. */
	double beta_mm2, gamma, relaxation;
	/* BSREM: the prior smooths within each of these regions (ISO_UNIT_LABEL, any grid), not across their borders; what has no label, or
	 * 0, is one region. Borrowed; NULL = one region. Source: what they were read from, for the volume's facts; NULL = not stated. */
	const iso_image *prior_regions;
	const char *prior_regions_source;
	/* Stop when |x_new - x_old| / |x_old| over an iteration is less (BSREM: divided by the step); 0: all iterations. */
	double stop_change;
	bool say_objective; /* the (penalised) log-likelihood in each iteration's note */
	double psf_fwhm_mm; /* image-space Gaussian in the system model; 0 = none */
	/* Share of the photons' pairs that a wider Gaussian describes: scatter in the crystals puts them into a neighbour. 0: none */
	double psf_tail_share, psf_tail_fwhm_mm;
	/* Follow positrons out of thin tissue (lung) and through the skin: the image is then of decays, and 0 in the air next to the skin. Needs mu and the nuclide, which
	 * must have a known range. */
	bool positron_range;
	iso_filter post_filter;
	iso_randoms_method randoms; /* ISO_RANDOMS_DELAYED without delayed events in the file: ISO_BAD_INPUT */
	/* Scatter is estimated from the image after each of the first scatter_updates iterations; the first iteration has none.
	 * Replicates take the estimate of their frame's image. */
	iso_scatter_method scatter;
	iso_scatter_scale scatter_scale;
	unsigned scatter_updates; /* >= 1 */
	bool
	    prompt_gammas; /* background of the nuclide's prompt gammas beside the scatter; needs the nuclide and scatter */
	/* Instead of the acquisition's own; NAN: the acquisition's own. Resolution: FWHM / energy at 511 keV. */
	double energy_window_kev[2], energy_resolution;
	const iso_image *mu;    /* 1/cm, any grid, values outside it 0; NULL = not corrected */
	const char *mu_source;  /* what mu was made of, for the volume's facts; NULL = not stated */
	const iso_frame *frame; /* NULL: one frame over the whole acquisition */
	size_t frames;
	/* Instead of frames: an image of each gate, of the activity as the whole acquisition's has it. NULL: no gates. */
	const iso_gate_plan *gates;
	/* Decay and branching; NULL: the result is not decay-corrected (and cannot be calibrated). */
	const iso_nuclide *nuclide;
	bool decay_correction;   /* to the start of the acquisition */
	double dead_time_factor; /* multiplies the result; 1 = stated to be none, NAN = not known, not corrected */
	iso_dead_time_source dead_time;
	/* Instead of the scanner's own, for dead time and randoms from singles; UNKNOWN and NAN: the scanner's own. */
	iso_dead_time_model dead_time_model;
	double dead_time_ns, coincidence_window_ns;
	/* Of this scanner; its efficiencies take the place of the list-mode's. NULL: none. name: for the sidecar, may be NULL. */
	const iso_normalisation *normalisation;
	const char *normalisation_name;
	bool calibrate; /* to Bq/mL; a calibration factor and a nuclide must be known */
	/* Instead of the scanner's own; NAN: the scanner's own. */
	double calibration_factor, calibration_uncertainty;
	/* Instead of both; must be of this scanner and of an image corrected like this one (iso_calibration_check). NULL = none. */
	const iso_calibration *calibration;
	size_t replicates; /* see iso_volume; 0 = none, else >= 2 */
	/* Folder that keeps sensitivity images between runs, NULL = none. */
	const char *sensitivity_cache;
	/* Lines for the sensitivity image; 0: all pairs. Otherwise about this many stand for all pairs. */
	uint64_t sensitivity_lines;
	/* Folder in which the finished iterations are kept, so that a killed call can be repeated and goes on from there to the same
	 * bits; made when there is something to keep. NULL: none. What is found in it counts only when it is whole and all that
	 * the result depends on is the same, the events too. The caller removes it when the result is safe: see
	 * iso_recon_checkpoint_remove. */
	const char *checkpoint;
	/* Tells the events from any others, such as the SHA-256 of their file. NULL: with a checkpoint the events are read once more
	 * to find out. */
	const char *events_id;
	double checkpoint_every_s; /* at least so long between two writings; 0: after each iteration */
	/* For events: those kept, and what sorting them and a pass over them take; 0 = half of what the machine has. Events beyond lie in
	 * a file without a name. (Some 200 MB are needed for blocks of 4 million lines, less where there are fewer events.) */
	uint64_t max_memory_bytes;
	const char *scratch_folder;   /* for that file; NULL = $TMPDIR, or /tmp */
	int threads;                  /* 0 = as many as OpenMP offers */
	const iso_progress *progress; /* may be NULL */
	iso_recon_times *times;       /* filled when all went well; may be NULL */
	/* Filled when all went well; NULL: not wanted. Needs randoms or scatter, and no checkpoint, which does not keep the parts. */
	iso_background_totals *background;
} iso_recon_options;

/* 1 frame, OSEM of 4 iterations x 8 subsets, no corrections, no checkpoint, grid empty. For BSREM: beta 1 mm^2, gamma 2,
 * relaxation 0.1. */
iso_recon_options iso_recon_options_default(void);

/* What the scatter simulation needs and nobody has said, in words; NULL: scatter can be corrected. */
const char *iso_recon_scatter_lacks(const iso_acquisition *facts, const iso_recon_options *options);

/* Reconstructs. events is read from its start; frame by frame, partly from another thread while the caller waits in here. */
iso_status iso_reconstruct(iso_events *events, const iso_recon_options *options, iso_volume **out, iso_error *err);

/* Removes what iso_reconstruct keeps in the folder of checkpoints, and the folder when nothing else is in it. */
void iso_recon_checkpoint_remove(const char *folder);

/* The sensitivity image alone: s_j = sum_i m_i a_ij over all allowed pairs (ISO_UNIT_MM), attenuation through mu
 * (may be NULL). progress may be NULL. */
iso_status iso_sensitivity(const iso_scanner *scanner, const iso_grid *grid, const iso_image *mu,
			   uint64_t sensitivity_lines, int threads, const iso_progress *progress, iso_image **out,
			   iso_error *err);

/* Mean randoms per pair from delayed events: the expected number of delayeds of pair (a, b) is s[a]*s[b] for allowed
 * pairs, with s the maximum-likelihood element rates for the measured fan sums. s: [elements], owned by the
 * caller. */
iso_status iso_randoms_from_delayeds(const iso_scanner *scanner, const uint64_t *fan_sums, float *s, iso_error *err);

/* Applies a post-filter or a Gaussian in place through FFTW. */
iso_status iso_filter_apply(const iso_filter *filter, const iso_grid *grid, float *voxels, int threads, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
