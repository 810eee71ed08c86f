/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * NM projections (TOMO) as native list-mode: each count is an event of its pixel, its view and its energy window, at the moment
 * at which the view began. What a camera has binned keeps no finer time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_in.h"
#include "io/dicom_stack.h"
#include "io/dicom_time.h"
#include "io/json.h"
#include "isotrace/gantry.h"
#include "isotrace/version.h"

/* No camera counts more in a pixel of a view. */
enum { BATCH = 4096, MOST_FRAMES = 1 << 20, MOST_COUNTS = 1 << 20 };

/* One frame: a picture of one head in one energy window at one place. */
typedef struct view {
	size_t frame, position;
	unsigned window, detector, rotation, number; /* as the vectors count, from 1 */
	double start_s;
} view;

typedef struct tomo {
	const char *path;
	iso_dicom *file;
	const iso_dicom_item *set;
	iso_dicom_pixels pixels;
	iso_scanner *scanner;
	iso_gantry *gantry;
	view *view; /* [pixels.frames], in the order of time */
	iso_acquisition acquisition;
	iso_dicom_in_facts *facts;
} tomo;

#define FAIL(t, remedy, ...) iso_fail(err, ISO_BAD_INPUT, (t)->path, remedy, __VA_ARGS__)
static const char AGAIN[] = "export the projections again from where they came";

/* What a vector says of a frame; where there is none, there is one of its kind. */
static bool entry(const tomo *t, uint32_t vector, size_t frame, unsigned *to)
{
	const size_t listed = iso_dicom_count(t->set, vector);
	const double value = listed ? iso_dicom_number(t->set, vector, frame) : 1;
	*to = value >= 1 && value <= 65535 ? (unsigned)value : 0;
	return *to > 0 && (listed == 0 || listed == t->pixels.frames);
}

static iso_status place_view(tomo *t, view *v, iso_error *err)
{
	const iso_dicom_item *rotation = iso_dicom_at(t->set, 0x00540052, v->rotation - 1);
	const iso_dicom_item *detector = iso_dicom_at(t->set, 0x00540022, v->detector - 1);
	char direction[8];
	double before_s = 0;
	for (unsigned r = 1; r < v->rotation; r++) {
		const iso_dicom_item *other = iso_dicom_at(t->set, 0x00540052, r - 1);
		before_s += iso_dicom_number(other, 0x00181242, 0) / 1000 * iso_dicom_number(other, 0x00540053, 0);
	}
	const double view_s = iso_dicom_number(rotation, 0x00181242, 0) / 1000,
		     step_deg = iso_dicom_number(rotation, 0x00181144, 0);
	double start_deg = iso_dicom_number(detector, 0x00540200, 0);
	if (isnan(start_deg)) start_deg = iso_dicom_number(rotation, 0x00540200, 0);
	double radius_mm =
	    iso_dicom_number(detector, 0x00181142, iso_dicom_count(detector, 0x00181142) > 1 ? v->number - 1 : 0);
	if (isnan(radius_mm))
		radius_mm = iso_dicom_number(rotation, 0x00181142,
					     iso_dicom_count(rotation, 0x00181142) > 1 ? v->number - 1 : 0);
	iso_dicom_text(rotation, 0x00181140, direction, sizeof direction);
	const bool clockwise = strncmp(direction, "CW", 2) == 0, known = clockwise || strncmp(direction, "CC", 2) == 0;
	const double views = iso_dicom_number(rotation, 0x00540053, 0);
	if (!(view_s > 0) || isnan(start_deg) || isnan(step_deg) || !known || isnan(before_s))
		return FAIL(t, AGAIN,
			    "frame %zu: rotation %u has no duration of a view (0018,1242), start (0054,0200), step "
			    "(0018,1144) or "
			    "direction (0018,1140)",
			    v->frame + 1, v->rotation);
	if (views >= 1 && v->number > views)
		return FAIL(t, AGAIN, "frame %zu is of view %u, but rotation %u has %g views", v->frame + 1, v->number,
			    v->rotation, views);
	v->start_s = before_s + (v->number - 1) * view_s;
	if (!(v->start_s + view_s < 4e6))
		return FAIL(t, AGAIN, "frame %zu ends after %g s", v->frame + 1, v->start_s + view_s);
	t->gantry->position[v->frame] =
	    (iso_gantry_position){.angle_deg = start_deg + (clockwise ? -step_deg : step_deg) * (v->number - 1),
				  .radius_mm = radius_mm > 0 ? radius_mm : (double)NAN,
				  .start_s = v->start_s,
				  .duration_s = view_s,
				  .detector = v->detector - 1};
	return ISO_OK;
}

