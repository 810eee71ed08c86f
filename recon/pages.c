/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "recon/pages.h"

#include <sys/mman.h>

void *iso_pages_create(size_t bytes)
{
	void *pages =
	    mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return pages == MAP_FAILED ? NULL : pages;
}

void iso_pages_free(void *pages, size_t bytes)
{
	if (pages) munmap(pages, bytes ? bytes : 1);
}
