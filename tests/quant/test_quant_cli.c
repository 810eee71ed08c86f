/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `isotrace quant` as a user meets it: from files to files. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/output.h"
#include "isotrace/isotrace.h"
#include "tests/harness.h"

static const char dose_yaml[] = "nuclide: Cu-64\n"
				"tracer: bare particle\n"
				"syringe_before: {activity_mbq: 12.0, time: 2026-03-14T09:00:00+01:00}\n"
				"syringe_after:\n"
				"  activity_kbq: 500\n"
				"  time: 2026-03-14T09:40:00+01:00\n"
				"injection_time: 2026-03-14T09:30:00+01:00\n"
				"relative_uncertainty_percent: 2\n"
				"body_mass_g: 20\n";

static void put(const char *name, const char *text)
{
	ISO_ASSERT_OK(iso_output_write(iso_test_path(name), text, strlen(text), NULL), (iso_error){0});
}

/* 20 x 20 x 20 voxels of 1 mm at 50 kBq/mL from an hour after injection, decay-corrected to the start; label 1 is a cube of
 * 10 mm in its middle on a grid of 0.5 mm, label 2 a cube of 4 mm beside it. */
static void make_inputs(iso_unit unit, double start_utc_s, float first_label)
{
	const double centre[3] = {5, -3, 40};
	const iso_grid grid = iso_grid_centred((const size_t[3]){20, 20, 20}, (const double[3]){1, 1, 1}, centre);
	iso_volume *volume;
	iso_error err;
	ISO_ASSERT_OK(iso_volume_create(&grid, unit, 1, &(iso_frame){0, 600}, 0, &volume, &err), err);
	for (size_t v = 0; v < 8000; v++) volume->voxels[v] = 50e3f;
	volume->decay_reference_s = 0;
	volume->half_life_s = 45721.44;
	volume->acquisition.modality = ISO_MODALITY_PET;
	volume->acquisition.start_utc_s = start_utc_s;
	volume->acquisition.duration_s = 600;
	snprintf(volume->acquisition.nuclide, sizeof volume->acquisition.nuclide, "Cu-64");
	snprintf(volume->acquisition.subject, sizeof volume->acquisition.subject, "M07");
	snprintf(volume->corrections.decay, sizeof volume->corrections.decay, "to the start of the acquisition");
	ISO_ASSERT_OK(iso_volume_write(iso_test_path("v.nii.gz"), volume, &err), err);
	iso_volume_free(volume);
	const iso_grid fine = iso_grid_centred((const size_t[3]){36, 36, 36}, (const double[3]){0.5, 0.5, 0.5}, centre);
	iso_image *labels;
	ISO_ASSERT_OK(iso_image_create(&fine, ISO_UNIT_LABEL, &labels, &err), err);
	for (size_t k = 8; k < 28; k++)
		for (size_t j = 8; j < 28; j++)
			for (size_t i = 8; i < 36; i++)
				if (i < 28)
					labels->voxels[i + 36 * (j + 36 * k)] = first_label;
				else if (j < 16 && k < 16)
					labels->voxels[i + 36 * (j + 36 * k)] = 2;
	ISO_ASSERT_OK(iso_nifti_write_image(iso_test_path("l.nii.gz"), labels, "organs", &err), err);
	iso_image_free(labels);
	put("l.csv", "label,organ,mass_g\n1,liver,\n2,\"spleen, whole\",0.07\n");
	put("dose.yaml", dose_yaml);
}

/* 2026-03-14T09:30:00Z, an hour after the injection. */
#define START 1773480600.0

