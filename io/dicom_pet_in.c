/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A PET series of another program as a volume in Bq/mL: what its units are, which images are one frame, when they were
 * taken. What makers put into the elements, and what is refused: docs/dicom-in.md. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/note.h"
#include "io/dicom_gating_in.h"
#include "io/dicom_in.h"
#include "io/dicom_stack.h"
#include "io/dicom_time.h"
#include "isotrace/time.h"

/* Times are clock seconds. */
enum { START_S, DURATION_S, FRAME_REFERENCE_S, DECAY_FACTOR, PHILIPS_BQML, PHILIPS_SUV, TRIGGER_S, GATE_S };
#define PHILIPS "Philips PET Private Group"
#define GE      "GEMS_PETD_01"
/* Slices of one frame begin together within the rounding of their clock. */
#define SAME_TIME_S 1.5
/* Images of one gate have the same times, but for their last digits. */
#define SAME_GATE_S 1e-3

typedef enum correction { CORRECTED_TO_START, CORRECTED_TO_INJECTION, NOT_CORRECTED } correction;

typedef struct pet {
	const char *path;
	iso_stack stack;
	iso_grid grid;
	iso_dicom *head; /* the first image, for what all share */
	const iso_dicom_item *set;
	char units[20], decay[20], corrected[256], type[64];
	correction correction;
	const iso_nuclide *nuclide;
	double half_life_s, zone_s, first_s, reference_s;
	size_t frames, slices; /* frames: or gates */
	iso_frame *frame;      /* [frames], from first_s */
	iso_gating gating;     /* no gates: frames in time */
	double scale;          /* of all images, beside their own slopes */
	char scaled[96];       /* how they came to Bq/mL */
	iso_dicom_in_facts *facts;
} pet;

static double acquisition_clock(const iso_dicom_item *set)
{
	char text[64];
	double zone_s, clock_s = iso_dicom_clock_of(set, 0x00080022, 0x00080032);
	if (isnan(clock_s) && iso_dicom_text(set, 0x0008002a, text, sizeof text))
		clock_s = iso_dicom_date_time(text, &zone_s);
	return clock_s;
}

static iso_slice_kind choose(const iso_dicom *file, iso_slice *slice)
{
	const char *sop_class = iso_dicom_class(file);
	if (strcmp(sop_class, "1.2.840.10008.5.1.4.1.1.130") == 0) return ISO_SLICE_ENHANCED;
	if (strcmp(sop_class, ISO_PET_CLASS) != 0) return ISO_SLICE_OTHER;
	const iso_dicom_item *set = iso_dicom_root(file);
	slice->fact[START_S] = acquisition_clock(set);
	slice->fact[DURATION_S] = iso_dicom_number(set, 0x00181242, 0) / 1000;
	slice->fact[FRAME_REFERENCE_S] = iso_dicom_number(set, 0x00541300, 0) / 1000;
	slice->fact[DECAY_FACTOR] = iso_dicom_number(set, 0x00541321, 0);
	slice->fact[PHILIPS_BQML] = iso_dicom_private_number(set, 0x70530009, PHILIPS);
	slice->fact[PHILIPS_SUV] = iso_dicom_private_number(set, 0x70530000, PHILIPS);
	slice->fact[TRIGGER_S] = iso_dicom_number(set, 0x00181060, 0) / 1000;
	slice->fact[GATE_S] = iso_dicom_number(set, 0x00181063, 0) / 1000;
	/* the gates of a scan are all of its time */
	slice->time_s = slice->fact[iso_gating_in_pet(set) ? TRIGGER_S : START_S];
	return ISO_SLICE_WANTED;
}

static bool has_term(const char *terms, const char *term)
{
	const char *at = strstr(terms, term);
	const size_t length = strlen(term);
	return at && (at == terms || at[-1] == '\\') && (!at[length] || at[length] == '\\' || at[length] == ' ');
}

