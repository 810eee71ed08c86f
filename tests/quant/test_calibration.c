/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The calibration factor in closed form, what its uncertainty is made of, its file, and when it is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/output.h"
#include "isotrace/calibration.h"
#include "tests/harness.h"

#define START 1773480600.0 /* 2026-03-14T09:30:00Z */

static unsigned notes;
static char last_note[400];
static void note(void *user, const char *line)
{
	(void)user;
	notes++;
	snprintf(last_note, sizeof last_note, "%s", line);
}
static const iso_progress progress = {.note = note};

/* x counts/s/mm in a cylinder of radius 8 mm along z, nothing around it; replicates of `replicate[r]`. */
static iso_volume *image_of(const char *nuclide, float x, size_t replicates, const float *replicate)
{
	const iso_grid grid =
	    iso_grid_centred((const size_t[]){20, 20, 10}, (const double[]){1, 1, 2}, (const double[]){3, -4, 5});
	const iso_frame frame = {100, 1800};
	iso_volume *v;
	iso_error err;
	ISO_ASSERT_OK(iso_volume_create(&grid, ISO_UNIT_COUNTS_PER_S_MM, 1, &frame, replicates, &v, &err), err);
	for (size_t n = 0; n < 4000; n++) {
		const double dx = (double)(n % 20) - 9.5, dy = (double)(n / 20 % 20) - 9.5;
		const bool inside = dx * dx + dy * dy <= 64;
		v->voxels[n] = inside ? x : 0;
		for (size_t r = 0; r < replicates; r++) v->replicate_voxels[r * 4000 + n] = inside ? replicate[r] : 0;
	}
	snprintf(v->acquisition.nuclide, sizeof v->acquisition.nuclide, "%s", nuclide);
	snprintf(v->acquisition.scanner_name, sizeof v->acquisition.scanner_name, "ring");
	strcpy(v->corrections.attenuation, "mu map");
	strcpy(v->corrections.normalisation, "geometric");
	strcpy(v->corrections.randoms, "delayed");
	v->acquisition.start_utc_s = START;
	v->decay_reference_s = 0;
	return v;
}

static const iso_assayed_phantom phantom = {.activity_bq = 20e6,
					    .volume_ml = 50,
					    .concentration_bq_per_ml = (double)NAN,
					    .assay_utc_s = START - 3600,
					    .assay_uncertainty = 0.02,
					    .volume_uncertainty = 0.005,
					    .scan_start_utc_s = (double)NAN};
static const iso_calibration_region cylinder = {
    .kind = ISO_REGION_CYLINDER, .centre_mm = {3, -4, 5}, .radius_mm = 6, .height_mm = 12};

