/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Volumes through their files: what comes back is what was written, and what was damaged does not come back. */
#define _GNU_SOURCE
#include <dirent.h>
#include <jansson.h>
#include <nifti1.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/output.h"
#include "isotrace/nifti.h"
#include "tests/harness.h"
#include "tests/io/volume_samples.h"

static bool same_number(double a, double b)
{
	return (isnan(a) && isnan(b)) || a == b;
}

static size_t entries(const char *folder)
{
	size_t count = 0;
	DIR *dir = opendir(folder);
	for (struct dirent *e; dir && (e = readdir(dir));) count += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	if (dir) closedir(dir);
	return count;
}

static void compare(const iso_volume *a, const iso_volume *b)
{
	CU_ASSERT_EQUAL(memcmp(&a->grid, &b->grid, sizeof a->grid), 0);
	CU_ASSERT_EQUAL(a->unit, b->unit);
	CU_ASSERT_EQUAL_FATAL(a->frames, b->frames);
	CU_ASSERT_EQUAL_FATAL(a->replicates, b->replicates);
	CU_ASSERT_EQUAL(memcmp(a->frame, b->frame, a->frames * sizeof *a->frame), 0);
	const size_t bytes = a->frames * iso_grid_voxels(&a->grid) * sizeof(float);
	CU_ASSERT_EQUAL(memcmp(a->voxels, b->voxels, bytes), 0);
	if (a->replicates) CU_ASSERT_EQUAL(memcmp(a->replicate_voxels, b->replicate_voxels, a->replicates * bytes), 0);
	CU_ASSERT_EQUAL_FATAL(a->gating.gates, b->gating.gates);
	CU_ASSERT(a->gating.trigger == b->gating.trigger && a->gating.framing == b->gating.framing);
	CU_ASSERT(same_number(a->gating.cycle_s, b->gating.cycle_s));
	CU_ASSERT(same_number(a->gating.shortest_cycle_s, b->gating.shortest_cycle_s));
	CU_ASSERT(same_number(a->gating.longest_cycle_s, b->gating.longest_cycle_s));
	CU_ASSERT(same_number(a->gating.cycles, b->gating.cycles));
	CU_ASSERT(same_number(a->gating.rejected_cycles, b->gating.rejected_cycles));
	for (size_t g = 0; g < a->gating.gates; g++) {
		CU_ASSERT(same_number(a->gating.gate[g].start_s, b->gating.gate[g].start_s));
		CU_ASSERT(same_number(a->gating.gate[g].duration_s, b->gating.gate[g].duration_s));
		CU_ASSERT(same_number(a->gating.gate[g].collected_s, b->gating.gate[g].collected_s));
	}
	CU_ASSERT(same_number(a->decay_reference_s, b->decay_reference_s));
	CU_ASSERT(same_number(a->half_life_s, b->half_life_s));
	CU_ASSERT(same_number(a->branching_fraction, b->branching_fraction));
	CU_ASSERT(same_number(a->calibration_factor, b->calibration_factor));
	CU_ASSERT(same_number(a->calibration_uncertainty, b->calibration_uncertainty));
	CU_ASSERT_EQUAL(memcmp(&a->corrections, &b->corrections, sizeof a->corrections), 0);
	CU_ASSERT_EQUAL(memcmp(&a->facts, &b->facts, sizeof a->facts), 0);
	const iso_acquisition *x = &a->acquisition, *y = &b->acquisition;
	CU_ASSERT_EQUAL(x->modality, y->modality);
	CU_ASSERT_STRING_EQUAL(x->scanner_name, y->scanner_name);
	CU_ASSERT_STRING_EQUAL(x->nuclide, y->nuclide);
	CU_ASSERT_STRING_EQUAL(x->tracer, y->tracer);
	CU_ASSERT_STRING_EQUAL(x->subject, y->subject);
	/* Absolute times are written with microseconds; the sample's are exact in them. */
	CU_ASSERT(same_number(x->start_utc_s, y->start_utc_s));
	CU_ASSERT(same_number(x->injection_utc_s, y->injection_utc_s));
	CU_ASSERT(same_number(x->duration_s, y->duration_s));
	CU_ASSERT(same_number(x->injected_activity_bq, y->injected_activity_bq));
	CU_ASSERT(same_number(x->energy_window_kev[0], y->energy_window_kev[0]));
	CU_ASSERT(same_number(x->energy_window_kev[1], y->energy_window_kev[1]));
	CU_ASSERT(same_number(x->energy_resolution, y->energy_resolution));
	CU_ASSERT(same_number(x->half_life_s, y->half_life_s));
	CU_ASSERT(same_number(x->branching_fraction, y->branching_fraction));
}