static int by_time(const void *a, const void *b)
{
	const view *one = a, *two = b;
	if (one->start_s != two->start_s) return one->start_s < two->start_s ? -1 : 1;
	if (one->rotation != two->rotation) return one->rotation < two->rotation ? -1 : 1;
	if (one->number != two->number) return one->number < two->number ? -1 : 1;
	if (one->detector != two->detector) return one->detector < two->detector ? -1 : 1;
	return (one->window > two->window) - (one->window < two->window);
}

/* Frames of several windows share a position; positions are numbered in the order of time. */
static iso_status number_positions(tomo *t, iso_error *err)
{
	const size_t frames = t->pixels.frames;
	iso_gantry *all = t->gantry;
	size_t positions = 0;
	qsort(t->view, frames, sizeof *t->view, by_time);
	iso_status status = iso_gantry_create(frames, &t->gantry, err);
	for (size_t n = 0; n < frames && status == ISO_OK; n++) {
		view *v = t->view + n;
		if (n && by_time(v - 1, v) == 0)
			status = FAIL(t, AGAIN, "frames %zu and %zu are of one view, detector and energy window",
				      v[-1].frame + 1, v->frame + 1);
		const bool same =
		    n && v[-1].rotation == v->rotation && v[-1].number == v->number && v[-1].detector == v->detector;
		if (!same) t->gantry->position[positions++] = all->position[v->frame];
		v->position = positions - 1;
	}
	iso_gantry_free(all);
	if (status == ISO_OK) t->gantry->count = positions;
	return status == ISO_OK ? iso_gantry_check(t->gantry, t->path, err) : status;
}

static iso_status find_views(tomo *t, iso_error *err)
{
	const size_t frames = t->pixels.frames;
	if (frames > MOST_FRAMES) return FAIL(t, AGAIN, "%zu frames", frames);
	t->view = calloc(frames, sizeof *t->view);
	if (!t->view) return iso_fail_memory(err, "projections", frames * sizeof *t->view);
	iso_status status = iso_gantry_create(frames, &t->gantry, err);
	for (size_t f = 0; f < frames && status == ISO_OK; f++) {
		view *v = t->view + f;
		v->frame = f;
		if (!entry(t, 0x00540010, f, &v->window) || !entry(t, 0x00540020, f, &v->detector) ||
		    !entry(t, 0x00540050, f, &v->rotation) || !entry(t, 0x00540090, f, &v->number) || v->window > 256 ||
		    v->detector > 256 || v->rotation > 256)
			return FAIL(t, AGAIN,
				    "frame %zu has no energy window, detector, rotation or angular view (0054,0010), "
				    "(0054,0020), (0054,0050), (0054,0090)",
				    f + 1);
		status = place_view(t, v, err);
	}
	return status == ISO_OK ? number_positions(t, err) : status;
}

/* Pixels in the detector's own frame (isotrace/gantry.h), the middle of the picture on the axis of rotation. */
static iso_status make_scanner(tomo *t, iso_error *err)
{
	double spacing[2];
	const size_t rows = t->pixels.rows, columns = t->pixels.columns;
	char model[64];
	if (!iso_dicom_numbers(t->set, 0x00280030, spacing, 2) || !(spacing[0] > 0 && spacing[1] > 0))
		return FAIL(t, AGAIN, "the projections have no Pixel Spacing (0028,0030)");
	iso_dicom_text(t->set, 0x00081090, model, sizeof model);
	iso_status status = iso_scanner_create((uint32_t)(rows * columns), model, &t->scanner, err);
	if (status != ISO_OK) return status;
	t->scanner->modality = ISO_MODALITY_SPECT;
	t->scanner->element_size_mm[0] = spacing[1];
	t->scanner->element_size_mm[1] = spacing[0];
	for (size_t e = 0; e < rows * columns; e++) {
		float *position = t->scanner->position_mm + 3 * e, *normal = t->scanner->normal + 3 * e;
		position[0] = (float)(((double)(e % columns) - (double)(columns - 1) / 2) * spacing[1]);
		position[1] = (float)(((double)(e / columns) - (double)(rows - 1) / 2) * spacing[0]);
		position[2] = 0;
		normal[2] = -1;
	}
	return iso_scanner_check(t->scanner, t->path, err);
}

