/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The iterations that all algorithms share: start or resume, pass by pass, when to stop, what is said of it. */
#ifndef ISOTRACE_RECON_SOLVER_H
#define ISOTRACE_RECON_SOLVER_H

#include "isotrace/recon.h"
#include "recon/bsrem.h"

/* How the iterations are done; of iso_recon_options. */
typedef struct iso_method {
	iso_algorithm algorithm;
	iso_penalty penalty; /* BSREM */
	double relaxation;   /* BSREM */
	unsigned iterations; /* at most */
	double stop_change;  /* 0: all iterations */
	bool say_objective;
} iso_method;

/* Where the iterations stand; of the last one that was done, except where it says otherwise. Plain numbers: a checkpoint
 * keeps its bytes. */
typedef struct iso_solution {
	uint64_t iterations; /* finished */
	/* Penalised log-likelihood without constants: sum log(PGx + b) - T sum s x over each subset's image before its update,
	 * less beta R of the iteration's first image. With one subset it is that of one image. */
	double objective;
	double change;    /* |x_new - x_old| / |x_old| over the iteration, BSREM: divided by the step r_n */
	double explained; /* counts that the image predicts: T sum s x */
	uint64_t outside; /* lines that cannot count, or meet neither image nor background; in one pass */
	uint64_t empty_subsets;
} iso_solution;

/* Who wants to hear of the iterations; any member may be NULL. */
typedef struct iso_solver_listener {
	const char *label; /* before the stage's name; NULL: none */
	const iso_progress *progress;
	/* Lines that were passed since the last call. */
	void (*worked)(void *user, uint64_t lines);
	/* x after a whole iteration; last: no other one follows. */
	iso_status (*iterated)(void *user, const iso_solution *solution, const float *x, bool last, iso_error *err);
	void *user;
} iso_solver_listener;

/* x: [voxels] on grid. solution->iterations 0: x is filled from the uniform image; otherwise x is what so many iterations
 * gave, and the rest follow, to the same bits as without the break. objectives: [iterations] or NULL. */
iso_status iso_solve(const iso_data_model *model, const iso_method *method, const iso_grid *grid,
		     const iso_solver_listener *listener, iso_solution *solution, float *x, double *objectives,
		     iso_error *err);

/* "list-mode OSEM" ...; OSEM of one subset is MLEM. */
const char *iso_algorithm_text(iso_algorithm algorithm, unsigned subsets);

#endif
