/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/attenuation.h"
#include "cli/cli.h"
#include "cli/recon_detector.h"
#include "cli/recon_gates.h"
#include "cli/recon_grid.h"
#include "cli/recon_report.h"
#include "cli/recon_scatter.h"
#include "core/error.h"
#include "core/file_hash.h"
#include "core/note.h"
#include "core/output.h"
#include "core/stopwatch.h"

enum {
	KEY_GRID = 256,
	KEY_VOXEL,
	KEY_CENTRE,
	KEY_ALGORITHM,
	KEY_BETA,
	KEY_GAMMA,
	KEY_RELAXATION,
	KEY_REGIONS,
	KEY_STOP,
	KEY_OBJECTIVE,
	KEY_CHECKPOINT,
	KEY_CHECKPOINT_EVERY,
	KEY_NO_RESUME,
	KEY_ITERATIONS,
	KEY_SUBSETS,
	KEY_PSF,
	KEY_TAIL_SHARE,
	KEY_TAIL_FWHM,
	KEY_RANGE,
	KEY_FILTER,
	KEY_RANDOMS,
	KEY_MU,
	KEY_FRAMES,
	KEY_NUCLIDE,
	KEY_NO_DECAY,
	KEY_CALIBRATION,
	KEY_CALIBRATION_UNCERTAINTY,
	KEY_CALIBRATION_FILE,
	KEY_UNCALIBRATED,
	KEY_REPLICATES,
	KEY_CACHE,
	KEY_LINES,
	KEY_MEMORY,
	KEY_SCRATCH,
	KEY_THREADS,
	KEY_MAP,
	KEY_COMPLETE,
	KEY_DEPTH,
	KEY_JSON
};