static iso_status find_acquisition(tomo *t, const iso_dicom_in_options *options, iso_error *err)
{
	iso_acquisition *a = &t->acquisition;
	const iso_nuclide *nuclide;
	double half_life_s, zone_s, end_s = 0;
	char corrected[128];
	const double start_s = iso_dicom_clock_of(t->set, 0x00080022, 0x00080032);
	*a = iso_acquisition_unknown();
	a->modality = ISO_MODALITY_SPECT;
	iso_dicom_text(t->set, 0x00081090, a->scanner_name, sizeof a->scanner_name);
	iso_dicom_text(t->set, 0x00100020, a->subject, sizeof a->subject);
	if (isnan(start_s))
		return FAIL(t, AGAIN, "the projections have no Acquisition Date and Time (0008,0022), (0008,0032)");
	iso_status status = iso_dicom_find_zone(t->set, options, t->path, &zone_s, err);
	if (status == ISO_OK)
		status = iso_dicom_find_nuclide(t->set, options->nuclide, t->path, &nuclide, &half_life_s, err);
	if (status != ISO_OK) return status;
	if (nuclide) snprintf(a->nuclide, sizeof a->nuclide, "%s", nuclide->name);
	iso_dicom_find_dose(t->set, start_s, half_life_s, 1e6, t->facts);
	snprintf(a->tracer, sizeof a->tracer, "%s", t->facts->dose.tracer);
	a->start_utc_s = start_s - zone_s;
	t->facts->dose.injection_utc_s -= zone_s;
	a->injection_utc_s = t->facts->dose.injection_utc_s;
	a->injected_activity_bq = t->facts->dose.injected_bq;
	for (size_t p = 0; p < t->gantry->count; p++)
		end_s = fmax(end_s, t->gantry->position[p].start_s + t->gantry->position[p].duration_s);
	a->duration_s = end_s;
	const iso_dicom_item *range = iso_dicom_at(iso_dicom_at(t->set, 0x00540012, 0), 0x00540013, 0);
	const double low = iso_dicom_number(range, 0x00540014, 0), high = iso_dicom_number(range, 0x00540015, 0);
	if (iso_dicom_items(t->set, 0x00540012) == 1 && low > 0 && high > low) {
		a->energy_window_kev[0] = low;
		a->energy_window_kev[1] = high;
	}
	if (iso_dicom_text(t->set, 0x00280051, corrected, sizeof corrected))
		iso_dicom_warn(t->facts,
			       "the projections were corrected (%.100s): their counts are not as they were measured",
			       corrected);
	iso_dicom_warn(t->facts,
		       "the time that the gantry took between views is not in the file and was taken as none");
	return ISO_OK;
}

static void put_text(iso_json *json, json_t *to, const iso_dicom_item *item, uint32_t tag, const char *key)
{
	char text[65];
	if (iso_dicom_text(item, tag, text, sizeof text)) iso_json_set(json, to, key, iso_json_readable(text));
}

static iso_status make_provenance(const tomo *t, char **text, iso_error *err)
{
	iso_json json = iso_json_begin();
	json_t *export = json_object(), *windows = json_array(), *warnings = json_array();
	const iso_dicom_item *detector = iso_dicom_at(t->set, 0x00540022, 0);
	iso_json_set(&json, export, "format", json_string("DICOM NM projections"));
	put_text(&json, export, t->set, 0x0020000e, "series_uid");
	put_text(&json, export, t->set, 0x00080070, "manufacturer");
	put_text(&json, export, detector, 0x00181181, "collimator_type");
	put_text(&json, export, detector, 0x00181180, "collimator_name");
	iso_json_set(&json, export, "columns", json_integer((json_int_t)t->pixels.columns));
	iso_json_set(&json, export, "rows", json_integer((json_int_t)t->pixels.rows));
	for (size_t w = 0; w < iso_dicom_items(t->set, 0x00540012); w++) {
		const iso_dicom_item *range = iso_dicom_at(iso_dicom_at(t->set, 0x00540012, w), 0x00540013, 0);
		const double low = iso_dicom_number(range, 0x00540014, 0),
			     high = iso_dicom_number(range, 0x00540015, 0);
		iso_json_append(&json, windows,
				isnan(low) || isnan(high) ? json_null() : json_pack("[f,f]", low, high));
	}
	for (size_t w = 0; w < t->facts->warning_count; w++)
		iso_json_append(&json, warnings, iso_json_readable(t->facts->warnings[w]));
	iso_json_set(&json, export, "energy_windows_kev", windows);
	iso_json_set(&json, export, "warnings", warnings);
	iso_json_put(&json, "software", json_string("isotrace " ISO_VERSION));
	iso_json_put(&json, "step", json_string("convert"));
	iso_json_put(&json, "export", export);
	iso_status status = iso_dicom_check(ISO_OK, t->path, err);
	if (status == ISO_OK) status = iso_json_text(&json, JSON_INDENT(2), t->path, text, err);
	iso_json_end(&json);
	return status;
}