/* What the series says of itself; nothing of it is numbers of its images. */
static iso_status read_head(pet *p, const iso_dicom_in_options *options, iso_error *err)
{
	iso_status status = iso_slice_open(p->stack.slice, &p->head, err);
	if (status != ISO_OK) return status;
	const char *path = p->stack.slice[0].path;
	p->set = iso_dicom_root(p->head);
	iso_dicom_text(p->set, 0x00541001, p->units, sizeof p->units);
	iso_dicom_text(p->set, 0x00541102, p->decay, sizeof p->decay);
	iso_dicom_text(p->set, 0x00280051, p->corrected, sizeof p->corrected);
	iso_dicom_text(p->set, 0x00541000, p->type, sizeof p->type);
	if (iso_gating_in_pet(p->set)) {
		status = iso_gating_find_cycle(p->set, p->set, p->set, path, p->facts, &p->gating, err);
		if (status != ISO_OK) return status;
	}
	if (strcmp(p->decay, "START") == 0)
		p->correction = CORRECTED_TO_START;
	else if (strcmp(p->decay, "ADMIN") == 0)
		p->correction = CORRECTED_TO_INJECTION;
	else if (strcmp(p->decay, "NONE") == 0)
		p->correction = NOT_CORRECTED;
	else
		return iso_fail(err, ISO_BAD_INPUT, path, "export the series again from where it came",
				"Decay Correction (0054,1102) is '%s' and not START, ADMIN or NONE", p->decay);
	const bool listed = has_term(p->corrected, "DECY");
	if (p->corrected[0] && listed != (p->correction != NOT_CORRECTED))
		return iso_fail(err, ISO_BAD_INPUT, path, "reconstruct or export the series anew",
				"Decay Correction (0054,1102) is %s, but Corrected Image (0028,0051) %s: %.100s",
				p->decay, listed ? "lists DECY" : "does not list DECY", p->corrected);
	status = iso_dicom_find_zone(p->set, options, path, &p->zone_s, err);
	if (status == ISO_OK)
		status = iso_dicom_find_nuclide(p->set, options->nuclide, path, &p->nuclide, &p->half_life_s, err);
	if (status == ISO_OK && !p->nuclide)
		status = iso_fail(err, ISO_BAD_INPUT, path, "say which with --nuclide",
				  "the files do not say which nuclide was used (0054,0300)");
	return status;
}

static iso_status check_times(pet *p, iso_error *err)
{
	p->first_s = (double)INFINITY;
	for (size_t n = 0; n < p->stack.count; n++) {
		const iso_slice *slice = p->stack.slice + n;
		const double *fact = slice->fact;
		if (isnan(fact[START_S]))
			return iso_fail(err, ISO_BAD_INPUT, slice->path, "export the series again with its dates",
					"the image has no Acquisition Date and Time (0008,0022), (0008,0032)");
		if (!(fact[DURATION_S] > 0))
			return iso_fail(err, ISO_BAD_INPUT, slice->path, "export the series again from where it came",
					"the image has no Actual Frame Duration (0018,1242)");
		if (isfinite(fact[DECAY_FACTOR]) && !(fact[DECAY_FACTOR] > 0))
			return iso_fail(err, ISO_BAD_INPUT, slice->path, "export the series again from where it came",
					"Decay Factor (0054,1321) is %g", fact[DECAY_FACTOR]);
		/* the chooser took what orders the image from its own Series Type */
		const double order_s = fact[p->gating.gates ? TRIGGER_S : START_S];
		if (slice->time_s != order_s && !(isnan(slice->time_s) && isnan(order_s)))
			return iso_fail(
			    err, ISO_BAD_INPUT, slice->path, "separate the series into folders, or export it again",
			    "Series Type (0054,1000) is GATED in some images of the series and not in others");
		if (p->gating.gates && (isnan(fact[TRIGGER_S]) || isnan(fact[GATE_S])))
			return iso_fail(err, ISO_BAD_INPUT, slice->path, "export the series again with its gates",
					"the gated image has no Trigger Time (0018,1060) or no Frame Time (0018,1063)");
		p->first_s = fmin(p->first_s, fact[START_S]);
	}
	return ISO_OK;
}

