/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_CORE_NOTE_H
#define ISOTRACE_CORE_NOTE_H

#include "isotrace/progress.h"

/* A line for whoever listens; nothing when progress is NULL or takes no notes. */
void iso_note(const iso_progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
