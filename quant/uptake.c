/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "isotrace/time.h"
#include "quant/shares.h"
#include "quant/uncertainty.h"

#define MOST_WARNINGS (sizeof((iso_biodistribution *)0)->warnings / sizeof *((iso_biodistribution *)0)->warnings)
/* Half-lives of two evaluations differ by less; a different nuclide's by more. */
#define HALF_LIFE_REFUSED 0.02
#define HALF_LIFE_NOTED   0.001
/* Two records of one injection that are further apart than this are noted. */
#define INJECTION_NOTED_S 60.0
/* The mass balance is noted beyond this many standard uncertainties, or this many %ID. */
#define BALANCE_SIGMAS     2.0
#define BALANCE_PERCENT_ID 10.0

typedef struct work {
	const iso_volume *volume;
	const iso_organs *organs;
	const iso_nuclide *nuclide;
	iso_biodistribution *out;
	float *fraction;    /* scratch, dense on the grid, zero */
	float *share;       /* of the frame: the organs' parts of their voxels' activity */
	double *replicates; /* of the frame, per organ one value per replicate */
	size_t voxels;
} work;

__attribute__((format(printf, 2, 3))) static void warn(iso_biodistribution *out, const char *format, ...)
{
	if (out->warning_count == MOST_WARNINGS) return;
	va_list values;
	va_start(values, format);
	iso_vsnprintf(out->warnings[out->warning_count++], sizeof *out->warnings, format, values);
	va_end(values);
}

static iso_status check_nuclides(const iso_volume *volume, const iso_nuclide *nuclide, iso_biodistribution *out,
				 iso_error *err)
{
	const iso_nuclide *scanned;
	if (volume->acquisition.nuclide[0]) {
		const iso_status status = iso_nuclide_find(volume->acquisition.nuclide, NULL, &scanned, err);
		if (status != ISO_OK) return status;
		if (scanned != nuclide)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "correct the one that is wrong",
					"the volume is of %s, the dose of %s", scanned->name, nuclide->name);
	} else
		warn(out, "the volume does not state its nuclide; taken from the dose: %s", nuclide->name);
	if (isnan(volume->half_life_s)) return ISO_OK;
	const double off = fabs(volume->half_life_s / nuclide->half_life_s - 1);
	if (!(off < HALF_LIFE_REFUSED))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct with the right nuclide",
				"the volume was decay-corrected with a half-life of %.6g s, %s has %.6g s",
				volume->half_life_s, nuclide->name, nuclide->half_life_s);
	if (off > HALF_LIFE_NOTED)
		warn(out, "the volume was decay-corrected with a half-life of %.6g s, the table has %.6g s for %s",
		     volume->half_life_s, nuclide->half_life_s, nuclide->name);
	return ISO_OK;
}

static iso_status check(const iso_volume *volume, const iso_organs *organs, const iso_dose *dose,
			const iso_nuclide *nuclide, iso_biodistribution *out, iso_error *err)
{
	if (volume->unit != ISO_UNIT_BQ_PER_ML)
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"reconstruct with the scanner's calibration factor, so that the volume is in Bq/mL",
				"missing calibration: the volume is in %s", iso_unit_text(volume->unit));
	if (!iso_grid_equal(&volume->grid, &organs->grid))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "call iso_organs_create with the volume's grid",
				"the organs are on another grid than the volume");
	if (!isfinite(volume->acquisition.start_utc_s))
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"state the start of the acquisition with date and zone when converting",
				"the volume does not say when it was acquired, so that it cannot be decay-corrected");
	for (size_t f = 0; f < volume->frames; f++) {
		const double start = volume->acquisition.start_utc_s + volume->frame[f].start_s;
		char injected[40], began[40];
		if (start < dose->injection_utc_s)
			return iso_fail(err, ISO_BAD_INPUT, NULL,
					"check dates and zones of dose and scan, or leave such frames out",
					"frame %zu starts at %s, before the injection at %s", f,
					iso_time_text(start, began), iso_time_text(dose->injection_utc_s, injected));
	}
	const double stated = volume->acquisition.injection_utc_s;
	if (fabs(stated - dose->injection_utc_s) > INJECTION_NOTED_S)
		warn(out, "the scan's record has the injection %.0f s %s than the dose file, which was used",
		     fabs(stated - dose->injection_utc_s), stated > dose->injection_utc_s ? "later" : "earlier");
	return check_nuclides(volume, nuclide, out, err);
}

