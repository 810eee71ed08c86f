/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_SIMULATE_SCENE_ELECTRONICS_H
#define ISOTRACE_SIMULATE_SCENE_ELECTRONICS_H

#include "isotrace/simulate.h"

/* Blocks, and the electronics or what cannot be had without them. */
iso_status iso_scene_check_electronics(const iso_scene *scene, iso_error *err);

#endif