static const struct argp_option option_table[] = {
    {"output", 'o', "FILE.nii.gz", 0, "Volume to write, with FILE.json beside it; needed", 0},
    {NULL, 0, NULL, 0, "Image:", 1},
    {"grid", KEY_GRID, "NX,NY,NZ", 0, "Voxels; default: as many as cover the scanner's field of view", 1},
    {"voxel", KEY_VOXEL, "MM[,MM,MM]", 0, "Voxel edges in mm; default: half a crystal", 1},
    {"centre", KEY_CENTRE, "X,Y,Z", 0, "Centre of the image in mm; default: of the scanner", 1},
    {NULL, 0, NULL, 0, "Algorithm:", 2},
    {"algorithm", KEY_ALGORITHM, "NAME", 0,
     "osem: maximum likelihood, fast, to be stopped before it fits the noise (default); mlem: the same with one "
     "subset; bsrem: "
     "penalised likelihood, which may run until nothing changes and is then as smooth as --beta says",
     2},
    {"iterations", KEY_ITERATIONS, "N", 0, "Passes over all events, at most; default 4, with bsrem 20", 2},
    {"subsets", KEY_SUBSETS, "N", 0, "Subsets interleaved in time; default 8", 2},
    {"stop-change", KEY_STOP, "REL", 0,
     "Stop when an iteration changes the image by less than this part of it (root of the sum of squares), such as "
     "0.001; "
     "default 0, never",
     2},
    {"beta", KEY_BETA, "MM2", 0,
     "bsrem: strength of the relative difference prior in mm2; a larger one smooths more; its effect depends on "
     "neither counts nor "
     "voxel size; default 1",
     2},
    {"gamma", KEY_GAMMA, "G", 0, "bsrem: how much the prior spares edges; 0 not at all; default 2", 2},
    {"prior-regions", KEY_REGIONS, "LABELS.nii.gz", 0,
     "bsrem: smooth only within each of these regions, such as the organs of a CT, not across their borders", 2},
    {"relaxation", KEY_RELAXATION, "C", 0,
     "bsrem: steps shrink as 1/(1 + C n) with the iteration n; larger settles sooner but may settle short of the "
     "solution; "
     "default 0.1",
     2},
    {"objective", KEY_OBJECTIVE, NULL, 0, "Print the (penalised) log-likelihood of each iteration", 2},
    {"psf-fwhm", KEY_PSF, "MM", 0, "Resolution model, Gaussian of this FWHM in mm; default 0, none", 2},
    {"psf-tail-share", KEY_TAIL_SHARE, "SHARE", 0, "Part of the pairs that a wider Gaussian describes; default 0", 2},
    {"psf-tail-fwhm", KEY_TAIL_FWHM, "MM", 0, "Its FWHM in mm", 2},
    {"positron-range", KEY_RANGE, NULL, 0,
     "Follow positrons out of thin tissue such as lung and through the skin; needs --mu and a nuclide with a known "
     "range",
     2},
    {"post-filter", KEY_FILTER, "FILTER", 0, "gaussian:FWHM_MM or butterworth:CUTOFF_PER_MM,ORDER; default: none", 2},
    {"replicates", KEY_REPLICATES, "N", 0,
     "Independent images of 1/N of the events each, from which uncertainties follow; 0 = none; default 5", 2},
    {NULL, 0, NULL, 0, "Corrections:", 3},
    {"randoms", KEY_RANDOMS, "delayed|singles|none", 0,
     "From delayed events, or from the rates of singles; default: delayed where the file has any", 3},
    {"mu", KEY_MU, "FILE.nii.gz", 0, "Map of linear attenuation coefficients in 1/cm; default: not corrected", 3},
    {"nuclide", KEY_NUCLIDE, "NAME", 0, "Such as Cu-64; default: as the list-mode states", 3},
    {"no-decay-correction", KEY_NO_DECAY, NULL, 0, "Do not correct to the start of the acquisition", 3},
    {"calibration", KEY_CALIBRATION_FILE, "FILE.json", 0, "Of this scanner, made by isotrace calibrate", 3},
    {"calibration-factor", KEY_CALIBRATION, "F", 0,
     "Bq/mL per counts/s/mm for branching 1; default: as the scanner states", 3},
    {"calibration-uncertainty", KEY_CALIBRATION_UNCERTAINTY, "REL", 0, "Of that factor: relative, k = 1", 3},
    {"uncalibrated", KEY_UNCALIBRATED, NULL, 0, "Leave the image in counts/s/mm", 3},
    {"frames", KEY_FRAMES, "TABLE.csv", 0,
     "Time frames: start_s,duration_s from the start of the acquisition; default: one", 3},
    {NULL, 0, NULL, 0, "Scanner exports that are not native list-mode:", 4},
    {"crystal-map", KEY_MAP, "FILE", 0, "SAFIR: text table of ring, det, [layer,] x, y, z in mm", 4},
    {"mean-depth", KEY_DEPTH, "MM", 0, "PETLINK: mean depth of interaction, for an unknown scanner", 4},
    {"require-complete", KEY_COMPLETE, NULL, 0,
     "Refuse a file with fewer records than its header says, instead of warning", 4},
    {NULL, 0, NULL, 0, "Machine:", 5},
    {"sensitivity-cache", KEY_CACHE, "DIR", 0,
     "Keeps sensitivity images between runs; 'none'; default $XDG_CACHE_HOME/isotrace or ~/.cache/isotrace", 5},
    {"sensitivity-lines", KEY_LINES, "N", 0, "Lines for the sensitivity image; 0 = all; default 20000000", 5},
    {"max-memory", KEY_MEMORY, "BYTES", 0, "For events, as 4G; default: half of the machine's", 5},
    {"scratch", KEY_SCRATCH, "DIR", 0, "For events beyond --max-memory; default: $TMPDIR or /tmp", 5},
    {"threads", KEY_THREADS, "N", 0, "Default: all; the result does not depend on it", 5},
    {"checkpoint", KEY_CHECKPOINT, "DIR", 0,
     "Keeps finished iterations, so that the same command after a crash goes on from there to the same bits; 'none'; "
     "removed when "
     "the result is written; default: .FILE.nii.gz.checkpoint beside the output",
     5},
    {"checkpoint-every", KEY_CHECKPOINT_EVERY, "SECONDS", 0,
     "At least so long between two checkpoints; 0: after each iteration; default 2", 5},
    {"no-resume", KEY_NO_RESUME, NULL, 0, "Begin anew, whatever a killed run has left", 5},
    {"json", KEY_JSON, NULL, 0, "Print what was done as JSON", 5},
    {"quiet", 'q', NULL, 0, "Print nothing but errors", 5},
    {0}};

