/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_SIMULATE_SCENE_MATERIALS_H
#define ISOTRACE_SIMULATE_SCENE_MATERIALS_H

#include "isotrace/simulate.h"

/* Fills in the attenuations that follow from materials, refuses those that contradict them, and effects without the data that
 * they need. */
iso_status iso_scene_prepare_materials(iso_scene *scene, iso_error *err);

#endif