/* Factor from the mean activity over a frame to the moment of injection. */
static double frame_to_injection(const work *w, size_t frame, double half_life_s)
{
	const double start =
	    w->volume->acquisition.start_utc_s + w->volume->frame[frame].start_s - w->out->dose.injection_utc_s;
	const double duration = w->volume->frame[frame].duration_s;
	if (!(duration > 0)) return 1 / iso_decay_factor(half_life_s, start);
	return duration / iso_decay_integral_s(half_life_s, start, duration);
}

/* Factor from the volume's values to the moment of injection. */
static double to_injection(const work *w, size_t frame)
{
	const double half_life_s = w->nuclide->half_life_s;
	if (isnan(w->volume->decay_reference_s)) return frame_to_injection(w, frame, half_life_s);
	const double reference =
	    w->volume->acquisition.start_utc_s + w->volume->decay_reference_s - w->out->dose.injection_utc_s;
	return 1 / iso_decay_factor(half_life_s, reference);
}

/* Relative uncertainty of %ID from that of the half-life. It acts twice, with the decay from assay to injection and from
 * injection to scan, in the same direction: so the derivative is taken of both together. The correction inside
 * the frame counts whoever made it, since it was made with the same half-life. Of the activity (dosed false): the second alone. */
static double half_life_uncertainty(const work *w, size_t frame, bool dosed)
{
	const double step = 1e-4;
	double value[2];
	for (int side = 0; side < 2; side++) {
		iso_nuclide shifted = *w->nuclide;
		shifted.half_life_s *= side ? 1 + step : 1 - step;
		double injected = 1;
		if (dosed && iso_dose_injected_bq(&w->out->dose, &shifted, &injected, NULL) != ISO_OK)
			return (double)NAN;
		value[side] = log(frame_to_injection(w, frame, shifted.half_life_s) / injected);
	}
	return fabs(value[1] - value[0]) / (2 * step) * w->nuclide->half_life_uncertainty_s / w->nuclide->half_life_s;
}

/* A shared component: 0 when the branching fraction was not used. */
static double branching_uncertainty(const work *w)
{
	if (isnan(w->volume->branching_fraction)) return 0;
	return w->nuclide->branching_uncertainty / w->nuclide->branching_fraction;
}

static double organ_sum(const work *w, size_t organ, const float *voxels)
{
	const iso_organs *organs = w->organs;
	double sum = 0;
	for (size_t n = organs->first[organ]; n < organs->first[organ + 1]; n++)
		sum += (double)w->share[n] * (double)voxels[organs->voxel[n]];
	return sum;
}

static const float *replicate(const work *w, size_t number, size_t frame)
{
	return w->volume->replicate_voxels + (number * w->volume->frames + frame) * w->voxels;
}

/* The shares rest on the same counts: with those of the whole data, replicates would scatter too little. */
static void sum_replicates(work *w, size_t frame, iso_shares *shares)
{
	const size_t n = w->volume->replicates;
	for (size_t r = 0; r < n; r++) {
		iso_shares_of(shares, replicate(w, r, frame), w->share);
		for (size_t o = 0; o < w->organs->count; o++)
			w->replicates[o * n + r] = organ_sum(w, o, replicate(w, r, frame));
	}
}

