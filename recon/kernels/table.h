/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * All kernels, as one table for the kind of processor that the including file is compiled for. */
#include "recon/kernels/ray_kernel.h"
#include "recon/kernels/sheaf_kernel.h"
#include "recon/kernels/sheaf_setup.h"

#define ISO_KERNELS_TABLE(kind)                  \
	const iso_kernels iso_kernels_##kind = { \
	    .name = #kind,                       \
	    .lanes = LANES,                      \
	    .sheaf_begin = sheaf_begin,          \
	    .sheaf_set_lines = sheaf_set_lines,  \
	    .sheaf_forward = sheaf_forward,      \
	    .sheaf_adjoint = sheaf_adjoint,      \
	    .sheaf_traffic = sheaf_traffic,      \
	    .ray_forward = ray_forward,          \
	    .ray_adjoint = ray_adjoint,          \
	}
