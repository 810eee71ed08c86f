/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_RECON_CHECKS_H
#define ISOTRACE_RECON_CHECKS_H

#include "isotrace/recon.h"

/* Does what was asked for make sense, and does the list-mode hold what it needs? Reads events only to see whether there are
 * delayeds. */
iso_status iso_recon_check(iso_events *events, const iso_recon_options *options, iso_error *err);

#endif
