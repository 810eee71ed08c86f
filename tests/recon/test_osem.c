/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "recon/sensitivity.h"
#include "tests/recon/fixtures.h"

static const iso_resolution sharp = {.psf_fwhm_mm = 0};

static iso_data_model plain_model(const iso_system *system, const iso_image *sensitivity, double scale_s,
				  iso_data *data)
{
	return (iso_data_model){.voxels = iso_grid_voxels(&sensitivity->grid),
				.image_model = iso_system_image_model(system),
				.sensitivity = sensitivity->voxels,
				.sensitivity_scale = scale_s,
				.support = ISO_SUPPORT,
				.data = data,
				.subsets = 1};
}

/* Noise-free counts from analytic chords of cylinders of 10 counts/s/mm together over 100 s: twelve of radius 9.25, 9.75 ..
 * 14.75 mm, an object whose edge is a ramp of 6 mm, because at a sharp edge an image of 2 mm voxels rings by tens of percent
 * far into the object. They are longer than the scanner. Inside 8 mm the image must be 10 in the mean to 1 %, and so must
 * its integral: pi * mean of the squared radii * 10. */
static void test_noise_free_cylinder(void)
{
	iso_scanner *s = small_scanner(8, 72);
	iso_error err;
	iso_event *pairs;
	const size_t count = all_pairs(s, &pairs);
	const iso_grid g = cube_grid(22, 16, 2);
	iso_image *sensitivity;
	iso_system *system;
	ISO_ASSERT_OK(iso_sensitivity(s, &g, NULL, 0, 0, NULL, &sensitivity, &err), err);
	ISO_ASSERT_OK(iso_system_create(s, &g, &sharp, NULL, 0, &system, &err), err);
	iso_line_block *block = block_of(system, s, pairs, count);
	float *counts = malloc(2 * count * sizeof *counts), *none = counts + count;
	double total = 0;
	for (size_t n = 0; n < count; n++) {
		const float *p = s->position_mm + 3 * (size_t)pairs[n].element[0],
			    *q = s->position_mm + 3 * (size_t)pairs[n].element[1];
		double chord = 0;
		for (int m = 0; m < 12; m++) chord += chord_mm(p, q, 9.25 + 0.5 * m, 20) / 12;
		counts[n] = (float)(100 * 10 * iso_pair_factor(s, pairs[n].element[0], pairs[n].element[1]) * chord);
		none[n] = 0;
		total += (double)counts[n];
	}
	binned b = {.system = system, .lines = block, .counts = counts, .additive = none};
	iso_data data = binned_data(&b, total);
	enum { ITERATIONS = 40 };
	const iso_data_model model = plain_model(system, sensitivity, 100, &data);
	const iso_method method = {.algorithm = ISO_ALGORITHM_MLEM, .iterations = ITERATIONS};
	double objective[ITERATIONS];
	iso_solution result = {0};
	float *x = malloc(model.voxels * sizeof *x);
	ISO_ASSERT_OK(iso_solve(&model, &method, &g, NULL, &result, x, objective, &err), err);
	/* mean square of the radii: 12^2 + 0.25 (144 - 1) / 12 */
	const double area = 3.14159265358979 * (144 + 0.25 * 143 / 12), inside = cylinder_mean(&g, x, 8, 12);
	double integral = 0;
	for (size_t j = 0; j < 22 * 22; j++) integral += (double)x[j + 22 * 22 * 8] * 4;
	printf("# inside %.3f of 10, integral %.4f of 1\n", inside, integral / (10 * area));
	ISO_ASSERT_NEAR(inside, 10, 0.1);
	ISO_ASSERT_NEAR(integral / (10 * area), 1, 0.01);
	/* after the first pass MLEM keeps the total counts; rounding of float sums */
	ISO_ASSERT_NEAR(result.explained / total, 1, 1e-4);
	/* The likelihood never falls, up to the rounding of the float projections: 1e-7 of each line's term. */
	for (int i = 1; i < ITERATIONS; i++) CU_ASSERT(objective[i] >= objective[i - 1] - 1e-7 * fabs(objective[i]));
	CU_ASSERT(objective[ITERATIONS - 1] > objective[0]);
	free(x);
	free(counts);
	free(pairs);
	iso_line_block_free(block);
	iso_system_free(system);
	iso_image_free(sensitivity);
	iso_scanner_free(s);
}

