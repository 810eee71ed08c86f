/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/output.h"

enum { KEY_ORGANS = 256, KEY_TABLE, KEY_DOSE, KEY_SUBJECT, KEY_GROUP, KEY_JSON };

typedef struct options {
	const char *volume, *organs, *table, *dose, *output, *subject, *group;
	bool json, quiet;
	char beside[PATH_MAX]; /* table's name when it is not given */
} options;

static const struct argp_option option_table[] = {
    {"organs", KEY_ORGANS, "LABELS.nii.gz", 0, "Organ labels (whole numbers) on any grid in the same coordinates", 0},
    {"organ-table", KEY_TABLE, "TABLE.csv", 0,
     "Names of the labels: label,organ[,density_g_per_ml][,density_uncertainty_g_per_ml][,mass_g]"
     "[,mass_uncertainty_g]; default: LABELS.csv beside LABELS.nii.gz",
     0},
    {"dose", KEY_DOSE, "DOSE.yaml", 0,
     "Syringe before and after, injection time, nuclide, body mass (docs/dose-file.md)", 0},
    {"output", 'o', "DIR", 0, "Folder for biodistribution.csv and biodistribution.json; made when missing", 0},
    {"subject", KEY_SUBJECT, "NAME", 0, "Name of the animal; default: as the volume states it", 0},
    {"group", KEY_GROUP, "NAME", 0, "Name of its group", 0},
    {"json", KEY_JSON, NULL, 0, "Print biodistribution.json instead of the table", 0},
    {"quiet", 'q', NULL, 0, "Print no table; warnings stay", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	options *o = state->input;
	switch (key) {
	case KEY_ORGANS: o->organs = arg; return 0;
	case KEY_TABLE: o->table = arg; return 0;
	case KEY_DOSE: o->dose = arg; return 0;
	case 'o': o->output = arg; return 0;
	case KEY_SUBJECT: o->subject = arg; return 0;
	case KEY_GROUP: o->group = arg; return 0;
	case KEY_JSON: o->json = true; return 0;
	case 'q': o->quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (o->volume) argp_error(state, "one volume at a time; '%s' is a second one", arg);
		o->volume = arg;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "VOLUME.nii.gz",
    .doc =
	"Turns a volume in Bq/mL into uptake per organ: %ID, %ID/g with its 95 % interval, SUVbw; the files have the "
	"standard uncertainties of all of them.\v"
	"All activities are decay-corrected to the moment of injection. Example:\n\n"
	"  isotrace quant M01.nii.gz --organs M01_organs.nii.gz --organ-table organs.csv --dose M01_dose.yaml "
	"-o results/M01 --group bare\n",
};

static json_t *input_json(const char *role, const char *path)
{
	char hex[65] = "";
	iso_error ignored;
	json_t *out = json_object();
	(void)json_object_set_new(out, "role", json_string(role));
	(void)json_object_set_new(out, "file", json_string(path));
	if (iso_hash_file(path, hex, &ignored) == ISO_OK) (void)json_object_set_new(out, "sha256", json_string(hex));
	return out;
}

/* What it was made from; owned by the caller. */
static char *provenance(const options *o)
{
	json_t *root = json_object(), *inputs = json_array();
	(void)json_object_set_new(root, "verb", json_string("quant"));
	(void)json_object_set_new(root, "software", json_string("isotrace " ISO_VERSION));
	(void)json_array_append_new(inputs, input_json("volume", o->volume));
	(void)json_array_append_new(inputs, input_json("organ labels", o->organs));
	(void)json_array_append_new(inputs, input_json("organ table", o->table));
	(void)json_array_append_new(inputs, input_json("dose", o->dose));
	(void)json_object_set_new(root, "inputs", inputs);
	char *text = json_dumps(root, 0);
	json_decref(root);
	return text;
}

/* "1.234" or "-" for what is not known. */
static const char *cell(double value, int digits, char text[32])
{
	if (isnan(value))
		snprintf(text, 32, "-");
	else
		snprintf(text, 32, "%.*g", digits, value);
	return text;
}

static void print_table(const iso_biodistribution *result)
{
	char injected[40], a[32], b[32], c[32], d[32], e[32];
	printf("%s%s%s: %s %s, %.6g MBq injected %s\n", result->subject[0] ? result->subject : "(no name)",
	       result->group[0] ? ", " : "", result->group, result->dose.nuclide, result->dose.tracer,
	       result->injected_bq / 1e6, iso_time_text(result->dose.injection_utc_s, injected));
	for (size_t f = 0; f < result->frames; f++) {
		printf("\n%.4g h after injection", result->time_h[f]);
		if (result->gate)
			printf(", gate %zu of %zu: %.4g to %.4g s after the trigger", f + 1, result->frames,
			       result->gate[f].start_s, result->gate[f].start_s + result->gate[f].duration_s);
		putchar('\n');
		printf("%-20s %10s %10s %10s %10s %23s %10s\n", "organ", "volume mL", "mass g", "%ID", "%ID/g",
		       "95 % interval", "SUVbw");
		for (size_t o = 0; o < result->organs; o++) {
			const iso_uptake *row = &result->row[f * result->organs + o];
			char interval[72];
			snprintf(interval, sizeof interval, "%s to %s", cell(row->percent_id_per_g_low, 4, d),
				 cell(row->percent_id_per_g_high, 4, e));
			printf("%-20s %10.4g %9.4g%s %10.4g %10.4g %23s %10s\n", row->organ, row->volume_ml,
			       row->mass_g, strcmp(row->mass_source, "entered") == 0 ? "*" : " ", row->percent_id,
			       row->percent_id_per_g, interval, cell(row->suv_bw, 4, a));
		}
		printf("mass balance: %s +- %s %%ID in the whole volume, %s expected\n",
		       cell(result->recovered_percent_id[f], 5, a), cell(result->recovered_uncertainty[f], 2, b),
		       cell(result->expected_percent_id, 5, c));
	}
	printf("\n* weighed; other masses are volume x density. Activities at injection; intervals from the known "
	       "uncertainties.\n");
}

/* Reads the inputs and quantifies. Errors of the contents that name no file are the volume's. */
static iso_status quantify(const options *o, iso_biodistribution **result, iso_error *err)
{
	iso_dose dose;
	iso_organ *organ = NULL;
	size_t count = 0;
	iso_volume *volume = NULL;
	iso_image *labels = NULL;
	iso_organs *organs = NULL;
	iso_status status = iso_dose_read(o->dose, &dose, err);
	if (status == ISO_OK) status = iso_organ_table_read(o->table, &organ, &count, err);
	if (status == ISO_OK) status = iso_volume_read(o->volume, &volume, err);
	if (status == ISO_OK) status = iso_nifti_read_image(o->organs, ISO_UNIT_LABEL, &labels, err);
	if (status == ISO_OK) status = iso_organs_create(labels, organ, count, &volume->grid, o->organs, &organs, err);
	if (status == ISO_OK) status = iso_quantify(volume, organs, &dose, o->subject, o->group, result, err);
	if (status != ISO_OK && err->file[0] == '\0') snprintf(err->file, sizeof err->file, "%s", o->volume);
	iso_organs_free(organs);
	iso_image_free(labels);
	iso_volume_free(volume);
	free(organ);
	return status;
}

static iso_status print_json(const char *directory, iso_error *err)
{
	char path[PATH_MAX], *text;
	snprintf(path, sizeof path, "%s/biodistribution.json", directory);
	const iso_status status = iso_read_file(path, 1u << 30, &text, NULL, err);
	if (status == ISO_OK) fputs(text, stdout);
	free(text);
	return status;
}

int cli_quant(int argc, char **argv)
{
	options o = {0};
	if (!cli_parse(&argp, argc, argv, &o)) return 2;
	if (!o.volume) return cli_usage("quant", "name the volume to quantify");
	if (!o.organs) return cli_usage("quant", "--organs LABELS.nii.gz is missing");
	if (!o.dose) return cli_usage("quant", "--dose DOSE.yaml is missing");
	if (!o.output) return cli_usage("quant", "-o DIR is missing");
	iso_error err = {0};
	if (!o.table && cli_organ_table_beside(o.organs, o.beside, &err) != ISO_OK) return cli_fail(&err);
	if (!o.table) o.table = o.beside;
	iso_biodistribution *result = NULL;
	iso_status status = quantify(&o, &result, &err);
	if (status != ISO_OK) return cli_fail(&err);
	char *made_from = provenance(&o);
	status = made_from ? iso_biodistribution_write(o.output, &result, 1, made_from, &err)
			   : iso_fail_memory(&err, "the provenance", 0);
	free(made_from);
	if (status == ISO_OK && o.json) status = print_json(o.output, &err);
	if (status == ISO_OK) {
		if (!o.json && !o.quiet) print_table(result);
		fflush(stdout);
		for (size_t w = 0; w < result->warning_count; w++)
			fprintf(stderr, "isotrace: warning: %s\n", result->warnings[w]);
	}
	iso_biodistribution_free(result);
	return status == ISO_OK ? 0 : cli_fail(&err);
}
