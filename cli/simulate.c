/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/simulate_truth.h"
#include "core/error.h"

enum {
	KEY_LABELS = 256,
	KEY_TABLE,
	KEY_MU,
	KEY_ACTIVITY,
	KEY_DOSE,
	KEY_UPTAKE,
	KEY_SUBJECT,
	KEY_SEED,
	KEY_DURATION,
	KEY_SCALE,
	KEY_THREADS,
	KEY_JSON
};

typedef struct options {
	const char *scene, *output, *labels, *table, *mu, *activity, *dose, *uptake, *subject, *seed, *duration, *scale,
	    *threads;
	bool json, quiet;
} options;

static const struct argp_option option_table[] = {
    {"output", 'o', "X.lm.h5", 0, "The list-mode; the truth goes to X.truth.json beside it", 0},
    {0, 0, 0, 0, "Change the scene:", 1},
    {"uptake", KEY_UPTAKE, "F.csv", 0, "Uptakes to use instead of the scene's: organ,percent_id_per_g", 1},
    {"subject", KEY_SUBJECT, "NAME", 0, "Name of the animal", 1},
    {"seed", KEY_SEED, "N", 0, "Seed of the random numbers; the same seed gives the same events", 1},
    {"duration", KEY_DURATION, "S", 0, "Duration of the scan in seconds", 1},
    {"scale", KEY_SCALE, "FACTOR", 0, "Multiply the injected activity", 1},
    {0, 0, 0, 0, "Also write, for recon and quant:", 2},
    {"labels", KEY_LABELS, "F.nii.gz", 0, "Organ labels", 2},
    {"organ-table", KEY_TABLE, "F.csv", 0, "Names and densities (g/mL) of the labels", 2},
    {"mu", KEY_MU, "F.nii.gz", 0, "Linear attenuation at 511 keV in 1/cm", 2},
    {"activity", KEY_ACTIVITY, "F.nii.gz", 0, "Activity concentration at the start of the scan in Bq/mL", 2},
    {"dose", KEY_DOSE, "F.yaml", 0, "A dose file with the scene's injected activity", 2},
    {0, 0, 0, 0, "Running:", 3},
    {"threads", KEY_THREADS, "N", 0, "Threads; default all. The events do not depend on it", 3},
    {"json", KEY_JSON, NULL, 0, "Print the truth as JSON", 3},
    {"quiet", 'q', NULL, 0, "Print nothing", 3},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	options *o = state->input;
	switch (key) {
	case 'o': o->output = arg; return 0;
	case KEY_UPTAKE: o->uptake = arg; return 0;
	case KEY_SUBJECT: o->subject = arg; return 0;
	case KEY_SEED: o->seed = arg; return 0;
	case KEY_DURATION: o->duration = arg; return 0;
	case KEY_SCALE: o->scale = arg; return 0;
	case KEY_LABELS: o->labels = arg; return 0;
	case KEY_TABLE: o->table = arg; return 0;
	case KEY_MU: o->mu = arg; return 0;
	case KEY_ACTIVITY: o->activity = arg; return 0;
	case KEY_DOSE: o->dose = arg; return 0;
	case KEY_THREADS: o->threads = arg; return 0;
	case KEY_JSON: o->json = true; return 0;
	case 'q': o->quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (o->scene) argp_error(state, "one scene at a time; '%s' is a second one", arg);
		o->scene = arg;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "SCENE.yaml",
    .doc = "Simulates the scan of an analytic phantom by Monte Carlo: list-mode with a known truth.\v"
	   "docs/scene-file.md describes the scene, docs/simulation.md the physics. Example:\n\n"
	   "  isotrace simulate sample_data/mouse.scene.yaml -o mouse.lm.h5 --labels mouse_labels.nii.gz "
	   "--organ-table mouse_labels.csv --mu mouse_mu.nii.gz --dose mouse_dose.yaml\n",
};

/* X.lm.h5 -> X.truth.json */
static iso_status truth_name(const char *output, char name[PATH_MAX], iso_error *err)
{
	size_t stem = strlen(output);
	static const char *const endings[] = {".lm.h5", ".h5", ".hdf5"};
	for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
		const size_t length = strlen(endings[e]);
		if (stem > length && strcmp(output + stem - length, endings[e]) == 0) {
			stem -= length;
			break;
		}
	}
	if (snprintf(name, PATH_MAX, "%.*s.truth.json", (int)stem, output) >= PATH_MAX)
		return iso_fail(err, ISO_BAD_USAGE, output, "give a shorter path", "the output's name is too long");
	return ISO_OK;
}

static iso_status change_scene(const options *o, iso_scene *scene, int *threads, iso_error *err)
{
	long long whole = 0;
	double scale = 1;
	iso_status status = ISO_OK;
	if (o->seed) {
		status = cli_whole("seed", o->seed, 0, 1LL << 53, &whole, err);
		scene->seed = (uint64_t)whole;
	}
	if (status == ISO_OK && o->duration)
		status = cli_number("duration", o->duration, 1e-3, 4294966, &scene->duration_s, err);
	if (status == ISO_OK && o->scale) status = cli_number("scale", o->scale, 1e-9, 1e9, &scale, err);
	scene->injected_bq *= scale;
	*threads = 0;
	if (status == ISO_OK && o->threads) {
		status = cli_whole("threads", o->threads, 1, 4096, &whole, err);
		*threads = (int)whole;
	}
	if (status == ISO_OK && o->subject) {
		if (strlen(o->subject) >= sizeof scene->subject)
			return iso_fail(err, ISO_BAD_USAGE, NULL, "use a shorter name", "--subject is too long");
		snprintf(scene->subject, sizeof scene->subject, "%s", o->subject);
	}
	if (status == ISO_OK && o->uptake) status = truth_read_uptakes(o->uptake, scene, err);
	return status;
}

