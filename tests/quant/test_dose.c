/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/dose.h"
#include "tests/harness.h"

static iso_status read_text(const char *text, iso_dose *dose, iso_error *err)
{
	const char *path = iso_test_path("dose.yaml");
	const iso_status status = iso_output_write(path, text, strlen(text), err);
	return status == ISO_OK ? iso_dose_read(path, dose, err) : status;
}

/* F-18, T = 6584.04 s = 1 h 49 min 44.04 s. 100 MBq at 22:30 UTC; injected one half-life later, past midnight, written in
 * another zone: 50 MBq are left of it. 5 MBq remain another half-life later, again in another zone: at injection they were
 * 10 MBq. Net: 40 MBq. */
static void net_across_midnight_and_zones(void)
{
	iso_dose dose;
	iso_error err;
	ISO_ASSERT_OK(read_text("# the morning after\n"
				"nuclide: 18F\n"
				"tracer: FDG\n"
				"route: intravenous\n"
				"syringe_before: {activity_mbq: 100, time: 2026-03-14T22:30:00Z}\n"
				"syringe_after:\n"
				"  activity_kbq: 5000\n"
				"  time: 2026-03-14T21:09:28.08-05:00\n"
				"injection_time: 2026-03-15T01:19:44.04+01:00\n"
				"relative_uncertainty_percent: 3\n"
				"body_mass_g: 21.3\n"
				"body_mass_uncertainty_g: 0.1\n"
				"excreted_percent_id: 12.5\n",
				&dose, &err),
		      err);
	CU_ASSERT_STRING_EQUAL(dose.nuclide, "F-18");
	CU_ASSERT_STRING_EQUAL(dose.tracer, "FDG");
	CU_ASSERT_STRING_EQUAL(dose.route, "intravenous");
	ISO_ASSERT_NEAR(dose.before.activity_bq, 100e6, 0);
	ISO_ASSERT_NEAR(dose.after.activity_bq, 5e6, 1e-6);
	ISO_ASSERT_NEAR(dose.relative_uncertainty, 0.03, 1e-15);
	ISO_ASSERT_NEAR(dose.body_mass_g, 21.3, 0);
	ISO_ASSERT_NEAR(dose.body_mass_uncertainty_g, 0.1, 0);
	ISO_ASSERT_NEAR(dose.excreted_percent_id, 12.5, 0);
	const iso_nuclide *nuclide;
	double injected;
	ISO_ASSERT_OK(iso_nuclide_find(dose.nuclide, NULL, &nuclide, &err), err);
	ISO_ASSERT_OK(iso_dose_injected_bq(&dose, nuclide, &injected, &err), err);
	/* Clock times are doubles good to 2e-7 s around 2026: 40e6 * ln2 / 6584 * 2e-7 = 1e-3 Bq. */
	ISO_ASSERT_NEAR(injected, 40e6, 5e-3);
}

static void nothing_left(void)
{
	iso_dose dose;
	iso_error err;
	ISO_ASSERT_OK(read_text("nuclide: Cu-64\n"
				"syringe_before: {activity_bq: 8e6, time: 2026-03-14T09:00:00Z}\n"
				"syringe_after: {activity_mbq: 0}\n"
				"injection_time: 2026-03-14T09:00:00Z\n",
				&dose, &err),
		      err);
	CU_ASSERT(isnan(dose.relative_uncertainty) && isnan(dose.body_mass_g) && isnan(dose.after.utc_s));
	CU_ASSERT_EQUAL(dose.excreted_percent_id, 0);
	const iso_nuclide *nuclide;
	double injected;
	ISO_ASSERT_OK(iso_nuclide_find(dose.nuclide, NULL, &nuclide, &err), err);
	ISO_ASSERT_OK(iso_dose_injected_bq(&dose, nuclide, &injected, &err), err);
	CU_ASSERT_EQUAL(injected, 8e6); /* injected at the moment of the assay */
}

#define NUCLIDE   "nuclide: Cu-64\n"
#define BEFORE    "syringe_before: {activity_mbq: 12, time: 2026-03-14T09:00:00Z}\n"
#define AFTER     "syringe_after: {activity_mbq: 0.5, time: 2026-03-14T10:00:00Z}\n"
#define INJECTION "injection_time: 2026-03-14T09:30:00Z\n"