/* Components of the uncertainty and the total. */
static void uncertainties(work *w, size_t frame, size_t organ, double sum, iso_uptake *row)
{
	const iso_organ *what = &w->organs->organ[organ];
	const size_t n = w->volume->replicates;
	row->u_counting = iso_relative_error_of_mean(w->replicates + organ * n, n, sum);
	row->u_calibration = w->volume->calibration_uncertainty;
	row->u_injected = w->out->injected_relative_uncertainty;
	row->u_half_life = half_life_uncertainty(w, frame, true);
	row->u_half_life_activity = half_life_uncertainty(w, frame, false);
	row->u_branching = branching_uncertainty(w);
	row->u_body_mass = w->out->dose.body_mass_uncertainty_g / w->out->dose.body_mass_g;

	/* A boundary that is off by dV changes the activity by C_boundary dV, the volume by dV, and the mass, where that is
	 * volume x density, by rho dV: in the quotients the two partly cancel. */
	const double mean = sum * iso_grid_voxel_ml(&w->volume->grid) / row->volume_ml;
	const double ratio =
	    iso_boundary_ratio(w->organs, organ, w->volume->voxels + frame * w->voxels, mean, w->fraction);
	const double volume = iso_volume_uncertainty(w->organs, organ);
	row->u_total_volume = volume;
	row->u_volume_percent_id = fabs(ratio) * volume;
	row->u_volume_concentration = fabs(ratio - 1) * volume;
	if (isnan(what->mass_g)) {
		row->u_volume = row->u_volume_concentration;
		row->u_density = what->density_uncertainty_g_per_ml / what->density_g_per_ml;
		row->u_mass = 0;
		row->u_total_mass = hypot(volume, row->u_density); /* NAN as the density's */
	} else {
		row->u_volume = row->u_volume_percent_id;
		row->u_density = 0;
		row->u_mass = what->mass_uncertainty_g / what->mass_g;
		row->u_total_mass = row->u_mass;
	}
	iso_uptake_total(row, (double)n - 1);
}

static iso_status quantify_organ(work *w, size_t frame, size_t organ, iso_error *err)
{
	const iso_organ *what = &w->organs->organ[organ];
	iso_uptake *row = &w->out->row[frame * w->out->organs + organ];
	const double sum = organ_sum(w, organ, w->volume->voxels + frame * w->voxels);
	if (!isfinite(sum))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct again",
				"the volume holds values that are no numbers inside %s", what->name);
	snprintf(row->organ, sizeof row->organ, "%s", what->name);
	row->volume_ml = w->organs->volume_ml[organ];
	const bool weighed = !isnan(what->mass_g);
	row->mass_g = weighed ? what->mass_g : row->volume_ml * what->density_g_per_ml;
	snprintf(row->mass_source, sizeof row->mass_source, "%s", weighed ? "entered" : "volume x density");
	if (!(row->mass_g > 0))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give a density or a mass in the organ table",
				"no mass is known for %s", what->name);
	row->activity_bq = sum * iso_grid_voxel_ml(&w->volume->grid) * to_injection(w, frame);
	row->concentration_bq_per_ml = row->activity_bq / row->volume_ml;
	row->percent_id = 100 * row->activity_bq / w->out->injected_bq;
	row->percent_id_per_g = row->percent_id / row->mass_g;
	row->suv_bw = row->concentration_bq_per_ml * w->out->dose.body_mass_g / w->out->injected_bq;
	uncertainties(w, frame, organ, sum, row);
	return ISO_OK;
}

static double volume_sum(const float *voxels, size_t count)
{
	double sum = 0;
	for (size_t v = 0; v < count; v++) sum += (double)voxels[v];
	return sum;
}

static iso_status balance(work *w, size_t frame, iso_error *err)
{
	const double sum = volume_sum(w->volume->voxels + frame * w->voxels, w->voxels);
	if (!isfinite(sum))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct again",
				"the volume holds values that are no numbers");
	const double recovered =
	    100 * sum * iso_grid_voxel_ml(&w->volume->grid) * to_injection(w, frame) / w->out->injected_bq;
	for (size_t r = 0; r < w->volume->replicates; r++)
		w->replicates[r] = volume_sum(replicate(w, r, frame), w->voxels);
	const double components[] = {iso_relative_error_of_mean(w->replicates, w->volume->replicates, sum),
				     w->volume->calibration_uncertainty, w->out->injected_relative_uncertainty,
				     half_life_uncertainty(w, frame, true), branching_uncertainty(w)};
	w->out->recovered_percent_id[frame] = recovered;
	/* Counting a whole body is precise: without these two, what is left would pass for an exact measurement. */
	const bool known = !isnan(components[1]) && !isnan(components[2]);
	w->out->recovered_uncertainty[frame] =
	    known ? fabs(recovered) * iso_quadrature(components, sizeof components / sizeof *components) : (double)NAN;
	return ISO_OK;
}

