/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/progress.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

void iso_note(const iso_progress *progress, const char *format, ...)
{
	char line[PATH_MAX + 1800]; /* a file's name and an error with another one */
	va_list values;
	if (!progress || !progress->note) return;
	va_start(values, format);
	vsnprintf(line, sizeof line, format, values);
	va_end(values);
	progress->note(progress->user, line);
}
