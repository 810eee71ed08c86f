/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * study.yaml and subjects.csv: what is read, and that every mistake is refused with its line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "io/study_file.h"
#include "tests/harness.h"

static const char good_study[] = "name: trial\n"
				 "nuclide: Cu-64\n"
				 "tracer: gold\n"
				 "subjects: subjects.csv\n"
				 "output: results\n"
				 "scanner:\n"
				 "  calibration_factor: 12.5\n"
				 "  calibration_uncertainty_percent: 2\n"
				 "reconstruction:\n"
				 "  grid_voxels: [10, 20, 30]\n"
				 "  voxel_mm: [1, 1, 2]\n"
				 "  iterations: 3\n"
				 "  subsets: 5\n"
				 "  randoms: delayed\n"
				 "  post_filter: gaussian\n"
				 "  post_filter_fwhm_mm: 1.5\n"
				 "organs:\n"
				 "  table: organs.csv\n"
				 "  labels: labels.nii.gz\n";
static const char good_header[] =
    "subject,group,listmode,syringe_mbq,syringe_time,residual_mbq,residual_time,injection_time,"
    "dose_uncertainty_percent,body_mass_g,sex\n";
static const char good_row[] = "M01,bare,m01.lm.h5,10.5,2026-03-14T09:00:00Z,0.5,2026-03-14T10:20:00+01:00,"
			       "2026-03-14T09:10:00Z,3,22,F\n";

static char study_path[PATH_MAX], table_path[PATH_MAX];

static void write_text(const char *path, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(iso_output_write(path, text, strlen(text), NULL), ISO_OK);
}

/* Writes both files and reads them. Returns the status of the first that is refused. */
static iso_status load(const char *study_text, const char *table_text, iso_study_file **study, iso_study_row **rows,
		       size_t *count, iso_error *err)
{
	snprintf(study_path, sizeof study_path, "%s", iso_test_path("study.yaml"));
	snprintf(table_path, sizeof table_path, "%s", iso_test_path("subjects.csv"));
	write_text(study_path, study_text);
	write_text(table_path, table_text);
	*rows = NULL;
	iso_status status = iso_study_file_read(study_path, study, err);
	if (status == ISO_OK) status = iso_subjects_table_read(*study, rows, count, err);
	return status;
}

