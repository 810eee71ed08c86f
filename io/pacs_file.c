/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The PACS configuration file, described in docs/pacs.md. The schema below is the list of keys; libcyaml refuses any other. There is no key
 * for a secret, only for where it stands. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "io/pacs_title.h"
#include "io/secret.h"
#include "io/yaml.h"
#include "isotrace/pacs.h"

/* The file as it stands: NULL where nothing is written. */
typedef struct raw_tls {
	char *ca, *certificate, *key, *key_password_file, *key_password_env, *name;
} raw_tls;

typedef struct raw_web {
	char *url, *ca, *user, *password_file, *password_env, *token_file, *token_env;
} raw_web;

typedef struct raw_pacs {
	char *name, *aet, *host, *own_aet, *send_by, *fetch_by;
	uint32_t *port, *retries;
	double *timeout_s, *commitment_wait_s;
	bool *commitment;
	raw_tls *tls;
	raw_web *dicomweb;
} raw_pacs;

typedef struct raw_peer {
	char *aet, *host;
} raw_peer;

typedef struct raw_listen {
	char *address, *folder;
	uint32_t *port, *max_objects_per_study, *max_associations;
	double *max_object_mb, *timeout_s, *quiet_s;
	raw_tls *tls;
	raw_peer *peers;
	char **needs, **command;
	unsigned peers_count, needs_count, command_count;
} raw_listen;

typedef struct raw_file {
	char *aet, *queue;
	raw_pacs *receivers;
	unsigned receivers_count;
	raw_listen *listen;
} raw_file;

enum { MOST_LISTED = 1000 };
#define OPTIONAL                  (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT(key, type, member)   CYAML_FIELD_STRING_PTR(key, OPTIONAL, type, member, 1, CYAML_UNLIMITED)
#define WHOLE(key, type, member)  CYAML_FIELD_UINT_PTR(key, OPTIONAL, type, member)
#define NUMBER(key, type, member) CYAML_FIELD_FLOAT_PTR(key, OPTIONAL, type, member)

static const cyaml_schema_field_t tls_fields[] = {TEXT("ca", raw_tls, ca),
						  TEXT("certificate", raw_tls, certificate),
						  TEXT("key", raw_tls, key),
						  TEXT("key_password_file", raw_tls, key_password_file),
						  TEXT("key_password_env", raw_tls, key_password_env),
						  TEXT("name", raw_tls, name),
						  CYAML_FIELD_END};

static const cyaml_schema_field_t web_fields[] = {TEXT("url", raw_web, url),
						  TEXT("ca", raw_web, ca),
						  TEXT("user", raw_web, user),
						  TEXT("password_file", raw_web, password_file),
						  TEXT("password_env", raw_web, password_env),
						  TEXT("token_file", raw_web, token_file),
						  TEXT("token_env", raw_web, token_env),
						  CYAML_FIELD_END};

static const cyaml_schema_field_t pacs_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, raw_pacs, name, 1, CYAML_UNLIMITED),
    TEXT("aet", raw_pacs, aet),
    TEXT("host", raw_pacs, host),
    TEXT("own_aet", raw_pacs, own_aet),
    TEXT("send_by", raw_pacs, send_by),
    TEXT("fetch_by", raw_pacs, fetch_by),
    WHOLE("port", raw_pacs, port),
    WHOLE("retries", raw_pacs, retries),
    NUMBER("timeout_s", raw_pacs, timeout_s),
    NUMBER("commitment_wait_s", raw_pacs, commitment_wait_s),
    CYAML_FIELD_BOOL_PTR("commitment", OPTIONAL, raw_pacs, commitment),
    CYAML_FIELD_MAPPING_PTR("tls", OPTIONAL, raw_pacs, tls, tls_fields),
    CYAML_FIELD_MAPPING_PTR("dicomweb", OPTIONAL, raw_pacs, dicomweb, web_fields),
    CYAML_FIELD_END};

