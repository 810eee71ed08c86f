/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_IO_PACS_TITLE_H
#define ISOTRACE_IO_PACS_TITLE_H

#include <stdbool.h>
#include <stddef.h>

/* An application entity's title: 1 to 16 printable characters, no backslash, not only spaces. */
bool iso_is_ae_title(const char *text, size_t length);
/* The name or number of a host, and nothing beside it. */
bool iso_is_host(const char *text);

#endif