/* How many images each place has: the frames. */
static iso_status count_frames(pet *p, iso_error *err)
{
	const iso_slice *slice = p->stack.slice;
	const size_t count = p->stack.count;
	p->frames = p->slices = 0;
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1;
		     next < count && slice[next].along_mm - slice[first].along_mm < ISO_SAME_PLACE_MM;)
			next++;
		if (!p->frames) p->frames = next - first;
		p->slices++;
		if (next - first != p->frames)
			return iso_fail(err, ISO_BAD_INPUT, slice[first].path,
					"find the missing files, or remove what does not belong to the series",
					"%zu images at this place and %zu at the first one", next - first, p->frames);
		for (size_t n = first + 1; n < next; n++)
			if (slice[n].time_s - slice[n - 1].time_s < SAME_GATE_S)
				return iso_fail(err, ISO_BAD_INPUT, slice[n].path,
						"remove one of them, or separate the two reconstructions into folders",
						"it lies at the same place and time as %s", slice[n - 1].path);
	}
	if (p->frames > 1 && !p->gating.gates && strncmp(p->type, "DYNAMIC", 7) != 0)
		return iso_fail(err, ISO_BAD_INPUT, p->path, "separate the acquisitions into folders",
				"several images at one place, but Series Type (0054,1000) is '%s' and not DYNAMIC",
				p->type);
	return ISO_OK;
}

/* The images of a frame, or those of all gates, must have been taken together, but for the beds of a whole-body scan. */
static iso_status find_frame(pet *p, size_t f, iso_error *err)
{
	double start_s = (double)INFINITY, latest_s = -(double)INFINITY, shortest_s = (double)INFINITY, longest_s = 0;
	const size_t stride = p->gating.gates ? 1 : p->frames;
	if (p->gating.gates && f) {
		p->frame[f] = p->frame[0];
		return ISO_OK;
	}
	for (size_t n = f; n < p->stack.count; n += stride) {
		const double *fact = p->stack.slice[n].fact;
		start_s = fmin(start_s, fact[START_S]);
		latest_s = fmax(latest_s, fact[START_S]);
		shortest_s = fmin(shortest_s, fact[DURATION_S]);
		longest_s = fmax(longest_s, fact[DURATION_S]);
	}
	p->frame[f] = (iso_frame){.start_s = start_s - p->first_s, .duration_s = longest_s};
	if (latest_s - start_s < SAME_TIME_S && longest_s - shortest_s < SAME_TIME_S) return ISO_OK;
	if (p->gating.gates)
		return iso_fail(err, ISO_BAD_INPUT, p->path, "give the gates of one scan and one bed",
				"the images of the gates begin up to %.1f s apart (0008,0032), or last from %.1f to "
				"%.1f s (0018,1242)",
				latest_s - start_s, shortest_s, longest_s);
	if (p->frames > 1 || p->correction == NOT_CORRECTED)
		return iso_fail(err, ISO_BAD_INPUT, p->path,
				"give one frame or bed alone, or a series that is decay-corrected",
				"the slices of one frame begin up to %.1f s apart, or last from %.1f to %.1f s",
				latest_s - start_s, shortest_s, longest_s);
	iso_dicom_warn(p->facts,
		       "several beds, which began up to %.0f s apart: the frame's times are those of the first",
		       latest_s - start_s);
	return ISO_OK;
}

