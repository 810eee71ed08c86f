/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/output.h"
#include "core/random.h"
#include "isotrace/isotrace.h"
#include "tests/harness.h"

enum { EVENTS = 150000 }; /* three blocks, the last one not full */

static iso_scanner *make_scanner(void)
{
	iso_scanner *scanner = NULL;
	iso_error err;
	const iso_ring_description rings = {.name = "test ring",
					    .rings = 8,
					    .crystals_per_ring = 60,
					    .radius_mm = 40,
					    .mean_depth_mm = 3,
					    .ring_spacing_mm = 2,
					    .crystal_size_mm = {2, 2, 10},
					    .attenuation_per_mm = 0.08};
	ISO_ASSERT_OK(iso_scanner_from_rings(&rings, &scanner, &err), err);
	scanner->rule.max_axial_difference_mm = 9;
	scanner->efficiency[5] = 0.5f;
	scanner->calibration_factor = 12.5;
	scanner->tof = (iso_tof){.fwhm_ps = 400, .bin_ps = 100, .bins = 21};
	return scanner;
}

static iso_event *make_events(const iso_scanner *scanner)
{
	iso_event *events = calloc(EVENTS, sizeof *events);
	iso_random random = iso_random_begin(7, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	for (uint32_t n = 0; n < EVENTS; n++) {
		iso_event *e = &events[n];
		e->time_ms = n / 30; /* 5 s */
		e->element[0] = iso_random_u32(&random) % scanner->elements;
		e->element[1] =
		    (e->element[0] + 1 + iso_random_u32(&random) % (scanner->elements - 1)) % scanner->elements;
		e->tof_bin = (int16_t)(iso_random_u32(&random) % 21) - 10;
		e->kind = iso_random_u32(&random) % 5 == 0;
		e->window = iso_random_u32(&random) % 3 == 0;
	}
	return events;
}

static iso_acquisition make_acquisition(void)
{
	iso_acquisition a = iso_acquisition_unknown();
	a.modality = ISO_MODALITY_PET;
	snprintf(a.nuclide, sizeof a.nuclide, "Cu-64");
	snprintf(a.subject, sizeof a.subject, "mouse 3");
	a.start_utc_s = 1773480413.25;
	a.energy_window_kev[0] = 350;
	a.energy_window_kev[1] = 650;
	a.energy_resolution = 0.14;
	return a;
}

/* Writes the test file through the stream interface. */
static iso_status write_file(const char *path, size_t count, iso_error *err)
{
	iso_scanner *scanner = make_scanner();
	iso_event *list = make_events(scanner);
	const iso_acquisition acquisition = make_acquisition();
	iso_events *events = NULL;
	iso_status status = iso_events_from_array(list, count, scanner, &acquisition, &events, err);
	if (status == ISO_OK)
		status = iso_listmode_write_all(path, events, "{\"made\": \"by a test\"}", NULL, NULL, err);
	iso_events_close(events);
	iso_scanner_free(scanner);
	free(list);
	return status;
}

static void round_trip(void)
{
	const char *path = iso_test_path("round.lm.h5");
	iso_error err;
	iso_events *events;
	ISO_ASSERT_OK(write_file(path, EVENTS, &err), err);
	iso_scanner *scanner = make_scanner();
	iso_event *list = make_events(scanner), *back = calloc(EVENTS, sizeof *back);
	CU_ASSERT_PTR_NOT_NULL_FATAL(back);
	ISO_ASSERT_OK(iso_listmode_open(path, &events, &err), err);
	CU_ASSERT_EQUAL(iso_events_total(events), EVENTS);
	size_t read = 0, count;
	do { /* a capacity that divides nothing */
		const size_t room = EVENTS - read < 7001 ? EVENTS - read : 7001;
		ISO_ASSERT_OK(iso_events_read(events, back + read, room, &count, &err), err);
		read += count;
	} while (count);
	CU_ASSERT_EQUAL(read, EVENTS);
	CU_ASSERT_EQUAL(memcmp(list, back, EVENTS * sizeof *list), 0);
	const uint64_t places[] = {149999, 65536, 65535, 0, 131071, 3};
	for (size_t p = 0; p < 6; p++) {
		ISO_ASSERT_OK(iso_events_seek(events, places[p], &err), err);
		ISO_ASSERT_OK(iso_events_read(events, back, 1, &count, &err), err);
		CU_ASSERT(count == 1 && memcmp(back, &list[places[p]], sizeof *back) == 0);
	}
	ISO_ASSERT_OK(iso_events_seek(events, EVENTS + 5, &err), err);
	ISO_ASSERT_OK(iso_events_read(events, back, 1, &count, &err), err);
	CU_ASSERT_EQUAL(count, 0);
	char ours[65], theirs[65];
	iso_scanner_hash(scanner, ours);
	iso_scanner_hash(iso_events_scanner(events), theirs);
	CU_ASSERT_STRING_EQUAL(ours, theirs);
	CU_ASSERT_STRING_EQUAL(iso_events_scanner(events)->name, "test ring");
	ISO_ASSERT_NEAR(iso_events_scanner(events)->calibration_factor, 12.5, 0);
	CU_ASSERT(isnan(iso_events_scanner(events)->calibration_uncertainty));
	CU_ASSERT(isinf(iso_events_scanner(events)->rule.max_transaxial_offset_mm));
	const iso_acquisition *a = iso_events_acquisition(events);
	CU_ASSERT_STRING_EQUAL(a->nuclide, "Cu-64");
	CU_ASSERT_STRING_EQUAL(a->subject, "mouse 3");
	CU_ASSERT_STRING_EQUAL(a->tracer, "");
	ISO_ASSERT_NEAR(a->start_utc_s, 1773480413.25, 1e-6);
	CU_ASSERT(isnan(a->injection_utc_s) && isnan(a->half_life_s));
	ISO_ASSERT_NEAR(a->energy_window_kev[1], 650, 0);
	ISO_ASSERT_NEAR(a->energy_resolution, 0.14, 0);
	CU_ASSERT_STRING_EQUAL(iso_listmode_provenance(events), "{\"made\": \"by a test\"}");
	iso_events_close(events);
	free(list);
	free(back);
	iso_scanner_free(scanner);
}

static void what_may_not_be_written(void)
{
	const char *path = iso_test_path("refused.lm.h5");
	iso_error err;
	iso_scanner *scanner = make_scanner();
	const iso_acquisition acquisition = make_acquisition();
	const iso_event wrong[] = {{.time_ms = 5, .element = {0, 480}},              /* no such element */
				   {.time_ms = 5, .element = {7, 7}},                /* one element */
				   {.time_ms = 5, .element = {0, 9}, .kind = 2},     /* no such kind */
				   {.time_ms = 5, .element = {0, 9}, .tof_bin = 11}, /* no such bin */
				   {.time_ms = 3, .element = {0, 9}}};               /* before the one ahead */
	const iso_event good = {.time_ms = 4, .element = {0, 30}};
	for (size_t n = 0; n < 5; n++) {
		iso_listmode_writer *writer;
		ISO_ASSERT_OK(iso_listmode_create(path, scanner, &acquisition, NULL, &writer, &err), err);
		ISO_ASSERT_OK(iso_listmode_append(writer, &good, NULL, 1, &err), err);
		CU_ASSERT_EQUAL(iso_listmode_append(writer, &wrong[n], NULL, 1, &err), ISO_BAD_USAGE);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "event 1 "));
		iso_listmode_discard(writer);
	}
	/* counts that contradict, and a duration that ends before the events */
	for (int n = 0; n < 2; n++) {
		iso_listmode_writer *writer;
		const iso_event_counts counts = {.prompts = n ? 1 : 2};
		ISO_ASSERT_OK(iso_listmode_create(path, scanner, &acquisition, NULL, &writer, &err), err);
		ISO_ASSERT_OK(iso_listmode_append(writer, &good, NULL, 1, &err), err);
		CU_ASSERT_EQUAL(iso_listmode_commit(writer, &counts, n ? 0.001 : (double)NAN, &err), ISO_BAD_USAGE);
	}
	/* a fate that there is not; the truth of some events and not of others, one way and the other */
	for (int n = 0; n < 3; n++) {
		iso_listmode_writer *writer;
		const iso_event_truth known = {.fate = ISO_EVENT_RANDOM}, no_such = {.fate = ISO_EVENT_FATES};
		ISO_ASSERT_OK(iso_listmode_create(path, scanner, &acquisition, NULL, &writer, &err), err);
		ISO_ASSERT_OK(iso_listmode_append(writer, &good, n < 2 ? &known : NULL, 1, &err), err);
		const iso_event_truth *next = n == 0 ? &no_such : n == 1 ? NULL : &known;
		CU_ASSERT_EQUAL(iso_listmode_append(writer, &good, next, 1, &err), ISO_BAD_USAGE);
		iso_listmode_discard(writer);
	}
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	iso_scanner_free(scanner);
}

