/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * biodistribution.csv and .json hold what was computed: read back by the table reader and by jansson. */
#define _GNU_SOURCE
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/output.h"
#include "io/csv.h"
#include "isotrace/biodistribution.h"
#include "tests/harness.h"

/* One animal, two frames, two organs, names that a table must quote, numbers with all digits. */
static iso_biodistribution *example(const char *subject)
{
	iso_biodistribution *out = calloc(1, sizeof *out);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	snprintf(out->subject, sizeof out->subject, "%s", subject);
	snprintf(out->group, sizeof out->group, "PEG, 5 kDa");
	out->dose = (iso_dose){.nuclide = "Cu-64",
			       .before = {12e6, 1773478800},
			       .after = {0, (double)NAN},
			       .injection_utc_s = 1773480600,
			       .relative_uncertainty = 0.02,
			       .body_mass_g = (double)NAN,
			       .body_mass_uncertainty_g = (double)NAN};
	out->injected_bq = 11676961.5;
	out->injected_relative_uncertainty = 0.02;
	out->expected_percent_id = 100;
	out->decay_reference_s = out->branching_fraction = (double)NAN;
	out->frames = 2;
	out->organs = 2;
	out->frame = calloc(2, sizeof *out->frame);
	out->time_h = calloc(2, sizeof *out->time_h);
	out->row = calloc(4, sizeof *out->row);
	out->recovered_percent_id = calloc(2, sizeof(double));
	out->recovered_uncertainty = calloc(2, sizeof(double));
	for (size_t f = 0; f < 2; f++) {
		out->frame[f] = (iso_frame){600.0 * (double)f, 600};
		out->time_h[f] = 1.0 / 3 + (double)f;
		out->recovered_percent_id[f] = 97.123456789;
		out->recovered_uncertainty[f] = f ? (double)NAN : 2.5;
		for (size_t o = 0; o < 2; o++) {
			iso_uptake *row = &out->row[2 * f + o];
			*row = (iso_uptake){.volume_ml = 2.0 / 3,
					    .mass_g = 0.7,
					    .activity_bq = 123456.789,
					    .percent_id = -1e-5,
					    .percent_id_per_g = 9.52380952380952 + (double)f,
					    .suv_bw = (double)NAN,
					    .u_counting = (double)NAN,
					    .u_total = 0.05,
					    .degrees_of_freedom = f ? 12.5 : (double)INFINITY};
			snprintf(row->organ, sizeof row->organ, "%s", o ? "the \"left\" kidney" : "liver");
			snprintf(row->mass_source, sizeof row->mass_source, "entered");
		}
	}
	snprintf(out->warnings[0], sizeof out->warnings[0], "mass balance: off");
	out->warning_count = 1;
	snprintf(out->corrections.scatter, sizeof out->corrections.scatter, "single scatter");
	return out;
}

static double number(const iso_csv *csv, size_t row, const char *column)
{
	double value = (double)NAN;
	const int c = iso_csv_column(csv, column);
	CU_ASSERT(c >= 0);
	CU_ASSERT_EQUAL(iso_csv_number(csv, row, c, &value, NULL), ISO_OK);
	return value;
}

static void table_reads_back(void)
{
	static const char *const promised[] = {"subject",
					       "group",
					       "time_h",
					       "organ",
					       "volume_ml",
					       "mass_g",
					       "mass_source",
					       "activity_bq",
					       "concentration_bq_per_ml",
					       "percent_id",
					       "percent_id_per_g",
					       "percent_id_per_g_low",
					       "percent_id_per_g_high",
					       "suv_bw",
					       "u_counting",
					       "u_calibration",
					       "u_volume",
					       "u_density",
					       "u_mass",
					       "u_injected",
					       "u_half_life",
					       "u_branching",
					       "u_total",
					       "degrees_of_freedom",
					       "u_volume_percent_id",
					       "u_total_percent_id",
					       "u_volume_concentration",
					       "u_half_life_activity",
					       "u_body_mass",
					       "u_total_volume",
					       "u_total_mass",
					       "u_total_activity",
					       "u_total_concentration",
					       "u_total_suv_bw"};
	iso_biodistribution *both[2] = {example("M01"), example("M02")};
	iso_csv *csv;
	iso_error err;
	ISO_ASSERT_OK(iso_biodistribution_write(iso_test_path("new/results"), both, 2, NULL, &err), err);
	ISO_ASSERT_OK(iso_csv_read(iso_test_path("new/results/biodistribution.csv"), &csv, &err), err);
	CU_ASSERT_EQUAL(csv->rows, 8);
	for (size_t c = 0; c < sizeof promised / sizeof *promised; c++)
		CU_ASSERT_STRING_EQUAL(csv->header[c], promised[c]);
	for (size_t r = 0; r < 8; r++) {
		const iso_biodistribution *from = both[r / 4];
		const iso_uptake *row = &from->row[r % 4];
		CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, r, iso_csv_column(csv, "subject")), from->subject);
		CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, r, iso_csv_column(csv, "group")), "PEG, 5 kDa");
		CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, r, iso_csv_column(csv, "organ")), row->organ);
		/* Nine digits: 5e-9 of the value. */
		ISO_ASSERT_NEAR(number(csv, r, "percent_id_per_g"), row->percent_id_per_g, 1e-7);
		ISO_ASSERT_NEAR(number(csv, r, "volume_ml"), 2.0 / 3, 1e-9);
		ISO_ASSERT_NEAR(number(csv, r, "activity_bq"), 123456.789, 1e-3);
		ISO_ASSERT_NEAR(number(csv, r, "percent_id"), -1e-5, 1e-13);
		ISO_ASSERT_NEAR(number(csv, r, "time_h"), from->time_h[r % 4 / 2], 1e-8);
		CU_ASSERT(isnan(number(csv, r, "suv_bw")) && isnan(number(csv, r, "u_counting")));
		ISO_ASSERT_NEAR(number(csv, r, "recovered_percent_id"), 97.123456789, 1e-6);
		/* Infinity many degrees of freedom: an empty field would say that it is not known. */
		const char *dof = iso_csv_field(csv, r, iso_csv_column(csv, "degrees_of_freedom"));
		CU_ASSERT_STRING_EQUAL(dof, r % 4 < 2 ? "inf" : "12.5");
		CU_ASSERT_STRING_EQUAL(iso_csv_field(csv, r, iso_csv_column(csv, "decay_corrected_to")),
				       "2026-03-14T09:30:00Z");
	}
	iso_csv_free(csv);
	iso_biodistribution_free(both[0]);
	iso_biodistribution_free(both[1]);
}