/* Each gate's times, in which all of its slices must agree. */
static iso_status find_gates(pet *p, iso_error *err)
{
	const iso_slice *slice = p->stack.slice;
	const char *path = slice[0].path;
	if (p->frames != p->gating.gates)
		return iso_fail(err, ISO_BAD_INPUT, path, "find the missing files",
				"images of %zu gates are here, and Number of Time Slots (0054,0071) is %zu", p->frames,
				p->gating.gates);
	for (size_t n = 0; n < p->stack.count; n++) {
		const iso_slice *first = slice + n % p->frames;
		const double *fact = slice[n].fact;
		if (fabs(fact[TRIGGER_S] - first->fact[TRIGGER_S]) > SAME_GATE_S ||
		    fabs(fact[GATE_S] - first->fact[GATE_S]) > SAME_GATE_S)
			return iso_fail(err, ISO_BAD_INPUT, slice[n].path,
					"export the series again, with all slices of all its time slots",
					"its gate begins %g ms after the trigger (0018,1060) and lasts %g ms "
					"(0018,1063); that of %s begins at %g ms and lasts %g ms",
					fact[TRIGGER_S] * 1000, fact[GATE_S] * 1000, first->path,
					first->fact[TRIGGER_S] * 1000, first->fact[GATE_S] * 1000);
		if (n < p->frames) p->gating.gate[n] = (iso_gate){fact[TRIGGER_S], fact[GATE_S], (double)NAN};
	}
	return iso_gating_check_stated(&p->gating, p->frame[0].duration_s, path, err);
}

static iso_status check_promised(const pet *p, iso_error *err)
{
	/* A missing end leaves no gap. The number counts one bed's slices where there are several. */
	const double slices = iso_dicom_number(p->set, 0x00540081, 0), frames = iso_dicom_number(p->set, 0x00540101, 0);
	const bool beds = strncmp(p->type, "WHOLE BODY", 10) == 0;
	if ((!beds && slices >= 1 && slices != (double)p->slices) ||
	    (p->frames > 1 && !p->gating.gates && frames >= 1 && frames != (double)p->frames))
		return iso_fail(
		    err, ISO_BAD_INPUT, p->path, "find the missing files",
		    "%zu slices of %zu frames are here, but the files promise %g (0054,0081) of %g (0054,0101)",
		    p->slices, p->frames, slices, p->frames > 1 ? frames : 1);
	return ISO_OK;
}

static iso_status find_frames(pet *p, iso_error *err)
{
	iso_status status = check_times(p, err);
	if (status == ISO_OK) status = iso_stack_sort(&p->stack, &p->grid, err);
	if (status == ISO_OK) status = count_frames(p, err);
	if (status != ISO_OK) return status;
	p->frame = calloc(p->frames, sizeof *p->frame);
	if (!p->frame) return iso_fail_memory(err, "frames", p->frames * sizeof *p->frame);
	for (size_t f = 0; f < p->frames && status == ISO_OK; f++) {
		const iso_grid before = p->grid;
		status = iso_stack_measure(&p->stack, f, p->frames, p->slices, &p->grid, err);
		if (status == ISO_OK && f && !iso_grid_equal(&before, &p->grid))
			status =
			    iso_fail(err, ISO_BAD_INPUT, p->stack.slice[f].path,
				     "separate the acquisitions into folders", "the frames lie in different places");
		if (status == ISO_OK) status = find_frame(p, f, err);
		if (status == ISO_OK && f && !p->gating.gates &&
		    p->frame[f].start_s < p->frame[f - 1].start_s + p->frame[f - 1].duration_s - 0.5)
			iso_dicom_warn(p->facts, "frames %zu and %zu overlap in time", f, f + 1);
	}
	if (status == ISO_OK && p->gating.gates) status = find_gates(p, err);
	return status == ISO_OK ? check_promised(p, err) : status;
}

