/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/kernels/ray_kernel.h"
#include "recon/kernels/sheaf_kernel.h"
#include "recon/kernels/sheaf_setup.h"

const iso_kernels iso_kernels_avx512 = {.name = "avx512",
					.sheaf_begin = sheaf_begin,
					.sheaf_set_lines = sheaf_set_lines,
					.sheaf_forward = sheaf_forward,
					.sheaf_adjoint = sheaf_adjoint,
					.sheaf_traffic = sheaf_traffic,
					.ray_forward = ray_forward,
					.ray_adjoint = ray_adjoint,
					.lanes = LANES};