static void json_reads_back(void)
{
	iso_biodistribution *one = example("M03");
	iso_error err;
	ISO_ASSERT_OK(iso_biodistribution_write(iso_test_path("j"), &one, 1, "{\"seed\": 7}", &err), err);
	json_error_t why;
	json_t *root = json_load_file(iso_test_path("j/biodistribution.json"), 0, &why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(root, "provenance"), "seed")), 7);
	CU_ASSERT(json_is_object(json_object_get(root, "units")));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(root, "boundary_voxels")),
			       "shared by volume fraction x concentration");
	const json_t *subject = json_array_get(json_object_get(root, "subjects"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(subject, "decay_corrected_to")),
			       "2026-03-14T09:30:00Z");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(json_object_get(subject, "warnings"), 0)),
			       "mass balance: off");
	const json_t *corrections = json_object_get(json_object_get(subject, "volume"), "corrections");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(corrections, "scatter")), "single scatter");
	CU_ASSERT(json_is_null(json_object_get(corrections, "attenuation")));
	const json_t *frame = json_array_get(json_object_get(subject, "frames"), 1);
	const json_t *organ = json_array_get(json_object_get(frame, "organs"), 1);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(organ, "organ")), "the \"left\" kidney");
	ISO_ASSERT_NEAR(json_number_value(json_object_get(organ, "percent_id_per_g")), 10.52380952380952, 1e-10);
	CU_ASSERT(json_is_null(json_object_get(organ, "suv_bw")));
	CU_ASSERT(
	    json_is_null(json_object_get(json_object_get(frame, "mass_balance"), "recovered_percent_id_uncertainty")));
	json_decref(root);
	iso_biodistribution_free(one);
}

/* Both files or none, and what was there before stays. */
static void failures(void)
{
	iso_biodistribution *one = example("M03");
	iso_error err = {0};
	char *text;
	ISO_ASSERT_OK(iso_biodistribution_write(iso_test_path("f"), &one, 1, NULL, &err), err);
	ISO_ASSERT_OK(iso_read_file(iso_test_path("f/biodistribution.csv"), 1 << 20, &text, NULL, &err), err);
	snprintf(one->subject, sizeof one->subject, "another");
	CU_ASSERT_EQUAL(iso_biodistribution_write(iso_test_path("f"), &one, 1, "{not json", &err), ISO_BAD_USAGE);
	char *after;
	ISO_ASSERT_OK(iso_read_file(iso_test_path("f/biodistribution.csv"), 1 << 20, &after, NULL, &err), err);
	CU_ASSERT_STRING_EQUAL(text, after);
	free(text);
	free(after);
	CU_ASSERT_EQUAL(iso_biodistribution_write("/proc/no/such", &one, 1, NULL, &err), ISO_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.file, "/proc/no"));
	ISO_ASSERT_OK(iso_output_write(iso_test_path("file"), "x", 1, &err), err);
	CU_ASSERT_EQUAL(iso_biodistribution_write(iso_test_path("file"), &one, 1, NULL, &err), ISO_IO);
	/* A disk that is full after 1000 bytes. */
	struct rlimit before, small;
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 1000;
	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
	const iso_status full = iso_biodistribution_write(iso_test_path("full"), &one, 1, NULL, &err);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	CU_ASSERT_EQUAL(full, ISO_IO);
	DIR *folder = opendir(iso_test_path("full"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
	for (const struct dirent *entry; (entry = readdir(folder));)
		CU_ASSERT(entry->d_name[0] == '.' && entry->d_name[1] != 'p');
	closedir(folder);
	iso_biodistribution_free(one);
}

static const iso_test tests[] = {
    {"the table reads back", table_reads_back},
    {"the JSON reads back", json_reads_back},
    {"both files or none", failures},
};
ISO_TEST_MAIN("results", tests)
