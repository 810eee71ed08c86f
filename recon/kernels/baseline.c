/* SPDX-License-Identifier: GPL-3.0-or-later */
#define ISO_KERNELS      iso_kernels_baseline
#define ISO_KERNELS_NAME "baseline"
#include "recon/kernels/sheaf_kernel.h"