static iso_status find_reference(pet *p, iso_error *err)
{
	const size_t count = p->stack.count;
	double zone_s, *column = malloc(4 * count * sizeof *column);
	char text[64];
	if (!column) return iso_fail_memory(err, "a PET series", 4 * count * sizeof *column);
	for (size_t n = 0; n < count; n++)
		for (int c = 0; c < 4; c++) column[(size_t)c * count + n] = p->stack.slice[n].fact[START_S + c];
	iso_pet_clock clock = {.images = count,
			       .start_s = column,
			       .duration_s = column + count,
			       .frame_reference_s = column + 2 * count,
			       .decay_factor = column + 3 * count,
			       .series_s = iso_dicom_clock_of(p->set, 0x00080021, 0x00080031),
			       .scan_s = (double)NAN,
			       .injection_s = p->facts->dose.injection_utc_s,
			       .half_life_s = p->half_life_s};
	if (iso_dicom_private_text(p->set, 0x0009000d, GE, text, sizeof text))
		clock.scan_s = iso_dicom_date_time(text, &zone_s);
	iso_status status = ISO_OK;
	p->reference_s = (double)NAN;
	if (p->correction == CORRECTED_TO_START)
		status = iso_pet_reference_start(&clock, p->path, p->facts, &p->reference_s, err);
	else if (p->correction == CORRECTED_TO_INJECTION)
		status = iso_pet_reference_admin(&clock, p->path, p->facts, &p->reference_s, err);
	free(column);
	return status;
}

/* An SUV is undone with the dose and mass that the files themselves state, as it was made. */
static iso_status undo_suv(pet *p, const char *how, iso_error *err)
{
	const iso_dicom_dose *d = &p->facts->dose;
	if (!(d->injected_bq > 0) || !(d->body_mass_g > 0) || !isfinite(d->injection_utc_s) || isnan(p->reference_s))
		return iso_fail(
		    err, ISO_BAD_INPUT, p->path, "export the series in Bq/mL",
		    "the values are SUV (%s), and dose, injection, body mass or decay correction are not known, "
		    "so that they cannot be undone",
		    how);
	p->scale =
	    d->injected_bq * iso_decay_factor(p->half_life_s, p->reference_s - d->injection_utc_s) / d->body_mass_g;
	snprintf(p->scaled, sizeof p->scaled, "SUVbw undone by the files' own dose and body mass (%s)", how);
	return ISO_OK;
}

static bool all_have(const pet *p, int fact)
{
	for (size_t n = 0; n < p->stack.count; n++)
		if (!(p->stack.slice[n].fact[fact] > 0)) return false;
	return true;
}

static iso_status find_scale(pet *p, iso_error *err)
{
	char type[20];
	p->scale = 1;
	if (strcmp(p->units, "BQML") == 0) {
		snprintf(p->scaled, sizeof p->scaled, "as exported (BQML)");
		return ISO_OK;
	}
	if (strcmp(p->units, "CNTS") == 0 && all_have(p, PHILIPS_BQML)) {
		for (size_t n = 0; n < p->stack.count; n++) {
			iso_slice *slice = p->stack.slice + n;
			slice->slope *= slice->fact[PHILIPS_BQML];
			slice->intercept *= slice->fact[PHILIPS_BQML];
		}
		snprintf(p->scaled, sizeof p->scaled, "counts times Philips' factor (7053,1009)");
		return ISO_OK;
	}
	if (strcmp(p->units, "CNTS") == 0 && all_have(p, PHILIPS_SUV)) {
		for (size_t n = 0; n < p->stack.count; n++) {
			iso_slice *slice = p->stack.slice + n;
			slice->slope *= slice->fact[PHILIPS_SUV];
			slice->intercept *= slice->fact[PHILIPS_SUV];
		}
		return undo_suv(p, "Philips' factor (7053,1000)", err);
	}
	const bool by_weight = !iso_dicom_text(p->set, 0x00541006, type, sizeof type) || strcmp(type, "BW") == 0;
	if (strcmp(p->units, "GML") == 0 && by_weight) return undo_suv(p, "Units GML", err);
	return iso_fail(err, ISO_BAD_INPUT, p->path, "export the series in Bq/mL",
			"the values are in '%s'%s%s (0054,1001), which cannot be brought to Bq/mL", p->units,
			by_weight ? "" : " by ", by_weight ? "" : type);
}