static const cyaml_schema_field_t peer_fields[] = {
    CYAML_FIELD_STRING_PTR("aet", CYAML_FLAG_POINTER, raw_peer, aet, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("host", CYAML_FLAG_POINTER, raw_peer, host, 1, CYAML_UNLIMITED), CYAML_FIELD_END};

static const cyaml_schema_value_t text_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, CYAML_UNLIMITED)};
static const cyaml_schema_value_t pacs_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, raw_pacs, pacs_fields)};
static const cyaml_schema_value_t peer_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, raw_peer, peer_fields)};

static const cyaml_schema_field_t listen_fields[] = {
    TEXT("address", raw_listen, address),
    TEXT("folder", raw_listen, folder),
    WHOLE("port", raw_listen, port),
    WHOLE("max_objects_per_study", raw_listen, max_objects_per_study),
    WHOLE("max_associations", raw_listen, max_associations),
    NUMBER("max_object_mb", raw_listen, max_object_mb),
    NUMBER("timeout_s", raw_listen, timeout_s),
    NUMBER("quiet_s", raw_listen, quiet_s),
    CYAML_FIELD_MAPPING_PTR("tls", OPTIONAL, raw_listen, tls, tls_fields),
    CYAML_FIELD_SEQUENCE("peers", OPTIONAL, raw_listen, peers, &peer_schema, 0, MOST_LISTED),
    CYAML_FIELD_SEQUENCE("needs", OPTIONAL, raw_listen, needs, &text_schema, 0, MOST_LISTED),
    CYAML_FIELD_SEQUENCE("command", OPTIONAL, raw_listen, command, &text_schema, 0, MOST_LISTED),
    CYAML_FIELD_END};

static const cyaml_schema_field_t file_fields[] = {
    TEXT("aet", raw_file, aet), TEXT("queue", raw_file, queue),
    CYAML_FIELD_SEQUENCE("receivers", OPTIONAL, raw_file, receivers, &pacs_schema, 0, MOST_LISTED),
    CYAML_FIELD_MAPPING_PTR("listen", OPTIONAL, raw_file, listen, listen_fields), CYAML_FIELD_END};

static const cyaml_schema_value_t file_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, raw_file, file_fields)};

/* ---- one value at a time; the first that is wrong is kept ---- */

typedef struct reading {
	const char *path;
	char where[100]; /* "receiver archive", "listen" */
	char folder[512];
	iso_status status;
	iso_error *err;
} reading;

static void wrong(reading *r, const char *key, const char *what, const char *remedy)
{
	if (r->status == ISO_OK)
		r->status = iso_fail(r->err, ISO_BAD_INPUT, r->path, remedy, "%s: %s %s", r->where, key, what);
}

static void take_text(reading *r, const char *key, const char *from, char *to, size_t size)
{
	if (!from) return;
	if ((size_t)snprintf(to, size, "%s", from) >= size) wrong(r, key, "is too long", "shorten it");
}

static void take_path(reading *r, const char *key, const char *from, char to[512])
{
	if (!from) return;
	const int n = *from == '/' ? snprintf(to, 512, "%s", from) : snprintf(to, 512, "%s/%s", r->folder, from);
	if (n < 0 || n >= 512) wrong(r, key, "is too long", "give a shorter path");
}

static void take_title(reading *r, const char *key, const char *from, char to[17])
{
	if (!from) return;
	if (!iso_is_ae_title(from, strlen(from)))
		wrong(r, key, "is no title of a DICOM application", "a title has 1 to 16 plain characters");
	else
		strcpy(to, from);
}

static void take_host(reading *r, const char *key, const char *from, char to[256])
{
	if (!from) return;
	if (!iso_is_host(from))
		wrong(r, key, "is no name of a host", "give a name or an address, without a port");
	else
		take_text(r, key, from, to, 256);
}

static void take_number(reading *r, const char *key, const double *from, double low, double high, double *to)
{
	if (!from) return;
	char range[80];
	iso_snprintf(range, sizeof range, "give a number from %g to %g", low, high);
	if (!(*from >= low && *from <= high))
		wrong(r, key, "is out of range", range);
	else
		*to = *from;
}