/* Opens and reads all of it; what a user of a damaged file does. */
static iso_status read_all(const char *path, iso_error *err)
{
	static iso_event batch[10000];
	iso_events *events;
	size_t count = 1;
	iso_status status = iso_export_open(path, NULL, &events, err);
	while (status == ISO_OK && count) status = iso_events_read(events, batch, 10000, &count, err);
	iso_events_close(events);
	return status;
}

/* Reads files that a function makes, in another process: HDF5 may do what it likes with bytes that make no sense, but not die. When it
 * does, the next file is read by a new process: one for each file would take longer than reading it. The outcome is the status; 100 + signal
 * when it died, 99 when it ended by itself; 50 for an error without a word. */
typedef void file_maker(const char *path, int n, const void *user);

static void read_apart(const char *path, file_maker *make, const void *user, int files, int *outcomes)
{
	int *shared =
	    mmap(NULL, (size_t)files * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(shared != MAP_FAILED);
	for (int n = 0; n < files; n++) shared[n] = -1;
	for (int first = 0; first < files;) {
		fflush(NULL);
		const pid_t child = fork();
		if (child == 0) {
			const struct rlimit no_core = {0, 0};
			setrlimit(RLIMIT_CORE, &no_core);
			for (int n = first; n < files; n++) {
				iso_error err = {.status = ISO_OK};
				make(path, n, user);
				alarm(20);
				const iso_status status = read_all(path, &err);
				shared[n] = status != ISO_OK && !err.message[0] ? 50 : (int)status;
			}
			_exit(0);
		}
		int state = 0;
		CU_ASSERT_EQUAL_FATAL(waitpid(child, &state, 0), child);
		while (first < files && shared[first] >= 0) first++;
		if (first < files) shared[first++] = WIFSIGNALED(state) ? 100 + WTERMSIG(state) : 99;
	}
	memcpy(outcomes, shared, (size_t)files * sizeof *shared);
	munmap(shared, (size_t)files * sizeof *shared);
}

typedef struct file_bytes {
	char *bytes;
	size_t size;
} file_bytes;

enum { CUTS = 62, DAMAGES = 300 };

/* For the reading process. */
static void put_bytes(const char *path, const char *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) _exit(1);
}