/* All images of a series must say what its first one does. */
static iso_status check_image(const pet *p, const iso_dicom_item *set, const char *path, iso_error *err)
{
	char units[20], decay[20];
	iso_dicom_text(set, 0x00541001, units, sizeof units);
	iso_dicom_text(set, 0x00541102, decay, sizeof decay);
	if (strcmp(units, p->units) == 0 && strcmp(decay, p->decay) == 0)
		return p->gating.gates ? iso_gating_check_same(set, path, p->set, p->stack.slice[0].path, err) : ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, path, "export the series again from where it came",
			"units or decay correction are %s, %s here and %s, %s in %s", units, decay, p->units, p->decay,
			p->stack.slice[0].path);
}

static iso_status read_images(pet *p, iso_volume *volume, const iso_progress *progress, iso_error *err)
{
	const size_t pixels = p->grid.size[0] * p->grid.size[1];
	iso_status status = ISO_OK;
	for (size_t n = 0; n < p->stack.count && status == ISO_OK; n++) {
		const iso_slice *slice = p->stack.slice + n;
		float *plane = volume->voxels + (n % p->frames * p->slices + n / p->frames) * pixels;
		iso_dicom *file = NULL;
		status = iso_slice_open(slice, &file, err);
		if (status == ISO_OK) status = check_image(p, iso_dicom_root(file), slice->path, err);
		if (status == ISO_OK) status = iso_slice_pixels(file, slice, plane, err);
		iso_dicom_close(file);
		for (size_t v = 0; v < pixels && status == ISO_OK; v++) plane[v] = (float)(p->scale * (double)plane[v]);
		if (status == ISO_OK && progress && progress->report &&
		    progress->report(progress->user, "reading PET", (double)(n + 1) / (double)p->stack.count))
			status = iso_fail(err, ISO_CANCELLED, p->path, "start again", "stopped while reading PET");
	}
	return status;
}

/* A correction in words: its own text where there is one. */
static void say(const pet *p, const char *term, uint32_t tag, char *to, size_t size)
{
	char text[65];
	to[0] = '\0';
	if (!has_term(p->corrected, term)) return;
	const bool said = tag && iso_dicom_text(p->set, tag, text, sizeof text) && strcmp(text, "NONE") != 0;
	snprintf(to, size, "%s", said ? text : "as the files state, method not stated");
}

static void state_corrections(pet *p, iso_corrections *c)
{
	char text[40];
	say(p, "RAN", 0x00541100, c->randoms, sizeof c->randoms);
	say(p, "ATTN", 0x00541101, c->attenuation, sizeof c->attenuation);
	say(p, "SCAT", 0x00541105, c->scatter, sizeof c->scatter);
	say(p, "NORM", 0, c->normalisation, sizeof c->normalisation);
	say(p, "DTIM", 0, c->dead_time, sizeof c->dead_time);
	snprintf(c->calibration, sizeof c->calibration, "%s", p->scaled);
	if (p->correction != NOT_CORRECTED)
		snprintf(c->decay, sizeof c->decay, "to %s (%s)", iso_time_text(p->reference_s - p->zone_s, text),
			 p->decay);
	if (!c->attenuation[0]) iso_dicom_warn(p->facts, "the files do not say that attenuation was corrected");
}

