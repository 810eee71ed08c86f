/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reconstructions of scans with scatter: what the correction makes of them, that no bit depends on how it is done, and what it asks for. */
#include <stdio.h>
#include <unistd.h>

#include "recon/correct/coarse_map.h"
#include "recon/positron_range.h"
#include "tests/recon/cylinders.h"

/* A scan of the cylinders: trues along analytic chords, and single scatter as the simulation has it from the true image, so many times as much. */
typedef struct scan {
	bench bench;
	iso_event *list;
	size_t count;
	double duration_s, scattered; /* mean number of scattered events */
	iso_acquisition facts;
} scan;

/* What docs/decisions/031 adds to single scatter, as numbers of their own: multiple scatter per single scatter and per S / T, the part of it that is the same
 * for all pairs but for their views, and the part of the trues that lies anywhere. */
static const double multiple_per_tau = 0.455, multiple_flat = 0.15, misplaced = 0.0015;

typedef struct rates {
	double trues, single, flat; /* of a pair, or summed over all */
} rates;

static rates rates_of(const bench *b, const iso_event *pair, int bin)
{
	const uint32_t a = pair->element[0], c = pair->element[1];
	const float *p = b->scanner->position_mm + 3 * (size_t)a, *q = b->scanner->position_mm + 3 * (size_t)c;
	const float from[3] = {p[0] - 5, p[1], p[2]}, to[3] = {q[0] - 5, q[1], q[2]};
	const iso_net_place *place = b->detectors->place;
	rates r = {.single = iso_pair_table_at(b->table, place + a, place + c, bin)};
	if (bin != 0) return r; /* of the others' TOF only what is needed to count them */
	r.trues = iso_pair_factor(b->scanner, a, c) * activity * chord_mm(from, to, active_mm, half_mm) *
		  exp(-mu_per_mm * chord_mm(p, q, water_mm, half_mm));
	r.flat = (double)place[a].view * (double)place[c].view;
	return r;
}

static scan scan_open(bool tof, double scatter_scale)
{
	scan s = {.bench = bench_open(tof), .duration_s = 60, .facts = iso_acquisition_unknown()};
	const bench *b = &s.bench;
	iso_error err;
	ISO_ASSERT_OK(iso_scatter_simulate(&b->model, b->coarse_image, b->table, &err), err);
	iso_event *pairs;
	const size_t count = all_pairs(b->scanner, &pairs);
	const int half = tof ? (b->scanner->tof.bins - 1) / 2 : 0;
	double *mean = malloc(count * sizeof *mean);
	rates all = {0, 0, 0};
	for (int bin = -half; bin <= half; bin++)
		for (size_t n = 0; n < count; n++) {
			const rates r = rates_of(b, pairs + n, bin);
			all.trues += r.trues, all.single += r.single, all.flat += r.flat;
		}
	const double multiple = multiple_per_tau * all.single / all.trues;
	for (int bin = -half; bin <= half; bin++) {
		for (size_t n = 0; n < count; n++) {
			const rates r = rates_of(b, pairs + n, bin);
			const double anywhere = r.flat / all.flat;
			const double scatter = scatter_scale * ((1 + (1 - multiple_flat) * multiple) * r.single +
								multiple_flat * multiple * all.single * anywhere);
			pairs[n].tof_bin = (int16_t)bin;
			mean[n] = 0.008 * s.duration_s * (r.trues + scatter + misplaced * all.trues * anywhere);
			s.scattered += 0.008 * s.duration_s * scatter;
		}
		s.count = draw_events(pairs, mean, count, ISO_EVENT_PROMPT, 60000, 100 + (uint64_t)(bin + half),
				      &s.list, s.count);
	}
	free(mean);
	free(pairs);
	s.facts.modality = ISO_MODALITY_PET;
	s.facts.duration_s = s.duration_s;
	s.facts.energy_window_kev[0] = window_kev[0];
	s.facts.energy_window_kev[1] = window_kev[1];
	s.facts.energy_resolution = resolution;
	return s;
}

static void scan_close(scan *s)
{
	free(s->list);
	bench_close(&s->bench);
}

typedef struct told {
	char notes[4000];
	int reports, stop_at; /* 0: never */
} told;