/* The file with `from` replaced by `to`. */
static char *with(const char *text, const char *from, const char *to)
{
	static char buffer[4096];
	const char *at = strstr(text, from);
	CU_ASSERT_FATAL(at != NULL);
	snprintf(buffer, sizeof buffer, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return buffer;
}

static void test_good(void)
{
	iso_study_file *study;
	iso_study_row *rows;
	size_t count;
	iso_error err;
	char table[1024];
	snprintf(table, sizeof table, "%s# a remark\n%s", good_header, good_row);
	ISO_ASSERT_OK(load(good_study, table, &study, &rows, &count, &err), err);
	CU_ASSERT_STRING_EQUAL(study->nuclide, "Cu-64");
	ISO_ASSERT_NEAR(study->calibration_factor, 12.5, 0);
	ISO_ASSERT_NEAR(study->calibration_uncertainty, 0.02, 1e-15);
	CU_ASSERT(isnan(study->dead_time_factor));
	CU_ASSERT_EQUAL(study->grid.size[2], 30);
	/* 30 voxels of 2 mm around 0: the first centre lies at -29 mm */
	ISO_ASSERT_NEAR(study->grid.origin_mm[2], -29, 1e-12);
	CU_ASSERT_EQUAL(study->post_filter.kind, ISO_FILTER_GAUSSIAN);
	CU_ASSERT_EQUAL(study->randoms, ISO_RANDOMS_DELAYED);
	CU_ASSERT(!study->have_scatter && !study->have_prompt_gammas);
	CU_ASSERT_EQUAL(study->scatter_updates, iso_recon_options_default().scatter_updates);
	CU_ASSERT_EQUAL(study->dead_time, iso_recon_options_default().dead_time);
	CU_ASSERT(isnan(study->energy_window_kev[0]) && isnan(study->energy_resolution));
	CU_ASSERT_STRING_EQUAL(study->normalisation, "");
	CU_ASSERT_EQUAL(study->algorithm, ISO_ALGORITHM_OSEM);
	CU_ASSERT_EQUAL(study->stop_change, 0.0);
	CU_ASSERT(study->write_dicom && study->structured_report);
	CU_ASSERT_EQUAL(study->segmentation, ISO_DICOM_SEGMENTS_BINARY);
	CU_ASSERT_EQUAL_FATAL(count, 1);
	CU_ASSERT_STRING_EQUAL(rows[0].folder, "M01");
	CU_ASSERT_STRING_EQUAL(rows[0].tracer, "gold");
	CU_ASSERT_STRING_EQUAL(rows[0].labels, study->labels);
	CU_ASSERT_STRING_EQUAL(rows[0].listmode, iso_test_path("m01.lm.h5"));
	CU_ASSERT_EQUAL(rows[0].line, 3);
	ISO_ASSERT_NEAR(rows[0].dose.before.activity_bq, 10.5e6, 1e-6);
	/* 09:10 UTC is 600 s after 09:00 UTC; 10:20 at +01:00 is 09:20 UTC */
	ISO_ASSERT_NEAR(rows[0].dose.injection_utc_s - rows[0].dose.before.utc_s, 600, 0);
	ISO_ASSERT_NEAR(rows[0].dose.after.utc_s - rows[0].dose.before.utc_s, 1200, 0);
	ISO_ASSERT_NEAR(rows[0].dose.relative_uncertainty, 0.03, 1e-15);
	CU_ASSERT(isnan(rows[0].dose.body_mass_uncertainty_g));
	free(rows);
	iso_study_file_free(study);
}

static void test_penalised(void)
{
	iso_study_file *study = NULL;
	iso_error err;
	const char *text = with(good_study, "subsets: 5",
				"subsets: 5\n  algorithm: bsrem\n  beta_mm2: 0.5\n  gamma: 3\n"
				"  relaxation: 0.2\n  stop_change: 0.001\n  prior_within_organs: true\n"
				"  psf_fwhm_mm: 1\n  psf_tail_share: 0.25\n  psf_tail_fwhm_mm: 3");
	snprintf(study_path, sizeof study_path, "%s", iso_test_path("study.yaml"));
	write_text(study_path, text);
	ISO_ASSERT_OK(iso_study_file_read(study_path, &study, &err), err);
	CU_ASSERT_EQUAL(study->algorithm, ISO_ALGORITHM_BSREM);
	CU_ASSERT_EQUAL(study->beta_mm2, 0.5);
	CU_ASSERT_EQUAL(study->gamma, 3.0);
	CU_ASSERT_EQUAL(study->relaxation, 0.2);
	CU_ASSERT_EQUAL(study->stop_change, 0.001);
	CU_ASSERT(study->prior_within_organs);
	CU_ASSERT_EQUAL(study->psf_tail_share, 0.25);
	CU_ASSERT_EQUAL(study->psf_tail_fwhm_mm, 3.0);
	iso_study_file_free(study);
}

/* Every key of the corrections arrives where it belongs. */
static void test_corrections(void)
{
	iso_study_file *study = NULL;
	iso_error err;
	char text[4096];
	snprintf(text, sizeof text, "%s",
		 with(good_study, "scanner:\n",
		      "scanner:\n  normalisation: ring.norm.h5\n  dead_time: singles\n  dead_time_ns: 250\n"
		      "  dead_time_model: paralyzable\n  coincidence_window_ns: 4\n"
		      "  energy_window_kev: [350, 650]\n  energy_resolution_percent: 14\n"));
	snprintf(study_path, sizeof study_path, "%s", iso_test_path("study.yaml"));
	write_text(study_path, with(text, "randoms: delayed",
				    "randoms: singles\n  scatter: sss\n  scatter_updates: 2\n  prompt_gammas: false"));
	ISO_ASSERT_OK(iso_study_file_read(study_path, &study, &err), err);
	CU_ASSERT_EQUAL(study->randoms, ISO_RANDOMS_SINGLES);
	CU_ASSERT(study->have_scatter && study->scatter == ISO_SCATTER_SSS);
	CU_ASSERT_EQUAL(study->scatter_updates, 2);
	CU_ASSERT(study->have_prompt_gammas && !study->prompt_gammas);
	CU_ASSERT_STRING_EQUAL(study->normalisation, iso_test_path("ring.norm.h5"));
	CU_ASSERT_EQUAL(study->dead_time, ISO_DEAD_TIME_FROM_SINGLES);
	CU_ASSERT(isnan(study->dead_time_factor));
	CU_ASSERT_EQUAL(study->dead_time_ns, 250.0);
	CU_ASSERT_EQUAL(study->dead_time_model, ISO_DEAD_TIME_PARALYZABLE);
	CU_ASSERT_EQUAL(study->coincidence_window_ns, 4.0);
	CU_ASSERT(study->energy_window_kev[0] == 350 && study->energy_window_kev[1] == 650);
	ISO_ASSERT_NEAR(study->energy_resolution, 0.14, 1e-15);
	iso_study_file_free(study);
	study = NULL;
	write_text(study_path, with(good_study, "scanner:\n", "scanner:\n  dead_time: 1.25\n"));
	ISO_ASSERT_OK(iso_study_file_read(study_path, &study, &err), err);
	CU_ASSERT_EQUAL(study->dead_time_factor, 1.25);
	CU_ASSERT_EQUAL(study->dead_time, iso_recon_options_default().dead_time);
	iso_study_file_free(study);
}

/* What goes beside the images is there unless it is switched off. */
static void test_dicom_objects(void)
{
	static const struct {
		const char *text;
		iso_dicom_segments segmentation;
		bool report;
	} said[] = {{"segmentation: fractional\n  structured_report: false", ISO_DICOM_SEGMENTS_FRACTIONAL, false},
		    {"segmentation: none", ISO_DICOM_SEGMENTS_NONE, true}};
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		iso_study_file *study = NULL;
		iso_error err;
		char dicom[128];
		snprintf(dicom, sizeof dicom, "dicom:\n  %s\norgans:", said[i].text);
		snprintf(study_path, sizeof study_path, "%s", iso_test_path("study.yaml"));
		write_text(study_path, with(good_study, "organs:", dicom));
		ISO_ASSERT_OK(iso_study_file_read(study_path, &study, &err), err);
		CU_ASSERT_EQUAL(study->segmentation, said[i].segmentation);
		CU_ASSERT_EQUAL(study->structured_report, said[i].report);
		iso_study_file_free(study);
	}
}

