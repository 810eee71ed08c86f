/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_SIMULATE_H
#define ISOTRACE_SIMULATE_H

#include "isotrace/events.h"
#include "isotrace/image.h"
#include "isotrace/nuclide.h"
#include "isotrace/organs.h"
#include "isotrace/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum iso_shape_kind {
	ISO_SHAPE_ELLIPSOID = 0,
	ISO_SHAPE_CYLINDER, /* elliptic, along its local z */
	ISO_SHAPE_VOXELS    /* all voxels of an organ in a label volume; not for the phantom's list */
} iso_shape_kind;

/* An analytic body. Later shapes of a phantom carve out earlier ones: a point belongs to the last shape that holds it. */
typedef struct iso_shape {
	iso_shape_kind kind;
	double centre_mm[3];
	double half_axes_mm[3]; /* of the ellipsoid; cylinder: transverse half axes and half length */
	double rotation_deg[3]; /* about x, then y, then z (fixed axes) */
	unsigned organ;         /* index into the phantom's organs; several shapes may make one organ */
} iso_shape;

/* Part of an uptake that changes: percent_id_per_g x 2^(-t / half_life_s), t since the injection, decay-corrected to it. */
typedef struct iso_uptake_term {
	double percent_id_per_g; /* below zero in an uptake that rises */
	double half_life_s;      /* INFINITY = constant */
} iso_uptake_term;

typedef struct iso_phantom_organ {
	char name[32];
	int label;
	char material[24]; /* docs/scene-file.md lists them; empty: water of the density that has mu_per_cm */
	double density_g_per_ml;
	double
	    mu_per_cm; /* linear attenuation at 511 keV; NAN: follows from the material, filled by iso_scene_prepare */
	double
	    percent_id_per_g; /* at the start of the scan, decay-corrected to injection; filled in where there are terms */
	size_t terms;         /* 0: the uptake is constant */
	iso_uptake_term *term; /* owned */
	/* filled by iso_scene_prepare, by numerical integration of the analytic shapes */
	double volume_ml, mass_g, activity_bq; /* activity at the start of the scan */
} iso_phantom_organ;

typedef struct iso_phantom {
	size_t organs, shapes;
	iso_phantom_organ *organ; /* owned */
	iso_shape *shape;         /* owned */
	iso_image *labels;        /* owned; a voxelised phantom, instead of shapes: organs by label, 0 = air */
} iso_phantom;

/* The simulated detector: a cylinder of crystals without gaps. */
typedef struct iso_simulated_detector {
	iso_ring_description rings;
	double energy_resolution; /* FWHM / E at 511 keV */
	double energy_window_kev[2];
	char crystal_material[24]; /* empty: the simple model of attenuation_per_mm and photofraction */
	double photofraction; /* of the photons that interact, those that deposit all their energy; simple model only */
	double time_resolution_ps;       /* FWHM of a coincidence */
	double tof_bin_ps;               /* 0 = no TOF in the list-mode */
	double coincidence_window_ns;    /* 2 tau: full width of the window */
	double max_transaxial_offset_mm; /* pair rule of the electronics; INFINITY = all */
	double max_axial_difference_mm;
	uint32_t block_crystals[2]; /* transaxial, axial; 0, 0: not stated, each crystal is read out by itself */
} iso_simulated_detector;

/* What becomes of photons that stand in one window with more than one other. */
typedef enum iso_multiples {
	ISO_MULTIPLES_ALL_PAIRS = 0, /* every pair within the window is a coincidence */
	ISO_MULTIPLES_REJECT,        /* none is */
	ISO_MULTIPLES_LARGEST        /* the two of the largest energies, if they are a pair */
} iso_multiples;

