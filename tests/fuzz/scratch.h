/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The readers take names of files: these live in memory. */
#ifndef ISOTRACE_TESTS_FUZZ_SCRATCH_H
#define ISOTRACE_TESTS_FUZZ_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls; tests/fuzz/replay.c calls it with what the corpus holds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the bytes to a file of this process alone and returns its name; `name` within a folder in memory. */
const char *scratch_file(const char *name, const uint8_t *data, size_t size);

#endif
