/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SCENE.yaml, described in docs/scene-file.md. Every number is taken as text and converted here, because libcyaml would
 * read "600 s" as 600. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "core/output.h"
#include "io/yaml.h"
#include "isotrace/nifti.h"
#include "isotrace/simulate.h"
#include "isotrace/time.h"

/* ---- the file's keys ---- */

typedef struct detector_text {
	char *name, *rings, *crystals_per_ring, *radius_mm, *mean_depth_mm, *ring_spacing_mm, *first_angle_deg;
	char **crystal_size_mm, **block_crystals;
	char *crystal_material, *attenuation_per_mm, *energy_resolution_percent;
	char **energy_window_kev;
	char *photofraction, *time_resolution_ps, *tof_bin_ps, *coincidence_window_ns, *max_transaxial_offset_mm,
	    *max_axial_difference_mm, *calibration_factor, *calibration_uncertainty_percent;
} detector_text;

typedef struct physics_text {
	char *positron_range, *acollinearity, *attenuation, *randoms, *scatter, *prompt_gammas, *lutetium_background;
} physics_text;

typedef struct electronics_text {
	char *dead_time_model, *dead_time_ns, *pile_up_ns, *trigger_kev, *multiples, *delayed_offset_ns,
	    *efficiency_spread_percent, *efficiency_distribution, *efficiency_seed, *singles_interval_s;
} electronics_text;

typedef struct grid_text {
	char **size, **voxel_mm, **centre_mm;
} grid_text;

typedef struct term_text {
	char *percent_id_per_g, *half_life_s;
} term_text;

typedef struct organ_text {
	char *organ, *label, *material, *density_g_per_ml, *mu_per_cm, *percent_id_per_g;
	term_text *time_course;
	unsigned time_course_count;
} organ_text;

typedef struct shape_text {
	char *organ, *kind;
	char **centre_mm, **half_axes_mm, **rotation_deg;
} shape_text;

typedef struct scene_text {
	char *nuclide, *tracer, *subject, *injected_mbq, *injection_time, *scan_start_time, *duration_s, *seed,
	    *label_volume;
	physics_text *physics;
	detector_text *detector;
	electronics_text *electronics;
	grid_text *truth_grid;
	organ_text *organs;
	unsigned organs_count;
	shape_text *shapes;
	unsigned shapes_count;
} scene_text;

/* clang-format off */
#define TEXT(type, key) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, key, 0, 200)
#define LIST(type, key, n) \
	CYAML_FIELD_SEQUENCE_FIXED(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, key, &word, n)
#define PART(key, fields) \
	CYAML_FIELD_MAPPING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, scene_text, key, fields)