/* The scanner's electronics, photon by photon in the order of time. */
typedef struct iso_simulated_electronics {
	bool on; /* false: coincidences of independent decays are drawn by their rate, and nothing is lost */
	iso_dead_time_model dead_time; /* ISO_DEAD_TIME_NONE: there is none */
	double dead_time_ns;           /* of a block, after each photon that it takes */
	double pile_up_ns;  /* integration: energies of a block that come closer than this add up; 0 = never */
	double trigger_kev; /* photons with less are not seen by a block; 0: the lower end of the energy window */
	iso_multiples multiples;
	double delayed_offset_ns;  /* of the delayed window; > 2 windows */
	double efficiency_spread;  /* standard deviation of the crystals' relative efficiencies; 0 = all alike */
	bool log_normal;           /* their distribution; false: normal */
	uint64_t efficiency_seed;  /* scans with the same one have the same crystals; 0: the scene's seed */
	double singles_interval_s; /* in which singles are counted; 0: a hundredth of the scan, at least 1 s */
} iso_simulated_electronics;

typedef struct iso_scene {
	iso_simulated_detector detector;
	iso_simulated_electronics electronics;
	iso_phantom phantom;
	char nuclide[16];
	char tracer[64], subject[64];
	double injected_bq; /* at injection */
	double injection_utc_s, start_utc_s, duration_s;
	bool positron_range, acollinearity, attenuation, randoms;
	bool scatter;             /* in the body; false: a photon that interacts there is lost */
	bool prompt_gammas;       /* of the nuclide */
	bool lutetium_background; /* of the crystals */
	uint64_t seed;
	double calibration_factor, calibration_uncertainty; /* written into the list-mode's scanner; NAN = none */
	iso_grid truth_grid;                                /* grid for the label, mu and activity images */
} iso_scene;

/* Reads SCENE.yaml (docs/scene-file.md). */
iso_status iso_scene_read(const char *path, iso_scene **out, iso_error *err);
/* Checks the scene and fills in the volumes, masses and activities of its organs, and the detector's mean depth of
 * interaction when it is NAN. */
iso_status iso_scene_prepare(iso_scene *scene, iso_error *err);
void iso_scene_free(iso_scene *scene);

/* What the simulation did: decays, and per fate how many. */
typedef struct iso_simulation_counts {
	double decays, positrons; /* positrons: with prompt gammas the expected number */
	double background_decays; /* of the crystals' own activity */
	/* Prompts by iso_event_fate. */
	uint64_t trues, scattered, randoms, prompt_gammas, background;
	uint64_t delayeds;
	/* With electronics: the fate of every photon that left energy in the crystals. photons = lost_dead_time + piled_up +
	 * lost_efficiency + outside_window + singles. */
	uint64_t photons, lost_dead_time;
	uint64_t piled_up; /* added to the photon before */
	uint64_t lost_efficiency, outside_window;
	uint64_t singles;
	uint64_t multiples; /* singles with more than one other in the window that they open */
} iso_simulation_counts;
uint64_t iso_simulation_prompts(const iso_simulation_counts *counts);
/* counts of a list-mode file that holds all of it */
iso_event_counts iso_simulation_event_counts(const iso_simulation_counts *counts, double duration_s);

/* The crystals' true efficiencies, a function of efficiency_seed; mean 1. efficiency: [elements of the scanner]. */
void iso_scene_efficiencies(const iso_scene *scene, float *efficiency);

/* The scanner and the facts of the acquisition that a list-mode file of this scene carries. */
iso_status iso_scene_scanner(const iso_scene *scene, iso_scanner **out, iso_error *err);
iso_acquisition iso_scene_acquisition(const iso_scene *scene);

/* Simulates a prepared scene, events in time order into the sink. The same scene gives the same events for any number of threads. */
iso_status iso_simulate(const iso_scene *scene, const iso_event_sink *sink, int threads, const iso_progress *progress,
			iso_simulation_counts *counts, iso_error *err);

/* The truth on scene->truth_grid: labels (ISO_UNIT_LABEL), mu (1/cm) or activity concentration at the start of the scan
 * (Bq/mL), supersampled at the boundaries (labels: majority). */
typedef enum iso_truth { ISO_TRUTH_LABELS, ISO_TRUTH_MU, ISO_TRUTH_ACTIVITY } iso_truth;
iso_status iso_scene_truth(const iso_scene *scene, iso_truth what, iso_image **out, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
