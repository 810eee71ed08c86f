/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/output.h"

bool iso_secret_given(const iso_secret *secret)
{
	return secret->file[0] || secret->environment[0];
}

void iso_secret_wipe(char text[ISO_SECRET_SIZE])
{
	explicit_bzero(text, ISO_SECRET_SIZE);
}

static iso_status from_file(const char *path, char text[ISO_SECRET_SIZE], iso_error *err)
{
	FILE *file;
	struct stat info;
	iso_status status = iso_open_to_read(path, &file, err);
	if (status != ISO_OK) return status;
	setvbuf(file, NULL, _IONBF, 0); /* no copy of it in a buffer that is freed without being wiped */
	if (fstat(fileno(file), &info) == 0 && (info.st_mode & S_IROTH))
		status = iso_fail(err, ISO_BAD_INPUT, path, "take the others' right to read it away: chmod o-rwx",
				  "everybody on this machine can read this secret");
	else if (!fgets(text, ISO_SECRET_SIZE, file))
		status = iso_fail(err, ISO_BAD_INPUT, path, "put the secret into its first line", "the file is empty");
	fclose(file);
	return status;
}

iso_status iso_secret_read(const iso_secret *secret, char text[ISO_SECRET_SIZE], iso_error *err)
{
	text[0] = '\0';
	if (secret->file[0]) {
		const iso_status status = from_file(secret->file, text, err);
		if (status != ISO_OK) return status;
		text[strcspn(text, "\r\n")] = '\0';
	} else if (secret->environment[0]) {
		const char *value = getenv(secret->environment);
		if (!value || !*value || strlen(value) >= ISO_SECRET_SIZE)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "set it before isotrace is called",
					"the environment variable %s, which is to hold a secret, is %s",
					secret->environment, value && *value ? "too long" : "not set");
		strcpy(text, value);
	}
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ') {
			iso_secret_wipe(text);
			return iso_fail(err, ISO_BAD_INPUT, secret->file[0] ? secret->file : NULL,
					"put nothing but the secret there", "the secret has control characters in it");
		}
	return ISO_OK;
}