static void refused(void)
{
	static const struct {
		const char *text;
		long line; /* 0: none */
		const char *word;
	} cases[] = {
	    {BEFORE AFTER INJECTION, 0, "nuclide is missing"},
	    {"nuclide: Cu-65\n" BEFORE AFTER INJECTION, 1, "not in the table"},
	    {NUCLIDE AFTER INJECTION, 0, "syringe_before is missing"},
	    {NUCLIDE BEFORE INJECTION, 0, "syringe_after is missing"},
	    {NUCLIDE BEFORE AFTER, 0, "injection_time is missing"},
	    {NUCLIDE BEFORE AFTER INJECTION "tumor: 3\n", 5, "tumor"},
	    {NUCLIDE BEFORE "syringe_after: {activity: 3}\n" INJECTION, 3, "activity"},
	    {NUCLIDE "syringe_before: {time: 2026-03-14T09:00:00Z}\n" AFTER INJECTION, 2, "not stated"},
	    {NUCLIDE
	     "syringe_before: {activity_mbq: 12, activity_bq: 12e6, time: 2026-03-14T09:00:00Z}\n" AFTER INJECTION,
	     2, "more than once"},
	    {NUCLIDE "syringe_before: {activity_mbq: 12}\n" AFTER INJECTION, 2, "time of the reading"},
	    {NUCLIDE BEFORE "syringe_after: {activity_mbq: 0.5}\n" INJECTION, 3, "time of the reading"},
	    {NUCLIDE "syringe_before:\n  activity_mbq: 12 MBq\n  time: 2026-03-14T09:00:00Z\n" AFTER INJECTION, 3,
	     "not a number"},
	    {NUCLIDE BEFORE AFTER "injection_time: 09:30:00\n", 4, "without a date"},
	    {NUCLIDE BEFORE AFTER "injection_time: 2026-03-14T09:30:00\n", 4, "time zone"},
	    {NUCLIDE BEFORE AFTER "# injection_time: of yesterday\ninjection_time: 2026-02-30T09:30:00Z\n", 5,
	     "calendar"},
	    {NUCLIDE BEFORE AFTER "injection_time: 2026-03-14T08:30:00Z\n", 0, "before the full syringe"},
	    {NUCLIDE BEFORE AFTER "injection_time: 2026-03-14T10:30:00Z\n", 0, "before the injection"},
	    {NUCLIDE BEFORE AFTER "injection_time: 2026-03-26T10:30:00Z\n", 0, "before the injection"},
	    {NUCLIDE BEFORE "syringe_after: {activity_mbq: 0}\ninjection_time: 2026-04-14T09:30:00Z\n", 0,
	     "half-lives"},
	    {NUCLIDE BEFORE "syringe_after: {activity_mbq: 12, time: 2026-03-14T10:00:00Z}\n" INJECTION, 0,
	     "nothing was injected"},
	    {NUCLIDE "syringe_before: {activity_mbq: -1, time: 2026-03-14T09:00:00Z}\n" AFTER INJECTION, 0, "-1e+06"},
	    {NUCLIDE BEFORE AFTER INJECTION "relative_uncertainty_percent: 130\n", 0, "130"},
	    {NUCLIDE BEFORE AFTER INJECTION "relative_uncertainty_percent: about 3\n", 5, "about 3"},
	    {NUCLIDE BEFORE AFTER INJECTION "body_mass_g: 0\n", 0, "body mass"},
	    {NUCLIDE BEFORE AFTER INJECTION "body_mass_g: nan\n", 5, "not a number"},
	    {NUCLIDE BEFORE AFTER INJECTION "excreted_percent_id: 101\n", 0, "101"},
	    {NUCLIDE BEFORE AFTER INJECTION
	     "tracer: a name that is longer than the sixty-three characters which a record can hold\n",
	     5, "too long"},
	    {"", 0, ""},
	    {"just words\n", 0, ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		iso_dose dose;
		iso_error err = {0};
		const iso_status status = read_text(cases[i].text, &dose, &err);
		const bool right =
		    status == ISO_BAD_INPUT && strstr(err.message, cases[i].word) &&
		    (!cases[i].line || (err.position_kind == ISO_POSITION_LINE && err.position == cases[i].line)) &&
		    strstr(err.file, "dose.yaml") && err.remedy[0];
		if (!right) {
			printf("# case %zu, status %d\n", i, status);
			iso_test_print_error(&err);
		}
		CU_ASSERT(right);
	}
	iso_dose dose;
	CU_ASSERT_EQUAL(iso_dose_read(iso_test_path("not there.yaml"), &dose, NULL), ISO_BAD_INPUT);
}

static const iso_test tests[] = {
    {"net activity across midnight and time zones", net_across_midnight_and_zones},
    {"a syringe stated to be empty", nothing_left},
    {"what is wrong is refused with its line", refused},
};
ISO_TEST_MAIN("dose", tests)