/* One warning for all frames, with the numbers of the worst. */
static void judge_balance(iso_biodistribution *out)
{
	size_t off = 0, worst = 0;
	for (size_t f = 0; f < out->frames; f++) {
		const double gap = fabs(out->recovered_percent_id[f] - out->expected_percent_id);
		if (!(gap > BALANCE_PERCENT_ID || gap > BALANCE_SIGMAS * out->recovered_uncertainty[f])) continue;
		if (off == 0 || gap > fabs(out->recovered_percent_id[worst] - out->expected_percent_id)) worst = f;
		off++;
	}
	if (!off) return;
	char frames[96] = "";
	if (out->frames > 1)
		snprintf(frames, sizeof frames, " in %s %zu (%zu of %zu are off)", out->gate ? "gate" : "frame",
			 worst + (out->gate != NULL), off, out->frames);
	if (isnan(out->recovered_uncertainty[worst]))
		warn(out,
		     "mass balance: %.2f %%ID (uncertainty not known) recovered in the volume where %.2f %%ID is "
		     "expected%s",
		     out->recovered_percent_id[worst], out->expected_percent_id, frames);
	else
		warn(out, "mass balance: %.2f +- %.2f %%ID recovered in the volume where %.2f %%ID is expected%s",
		     out->recovered_percent_id[worst], out->recovered_uncertainty[worst], out->expected_percent_id,
		     frames);
}

/* Says which components are missing from the totals, once for all organs. */
static void name_missing(iso_biodistribution *out)
{
	static const char *const names[] = {"counting statistics (no replicates)",
					    "calibration",
					    "volume",
					    "density",
					    "weighed mass",
					    "injected activity",
					    "half-life",
					    "branching fraction",
					    "body mass (of SUVbw)"};
	char text[200];
	size_t used = 0;
	for (size_t c = 0; c < sizeof names / sizeof *names; c++) {
		bool missing = false;
		for (size_t i = 0; i < out->frames * out->organs; i++) {
			const iso_uptake *u = &out->row[i];
			const double component[] = {
			    u->u_counting,  u->u_calibration, u->u_volume,
			    u->u_density,   u->u_mass,        u->u_injected,
			    u->u_half_life, u->u_branching,   isnan(u->suv_bw) ? 0 : u->u_body_mass};
			missing = missing || isnan(component[c]);
		}
		if (missing && used < sizeof text)
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "", names[c]);
	}
	if (used) warn(out, "uncertainty not known, and not in the totals: %s", text);
}

