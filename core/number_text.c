/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/number_text.h"

#include <stdio.h>
#include <stdlib.h>

/* The C library's own object: nothing is obtained, nothing to be freed, and it does not fail. */
static locale_t c_locale(void)
{
	return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

locale_t iso_c_locale_enter(void)
{
	return uselocale(c_locale());
}

void iso_c_locale_leave(locale_t before)
{
	(void)uselocale(before);
}

int iso_vsnprintf(char *text, size_t size, const char *format, va_list values)
{
	const locale_t before = iso_c_locale_enter();
	const int length = vsnprintf(text, size, format, values);
	iso_c_locale_leave(before);
	return length;
}

int iso_snprintf(char *text, size_t size, const char *format, ...)
{
	va_list values;
	va_start(values, format);
	const int length = iso_vsnprintf(text, size, format, values);
	va_end(values);
	return length;
}

double iso_strtod(const char *text, char **end)
{
	return strtod_l(text, end, c_locale());
}