static void closed_form(void)
{
	const iso_nuclide *f18;
	iso_error err;
	iso_calibration c;
	ISO_ASSERT_OK(iso_nuclide_find("F-18", NULL, &f18, &err), err);
	const float replicate[] = {0.79F, 0.81F, 0.80F, 0.80F};
	iso_volume *v = image_of("F-18", 0.8F, 4, replicate);
	ISO_ASSERT_OK(iso_calibrate(v, 0, &phantom, &cylinder, NULL, &c, &err), err);
	const double expected = 20e6 / 50 * exp2(-3600 / f18->half_life_s);
	ISO_ASSERT_NEAR(c.expected_bq_per_ml / expected, 1, 1e-12);
	ISO_ASSERT_NEAR(c.factor / (expected * f18->branching_fraction / 0.8), 1, 1e-6); /* 0.8 as a float */
	/* voxel centres within 6 mm of the axis: those with (i-9.5)^2 + (j-9.5)^2 <= 36, counted by hand per quadrant 6+6+5+5+4+2;
	 * |k - 4.5| x 2 <= 6: six slices */
	CU_ASSERT_EQUAL(c.voxels, 4 * (6 + 6 + 5 + 5 + 4 + 2) * 6);
	ISO_ASSERT_NEAR(c.region_ml, (double)c.voxels * 2e-3, 1e-12);
	ISO_ASSERT_NEAR(c.sd, 0, 1e-7);
	/* sd of the replicates 0.01 sqrt(2/3), over sqrt(4) and the mean 0.8 */
	const double noise = 0.01 * sqrt(2.0 / 3) / 2 / 0.8,
		     half_life = log(2) * 3600 / f18->half_life_s * f18->half_life_uncertainty_s / f18->half_life_s;
	ISO_ASSERT_NEAR(c.u_noise, noise, 1e-7);
	ISO_ASSERT_NEAR(c.u_half_life, half_life, 1e-12);
	ISO_ASSERT_NEAR(c.uncertainty, sqrt(0.02 * 0.02 + 0.005 * 0.005 + noise * noise + half_life * half_life), 1e-8);
	/* the same as a concentration, in a sphere */
	iso_assayed_phantom direct = phantom;
	direct.activity_bq = direct.volume_ml = (double)NAN;
	direct.concentration_bq_per_ml = 4e5;
	const iso_calibration_region sphere = {.kind = ISO_REGION_SPHERE, .centre_mm = {3, -4, 5}, .radius_mm = 5};
	iso_calibration again;
	ISO_ASSERT_OK(iso_calibrate(v, 0, &direct, &sphere, NULL, &again, &err), err);
	ISO_ASSERT_NEAR(again.factor / c.factor, 1, 1e-12);
	/* not decay-corrected: the image is the mean over the frame, 100 s to 1900 s */
	v->decay_reference_s = (double)NAN;
	ISO_ASSERT_OK(iso_calibrate(v, 0, &phantom, &cylinder, NULL, &again, &err), err);
	const double lambda = log(2) / f18->half_life_s;
	ISO_ASSERT_NEAR(again.factor / c.factor, exp(-lambda * 100) * -expm1(-lambda * 1800) / (lambda * 1800), 1e-12);
	iso_volume_free(v);
}

/* An image that is in Bq/mL already, 3 % too high: the new factor is 3 % lower, and that is said. */
static void again(void)
{
	iso_error err;
	iso_calibration c;
	const double now = 4e5 * exp2(-3600 / 6584.04);
	iso_volume *v = image_of("F-18", (float)(1.03 * now), 0, NULL);
	v->unit = ISO_UNIT_BQ_PER_ML;
	v->calibration_factor = 5e5;
	v->branching_fraction = 0.9686;
	notes = 0;
	ISO_ASSERT_OK(iso_calibrate(v, 0, &phantom, &cylinder, &progress, &c, &err), err);
	ISO_ASSERT_NEAR(c.factor / 5e5, 1 / 1.03, 1e-5); /* F-18's half-life and branching, as typed above */
	CU_ASSERT(strstr(last_note, "-2.91 %") != NULL);
	CU_ASSERT_EQUAL(notes, 2); /* and no replicates */
	CU_ASSERT(isnan(c.u_noise));
	iso_volume_free(v);
}

static void refusals(void)
{
	iso_error err;
	iso_calibration c;
	iso_volume *v = image_of("F-18", 0.8F, 0, NULL);
	iso_assayed_phantom p = phantom;
	iso_calibration_region r = cylinder;
#define REFUSED(word)                                                                     \
	CU_ASSERT_EQUAL(iso_calibrate(v, 0, &p, &r, NULL, &c, &err), ISO_BAD_INPUT);      \
	CU_ASSERT(strstr(err.message, word) != NULL || strstr(err.remedy, word) != NULL); \
	p = phantom;                                                                      \
	r = cylinder;
	r.centre_mm[0] = 500;
	REFUSED("no voxel");
	r.centre_mm[0] = 3 + 9.5; /* beside the cylinder */
	r.radius_mm = 0.8;
	REFUSED("mean in the region is 0");
	p.assay_utc_s = (double)NAN;
	REFUSED("time of the assay");
	p.concentration_bq_per_ml = 3;
	REFUSED("stated twice");
	p.activity_bq = 0;
	REFUSED("not stated");
	p.assay_utc_s = START - 1e9;
	REFUSED("half-lives");
	v->acquisition.start_utc_s = (double)NAN;
	REFUSED("--scan-start");
	p.scan_start_utc_s = START;
	CU_ASSERT_EQUAL(iso_calibrate(v, 0, &p, &r, NULL, &c, &err), ISO_OK);
	v->acquisition.start_utc_s = START;
	v->unit = ISO_UNIT_PER_CM;
	REFUSED("1/cm");
	v->unit = ISO_UNIT_BQ_PER_ML; /* by which factor? */
	REFUSED("--uncalibrated");
	v->unit = ISO_UNIT_COUNTS_PER_S_MM;
	v->acquisition.nuclide[0] = '\0';
	REFUSED("--nuclide");
	iso_volume_free(v);
}