/* A scanner, a cylinder in it, and Poisson events. */
typedef struct scene {
	iso_scanner *scanner;
	iso_event *events;
	size_t count;
	iso_acquisition acquisition;
} scene;

static const double truth = 0.02; /* counts/s/mm in the cylinder of 12 mm, |z| <= 9 */
static const uint32_t seconds = 20;

static scene make_scene(double randoms_per_pair, const iso_nuclide *nuclide, uint64_t seed)
{
	scene c = {.scanner = small_scanner(6, 48), .acquisition = iso_acquisition_unknown()};
	iso_event *pairs;
	const size_t count = all_pairs(c.scanner, &pairs);
	double *mean = malloc(count * sizeof *mean), *flat = malloc(count * sizeof *flat);
	const double duration = nuclide ? iso_decay_integral_s(nuclide->half_life_s, 0, seconds) : seconds;
	for (size_t n = 0; n < count; n++) {
		const uint32_t a = pairs[n].element[0], b = pairs[n].element[1];
		flat[n] = randoms_per_pair;
		mean[n] = randoms_per_pair + duration * truth * iso_pair_factor(c.scanner, a, b) *
						 chord_mm(c.scanner->position_mm + 3 * (size_t)a,
							  c.scanner->position_mm + 3 * (size_t)b, 12, 9);
	}
	c.count = draw_events(pairs, mean, count, ISO_EVENT_PROMPT, 1000 * seconds, seed, &c.events, 0);
	if (randoms_per_pair > 0)
		c.count =
		    draw_events(pairs, flat, count, ISO_EVENT_DELAYED, 1000 * seconds, seed + 1, &c.events, c.count);
	c.acquisition.modality = ISO_MODALITY_PET;
	c.acquisition.duration_s = seconds;
	free(pairs);
	free(mean);
	free(flat);
	return c;
}

static void scene_free(scene *c)
{
	iso_scanner_free(c->scanner);
	free(c->events);
}

static iso_recon_options scene_options(void)
{
	iso_recon_options o = iso_recon_options_default();
	o.grid = cube_grid(18, 10, 2.5);
	o.iterations = 4;
	o.subsets = 1;
	return o;
}

static iso_status try_scene(const scene *c, const iso_recon_options *o, iso_volume **volume, iso_error *err)
{
	iso_events *events;
	iso_status status = iso_events_from_array(c->events, c->count, c->scanner, &c->acquisition, &events, err);
	if (status != ISO_OK) return status;
	status = iso_reconstruct(events, o, volume, err);
	iso_events_close(events);
	return status;
}

static iso_volume *reconstruct_scene(const scene *c, const iso_recon_options *o)
{
	iso_volume *volume = NULL;
	iso_error err;
	ISO_ASSERT_OK(try_scene(c, o, &volume, &err), err);
	return volume;
}

static double worst_difference(const float *a, const float *b, size_t n)
{
	double worst = 0;
	for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
	return worst;
}

static double largest(const float *a, size_t n)
{
	double most = 0;
	for (size_t i = 0; i < n; i++) most = fmax(most, (double)a[i]);
	return most;
}

