/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recon/checks.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "recon/correct/detector.h"
#include "recon/filter.h"
#include "recon/span.h"

static iso_status check_numbers(const iso_recon_options *o, iso_error *err)
{
	iso_status status = iso_grid_check(&o->grid, NULL, err);
	if (status == ISO_OK) status = iso_filter_check(&o->post_filter, err);
	if (status != ISO_OK) return status;
	if (!iso_grid_is_axis_aligned(&o->grid))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "reconstruct on an axis-aligned grid, then resample",
				"the image grid is turned");
	if (o->iterations < 1 || o->subsets < 1 || o->iterations > 100000 || o->subsets > 100000)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give at least 1 of each", "%u iterations of %u subsets",
				o->iterations, o->subsets);
	if ((int)o->algorithm < ISO_ALGORITHM_OSEM || o->algorithm > ISO_ALGORITHM_BSREM)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "use one of iso_algorithm", "algorithm %d",
				(int)o->algorithm);
	if (o->algorithm == ISO_ALGORITHM_MLEM && o->subsets != 1)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 1 subset, or choose OSEM", "MLEM with %u subsets",
				o->subsets);
	if (!(o->stop_change >= 0 && o->stop_change < 1))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a relative change from 0 (never) to 1",
				"stopping at a change of %g", o->stop_change);
	if (o->replicates == 1)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 0 or at least 2", "one replicate shows no spread");
	if (!(o->psf_fwhm_mm >= 0 && o->psf_fwhm_mm < 1e6))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 0 mm (none) or more", "a resolution of %g mm",
				o->psf_fwhm_mm);
	if (!(o->psf_tail_share >= 0 && o->psf_tail_share < 1) ||
	    !(o->psf_tail_fwhm_mm >= 0 && o->psf_tail_fwhm_mm < 1e6) ||
	    (o->psf_tail_share > 0 && !(o->psf_fwhm_mm > 0 && o->psf_tail_fwhm_mm > o->psf_fwhm_mm)))
		return iso_fail(err, ISO_BAD_USAGE, NULL,
				"give a share from 0 to 1 and a tail wider than the resolution",
				"a tail of %g with %g mm beside a resolution of %g mm", o->psf_tail_share,
				o->psf_tail_fwhm_mm, o->psf_fwhm_mm);
	if (!isnan(o->dead_time_factor) && !(o->dead_time_factor >= 1 && o->dead_time_factor < 1e6))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give a factor >= 1, or NAN when it is not known",
				"a dead time factor of %g", o->dead_time_factor);
	if ((int)o->randoms < ISO_RANDOMS_NONE || o->randoms > ISO_RANDOMS_SINGLES)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "use one of iso_randoms_method", "randoms method %d",
				(int)o->randoms);
	return ISO_OK;
}

iso_energy_facts iso_recon_energy(const iso_acquisition *facts, const iso_recon_options *o)
{
	iso_energy_facts energy = {.resolution =
				       isnan(o->energy_resolution) ? facts->energy_resolution : o->energy_resolution};
	const bool own = isnan(o->energy_window_kev[0]) || isnan(o->energy_window_kev[1]);
	for (int n = 0; n < 2; n++) energy.window_kev[n] = own ? facts->energy_window_kev[n] : o->energy_window_kev[n];
	return energy;
}

static iso_status check_energy(const iso_energy_facts *energy, iso_error *err)
{
	if (!(energy->window_kev[0] >= 0 && energy->window_kev[1] > energy->window_kev[0]))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --energy-window LOW,HIGH in keV, or --scatter none",
				"scatter needs the energy window, which the list-mode does not state");
	if (!(energy->window_kev[0] < 511 && energy->window_kev[1] > 511))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give the window of the 511 keV events",
				"the energy window of %g to %g keV lets no annihilation photon through",
				energy->window_kev[0], energy->window_kev[1]);
	if (!(energy->resolution > 0 && energy->resolution < 1))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --energy-resolution PERCENT, or --scatter none",
				"scatter needs the energy resolution, which the list-mode does not state");
	return ISO_OK;
}