typedef struct arguments {
	iso_recon_options recon;
	iso_export_options export;
	const char *input, *output, *mu, *frames, *nuclide, *randoms, *cache, *checkpoint, *regions;
	cli_grid_wish wish;
	bool uncalibrated, json, quiet;
	cli_attenuation attenuation;
	const char *calibration_path;
	iso_calibration calibration;
	char mu_source[96];
	bool have_iterations, have_subsets, have_penalty, no_resume;
	char cache_path[PATH_MAX], checkpoint_path[PATH_MAX];
	iso_recon_times times;
	cli_scatter scatter;
	double start_s; /* of the verb */
	iso_error err;
	cli_recon_detector detector;
	cli_recon_gates gates;
	/* read */
	iso_events *events;
	iso_image *mu_image, *region_labels;
	iso_frame *frame;
} arguments;

/* gaussian:2.5 or butterworth:0.2,4 */
static void take_filter(arguments *a, const char *text)
{
	iso_filter *f = &a->recon.post_filter;
	iso_error err;
	char rest;
	if (sscanf(text, "gaussian:%lf%c", &f->fwhm_mm, &rest) == 1 && f->fwhm_mm > 0)
		f->kind = ISO_FILTER_GAUSSIAN;
	else if (sscanf(text, "butterworth:%lf,%lf%c", &f->cutoff_per_mm, &f->order, &rest) == 2 &&
		 f->cutoff_per_mm > 0 && f->order > 0)
		f->kind = ISO_FILTER_BUTTERWORTH;
	else
		cli_keep(&a->err,
			 iso_fail(&err, ISO_BAD_USAGE, NULL, "give gaussian:FWHM_MM or butterworth:CUTOFF_PER_MM,ORDER",
				  "--post-filter %s is no filter", text),
			 &err);
}

static error_t parse_algorithm(int key, char *arg, struct argp_state *state)
{
	arguments *a = state->input;
	iso_recon_options *o = &a->recon;
	switch (key) {
	case KEY_ALGORITHM:
		if (strcmp(arg, "osem") == 0)
			o->algorithm = ISO_ALGORITHM_OSEM;
		else if (strcmp(arg, "mlem") == 0)
			o->algorithm = ISO_ALGORITHM_MLEM;
		else if (strcmp(arg, "bsrem") == 0)
			o->algorithm = ISO_ALGORITHM_BSREM;
		else
			argp_error(state, "--algorithm is osem, mlem or bsrem, not '%s'", arg);
		return 0;
	case KEY_ITERATIONS:
		o->iterations = (unsigned)cli_take_whole(&a->err, "iterations", arg, 1, 100000);
		a->have_iterations = true;
		return 0;
	case KEY_SUBSETS:
		o->subsets = (unsigned)cli_take_whole(&a->err, "subsets", arg, 1, 100000);
		a->have_subsets = true;
		return 0;
	case KEY_STOP: cli_take_number(&a->err, "stop-change", arg, 0, 0.999999, &o->stop_change); return 0;
	case KEY_OBJECTIVE: o->say_objective = true; return 0;
	case KEY_BETA: cli_take_number(&a->err, "beta", arg, 0, 1e5, &o->beta_mm2); break;
	case KEY_GAMMA: cli_take_number(&a->err, "gamma", arg, 0, 1000, &o->gamma); break;
	case KEY_REGIONS: a->regions = arg; break;
	case KEY_RELAXATION: cli_take_number(&a->err, "relaxation", arg, 0, 1000, &o->relaxation); break;
	default: return ARGP_ERR_UNKNOWN;
	}
	a->have_penalty = true;
	return 0;
}