static void test_bad_study(void)
{
	static const struct {
		const char *from, *to, *says;
		long line; /* 0: not known */
	} bad[] = {
	    {"iterations: 3", "iteration: 3", "iteration", 12},
	    {"nuclide: Cu-64\n", "", "nuclide", 0},
	    {"voxel_mm: [1, 1, 2]", "voxel_mm: [1, 0, 2]", "voxel_mm", 0},
	    {"voxel_mm: [1, 1, 2]", "voxel_mm: [1, 1]", "", 0},
	    {"randoms: delayed", "randoms: perhaps", "perhaps", 0},
	    {"randoms: delayed", "randoms: delayed\n  scatter: perhaps", "perhaps", 0},
	    {"randoms: delayed", "randoms: delayed\n  scatter_updates: 0", "scatter_updates", 0},
	    {"randoms: delayed", "randoms: delayed\n  scatter: none\n  prompt_gammas: true", "without scatter", 0},
	    {"scanner:\n", "scanner:\n  dead_time: some\n", "dead_time", 0},
	    {"scanner:\n", "scanner:\n  dead_time: 0.5\n", "dead_time", 0},
	    {"scanner:\n", "scanner:\n  dead_time: 2\n  dead_time_factor: 2\n", "both", 0},
	    {"scanner:\n", "scanner:\n  dead_time_model: mortal\n", "mortal", 0},
	    {"scanner:\n", "scanner:\n  energy_window_kev: [650, 350]\n", "energy_window_kev", 0},
	    {"scanner:\n", "scanner:\n  energy_resolution_percent: 0\n", "energy_resolution_percent", 0},
	    {"scanner:\n", "scanner:\n  coincidence_window_ns: 0\n", "coincidence_window_ns", 0},
	    {"  post_filter_fwhm_mm: 1.5\n", "", "post_filter_fwhm_mm", 0},
	    {"post_filter: gaussian", "post_filter: none", "post_filter", 0},
	    {"calibration_factor: 12.5", "calibration_factor: -1", "calibration_factor", 0},
	    {"  calibration_factor: 12.5\n", "", "calibration", 0},
	    {"subsets: 5", "subsets: 0", "subsets", 0},
	    {"subsets: 5", "subsets: 5\n  algorithm: fbp", "fbp", 0},
	    {"subsets: 5", "subsets: 5\n  algorithm: mlem", "subsets", 0},
	    {"subsets: 5", "subsets: 5\n  beta_mm2: 1", "bsrem", 0},
	    {"subsets: 5", "subsets: 5\n  algorithm: bsrem\n  beta_mm2: -1", "beta_mm2", 0},
	    {"subsets: 5", "subsets: 5\n  prior_within_organs: true", "bsrem", 0},
	    {"subsets: 5", "subsets: 5\n  psf_tail_share: 0.2\n  psf_tail_fwhm_mm: 3", "psf_tail", 0},
	    {"subsets: 5", "subsets: 5\n  psf_fwhm_mm: 1\n  psf_tail_fwhm_mm: 3", "psf_tail", 0},
	    {"subsets: 5", "subsets: 5\n  stop_change: 1", "stop_change", 0},
	    {"organs:\n", "dicom:\n  segmentation: soft\norgans:\n", "soft", 0},
	};
	for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
		iso_study_file *study = NULL;
		iso_study_row *rows;
		size_t count;
		iso_error err = {.status = ISO_OK};
		const iso_status status =
		    load(with(good_study, bad[b].from, bad[b].to), good_header, &study, &rows, &count, &err);
		CU_ASSERT_EQUAL(status, ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(study);
		CU_ASSERT_STRING_EQUAL(err.file, study_path);
		if (!strstr(err.message, bad[b].says)) {
			printf("# '%s' does not say '%s'\n", err.message, bad[b].says);
			CU_FAIL("the message does not name the mistake");
		}
		CU_ASSERT(err.remedy[0] != '\0');
		if (bad[b].line) {
			CU_ASSERT_EQUAL(err.position_kind, ISO_POSITION_LINE);
			CU_ASSERT_EQUAL(err.position, bad[b].line);
		}
	}
}

