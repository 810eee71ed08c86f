/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libcyaml fills the structs, but it takes "4 kg" for the number 4 and "4.5" for the whole number 4, and it names the line
 * of the mapping and not of the mistyped key. The document is therefore walked along the schema first. */
#include "io/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"

#define REMEDY "compare with the examples in sample_data/ and the description in docs/"

/* The walk: the document, and where errors go. */
typedef struct yaml_walk {
	yaml_document_t *document;
	const char *file;
	iso_error *err;
} yaml_walk;

#define FAIL_AT(at, node, ...)                                                                                     \
	iso_fail_at((at)->err, ISO_BAD_INPUT, (at)->file, ISO_POSITION_LINE, (int64_t)(node)->start_mark.line + 1, \
		    REMEDY, __VA_ARGS__)

static const char *text_of(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

static iso_status check_scalar(const yaml_walk *walk, const char *key, const yaml_node_t *node, enum cyaml_type type)
{
	if (node->type != YAML_SCALAR_NODE) return FAIL_AT(walk, node, "%s must be a single value", key);
	const char *text = text_of(node);
	char *end = NULL;
	errno = 0;
	if (type == CYAML_FLOAT) {
		const double value = iso_strtod(text, &end);
		if (end == text || *end || !isfinite(value) || text[strspn(text, "+-.0123456789eE")])
			return FAIL_AT(walk, node, "%s: '%.200s' is not a plain number", key, text);
	} else if (type == CYAML_INT || type == CYAML_UINT) {
		if (type == CYAML_INT)
			(void)strtoll(text, &end, 10);
		else
			(void)strtoull(text, &end, 10);
		if (end == text || *end || errno || (type == CYAML_UINT && *text == '-'))
			return FAIL_AT(walk, node, "%s: '%.200s' is not a whole number%s", key, text,
				       type == CYAML_UINT ? " >= 0" : "");
	}
	return ISO_OK;
}

static iso_status check_node(const yaml_walk *walk, const char *key, const yaml_node_t *node,
			     const cyaml_schema_value_t *schema);

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const char *key)
{
	for (; fields->key; fields++)
		if (strcmp(fields->key, key) == 0) return fields;
	return NULL;
}

static iso_status check_mapping(const yaml_walk *walk, const char *key, const yaml_node_t *node,
				const cyaml_schema_field_t *fields)
{
	if (node->type != YAML_MAPPING_NODE)
		return *key ? FAIL_AT(walk, node, "%s must be a mapping of keys and values", key)
			    : FAIL_AT(walk, node, "the file is not a mapping of keys and values");
	const yaml_node_pair_t *start = node->data.mapping.pairs.start, *top = node->data.mapping.pairs.top;
	for (const yaml_node_pair_t *pair = start; pair < top; pair++) {
		const yaml_node_t *name = yaml_document_get_node(walk->document, pair->key);
		const yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
		const cyaml_schema_field_t *field = find_field(fields, text_of(name));
		if (!field) return FAIL_AT(walk, name, "there is no key '%.200s' here", text_of(name));
		for (const yaml_node_pair_t *other = start; other < pair; other++)
			if (strcmp(text_of(yaml_document_get_node(walk->document, other->key)), text_of(name)) == 0)
				return FAIL_AT(walk, name, "the key %.200s is given twice", text_of(name));
		const iso_status status = check_node(walk, field->key, value, &field->value);
		if (status != ISO_OK) return status;
	}
	for (const cyaml_schema_field_t *field = fields; field->key; field++) {
		bool given = (field->value.flags & CYAML_FLAG_OPTIONAL) != 0;
		for (const yaml_node_pair_t *pair = start; !given && pair < top; pair++)
			given = strcmp(text_of(yaml_document_get_node(walk->document, pair->key)), field->key) == 0;
		if (!given) return FAIL_AT(walk, node, "%s%sthe key %s is missing", key, *key ? ": " : "", field->key);
	}
	return ISO_OK;
}

static iso_status check_node(const yaml_walk *walk, const char *key, const yaml_node_t *node,
			     const cyaml_schema_value_t *schema)
{
	if (schema->type == CYAML_MAPPING) return check_mapping(walk, key, node, schema->mapping.fields);
	if (schema->type == CYAML_SEQUENCE || schema->type == CYAML_SEQUENCE_FIXED) {
		if (node->type != YAML_SEQUENCE_NODE) return FAIL_AT(walk, node, "%s must be a list", key);
		iso_status status = ISO_OK;
		for (const yaml_node_item_t *item = node->data.sequence.items.start;
		     status == ISO_OK && item < node->data.sequence.items.top; item++)
			status = check_node(walk, key, yaml_document_get_node(walk->document, *item),
					    schema->sequence.entry);
		return status;
	}
	if (schema->type == CYAML_INT || schema->type == CYAML_UINT || schema->type == CYAML_FLOAT)
		return check_scalar(walk, key, node, schema->type);
	return ISO_OK; /* texts, flags and enumerations are checked by libcyaml */
}

/* Syntax, keys and numbers. */
static iso_status check_document(const char *path, const char *text, size_t size, const cyaml_schema_value_t *schema,
				 iso_error *err)
{
	yaml_parser_t parser;
	yaml_document_t document;
	if (!yaml_parser_initialize(&parser)) return iso_fail_memory(err, "reading YAML", sizeof parser);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	iso_status status = ISO_OK;
	if (!yaml_parser_load(&parser, &document)) {
		if (parser.error == YAML_MEMORY_ERROR)
			status = iso_fail_memory(err, "reading YAML", size);
		else
			status = iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE,
					     (int64_t)parser.problem_mark.line + 1, REMEDY, "this is not YAML: %s",
					     parser.problem ? parser.problem : "unreadable");
	} else {
		const yaml_node_t *root = yaml_document_get_root_node(&document);
		const yaml_walk walk = {.document = &document, .file = path, .err = err};
		status = root ? check_node(&walk, "", root, schema)
			      : iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "the file is empty");
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
	return status;
}

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

/* What libcyaml obtains for us goes through our own calls, so that tests can make them fail. */
static void *own_memory(void *context, void *pointer, size_t size)
{
	(void)context;
	if (size == 0) {
		free(pointer);
		return NULL;
	}
	return realloc(pointer, size);
}

static const cyaml_config_t base = {
    .log_fn = keep_message,
    .mem_fn = own_memory,
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
	status = check_document(path, text, size, schema, err);
	if (status != ISO_OK) {
		free(text);
		return status;
	}
	yaml_log log = {.line = 0};
	cyaml_config_t config = base;
	config.log_ctx = &log;
	const locale_t before = iso_c_locale_enter();
	const cyaml_err_t result = cyaml_load_data((const uint8_t *)text, size, &config, schema, data, NULL);
	iso_c_locale_leave(before);
	free(text);
	if (result == CYAML_OK && *data) return ISO_OK;
	if (result == CYAML_ERR_OOM) return iso_fail_memory(err, "reading YAML", size);
	if (result == CYAML_OK) return iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "the file is empty");
	const char *what = log.message[0] ? log.message : cyaml_strerror(result);
	if (log.line > 0) return iso_fail_at(err, ISO_BAD_INPUT, path, ISO_POSITION_LINE, log.line, REMEDY, "%s", what);
	return iso_fail(err, ISO_BAD_INPUT, path, REMEDY, "%s", what);
}

void iso_yaml_free(const cyaml_schema_value_t *schema, void *data)
{
	if (data) (void)cyaml_free(&base, schema, data, 0);
}