/* The mean of the interior from Poisson events: its counts N give 1/sqrt(N); the discretisation 2 %. */
static void test_poisson_cylinder(void)
{
	scene c = make_scene(0, NULL, 1);
	iso_recon_options o = scene_options();
	o.iterations = 15;
	iso_volume *v = reconstruct_scene(&c, &o);
	CU_ASSERT(c.count > 20000);
	ISO_ASSERT_NEAR(cylinder_mean(&v->grid, v->voxels, 8, 6), truth,
			truth * (0.02 + 5 / sqrt((double)c.count / 4)));
	CU_ASSERT_EQUAL(v->unit, ISO_UNIT_COUNTS_PER_S_MM);
	CU_ASSERT_EQUAL(v->facts.prompts, (double)c.count);
	CU_ASSERT_STRING_EQUAL(v->corrections.randoms, "");
	CU_ASSERT_STRING_EQUAL(v->corrections.scatter, "");
	CU_ASSERT_STRING_EQUAL(v->corrections.calibration, "");
	iso_volume_free(v);
	scene_free(&c);
}

/* Line by line and pair by pair are the same sums in another order: floats of the back projection are rounded at
 * 6e-8 per term, of up to some 1000 terms per voxel in random order (a random walk: 30 x 6e-8), times the iterations. */
static void test_list_mode_is_binned(void)
{
	scene c = make_scene(0.5, NULL, 2);
	iso_recon_options o = scene_options();
	o.randoms = ISO_RANDOMS_NONE;
	iso_volume *v = reconstruct_scene(&c, &o);
	iso_event *pairs;
	const size_t count = all_pairs(c.scanner, &pairs);
	iso_image *sensitivity;
	iso_system *system;
	iso_error err;
	ISO_ASSERT_OK(iso_sensitivity(c.scanner, &o.grid, NULL, 0, 0, NULL, &sensitivity, &err), err);
	ISO_ASSERT_OK(iso_system_create(c.scanner, &o.grid, &sharp, NULL, 0, &system, &err), err);
	iso_line_block *block = block_of(system, c.scanner, pairs, count);
	float *counts = calloc(2 * count, sizeof *counts);
	const size_t elements = c.scanner->elements;
	uint32_t *where = calloc(elements * elements, sizeof *where);
	for (size_t n = 0; n < count; n++)
		for (int end = 0; end < 2; end++)
			where[pairs[n].element[end] * elements + pairs[n].element[!end]] = (uint32_t)n;
	double total = 0;
	for (size_t n = 0; n < c.count; n++) {
		if (c.events[n].kind != ISO_EVENT_PROMPT) continue;
		counts[where[c.events[n].element[0] * elements + c.events[n].element[1]]]++;
		total++;
	}
	binned b = {.system = system, .lines = block, .counts = counts, .additive = counts + count};
	iso_data data = binned_data(&b, total);
	const iso_data_model model = plain_model(system, sensitivity, seconds, &data);
	const iso_method method = {.algorithm = ISO_ALGORITHM_MLEM, .iterations = o.iterations};
	iso_solution result = {0};
	float *x = malloc(model.voxels * sizeof *x);
	ISO_ASSERT_OK(iso_solve(&model, &method, &o.grid, NULL, &result, x, NULL, &err), err);
	const double top = largest(x, model.voxels);
	CU_ASSERT(top > truth);
	ISO_ASSERT_NEAR(worst_difference(x, v->voxels, model.voxels) / top, 0, 2e-5);
	free(x);
	free(where);
	free(counts);
	free(pairs);
	iso_line_block_free(block);
	iso_system_free(system);
	iso_image_free(sensitivity);
	iso_volume_free(v);
	scene_free(&c);
}