static error_t parse_machine(int key, char *arg, arguments *a)
{
	iso_error err;
	switch (key) {
	case KEY_MAP: a->export.crystal_map_path = arg; return 0;
	case KEY_COMPLETE: a->export.require_complete = true; return 0;
	case KEY_DEPTH: cli_take_number(&a->err, "mean-depth", arg, 0, 1000, &a->export.mean_depth_mm); return 0;
	case KEY_CACHE: a->cache = arg; return 0;
	case KEY_LINES:
		a->recon.sensitivity_lines = (uint64_t)cli_take_whole(&a->err, "sensitivity-lines", arg, 0, LLONG_MAX);
		return 0;
	case KEY_MEMORY:
		cli_keep(&a->err, cli_bytes("max-memory", arg, &a->recon.max_memory_bytes, &err), &err);
		return 0;
	case KEY_CHECKPOINT: a->checkpoint = arg; return 0;
	case KEY_CHECKPOINT_EVERY:
		cli_take_number(&a->err, "checkpoint-every", arg, 0, 1e6, &a->recon.checkpoint_every_s);
		return 0;
	case KEY_NO_RESUME: a->no_resume = true; return 0;
	case KEY_SCRATCH: a->recon.scratch_folder = arg; return 0;
	case KEY_THREADS: a->recon.threads = (int)cli_take_whole(&a->err, "threads", arg, 1, 4096); return 0;
	case KEY_JSON: a->json = true; return 0;
	case 'q': a->quiet = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	arguments *a = state->input;
	iso_recon_options *o = &a->recon;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &a->detector;
		state->child_inputs[1] = &a->attenuation;
		state->child_inputs[2] = &a->scatter;
		state->child_inputs[3] = &a->gates;
		return 0;
	case 'o': a->output = arg; return 0;
	case KEY_GRID:
		cli_take_triple(&a->err, "grid", arg, a->wish.grid);
		a->wish.have_grid = true;
		return 0;
	case KEY_VOXEL:
		cli_take_triple(&a->err, "voxel", arg, a->wish.voxel);
		a->wish.have_voxel = true;
		return 0;
	case KEY_CENTRE:
		cli_take_triple(&a->err, "centre", arg, a->wish.centre);
		a->wish.have_centre = true;
		return 0;
	case KEY_RANGE: o->positron_range = true; return 0;
	case KEY_TAIL_SHARE: cli_take_number(&a->err, "psf-tail-share", arg, 0, 1, &o->psf_tail_share); return 0;
	case KEY_TAIL_FWHM: cli_take_number(&a->err, "psf-tail-fwhm", arg, 0, 1000, &o->psf_tail_fwhm_mm); return 0;
	case KEY_PSF: cli_take_number(&a->err, "psf-fwhm", arg, 0, 1000, &o->psf_fwhm_mm); return 0;
	case KEY_FILTER: take_filter(a, arg); return 0;
	case KEY_REPLICATES:
		o->replicates = (size_t)cli_take_whole(&a->err, "replicates", arg, 0, 1000);
		if (o->replicates == 1) argp_error(state, "--replicates 1 shows no spread: give 0 or at least 2");
		return 0;
	case KEY_RANDOMS:
		if (strcmp(arg, "delayed") != 0 && strcmp(arg, "singles") != 0 && strcmp(arg, "none") != 0)
			argp_error(state, "--randoms is delayed, singles or none, not '%s'", arg);
		a->randoms = arg;
		return 0;
	case KEY_MU: a->mu = arg; return 0;
	case KEY_NUCLIDE: a->nuclide = arg; return 0;
	case KEY_NO_DECAY: o->decay_correction = false; return 0;
	case KEY_CALIBRATION:
		cli_take_number(&a->err, "calibration-factor", arg, 1e-30, 1e30, &o->calibration_factor);
		return 0;
	case KEY_CALIBRATION_FILE: a->calibration_path = arg; return 0;
	case KEY_CALIBRATION_UNCERTAINTY:
		cli_take_number(&a->err, "calibration-uncertainty", arg, 0, 10, &o->calibration_uncertainty);
		return 0;
	case KEY_UNCALIBRATED: a->uncalibrated = true; return 0;
	case KEY_FRAMES: a->frames = arg; return 0;
	case ARGP_KEY_ARG:
		if (a->input) argp_error(state, "one list-mode at a time; '%s' is a second one", arg);
		a->input = arg;
		return 0;
	default: return parse_algorithm(key, arg, state) == 0 ? 0 : parse_machine(key, arg, a);
	}
}

static const struct argp_child children[] = {{&cli_recon_detector_argp, 0, NULL, 3},
					     {&cli_attenuation_argp, 0, "Attenuation, instead of --mu:", 4},
					     {&cli_scatter_argp, 0, NULL, 0},
					     {&cli_recon_gates_argp, 0, NULL, 0},
					     {0}};

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .children = children,
    .args_doc = "LISTMODE",
    .doc = "Reconstructs list-mode (native, or any export that isotrace convert reads) into a volume by list-mode "
	   "OSEM, MLEM or BSREM. A killed run goes on where it was when it is started again.\v"
	   "The result is in Bq/mL when a calibration factor and the nuclide are known; without a factor say "
	   "--uncalibrated. Examples:\n\n"
	   "  isotrace recon M01.lm.h5 -o M01.nii.gz --psf-fwhm 1.2\n"
	   "  isotrace recon scan.l.hdr -o scan.nii.gz --uncalibrated --voxel 4 --algorithm mlem --iterations 10\n"
	   "  isotrace recon M01.lm.h5 -o M01.nii.gz --algorithm bsrem --beta 2 --iterations 50 --stop-change 1e-3\n"
	   "  isotrace recon M01.lm.h5 -o M01.nii.gz --algorithm bsrem --prior-regions M01.labels.nii.gz\n"
	   "  isotrace recon M01.lm.h5 -o M01.nii.gz --gates 8 --triggers ecg.csv --trigger-kind cardiac\n"};