static void state_facts(pet *p, iso_volume *v)
{
	iso_acquisition *a = &v->acquisition;
	iso_dicom_dose *dose = &p->facts->dose;
	char maker[33], version[33];
	a->modality = ISO_MODALITY_PET;
	iso_dicom_text(p->set, 0x00081090, a->scanner_name, sizeof a->scanner_name);
	snprintf(a->nuclide, sizeof a->nuclide, "%s", p->nuclide->name);
	snprintf(a->tracer, sizeof a->tracer, "%s", dose->tracer);
	iso_dicom_text(p->set, 0x00100020, a->subject, sizeof a->subject);
	a->start_utc_s = p->first_s - p->zone_s;
	dose->injection_utc_s -= p->zone_s;
	a->injection_utc_s = dose->injection_utc_s;
	a->injected_activity_bq = dose->injected_bq;
	a->half_life_s = p->half_life_s;
	a->branching_fraction = iso_dicom_number(iso_dicom_at(p->set, 0x00540016, 0), 0x00181076, 0);
	const iso_frame *last = p->frame + p->frames - 1;
	a->duration_s = last->start_s + last->duration_s;
	v->half_life_s = p->correction == NOT_CORRECTED ? (double)NAN : p->half_life_s;
	v->decay_reference_s = p->reference_s - p->first_s;
	state_corrections(p, &v->corrections);
	iso_dicom_text(p->set, 0x00541103, v->facts.method, sizeof v->facts.method);
	iso_dicom_text(p->set, 0x00080070, maker, sizeof maker);
	iso_dicom_text(p->set, 0x00181020, version, sizeof version);
	snprintf(v->facts.software, sizeof v->facts.software, "%.31s %.31s", maker, version);
	snprintf(v->facts.input, sizeof v->facts.input, "%s", p->facts->source);
	v->facts.prompts = v->facts.delayeds = (double)NAN;
	const iso_slice *first = p->stack.slice;
	strcpy(p->facts->series_uid, first->series_uid);
	strcpy(p->facts->frame_of_reference_uid, first->frame_of_reference_uid);
	strcpy(p->facts->description, first->description);
	snprintf(p->facts->manufacturer, sizeof p->facts->manufacturer, "%s", maker);
	p->facts->files = p->stack.count;
}

static iso_status make_volume(pet *p, const iso_dicom_in_options *options, const iso_progress *progress,
			      iso_volume **out, iso_error *err)
{
	iso_status status = iso_stack_collect(&p->stack, choose, err);
	if (status == ISO_OK && !p->stack.count)
		status =
		    iso_fail(err, ISO_BAD_INPUT, p->path,
			     p->stack.enhanced ? "export it as classic PET images, one file per slice"
					       : "name the folder of a PET series",
			     "there is no PET image here: %zu files are no DICOM, %zu other objects, %zu Enhanced PET",
			     p->stack.no_dicom, p->stack.other, p->stack.enhanced);
	if (status == ISO_OK) status = iso_stack_choose(&p->stack, options->series_uid, err);
	if (status == ISO_OK) status = iso_stack_check(&p->stack, err);
	if (status == ISO_OK) status = read_head(p, options, err);
	if (status == ISO_OK) status = find_frames(p, err);
	if (status != ISO_OK) return status;
	iso_dicom_find_dose(p->set, p->first_s, p->half_life_s, 1, p->facts);
	status = find_reference(p, err);
	if (status == ISO_OK) status = find_scale(p, err);
	if (status == ISO_OK)
		status = iso_volume_create(&p->grid, ISO_UNIT_BQ_PER_ML, p->frames, p->frame, 0, out, err);
	if (status == ISO_OK && p->gating.gates) status = iso_volume_set_gating(*out, &p->gating, p->path, err);
	if (status == ISO_OK) status = read_images(p, *out, progress, err);
	if (status == ISO_OK) state_facts(p, *out);
	return status;
}

iso_status iso_dicom_read_pet(const char *path, const iso_dicom_in_options *options, const iso_progress *progress,
			      iso_volume **out, iso_dicom_in_facts *facts, iso_error *err)
{
	pet p = {.path = path, .stack = {.path = path, .what = "PET", .option = "--series"}, .facts = facts};
	const iso_status status = iso_dicom_check(make_volume(&p, options, progress, out, err), path, err);
	if (status == ISO_OK && p.stack.no_dicom + p.stack.other)
		iso_note(progress, "PET: %zu files in %s are no slices of a PET series and were passed over",
			 p.stack.no_dicom + p.stack.other, path);
	free(p.frame);
	free(p.gating.gate);
	iso_dicom_close(p.head);
	iso_stack_free(&p.stack);
	return status;
}
