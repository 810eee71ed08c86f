/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Makes each allocation of the library fail in turn. The test program is linked with the static library and with
 * -Wl,--wrap for the functions that allocate: the library's own calls then go through inject.c, those that HDF5, FFTW or
 * libc make for themselves do not. Memory that jansson and libcyaml obtain for us counts as the library's own. */
#ifndef ISOTRACE_TESTS_FAILURE_INJECT_H
#define ISOTRACE_TESTS_FAILURE_INJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is done over and over; it frees all that it obtained, also when it fails. folder: an empty folder for its outputs. */
typedef struct iso_scenario {
	iso_status (*run)(const char *folder, iso_error *err);
	/* What may lie in the folder after a failure, NULL-terminated: all else is half-written. NULL: nothing may. */
	const char *const *may_remain;
	/* The library may do without what it did not get. run must then check that its result is the same and
	 * return something else when it is not. */
	bool may_recover;
	/* Largest number of allocations to fail one by one; with more of them an even sample of so many, by turns alone and with all
	 * later ones. 0: 1000. A third of it under the sanitizers. */
	unsigned max_runs;
	/* jansson's allocations do not fail. Its version 2.14 runs out of its buffer, and may crash, when that is full just before the quote that
	 * ends a text and cannot grow: in a text of 15, 31, 63 ... bytes. */
	bool spare_jansson;
} iso_scenario;

/* Runs the scenario once without a failure, then with allocation 1, 2, 3.. failing, alone and with all later ones. Each
 * must end with ISO_NO_MEMORY and a message, leave no memory, file descriptor or HDF5 object behind, and no file. */
void iso_fail_every_allocation(const iso_scenario *scenario);

/* For inject_cxx.cc: counts one allocation; true: it has to fail. And what is live. */
bool iso_inject_fails(void);
void iso_inject_add(void *pointer);
void iso_inject_remove(void *pointer);

#ifdef __cplusplus
}
#endif
#endif
