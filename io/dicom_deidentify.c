/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The key of de-identification, and folders that are de-identified. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/output.h"
#include "io/dicom/deidentify.h"
#include "io/file_list.h"

#define SHORTEST 16

iso_status iso_dicom_key_read(const char *path, iso_dicom_key *key, iso_error *err)
{
	char *text = NULL;
	size_t size = 0;
	memset(key, 0, sizeof *key);
	const iso_status status = iso_read_file(path, sizeof key->bytes, &text, &size, err);
	if (status != ISO_OK) return status;
	while (size && isspace((unsigned char)text[size - 1])) size--;
	if (size >= SHORTEST) memcpy(key->bytes, text, size);
	key->size = size;
	explicit_bzero(text, size);
	free(text);
	return size >= SHORTEST ? ISO_OK
				: iso_fail(err, ISO_BAD_INPUT, path, "make one with: head -c 32 /dev/urandom | base64",
					   "a key of less than %d bytes could be guessed", SHORTEST);
}

/* What is replaced must be de-identified files of an earlier call: 000001.dcm and so on. */
static iso_status check_target(const char *folder, iso_error *err)
{
	DIR *dir = opendir(folder);
	if (!dir && errno == ENOENT) return ISO_OK;
	if (!dir) return iso_fail_errno(err, folder, "cannot use this name for the folder");
	char foreign[64] = "";
	for (const struct dirent *e; !foreign[0] && (e = readdir(dir));) {
		const size_t digits = strspn(e->d_name, "0123456789");
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    (digits < 6 || strcmp(e->d_name + digits, ".dcm")))
			snprintf(foreign, sizeof foreign, "%.60s", e->d_name);
	}
	closedir(dir);
	return !foreign[0] ? ISO_OK
			   : iso_fail(err, ISO_BAD_USAGE, folder, "give a folder of its own",
				      "the folder holds something else already (%s)", foreign);
}

static iso_status deidentify_all(const iso_file_list *list, const char *folder, const char *shown,
				 const iso_dicom_key *key, iso_error *err)
{
	iso_status status = ISO_OK;
	for (size_t f = 0; f < list->count && status == ISO_OK; f++) {
		char path[PATH_MAX + 32];
		snprintf(path, sizeof path, "%s/%06zu.dcm", folder, f + 1);
		status = iso_deidentify_file(list->path[f], path, shown, key, err);
	}
	return status;
}

iso_status iso_dicom_deidentify(const char *from, const char *to, const iso_dicom_key *key, size_t *files,
				iso_error *err)
{
	iso_file_list list = {0};
	iso_output output = {.temporary = ""};
	if (files) *files = 0;
	iso_status status = iso_file_list_collect(from, &list, err);
	if (status == ISO_OK && !list.count)
		status = iso_fail(err, ISO_BAD_INPUT, from, "name the folder with the DICOM files", "it holds no file");
	if (status == ISO_OK) status = check_target(to, err);
	if (status == ISO_OK) status = iso_output_begin(&output, to, err);
	if (status == ISO_OK && mkdir(output.temporary, 0777) != 0)
		status = iso_fail_errno(err, to, "cannot make the folder");
	if (status == ISO_OK) status = deidentify_all(&list, output.temporary, to, key, err);
	if (status == ISO_OK)
		status = iso_output_commit(&output, err);
	else
		iso_output_discard(&output);
	if (status == ISO_OK && files) *files = list.count;
	iso_file_list_free(&list);
	return status;
}
