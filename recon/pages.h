/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Large arrays straight from the system. What is freed is gone from the process at once, where an allocator would keep holes that the
 * next size does not fit into; and all pages are made in one go, which costs less than making each when it is first touched. */
#ifndef ISOTRACE_RECON_PAGES_H
#define ISOTRACE_RECON_PAGES_H

#include <stddef.h>

/* NULL: no memory. Filled with 0. */
void *iso_pages_create(size_t bytes);
/* bytes: as created. Safe on NULL. */
void iso_pages_free(void *pages, size_t bytes);

#endif
