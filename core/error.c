/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/error.h"
#include "core/number_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *iso_status_name(iso_status status)
{
	switch (status) {
	case ISO_OK: return "done";
	case ISO_BAD_USAGE: return "wrong usage";
	case ISO_BAD_INPUT: return "bad input";
	case ISO_PARTIAL: return "a part failed, the rest is done";
	case ISO_NO_MEMORY: return "out of memory";
	case ISO_IO: return "the disk or the network failed";
	case ISO_CANCELLED: return "cancelled";
	}
	return "unknown status";
}

int iso_status_exit_code(iso_status status)
{
	switch (status) {
	case ISO_OK: return 0;
	case ISO_BAD_USAGE: return 2;
	case ISO_BAD_INPUT: return 3;
	case ISO_PARTIAL: return 4;
	case ISO_NO_MEMORY:
	case ISO_IO:
	case ISO_CANCELLED: break;
	}
	return 5;
}

static iso_status fill(iso_error *err, iso_status status, const char *file, iso_position_kind kind, int64_t position,
		       const char *remedy, const char *format, va_list values)
{
	if (!err) return status;
	char message[sizeof err->message];
	iso_vsnprintf(message, sizeof message, format, values);
	/* file, remedy and the values may point into err itself: finish the copies before they are overwritten. */
	char name[sizeof err->file], advice[sizeof err->remedy];
	snprintf(name, sizeof name, "%s", file ? file : "");
	snprintf(advice, sizeof advice, "%s", remedy ? remedy : "");
	err->status = status;
	err->position_kind = kind;
	err->position = position;
	memcpy(err->message, message, sizeof message);
	memcpy(err->file, name, sizeof name);
	memcpy(err->remedy, advice, sizeof advice);
	return status;
}

iso_status iso_fail(iso_error *err, iso_status status, const char *file, const char *remedy, const char *format, ...)
{
	va_list values;
	va_start(values, format);
	fill(err, status, file, ISO_POSITION_NONE, 0, remedy, format, values);
	va_end(values);
	return status;
}

iso_status iso_fail_at(iso_error *err, iso_status status, const char *file, iso_position_kind kind, int64_t position,
		       const char *remedy, const char *format, ...)
{
	va_list values;
	va_start(values, format);
	fill(err, status, file, kind, position, remedy, format, values);
	va_end(values);
	return status;
}

iso_status iso_fail_memory(iso_error *err, const char *what, unsigned long long bytes)
{
	return iso_fail(err, ISO_NO_MEMORY, NULL, "free memory, use a smaller grid or a lower --max-memory",
			"no memory for %s (%llu bytes)", what, bytes);
}

iso_status iso_fail_errno(iso_error *err, const char *file, const char *what)
{
	const int code = errno;
	const char *remedy = "check the path and its permissions";
	if (code == ENOMEM) remedy = "free memory";
	if (code == ENOSPC || code == EDQUOT || code == EFBIG) remedy = "free disk space or choose another folder";
	return iso_fail(err, code == ENOMEM ? ISO_NO_MEMORY : ISO_IO, file, remedy, "%s: %s", what, strerror(code));
}

char *iso_error_text(const iso_error *err, char *text, unsigned long size)
{
	char where[48] = "";
	if (err->position_kind == ISO_POSITION_BYTE)
		snprintf(where, sizeof where, "byte %lld: ", (long long)err->position);
	if (err->position_kind == ISO_POSITION_LINE)
		snprintf(where, sizeof where, "line %lld: ", (long long)err->position);
	snprintf(text, size, "%s%s%s%s%s%s", err->file, err->file[0] ? ": " : "", where, err->message,
		 err->remedy[0] ? "; " : "", err->remedy);
	return text;
}
