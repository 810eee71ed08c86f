/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What `isotrace simulate` writes beside the list-mode: the truth in the forms that the other verbs read. */
#ifndef ISOTRACE_CLI_SIMULATE_TRUTH_H
#define ISOTRACE_CLI_SIMULATE_TRUTH_H

#include <jansson.h>

#include "isotrace/isotrace.h"

/* Organs with volume, mass, activity and uptake; acquisition; counts. New reference; NULL: out of memory. */
json_t *truth_json(const iso_scene *scene, const char *scene_path, const iso_simulation_counts *counts);
iso_status truth_write_json(const char *path, const json_t *truth, iso_error *err);
/* The name table of the label image, with the organs' densities. */
iso_status truth_write_organ_table(const char *path, const iso_scene *scene, iso_error *err);
/* A dose file whose net injected activity is the scene's. */
iso_status truth_write_dose(const char *path, const iso_scene *scene, iso_error *err);
iso_status truth_write_image(const char *path, const iso_scene *scene, iso_truth what, iso_error *err);
/* Replaces percent_id_per_g of the organs that a CSV (organ,percent_id_per_g) names; before iso_scene_prepare. */
iso_status truth_read_uptakes(const char *path, iso_scene *scene, iso_error *err);

#endif
