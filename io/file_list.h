/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_FILE_LIST_H
#define ISOTRACE_IO_FILE_LIST_H

#include <stddef.h>

#include "isotrace/status.h"

typedef struct iso_file_list {
	char **path; /* [count], owned */
	size_t count, room;
} iso_file_list;

/* Appends all plain files below the path (or the file that it is), in the order of names. Links to folders are not followed, so that
 * there is no circle; names that begin with a dot are left out. To be freed also after a failure. */
iso_status iso_file_list_collect(const char *path, iso_file_list *files, iso_error *err);
void iso_file_list_free(iso_file_list *files);

#endif