static iso_status write_truth(const options *o, const iso_scene *scene, const json_t *truth, iso_error *err)
{
	char name[PATH_MAX];
	iso_status status = truth_name(o->output, name, err);
	if (status == ISO_OK && o->labels) status = truth_write_image(o->labels, scene, ISO_TRUTH_LABELS, err);
	if (status == ISO_OK && o->table) status = truth_write_organ_table(o->table, scene, err);
	if (status == ISO_OK && o->mu) status = truth_write_image(o->mu, scene, ISO_TRUTH_MU, err);
	if (status == ISO_OK && o->activity) status = truth_write_image(o->activity, scene, ISO_TRUTH_ACTIVITY, err);
	if (status == ISO_OK && o->dose) status = truth_write_dose(o->dose, scene, err);
	if (status == ISO_OK) status = truth_write_json(name, truth, err);
	return status;
}

/* The events into the file; the truth before the file gets its name, so that whoever sees the list-mode has it all. */
static iso_status simulate(const options *o, const iso_scene *scene, int threads, json_t **truth,
			   iso_simulation_counts *counts, iso_error *err)
{
	iso_scanner *scanner = NULL;
	iso_listmode_writer *writer = NULL;
	const iso_acquisition acquisition = iso_scene_acquisition(scene);
	iso_status status = iso_scene_scanner(scene, &scanner, err);
	json_t *facts = truth_json(scene, o->scene, NULL);
	char *provenance = facts ? json_dumps(facts, JSON_REAL_PRECISION(12)) : NULL;
	json_decref(facts);
	if (status == ISO_OK && !provenance) status = iso_fail_memory(err, "the provenance", 0);
	if (status == ISO_OK) status = iso_listmode_create(o->output, scanner, &acquisition, provenance, &writer, err);
	free(provenance);
	iso_scanner_free(scanner);
	if (status != ISO_OK) return status;
	const iso_event_sink sink = iso_listmode_sink(writer);
	status = iso_simulate(scene, &sink, threads, cli_progress(o->quiet), counts, err);
	cli_progress_end();
	*truth = truth_json(scene, o->scene, counts);
	if (status == ISO_OK) status = write_truth(o, scene, *truth, err);
	if (status != ISO_OK) {
		iso_listmode_discard(writer);
		return status;
	}
	const iso_event_counts fate = iso_simulation_event_counts(counts, scene->duration_s);
	return iso_listmode_commit(writer, &fate, scene->duration_s, err);
}

static void print_table(const iso_scene *scene, const iso_simulation_counts *counts)
{
	printf("%-12s %10s %10s %14s %9s %9s\n", "organ", "volume/mL", "mass/g", "activity/Bq", "%ID", "%ID/g");
	for (size_t o = 0; o < scene->phantom.organs; o++) {
		const iso_phantom_organ *organ = &scene->phantom.organ[o];
		printf("%-12s %10.4f %10.4f %14.0f %9.3f %9.3f\n", organ->name, organ->volume_ml, organ->mass_g,
		       organ->activity_bq, organ->percent_id_per_g * organ->mass_g, organ->percent_id_per_g);
	}
	printf("activity at the start of the scan; %%ID decay-corrected to injection\n"
	       "%.0f decays, %llu true and %llu random prompts, %llu delayeds in %g s\n",
	       counts->decays, (unsigned long long)counts->trues, (unsigned long long)counts->randoms,
	       (unsigned long long)counts->delayeds, scene->duration_s);
	if (scene->electronics.on)
		printf(
		    "%llu scattered prompts, %llu with a prompt gamma, %llu of the crystals' activity; %llu singles, "
		    "%llu photons lost to dead time, %llu piled up\n",
		    (unsigned long long)counts->scattered, (unsigned long long)counts->prompt_gammas,
		    (unsigned long long)counts->background, (unsigned long long)counts->singles,
		    (unsigned long long)counts->lost_dead_time, (unsigned long long)counts->piled_up);
}

int cli_simulate(int argc, char **argv)
{
	options o = {.scene = NULL};
	if (!cli_parse(&argp, argc, argv, &o)) return 2;
	if (!o.scene) return cli_usage("simulate", "which scene?");
	if (!o.output) return cli_usage("simulate", "say where the list-mode goes with -o X.lm.h5");
	iso_error err = {.status = ISO_OK};
	iso_scene *scene = NULL;
	json_t *truth = NULL;
	iso_simulation_counts counts;
	int threads = 0;
	iso_status status = iso_scene_read(o.scene, &scene, &err);
	if (status == ISO_OK) status = change_scene(&o, scene, &threads, &err);
	if (status == ISO_OK) {
		status = iso_scene_prepare(scene, &err);
		if (status != ISO_OK && !err.file[0]) snprintf(err.file, sizeof err.file, "%s", o.scene);
	}
	if (status == ISO_OK) status = simulate(&o, scene, threads, &truth, &counts, &err);
	int code = 0;
	if (status != ISO_OK)
		code = cli_fail(&err);
	else if (o.json) {
		(void)json_dumpf(truth, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else if (!o.quiet)
		print_table(scene, &counts);
	json_decref(truth);
	iso_scene_free(scene);
	return code;
}