static void hear(void *user, const char *line)
{
	told *t = user;
	strncat(t->notes, line, sizeof t->notes - strlen(t->notes) - 2);
	strcat(t->notes, "\n");
}

static int report(void *user, const char *stage, double done)
{
	(void)done;
	told *t = user;
	return t->stop_at && strstr(stage, "iteration 3") && ++t->reports >= t->stop_at;
}

static iso_recon_options options_of(const scan *s)
{
	iso_recon_options o = iso_recon_options_default();
	o.grid = cube_grid(18, 15, 2);
	o.iterations = 4;
	o.subsets = 4;
	o.mu = s->bench.mu;
	o.scatter = ISO_SCATTER_SSS;
	o.decay_correction = false;
	o.threads = 2;
	return o;
}

static iso_status reconstruct(const scan *s, const iso_recon_options *o, iso_volume **volume, iso_error *err)
{
	iso_events *events = NULL;
	iso_status status = iso_events_from_array(s->list, s->count, s->bench.scanner, &s->facts, &events, err);
	if (status == ISO_OK) status = iso_reconstruct(events, o, volume, err);
	iso_events_close(events);
	return status;
}

/* Mean of a small cylinder in the middle of the activity, and of cold water as far from it as possible. */
static void means_of(const iso_volume *v, double *hot, double *cold)
{
	double n[2] = {0, 0}, sum[2] = {0, 0};
	for (size_t i = 0; i < iso_grid_voxels(&v->grid); i++) {
		const double index[3] = {(double)(i % 18), (double)(i / 18 % 18), (double)(i / 324)};
		double p[3];
		iso_grid_point_mm(&v->grid, index, p);
		if (fabs(p[2]) > 8) continue;
		const int which = hypot(p[0] - active_x_mm, p[1]) < 4 ? 0 : hypot(p[0] + 7, p[1]) < 4 ? 1 : 2;
		if (which < 2) sum[which] += (double)v->voxels[i], n[which]++;
	}
	*hot = sum[0] / n[0];
	*cold = sum[1] / n[1];
}

/* The tails find the 1.5 that the simulation does not know of, and the correction takes the scatter out. Counts are some 200,000, of which
 * 0.7 % noise is left in a region of 400 mm2; the image on voxels of 2 mm is worth 2 %, so that 3 % are allowed. */
static void corrects(void)
{
	scan s = scan_open(false, 1.5);
	iso_error err;
	told heard = {.notes = ""};
	const iso_progress progress = {.report = report, .note = hear, .user = &heard};
	iso_recon_options o = options_of(&s);
	o.progress = &progress;
	iso_volume *with = NULL, *without = NULL;
	ISO_ASSERT_OK(reconstruct(&s, &o, &with, &err), err);
	double scale = 0, sd = 0, share = 0;
	const char *line = strstr(heard.notes, "scatter after iteration 3: ");
	CU_ASSERT_FATAL(line != NULL);
	CU_ASSERT_EQUAL(
	    sscanf(line,
		   "scatter after iteration 3: %lf %% of prompts less randoms, simulated x %lf +- %lf by the tails",
		   &share, &scale, &sd),
	    3);
	CU_ASSERT(strstr(heard.notes, "iteration 1: ") && !strstr(heard.notes, "scatter after iteration 4"));
	/* Photons that scatter twice are in the estimate (0.055 of it: test_scatter.c) and not in the scan. The image after three iterations is not yet the limit:
	 * 2 % are lacking (seen with ten times the counts), and the expectation takes 1 %. Some 1200 lines beside the body, of which 2/3 are the scatter's: noise of
	 * 0.045; the stated deviation holds that of the tails' shape, 0.05, too. */
	CU_ASSERT(sd > 0.05 && sd < 0.075);
	ISO_ASSERT_NEAR(scale, 1.5 / 1.055, 4 * 0.045 + 0.03);
	ISO_ASSERT_NEAR(share / 100 * (double)s.count, s.scattered, (4 * 0.045 / scale + 0.03) * s.scattered);
	CU_ASSERT(strstr(with->corrections.scatter, "by tails") != NULL);
	o.scatter = ISO_SCATTER_NONE;
	ISO_ASSERT_OK(reconstruct(&s, &o, &without, &err), err);
	CU_ASSERT_STRING_EQUAL(without->corrections.scatter, "");
	double hot[2], cold[2];
	means_of(with, &hot[0], &cold[0]);
	means_of(without, &hot[1], &cold[1]);
	if (getenv("SCATTER_PRINT"))
		printf("# %s\n# %zu events, hot %.4g cold %.4g, without correction %.4g, %.4g; scale %g +- %g\n",
		       heard.notes, s.count, hot[0], cold[0], hot[1], cold[1], scale, sd);
	ISO_ASSERT_NEAR(hot[0] / (0.008 * activity), 1, 0.03);
	CU_ASSERT(cold[0] < 0.02 * hot[0]);
	CU_ASSERT(cold[1] > 2 * cold[0]);
	iso_volume_free(with);
	iso_volume_free(without);
	scan_close(&s);
}