/* A label image on a coarser grid that is turned: the voxel counts whose centre lies in the label. */
static void labels(void)
{
	iso_error err;
	iso_calibration c;
	iso_volume *v = image_of("F-18", 0.8F, 0, NULL);
	iso_image *image;
	iso_grid grid =
	    iso_grid_centred((const size_t[]){5, 5, 5}, (const double[]){4, 4, 4}, (const double[]){3, -4, 5});
	grid.origin_mm[0] += 4 * 4; /* x backwards */
	grid.direction[0][0] = -1;
	ISO_ASSERT_OK(iso_image_create(&grid, ISO_UNIT_LABEL, &image, &err), err);
	image->voxels[2 + 5 * (2 + 5 * 2)] = 7; /* the middle: 4 x 4 x 4 mm, of the image 4 x 4 x 2 voxels */
	const iso_calibration_region region = {.kind = ISO_REGION_LABEL, .labels = image, .label = 7};
	ISO_ASSERT_OK(iso_calibrate(v, 0, &phantom, &region, NULL, &c, &err), err);
	CU_ASSERT_EQUAL(c.voxels, 4 * 4 * 2);
	iso_image_free(image);
	iso_volume_free(v);
}

static void file(void)
{
	iso_error err;
	iso_calibration c, back;
	const float replicate[] = {0.7F, 0.9F};
	iso_volume *v = image_of("F-18", 0.8F, 2, replicate);
	ISO_ASSERT_OK(iso_calibrate(v, 0, &phantom, &cylinder, NULL, &c, &err), err);
	strcpy(c.image, "cylinder.nii.gz");
	const char *path = iso_test_path("cal.json");
	ISO_ASSERT_OK(iso_calibration_write(path, &c, &err), err);
	ISO_ASSERT_OK(iso_calibration_read(path, &back, &err), err);
	CU_ASSERT_EQUAL(back.factor, c.factor);
	CU_ASSERT_EQUAL(back.uncertainty, c.uncertainty);
	CU_ASSERT_EQUAL(back.scan_utc_s, START);
	CU_ASSERT_EQUAL(back.voxels, c.voxels);
	CU_ASSERT(isnan(back.earlier_factor));
	CU_ASSERT_STRING_EQUAL(back.nuclide, "F-18");
	CU_ASSERT_STRING_EQUAL(back.corrections.attenuation, "mu map");
	CU_ASSERT_STRING_EQUAL(back.image, "cylinder.nii.gz");
	iso_volume_free(v);
	/* each value spoilt in turn */
	char *text;
	size_t size;
	ISO_ASSERT_OK(iso_read_file(path, 1 << 20, &text, &size, &err), err);
	const char *spoil[] = {"\"factor\"", "\"format\"", "\"total\"",    "\"half_life_s\"", "\"scan_utc\"",
			       "\"hash\"",   "\"voxels\"", "\"software\"", "\"region\"",      "\"scatter\""};
	for (size_t n = 0; n < sizeof spoil / sizeof *spoil; n++) {
		char *at = strstr(text, spoil[n]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		at[1] ^= 1;
		ISO_ASSERT_OK(iso_output_write(iso_test_path("bad.json"), text, size, &err), err);
		CU_ASSERT_EQUAL(iso_calibration_read(iso_test_path("bad.json"), &back, &err), ISO_BAD_INPUT);
		at[1] ^= 1;
	}
	char *number = strstr(text, "\"factor\": ");
	number[10] = '-';
	ISO_ASSERT_OK(iso_output_write(iso_test_path("bad.json"), text, size, &err), err);
	CU_ASSERT_EQUAL(iso_calibration_read(iso_test_path("bad.json"), &back, &err), ISO_BAD_INPUT);
	ISO_ASSERT_OK(iso_output_write(iso_test_path("bad.json"), text, size / 2, &err), err);
	CU_ASSERT_EQUAL(iso_calibration_read(iso_test_path("bad.json"), &back, &err), ISO_BAD_INPUT);
	free(text);
}

static void use(void)
{
	iso_error err;
	const iso_nuclide *f18, *cu64;
	iso_scanner *scanner;
	iso_acquisition acquisition = iso_acquisition_unknown();
	ISO_ASSERT_OK(iso_nuclide_find("F-18", NULL, &f18, &err), err);
	ISO_ASSERT_OK(iso_nuclide_find("Cu-64", NULL, &cu64, &err), err);
	ISO_ASSERT_OK(iso_scanner_create(2, "ring", &scanner, &err), err);
	iso_calibration c = {.factor = 1e6, .uncertainty = 0.03, .branching_uncertainty = 0.004, .scan_utc_s = START};
	strcpy(c.scanner_name, "ring");
	strcpy(c.nuclide, "F-18");
	strcpy(c.corrections.attenuation, "mu map");
	strcpy(c.corrections.normalisation, "geometric");
	iso_corrections now = c.corrections;
	strcpy(now.attenuation, "CT");
	acquisition.start_utc_s = START + 300 * 86400.0;
	double u;
	notes = 0;
#define CHECKED iso_calibration_check(&c, scanner, &acquisition, cu64, &now, &progress, &u, &err)
	ISO_ASSERT_OK(CHECKED, err);
	CU_ASSERT_EQUAL(notes, 0);
	ISO_ASSERT_NEAR(u, hypot(0.03, 0.004), 1e-12);
	ISO_ASSERT_OK(iso_calibration_check(&c, scanner, &acquisition, f18, &now, NULL, &u, &err), err);
	ISO_ASSERT_NEAR(u, 0.03, 1e-12);
	/* noted */
	acquisition.start_utc_s = START + 400 * 86400.0;
	strcpy(now.randoms, "delayed");
	ISO_ASSERT_OK(CHECKED, err);
	CU_ASSERT_EQUAL(notes, 2);
	CU_ASSERT(strstr(last_note, "2026-03-14, 1.1 years") != NULL);
	strcpy(c.scanner_hash, "other"); /* the same name, other crystals */
	ISO_ASSERT_OK(CHECKED, err);
	CU_ASSERT_EQUAL(notes, 5);
	/* refused */
	strcpy(scanner->name, "another ring");
	CU_ASSERT_EQUAL(CHECKED, ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "another ring") != NULL);
	iso_scanner_hash(scanner, c.scanner_hash); /* the same crystals under another name */
	ISO_ASSERT_OK(CHECKED, err);
	strcpy(now.scatter, "sss");
	CU_ASSERT_EQUAL(CHECKED, ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "scatter: the phantom's image was not corrected for it, this one is") != NULL);
	now.scatter[0] = now.attenuation[0] = '\0';
	CU_ASSERT_EQUAL(CHECKED, ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "attenuation: the phantom's image was corrected for it, this one is not") !=
		  NULL);
	iso_scanner_free(scanner);
}

static const iso_test tests[] = {
    {"factor and uncertainty in closed form", closed_form},
    {"of a calibrated image", again},
    {"what is refused", refusals},
    {"region by label", labels},
    {"calibration file", file},
    {"use of a calibration", use},
};
ISO_TEST_MAIN("calibration", tests)
