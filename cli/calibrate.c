/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"

enum {
	KEY_ACTIVITY = 256,
	KEY_VOLUME,
	KEY_CONCENTRATION,
	KEY_TIME,
	KEY_START,
	KEY_UNCERTAINTY,
	KEY_VOLUME_UNCERTAINTY,
	KEY_REGION,
	KEY_LABELS,
	KEY_LABEL,
	KEY_FRAME,
	KEY_JSON
};

typedef struct arguments {
	const char *image, *output, *labels, *assay_time, *scan_start, *region_text;
	iso_assayed_phantom phantom;
	iso_calibration_region region;
	double activity_mbq, assay_percent, volume_percent;
	long long frame, label;
	bool json, quiet;
	iso_error err;
} arguments;

static const struct argp_option option_table[] = {
    {"output", 'o', "FILE.json", 0, "Calibration to write, for isotrace recon --calibration; needed", 0},
    {NULL, 0, NULL, 0, "The phantom:", 1},
    {"activity-mbq", KEY_ACTIVITY, "MBQ", 0, "Activity in it", 1},
    {"volume-ml", KEY_VOLUME, "ML", 0, "Volume in which it is", 1},
    {"concentration-bq-per-ml", KEY_CONCENTRATION, "C", 0, "Instead of both, as from a well counter", 1},
    {"assay-time", KEY_TIME, "TIME", 0, "When they held: 2026-03-14T09:26:00+01:00; needed", 1},
    {"uncertainty-percent", KEY_UNCERTAINTY, "U", 0, "Of activity or concentration, k = 1; needed", 1},
    {"volume-uncertainty-percent", KEY_VOLUME_UNCERTAINTY, "U", 0, "Of the volume, k = 1; default 0", 1},
    {"scan-start", KEY_START, "TIME", 0, "When the image does not state it", 1},
    {NULL, 0, NULL, 0, "Where its concentration is even (a voxel counts when its centre lies inside):", 2},
    {"region", KEY_REGION, "REGION", 0, "sphere:X,Y,Z,RADIUS or cylinder:X,Y,Z,RADIUS,HEIGHT along z, in mm", 2},
    {"labels", KEY_LABELS, "LABELS.nii.gz", 0, "Or a label image", 2},
    {"label", KEY_LABEL, "N", 0, "and its label", 2},
    {"frame", KEY_FRAME, "N", 0, "Frame of the image, from 1; needed when there are several", 2},
    {NULL, 0, NULL, 0, "Output:", 3},
    {"json", KEY_JSON, NULL, 0, "Print the calibration file", 3},
    {"quiet", 'q', NULL, 0, "Print nothing but errors", 3},
    {0}};

