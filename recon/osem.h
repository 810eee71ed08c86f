/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_OSEM_H
#define ISOTRACE_RECON_OSEM_H

#include "recon/likelihood.h"

/* Maximum likelihood by expectation maximisation, with ordered subsets (Hudson & Larkin, IEEE TMI 13:601, 1994): after
 * the pass over a subset
 *     x <- x K / (T s) * G' P' [ n_i / ((P G x)_i + b_i) ].
 * With one subset this is MLEM (Shepp & Vardi, IEEE TMI 1:113, 1982), whose likelihood never falls. */
void iso_osem_update(const iso_likelihood *likelihood, float *x);

#endif
