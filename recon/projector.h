/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The projector for the rest of the reconstruction: what include/isotrace/projector.h offers, and blocks of sheaves, which go
 * many times faster than single lines. */
#ifndef ISOTRACE_RECON_PROJECTOR_H
#define ISOTRACE_RECON_PROJECTOR_H

#include "isotrace/projector.h"
#include "recon/line_block.h"
#include "recon/sheaf.h"

/* With the kernels of one kind of processor, see recon/sheaf.h; NULL: the fastest. */
iso_status iso_projector_create_for(const iso_grid *grid, const iso_tof_kernel *tof, int threads, const char *kernels,
				    iso_projector **out, iso_error *err);

/* As iso_projector_forward and _adjoint, for the lines of a block: values: [block->count], in its order. */
iso_status iso_projector_forward_block(iso_projector *projector, const iso_line_block *block, const float *voxels,
				       float *values, iso_error *err);
iso_status iso_projector_adjoint_block(iso_projector *projector, const iso_line_block *block, const float *values,
				       float *voxels, iso_error *err);
/* The adjoint where every line stands for several: value n is divided among them. No offset may be larger than ISO_SHEAF_REACH - 1 voxels.
 * In sheaves all of them are put into the image's rows, by linear interpolation a second time; for lines on their own count
 * evenly chosen ones of the count * count. */
iso_status iso_projector_adjoint_spread(iso_projector *projector, const iso_line_block *block,
					const iso_axial_spread *spread, const float *values, float *voxels,
					iso_error *err);

/* What one pass forward and one back over a block load and store; for the bench. */
iso_traffic iso_projector_block_traffic(iso_projector *projector, const iso_line_block *block);

#endif