/* Same bits from memory and from the scratch file, with randoms, PSF, subsets and replicates, for 1, 2, 3 and 8 threads. */
static void test_same_bits(void)
{
	scene c = make_scene(0.2, NULL, 3);
	iso_recon_options o = scene_options();
	o.randoms = ISO_RANDOMS_DELAYED;
	o.psf_fwhm_mm = 3;
	o.subsets = 3;
	o.iterations = 1;
	o.replicates = 2;
	o.threads = 1;
	iso_volume *first = reconstruct_scene(&c, &o);
	const size_t n = iso_grid_voxels(&o.grid);
	const struct {
		int threads;
		uint64_t bytes;
	} ways[] = {{2, 0}, {3, 0}, {8, 1}};
	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
		o.threads = ways[w].threads;
		o.max_memory_bytes = ways[w].bytes;
		iso_volume *v = reconstruct_scene(&c, &o);
		CU_ASSERT(memcmp(v->voxels, first->voxels, n * sizeof(float)) == 0);
		CU_ASSERT(memcmp(v->replicate_voxels, first->replicate_voxels, 2 * n * sizeof(float)) == 0);
		iso_volume_free(v);
	}
	iso_volume_free(first);
	scene_free(&c);
}

/* Many iterations of few subsets end near MLEM's image: compared where MLEM itself is settled, in the region's mean. With 4
 * subsets of Poisson data the limit cycle's spread in a mean of ~200 voxels is below a percent. */
static void test_osem_tends_to_mlem(void)
{
	scene c = make_scene(0, NULL, 4);
	iso_recon_options o = scene_options();
	o.iterations = 24;
	o.psf_fwhm_mm = 4;
	iso_volume *mlem = reconstruct_scene(&c, &o);
	o.iterations = 6;
	o.subsets = 4;
	iso_volume *osem = reconstruct_scene(&c, &o);
	const double a = cylinder_mean(&o.grid, mlem->voxels, 8, 6), b = cylinder_mean(&o.grid, osem->voxels, 8, 6);
	ISO_ASSERT_NEAR(b / a, 1, 0.01);
	double d = 0, m = 0;
	for (size_t n = 0; n < iso_grid_voxels(&o.grid); n++) {
		d += pow((double)mlem->voxels[n] - (double)osem->voxels[n], 2);
		m += pow((double)mlem->voxels[n], 2);
	}
	printf("# OSEM 6 x 4 differs from MLEM 24 by %.3f (rms over voxels)\n", sqrt(d / m));
	CU_ASSERT(sqrt(d / m) < 0.15);
	CU_ASSERT_STRING_EQUAL(mlem->facts.method, "list-mode MLEM");
	CU_ASSERT_STRING_EQUAL(osem->facts.method, "list-mode OSEM");
	iso_volume_free(mlem);
	iso_volume_free(osem);
	scene_free(&c);
}

/* Every event twice in twice the time: each update is the same (MLEM), up to the rounding of sums. */
static void test_twice_the_time(void)
{
	scene c = make_scene(0, NULL, 5);
	iso_recon_options o = scene_options();
	iso_volume *once = reconstruct_scene(&c, &o);
	c.events = realloc(c.events, 2 * c.count * sizeof *c.events);
	for (size_t n = 0; n < c.count; n++) {
		c.events[c.count + n] = c.events[n];
		c.events[c.count + n].time_ms += 1000 * seconds;
	}
	c.count *= 2;
	c.acquisition.duration_s *= 2;
	iso_volume *twice = reconstruct_scene(&c, &o);
	const size_t n = iso_grid_voxels(&o.grid);
	ISO_ASSERT_NEAR(worst_difference(once->voxels, twice->voxels, n) / largest(once->voxels, n), 0, 2e-5);
	iso_volume_free(once);
	iso_volume_free(twice);
	scene_free(&c);
}

/* The same events as a nuclide of half-life 10 s with branching 0.5, factor 3, dead time 1.25.
 * T_eff = integral_0^20 2^(-t/10) dt = 10/ln2 (1 - 1/4) = 10.820213 s instead of 20 s, so that x is larger by
 * 20/10.820213; the result is x * 3 / 0.5 * 1.25. Frame 2 of two frames of 10 s has 10/ln2 (1/2 - 1/4) = 3.606738 s. */
