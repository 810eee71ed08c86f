/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/attenuation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"

enum {
	KEY_CT = 1024,
	KEY_KVP,
	KEY_SERIES,
	KEY_TABLE,
	KEY_ENERGY,
	KEY_MOST,
	KEY_OFFSET,
	KEY_BLUR,
	KEY_TRUNCATION,
	KEY_OUTLINE,
	KEY_LABELS,
	KEY_LABEL_TABLE
};

static const struct argp_option option_table[] = {
    {"ct", KEY_CT, "FILE|DIR", 0, "CT in Hounsfield units: folder or file of a DICOM series, or NIfTI", 0},
    {"kvp", KEY_KVP, "KV", 0, "Tube voltage; default: as the series states", 0},
    {"ct-series", KEY_SERIES, "UID", 0, "Which series of the folder", 0},
    {"ct-offset", KEY_OFFSET, "X,Y,Z", 0, "Moves the CT by so many mm, to where the PET is; default 0,0,0", 0},
    {"ct-table", KEY_TABLE, "T.csv", 0,
     "Own conversion: kvp,break_hu,a_per_cm,b_per_cm_per_hu; default: published values and xraylib", 0},
    {"ct-effective-kev", KEY_ENERGY, "KEV", 0, "Effective energy of the CT's beam, in place of its tube voltage", 0},
    {"ct-most-hu", KEY_MOST, "HU", 0, "Larger values (metal, contrast agent) count as this; default 3000 or more", 0},
    {"ct-blur", KEY_BLUR, "MM", 0, "Blurs the map by a Gaussian of this FWHM; default 0", 0},
    {"ct-truncation", KEY_TRUNCATION, "refuse|ignore|extend", 0,
     "Where the body reaches beyond the CT: refuse (default), count it as air, or fill --ct-outline with water", 0},
    {"ct-outline", KEY_OUTLINE, "IMAGE.nii.gz", 0, "Above 0 inside the body, for --ct-truncation extend", 0},
    {"mu-labels", KEY_LABELS, "LABELS.nii.gz", 0, "Map from labels instead of a CT", 0},
    {"mu-table", KEY_LABEL_TABLE, "T.csv", 0, "Of the labels: label,mu_per_cm or label,material,density_g_per_ml", 0},
    {0}};

cli_attenuation cli_attenuation_default(void)
{
	return (cli_attenuation){.kvp = (double)NAN, .effective_kev = (double)NAN, .most_hu = (double)NAN};
}

static error_t parse_detail(int key, char *arg, struct argp_state *state)
{
	cli_attenuation *a = state->input;
	switch (key) {
	case KEY_KVP: cli_take_number(&a->err, "kvp", arg, 1, 1000, &a->kvp); break;
	case KEY_SERIES: a->series = arg; break;
	case KEY_TABLE: a->table = arg; break;
	case KEY_ENERGY: cli_take_number(&a->err, "ct-effective-kev", arg, 1, 1000, &a->effective_kev); break;
	case KEY_MOST: cli_take_number(&a->err, "ct-most-hu", arg, 100, 1e6, &a->most_hu); break;
	case KEY_OFFSET: cli_take_triple(&a->err, "ct-offset", arg, a->offset_mm); break;
	case KEY_BLUR: cli_take_number(&a->err, "ct-blur", arg, 0, 999, &a->blur_fwhm_mm); break;
	case KEY_TRUNCATION:
		if (strcmp(arg, "refuse") != 0 && strcmp(arg, "ignore") != 0 && strcmp(arg, "extend") != 0)
			argp_error(state, "--ct-truncation is refuse, ignore or extend, not '%s'", arg);
		a->truncation = arg;
		break;
	case KEY_OUTLINE: a->outline = arg; break;
	default: return ARGP_ERR_UNKNOWN;
	}
	a->have_detail = true;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	cli_attenuation *a = state->input;
	switch (key) {
	case KEY_CT: a->ct = arg; return 0;
	case KEY_LABELS: a->labels = arg; return 0;
	case KEY_LABEL_TABLE: a->label_table = arg; return 0;
	default: return parse_detail(key, arg, state);
	}
}

const struct argp cli_attenuation_argp = {.options = option_table, .parser = parse};

bool cli_attenuation_wanted(const cli_attenuation *a)
{
	return a->ct || a->labels;
}

iso_status cli_attenuation_check(cli_attenuation *a, iso_error *err)
{
	const char *wrong = NULL;
	if (a->err.status != ISO_OK) {
		*err = a->err;
		return err->status;
	}
	if (a->ct && a->labels)
		wrong = "--ct contradicts --mu-labels";
	else if (a->have_detail && !a->ct)
		wrong = "--kvp and the --ct-... options need --ct";
	else if (!a->labels != !a->label_table)
		wrong = "--mu-labels and --mu-table need each other";
	else if (a->table && !isnan(a->effective_kev))
		wrong = "--ct-table contradicts --ct-effective-kev";
	else if ((a->truncation && strcmp(a->truncation, "extend") == 0) != (a->outline != NULL))
		wrong = "--ct-truncation extend and --ct-outline need each other";
	if (wrong) return iso_fail(err, ISO_BAD_USAGE, NULL, "see --help", "%s", wrong);
	return ISO_OK;
}