static const cyaml_schema_value_t word = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 200)};
static const cyaml_schema_field_t detector_fields[] = {
    TEXT(detector_text, name), TEXT(detector_text, rings), TEXT(detector_text, crystals_per_ring),
    TEXT(detector_text, radius_mm), TEXT(detector_text, mean_depth_mm), TEXT(detector_text, ring_spacing_mm),
    TEXT(detector_text, first_angle_deg), LIST(detector_text, crystal_size_mm, 3), LIST(detector_text, block_crystals, 2),
    TEXT(detector_text, crystal_material), TEXT(detector_text, attenuation_per_mm), TEXT(detector_text, energy_resolution_percent),
    LIST(detector_text, energy_window_kev, 2), TEXT(detector_text, photofraction),
    TEXT(detector_text, time_resolution_ps), TEXT(detector_text, tof_bin_ps),
    TEXT(detector_text, coincidence_window_ns), TEXT(detector_text, max_transaxial_offset_mm),
    TEXT(detector_text, max_axial_difference_mm), TEXT(detector_text, calibration_factor),
    TEXT(detector_text, calibration_uncertainty_percent), CYAML_FIELD_END,
};
static const cyaml_schema_field_t physics_fields[] = {
    TEXT(physics_text, positron_range), TEXT(physics_text, acollinearity), TEXT(physics_text, attenuation),
    TEXT(physics_text, randoms), TEXT(physics_text, scatter), TEXT(physics_text, prompt_gammas),
    TEXT(physics_text, lutetium_background), CYAML_FIELD_END,
};
static const cyaml_schema_field_t electronics_fields[] = {
    TEXT(electronics_text, dead_time_model), TEXT(electronics_text, dead_time_ns), TEXT(electronics_text, pile_up_ns),
    TEXT(electronics_text, trigger_kev), TEXT(electronics_text, multiples), TEXT(electronics_text, delayed_offset_ns),
    TEXT(electronics_text, efficiency_spread_percent), TEXT(electronics_text, efficiency_distribution),
    TEXT(electronics_text, efficiency_seed),
    TEXT(electronics_text, singles_interval_s), CYAML_FIELD_END,
};
static const cyaml_schema_field_t grid_fields[] = {
    LIST(grid_text, size, 3), LIST(grid_text, voxel_mm, 3), LIST(grid_text, centre_mm, 3), CYAML_FIELD_END,
};
static const cyaml_schema_field_t term_fields[] = {
    TEXT(term_text, percent_id_per_g), TEXT(term_text, half_life_s), CYAML_FIELD_END,
};
static const cyaml_schema_value_t term_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, term_text, term_fields)};
static const cyaml_schema_field_t organ_fields[] = {
    TEXT(organ_text, organ), TEXT(organ_text, label), TEXT(organ_text, material), TEXT(organ_text, density_g_per_ml),
    TEXT(organ_text, mu_per_cm), TEXT(organ_text, percent_id_per_g),
    CYAML_FIELD_SEQUENCE("time_course", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, organ_text, time_course, &term_schema, 0, 100),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t shape_fields[] = {
    TEXT(shape_text, organ), TEXT(shape_text, kind), LIST(shape_text, centre_mm, 3), LIST(shape_text, half_axes_mm, 3),
    LIST(shape_text, rotation_deg, 3), CYAML_FIELD_END,
};
static const cyaml_schema_value_t organ_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, organ_text, organ_fields)};
static const cyaml_schema_value_t shape_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, shape_text, shape_fields)};
static const cyaml_schema_field_t scene_fields[] = {
    TEXT(scene_text, nuclide), TEXT(scene_text, tracer), TEXT(scene_text, subject), TEXT(scene_text, injected_mbq),
    TEXT(scene_text, injection_time), TEXT(scene_text, scan_start_time), TEXT(scene_text, duration_s),
    TEXT(scene_text, seed), TEXT(scene_text, label_volume), PART(physics, physics_fields), PART(detector, detector_fields), PART(electronics, electronics_fields),
    PART(truth_grid, grid_fields),
    CYAML_FIELD_SEQUENCE("organs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, scene_text, organs, &organ_schema, 0, 1000),
    CYAML_FIELD_SEQUENCE("shapes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, scene_text, shapes, &shape_schema, 0, 1000),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t scene_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, scene_text, scene_fields)};
/* clang-format on */

/* ---- conversion; the first failure stays ---- */

typedef struct reader {
	const char *path;
	char *text; /* of the whole file, to find lines in */
	iso_status status;
	iso_error *err;
} reader;

/* The first line that holds the key and, unless NULL, the value; 0: none. */
static long line_of(const reader *r, const char *key, const char *value)
{
	long number = 1;
	for (const char *at = r->text; at && *at; number++) {
		const size_t length = strcspn(at, "\n");
		const char *k = strstr(at, key);
		const char *v = value ? strstr(at, value) : at;
		if (k && k < at + length && v && v < at + length) return number;
		at += length + (at[length] == '\n');
	}
	return 0;
}

static void refuse(reader *r, const char *key, const char *value, const char *remedy, const char *what)
{
	if (r->status != ISO_OK) return;
	const long line = line_of(r, key, value);
	char shown[240];
	snprintf(shown, sizeof shown, "%s%.200s%s", value ? " '" : "", value ? value : "", value ? "'" : "");
	r->status = line > 0 ? iso_fail_at(r->err, ISO_BAD_INPUT, r->path, ISO_POSITION_LINE, line, remedy, "%s%s %s",
					   key, shown, what)
			     : iso_fail(r->err, ISO_BAD_INPUT, r->path, remedy, "%s%s %s", key, shown, what);
}

static double number(reader *r, const char *key, const char *value)
{
	if (!value) {
		refuse(r, key, NULL, "add it; docs/scene-file.md lists the keys", "is missing");
		return (double)NAN;
	}
	char *end;
	errno = 0;
	const double result = iso_strtod(value, &end);
	if (end == value || *end || errno == ERANGE || !isfinite(result)) {
		refuse(r, key, value, "give a plain number in the unit that the key names", "is not a number");
		return (double)NAN;
	}
	return result;
}

static double number_or(reader *r, const char *key, const char *value, double otherwise)
{
	return value ? number(r, key, value) : otherwise;
}

static uint64_t whole(reader *r, const char *key, const char *value, double low, double high)
{
	const double result = number(r, key, value);
	if (r->status != ISO_OK) return 0;
	if (result < low || result > high || result != floor(result)) {
		refuse(r, key, value, "give a whole number in the possible range", "is not possible");
		return 0;
	}
	return (uint64_t)result;
}

static bool yes(reader *r, const char *key, const char *value)
{
	if (!value) refuse(r, key, NULL, "say true or false", "is missing");
	if (r->status != ISO_OK) return false;
	if (strcmp(value, "true") == 0) return true;
	if (strcmp(value, "false") != 0) refuse(r, key, value, "say true or false", "is neither true nor false");
	return false;
}

static void numbers(reader *r, const char *key, char **values, int count, double *to)
{
	if (!values) refuse(r, key, NULL, "add it; docs/scene-file.md lists the keys", "is missing");
	for (int i = 0; i < count && r->status == ISO_OK; i++) to[i] = number(r, key, values[i]);
}

static void words(reader *r, const char *key, const char *value, bool needed, char *to, size_t size)
{
	if (!value && needed) refuse(r, key, NULL, "add it; docs/scene-file.md lists the keys", "is missing");
	if (value && (strlen(value) >= size || (needed && !*value)))
		refuse(r, key, value, "give a shorter text, not empty", "cannot be used");
	if (value && r->status == ISO_OK) snprintf(to, size, "%s", value);
}

static double moment(reader *r, const char *key, const char *value)
{
	double utc_s = (double)NAN;
	if (!value) refuse(r, key, NULL, "add it, as in 2026-03-14T09:00:00Z", "is missing");
	if (r->status == ISO_OK && iso_time_parse(value, r->path, &utc_s, NULL) != ISO_OK)
		refuse(r, key, value, "give date, time and zone, as in 2026-03-14T09:00:00Z", "is not a moment");
	return utc_s;
}

static void read_blocks(reader *r, char **values, iso_simulated_detector *d)
{
	for (int a = 0; a < 2 && values; a++)
		d->block_crystals[a] = (uint32_t)whole(r, "block_crystals", values[a], 1, 100000);
}

static void read_detector(reader *r, const detector_text *in, iso_scene *scene)
{
	iso_simulated_detector *d = &scene->detector;
	if (!in) {
		refuse(r, "detector", NULL, "add it; docs/scene-file.md lists the keys", "is missing");
		return;
	}
	words(r, "name", in->name, true, d->rings.name, sizeof d->rings.name);
	d->rings.rings = (uint32_t)whole(r, "rings", in->rings, 1, 10000);
	d->rings.crystals_per_ring = (uint32_t)whole(r, "crystals_per_ring", in->crystals_per_ring, 3, 100000);
	d->rings.radius_mm = number(r, "radius_mm", in->radius_mm);
	d->rings.mean_depth_mm = number_or(r, "mean_depth_mm", in->mean_depth_mm, (double)NAN);
	d->rings.ring_spacing_mm = number(r, "ring_spacing_mm", in->ring_spacing_mm);
	d->rings.first_angle_rad =
	    number_or(r, "first_angle_deg", in->first_angle_deg, 0) * 3.14159265358979323846 / 180;
	read_blocks(r, in->block_crystals, d);
	numbers(r, "crystal_size_mm", in->crystal_size_mm, 3, d->rings.crystal_size_mm);
	const bool real = in->crystal_material != NULL;
	words(r, "crystal_material", in->crystal_material, false, d->crystal_material, sizeof d->crystal_material);
	if (real && in->photofraction)
		refuse(r, "photofraction", in->photofraction, "leave one of them out",
		       "is part of a simpler model than crystal_material");
	d->rings.attenuation_per_mm = real ? number_or(r, "attenuation_per_mm", in->attenuation_per_mm, (double)NAN)
					   : number(r, "attenuation_per_mm", in->attenuation_per_mm);
	d->energy_resolution = number(r, "energy_resolution_percent", in->energy_resolution_percent) / 100;
	numbers(r, "energy_window_kev", in->energy_window_kev, 2, d->energy_window_kev);
	d->photofraction = real ? (double)NAN : number(r, "photofraction", in->photofraction);
	d->time_resolution_ps = number(r, "time_resolution_ps", in->time_resolution_ps);
	d->tof_bin_ps = number_or(r, "tof_bin_ps", in->tof_bin_ps, 0);
	d->coincidence_window_ns = number(r, "coincidence_window_ns", in->coincidence_window_ns);
	d->max_transaxial_offset_mm =
	    number_or(r, "max_transaxial_offset_mm", in->max_transaxial_offset_mm, (double)INFINITY);
	d->max_axial_difference_mm =
	    number_or(r, "max_axial_difference_mm", in->max_axial_difference_mm, (double)INFINITY);
	scene->calibration_factor = number_or(r, "calibration_factor", in->calibration_factor, (double)NAN);
	scene->calibration_uncertainty =
	    number_or(r, "calibration_uncertainty_percent", in->calibration_uncertainty_percent, (double)NAN) / 100;
}

/* One of several words; the first is meant when the key is not there. */
static int choice(reader *r, const char *key, const char *value, const char *const *words_, const char *remedy)
{
	for (int n = 0; words_[n]; n++)
		if (!value || strcmp(value, words_[n]) == 0) return n;
	refuse(r, key, value, remedy, "is not possible");
	return 0;
}

static void read_electronics(reader *r, const electronics_text *in, iso_scene *scene)
{
	static const char *const models[] = {"none", "non_paralyzable", "paralyzable", NULL}; /* iso_dead_time_model */
	static const char *const multiples[] = {"all_pairs", "reject", "largest_energies", NULL};
	static const char *const distributions[] = {"normal", "log_normal", NULL};
	iso_simulated_electronics *e = &scene->electronics;
	if (!in) return;
	e->on = true;
	e->dead_time = (iso_dead_time_model)choice(r, "dead_time_model", in->dead_time_model, models,
						   "say none, paralyzable or non_paralyzable");
	e->dead_time_ns = number_or(r, "dead_time_ns", in->dead_time_ns, 0);
	e->pile_up_ns = number_or(r, "pile_up_ns", in->pile_up_ns, 0);
	e->trigger_kev = number_or(r, "trigger_kev", in->trigger_kev, 0);
	e->multiples = (iso_multiples)choice(r, "multiples", in->multiples, multiples,
					     "say all_pairs, reject or largest_energies");
	e->delayed_offset_ns = number_or(r, "delayed_offset_ns", in->delayed_offset_ns, 500);
	e->efficiency_spread = number_or(r, "efficiency_spread_percent", in->efficiency_spread_percent, 0) / 100;
	e->log_normal = choice(r, "efficiency_distribution", in->efficiency_distribution, distributions,
			       "say normal or log_normal");
	if (in->efficiency_seed)
		e->efficiency_seed = whole(r, "efficiency_seed", in->efficiency_seed, 1, 9007199254740992.0);
	e->singles_interval_s = number_or(r, "singles_interval_s", in->singles_interval_s, 0);
}

static void read_facts(reader *r, const scene_text *in, iso_scene *scene)
{
	words(r, "nuclide", in->nuclide, true, scene->nuclide, sizeof scene->nuclide);
	words(r, "tracer", in->tracer, false, scene->tracer, sizeof scene->tracer);
	words(r, "subject", in->subject, false, scene->subject, sizeof scene->subject);
	scene->injected_bq = 1e6 * number(r, "injected_mbq", in->injected_mbq);
	scene->injection_utc_s = moment(r, "injection_time", in->injection_time);
	scene->start_utc_s = moment(r, "scan_start_time", in->scan_start_time);
	scene->duration_s = number(r, "duration_s", in->duration_s);
	scene->seed = whole(r, "seed", in->seed, 0, 9007199254740992.0);
	if (!in->physics) {
		refuse(r, "physics", NULL, "say which effects are simulated", "is missing");
		return;
	}
	scene->positron_range = yes(r, "positron_range", in->physics->positron_range);
	scene->acollinearity = yes(r, "acollinearity", in->physics->acollinearity);
	scene->attenuation = yes(r, "attenuation", in->physics->attenuation);
	scene->randoms = yes(r, "randoms", in->physics->randoms);
	scene->scatter = in->physics->scatter && yes(r, "scatter", in->physics->scatter);
	scene->prompt_gammas = in->physics->prompt_gammas && yes(r, "prompt_gammas", in->physics->prompt_gammas);
	scene->lutetium_background =
	    in->physics->lutetium_background && yes(r, "lutetium_background", in->physics->lutetium_background);
}

static void read_grid(reader *r, const grid_text *in, iso_scene *scene)
{
	double size[3] = {1, 1, 1}, voxel_mm[3] = {1, 1, 1}, centre_mm[3] = {0, 0, 0};
	if (!in) {
		refuse(r, "truth_grid", NULL, "add size and voxel_mm of the images of the truth", "is missing");
		return;
	}
	numbers(r, "size", in->size, 3, size);
	numbers(r, "voxel_mm", in->voxel_mm, 3, voxel_mm);
	if (in->centre_mm) numbers(r, "centre_mm", in->centre_mm, 3, centre_mm);
	size_t voxels[3] = {0, 0, 0};
	for (int a = 0; a < 3 && r->status == ISO_OK; a++) {
		if (!(size[a] >= 1 && size[a] <= 4096) || size[a] != floor(size[a]))
			refuse(r, "size", in->size[a], "give whole numbers from 1 to 4096", "is not possible");
		else
			voxels[a] = (size_t)size[a];
	}
	if (r->status != ISO_OK) return;
	scene->truth_grid = iso_grid_centred(voxels, voxel_mm, centre_mm);
	r->status = iso_grid_check(&scene->truth_grid, r->path, r->err);
}

/* An uptake is one number or a time course, not both and not neither. */
static void read_uptake(reader *r, const organ_text *text, iso_phantom_organ *organ)
{
	if (text->time_course_count == 0) {
		organ->percent_id_per_g = number(r, "percent_id_per_g", text->percent_id_per_g);
		return;
	}
	if (text->percent_id_per_g)
		refuse(r, organ->name, text->percent_id_per_g, "leave one of them out",
		       "is the uptake of an organ that also has a time_course");
	if (r->status != ISO_OK) return;
	organ->term = calloc(text->time_course_count, sizeof *organ->term);
	if (!organ->term) {
		r->status = iso_fail_memory(r->err, "a time course", text->time_course_count * sizeof *organ->term);
		return;
	}
	organ->terms = text->time_course_count;
	for (size_t k = 0; k < organ->terms; k++) {
		const term_text *term = &text->time_course[k];
		organ->term[k].percent_id_per_g = number(r, "percent_id_per_g", term->percent_id_per_g);
		organ->term[k].half_life_s = number_or(r, "half_life_s", term->half_life_s, (double)INFINITY);
	}
}

static void read_organs(reader *r, const scene_text *in, iso_phantom *phantom)
{
	phantom->organs = in->organs_count;
	phantom->organ = calloc(phantom->organs + 1, sizeof *phantom->organ);
	if (!phantom->organ && r->status == ISO_OK)
		r->status = iso_fail_memory(r->err, "organs", (phantom->organs + 1) * sizeof *phantom->organ);
	for (size_t o = 0; o < phantom->organs && r->status == ISO_OK; o++) {
		const organ_text *text = &in->organs[o];
		iso_phantom_organ *organ = &phantom->organ[o];
		words(r, "organ", text->organ, true, organ->name, sizeof organ->name);
		organ->label = (int)whole(r, "label", text->label, 1, 32767);
		organ->density_g_per_ml = number(r, "density_g_per_ml", text->density_g_per_ml);
		words(r, "material", text->material, false, organ->material, sizeof organ->material);
		organ->mu_per_cm = text->material ? number_or(r, "mu_per_cm", text->mu_per_cm, (double)NAN)
						  : number(r, "mu_per_cm", text->mu_per_cm);
		read_uptake(r, text, organ);
	}
}

static void read_shapes(reader *r, const scene_text *in, iso_phantom *phantom)
{
	phantom->shapes = in->shapes_count;
	phantom->shape = calloc(phantom->shapes + 1, sizeof *phantom->shape);
	if (!phantom->shape && r->status == ISO_OK)
		r->status = iso_fail_memory(r->err, "shapes", (phantom->shapes + 1) * sizeof *phantom->shape);
	for (size_t s = 0; s < phantom->shapes && r->status == ISO_OK; s++) {
		const shape_text *text = &in->shapes[s];
		iso_shape *shape = &phantom->shape[s];
		char name[sizeof phantom->organ->name], kind[16];
		words(r, "organ", text->organ, true, name, sizeof name);
		words(r, "kind", text->kind, true, kind, sizeof kind);
		if (r->status != ISO_OK) return;
		size_t o = 0;
		while (o < phantom->organs && strcmp(phantom->organ[o].name, name) != 0) o++;
		if (o == phantom->organs)
			refuse(r, "organ", name, "name an organ of the list organs", "is not an organ of this scene");
		shape->organ = (unsigned)o;
		if (strcmp(kind, "ellipsoid") == 0)
			shape->kind = ISO_SHAPE_ELLIPSOID;
		else if (strcmp(kind, "cylinder") == 0)
			shape->kind = ISO_SHAPE_CYLINDER;
		else
			refuse(r, "kind", kind, "say ellipsoid or cylinder", "is not a shape");
		numbers(r, "centre_mm", text->centre_mm, 3, shape->centre_mm);
		numbers(r, "half_axes_mm", text->half_axes_mm, 3, shape->half_axes_mm);
		if (text->rotation_deg) numbers(r, "rotation_deg", text->rotation_deg, 3, shape->rotation_deg);
	}
}

/* The phantom's voxels; a relative name is taken from the scene's folder. */
static void read_labels(reader *r, const char *name, iso_phantom *phantom)
{
	char path[PATH_MAX];
	if (!name || r->status != ISO_OK) return;
	const char *slash = name[0] == '/' ? NULL : strrchr(r->path, '/');
	const int folder = slash ? (int)(slash - r->path + 1) : 0;
	if (snprintf(path, sizeof path, "%.*s%s", folder, r->path, name) >= (int)sizeof path)
		refuse(r, "label_volume", name, "use a shorter path", "is too long");
	if (r->status == ISO_OK) r->status = iso_nifti_read_image(path, ISO_UNIT_LABEL, &phantom->labels, r->err);
}

iso_status iso_scene_read(const char *path, iso_scene **out, iso_error *err)
{
	*out = NULL;
	void *data = NULL;
	reader r = {.path = path, .err = err};
	r.status = iso_yaml_load(path, &scene_schema, &data, err);
	if (r.status == ISO_OK) r.status = iso_read_file(path, 16u << 20, &r.text, NULL, err);
	iso_scene *scene = r.status == ISO_OK ? calloc(1, sizeof *scene) : NULL;
	if (r.status == ISO_OK && !scene) r.status = iso_fail_memory(err, "a scene", sizeof *scene);
	if (r.status == ISO_OK) {
		const scene_text *text = data;
		read_facts(&r, text, scene);
		read_detector(&r, text->detector, scene);
		read_electronics(&r, text->electronics, scene);
		read_grid(&r, text->truth_grid, scene);
		read_organs(&r, text, &scene->phantom);
		read_shapes(&r, text, &scene->phantom);
		read_labels(&r, text->label_volume, &scene->phantom);
	}
	iso_yaml_free(&scene_schema, data);
	free(r.text);
	if (r.status != ISO_OK) {
		iso_scene_free(scene);
		return r.status;
	}
	*out = scene;
	return ISO_OK;
}
