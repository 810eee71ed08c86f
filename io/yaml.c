/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"

/* libcyaml reports through a log: the first message says what is wrong, a later one where. */
typedef struct yaml_log {
	char message[400];
	long line, column;
} yaml_log;

static void keep_message(cyaml_log_t level, void *context, const char *format, va_list values)
{
	(void)level;
	yaml_log *log = context;
	char text[400];
	vsnprintf(text, sizeof text, format, values);
	text[strcspn(text, "\n")] = '\0';
	const char *where = strstr(text, "(line: ");
	if (where && log->line == 0) (void)sscanf(where, "(line: %ld, column: %ld)", &log->line, &log->column);
	if (log->message[0] == '\0') {
		const char *start = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
		snprintf(log->message, sizeof log->message, "%s", start);
	}
}

static const cyaml_config_t base = {
    .log_fn = keep_message,
    .mem_fn = cyaml_mem,
    .log_level = CYAML_LOG_ERROR,
    .flags = CYAML_CFG_DEFAULT,
};

iso_status iso_yaml_load(const char *path, const cyaml_schema_value_t *schema, void **data, iso_error *err)
{
	*data = NULL;
	char *text = NULL;
	size_t size = 0;
	iso_status status = iso_read_file(path, 16u << 20, &text, &size, err);
	if (status != ISO_OK) return status;
	yaml_log log = {.line = 0};
	cyaml_config_t config = base;
	config.log_ctx = &log;
	const cyaml_err_t result = cyaml_load_data((const uint8_t *)text, size, &config, schema, data, NULL);
	free(text);
	if (result == CYAML_OK && *data) return ISO_OK;
	if (result == CYAML_ERR_OOM) return iso_fail_memory(err, "reading YAML", size);
	const char *remedy = "compare with the examples in sample_data/ and the description in docs/";
	if (result == CYAML_OK) return iso_fail(err, ISO_BAD_INPUT, path, remedy, "the file is empty");
	const char *what = log.message[0] ? log.message : cyaml_strerror(result);
	if (log.line > 0) return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, log.line, remedy, "%s", what);
	return iso_fail(err, ISO_BAD_INPUT, path, remedy, "%s", what);
}

void iso_yaml_free(const cyaml_schema_value_t *schema, void *data)
{
	if (data) (void)cyaml_free(&base, schema, data, 0);
}