static iso_status check_scatter(const iso_acquisition *facts, const iso_recon_options *o, iso_error *err)
{
	if ((int)o->scatter < ISO_SCATTER_NONE || o->scatter > ISO_SCATTER_SSS ||
	    (int)o->scatter_scale < ISO_SCATTER_SCALE_TAILS || o->scatter_scale > ISO_SCATTER_SCALE_NONE)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "use iso_scatter_method and iso_scatter_scale",
				"scatter method %d, scale %d", (int)o->scatter, (int)o->scatter_scale);
	size_t gammas;
	if (o->prompt_gammas && !iso_nuclide_prompt_gammas(o->nuclide, &gammas))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "leave --prompt-gamma out, or give --nuclide",
				"the prompt gammas of %s are not known", o->nuclide ? o->nuclide->name : "no nuclide");
	if (o->prompt_gammas && o->scatter == ISO_SCATTER_NONE)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "ask for scatter, too: --scatter sss",
				"prompt gammas without scatter");
	if (o->scatter == ISO_SCATTER_NONE) return ISO_OK;
	if (o->scatter_updates < 1)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give at least 1", "scatter of %u updates",
				o->scatter_updates);
	if (!o->mu)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --mu, or --scatter none",
				"scatter needs the map of attenuation coefficients, which says what scatters");
	const iso_energy_facts energy = iso_recon_energy(facts, o);
	return check_energy(&energy, err);
}

static iso_status check_penalty(const iso_recon_options *o, iso_error *err)
{
	if (o->prior_regions && o->algorithm != ISO_ALGORITHM_BSREM)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "reconstruct by BSREM",
				"regions for a prior, without a prior");
	if (o->prior_regions && o->prior_regions->unit != ISO_UNIT_LABEL)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "read them as labels",
				"the unit of the prior's regions is %s", iso_unit_text(o->prior_regions->unit));
	if (o->algorithm != ISO_ALGORITHM_BSREM) return ISO_OK;
	if (!(o->beta_mm2 >= 0 && o->beta_mm2 < 1e6))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 0 (no prior) or more, in mm2", "a prior's beta of %g",
				o->beta_mm2);
	if (!(o->gamma >= 0 && o->gamma <= 1000))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 0 to 1000; 2 is usual", "a prior's gamma of %g",
				o->gamma);
	if (!(o->relaxation >= 0 && o->relaxation <= 1000))
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give 0 to 1000 per iteration; 0.1 is usual",
				"a relaxation of %g", o->relaxation);
	return ISO_OK;
}

static iso_status check_mu(const iso_image *mu, iso_error *err)
{
	if (!mu) return ISO_OK;
	if (mu->unit != ISO_UNIT_PER_CM)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "read it as 1/cm", "the mu map's unit is %s",
				iso_unit_text(mu->unit));
	const size_t voxels = iso_grid_voxels(&mu->grid);
	for (size_t n = 0; n < voxels; n++)
		/* lead at 140 keV has 27 per cm: beyond 50 it is Hounsfield units or per metre */
		if (!(mu->voxels[n] >= -1e-3F && mu->voxels[n] <= 50.0F))
			return iso_fail(err, ISO_BAD_INPUT, NULL, "give linear attenuation coefficients in 1/cm",
					"voxel %zu of the mu map is %g per cm", n, (double)mu->voxels[n]);
	return ISO_OK;
}

static iso_status check_frames(const iso_recon_options *o, double duration_s, iso_error *err)
{
	if (o->gates) {
		const iso_gate_plan *p = o->gates;
		if (o->frame)
			return iso_fail(err, ISO_BAD_USAGE, NULL, "reconstruct frames or gates", "gates of frames");
		for (size_t s = 0; s < p->first[p->gating.gates]; s++)
			if (!(p->stretch[s].start_s >= 0) || !(iso_part_end_s(p->stretch + s) <= duration_s + 2e-3))
				return iso_fail(err, ISO_BAD_INPUT, NULL,
						"give the triggers of this scan, from its start",
						"a gate is collected from %g s on, in an acquisition of %g s",
						p->stretch[s].start_s, duration_s);
	}
	if (!o->frame) {
		if (duration_s > 0) return ISO_OK;
		return iso_fail(err, ISO_BAD_INPUT, NULL, "state the frames, which say how long they are",
				"the list-mode does not say how long the acquisition was");
	}
	if (o->frames < 1)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "give at least one frame", "a frame table without frames");
	for (size_t f = 0; f < o->frames; f++) {
		const iso_frame *frame = o->frame + f;
		if (!(frame->start_s >= 0) || !(frame->duration_s > 0) || !isfinite(frame->start_s + frame->duration_s))
			return iso_fail(err, ISO_BAD_INPUT, NULL, "frames start at >= 0 s and last > 0 s",
					"frame %zu starts at %g s and lasts %g s", f + 1, frame->start_s,
					frame->duration_s);
		if (f && frame->start_s < frame[-1].start_s + frame[-1].duration_s - 1e-6)
			return iso_fail(err, ISO_BAD_INPUT, NULL, "put frames in order and without overlap",
					"frame %zu starts at %g s, before frame %zu ends", f + 1, frame->start_s, f);
		/* half a percent or 2 ms beyond the last tick is rounding; more would be activity that is not there */
		if (duration_s > 0 &&
		    frame->start_s + frame->duration_s > duration_s + fmax(2e-3, 5e-3 * frame->duration_s))
			return iso_fail(err, ISO_BAD_INPUT, NULL, "end the last frame with the acquisition",
					"frame %zu ends at %g s, the acquisition at %g s", f + 1,
					frame->start_s + frame->duration_s, duration_s);
	}
	return ISO_OK;
}