static void take_whole(reading *r, const char *key, const uint32_t *from, unsigned low, unsigned high, unsigned *to)
{
	const double value = from ? (double)*from : 0;
	double taken = (double)*to;
	take_number(r, key, from ? &value : NULL, low, high, &taken);
	*to = (unsigned)taken;
}

static void take_secret(reading *r, const char *key, const char *file, const char *environment, iso_secret *to)
{
	if (file && environment) wrong(r, key, "is named twice", "name a file or a variable of the environment");
	take_path(r, key, file, to->file);
	take_text(r, key, environment, to->environment, sizeof to->environment);
}

static void take_tls(reading *r, const raw_tls *from, iso_pacs_tls *to)
{
	if (!from) return;
	to->on = true;
	take_path(r, "tls.ca", from->ca, to->ca);
	take_path(r, "tls.certificate", from->certificate, to->certificate);
	take_path(r, "tls.key", from->key, to->key);
	take_secret(r, "tls.key_password", from->key_password_file, from->key_password_env, &to->key_password);
	take_host(r, "tls.name", from->name, to->name);
	if (!to->certificate[0] != !to->key[0])
		wrong(r, "tls", "has a certificate or a key alone", "give both, or neither");
}

static void take_web(reading *r, const raw_web *from, iso_pacs_web *to)
{
	if (!from) return;
	take_text(r, "dicomweb.url", from->url, to->url, sizeof to->url);
	take_path(r, "dicomweb.ca", from->ca, to->ca);
	take_text(r, "dicomweb.user", from->user, to->user, sizeof to->user);
	take_secret(r, "dicomweb.password", from->password_file, from->password_env, &to->password);
	take_secret(r, "dicomweb.token", from->token_file, from->token_env, &to->token);
	size_t length = strlen(to->url);
	while (length && to->url[length - 1] == '/') to->url[--length] = '\0';
	const char *host = strncmp(to->url, "https://", 8) == 0  ? to->url + 8
			   : strncmp(to->url, "http://", 7) == 0 ? to->url + 7
								 : "";
	if (!*host || strpbrk(host, "@?# "))
		wrong(r, "dicomweb.url", "is not the root of a DICOMweb service",
		      "give it as in https://pacs.example.org/dicom-web, without a user or a secret in it");
	const bool password = iso_secret_given(&to->password), token = iso_secret_given(&to->token);
	if (token && (password || to->user[0]))
		wrong(r, "dicomweb", "has a token and a user", "one kind of proof of who we are");
	if (!password != !to->user[0]) wrong(r, "dicomweb", "has a user or a password alone", "give both, or neither");
	const size_t name = strcspn(host, ":/");
	const bool here = (name == 9 && strncmp(host, "localhost", 9) == 0) || strncmp(host, "127.", 4) == 0;
	if ((token || password) && to->url[4] != 's' && !here)
		wrong(r, "dicomweb.url", "would send a secret in clear over the network", "use https");
}

