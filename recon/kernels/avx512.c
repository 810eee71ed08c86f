/* SPDX-License-Identifier: GPL-3.0-or-later */
#define ISO_KERNELS      iso_kernels_avx512
#define ISO_KERNELS_NAME "avx512"
#include "recon/kernels/sheaf_kernel.h"
