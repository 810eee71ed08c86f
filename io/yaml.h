/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * YAML straight into C structs through libcyaml: a key that the schema does not know is an error, with its line. */
#ifndef ISOTRACE_IO_YAML_H
#define ISOTRACE_IO_YAML_H

#include <cyaml/cyaml.h>

#include "isotrace/status.h"

/* Loads a file; *data is to be freed by iso_yaml_free with the same schema. */
iso_status iso_yaml_load(const char *path, const cyaml_schema_value_t *schema, void **data, iso_error *err);
void iso_yaml_free(const cyaml_schema_value_t *schema, void *data);

#endif