static void test_decay_and_branching(void)
{
	scene c = make_scene(0, NULL, 6);
	const iso_nuclide nuclide = {.name = "Xx-1", .half_life_s = 10, .branching_fraction = 0.5, .source = "test"};
	iso_recon_options o = scene_options();
	const size_t n = iso_grid_voxels(&o.grid);
	iso_volume *plain = reconstruct_scene(&c, &o);
	o.nuclide = &nuclide;
	o.dead_time_factor = 1.25;
	o.calibrate = true;
	c.scanner->calibration_factor = 3;
	c.scanner->calibration_uncertainty = 0.04;
	iso_volume *full = reconstruct_scene(&c, &o);
	const double decay = 20 / (10 / log(2.0) * 0.75);
	for (size_t j = 0; j < n; j++)
		if ((double)plain->voxels[j] > 0.001)
			CU_ASSERT(fabs((double)full->voxels[j] / ((double)plain->voxels[j] * decay * 3 / 0.5 * 1.25) -
				       1) < 1e-5);
	CU_ASSERT_EQUAL(full->unit, ISO_UNIT_BQ_PER_ML);
	CU_ASSERT_EQUAL(full->decay_reference_s, 0.0);
	CU_ASSERT_EQUAL(full->calibration_factor, 3.0);
	CU_ASSERT_EQUAL(full->calibration_uncertainty, 0.04);
	CU_ASSERT_EQUAL(full->branching_fraction, 0.5);
	CU_ASSERT(full->corrections.decay[0] && full->corrections.branching[0] && full->corrections.dead_time[0]);
	CU_ASSERT_STRING_EQUAL(full->acquisition.nuclide, "Xx-1");
	/* two frames, the second against its plain reconstruction */
	const iso_frame frames[2] = {{0, 10}, {10, 10}};
	o.frame = frames;
	o.frames = 2;
	iso_volume *dynamic = reconstruct_scene(&c, &o);
	o.nuclide = NULL;
	o.calibrate = false;
	o.dead_time_factor = (double)NAN;
	iso_volume *bare = reconstruct_scene(&c, &o);
	const double late = 10 / (10 / log(2.0) * 0.25) * 3 / 0.5 * 1.25;
	for (size_t j = n; j < 2 * n; j++)
		if ((double)bare->voxels[j] > 0.001)
			CU_ASSERT(fabs((double)dynamic->voxels[j] / ((double)bare->voxels[j] * late) - 1) < 1e-5);
	CU_ASSERT_EQUAL(dynamic->facts.prompts, (double)c.count); /* no event lost or used twice */
	CU_ASSERT(isnan(bare->decay_reference_s));
	iso_volume_free(plain);
	iso_volume_free(full);
	iso_volume_free(dynamic);
	iso_volume_free(bare);
	scene_free(&c);
}

/* As many randoms as trues, corrected: the clean mean within statistics (the interior's counts, doubled variance), and the
 * cold rest of the image returns towards 0. */
static void test_randoms_are_corrected(void)
{
	scene clean = make_scene(0, NULL, 7), noisy = make_scene(2, NULL, 7);
	iso_recon_options o = scene_options();
	o.iterations = 15;
	iso_volume *a = reconstruct_scene(&clean, &o), *b = reconstruct_scene(&noisy, &o);
	o.randoms = ISO_RANDOMS_DELAYED;
	iso_volume *d = reconstruct_scene(&noisy, &o);
	const double want = cylinder_mean(&o.grid, a->voxels, 8, 6), wrong = cylinder_mean(&o.grid, b->voxels, 8, 6),
		     got = cylinder_mean(&o.grid, d->voxels, 8, 6);
	printf("# interior: clean %.3f, uncorrected %.3f, corrected %.3f; prompts %zu and %zu\n", want, wrong, got,
	       clean.count, noisy.count);
	ISO_ASSERT_NEAR(got / want, 1, 0.03 + 5 * sqrt(3 / ((double)clean.count / 4)));
	const double all = cylinder_mean(&o.grid, d->voxels, 22, 12),
		     all_wrong = cylinder_mean(&o.grid, b->voxels, 22, 12),
		     all_clean = cylinder_mean(&o.grid, a->voxels, 22, 12);
	CU_ASSERT(all_wrong > 1.3 * all_clean);
	ISO_ASSERT_NEAR(all / all_clean, 1, 0.1);
	CU_ASSERT(d->corrections.randoms[0] && d->facts.delayeds > 0);
	iso_volume_free(a);
	iso_volume_free(b);
	iso_volume_free(d);
	scene_free(&clean);
	scene_free(&noisy);
}