static iso_status create(const iso_volume *volume, size_t organs, const iso_dose *dose, iso_biodistribution **out,
			 iso_error *err)
{
	iso_biodistribution *made = calloc(1, sizeof *made);
	if (!made) return iso_fail_memory(err, "the biodistribution", sizeof *made);
	made->frames = volume->frames;
	made->organs = organs;
	made->frame = calloc(volume->frames, sizeof *made->frame);
	made->time_h = calloc(volume->frames, sizeof *made->time_h);
	made->row = calloc(volume->frames * organs, sizeof *made->row);
	made->recovered_percent_id = calloc(volume->frames, sizeof *made->recovered_percent_id);
	made->recovered_uncertainty = calloc(volume->frames, sizeof *made->recovered_uncertainty);
	const bool gated = volume->gating.gates > 0;
	if (gated) made->gate = calloc(volume->frames, sizeof *made->gate);
	if (!made->frame || !made->time_h || !made->row || !made->recovered_percent_id ||
	    !made->recovered_uncertainty || (gated && !made->gate)) {
		iso_biodistribution_free(made);
		return iso_fail_memory(err, "the biodistribution", volume->frames * organs * sizeof *made->row);
	}
	memcpy(made->frame, volume->frame, volume->frames * sizeof *made->frame);
	if (made->gate) memcpy(made->gate, volume->gating.gate, volume->frames * sizeof *made->gate);
	made->dose = *dose;
	made->start_utc_s = volume->acquisition.start_utc_s;
	made->decay_reference_s = volume->decay_reference_s;
	made->half_life_s = volume->half_life_s;
	made->branching_fraction = volume->branching_fraction;
	made->calibration_factor = volume->calibration_factor;
	made->calibration_uncertainty = volume->calibration_uncertainty;
	made->corrections = volume->corrections;
	made->facts = volume->facts;
	made->injected_relative_uncertainty = dose->relative_uncertainty;
	made->expected_percent_id = 100 - dose->excreted_percent_id;
	for (size_t f = 0; f < volume->frames; f++)
		made->time_h[f] = (volume->acquisition.start_utc_s - dose->injection_utc_s + volume->frame[f].start_s +
				   0.5 * volume->frame[f].duration_s) /
				  3600;
	*out = made;
	return ISO_OK;
}

static iso_status quantify(work *w, iso_error *err)
{
	iso_status status = ISO_OK;
	w->fraction = calloc(w->voxels, sizeof *w->fraction);
	w->share = calloc(w->organs->first[w->organs->count] + 1, sizeof *w->share);
	w->replicates = calloc(w->organs->count * w->volume->replicates + 1, sizeof *w->replicates);
	iso_shares *shares = NULL;
	if (!w->fraction || !w->share || !w->replicates)
		status = iso_fail_memory(err, "the quantification", w->voxels * sizeof *w->fraction);
	else
		status = iso_shares_begin(w->organs, &shares, err);
	for (size_t f = 0; f < w->volume->frames && status == ISO_OK; f++) {
		status = balance(w, f, err); /* which refuses what is no number */
		if (status == ISO_OK) {
			sum_replicates(w, f, shares);
			iso_shares_of(shares, w->volume->voxels + f * w->voxels, w->share);
		}
		for (size_t o = 0; o < w->organs->count && status == ISO_OK; o++) status = quantify_organ(w, f, o, err);
	}
	free(w->fraction);
	iso_shares_end(shares);
	free(w->share);
	free(w->replicates);
	return status;
}

iso_status iso_quantify(const iso_volume *volume, const iso_organs *organs, const iso_dose *dose, const char *subject,
			const char *group, iso_biodistribution **out, iso_error *err)
{
	*out = NULL;
	const iso_nuclide *nuclide;
	iso_status status = iso_nuclide_find(dose->nuclide, NULL, &nuclide, err);
	if (status == ISO_OK) status = iso_volume_check_gating(volume, NULL, err);
	if (status != ISO_OK) return status;
	iso_biodistribution *made = NULL;
	if ((status = create(volume, organs->count, dose, &made, err)) != ISO_OK) return status;
	snprintf(made->subject, sizeof made->subject, "%s",
		 subject && *subject ? subject : volume->acquisition.subject);
	snprintf(made->group, sizeof made->group, "%s", group ? group : "");
	work w = {.volume = volume,
		  .organs = organs,
		  .nuclide = nuclide,
		  .out = made,
		  .voxels = iso_grid_voxels(&volume->grid)};
	status = iso_dose_injected_bq(dose, nuclide, &made->injected_bq, err);
	if (status == ISO_OK) status = check(volume, organs, dose, nuclide, made, err);
	if (status == ISO_OK) status = quantify(&w, err);
	if (status != ISO_OK) {
		iso_biodistribution_free(made);
		return status;
	}
	judge_balance(made);
	name_missing(made);
	*out = made;
	return ISO_OK;
}

void iso_biodistribution_free(iso_biodistribution *result)
{
	if (!result) return;
	free(result->frame);
	free(result->time_h);
	free(result->gate);
	free(result->row);
	free(result->recovered_percent_id);
	free(result->recovered_uncertainty);
	free(result);
}