static void take_region(arguments *a, const char *text)
{
	iso_calibration_region *r = &a->region;
	iso_error err;
	char rest;
	double *c = r->centre_mm;
	a->region_text = text;
	if (sscanf(text, "sphere:%lf,%lf,%lf,%lf%c", c, c + 1, c + 2, &r->radius_mm, &rest) == 4 && r->radius_mm > 0)
		r->kind = ISO_REGION_SPHERE;
	else if (sscanf(text, "cylinder:%lf,%lf,%lf,%lf,%lf%c", c, c + 1, c + 2, &r->radius_mm, &r->height_mm, &rest) ==
		     5 &&
		 r->radius_mm > 0 && r->height_mm > 0)
		r->kind = ISO_REGION_CYLINDER;
	else
		cli_keep(&a->err,
			 iso_fail(&err, ISO_BAD_USAGE, NULL,
				  "give sphere:X,Y,Z,RADIUS or cylinder:X,Y,Z,RADIUS,HEIGHT in mm",
				  "--region %s is no region", text),
			 &err);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	arguments *a = state->input;
	iso_assayed_phantom *p = &a->phantom;
	switch (key) {
	case 'o': a->output = arg; return 0;
	case KEY_ACTIVITY: cli_take_number(&a->err, "activity-mbq", arg, 1e-9, 1e9, &a->activity_mbq); return 0;
	case KEY_VOLUME: cli_take_number(&a->err, "volume-ml", arg, 1e-6, 1e9, &p->volume_ml); return 0;
	case KEY_CONCENTRATION:
		cli_take_number(&a->err, "concentration-bq-per-ml", arg, 1e-6, 1e15, &p->concentration_bq_per_ml);
		return 0;
	case KEY_TIME: a->assay_time = arg; return 0;
	case KEY_START: a->scan_start = arg; return 0;
	case KEY_UNCERTAINTY: cli_take_number(&a->err, "uncertainty-percent", arg, 0, 99, &a->assay_percent); return 0;
	case KEY_VOLUME_UNCERTAINTY:
		cli_take_number(&a->err, "volume-uncertainty-percent", arg, 0, 99, &a->volume_percent);
		return 0;
	case KEY_REGION: take_region(a, arg); return 0;
	case KEY_LABELS: a->labels = arg; return 0;
	case KEY_LABEL: a->label = cli_take_whole(&a->err, "label", arg, 1, 16777216); return 0;
	case KEY_FRAME: a->frame = cli_take_whole(&a->err, "frame", arg, 1, 16777216); return 0;
	case KEY_JSON: a->json = true; return 0;
	case 'q': a->quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (a->image) argp_error(state, "one image at a time; '%s' is a second one", arg);
		a->image = arg;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "IMAGE.nii.gz",
    .doc =
	"Makes the factor from counts to Bq/mL out of the image of a phantom of known concentration.\v"
	"The image is reconstructed with --uncalibrated and with all corrections that later images get. "
	"See docs/calibration.md. Example:\n\n"
	"  isotrace calibrate cylinder.nii.gz --activity-mbq 21.4 --volume-ml 60.2 "
	"--assay-time 2026-03-14T09:00:00+01:00 --uncertainty-percent 2 --region cylinder:0,0,0,20,60 -o cal.json\n"};

static int check(const arguments *a)
{
	if (!a->image) return cli_usage("calibrate", "name the image of the phantom");
	if (!a->output) return cli_usage("calibrate", "say with -o FILE.json where to write");
	if (!a->assay_time) return cli_usage("calibrate", "--assay-time TIME is missing");
	if (isnan(a->assay_percent))
		return cli_usage("calibrate", "--uncertainty-percent is missing: how well is it known?");
	if (isnan(a->activity_mbq) != isnan(a->phantom.volume_ml) ||
	    isnan(a->activity_mbq) == isnan(a->phantom.concentration_bq_per_ml))
		return cli_usage("calibrate", "give --activity-mbq and --volume-ml, or --concentration-bq-per-ml");
	if (!a->region_text == !a->labels || !a->labels != !a->label)
		return cli_usage("calibrate", "give --region, or --labels and --label");
	return 0;
}

static iso_status calibrate(arguments *a, iso_calibration *out, iso_error *err)
{
	iso_volume *volume = NULL;
	iso_image *labels = NULL;
	iso_status status = iso_time_parse(a->assay_time, NULL, &a->phantom.assay_utc_s, err);
	if (status == ISO_OK && a->scan_start)
		status = iso_time_parse(a->scan_start, NULL, &a->phantom.scan_start_utc_s, err);
	if (status == ISO_OK) status = iso_volume_read(a->image, &volume, err);
	if (status == ISO_OK && volume->frames > 1 && !a->frame)
		status = iso_fail(err, ISO_BAD_INPUT, a->image, "say which one with --frame N",
				  "the image has %zu frames", volume->frames);
	if (status == ISO_OK && a->labels) status = iso_nifti_read_image(a->labels, ISO_UNIT_LABEL, &labels, err);
	a->region.labels = labels;
	if (labels) a->region.kind = ISO_REGION_LABEL;
	if (status == ISO_OK)
		status = iso_calibrate(volume, a->frame ? (size_t)a->frame - 1 : 0, &a->phantom, &a->region,
				       cli_progress(a->quiet), out, err);
	if (status == ISO_OK) {
		snprintf(out->image, sizeof out->image, "%s", iso_base_name(a->image));
		status = iso_hash_file(a->image, out->image_sha256, err);
	}
	if (status != ISO_OK && !err->file[0]) snprintf(err->file, sizeof err->file, "%s", a->image);
	iso_image_free(labels);
	iso_volume_free(volume);
	return status;
}

static iso_status print_result(const arguments *a, const iso_calibration *c, iso_error *err)
{
	char *text = NULL;
	if (a->json) {
		const iso_status status = iso_read_file(a->output, 1u << 20, &text, NULL, err);
		if (status == ISO_OK) fputs(text, stdout);
		free(text);
		return status;
	}
	if (!a->quiet)
		printf("%s: factor %.6g Bq/mL per counts/s/mm (branching 1) +- %.2f %%, from %.6g Bq/mL of %s in %zu "
		       "voxels "
		       "(%.4g mL) with a standard deviation of %.2f %%\n",
		       a->output, c->factor, 100 * c->uncertainty, c->expected_bq_per_ml, c->nuclide, c->voxels,
		       c->region_ml, 100 * c->sd / c->mean);
	return ISO_OK;
}

int cli_calibrate(int argc, char **argv)
{
	arguments a = {.phantom = {.activity_bq = (double)NAN,
				   .volume_ml = (double)NAN,
				   .concentration_bq_per_ml = (double)NAN,
				   .scan_start_utc_s = (double)NAN},
		       .activity_mbq = (double)NAN,
		       .assay_percent = (double)NAN};
	iso_error err = {0};
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (a.err.status != ISO_OK) return cli_fail(&a.err);
	const int wrong = check(&a);
	if (wrong) return wrong;
	a.phantom.activity_bq = a.activity_mbq * 1e6;
	a.phantom.assay_uncertainty = a.assay_percent / 100;
	a.phantom.volume_uncertainty = a.volume_percent / 100;
	iso_calibration calibration;
	iso_status status = calibrate(&a, &calibration, &err);
	if (status == ISO_OK) status = iso_calibration_write(a.output, &calibration, &err);
	if (status == ISO_OK) status = print_result(&a, &calibration, &err);
	return status == ISO_OK ? 0 : cli_fail(&err);
}