/* Neither threads nor where events lie nor a break show in the image or its replicates, with TOF. */
static void same_bits(void)
{
	few_rings = true;
	scan s = scan_open(true, 1);
	iso_error err;
	told heard = {.notes = ""};
	const iso_progress progress = {.report = report, .note = hear, .user = &heard};
	char folder[] = "/tmp/isotrace-scatter-XXXXXX", checkpoint[64];
	CU_ASSERT_FATAL(mkdtemp(folder) != NULL);
	snprintf(checkpoint, sizeof checkpoint, "%s/c", folder);
	iso_recon_options o = options_of(&s);
	o.replicates = 2;
	iso_volume *first = NULL, *other = NULL;
	ISO_ASSERT_OK(reconstruct(&s, &o, &first, &err), err);
	const size_t bytes = iso_grid_voxels(&o.grid) * sizeof(float);
	for (int pass = 0; pass < 3; pass++) {
		o.threads = pass == 0 ? 1 : 3;
		o.max_memory_bytes = pass == 1;
		if (pass == 2) {
			o.checkpoint = checkpoint;
			o.progress = &progress;
			heard.stop_at = 3;
			CU_ASSERT_EQUAL(reconstruct(&s, &o, &other, &err), ISO_CANCELLED);
			heard.stop_at = 0;
		}
		ISO_ASSERT_OK(reconstruct(&s, &o, &other, &err), err);
		CU_ASSERT_EQUAL(memcmp(first->voxels, other->voxels, bytes), 0);
		CU_ASSERT_EQUAL(memcmp(first->replicate_voxels, other->replicate_voxels, 2 * bytes), 0);
		iso_volume_free(other);
		other = NULL;
	}
	CU_ASSERT(strstr(heard.notes, "resumed after iteration 2") != NULL);
	/* other scatter is another reconstruction: the checkpoint does not fit */
	o.scatter_updates = 1;
	heard.notes[0] = '\0';
	ISO_ASSERT_OK(reconstruct(&s, &o, &other, &err), err);
	CU_ASSERT(strstr(heard.notes, "resumed") == NULL);
	CU_ASSERT(memcmp(first->voxels, other->voxels, bytes) != 0);
	iso_volume_free(other);
	iso_volume_free(first);
	iso_recon_checkpoint_remove(checkpoint);
	rmdir(folder);
	scan_close(&s);
	few_rings = false;
}

/* Single scatter of activity x on the grid, in any unit. */
static double scatter_of(const scan *s, const iso_grid *grid, const float *x)
{
	iso_image *coarse = NULL;
	iso_error err;
	double sum = 0;
	ISO_ASSERT_OK(iso_coarse_map_create(grid, x, 30000, &coarse, &err), err);
	ISO_ASSERT_OK(iso_scatter_simulate(&s->bench.model, coarse, s->bench.table, &err), err);
	for (size_t n = 0; n < iso_pair_table_values(s->bench.table); n++) sum += (double)s->bench.table->value[n];
	iso_image_free(coarse);
	return sum;
}

/* What scatters comes from where positrons annihilate. The image after one update is the volume, and what it says of scatter with Ga-68's range
 * over that without is the ratio of the single scatter of the one's annihilations and of the other's decays, simulated here. Single and multiple scatter differ
 * in that by less than 1 %, the shares are told with three digits: 2 % are allowed. Its decays would be 8 % off. */