/* The counts of one frame, pixel by pixel. */
static iso_status write_view(const tomo *t, const view *v, iso_listmode_writer *writer, iso_event *batch,
			     iso_error *err)
{
	const size_t pixels = t->pixels.rows * t->pixels.columns;
	const int32_t *stored = t->pixels.value + v->frame * pixels;
	size_t held = 0;
	iso_status status = ISO_OK;
	for (size_t e = 0; e < pixels && status == ISO_OK; e++) {
		if (stored[e] < 0 || stored[e] > MOST_COUNTS)
			return FAIL(t, AGAIN, "frame %zu has %d counts in a pixel", v->frame + 1, (int)stored[e]);
		for (int32_t c = 0; c < stored[e] && status == ISO_OK; c++) {
			batch[held++] = (iso_event){.time_ms = (uint32_t)rint(1000 * v->start_s),
						    .element = {(uint32_t)e, (uint32_t)v->position},
						    .window = (uint8_t)(v->window - 1)};
			if (held < BATCH) continue;
			status = iso_listmode_append(writer, batch, NULL, held, err);
			held = 0;
		}
	}
	return status == ISO_OK ? iso_listmode_append(writer, batch, NULL, held, err) : status;
}

static iso_status write_events(const tomo *t, const char *listmode_path, const iso_progress *progress, iso_error *err)
{
	char *provenance = NULL;
	iso_listmode_writer *writer = NULL;
	iso_event *batch = malloc(BATCH * sizeof *batch);
	iso_status status =
	    batch ? make_provenance(t, &provenance, err) : iso_fail_memory(err, "events", BATCH * sizeof *batch);
	if (status == ISO_OK)
		status = iso_listmode_create(listmode_path, t->scanner, &t->acquisition, provenance, &writer, err);
	if (status == ISO_OK) status = iso_listmode_set_gantry(writer, t->gantry, err);
	for (size_t n = 0; n < t->pixels.frames && status == ISO_OK; n++) {
		status = write_view(t, t->view + n, writer, batch, err);
		if (status == ISO_OK && progress && progress->report &&
		    progress->report(progress->user, "writing list-mode", (double)(n + 1) / (double)t->pixels.frames))
			status = iso_fail(err, ISO_CANCELLED, t->path, "start again", "stopped on request");
	}
	free(batch);
	free(provenance);
	if (status == ISO_OK) return iso_listmode_commit(writer, NULL, t->acquisition.duration_s, err);
	iso_listmode_discard(writer);
	return status;
}

iso_status iso_dicom_convert_projections(const char *path, const iso_dicom_in_options *options,
					 const char *listmode_path, const iso_progress *progress,
					 iso_dicom_in_facts *facts, iso_error *err)
{
	const iso_dicom_in_options standard = iso_dicom_in_options_default();
	iso_dicom_in_facts own;
	tomo t = {.path = path, .facts = facts ? facts : &own};
	memset(t.facts, 0, sizeof *t.facts);
	if (!options) options = &standard;
	iso_stack_source(path, t.facts->source, sizeof t.facts->source);
	iso_status status = iso_dicom_open(path, &t.file, err);
	if (status == ISO_OK && (!t.file || strcmp(iso_dicom_class(t.file), ISO_NM_CLASS) != 0))
		status = iso_fail(err, ISO_BAD_INPUT, path, "name a DICOM file with NM projections", "this is none");
	if (status == ISO_OK) {
		t.set = iso_dicom_root(t.file);
		status = iso_dicom_read_pixels(t.file, &t.pixels, err);
	}
	if (status == ISO_OK) status = find_views(&t, err);
	if (status == ISO_OK) status = make_scanner(&t, err);
	if (status == ISO_OK) status = find_acquisition(&t, options, err);
	status = iso_dicom_check(status, path, err);
	if (status == ISO_OK) status = write_events(&t, listmode_path, progress, err);
	free(t.pixels.value);
	free(t.view);
	iso_gantry_free(t.gantry);
	iso_scanner_free(t.scanner);
	iso_dicom_close(t.file);
	return status;
}
