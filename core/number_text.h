/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Numbers in texts as the files have them, with a decimal point: a program around the library may have set a locale that has a
 * decimal comma. Every text with a fraction in it, and every number that is read, goes through here. */
#ifndef ISOTRACE_CORE_NUMBER_TEXT_H
#define ISOTRACE_CORE_NUMBER_TEXT_H

#include <locale.h>
#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As their namesakes without iso_, in the C locale. */
int iso_snprintf(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int iso_vsnprintf(char *text, size_t size, const char *format, va_list values) __attribute__((format(printf, 3, 0)));
double iso_strtod(const char *text, char **end);

/* For what others print and read (libcyaml, fprintf): the calling thread's locale is C until iso_c_locale_leave. */
locale_t iso_c_locale_enter(void);
void iso_c_locale_leave(locale_t before);

#ifdef __cplusplus
}
#endif
#endif
