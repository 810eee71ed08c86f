/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_CHECKPOINT_H
#define ISOTRACE_RECON_CHECKPOINT_H

#include <stdbool.h>

#include "recon/solver.h"

/* What a killed reconstruction leaves to the next one: for each image (of a frame, of a replicate) its last kept iteration, in a
 * folder of core/cache.h under the hash of all that the result depends on. An entry that is damaged or belongs to another
 * reconstruction is as good as not there. The state between iterations is the image, the iteration's number and the scatter that
 * was last estimated, so that going on gives the same bits. */
typedef struct iso_checkpoint {
	const char *folder; /* borrowed; NULL: nothing is kept */
	double every_s;
	size_t voxels;
	char fingerprint[65];
	const iso_progress *progress;
	bool begun;    /* the folder is known to be of this reconstruction */
	float *packed; /* owned: image, state, and what else there is */
	/* Beside the image all that its next iterations depend on: borrowed, [more_count], set by iso_checkpoint_open. */
	float *more;
	size_t more_count;
	double kept_s, cost_s; /* when something was kept last, and how long that took */
	double image_s;        /* when the image at hand was begun */
} iso_checkpoint;

/* more: see above. Reads all events once to tell them from others; options->checkpoint NULL: does nothing. Entries of another
 * reconstruction are removed from the folder, with a note. */
iso_status iso_checkpoint_open(iso_events *events, const iso_recon_options *options, float *more, size_t more_count,
			       iso_checkpoint *out, iso_error *err);
void iso_checkpoint_close(iso_checkpoint *checkpoint); /* safe on a zeroed one; keeps the folder */

/* Fills x, *solution and `more` when the image has a whole entry; otherwise solution->iterations is 0. label: for the note. */
void iso_checkpoint_load(iso_checkpoint *checkpoint, size_t image, const char *label, float *x, iso_solution *solution);
/* Keeps the iteration unless the last one was kept just now. A failure to write is noted and costs nothing else. */
void iso_checkpoint_keep(iso_checkpoint *checkpoint, size_t image, const iso_solution *solution, const float *x,
			 bool last);

#endif
