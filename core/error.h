/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the library's own code reports a failure: fill the caller's iso_error and return the
 * status in one expression, `return iso_fail(err, ISO_BAD_INPUT, path, "remedy", "what %d", n);` */
#ifndef ISOTRACE_CORE_ERROR_H
#define ISOTRACE_CORE_ERROR_H

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

iso_status iso_fail(iso_error *err, iso_status status, const char *file, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

iso_status iso_fail_at(iso_error *err, iso_status status, const char *file, iso_position_kind kind, int64_t position,
		       const char *remedy, const char *format, ...) __attribute__((format(printf, 7, 8)));

/* The message for an allocation of `bytes` bytes that failed while doing `what`. */
iso_status iso_fail_memory(iso_error *err, const char *what, unsigned long long bytes);

/* The message for a system call on `file` that set errno: ISO_IO, or ISO_NO_MEMORY for ENOMEM. */
iso_status iso_fail_errno(iso_error *err, const char *file, const char *what);

#ifdef __cplusplus
}
#endif
#endif
