/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/kernels/table.h"

ISO_KERNELS_TABLE(avx512);
