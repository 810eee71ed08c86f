/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "tests/failure/inject.h"

#include <dirent.h>
#include <errno.h>
#include <hdf5.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "core/output.h"
#include "tests/harness.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void __real_free(void *pointer);
int __real_posix_memalign(void **pointer, size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void __wrap_free(void *pointer);
int __wrap_posix_memalign(void **pointer, size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
int __real_munmap(void *address, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *address, size_t size);
void *__wrap_fftwf_malloc(size_t size);
void *__real_fftwf_malloc(size_t size);
void __wrap_fftwf_free(void *pointer);
void __real_fftwf_free(void *pointer);

enum { TABLE = 1 << 16 };

/* Live pointers in an open hash table; REMOVED keeps a chain together. */
#define REMOVED ((void *)&state)
static struct {
	pthread_mutex_t lock;
	bool armed, all_later, fired;
	unsigned long fail_at, count;
	void *live[TABLE];
	size_t live_count;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t slot_of(const void *pointer)
{
	return (size_t)(((uintptr_t)pointer >> 4) * 0x9E3779B97F4A7C15u >> 40) % TABLE;
}

bool iso_inject_fails(void)
{
	if (!state.armed) return false;
	pthread_mutex_lock(&state.lock);
	state.count++;
	const bool fails =
	    state.fail_at && (state.count == state.fail_at || (state.all_later && state.count > state.fail_at));
	state.fired |= fails;
	pthread_mutex_unlock(&state.lock);
	if (fails) errno = ENOMEM;
	return fails;
}

void iso_inject_add(void *pointer)
{
	if (!state.armed || !pointer) return;
	pthread_mutex_lock(&state.lock);
	if (state.live_count < TABLE / 2) {
		size_t slot = slot_of(pointer);
		while (state.live[slot] && state.live[slot] != REMOVED) slot = (slot + 1) % TABLE;
		state.live[slot] = pointer;
		state.live_count++;
	}
	pthread_mutex_unlock(&state.lock);
}

void iso_inject_remove(void *pointer)
{
	if (!pointer) return;
	pthread_mutex_lock(&state.lock);
	for (size_t slot = slot_of(pointer); state.live_count && state.live[slot]; slot = (slot + 1) % TABLE)
		if (state.live[slot] == pointer) {
			state.live[slot] = REMOVED;
			state.live_count--;
			break;
		}
	pthread_mutex_unlock(&state.lock);
}

void *__wrap_malloc(size_t size)
{
	void *pointer = iso_inject_fails() ? NULL : __real_malloc(size);
	iso_inject_add(pointer);
	return pointer;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *pointer = iso_inject_fails() ? NULL : __real_calloc(count, size);
	iso_inject_add(pointer);
	return pointer;
}

void *__wrap_realloc(void *pointer, size_t size)
{
	if (iso_inject_fails()) return NULL;
	iso_inject_remove(pointer);
	void *moved = __real_realloc(pointer, size);
	iso_inject_add(moved);
	return moved;
}

void __wrap_free(void *pointer)
{
	iso_inject_remove(pointer);
	__real_free(pointer);
}

int __wrap_posix_memalign(void **pointer, size_t alignment, size_t size)
{
	if (iso_inject_fails()) return ENOMEM;
	const int failed = __real_posix_memalign(pointer, alignment, size);
	if (!failed) iso_inject_add(*pointer);
	return failed;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	void *pointer = iso_inject_fails() ? NULL : __real_aligned_alloc(alignment, size);
	iso_inject_add(pointer);
	return pointer;
}

char *__wrap_strdup(const char *text)
{
	char *copy = iso_inject_fails() ? NULL : __real_strdup(text);
	iso_inject_add(copy);
	return copy;
}

char *__wrap_strndup(const char *text, size_t size)
{
	char *copy = iso_inject_fails() ? NULL : __real_strndup(text, size);
	iso_inject_add(copy);
	return copy;
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
	void *pages = iso_inject_fails() ? MAP_FAILED : __real_mmap(address, size, protection, flags, file, offset);
	if (pages != MAP_FAILED) iso_inject_add(pages);
	return pages;
}

int __wrap_munmap(void *address, size_t size)
{
	iso_inject_remove(address);
	return __real_munmap(address, size);
}

void *__wrap_fftwf_malloc(size_t size)
{
	void *pointer = iso_inject_fails() ? NULL : __real_fftwf_malloc(size);
	iso_inject_add(pointer);
	return pointer;
}

void __wrap_fftwf_free(void *pointer)
{
	iso_inject_remove(pointer);
	__real_fftwf_free(pointer);
}

static size_t open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;
	while (folder && readdir(folder)) count++;
	if (folder) closedir(folder);
	return count;
}

static bool may_remain(const iso_scenario *scenario, const char *name)
{
	for (const char *const *may = scenario->may_remain; may && *may; may++)
		if (strcmp(*may, name) == 0) return true;
	return false;
}

/* Is nothing in the folder but what may be? */
static bool is_clean(const iso_scenario *scenario, const char *path)
{
	DIR *folder = opendir(path);
	if (!folder) return false;
	bool clean = true;
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		if (may_remain(scenario, entry->d_name)) continue;
		printf("# left behind: %s\n", entry->d_name);
		clean = false;
	}
	closedir(folder);
	return clean;
}

/* One run; fail_at 0: none fails. Returns whether the failure was reached. */
static bool run_once(const iso_scenario *scenario, unsigned long fail_at, bool all_later, iso_status *status)
{
	const char *folder = iso_test_path("scenario");
	iso_remove_tree(folder);
	iso_error err;
	memset(&err, 0, sizeof err);
	if (iso_make_directory(folder, &err) != ISO_OK) CU_FAIL_FATAL("no folder");
	memset(state.live, 0, sizeof state.live);
	state.live_count = state.count = 0;
	state.fail_at = fail_at;
	state.all_later = all_later;
	state.fired = false;
	const size_t descriptors = open_descriptors();
	state.armed = true;
	*status = scenario->run(folder, &err);
	state.armed = false;
	bool good = state.live_count == 0;
	if (!good) printf("# %zu blocks of memory are lost\n", state.live_count);
	if (open_descriptors() != descriptors) {
		printf("# %zu files are left open\n", open_descriptors() - descriptors);
		good = false;
	}
	const ssize_t objects = H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
	if (objects != 0) {
		printf("# %zd HDF5 objects are left open\n", objects);
		good = false;
	}
	if (*status != ISO_OK && !(is_clean(scenario, folder) && err.status == *status && err.message[0])) {
		printf("# or the error is empty\n");
		good = false;
	}
	const bool as_wanted =
	    state.fired ? *status == ISO_NO_MEMORY || (scenario->may_recover && *status == ISO_OK) : *status == ISO_OK;
	if (!good || !as_wanted) {
		printf("# allocation %lu%s fails: status '%s'; ", fail_at, all_later ? " and all later" : "",
		       iso_status_name(*status));
		iso_test_print_error(&err);
	}
	CU_ASSERT(good && as_wanted);
	return state.fired;
}

void iso_fail_every_allocation(const iso_scenario *scenario)
{
	if (scenario->spare_jansson)
		json_set_alloc_funcs(__real_malloc, __real_free);
	else
		json_set_alloc_funcs(__wrap_malloc, __wrap_free);
	const clock_t began = clock();
	iso_status status;
	(void)run_once(scenario, 0, false, &status); /* fills caches that live as long as the program */
	(void)run_once(scenario, 0, false, &status);
	CU_ASSERT_EQUAL_FATAL(status, ISO_OK);
	const unsigned long allocations = state.count, all = scenario->max_runs ? scenario->max_runs : 1000;
	/* Under the sanitizers a run costs up to seven times as much: a third of the sample, at other places than without. */
	const unsigned long most = ISO_SANITIZED ? (all + 2) / 3 : all;
	const unsigned long step = allocations / most + 1, first = ISO_SANITIZED ? 1 + step / 2 : 1;
	unsigned long tried = 0;
	CU_ASSERT(allocations > 0);
	/* Each alone and with all later ones; of a sample, one by turns. */
	bool all_later = false;
	for (unsigned long n = first; n <= allocations; n += step, all_later = !all_later) {
		tried += run_once(scenario, n, all_later, &status);
		if (step == 1) tried += run_once(scenario, n, !all_later, &status);
	}
	printf("# %lu allocations, %lu failures injected, %.1f s of processor time\n", allocations, tried,
	       (double)(clock() - began) / CLOCKS_PER_SEC);
}