static void take_pacs(reading *r, const raw_pacs *from, const char *own_title, iso_pacs *to)
{
	*to = (iso_pacs){.timeout_s = 30, .retries = 3, .commitment_wait_s = 60};
	snprintf(r->where, sizeof r->where, "receiver %.64s", from->name);
	take_text(r, "name", from->name, to->name, 65);
	if (strpbrk(from->name, "@:/")) wrong(r, "name", "has one of @ : / in it", "choose a plain name");
	strcpy(to->own_ae_title, own_title);
	take_title(r, "own_aet", from->own_aet, to->own_ae_title);
	take_title(r, "aet", from->aet, to->ae_title);
	take_host(r, "host", from->host, to->host);
	take_whole(r, "port", from->port, 1, 65535, &to->port);
	take_whole(r, "retries", from->retries, 0, 1000, &to->retries);
	take_number(r, "timeout_s", from->timeout_s, 1, 86400, &to->timeout_s);
	take_number(r, "commitment_wait_s", from->commitment_wait_s, 0, 86400, &to->commitment_wait_s);
	take_tls(r, from->tls, &to->tls);
	take_web(r, from->dicomweb, &to->web);
	const bool dimse = to->ae_title[0] && to->host[0] && to->port, web = to->web.url[0];
	if (!dimse && (from->aet || from->host || from->port || !web))
		wrong(r, "aet, host, port", "are not all there", "give all three, or a dicomweb.url instead");
	to->send_by_web = !dimse;
	to->fetch_by = dimse ? ISO_FETCH_C_GET : ISO_FETCH_WADO;
	const char *by = from->send_by;
	if (by && strcmp(by, "stow-rs") == 0 && web)
		to->send_by_web = true;
	else if (by && !(strcmp(by, "c-store") == 0 && dimse))
		wrong(r, "send_by", "names no way that this receiver has",
		      "c-store (aet, host, port) or stow-rs (dicomweb)");
	by = from->fetch_by;
	if (by && strcmp(by, "wado-rs") == 0 && web)
		to->fetch_by = ISO_FETCH_WADO;
	else if (by && strcmp(by, "c-move") == 0 && dimse)
		to->fetch_by = ISO_FETCH_C_MOVE;
	else if (by && !(strcmp(by, "c-get") == 0 && dimse))
		wrong(r, "fetch_by", "names no way that this receiver has",
		      "c-get or c-move (aet, host, port), or wado-rs (dicomweb)");
	to->commitment = from->commitment && *from->commitment;
	if (to->commitment && !dimse) wrong(r, "commitment", "needs a connection by DICOM", "give aet, host and port");
	if (to->tls.on && !to->tls.ca[0])
		wrong(r, "tls", "does not say whom to trust",
		      "give ca, the PEM file of the PACS's certificate or of its authority");
}

static char **take_list(reading *r, char *const *from, unsigned count)
{
	char **list = calloc(count + 1, sizeof *list);
	for (unsigned i = 0; list && i < count; i++)
		if (!(list[i] = strdup(from[i])))
			r->status = iso_fail_memory(r->err, "a list of words", strlen(from[i]));
	if (!list) r->status = iso_fail_memory(r->err, "a list of words", count * sizeof *list);
	return list;
}

static void take_listener(reading *r, const raw_listen *from, const char *own_title, iso_pacs_listener *to)
{
	*to = (iso_pacs_listener){.timeout_s = 30,
				  .quiet_s = 60,
				  .max_object_bytes = 2ull << 30,
				  .max_objects_per_study = 100000,
				  .max_associations = 10};
	strcpy(to->ae_title, own_title);
	if (!from) return;
	strcpy(r->where, "listen");
	double megabytes = 2048;
	if (!from->port) wrong(r, "port", "is missing", "say at which port to listen");
	take_whole(r, "port", from->port, 1, 65535, &to->port);
	take_text(r, "address", from->address, to->address, sizeof to->address);
	take_path(r, "folder", from->folder, to->folder);
	take_whole(r, "max_objects_per_study", from->max_objects_per_study, 1, 10000000, &to->max_objects_per_study);
	take_whole(r, "max_associations", from->max_associations, 1, 1000, &to->max_associations);
	take_number(r, "max_object_mb", from->max_object_mb, 0.001, 1e6, &megabytes);
	to->max_object_bytes = (uint64_t)(megabytes * 1048576);
	take_number(r, "timeout_s", from->timeout_s, 1, 86400, &to->timeout_s);
	take_number(r, "quiet_s", from->quiet_s, 0.1, 1e6, &to->quiet_s);
	take_tls(r, from->tls, &to->tls);
	if (to->tls.on && !to->tls.certificate[0])
		wrong(r, "tls", "has no certificate of ours", "give certificate and key");
	if (!(to->peers = calloc(from->peers_count + 1, sizeof *to->peers))) {
		r->status = iso_fail_memory(r->err, "the peers", from->peers_count * sizeof *to->peers);
		return;
	}
	to->peer_count = from->peers_count;
	for (unsigned p = 0; p < from->peers_count; p++) {
		take_title(r, "peers.aet", from->peers[p].aet, to->peers[p].ae_title);
		take_host(r, "peers.host", from->peers[p].host, to->peers[p].host);
	}
	to->needs = take_list(r, from->needs, from->needs_count);
	to->needs_count = to->needs ? from->needs_count : 0;
	to->command = take_list(r, from->command, from->command_count);
	to->command_count = to->command ? from->command_count : 0;
}

