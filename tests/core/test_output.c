/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/output.h"
#include "tests/harness.h"

static bool exists(const char *path)
{
	struct stat info;
	return lstat(path, &info) == 0;
}

static size_t entries(const char *path)
{
	DIR *folder = opendir(path);
	size_t count = 0;
	for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (folder) closedir(folder);
	return count;
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
}

/* path of a test's own new folder */
static const char *fresh(const char *name)
{
	const char *path = iso_test_path(name);
	iso_remove_tree(path);
	iso_error err;
	ISO_ASSERT_OK(iso_make_directory(path, &err), err);
	return path;
}

static const char *in(const char *folder, const char *name)
{
	static char buffers[8][PATH_MAX];
	static unsigned next;
	char *path = buffers[next++ % 8];
	CU_ASSERT_FATAL(snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX);
	return path;
}

static bool holds(const char *path, const char *text)
{
	char *read;
	iso_error err;
	if (iso_read_file(path, 1 << 20, &read, NULL, &err) != ISO_OK) return false;
	const bool same = strcmp(read, text) == 0;
	free(read);
	return same;
}

static void appears_when_whole(void)
{
	char folder[PATH_MAX];
	strcpy(folder, fresh("whole"));
	iso_output output;
	iso_error err;
	ISO_ASSERT_OK(iso_output_begin(&output, in(folder, "a.nii.gz"), &err), err);
	CU_ASSERT_EQUAL(entries(folder), 0);
	/* Beside the name, on the same file system, with the ending by which libraries choose the format. */
	CU_ASSERT(strncmp(output.temporary, folder, strlen(folder)) == 0);
	CU_ASSERT_STRING_EQUAL(output.temporary + strlen(output.temporary) - 7, ".nii.gz");
	put(output.temporary, "whole");
	CU_ASSERT(!exists(in(folder, "a.nii.gz")));
	ISO_ASSERT_OK(iso_output_commit(&output, &err), err);
	CU_ASSERT(holds(in(folder, "a.nii.gz"), "whole"));
	CU_ASSERT_EQUAL(entries(folder), 1);
	/* and replaces what was there */
	ISO_ASSERT_OK(iso_output_write(in(folder, "a.nii.gz"), "new", 3, &err), err);
	CU_ASSERT(holds(in(folder, "a.nii.gz"), "new"));
	CU_ASSERT_EQUAL(entries(folder), 1);
	iso_output_discard(&output); /* harmless after the end */
	CU_ASSERT(holds(in(folder, "a.nii.gz"), "new"));
}

static void discard_leaves_nothing(void)
{
	char folder[PATH_MAX];
	strcpy(folder, fresh("discard"));
	put(in(folder, "a.csv"), "old");
	iso_output output;
	iso_error err;
	ISO_ASSERT_OK(iso_output_begin(&output, in(folder, "a.csv"), &err), err);
	put(output.temporary, "half");
	iso_output_discard(&output);
	CU_ASSERT(holds(in(folder, "a.csv"), "old"));
	CU_ASSERT_EQUAL(entries(folder), 1);
	/* Committing what nobody wrote is an error and not an empty file. */
	ISO_ASSERT_OK(iso_output_begin(&output, in(folder, "b.csv"), &err), err);
	CU_ASSERT_EQUAL(iso_output_commit(&output, &err), ISO_IO);
	CU_ASSERT_STRING_EQUAL(err.file, in(folder, "b.csv"));
	CU_ASSERT_EQUAL(entries(folder), 1);
}

static void failed_writes(void)
{
	char folder[PATH_MAX];
	strcpy(folder, fresh("failed"));
	iso_error err;
	/* No such folder, and a file where a folder should be: whoever runs the test, root too, cannot write there. */
	CU_ASSERT_EQUAL(iso_output_write(in(folder, "absent/a.csv"), "x", 1, &err), ISO_IO);
	CU_ASSERT_STRING_EQUAL(err.file, in(folder, "absent/a.csv"));
	put(in(folder, "file"), "x");
	CU_ASSERT_EQUAL(iso_output_write(in(folder, "file/a.csv"), "x", 1, &err), ISO_IO);
	CU_ASSERT_EQUAL(iso_output_write("", "x", 1, &err), ISO_BAD_USAGE);
	/* A limit on the size of files behaves like a full disk, half-way through the file. */
	static char megabyte[1 << 20];
	struct rlimit before, limit;
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 100000;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
	const iso_status status = iso_output_write(in(folder, "big"), megabyte, sizeof megabyte, &err);
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, handler);
	CU_ASSERT_EQUAL(status, ISO_IO);
	CU_ASSERT_STRING_EQUAL(err.file, in(folder, "big"));
	CU_ASSERT(strstr(err.remedy, "disk space") != NULL);
	CU_ASSERT_EQUAL(entries(folder), 1); /* only "file" */
	/* The device that is always full fails at the flush. */
	if (access("/dev/full", W_OK) == 0) {
		CU_ASSERT_EQUAL(symlink("/dev/full", in(folder, "link")), 0);
		ISO_ASSERT_OK(iso_output_write(in(folder, "link"), "x", 1, &err),
			      err); /* replaces the link, not the device */
		CU_ASSERT(holds(in(folder, "link"), "x"));
	}
}

