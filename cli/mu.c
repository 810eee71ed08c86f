/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/attenuation.h"
#include "core/error.h"

enum { KEY_GRID_OF = 256, KEY_JSON };

typedef struct arguments {
	cli_attenuation attenuation;
	const char *output, *grid_of;
	bool json, quiet;
} arguments;

static const struct argp_option option_table[] = {
    {"output", 'o', "FILE.nii.gz", 0, "Map to write, with FILE.json beside it; needed", 1},
    {"grid-of", KEY_GRID_OF, "IMAGE.nii.gz", 0, "Averages over the voxels of this image; default: the CT's own grid",
     1},
    {"json", KEY_JSON, NULL, 0, "Print what was done as JSON", 2},
    {"quiet", 'q', NULL, 0, "Print nothing but errors", 2},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	arguments *a = state->input;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &a->attenuation; return 0;
	case 'o': a->output = arg; return 0;
	case KEY_GRID_OF: a->grid_of = arg; return 0;
	case KEY_JSON: a->json = true; return 0;
	case 'q': a->quiet = true; return 0;
	case ARGP_KEY_ARG: argp_error(state, "'%s' is not an option: name the CT with --ct", arg); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&cli_attenuation_argp, 0, "From what:", 0}, {0}};
static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .children = children,
    .doc =
	"Makes a map of linear attenuation coefficients at 511 keV from a CT or from labels, for isotrace recon --mu.\v"
	"isotrace recon takes the same options and does it in one go. Without --grid-of nothing of the CT is lost; "
	"recon takes maps on any grid. See docs/attenuation.md. Examples:\n\n"
	"  isotrace mu --ct dicom/CT -o mu.nii.gz\n"
	"  isotrace mu --ct ct.nii.gz --kvp 50 --ct-offset 0,0,12.5 -o mu.nii.gz\n"
	"  isotrace mu --mu-labels labels.nii.gz --mu-table mu.csv -o mu.nii.gz\n"};

static void print_result(const arguments *a, const iso_image *mu, const iso_mu_facts *facts)
{
	const iso_grid *g = &mu->grid;
	const iso_mu_report *r = &facts->report;
	double largest = 0, sum = 0;
	for (size_t v = 0; v < iso_grid_voxels(g); v++) {
		if ((double)mu->voxels[v] > largest) largest = (double)mu->voxels[v];
		sum += (double)mu->voxels[v];
	}
	if (!a->json) {
		if (!a->quiet)
			printf("%s: %zu x %zu x %zu voxels of %.4g x %.4g x %.4g mm, at most %.4g per cm\n", a->output,
			       g->size[0], g->size[1], g->size[2], g->voxel_mm[0], g->voxel_mm[1], g->voxel_mm[2],
			       largest);
		return;
	}
	char text[96];
	json_t *root =
	    json_pack("{s:s, s:s, s:[I,I,I], s:[f,f,f], s:[f,f,f], s:f, s:f, s:s, s:s, s:f, s:I, s:f}", "output",
		      a->output, "made_from", iso_mu_text(facts, text), "size", (json_int_t)g->size[0],
		      (json_int_t)g->size[1], (json_int_t)g->size[2], "voxel_mm", g->voxel_mm[0], g->voxel_mm[1],
		      g->voxel_mm[2], "origin_mm", g->origin_mm[0], g->origin_mm[1], g->origin_mm[2], "largest_per_cm",
		      largest, "sum_ml_per_cm", sum * iso_grid_voxel_ml(g), "curve", facts->curve.source, "series_uid",
		      facts->ct.series_uid, "border_percent", 100 * r->border_share, "clamped_voxels",
		      (json_int_t)r->clamped, "extended_ml", r->extended_ml);
	(void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(root);
}

/* Only where the voxels lie is wanted of the image. */
static iso_status read_grid(const char *path, iso_grid *grid, iso_error *err)
{
	iso_image *image = NULL;
	const iso_status status = iso_nifti_read_image(path, ISO_UNIT_UNKNOWN, &image, err);
	if (status == ISO_OK) *grid = image->grid;
	iso_image_free(image);
	return status;
}

int cli_mu(int argc, char **argv)
{
	arguments a = {.attenuation = cli_attenuation_default()};
	iso_error err = {0};
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (!cli_attenuation_wanted(&a.attenuation))
		return cli_usage("mu", "say what to make the map from: --ct or --mu-labels");
	if (!a.output) return cli_usage("mu", "say with -o FILE.nii.gz where to write");
	if (cli_attenuation_check(&a.attenuation, &err) != ISO_OK) return cli_fail(&err);
	iso_grid grid;
	iso_image *mu = NULL;
	iso_mu_facts facts;
	iso_status status = a.grid_of ? read_grid(a.grid_of, &grid, &err) : ISO_OK;
	if (status == ISO_OK)
		status = cli_attenuation_make(&a.attenuation, a.grid_of ? &grid : NULL, false,
					      cli_progress(a.quiet || a.json), &mu, &facts, &err);
	if (status == ISO_OK) status = iso_mu_write(a.output, mu, &facts, &err);
	cli_progress_end();
	if (status == ISO_OK) print_result(&a, mu, &facts);
	iso_image_free(mu);
	return status == ISO_OK ? 0 : cli_fail(&err);
}
