/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_PROGRESS_H
#define ISOTRACE_PROGRESS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Long calls report to the caller through this; the library itself prints nothing. A NULL
 * iso_progress pointer means nobody listens. */
typedef struct iso_progress {
	/* Called from one thread at a time. stage is a few words ("sensitivity", "iteration 1
	 * subset 3"), done a fraction from 0 to 1 within the stage. Returns non-zero to stop: the
	 * call then ends with ISO_CANCELLED. */
	int (*report)(void *user, const char *stage, double done);
	/* A line for the log, such as the result of an iteration or a warning; may be NULL. */
	void (*note)(void *user, const char *line);
	void *user;
	/* How far the whole call is: `done` of about `total` units of work, for list-mode reconstruction lines that were
	 * projected forth and back, once per event, iteration and image. The total is an estimate that gets better. May be
	 * NULL. */
	void (*work)(void *user, double done, double total);
} iso_progress;

#ifdef __cplusplus
}
#endif
#endif