static iso_status has_delayeds(iso_events *events, bool *found, iso_error *err)
{
	enum { BATCH = 4096 };
	/* native list-mode knows before it is read */
	iso_event_counts known = {0};
	iso_events_counts(events, &known);
	*found = known.delayeds > 0;
	if (known.prompts + known.delayeds == iso_events_total(events)) return ISO_OK;
	iso_event *batch = malloc(BATCH * sizeof *batch);
	size_t count = 1;
	if (!batch) return iso_fail_memory(err, "events", BATCH * sizeof *batch);
	iso_status status = iso_events_seek(events, 0, err);
	while (status == ISO_OK && count && !*found) {
		status = iso_events_read(events, batch, BATCH, &count, err);
		for (size_t n = 0; n < count && !*found; n++) *found = batch[n].kind == ISO_EVENT_DELAYED;
	}
	free(batch);
	return status;
}

static void say(const arguments *a, const char *line)
{
	iso_note(a->recon.progress, "%s", line);
}

static iso_status choose_randoms(arguments *a)
{
	bool found = false;
	a->recon.randoms = ISO_RANDOMS_NONE;
	if (a->randoms && strcmp(a->randoms, "delayed") == 0) a->recon.randoms = ISO_RANDOMS_DELAYED;
	if (a->randoms && strcmp(a->randoms, "singles") == 0) a->recon.randoms = ISO_RANDOMS_SINGLES;
	if (a->randoms) return ISO_OK;
	const iso_status status = has_delayeds(a->events, &found, &a->err);
	if (found) a->recon.randoms = ISO_RANDOMS_DELAYED;
	say(a, found ? "randoms: from the delayed events"
		     : "randoms: not corrected, the list-mode holds no delayed events");
	return status;
}

/* Nuclide and calibration: what is asked for, else what the list-mode states. */
static iso_status choose_calibration(arguments *a)
{
	const iso_acquisition *facts = iso_events_acquisition(a->events);
	const char *name = a->nuclide ? a->nuclide : facts->nuclide;
	if (name[0]) {
		const iso_status status =
		    iso_nuclide_find(name, a->nuclide ? NULL : a->input, &a->recon.nuclide, &a->err);
		if (status != ISO_OK) return status;
	} else
		say(a, "the list-mode names no nuclide (--nuclide): no decay correction");
	a->recon.calibrate = !a->uncalibrated;
	if (!a->calibration_path) return ISO_OK;
	a->recon.calibration = &a->calibration;
	return iso_calibration_read(a->calibration_path, &a->calibration, &a->err);
}

static void choose_cache(arguments *a)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (a->cache) {
		a->recon.sensitivity_cache = strcmp(a->cache, "none") == 0 ? NULL : a->cache;
		return;
	}
	int n = -1;
	if (base && base[0] == '/')
		n = snprintf(a->cache_path, sizeof a->cache_path, "%s/isotrace", base);
	else if (home && home[0])
		n = snprintf(a->cache_path, sizeof a->cache_path, "%s/.cache/isotrace", home);
	if (n > 0 && (size_t)n < sizeof a->cache_path) a->recon.sensitivity_cache = a->cache_path;
}

/* .NAME.nii.gz.checkpoint beside the output. */
static iso_status choose_checkpoint(arguments *a)
{
	const char *name = iso_base_name(a->output);
	a->recon.checkpoint = a->checkpoint_path;
	int n;
	if (a->checkpoint)
		n = snprintf(a->checkpoint_path, sizeof a->checkpoint_path, "%s", a->checkpoint);
	else
		n = snprintf(a->checkpoint_path, sizeof a->checkpoint_path, "%.*s.%s.checkpoint",
			     (int)(name - a->output), a->output, name);
	if (n < 0 || (size_t)n >= sizeof a->checkpoint_path)
		return iso_fail(&a->err, ISO_BAD_USAGE, a->output, "give a shorter path",
				"the checkpoint's name is too long");
	if (a->no_resume) iso_recon_checkpoint_remove(a->recon.checkpoint);
	if ((a->checkpoint && strcmp(a->checkpoint, "none") == 0) || a->recon.background) a->recon.checkpoint = NULL;
	return ISO_OK;
}

