/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/note.h"
#include "core/number_text.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

enum { LONGEST = PATH_MAX + 1800 }; /* a path and an error's text */

void iso_note(const iso_progress *progress, const char *format, ...)
{
	if (!progress || !progress->note) return;
	char line[LONGEST];
	va_list values;
	va_start(values, format);
	iso_vsnprintf(line, sizeof line, format, values);
	va_end(values);
	progress->note(progress->user, line);
}