/* Three frames become gates, with one fact that is not known. */
static void make_gated(iso_volume *volume)
{
	iso_error err;
	iso_gate gate[3] = {{0, 0.04, 200}, {0.04, 0.04, 200.5}, {0.08, 1.0 / 24, (double)NAN}};
	const iso_gating gating = {.gates = 3,
				   .gate = gate,
				   .trigger = ISO_TRIGGER_CARDIAC,
				   .framing = ISO_FRAMING_SHARE,
				   .cycle_s = 0.12,
				   .shortest_cycle_s = 0.1,
				   .longest_cycle_s = (double)NAN,
				   .cycles = 5000,
				   .rejected_cycles = 7};
	CU_ASSERT_EQUAL(iso_volume_set_gating(volume, &gating, NULL, &err), ISO_BAD_INPUT); /* of three times */
	for (size_t f = 1; f < 3; f++) volume->frame[f] = volume->frame[0];
	ISO_ASSERT_OK(iso_volume_set_gating(volume, &gating, NULL, &err), err);
}

static void round_trip(void)
{
	static const struct {
		size_t frames, replicates;
		const char *name;
	} cases[] = {{1, 0, "one.nii.gz"}, {3, 0, "three.nii.gz"}, {3, 4, "replicates.nii.gz"}, {1, 2, "plain.nii"}};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		iso_error err;
		iso_volume *written, *read;
		ISO_ASSERT_OK(sample_volume(cases[c].frames, cases[c].replicates, &written, &err), err);
		if (cases[c].frames == 3) make_gated(written);
		const char *path = iso_test_path(cases[c].name);
		ISO_ASSERT_OK(iso_volume_write(path, written, &err), err);
		ISO_ASSERT_OK(iso_volume_read(path, &read, &err), err);
		compare(written, read);
		iso_volume_free(written);
		iso_volume_free(read);
	}
}

/* The same volume gives the same bytes, and a volume with fewer parts leaves none of the earlier one's behind. */
static void rewriting(void)
{
	iso_error err;
	iso_volume *volume, *read;
	const char *path = iso_test_path("again/v.nii.gz");
	ISO_ASSERT_OK(iso_make_directory(iso_test_path("again"), &err), err);
	ISO_ASSERT_OK(sample_volume(2, 2, &volume, &err), err);
	char *bytes[2];
	size_t size[2];
	for (int i = 0; i < 2; i++) {
		ISO_ASSERT_OK(iso_volume_write(path, volume, &err), err);
		ISO_ASSERT_OK(iso_read_file(path, 1 << 20, &bytes[i], &size[i], &err), err);
	}
	CU_ASSERT(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0);
	CU_ASSERT_EQUAL(entries(iso_test_path("again")), 3);
	free(bytes[0]);
	free(bytes[1]);
	volume->replicates = 0;
	ISO_ASSERT_OK(iso_volume_write(path, volume, &err), err);
	CU_ASSERT_EQUAL(entries(iso_test_path("again")), 2);
	ISO_ASSERT_OK(iso_volume_read(path, &read, &err), err);
	CU_ASSERT_EQUAL(read->replicates, 0);
	iso_volume_free(read);
	iso_volume_free(volume);
}