static void from_annihilations(void)
{
	few_rings = true;
	scan s = scan_open(false, 0);
	iso_error err;
	told heard = {.notes = ""};
	const iso_progress progress = {.report = report, .note = hear, .user = &heard};
	iso_recon_options o = options_of(&s);
	o.progress = &progress;
	o.iterations = o.subsets = o.scatter_updates = 1;
	o.scatter_scale = ISO_SCATTER_SCALE_NONE;
	ISO_ASSERT_OK(iso_nuclide_find("Ga-68", NULL, &o.nuclide, &err), err);
	iso_positron_range range;
	iso_range_model *model = NULL;
	ISO_ASSERT_OK(iso_positron_range_find("Ga-68", &range, &err), err);
	ISO_ASSERT_OK(iso_range_model_create(&o.grid, s.bench.mu, &range, &model, &err), err);
	float *annihilations = malloc(iso_grid_voxels(&o.grid) * sizeof *annihilations);
	double share[2] = {0, 0}, decays[2], seen = 0;
	for (int with = 0; with < 2; with++) {
		iso_volume *volume = NULL;
		o.positron_range = with;
		heard.notes[0] = '\0';
		ISO_ASSERT_OK(reconstruct(&s, &o, &volume, &err), err);
		const char *line = strstr(heard.notes, "scatter after iteration 1: ");
		CU_ASSERT_FATAL(line != NULL);
		CU_ASSERT_EQUAL(sscanf(line, "scatter after iteration 1: %lf %%", &share[with]), 1);
		decays[with] = scatter_of(&s, &o.grid, volume->voxels);
		iso_range_model_forward(model, volume->voxels, annihilations);
		seen = scatter_of(&s, &o.grid, annihilations);
		iso_volume_free(volume);
	}
	if (getenv("SCATTER_PRINT"))
		printf("# with range over without: %.4f, of annihilations %.4f, of decays %.4f\n", share[1] / share[0],
		       seen / decays[0], decays[1] / decays[0]);
	ISO_ASSERT_NEAR(share[1] / share[0] / (seen / decays[0]), 1, 0.02);
	CU_ASSERT(decays[1] > 1.05 * seen);
	free(annihilations);
	iso_range_model_free(model);
	scan_close(&s);
	few_rings = false;
}

static void says_what_it_lacks(void)
{
	few_rings = true;
	scan s = scan_open(false, 0);
	iso_error err;
	iso_volume *volume = NULL;
	iso_recon_options o = options_of(&s);
	o.mu = NULL;
	CU_ASSERT_EQUAL(reconstruct(&s, &o, &volume, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.remedy, "--mu") != NULL);
	o.mu = s.bench.mu;
	s.facts.energy_resolution = (double)NAN;
	CU_ASSERT_EQUAL(reconstruct(&s, &o, &volume, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.remedy, "--energy-resolution") != NULL);
	o.energy_resolution = 0.14;
	s.facts.energy_window_kev[1] = (double)NAN;
	CU_ASSERT_EQUAL(reconstruct(&s, &o, &volume, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.remedy, "--energy-window") != NULL);
	o.energy_window_kev[0] = 520;
	o.energy_window_kev[1] = 700;
	CU_ASSERT_EQUAL(reconstruct(&s, &o, &volume, &err), ISO_BAD_INPUT);
	o.energy_window_kev[0] = 350;
	o.prompt_gammas = true;
	CU_ASSERT_EQUAL(reconstruct(&s, &o, &volume, &err), ISO_BAD_INPUT);
	CU_ASSERT(strstr(err.message, "prompt gammas") != NULL);
	o.prompt_gammas = false;
	o.scatter_updates = 0;
	CU_ASSERT_EQUAL(reconstruct(&s, &o, &volume, &err), ISO_BAD_USAGE);
	scan_close(&s);
	few_rings = false;
}

static const iso_test tests[] = {
    {"a scan with scatter becomes right", corrects},
    {"the same bits by any way", same_bits},
    {"from annihilations, not from decays", from_annihilations},
    {"what is lacking is said", says_what_it_lacks},
};

ISO_TEST_MAIN("recon-scatter-scan", tests)