static iso_status prepare(arguments *a)
{
	iso_status status = iso_export_open(a->input, &a->export, &a->events, &a->err);
	if (status == ISO_OK && a->frames) {
		status = iso_frame_table_read(a->frames, &a->frame, &a->recon.frames, &a->err);
		a->recon.frame = a->frame;
	}
	if (status == ISO_OK && a->mu) {
		status = iso_mu_read(a->mu, &a->mu_image, a->mu_source, &a->err);
		a->recon.mu = a->mu_image;
		if (a->mu_source[0]) a->recon.mu_source = a->mu_source;
	}
	if (status == ISO_OK && a->regions) {
		status = iso_nifti_read_image(a->regions, ISO_UNIT_LABEL, &a->region_labels, &a->err);
		a->recon.prior_regions = a->region_labels;
		a->recon.prior_regions_source = iso_base_name(a->regions);
	}
	if (status == ISO_OK) status = cli_recon_detector_read(&a->detector, &a->err);
	if (status == ISO_OK)
		status = cli_recon_gates_read(&a->gates, iso_events_acquisition(a->events), &a->recon, &a->err);
	if (status != ISO_OK) return status;
	iso_export_note_warnings(a->events, a->recon.progress);
	a->recon.grid = cli_choose_grid(&a->wish, iso_events_scanner(a->events));
	choose_cache(a);
	const iso_grid *g = &a->recon.grid;
	char line[200];
	snprintf(line, sizeof line,
		 "grid: %zu x %zu x %zu voxels of %.4g x %.4g x %.4g mm around (%.4g, %.4g, %.4g) mm", g->size[0],
		 g->size[1], g->size[2], g->voxel_mm[0], g->voxel_mm[1], g->voxel_mm[2], a->wish.centre[0],
		 a->wish.centre[1], a->wish.centre[2]);
	say(a, line);
	if (cli_attenuation_wanted(&a->attenuation)) {
		iso_mu_facts facts;
		status =
		    cli_attenuation_make(&a->attenuation, g, true, a->recon.progress, &a->mu_image, &facts, &a->err);
		if (status != ISO_OK) return status;
		a->recon.mu = a->mu_image;
		a->recon.mu_source = iso_mu_text(&facts, a->mu_source);
	}
	status = choose_calibration(a);
	if (status != ISO_OK) return status;
	const char *scatter = cli_scatter_choose(&a->scatter, iso_events_acquisition(a->events), line, sizeof line);
	if (scatter) say(a, scatter);
	return choose_randoms(a);
}

static iso_status write_volume(arguments *a, iso_volume *volume, const char sha256[65])
{
	snprintf(volume->facts.input, sizeof volume->facts.input, "%s", iso_base_name(a->input));
	snprintf(volume->facts.input_sha256, sizeof volume->facts.input_sha256, "%s", sha256);
	return iso_volume_write(a->output, volume, &a->err);
}

static iso_status reconstruct(arguments *a)
{
	iso_volume *volume = NULL;
	iso_file_hash *hash = NULL;
	char identity[64], sha256[65];
	a->recon.times = &a->times;
	iso_file_identity(a->input, identity);
	a->recon.events_id = identity;
	iso_status status = iso_file_hash_begin(a->input, &hash, &a->err);
	if (status == ISO_OK) status = iso_reconstruct(a->events, &a->recon, &volume, &a->err);
	const bool done = status == ISO_OK;
	if (!done && !a->err.file[0]) snprintf(a->err.file, sizeof a->err.file, "%s", a->input);
	if (iso_file_hash_finish(hash, done ? sha256 : NULL, &a->err) != ISO_OK) status = ISO_IO;
	if (status == ISO_OK) status = write_volume(a, volume, sha256);
	if (status == ISO_OK) status = cli_scatter_write(&a->scatter, &a->err);
	if (status == ISO_OK && a->recon.checkpoint) iso_recon_checkpoint_remove(a->recon.checkpoint);
	cli_progress_end();
	if (status == ISO_OK) {
		const cli_recon_report report = {.output = a->output,
						 .times = &a->times,
						 .whole_s = iso_clock_s() - a->start_s,
						 .json = a->json,
						 .quiet = a->quiet};
		cli_recon_print(&report, volume);
	}
	iso_volume_free(volume);
	return status;
}

