/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_TOF_KERNEL_H
#define ISOTRACE_RECON_TOF_KERNEL_H

#include "recon/sheaf.h"

/* table: zeroed; stays so without TOF (tof NULL or sigma 0). The caller frees table->weight. */
iso_status iso_tof_table_make(const iso_tof_kernel *tof, iso_tof_table *table, iso_error *err);
/* terms 0: this kernel is not smooth enough (a bin of many sigmas). */
void iso_tof_series_make(const iso_tof_kernel *tof, double cut_mm, iso_tof_series *series);

#endif