/* A uniform mu of 0.1/cm in a cube of 30 mm multiplies each line by exp(-0.01 * length in the cube): with events
 * thinned by exactly that, correction restores the image. Here simply: correcting raises the image by about the mean factor. */
static void test_attenuation(void)
{
	scene c = make_scene(0, NULL, 8);
	/* a wide flat map: within it each line's factor is nearly exp(-0.01 * length) with lengths of some 40 mm */
	const iso_grid g = cube_grid(40, 24, 1);
	iso_image *mu;
	iso_error err;
	ISO_ASSERT_OK(iso_image_create(&g, ISO_UNIT_PER_CM, &mu, &err), err);
	for (size_t n = 0; n < iso_grid_voxels(&g); n++) mu->voxels[n] = 0.1F;
	iso_recon_options o = scene_options();
	o.iterations = 8;
	iso_volume *plain = reconstruct_scene(&c, &o);
	o.mu = mu;
	iso_volume *corrected = reconstruct_scene(&c, &o);
	const double ratio =
	    cylinder_mean(&o.grid, corrected->voxels, 8, 6) / cylinder_mean(&o.grid, plain->voxels, 8, 6);
	/* lines through the middle cross 40 mm (axis-parallel walls) to 56 mm (diagonal) of it, less for steep ones that leave
	 * at |z| = 12: factors exp(0.30) .. exp(0.56) */
	CU_ASSERT(ratio > exp(0.30) && ratio < exp(0.56));
	CU_ASSERT(corrected->corrections.attenuation[0] && !plain->corrections.attenuation[0]);
	/* The same map with x and y running the other way (as NIfTI files have it) and a blot that tells left from right: the
	 * same image, for flipped axes are resampled by copying. */
	iso_image *turned;
	iso_grid flipped = g;
	for (int a = 0; a < 2; a++) {
		flipped.direction[a][a] = -1;
		flipped.origin_mm[a] = -g.origin_mm[a];
	}
	mu->voxels[12 + 40 * (7 + 40 * 5)] = 0.3F;
	ISO_ASSERT_OK(iso_image_create(&flipped, ISO_UNIT_PER_CM, &turned, &err), err);
	for (size_t n = 0; n < iso_grid_voxels(&g); n++)
		turned->voxels[39 - n % 40 + 40 * (39 - n / 40 % 40 + 40 * (n / 1600))] = mu->voxels[n];
	o.randoms = ISO_RANDOMS_NONE;
	iso_volume *straight = reconstruct_scene(&c, &o);
	o.mu = turned;
	iso_volume *other = reconstruct_scene(&c, &o);
	ISO_ASSERT_NEAR(worst_difference(straight->voxels, other->voxels, iso_grid_voxels(&o.grid)) /
			    largest(straight->voxels, iso_grid_voxels(&o.grid)),
			0, 1e-5);
	iso_volume_free(straight);
	iso_volume_free(other);
	iso_image_free(turned);
	iso_volume_free(plain);
	iso_volume_free(corrected);
	iso_image_free(mu);
	scene_free(&c);
}

/* The mean of the replicates is the image, their spread what Poisson says: the sum of the first MLEM iterations' image
 * weighted by sensitivity is the number of prompts exactly, so the region's mean varies as its counts. */