/* Cut 0 is the whole file, the last one lacks a byte. */
static void cut_file(const char *path, int cut, const void *user)
{
	const file_bytes *whole = user;
	const size_t n = (size_t)cut - 1;
	size_t length = n < 20 ? n * 30 : whole->size * (n - 20) / 40 + (n == 59 ? whole->size / 41 : 0);
	if (cut == 0) length = whole->size;
	if (cut == CUTS - 1) length = whole->size - 1;
	put_bytes(path, whole->bytes, length);
}

static file_bytes small_file(const char *path)
{
	file_bytes file = {0};
	iso_error err;
	ISO_ASSERT_OK(write_file(path, 4000, &err), err);
	ISO_ASSERT_OK(iso_read_file(path, 1 << 24, &file.bytes, &file.size, &err), err);
	return file;
}

static void truncated_anywhere(void)
{
	const char *path = iso_test_path("whole.lm.h5"), *cut = iso_test_path("cut.lm.h5");
	const file_bytes whole = small_file(path);
	int outcomes[CUTS], wrong = 0;
	read_apart(cut, cut_file, &whole, CUTS, outcomes);
	CU_ASSERT_EQUAL(outcomes[0], ISO_OK);
	for (int n = 1; n < CUTS; n++)
		if (outcomes[n] != ISO_BAD_INPUT) printf("# cut %d: %d\n", n, outcomes[n]), wrong++;
	CU_ASSERT_EQUAL(wrong, 0);
	free(whole.bytes);
}

