/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_CLI_RECON_GRID_H
#define ISOTRACE_CLI_RECON_GRID_H

#include <stdbool.h>

#include "isotrace/image.h"
#include "isotrace/scanner.h"

/* --grid, --voxel and --centre. */
typedef struct cli_grid_wish {
	double grid[3], voxel[3], centre[3];
	bool have_grid, have_voxel, have_centre;
} cli_grid_wish;

/* The image's grid; what was not wished for is chosen and filled in. */
iso_grid cli_choose_grid(cli_grid_wish *wish, const iso_scanner *scanner);

#endif