/* Runs `isotrace quant ARGUMENTS` in the test's folder. Standard error goes to text. Returns the exit code. */
static int run(const char *arguments, char *text, size_t size)
{
	char command[2 * PATH_MAX];
	const char *program = getenv("ISOTRACE");
	snprintf(command, sizeof command, "cd '%s' && rm -rf out && '%s' quant %s 2>&1 >stdout.txt", iso_test_folder(),
		 program ? program : "isotrace", arguments);
	FILE *pipe = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
	const size_t got = fread(text, 1, size - 1, pipe);
	text[got] = '\0';
	const int status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool exists(const char *name)
{
	return access(iso_test_path(name), F_OK) == 0;
}

#define ARGUMENTS "v.nii.gz --organs l.nii.gz --dose dose.yaml -o out"

static void good(void)
{
	char text[4096], *table, *printed;
	make_inputs(ISO_UNIT_BQ_PER_ML, START, 1);
	CU_ASSERT_EQUAL(run(ARGUMENTS " --group bare", text, sizeof text), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mass balance")); /* 400 kBq of some 11 MBq are in the volume */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "counting statistics"));
	ISO_ASSERT_OK(iso_read_file(iso_test_path("stdout.txt"), 1 << 20, &printed, NULL, NULL), (iso_error){0});
	CU_ASSERT_PTR_NOT_NULL(strstr(printed, "liver"));
	CU_ASSERT_PTR_NOT_NULL(strstr(printed, "mass balance"));
	free(printed);
	ISO_ASSERT_OK(iso_read_file(iso_test_path("out/biodistribution.csv"), 1 << 20, &table, NULL, NULL),
		      (iso_error){0});
	/* By hand. lambda = ln2 / 45721.44 s. Injected = 12e6 e^(-1800 lambda) - 0.5e6 e^(+600 lambda)
	 * = 12e6 * 0.97308007 - 0.5e6 * 1.00913756 = 11676961 - 504569 = 11172392 Bq.
	 * Liver: 1 mL * 50e3 Bq/mL * e^(+3600 lambda) = 50e3 * 1.05609460 = 52804.7 Bq = 0.472636 %ID; 1.05 g. */
	double volume, mass, activity, concentration, percent, per_gram;
	const char *row = strstr(table, "M07,bare,");
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	CU_ASSERT_EQUAL(sscanf(row, "M07,bare,%*f,liver,%lf,%lf,volume x density,%lf,%lf,%lf,%lf,", &volume, &mass,
			       &activity, &concentration, &percent, &per_gram),
			6);
	ISO_ASSERT_NEAR(volume, 1, 1e-9);
	ISO_ASSERT_NEAR(mass, 1.05, 1e-9);
	const double lambda = log(2) / 45721.44;
	const double injected = 12e6 * exp(-1800 * lambda) - 0.5e6 * exp(600 * lambda);
	ISO_ASSERT_NEAR(injected, 11172392, 30);
	ISO_ASSERT_NEAR(activity, 50e3 * exp(3600 * lambda), 1e-3);
	ISO_ASSERT_NEAR(concentration, activity / volume, 1e-3);
	ISO_ASSERT_NEAR(percent, 100 * activity / injected, 1e-8);
	ISO_ASSERT_NEAR(per_gram, percent / 1.05, 1e-8);
	CU_ASSERT_PTR_NOT_NULL(strstr(table, ",\"spleen, whole\",0.064,0.07,entered,"));
	free(table);
	CU_ASSERT(exists("out/biodistribution.json"));
}

static void json_output(void)
{
	char text[4096], *printed;
	make_inputs(ISO_UNIT_BQ_PER_ML, START, 1);
	CU_ASSERT_EQUAL(run(ARGUMENTS " --json --subject M09", text, sizeof text), 0);
	ISO_ASSERT_OK(iso_read_file(iso_test_path("stdout.txt"), 1 << 20, &printed, NULL, NULL), (iso_error){0});
	CU_ASSERT_PTR_NOT_NULL(strstr(printed, "\"subject\": \"M09\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(printed, "\"u_counting\": null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(printed, "\"sha256\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(printed, "\"decay\": \"to the start of the acquisition\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(printed, "\"scatter\": null")); /* what was not corrected is there as well */
	free(printed);
}

/* Each: exit code 3, the words, and no output. */
static void refused(const char *arguments, const char *word, const char *file)
{
	char text[4096];
	const int code = run(arguments, text, sizeof text);
	if (code != 3 || !strstr(text, word) || !strstr(text, file)) printf("# exit %d: %s", code, text);
	CU_ASSERT_EQUAL(code, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, word));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, file));
	CU_ASSERT_FALSE(exists("out"));
}