iso_status iso_pacs_file_load(const char *path, iso_pacs_file *out, iso_error *err)
{
	*out = (iso_pacs_file){.pacs = NULL};
	void *data = NULL;
	reading r = {.path = path, .where = "the file", .err = err};
	take_text(&r, "the path", path, out->path, sizeof out->path);
	if (r.status == ISO_OK) r.status = iso_yaml_load(path, &file_schema, &data, err);
	if (r.status != ISO_OK) return r.status;
	const raw_file *raw = data;
	const char *slash = strrchr(path, '/');
	if (slash)
		snprintf(r.folder, sizeof r.folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	else
		strcpy(r.folder, ".");
	char own_title[17] = "ISOTRACE";
	take_title(&r, "aet", raw->aet, own_title);
	take_path(&r, "queue", raw->queue, out->queue);
	out->pacs = calloc(raw->receivers_count + 1, sizeof *out->pacs);
	if (!out->pacs) r.status = iso_fail_memory(err, "the receivers", raw->receivers_count * sizeof *out->pacs);
	for (unsigned p = 0; out->pacs && p < raw->receivers_count; p++) {
		take_pacs(&r, &raw->receivers[p], own_title, &out->pacs[out->count]);
		for (size_t other = 0; other < out->count; other++)
			if (strcmp(out->pacs[other].name, out->pacs[out->count].name) == 0)
				wrong(&r, "name", "is given twice", "rename one of them");
		out->count++;
	}
	take_listener(&r, raw->listen, own_title, &out->listener);
	iso_yaml_free(&file_schema, data);
	if (r.status != ISO_OK) iso_pacs_file_free(out);
	return r.status;
}

void iso_pacs_file_free(iso_pacs_file *file)
{
	iso_pacs_listener *l = &file->listener;
	for (size_t i = 0; i < l->needs_count; i++) free(l->needs[i]);
	for (size_t i = 0; i < l->command_count; i++) free(l->command[i]);
	free(l->needs);
	free(l->command);
	free(l->peers);
	free(file->pacs);
	*file = (iso_pacs_file){.pacs = NULL};
}

iso_status iso_pacs_find(const iso_pacs_file *file, const char *name, const iso_pacs **out, iso_error *err)
{
	char names[300] = "";
	for (size_t p = 0; p < file->count; p++) {
		*out = &file->pacs[p];
		if (strcmp(file->pacs[p].name, name) == 0) return ISO_OK;
		const size_t used = strlen(names);
		snprintf(names + used, sizeof names - used, "%s%.64s", p ? ", " : "", file->pacs[p].name);
	}
	*out = NULL;
	return iso_fail(err, ISO_BAD_USAGE, file->path, "name one of those, or add it",
			"there is no receiver '%.64s'; there are: %s", name, *names ? names : "none");
}

iso_status iso_pacs_choose(const iso_pacs_file *file, const char *text, iso_pacs *out, iso_error *err)
{
	/* "@" is in no name. Without a configuration the message is the one about the form. */
	if (strchr(text, '@') || !file->path[0]) return iso_pacs_parse(text, out, err);
	const iso_pacs *found;
	const iso_status status = iso_pacs_find(file, text, &found, err);
	if (status == ISO_OK) *out = *found;
	return status;
}