/* A place `from` in the sidecar becomes `to`; the read must then fail with a message that has `word`. */
static void refuse_sidecar(const char *from, const char *to, const char *word)
{
	iso_error err;
	iso_volume *volume, *read = NULL;
	const char *path = iso_test_path("bad.nii.gz"), *sidecar = iso_test_path("bad.json");
	ISO_ASSERT_OK(sample_volume(2, 0, &volume, &err), err);
	ISO_ASSERT_OK(iso_volume_write(path, volume, &err), err);
	iso_volume_free(volume);
	char *text, *changed = NULL;
	ISO_ASSERT_OK(iso_read_file(sidecar, 1 << 20, &text, NULL, &err), err);
	char *at = strstr(text, from);
	CU_ASSERT_FATAL(at != NULL);
	CU_ASSERT_FATAL(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	ISO_ASSERT_OK(iso_output_write(sidecar, changed, strlen(changed), &err), err);
	CU_ASSERT_EQUAL(iso_volume_read(path, &read, &err), ISO_BAD_INPUT);
	CU_ASSERT_PTR_NULL(read);
	if (!strstr(err.message, word)) iso_test_print_error(&err);
	CU_ASSERT(strstr(err.message, word) != NULL && err.remedy[0]);
	free(text);
	free(changed);
}

static void bad_sidecars(void)
{
	refuse_sidecar("\"Units\": \"Bq/mL\",", "", "Units");
	refuse_sidecar("\"Units\": \"Bq/mL\",", "\"Units\": \"kBq/cc\",", "Units");
	refuse_sidecar("\"unit\": \"Bq/mL\",", "\"unit\": \"1/cm\",", "contradict");
	refuse_sidecar("\"frames\"", "\"freames\"", "frames");
	refuse_sidecar("\"half_life_s\": 45721", "\"half_life\": 45721", "half_life_s");
	refuse_sidecar("2026-03-14T", "14.3.2026 ", "time");
	refuse_sidecar("{", "[", "JSON");
	refuse_sidecar("      5,", "      6,", "voxels");
	refuse_sidecar("      0.5,", "      0.6,", "mm from where");
}

static void missing_parts(void)
{
	iso_error err;
	iso_volume *volume, *read = NULL;
	ISO_ASSERT_OK(sample_volume(2, 2, &volume, &err), err);
	const char *path = iso_test_path("part.nii.gz");
	ISO_ASSERT_OK(iso_volume_write(path, volume, &err), err);
	CU_ASSERT_EQUAL(unlink(iso_test_path("part_replicates.nii.gz")), 0);
	CU_ASSERT_EQUAL(iso_volume_read(path, &read, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.file, "part_replicates.nii.gz") != NULL);
	CU_ASSERT_EQUAL(unlink(iso_test_path("part.json")), 0);
	CU_ASSERT_EQUAL(iso_volume_read(path, &read, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "sidecar") != NULL);
	CU_ASSERT_EQUAL(iso_volume_read(iso_test_path("none.nii.gz"), &read, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(iso_volume_write(iso_test_path("v.img"), volume, &err), ISO_BAD_USAGE);
	volume->unit = ISO_UNIT_UNKNOWN;
	CU_ASSERT_EQUAL(iso_volume_write(iso_test_path("unit.nii.gz"), volume, &err), ISO_BAD_INPUT);
	volume->unit = ISO_UNIT_BQ_PER_ML;
	volume->voxels[17] = NAN;
	CU_ASSERT_EQUAL(iso_volume_write(iso_test_path("unit.nii.gz"), volume, &err), ISO_BAD_INPUT);
	strcpy(volume->acquisition.tracer, "\xff\xfe");
	volume->voxels[17] = 0;
	CU_ASSERT_EQUAL(iso_volume_write(iso_test_path("unit.nii.gz"), volume, &err), ISO_BAD_INPUT);
	CU_ASSERT_NOT_EQUAL(access(iso_test_path("unit.nii.gz"), F_OK), 0);
	iso_volume_free(volume);
}

/* A limit on the size of files stands for a full disk: the kernel refuses the write in the same way. */
static void full_disk(void)
{
	iso_error err;
	iso_volume *volume;
	ISO_ASSERT_OK(sample_volume(4, 8, &volume, &err), err);
	const char *folder = iso_test_path("full");
	ISO_ASSERT_OK(iso_make_directory(folder, &err), err);
	struct rlimit before, small;
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 2000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	const iso_status compressed = iso_volume_write(iso_test_path("full/v.nii.gz"), volume, &err);
	const iso_status plain = iso_volume_write(iso_test_path("full/v.nii"), volume, NULL);
	setrlimit(RLIMIT_FSIZE, &before);
	CU_ASSERT_EQUAL(compressed, ISO_IO);
	CU_ASSERT_EQUAL(plain, ISO_IO);
	CU_ASSERT(strstr(err.remedy, "disk") != NULL);
	CU_ASSERT_EQUAL(entries(folder), 0);
	iso_volume_free(volume);
}

/* A sidecar of another program: only BIDS keys. */
static void foreign_sidecar(void)
{
	iso_error err;
	iso_volume *volume, *read;
	ISO_ASSERT_OK(sample_volume(2, 0, &volume, &err), err);
	const char *path = iso_test_path("bids.nii.gz");
	ISO_ASSERT_OK(iso_volume_write(path, volume, &err), err);
	static const char text[] =
	    "{\"Units\": \"Bq/mL\", \"ScanStart\": 10, \"FrameTimesStart\": [10, 310], \"FrameDuration\": [300, 600],"
	    " \"ImageDecayCorrected\": true, \"ImageDecayCorrectionTime\": 0, \"TracerRadionuclide\": \"F18\"}";
	ISO_ASSERT_OK(iso_output_write(iso_test_path("bids.json"), text, strlen(text), &err), err);
	ISO_ASSERT_OK(iso_volume_read(path, &read, &err), err);
	CU_ASSERT_EQUAL(read->frames, 2);
	ISO_ASSERT_NEAR(read->frame[1].start_s, 300, 0);
	ISO_ASSERT_NEAR(read->frame[1].duration_s, 600, 0);
	ISO_ASSERT_NEAR(read->decay_reference_s, -10, 0);
	CU_ASSERT_STRING_EQUAL(read->acquisition.nuclide, "F18");
	CU_ASSERT(isnan(read->acquisition.start_utc_s));
	CU_ASSERT(iso_grid_equal(&read->grid, &volume->grid));
	iso_volume_free(volume);
	iso_volume_free(read);
}

/* What a program that knows only NIfTI and BIDS finds. */
static void seen_by_others(void)
{
	iso_error err;
	iso_volume *volume;
	ISO_ASSERT_OK(sample_volume(3, 0, &volume, &err), err);
	const char *path = iso_test_path("others.nii");
	for (int gap = 0; gap < 2; gap++) {
		if (gap) volume->frame[2].start_s += 60;
		ISO_ASSERT_OK(iso_volume_write(path, volume, &err), err);
		char *bytes;
		ISO_ASSERT_OK(iso_read_file(path, 1 << 20, &bytes, NULL, &err), err);
		nifti_1_header header;
		memcpy(&header, bytes, sizeof header);
		free(bytes);
		CU_ASSERT_EQUAL(header.dim[0], 4);
		CU_ASSERT_EQUAL(header.dim[4], 3);
		CU_ASSERT_EQUAL(header.pixdim[4], gap ? 0 : 600);
	}
	json_error_t where;
	json_t *root = json_load_file(iso_test_path("others.json"), 0, &where);
	CU_ASSERT_FATAL(root != NULL);
	const char *zero = json_string_value(json_object_get(root, "TimeZero"));
	CU_ASSERT_STRING_EQUAL(zero ? zero : "", "09:26:53");
#define BIDS(key)       json_number_value(json_object_get(root, key))
#define BIDS_AT(key, f) json_number_value(json_array_get(json_object_get(root, key), f))
	/* The scan began 0.25 s after TimeZero, the injection was an hour before the scan. */
	ISO_ASSERT_NEAR(BIDS("ScanStart"), 0.25, 1e-9);
	ISO_ASSERT_NEAR(BIDS("InjectionStart"), -3599.75, 1e-9);
	ISO_ASSERT_NEAR(BIDS("ImageDecayCorrectionTime"), 0.25, 1e-9);
	ISO_ASSERT_NEAR(BIDS("InjectedRadioactivity"), 7.4, 1e-12);
	ISO_ASSERT_NEAR(BIDS_AT("FrameTimesStart", 2), 0.25 + 1.0 / 3 + 1260, 1e-9);
	ISO_ASSERT_NEAR(BIDS_AT("FrameDuration", 2), 600, 0);
	/* x/(1-exp(-x)) exp(l start), by the integral of the activity over the frame. */
	const double l = log(2.0) / 45721.44, start = 1.0 / 3 + 1260;
	ISO_ASSERT_NEAR(BIDS_AT("DecayCorrectionFactor", 2), 600 * l / (exp(-l * start) - exp(-l * (start + 600))),
			1e-9);
	json_decref(root);
	iso_volume_free(volume);
}

static const iso_test tests[] = {
    {"what is written comes back bit for bit", round_trip},
    {"rewriting leaves the same bytes and no old parts", rewriting},
    {"a sidecar that lacks or contradicts is refused", bad_sidecars},
    {"missing parts and unwritable volumes are refused", missing_parts},
    {"a full disk leaves nothing behind", full_disk},
    {"a BIDS sidecar of another program is read", foreign_sidecar},
    {"other programs find frames and BIDS times", seen_by_others},
};
ISO_TEST_MAIN("volume files", tests)
