/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the library says through a caller's iso_progress. */
#ifndef ISOTRACE_CORE_PROGRESS_H
#define ISOTRACE_CORE_PROGRESS_H

#include "isotrace/progress.h"

/* A line for the log; nothing where nobody listens. */
void iso_note(const iso_progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