static void test_replicates(void)
{
	scene c = make_scene(0.5, NULL, 9);
	iso_recon_options o = scene_options();
	o.randoms = ISO_RANDOMS_DELAYED;
	o.iterations = 3;
	o.replicates = 5;
	iso_volume *v = reconstruct_scene(&c, &o);
	const size_t n = iso_grid_voxels(&o.grid);
	double sum = 0, square = 0;
	for (size_t r = 0; r < 5; r++) {
		const double m = cylinder_mean(&o.grid, v->replicate_voxels + r * n, 8, 6);
		sum += m / 5;
		square += m * m / 5;
	}
	const double full = cylinder_mean(&o.grid, v->voxels, 8, 6);
	ISO_ASSERT_NEAR(sum / full, 1, 0.02);
	/* One replicate has count/5 prompts. Were all of them lines through the region, its relative sd would be
	 * 1/sqrt(count/5); some half of them are, and a mean inherits correlation: between 0.3 and 6 of that with 4 degrees of
	 * freedom (chi-square's 0.5 % points are factors 0.23 and 1.93 in sd). */
	const double sd = sqrt((square - sum * sum) * 5 / 4) / sum, poisson = 1 / sqrt((double)c.count / 5);
	printf("# replicates: relative sd %.4f, Poisson of a replicate's events %.4f\n", sd, poisson);
	CU_ASSERT(sd > 0.3 * poisson && sd < 6 * poisson);
	iso_volume_free(v);
	scene_free(&c);
}

static void expect(const scene *c, const iso_recon_options *o, iso_status status, const char *word)
{
	iso_volume *v = NULL;
	iso_error err = {0};
	const iso_status got = try_scene(c, o, &v, &err);
	CU_ASSERT_EQUAL(got, status);
	CU_ASSERT_PTR_NULL(v);
	if (got != status || !strstr(err.message, word)) printf("# wanted '%s' in '%s'\n", word, err.message);
	CU_ASSERT(strstr(err.message, word) != NULL);
	CU_ASSERT(status == ISO_CANCELLED || err.remedy[0] != '\0');
	iso_volume_free(v);
}

static int cancel(void *user, const char *stage, double done)
{
	(void)done;
	return strncmp(stage, "iteration", 9) == 0 ? ++*(int *)user : 0;
}

