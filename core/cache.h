/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Arrays of numbers that take long to compute, kept in a folder under the hash of all that they depend on. An entry is
 * either whole and undamaged or not there: its payload carries its own SHA-256, and it is written through core/output.h. */
#ifndef ISOTRACE_CORE_CACHE_H
#define ISOTRACE_CORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "isotrace/status.h"

/* key: 64 hex digits. True when the folder has exactly `count` undamaged values under the key; false otherwise, with
 * the values unspecified. */
bool iso_cache_load(const char *folder, const char *key, float *values, size_t count);
/* Makes the folder when it is not there. */
iso_status iso_cache_store(const char *folder, const char *key, const float *values, size_t count, iso_error *err);

#endif
