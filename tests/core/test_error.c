/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "isotrace/acquisition.h"
#include "isotrace/events.h"
#include "tests/harness.h"

static const char *text_of(const iso_error *err)
{
	static char text[2048];
	return iso_error_text(err, text, sizeof text);
}

static void exit_codes(void)
{
	CU_ASSERT_EQUAL(iso_status_exit_code(ISO_OK), 0);
	CU_ASSERT_EQUAL(iso_status_exit_code(ISO_BAD_USAGE), 2);
	CU_ASSERT_EQUAL(iso_status_exit_code(ISO_BAD_INPUT), 3);
	CU_ASSERT_EQUAL(iso_status_exit_code(ISO_PARTIAL), 4);
	CU_ASSERT_EQUAL(iso_status_exit_code(ISO_NO_MEMORY), 5);
	CU_ASSERT_EQUAL(iso_status_exit_code(ISO_IO), 5);
	CU_ASSERT_EQUAL(iso_status_exit_code(ISO_CANCELLED), 5);
}

static void every_enumerator_has_a_text(void)
{
	for (int a = ISO_OK; a <= ISO_CANCELLED; a++) {
		CU_ASSERT(strcmp(iso_status_name((iso_status)a), "unknown status") != 0);
		for (int b = ISO_OK; b < a; b++)
			CU_ASSERT(strcmp(iso_status_name((iso_status)a), iso_status_name((iso_status)b)) != 0);
	}
	CU_ASSERT_STRING_EQUAL(iso_status_name((iso_status)99), "unknown status");
	for (int a = 0; a < ISO_REJECT_REASONS; a++) CU_ASSERT(strcmp(iso_reject_text(a), "unknown reason") != 0);
	CU_ASSERT_STRING_EQUAL(iso_reject_text(ISO_REJECT_REASONS), "unknown reason");
	for (int m = ISO_MODALITY_UNKNOWN; m <= ISO_MODALITY_SPECT; m++)
		CU_ASSERT_EQUAL((int)iso_modality_from_text(iso_modality_text((iso_modality)m)), m);
	CU_ASSERT_EQUAL(iso_modality_from_text("MR"), ISO_MODALITY_UNKNOWN);
}

static void parts_of_the_text(void)
{
	iso_error err;
	CU_ASSERT_EQUAL(iso_fail(&err, ISO_BAD_INPUT, "a.csv", "do that", "wrong %d", 7), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(err.status, ISO_BAD_INPUT);
	CU_ASSERT_STRING_EQUAL(text_of(&err), "a.csv: wrong 7; do that");
	iso_fail(&err, ISO_BAD_USAGE, NULL, NULL, "wrong");
	CU_ASSERT_STRING_EQUAL(text_of(&err), "wrong");
	iso_fail_at(&err, ISO_BAD_INPUT, "a.csv", ISO_POSITION_LINE, 12, "do that", "wrong");
	CU_ASSERT_STRING_EQUAL(text_of(&err), "a.csv: line 12: wrong; do that");
	iso_fail_at(&err, ISO_BAD_INPUT, "a.l", ISO_POSITION_BYTE, 5000000000, "do that", "wrong");
	CU_ASSERT_STRING_EQUAL(text_of(&err), "a.l: byte 5000000000: wrong; do that");
	/* A position must not survive into the next error. */
	iso_fail(&err, ISO_BAD_INPUT, "b", NULL, "other");
	CU_ASSERT_STRING_EQUAL(text_of(&err), "b: other");
}

static void error_may_be_null(void)
{
	CU_ASSERT_EQUAL(iso_fail(NULL, ISO_IO, "f", "r", "m"), ISO_IO);
	CU_ASSERT_EQUAL(iso_fail_at(NULL, ISO_IO, "f", ISO_POSITION_LINE, 1, "r", "m"), ISO_IO);
	CU_ASSERT_EQUAL(iso_fail_memory(NULL, "x", 1), ISO_NO_MEMORY);
	errno = ENOENT;
	CU_ASSERT_EQUAL(iso_fail_errno(NULL, "f", "cannot open"), ISO_IO);
}

static void an_error_may_quote_itself(void)
{
	iso_error err;
	iso_fail(&err, ISO_BAD_INPUT, "file", "remedy", "inner");
	iso_fail(&err, ISO_BAD_INPUT, err.file, err.remedy, "outer: %s", err.message);
	CU_ASSERT_STRING_EQUAL(text_of(&err), "file: outer: inner; remedy");
}

static void long_parts_are_cut_and_terminated(void)
{
	char longer[2000];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	iso_error err;
	iso_fail(&err, ISO_BAD_INPUT, longer, longer, "%s", longer);
	CU_ASSERT_EQUAL(strlen(err.file), sizeof err.file - 1);
	CU_ASSERT_EQUAL(strlen(err.message), sizeof err.message - 1);
	CU_ASSERT_EQUAL(strlen(err.remedy), sizeof err.remedy - 1);
	char text[16];
	CU_ASSERT_EQUAL(strlen(iso_error_text(&err, text, sizeof text)), sizeof text - 1);
}

static void system_errors(void)
{
	iso_error err;
	errno = ENOSPC;
	CU_ASSERT_EQUAL(iso_fail_errno(&err, "out.h5", "cannot write"), ISO_IO);
	CU_ASSERT(strstr(text_of(&err), "out.h5: cannot write: No space left on device; free disk space") != NULL);
	errno = EFBIG; /* a file size limit; SIGXFSZ being ignored */
	iso_fail_errno(&err, "out.h5", "cannot write");
	CU_ASSERT(strstr(err.remedy, "free disk space") != NULL);
	errno = EACCES;
	iso_fail_errno(&err, "out.h5", "cannot write");
	CU_ASSERT(strstr(err.remedy, "permissions") != NULL);
	errno = ENOMEM;
	CU_ASSERT_EQUAL(iso_fail_errno(&err, "folder", "cannot open"), ISO_NO_MEMORY);
	CU_ASSERT_EQUAL(iso_fail_memory(&err, "an image", 4096), ISO_NO_MEMORY);
	CU_ASSERT(strstr(err.message, "an image (4096 bytes)") != NULL);
}

static const iso_test tests[] = {
    {"a status gives the documented exit code", exit_codes},
    {"every status, reason and modality has its own text", every_enumerator_has_a_text},
    {"an error's text has file, position, message, remedy", parts_of_the_text},
    {"the error pointer may be NULL", error_may_be_null},
    {"an error may be wrapped into itself", an_error_may_quote_itself},
    {"texts that are too long are cut and terminated", long_parts_are_cut_and_terminated},
    {"errors of the system say what helps", system_errors},
};
ISO_TEST_MAIN("error", tests)