static void bad_dose(void)
{
	make_inputs(ISO_UNIT_BQ_PER_ML, START, 1);
	put("dose.yaml", "nuclide: Xx-99\nsyringe_before: {activity_mbq: 12, time: 2026-03-14T09:00:00Z}\n"
			 "syringe_after: {activity_mbq: 0}\ninjection_time: 2026-03-14T09:30:00Z\n");
	refused(ARGUMENTS, "Xx-99", "dose.yaml: line 1");
	put("dose.yaml", "nuclide: F-18\nsyringe_before: {activity_mbq: 12, time: 2026-03-14T08:00:00Z}\n"
			 "syringe_after: {activity_mbq: 0}\ninjection_time: 2026-03-14T08:30:00Z\n");
	refused(ARGUMENTS, "F-18", "v.nii.gz");
	put("dose.yaml", "nuclide: Cu-64\nsyringe_before: {activity_mbq: 12, time: '09:00:00'}\n"
			 "syringe_after: {activity_mbq: 0}\ninjection_time: 2026-03-14T08:30:00Z\n");
	refused(ARGUMENTS, "without a date", "dose.yaml: line 2");
	put("dose.yaml", dose_yaml);
	refused("v.nii.gz --organs l.nii.gz --dose none.yaml -o out", "cannot open", "none.yaml");
}

static void bad_labels(void)
{
	make_inputs(ISO_UNIT_BQ_PER_ML, START, 7);
	refused(ARGUMENTS, "label 7 in voxel (8,8,8) is not in the organ table", "l.nii.gz");
	make_inputs(ISO_UNIT_BQ_PER_ML, START, 1);
	put("l.csv", "label,organ\n1,liver\n2,quux\n");
	refused(ARGUMENTS, "quux", "l.csv: line 3");
	unlink(iso_test_path("l.csv"));
	refused(ARGUMENTS, "no organ table", "l.csv");
}

static void bad_volume(void)
{
	make_inputs(ISO_UNIT_COUNTS_PER_S_MM, START, 1);
	refused(ARGUMENTS, "missing calibration", "v.nii.gz");
	make_inputs(ISO_UNIT_BQ_PER_ML, (double)NAN, 1);
	refused(ARGUMENTS, "when it was acquired", "v.nii.gz");
	make_inputs(ISO_UNIT_BQ_PER_ML, START - 7200, 1);
	refused(ARGUMENTS, "before the injection", "v.nii.gz");
}

static void wrong_usage(void)
{
	char text[4096];
	CU_ASSERT_EQUAL(run("v.nii.gz --dose dose.yaml -o out", text, sizeof text), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--organs"));
	CU_ASSERT_EQUAL(run("--no-such-option", text, sizeof text), 2);
	CU_ASSERT_EQUAL(run("--help", text, sizeof text), 0);
}

/* A file where the folder should be; a folder that nobody, not even root, can write to does not exist on every machine. */
static void unwritable(void)
{
	char text[4096];
	make_inputs(ISO_UNIT_BQ_PER_ML, START, 1);
	put("taken", "mine");
	CU_ASSERT_EQUAL(run("v.nii.gz --organs l.nii.gz --dose dose.yaml -o taken/out", text, sizeof text), 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "taken"));
	CU_ASSERT_EQUAL(run("v.nii.gz --organs l.nii.gz --dose dose.yaml -o /proc/isotrace", text, sizeof text), 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "/proc/isotrace"));
}

static const iso_test tests[] = {
    {"table, JSON and printed numbers", good},
    {"--json prints what was written", json_output},
    {"a dose that is wrong is refused", bad_dose},
    {"labels that are wrong are refused", bad_labels},
    {"a volume without calibration or start is refused", bad_volume},
    {"wrong usage", wrong_usage},
    {"a folder that cannot be written", unwritable},
};
ISO_TEST_MAIN("quant-cli", tests)