static void test_refusals(void)
{
	scene c = make_scene(0, NULL, 10);
	const iso_recon_options good = scene_options();
	iso_recon_options o = good;
	const iso_nuclide nuclide = {.name = "Xx-1", .half_life_s = 10, .branching_fraction = 0.5, .source = "test"};
	o.calibrate = true;
	o.nuclide = &nuclide;
	expect(&c, &o, ISO_BAD_INPUT, "missing calibration");
	o.nuclide = NULL;
	c.scanner->calibration_factor = 1;
	expect(&c, &o, ISO_BAD_INPUT, "nuclide");
	o = good, o.randoms = ISO_RANDOMS_DELAYED;
	expect(&c, &o, ISO_BAD_INPUT, "delayed");
	o = good, o.replicates = 1;
	expect(&c, &o, ISO_BAD_USAGE, "replicate");
	o = good, o.iterations = 0;
	expect(&c, &o, ISO_BAD_USAGE, "iterations");
	o = good, o.subsets = 0;
	expect(&c, &o, ISO_BAD_USAGE, "subsets");
	o = good, o.psf_fwhm_mm = -1;
	expect(&c, &o, ISO_BAD_USAGE, "resolution");
	o = good, o.psf_tail_share = 0.2, o.psf_tail_fwhm_mm = 4;
	expect(&c, &o, ISO_BAD_USAGE, "tail");
	o = good, o.psf_fwhm_mm = 3, o.psf_tail_share = 0.2, o.psf_tail_fwhm_mm = 2;
	expect(&c, &o, ISO_BAD_USAGE, "tail");
	o = good, o.dead_time_factor = 0.5;
	expect(&c, &o, ISO_BAD_USAGE, "dead time");
	o = good, o.post_filter.kind = ISO_FILTER_GAUSSIAN;
	expect(&c, &o, ISO_BAD_USAGE, "Gaussian");
	o = good, o.grid.size[1] = 0;
	iso_volume *v = NULL;
	CU_ASSERT(try_scene(&c, &o, &v, NULL) != ISO_OK && !v);
	const iso_frame backwards[2] = {{5, 5}, {0, 5}}, late[1] = {{15, 10}}, empty[1] = {{1, 0}};
	o = good, o.frame = backwards, o.frames = 2;
	expect(&c, &o, ISO_BAD_INPUT, "frame 2");
	o.frame = late, o.frames = 1;
	expect(&c, &o, ISO_BAD_INPUT, "ends at 25");
	o.frame = empty;
	expect(&c, &o, ISO_BAD_INPUT, "lasts 0");
	iso_image *mu;
	CU_ASSERT_FATAL(iso_image_create(&good.grid, ISO_UNIT_BQ_PER_ML, &mu, NULL) == ISO_OK);
	o = good, o.mu = mu;
	expect(&c, &o, ISO_BAD_INPUT, "unit");
	mu->unit = ISO_UNIT_PER_CM;
	mu->voxels[3] = 1000;
	expect(&c, &o, ISO_BAD_INPUT, "voxel 3");
	iso_image_free(mu);
	int calls = 0;
	const iso_progress stop = {.report = cancel, .user = &calls};
	o = good, o.progress = &stop;
	expect(&c, &o, ISO_CANCELLED, "cancelled");
	CU_ASSERT_EQUAL(calls, 1);
	c.events[c.count / 2].element[1] = c.scanner->elements;
	expect(&c, &good, ISO_BAD_INPUT, "names elements");
	c.events[c.count / 2].element[1] = 0;
	c.acquisition.duration_s = (double)NAN;
	expect(&c, &good, ISO_BAD_INPUT, "how long");
	c.scanner->modality = ISO_MODALITY_SPECT;
	c.acquisition.duration_s = 1;
	expect(&c, &good, ISO_BAD_INPUT, "modality");
	scene_free(&c);
}

/* No prompts: 0 everywhere and no NAN; fewer events than subsets likewise. */
static void test_few_events(void)
{
	scene c = make_scene(0, NULL, 11);
	iso_recon_options o = scene_options();
	o.subsets = 8;
	for (c.count = 0; c.count <= 3; c.count += 3) {
		iso_volume *v = reconstruct_scene(&c, &o);
		double sum = 0;
		for (size_t n = 0; n < iso_grid_voxels(&o.grid); n++) {
			CU_ASSERT_FATAL(isfinite(v->voxels[n]) && v->voxels[n] >= 0);
			sum += (double)v->voxels[n];
		}
		CU_ASSERT((sum > 0) == (c.count > 0));
		iso_volume_free(v);
	}
	scene_free(&c);
}

static const iso_test tests[] = {
    {"noise-free chords of a cylinder; the likelihood never falls", test_noise_free_cylinder},
    {"Poisson events of a cylinder", test_poisson_cylinder},
    {"list-mode is binned", test_list_mode_is_binned},
    {"the same bits from memory, scratch file and any threads", test_same_bits},
    {"OSEM tends to MLEM", test_osem_tends_to_mlem},
    {"twice the time and counts", test_twice_the_time},
    {"decay, branching, dead time, calibration, frames", test_decay_and_branching},
    {"randoms are corrected", test_randoms_are_corrected},
    {"attenuation", test_attenuation},
    {"replicates", test_replicates},
    {"what is refused", test_refusals},
    {"hardly any events", test_few_events},
};

ISO_TEST_MAIN("recon-osem", tests)
