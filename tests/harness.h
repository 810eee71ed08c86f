/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs CUnit tests and reports them in TAP, which meson and scripts/test count. A test says
 *     if (!iso_shared_data("mmr_listmode/small_listmode_file.l", path)) ISO_SKIP("no shared data");
 * when it lacks what it needs: it then counts as skipped and not as passed. */
#ifndef ISOTRACE_TESTS_HARNESS_H
#define ISOTRACE_TESTS_HARNESS_H

#include <CUnit/CUnit.h>
#include <limits.h>
#include <stdbool.h>

#include "isotrace/status.h"

/* Under the sanitizers a test of numbers may do less of the same: the build without them has shown that the numbers are right. What is
 * made smaller says in a comment by how much, and what its tolerance is then. */
#ifndef ISO_SANITIZED /* which meson says */
#define ISO_SANITIZED 0
#endif

typedef struct iso_test {
	const char *name;
	void (*run)(void);
} iso_test;

/* Runs them all; what main() returns. */
int iso_test_main(const char *suite, const iso_test *tests, unsigned count);
#define ISO_TEST_MAIN(suite, tests)                                                              \
	int main(void)                                                                           \
	{                                                                                        \
		return iso_test_main(suite, tests, (unsigned)(sizeof(tests) / sizeof *(tests))); \
	}

void iso_test_skip(const char *reason);
#define ISO_SKIP(reason)               \
	do {                           \
		iso_test_skip(reason); \
		return;                \
	} while (0)

/* Succeeds, or prints the error. */
#define ISO_ASSERT_OK(call, err)                                     \
	do {                                                         \
		const iso_status status_ = (call);                   \
		if (status_ != ISO_OK) iso_test_print_error(&(err)); \
		CU_ASSERT_EQUAL_FATAL(status_, ISO_OK);              \
	} while (0)
void iso_test_print_error(const iso_error *err);
/* |a - b| <= tolerance, and says what it was when not. */
#define ISO_ASSERT_NEAR(actual, expected, tolerance) \
	CU_ASSERT(iso_test_near(#actual, (double)(actual), (double)(expected), (double)(tolerance), __FILE__, __LINE__))
bool iso_test_near(const char *what, double actual, double expected, double tolerance, const char *file, int line);

/* Path of a file below shared/data (environment ISOTRACE_SHARED, else ../shared beside the sources); false when
 * it is not there. */
bool iso_shared_data(const char *name, char path[PATH_MAX]);
/* A new empty folder below the build's scratch folder, removed when the test program ends. */
const char *iso_test_folder(void);
/* "folder/name" in one of a few static buffers. */
const char *iso_test_path(const char *name);
/* Sets a locale whose numbers have a decimal comma, as a program around the library may; false: there is none and none can be made.
 * setlocale(LC_NUMERIC, "C") ends it. */
bool iso_test_decimal_comma(void);

#endif