/* Finds out before the work, not after it, that there is nowhere to write to. */
static iso_status check_output(arguments *a)
{
	char folder[PATH_MAX];
	const size_t length = strlen(a->output);
	if (length < 8 || strcmp(a->output + length - 7, ".nii.gz") != 0)
		return iso_fail(&a->err, ISO_BAD_USAGE, a->output, "give -o FILE.nii.gz",
				"the output's name does not end in .nii.gz");
	snprintf(folder, sizeof folder, "%s", a->output);
	char *slash = strrchr(folder, '/');
	if (slash) slash[slash == folder] = '\0';
	if (access(slash ? folder : ".", W_OK | X_OK) != 0)
		return iso_fail_errno(&a->err, slash ? folder : ".", "cannot write into the folder");
	return ISO_OK;
}

/* Options that contradict each other are reported; defaults that depend on the algorithm are filled in. */
static bool check_algorithm(arguments *a)
{
	iso_recon_options *o = &a->recon;
	if (o->algorithm == ISO_ALGORITHM_MLEM && a->have_subsets && o->subsets != 1) {
		(void)cli_usage("recon", "--algorithm mlem contradicts --subsets %u", o->subsets);
		return false;
	}
	if (o->algorithm == ISO_ALGORITHM_MLEM) o->subsets = 1;
	if (o->algorithm != ISO_ALGORITHM_BSREM && a->have_penalty) {
		(void)cli_usage("recon", "--beta, --gamma, --prior-regions and --relaxation need --algorithm bsrem");
		return false;
	}
	if (o->algorithm == ISO_ALGORITHM_BSREM && !a->have_iterations) o->iterations = 20;
	return true;
}

int cli_recon(int argc, char **argv)
{
	arguments a = {.recon = iso_recon_options_default(),
		       .export = iso_export_options_default(),
		       .attenuation = cli_attenuation_default(),
		       .gates = cli_recon_gates_default(),
		       .start_s = iso_clock_s()};
	a.recon.replicates = 5;
	a.recon.sensitivity_lines = 20000000;
	a.recon.checkpoint_every_s = 2;
	a.detector.recon = &a.recon;
	a.scatter.recon = &a.recon;
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	cli_keep(&a.err, a.scatter.err.status, &a.scatter.err);
	cli_keep(&a.err, a.detector.err.status, &a.detector.err);
	cli_keep(&a.err, a.gates.err.status, &a.gates.err);
	if (a.err.status != ISO_OK) return cli_fail(&a.err);
	if (!a.input) return cli_usage("recon", "name the list-mode to reconstruct");
	if (!a.output) return cli_usage("recon", "say with -o FILE.nii.gz where to write");
	if (a.uncalibrated && !isnan(a.recon.calibration_factor))
		return cli_usage("recon", "--uncalibrated contradicts --calibration-factor");
	if (!isnan(a.recon.calibration_uncertainty) && isnan(a.recon.calibration_factor))
		return cli_usage("recon", "--calibration-uncertainty needs --calibration-factor");
	if (a.calibration_path && (a.uncalibrated || !isnan(a.recon.calibration_factor)))
		return cli_usage("recon", "--calibration contradicts --calibration-factor and --uncalibrated");
	if (a.mu && cli_attenuation_wanted(&a.attenuation))
		return cli_usage("recon", "--mu contradicts --ct and --mu-labels");
	const char *contradiction = cli_recon_gates_contradiction(&a.gates, a.frames != NULL);
	if (contradiction) return cli_usage("recon", "%s", contradiction);
	if (cli_attenuation_check(&a.attenuation, &a.err) != ISO_OK) return cli_fail(&a.err);
	if (!check_algorithm(&a)) return 2;
	a.recon.progress = cli_progress(a.quiet || a.json);
	iso_status status = check_output(&a);
	if (status == ISO_OK) status = choose_checkpoint(&a);
	if (status == ISO_OK) status = prepare(&a);
	if (status == ISO_OK) status = reconstruct(&a);
	iso_events_close(a.events);
	iso_image_free(a.mu_image);
	iso_image_free(a.region_labels);
	cli_recon_detector_release(&a.detector);
	cli_recon_gates_release(&a.gates);
	free(a.frame);
	return status == ISO_OK ? 0 : cli_fail(&a.err);
}