static void test_bad_table(void)
{
	static const struct {
		const char *from, *to, *says;
		long line;
	} bad[] = {
	    {"sex\n", "gender\n", "gender", 0},
	    {"sex\n", "group\n", "group", 0},
	    {"M01,", ",", "subject", 2},
	    {"M01,", "M/01,", "folder", 2},
	    {"m01.lm.h5", "", "list-mode", 2},
	    {"10.5", "10;5", "10;5", 2},
	    {"10.5", "-1", "syringe_mbq", 2},
	    {"10.5", "", "syringe_mbq", 2},
	    {"2026-03-14T09:00:00Z", "09:00", "syringe_time", 2},
	    {"2026-03-14T09:10:00Z", "2026-03-14T09:10:00", "injection_time", 2},
	    {"2026-03-14T10:20:00+01:00", "", "residual_time", 2},
	    {",F\n", ",female\n", "sex", 2},
	};
	char good[1024];
	snprintf(good, sizeof good, "%s%s", good_header, good_row);
	for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
		iso_study_file *study = NULL;
		iso_study_row *rows;
		size_t count;
		iso_error err = {.status = ISO_OK};
		CU_ASSERT_EQUAL(load(good_study, with(good, bad[b].from, bad[b].to), &study, &rows, &count, &err),
				ISO_BAD_INPUT);
		CU_ASSERT_PTR_NULL(rows);
		if (!strstr(err.message, bad[b].says)) {
			printf("# '%s' does not say '%s'\n", err.message, bad[b].says);
			CU_FAIL("the message does not name the mistake");
		}
		if (bad[b].line) CU_ASSERT_EQUAL(err.position, bad[b].line);
		iso_study_file_free(study);
	}
}

static void test_one_scan_per_folder(void)
{
	iso_study_file *study = NULL;
	iso_study_row *rows;
	size_t count;
	iso_error err;
	char table[2048];
	snprintf(table, sizeof table, "%s%s%s", good_header, good_row, good_row);
	CU_ASSERT_EQUAL(load(good_study, table, &study, &rows, &count, &err), ISO_BAD_INPUT);
	CU_ASSERT_EQUAL(err.position, 3);
	iso_study_file_free(study);
	/* told apart by the scan */
	static const char two[] = "subject,scan,listmode,dose\nM01,1h,a,d\nM01,24h,b,d\nM02,,c,d\n";
	ISO_ASSERT_OK(load(good_study, two, &study, &rows, &count, &err), err);
	CU_ASSERT_EQUAL_FATAL(count, 3);
	CU_ASSERT_STRING_EQUAL(rows[1].folder, "M01_24h");
	CU_ASSERT_STRING_EQUAL(rows[2].folder, "M02");
	free(rows);
	iso_study_file_free(study);
}

static void test_exclusion_and_dose_file(void)
{
	iso_study_file *study = NULL;
	iso_study_row *rows;
	size_t count;
	iso_error err;
	static const char table[] = "subject,listmode,dose,body_mass_g,excluded\nM01,,,,died\nM02,b,d.yaml,,\n";
	ISO_ASSERT_OK(load(good_study, table, &study, &rows, &count, &err), err);
	CU_ASSERT_STRING_EQUAL(rows[0].excluded, "died");
	CU_ASSERT_STRING_EQUAL(rows[1].dose_file, iso_test_path("d.yaml"));
	free(rows);
	iso_study_file_free(study);
	/* a dose in two places contradicts itself */
	static const char both[] = "subject,listmode,dose,body_mass_g,excluded\nM02,b,d.yaml,22,\n";
	CU_ASSERT_EQUAL(load(good_study, both, &study, &rows, &count, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "body_mass_g") != NULL);
	iso_study_file_free(study);
}

static const iso_test tests[] = {
    {"a study and its table are read", test_good},
    {"a penalised reconstruction", test_penalised},
    {"corrections", test_corrections},
    {"what goes beside the images", test_dicom_objects},
    {"mistakes in study.yaml", test_bad_study},
    {"mistakes in the subjects table", test_bad_table},
    {"one folder per scan", test_one_scan_per_folder},
    {"exclusion and dose file", test_exclusion_and_dose_file},
};
ISO_TEST_MAIN("study files", tests)