/* One to eight damaged bytes. */
static void damage_file(const char *path, int n, const void *user)
{
	const file_bytes *sound = user;
	iso_random random = iso_random_begin(20261122, (uint64_t)n);
	char *bytes = malloc(sound->size);
	if (!bytes) _exit(1);
	memcpy(bytes, sound->bytes, sound->size);
	for (int c = 0; c < 1 + n % 8; c++) {
		const size_t at = iso_random_u32(&random) % sound->size;
		bytes[at] = (char)(bytes[at] ^ (1 + iso_random_u32(&random) % 255));
	}
	put_bytes(path, bytes, sound->size);
	free(bytes);
}

/* 300 files: an answer and not a crash, and never a failure of the system. Whether the damage is seen depends on where it lies (a byte that
 * nobody uses does no harm). */
static void damaged_anywhere(void)
{
	const char *path = iso_test_path("sound.lm.h5"), *hurt = iso_test_path("hurt.lm.h5");
	const file_bytes sound = small_file(path);
	int outcomes[DAMAGES], wrong = 0, seen = 0;
	read_apart(hurt, damage_file, &sound, DAMAGES, outcomes);
	for (int n = 0; n < DAMAGES; n++) {
		seen += outcomes[n] == ISO_BAD_INPUT;
		if (outcomes[n] != ISO_OK && outcomes[n] != ISO_BAD_INPUT)
			printf("# damage %d: %d\n", n, outcomes[n]), wrong++;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	printf("# %d of %d damages were seen\n", seen, DAMAGES);
	CU_ASSERT(seen > 200);
	free(sound.bytes);
}

static int files_in_folder(const char *name)
{
	int count = 0;
	char command[PATH_MAX + 64];
	snprintf(command, sizeof command, "ls -A '%s' | wc -l", name);
	FILE *pipe = popen(command, "r");
	if (!pipe || fscanf(pipe, "%d", &count) != 1) count = -1;
	if (pipe) pclose(pipe);
	return count;
}

/* The disk is full after so many bytes: ISO_IO, nothing left, and the process ends in peace (HDF5's own exit handler is
 * where it used to die). */
static void disk_full(void)
{
	const char *folder = iso_test_path("full"), *whole = iso_test_path("fits.lm.h5");
	iso_error failure;
	struct stat size;
	ISO_ASSERT_OK(write_file(whole, EVENTS, &failure), failure);
	CU_ASSERT_EQUAL_FATAL(stat(whole, &size), 0);
	const rlim_t full = (rlim_t)size.st_size, limits[] = {0, 512, 4096, 20000, full / 2, full - 5000, full - 1};
	CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0777), 0);
	for (size_t n = 0; n < sizeof limits / sizeof *limits; n++) {
		fflush(NULL);
		const pid_t child = fork();
		if (child == 0) {
			char path[PATH_MAX + 16];
			iso_error err;
			const struct rlimit limit = {limits[n], limits[n]};
			signal(SIGXFSZ, SIG_IGN);
			if (!freopen("/dev/null", "w", stdout)) _exit(99);
			snprintf(path, sizeof path, "%s/x.lm.h5", folder);
			setrlimit(RLIMIT_FSIZE, &limit);
			exit((int)write_file(path, EVENTS, &err));
		}
		int state = 0;
		CU_ASSERT_EQUAL(waitpid(child, &state, 0), child);
		if (!WIFEXITED(state) || WEXITSTATUS(state) != ISO_IO)
			printf("# limit %ld: state %d\n", (long)limits[n], state);
		CU_ASSERT(WIFEXITED(state) && WEXITSTATUS(state) == ISO_IO);
		CU_ASSERT_EQUAL(files_in_folder(folder), 0);
	}
}

static const iso_test tests[] = {{"what is written is read", round_trip},
				 {"what may not be written", what_may_not_be_written},
				 {"files cut short", truncated_anywhere},
				 {"damaged files", damaged_anywhere},
				 {"disk full", disk_full}};
ISO_TEST_MAIN("listmode", tests)
