/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/pacs_option.h"

#include <stdlib.h>

iso_status cli_pacs_file(const char *config, iso_pacs_file *file, iso_error *err)
{
	*file = (iso_pacs_file){.pacs = NULL};
	if (!config) config = getenv("ISOTRACE_PACS");
	return config && *config ? iso_pacs_file_load(config, file, err) : ISO_OK;
}