static void killed_while_writing(void)
{
	char folder[PATH_MAX];
	strcpy(folder, fresh("killed"));
	put(in(folder, "a.csv"), "old");
	fflush(stdout);
	const pid_t child = fork();
	if (child == 0) {
		iso_output output;
		iso_error err;
		if (iso_output_begin(&output, in(folder, "a.csv"), &err) != ISO_OK) _exit(1);
		FILE *file = fopen(output.temporary, "w");
		if (!file || fputs("half", file) < 0 || fflush(file) != 0) _exit(2);
		raise(SIGKILL);
	}
	int how;
	CU_ASSERT_EQUAL(waitpid(child, &how, 0), child);
	CU_ASSERT(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
	CU_ASSERT(holds(in(folder, "a.csv"), "old"));
	CU_ASSERT_EQUAL(entries(folder), 2);
	/* What the dead left goes with the next output of that name, but not what may yet be written: by a process that
	 * lives (this one's parent), of another name, or a moment ago by a machine that shares the folder. */
	char stale[64], alive[64];
	snprintf(stale, sizeof stale, ".part-%ld-a.csv", (long)child);
	snprintf(alive, sizeof alive, ".part-%ld-a.csv", (long)getppid());
	const char *const others[] = {alive, ".part-999999999-b.csv", ".part-x-a.csv"};
	const struct timespec hours_ago[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
	ISO_ASSERT_OK(iso_output_write(in(folder, "a.csv"), "new", 3, NULL), (iso_error){0});
	CU_ASSERT(exists(in(folder, stale)));
	for (int n = 0; n < 3; n++) put(in(folder, others[n]), "half");
	for (int n = 0; n < 3; n++) CU_ASSERT_EQUAL(utimensat(AT_FDCWD, in(folder, others[n]), hours_ago, 0), 0);
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, in(folder, stale), hours_ago, 0), 0);
	ISO_ASSERT_OK(iso_output_write(in(folder, "a.csv"), "new", 3, NULL), (iso_error){0});
	CU_ASSERT(!exists(in(folder, stale)));
	CU_ASSERT_EQUAL(entries(folder), 4);
}

static iso_status commit_folder(const char *path, const char *const *names, iso_error *err)
{
	iso_output output;
	iso_status status = iso_output_begin(&output, path, err);
	if (status == ISO_OK) status = iso_make_directory(output.temporary, err);
	for (; status == ISO_OK && *names; names++) put(in(output.temporary, *names), *names);
	return status == ISO_OK ? iso_output_commit(&output, err) : status;
}

static void folders(void)
{
	char folder[PATH_MAX], series[PATH_MAX];
	strcpy(folder, fresh("folders"));
	strcpy(series, in(folder, "series"));
	iso_error err;
	/* a trailing slash is the same folder */
	ISO_ASSERT_OK(commit_folder(in(folder, "series/"), (const char *[]){"1.dcm", "2.dcm", "3.dcm", NULL}, &err),
		      err);
	CU_ASSERT_EQUAL(entries(series), 3);
	/* A new series replaces the old one whole: the third file is gone. */
	ISO_ASSERT_OK(commit_folder(series, (const char *[]){"1.dcm", "4.dcm", NULL}, &err), err);
	CU_ASSERT_EQUAL(entries(series), 2);
	CU_ASSERT(holds(in(series, "4.dcm"), "4.dcm"));
	CU_ASSERT_EQUAL(entries(folder), 1);
	/* Something else in it: refused, and everything stays. */
	put(in(series, "thesis.tex"), "years");
	CU_ASSERT_EQUAL(commit_folder(series, (const char *[]){"1.dcm", NULL}, &err), ISO_BAD_USAGE);
	CU_ASSERT_STRING_EQUAL(err.file, series);
	CU_ASSERT(strstr(err.message, "thesis.tex") != NULL);
	CU_ASSERT(holds(in(series, "thesis.tex"), "years") && holds(in(series, "4.dcm"), "4.dcm"));
	CU_ASSERT_EQUAL(entries(folder), 1);
	/* An empty folder is nobody's loss. */
	ISO_ASSERT_OK(iso_make_directory(in(folder, "empty"), &err), err);
	ISO_ASSERT_OK(commit_folder(in(folder, "empty"), (const char *[]){"1.dcm", NULL}, &err), err);
}