static void name_file(iso_error *err, iso_status status, const char *path)
{
	if (status != ISO_OK && !err->file[0]) snprintf(err->file, sizeof err->file, "%s", path);
}

static iso_status find_curve(const cli_attenuation *a, iso_mu_facts *facts, iso_error *err)
{
	const double kvp = isnan(a->kvp) ? facts->ct.kvp : a->kvp;
	iso_mu_curve *curve = &facts->options.curve;
	iso_status status;
	if (!isnan(a->effective_kev))
		status = iso_mu_curve_of_energy(a->effective_kev, curve, err);
	else if (a->table && !isnan(kvp))
		status = iso_mu_curve_read(a->table, kvp, curve, err);
	else
		status = iso_mu_curve_of_kvp(kvp, curve, err);
	if (!isnan(a->most_hu)) curve->most_hu = a->most_hu;
	facts->curve = *curve;
	return status;
}

static void say(const iso_progress *progress, const iso_mu_facts *facts, const cli_attenuation *a)
{
	char line[512];
	const iso_ct_facts *ct = &facts->ct;
	if (!progress || !progress->note) return;
	if (!isnan(a->kvp) && !isnan(ct->kvp) && fabs(a->kvp - ct->kvp) > 0.5) {
		snprintf(line, sizeof line, "CT: the series states %g kV, %g kV is used as asked for", ct->kvp, a->kvp);
		progress->note(progress->user, line);
	}
	snprintf(line, sizeof line, "CT: %s%s%s; mu by %s", ct->source, ct->series_uid[0] ? ", series " : "",
		 ct->series_uid, facts->curve.source);
	progress->note(progress->user, line);
	if (!ct->frame_of_reference_uid[0]) return;
	snprintf(
	    line, sizeof line,
	    "CT: frame of reference %s; list-mode and volumes state none: both are taken to be in the same place, but "
	    "for --ct-offset",
	    ct->frame_of_reference_uid);
	progress->note(progress->user, line);
}

static iso_status from_ct(const cli_attenuation *a, const iso_grid *grid, bool cover, iso_image **mu,
			  iso_mu_facts *facts, iso_error *err)
{
	iso_image *ct = NULL, *outline = NULL;
	iso_mu_options *o = &facts->options;
	iso_status status = iso_ct_read(a->ct, a->series, o->progress, &ct, &facts->ct, err);
	if (status == ISO_OK) status = find_curve(a, facts, err);
	if (status == ISO_OK) say(o->progress, facts, a);
	if (status == ISO_OK && a->outline) status = iso_nifti_read_image(a->outline, ISO_UNIT_UNKNOWN, &outline, err);
	o->outline = outline;
	iso_grid wide;
	if (status == ISO_OK && grid && cover) {
		wide = iso_grid_covering(grid, &ct->grid, o->offset_mm);
		grid = &wide;
	}
	if (status == ISO_OK) status = iso_mu_from_ct(ct, o, grid, mu, &facts->report, err);
	name_file(err, status, a->ct);
	o->outline = NULL;
	iso_image_free(outline);
	iso_image_free(ct);
	return status;
}

static iso_status from_labels(const cli_attenuation *a, const iso_grid *grid, bool cover, iso_image **mu,
			      iso_mu_facts *facts, iso_error *err)
{
	iso_image *labels = NULL;
	iso_mu_label *rows = NULL;
	size_t count = 0;
	iso_grid wide;
	snprintf(facts->labels, sizeof facts->labels, "%s", iso_base_name(a->labels));
	snprintf(facts->table, sizeof facts->table, "%s", iso_base_name(a->label_table));
	iso_status status = iso_mu_labels_read(a->label_table, &rows, &count, err);
	if (status == ISO_OK) status = iso_nifti_read_image(a->labels, ISO_UNIT_LABEL, &labels, err);
	if (status == ISO_OK && grid && cover) {
		wide = iso_grid_covering(grid, &labels->grid, (const double[]){0, 0, 0});
		grid = &wide;
	}
	if (status == ISO_OK) status = iso_mu_from_labels(labels, rows, count, grid, mu, err);
	name_file(err, status, a->label_table);
	iso_image_free(labels);
	free(rows);
	return status;
}

iso_status cli_attenuation_make(const cli_attenuation *a, const iso_grid *grid, bool cover,
				const iso_progress *progress, iso_image **mu, iso_mu_facts *facts, iso_error *err)
{
	memset(facts, 0, sizeof *facts);
	facts->options = iso_mu_options_default();
	facts->options.progress = progress;
	facts->options.blur_fwhm_mm = a->blur_fwhm_mm;
	memcpy(facts->options.offset_mm, a->offset_mm, sizeof a->offset_mm);
	if (a->truncation && strcmp(a->truncation, "ignore") == 0) facts->options.truncation = ISO_CT_TRUNCATION_IGNORE;
	if (a->truncation && strcmp(a->truncation, "extend") == 0) facts->options.truncation = ISO_CT_TRUNCATION_EXTEND;
	*mu = NULL;
	return a->ct ? from_ct(a, grid, cover, mu, facts, err) : from_labels(a, grid, cover, mu, facts, err);
}