static iso_status check_calibration(const iso_scanner *scanner, const iso_recon_options *o, iso_error *err)
{
	if (o->nuclide && (!(o->nuclide->half_life_s > 0) || !(o->nuclide->branching_fraction > 0)))
		return iso_fail(err, ISO_BAD_INPUT, NULL, "take the nuclide from the table",
				"a nuclide of half-life %g s and branching fraction %g", o->nuclide->half_life_s,
				o->nuclide->branching_fraction);
	if (!o->calibrate) return ISO_OK;
	const double factor = o->calibration                 ? o->calibration->factor
			      : isnan(o->calibration_factor) ? scanner->calibration_factor
							     : o->calibration_factor;
	if (!(factor > 0) || !isfinite(factor))
		return iso_fail(
		    err, ISO_BAD_INPUT, NULL,
		    "give --calibration FILE (isotrace calibrate makes it from a phantom of known activity), "
		    "--calibration-factor or --uncalibrated",
		    "missing calibration: scanner '%s' has no calibration factor", scanner->name);
	if (!o->nuclide)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give --nuclide or --uncalibrated",
				"missing calibration: the nuclide, whose branching fraction is needed, is not known");
	return ISO_OK;
}

static iso_status check_delayeds(iso_events *events, const iso_recon_options *o, iso_error *err)
{
	enum { BATCH = 16384 };
	if (o->randoms != ISO_RANDOMS_DELAYED) return ISO_OK;
	iso_event *batch = malloc(BATCH * sizeof *batch);
	if (!batch) return iso_fail_memory(err, "events", BATCH * sizeof *batch);
	bool found = false;
	iso_status status = iso_events_seek(events, 0, err);
	while (status == ISO_OK && !found) {
		size_t count;
		status = iso_events_read(events, batch, BATCH, &count, err);
		if (status != ISO_OK || count == 0) break;
		for (size_t n = 0; n < count && !found; n++) found = batch[n].kind == ISO_EVENT_DELAYED;
	}
	free(batch);
	if (status == ISO_OK && !found)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "use --randoms none",
				"randoms from delayeds: the list-mode holds no delayed events");
	return status;
}

static iso_status check_background(const iso_recon_options *o, iso_error *err)
{
	if (!o->background) return ISO_OK;
	if (o->randoms == ISO_RANDOMS_NONE && o->scatter == ISO_SCATTER_NONE)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "correct for randoms or scatter",
				"the background's counts are wanted, and nothing makes one");
	if (o->checkpoint)
		return iso_fail(err, ISO_BAD_USAGE, NULL, "go without a checkpoint",
				"the background's counts, which a checkpoint does not keep");
	return ISO_OK;
}

iso_status iso_recon_check(iso_events *events, const iso_recon_options *options, iso_error *err)
{
	const iso_scanner *scanner = iso_events_scanner(events);
	iso_status status = check_numbers(options, err);
	if (status == ISO_OK) status = check_penalty(options, err);
	if (status == ISO_OK) status = iso_scanner_check(scanner, NULL, err);
	if (status == ISO_OK && scanner->modality != ISO_MODALITY_PET)
		status = iso_fail(err, ISO_BAD_INPUT, NULL, "reconstruct PET list-mode", "the scanner's modality is %s",
				  iso_modality_text(scanner->modality));
	if (status == ISO_OK) status = check_mu(options->mu, err);
	if (status == ISO_OK) status = check_scatter(iso_events_acquisition(events), options, err);
	if (status == ISO_OK && options->positron_range && (!options->mu || !options->nuclide))
		status = iso_fail(err, ISO_BAD_INPUT, NULL, options->mu ? "give --nuclide" : "give --mu",
				  "the positron range needs the %s",
				  options->mu ? "nuclide" : "mu map, which tells where tissue is thin");
	if (status == ISO_OK) status = check_frames(options, iso_events_acquisition(events)->duration_s, err);
	if (status == ISO_OK) status = check_calibration(scanner, options, err);
	if (status == ISO_OK) status = iso_detector_check(events, options, err);
	if (status == ISO_OK) status = check_background(options, err);
	if (status == ISO_OK) status = check_delayeds(events, options, err);
	return status;
}
