/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_STATUS_H
#define ISOTRACE_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a fallible call returns. The command line turns it into its exit code. */
typedef enum iso_status {
	ISO_OK = 0,
	ISO_BAD_USAGE, /* the caller asked for something that makes no sense        exit 2 */
	ISO_BAD_INPUT, /* a file or a value is wrong, missing or contradicts itself  exit 3 */
	ISO_PARTIAL,   /* a part failed, the rest is done                            exit 4 */
	ISO_NO_MEMORY, /* an allocation failed                                       exit 5 */
	ISO_IO,        /* the disk or the network failed                             exit 5 */
	ISO_CANCELLED  /* the progress callback asked to stop                        exit 5 */
} iso_status;

/* What iso_error.position counts. */
typedef enum iso_position_kind {
	ISO_POSITION_NONE = 0,
	ISO_POSITION_BYTE, /* byte offset from 0 */
	ISO_POSITION_LINE  /* line number from 1 */
} iso_position_kind;

/* What went wrong, where, and what to do about it. Filled by the call that fails; owned by
 * the caller; needs no freeing. A NULL iso_error pointer is always allowed. */
typedef struct iso_error {
	iso_status status;
	iso_position_kind position_kind;
	int64_t position;
	char file[512];    /* the file, or "" when none is involved */
	char message[512]; /* what is wrong */
	char remedy[512];  /* what to do */
} iso_error;

/* A short English name of a status, never NULL. */
const char *iso_status_name(iso_status status);

/* The process exit code for a status: 0, 2, 3, 4 or 5. */
int iso_status_exit_code(iso_status status);

/* Writes "FILE: [byte N|line N]: message; remedy" (absent parts left out) into text, always
 * terminated. Returns text. */
char *iso_error_text(const iso_error *err, char *text, unsigned long size);

#ifdef __cplusplus
}
#endif
#endif
