/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "tests/harness.h"

#include <CUnit/TestRun.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/output.h"

static struct {
	const char *suite;
	unsigned number, failed;
	clock_t used; /* when the last test ended */
	char skip[200];
	char folder[PATH_MAX];
} state;

void iso_test_skip(const char *reason)
{
	snprintf(state.skip, sizeof state.skip, "%s", reason);
}

void iso_test_print_error(const iso_error *err)
{
	char text[2048];
	printf("# error: %s\n", iso_error_text(err, text, sizeof text));
}

bool iso_test_near(const char *what, double actual, double expected, double tolerance, const char *file, int line)
{
	if (fabs(actual - expected) <= tolerance) return true;
	printf("# %s:%d: %s is %.10g, expected %.10g within %.3g\n", file, line, what, actual, expected, tolerance);
	return false;
}

static void report(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
	(void)suite;
	for (CU_pFailureRecord f = failure; f; f = f->pNext)
		printf("# %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
	state.number++;
	const double took_s = (double)(clock() - state.used) / CLOCKS_PER_SEC;
	state.used = clock();
	if (took_s > 1) printf("# %.1f s of processor time\n", took_s);
	if (failure) state.failed++;
	printf("%s %u - %s: %s%s%s\n", failure ? "not ok" : "ok", state.number, state.suite, test->pName,
	       state.skip[0] && !failure ? " # SKIP " : "", failure ? "" : state.skip);
	fflush(stdout);
	state.skip[0] = '\0';
}

int iso_test_main(const char *name, const iso_test *tests, unsigned count)
{
	state.suite = name;
	printf("1..%u\n", count);
	if (CU_initialize_registry() != CUE_SUCCESS) return 99;
	CU_pSuite suite = CU_add_suite(name, NULL, NULL);
	for (unsigned i = 0; suite && i < count; i++)
		if (!CU_add_test(suite, tests[i].name, tests[i].run)) return 99;
	if (!suite) return 99;
	CU_set_test_complete_handler(report);
	state.used = clock();
	(void)CU_run_all_tests();
	CU_cleanup_registry();
	if (state.folder[0]) iso_remove_tree(state.folder);
	return state.failed ? 1 : 0;
}

bool iso_shared_data(const char *name, char path[PATH_MAX])
{
	const char *root = getenv("ISOTRACE_SHARED");
	if (root)
		snprintf(path, PATH_MAX, "%s/data/%s", root, name);
	else
		snprintf(path, PATH_MAX, "%s/../shared/data/%s", ISO_SOURCE_ROOT, name);
	return access(path, R_OK) == 0;
}

const char *iso_test_folder(void)
{
	if (state.folder[0]) return state.folder;
	const char *base = getenv("TMPDIR");
	snprintf(state.folder, sizeof state.folder, "%s/isotrace-test-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(state.folder)) {
		perror(state.folder);
		exit(99);
	}
	return state.folder;
}

const char *iso_test_path(const char *name)
{
	static char buffers[8][PATH_MAX];
	static unsigned next;
	char *buffer = buffers[next++ % 8];
	if (snprintf(buffer, PATH_MAX, "%s/%s", iso_test_folder(), name) >= PATH_MAX) exit(99);
	return buffer;
}

bool iso_test_decimal_comma(void)
{
	/* Few machines have one, and a whole one takes seconds to make: numbers alone are made at once. */
	static const char source[] =
	    "LC_CTYPE\ncopy \"POSIX\"\nEND LC_CTYPE\n"
	    "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3\nEND LC_NUMERIC\n";
	char command[2 * PATH_MAX + 100];
	if (iso_output_write(iso_test_path("comma.source"), source, sizeof source - 1, NULL) != ISO_OK) return false;
	snprintf(command, sizeof command, "localedef -c -i '%s' -f ANSI_X3.4-1968 '%s' >/dev/null 2>&1",
		 iso_test_path("comma.source"), iso_test_path("comma"));
	/* what it warns of, the categories that are left out, makes it fail by its exit code */
	if (system(command) != -1) setenv("LOCPATH", iso_test_folder(), 1);
	static const char *const locales[] = {"comma", "de_DE.UTF-8", "fr_FR.UTF-8"};
	for (size_t l = 0; l < sizeof locales / sizeof *locales; l++)
		if (setlocale(LC_NUMERIC, locales[l]) && localeconv()->decimal_point[0] == ',') return true;
	return false;
}
