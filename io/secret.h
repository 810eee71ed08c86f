/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_SECRET_H
#define ISOTRACE_IO_SECRET_H

#include <stdbool.h>

#include "isotrace/pacs.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ISO_SECRET_SIZE = 4096 };

/* Is one named at all? */
bool iso_secret_given(const iso_secret *secret);
/* The secret itself; "" when none is named. To be wiped with iso_secret_wipe. Messages name the file or the variable, never what is
 * in it. A file that everybody may read is refused. */
iso_status iso_secret_read(const iso_secret *secret, char text[ISO_SECRET_SIZE], iso_error *err);
void iso_secret_wipe(char text[ISO_SECRET_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