static void a_file_never_replaces_a_folder(void)
{
	char folder[PATH_MAX];
	strcpy(folder, fresh("never"));
	iso_error err;
	ISO_ASSERT_OK(iso_make_directory(in(folder, "home/photographs"), &err), err);
	CU_ASSERT_EQUAL(iso_output_write(in(folder, "home"), "x", 1, &err), ISO_IO);
	CU_ASSERT_STRING_EQUAL(err.file, in(folder, "home"));
	CU_ASSERT(exists(in(folder, "home/photographs")));
	CU_ASSERT_EQUAL(entries(folder), 1);
	/* nor a folder a file */
	put(in(folder, "file"), "x");
	CU_ASSERT_EQUAL(commit_folder(in(folder, "file"), (const char *[]){"1.dcm", NULL}, &err), ISO_IO);
	CU_ASSERT(holds(in(folder, "file"), "x"));
	CU_ASSERT_EQUAL(entries(folder), 2);
}

static void make_directory(void)
{
	char folder[PATH_MAX];
	strcpy(folder, fresh("make"));
	iso_error err;
	ISO_ASSERT_OK(iso_make_directory(in(folder, "a/b//c/"), &err), err);
	CU_ASSERT(exists(in(folder, "a/b/c")));
	ISO_ASSERT_OK(iso_make_directory(in(folder, "a/b"), &err), err);
	put(in(folder, "f"), "x");
	CU_ASSERT_EQUAL(iso_make_directory(in(folder, "f"), &err), ISO_IO);
	CU_ASSERT_EQUAL(iso_make_directory(in(folder, "f/g"), &err), ISO_IO);
	CU_ASSERT_EQUAL(iso_make_directory("", &err), ISO_BAD_USAGE);
	char longer[PATH_MAX + 10];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	CU_ASSERT_EQUAL(iso_make_directory(longer, &err), ISO_BAD_USAGE);
	iso_output output;
	CU_ASSERT_EQUAL(iso_output_begin(&output, longer, &err), ISO_BAD_USAGE);
	iso_output_discard(&output);
}

static void read_file(void)
{
	char folder[PATH_MAX];
	strcpy(folder, fresh("read"));
	iso_error err;
	char *text;
	size_t size;
	/* sizes around the doubling of the buffer */
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 100000};
	static char bytes[100000];
	memset(bytes, 'b', sizeof bytes);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		ISO_ASSERT_OK(iso_output_write(in(folder, "f"), bytes, sizes[i], &err), err);
		ISO_ASSERT_OK(iso_read_file(in(folder, "f"), sizes[i], &text, &size, &err), err);
		CU_ASSERT_EQUAL(size, sizes[i]);
		CU_ASSERT_EQUAL(strlen(text), sizes[i]);
		free(text);
		if (sizes[i] == 0) continue;
		CU_ASSERT_EQUAL(iso_read_file(in(folder, "f"), sizes[i] - 1, &text, &size, &err), ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(text);
	}
	CU_ASSERT_EQUAL(iso_read_file(in(folder, "absent"), 10, &text, &size, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_read_file(folder, 10, &text, &size, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "folder") != NULL);
}

static const iso_test tests[] = {
    {"a file appears when it is whole", appears_when_whole},
    {"what is discarded leaves nothing", discard_leaves_nothing},
    {"failed writes name the file and leave nothing", failed_writes},
    {"a process killed while writing leaves the old file", killed_while_writing},
    {"folders are replaced whole, unless they hold other things", folders},
    {"a file never replaces a folder", a_file_never_replaces_a_folder},
    {"folders are made with their parents", make_directory},
    {"whole files are read up to their limit", read_file},
};
ISO_TEST_MAIN("output", tests)
