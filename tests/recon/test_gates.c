/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Gates: which parts of a scan they are, and images of a source whose activity in each part of the cycle is known. */
#include "tests/recon/fixtures.h"

static iso_gate_wish wish_of(size_t gates, iso_framing framing, double shortest_s, double longest_s)
{
	return (iso_gate_wish){.gates = gates,
			       .trigger = ISO_TRIGGER_CARDIAC,
			       .framing = framing,
			       .shortest_cycle_s = shortest_s,
			       .longest_cycle_s = longest_s};
}

/* Cycles of 1.0, 1.2 and 0.8 s count, one of 2 s is rejected, the first and the last are not whole in the scan. By hand. */
static void test_plan(void)
{
	const double trigger_s[] = {-0.5, 0, 1, 2.2, 3, 5, 6.5};
	const double none = (double)NAN;
	iso_error err;
	iso_gate_plan plan;
	iso_gate_wish wish = wish_of(4, ISO_FRAMING_SHARE, none, 1.5);
	ISO_ASSERT_OK(iso_gate_plan_make(trigger_s, 7, 5.5, &wish, &plan, &err), err);
	const iso_gating *g = &plan.gating;
	CU_ASSERT(g->cycles == 3 && g->rejected_cycles == 1 && g->gates == 4 && g->trigger == ISO_TRIGGER_CARDIAC);
	ISO_ASSERT_NEAR(g->cycle_s, 1, 1e-12);
	CU_ASSERT(isnan(g->shortest_cycle_s) && g->longest_cycle_s == 1.5);
	for (size_t n = 0; n < 4; n++) {
		ISO_ASSERT_NEAR(g->gate[n].start_s, 0.25 * (double)n, 1e-12);
		ISO_ASSERT_NEAR(g->gate[n].duration_s, 0.25, 1e-12);
		ISO_ASSERT_NEAR(g->gate[n].collected_s, 0.75, 1e-12);
		CU_ASSERT_EQUAL(plan.first[n], 3 * n);
	}
	const iso_frame second[] = {{0.25, 0.25}, {1.3, 0.3}, {2.4, 0.2}};
	for (size_t n = 0; n < 3; n++) {
		ISO_ASSERT_NEAR(plan.stretch[3 + n].start_s, second[n].start_s, 1e-12);
		ISO_ASSERT_NEAR(plan.stretch[3 + n].duration_s, second[n].duration_s, 1e-12);
	}
	iso_gate_plan_release(&plan);
	/* after the trigger: the last gate loses 0.2 s of the short cycle, and nobody gets the 0.2 s of the long one */
	wish.framing = ISO_FRAMING_TIME;
	ISO_ASSERT_OK(iso_gate_plan_make(trigger_s, 7, 5.5, &wish, &plan, &err), err);
	for (size_t n = 0; n < 4; n++) ISO_ASSERT_NEAR(plan.gating.gate[n].collected_s, n < 3 ? 0.75 : 0.55, 1e-12);
	ISO_ASSERT_NEAR(plan.stretch[plan.first[3] + 1].start_s, 1.75, 1e-12);
	ISO_ASSERT_NEAR(plan.stretch[plan.first[3] + 2].duration_s, 0.05, 1e-12);
	iso_gate_plan_release(&plan);
	/* a limit that a cycle meets exactly lets it through, and both limits work */
	wish = wish_of(2, ISO_FRAMING_SHARE, 1, 1.2);
	ISO_ASSERT_OK(iso_gate_plan_make(trigger_s, 7, 5.5, &wish, &plan, &err), err);
	CU_ASSERT(plan.gating.cycles == 2 && plan.gating.rejected_cycles == 2);
	iso_gate_plan_release(&plan);
}

static void refuse_plan(const double *trigger_s, size_t count, double scan_s, iso_gate_wish wish, const char *words)
{
	iso_gate_plan plan;
	iso_error err = {.status = ISO_OK};
	CU_ASSERT(iso_gate_plan_make(trigger_s, count, scan_s, &wish, &plan, &err) != ISO_OK);
	if (!strstr(err.message, words)) printf("# '%s' is not in: %s\n", words, err.message);
	CU_ASSERT(strstr(err.message, words) != NULL);
	iso_gate_plan_release(&plan);
}

static void test_refused(void)
{
	const double even[] = {0, 1, 2}, back[] = {0, 1, 1}, ties[] = {0.0015, 0.0035}, none = (double)NAN;
	const iso_gate_wish four = wish_of(4, ISO_FRAMING_SHARE, none, none);
	refuse_plan(even, 3, 5, wish_of(1, ISO_FRAMING_SHARE, none, none), "1 gates");
	refuse_plan(even, 3, 5, wish_of(4, ISO_FRAMING_UNKNOWN, none, none), "framing");
	refuse_plan(even, 3, 5, wish_of(4, ISO_FRAMING_SHARE, 2, 1), "from 2 to 1 s");
	refuse_plan(even, 3, 5, wish_of(4, ISO_FRAMING_SHARE, 1.1, none), "2 are outside");
	refuse_plan(even, 3, 0.5, four, "not whole");
	refuse_plan(even, 1, 5, four, "no cycle of 1 triggers");
	refuse_plan(even, 3, none, four, "duration");
	refuse_plan(back, 3, 5, four, "trigger 3");
	refuse_plan(even, 3, 5, wish_of(1000, ISO_FRAMING_SHARE, none, 1e-9), "outside");
	refuse_plan(ties, 2, 5, four, "gates of 0.5 ms");
	refuse_plan(ties, 2, 5, wish_of(2, ISO_FRAMING_SHARE, none, none), "no cycle reaches gate 1");
}

/* --- a scan --------------------------------------------------------------------------------------------------------- */

enum { GATES = 4, SECONDS = 20, MOST_CYCLES = 400 };
/* counts/s/mm in the cylinder of 12 mm, |z| <= 9, at the start, where the beat is 1 */
static const double truth = 0.15;
static const double beat[GATES] = {1, 2, 0.5, 1.5}, wild = 4; /* in each quarter of a cycle; in rejected cycles */
static const iso_nuclide nuclide = {.name = "Xx-1", .half_life_s = 10, .branching_fraction = 1, .source = "test"};

typedef struct scan {
	iso_scanner *scanner;
	iso_event *events;
	size_t count;
	iso_acquisition acquisition;
	double trigger_s[MOST_CYCLES];
	size_t triggers, accepted, rejected; /* accepted, rejected: cycles */
	signed char gate[1000 * SECONDS];    /* of each ms; -1: none, -2: in a rejected cycle */
} scan;

/* Cycles of 88, 96 and 104 ms, whose quarters are whole ms; every seventh, and in the scan's second half every other one, of 200 ms. */
static void beat_on(scan *s)
{
	unsigned at = 400;
	memset(s->gate, -1, sizeof s->gate);
	for (unsigned n = 0;; n++) {
		const bool slow = n % 7 == 3 || (at > 500 * SECONDS && n % 2);
		const unsigned length = slow ? 200 : 88 + 8 * (n % 3);
		s->trigger_s[s->triggers++] = at / 1000.0;
		if (at + length > 1000 * SECONDS) break;
		for (unsigned t = 0; t < length; t++) s->gate[at + t] = slow ? -2 : (signed char)(GATES * t / length);
		*(slow ? &s->rejected : &s->accepted) += 1;
		at += length;
	}
}

/* Activity in a ms, 1 for the truth. */
static double activity(const scan *s, uint32_t ms)
{
	const int gate = s->gate[ms];
	return exp2(-(ms + 0.5) / 1000 / nuclide.half_life_s) * (gate >= 0 ? beat[gate] : wild);
}

static scan *make_scan(void)
{
	scan *s = calloc(1, sizeof *s);
	s->scanner = small_scanner(6, 48);
	s->acquisition = iso_acquisition_unknown();
	s->acquisition.modality = ISO_MODALITY_PET;
	s->acquisition.duration_s = SECONDS;
	beat_on(s);
	iso_event *pairs;
	const size_t count = all_pairs(s->scanner, &pairs);
	iso_random random = iso_random_begin(21, 8);
	size_t room = 0;
	for (size_t n = 0; n < count; n++) {
		const uint32_t a = pairs[n].element[0], b = pairs[n].element[1];
		const float *at = s->scanner->position_mm;
		const double mean = SECONDS * wild * truth * iso_pair_factor(s->scanner, a, b) *
				    chord_mm(at + 3 * (size_t)a, at + 3 * (size_t)b, 12, 9);
		for (uint64_t h = iso_random_poisson(&random, mean); h > 0; h--) {
			iso_event e = pairs[n];
			e.kind = ISO_EVENT_PROMPT;
			e.time_ms = (uint32_t)(iso_random_uniform(&random) * 1000 * SECONDS);
			if (iso_random_uniform(&random) * wild > activity(s, e.time_ms)) continue;
			if (s->count == room)
				s->events = realloc(s->events, (room = 2 * room + 1024) * sizeof *s->events);
			s->events[s->count++] = e;
		}
	}
	qsort(s->events, s->count, sizeof *s->events, by_time);
	free(pairs);
	return s;
}

static void scan_free(scan *s)
{
	iso_scanner_free(s->scanner);
	free(s->events);
	free(s);
}

static iso_recon_options options_of(const iso_gate_plan *gates)
{
	iso_recon_options o = iso_recon_options_default();
	o.grid = cube_grid(18, 10, 2.5);
	o.iterations = 10;
	o.subsets = 1;
	o.nuclide = &nuclide;
	o.gates = gates;
	return o;
}

static iso_volume *reconstruct(const scan *s, size_t count, const iso_event *list, const iso_recon_options *o)
{
	iso_volume *volume = NULL;
	iso_events *events;
	iso_error err;
	ISO_ASSERT_OK(iso_events_from_array(list, count, s->scanner, &s->acquisition, &events, &err), err);
	ISO_ASSERT_OK(iso_reconstruct(events, o, &volume, &err), err);
	iso_events_close(events);
	return volume;
}

static iso_gate_plan plan_of(const scan *s)
{
	iso_gate_plan plan;
	iso_error err;
	const iso_gate_wish wish = wish_of(GATES, ISO_FRAMING_SHARE, 0.05, 0.15);
	ISO_ASSERT_OK(iso_gate_plan_make(s->trigger_s, s->triggers, SECONDS, &wish, &plan, &err), err);
	return plan;
}

/* Each gate's image is the cylinder at its own activity, corrected to the start, whatever the other gates and the rejected cycles hold. A gate
 * whose decay were taken from the whole scan would be off by a fifth, as the second half of the scan has fewer accepted cycles. */
static void test_images(void)
{
	scan *s = make_scan();
	iso_gate_plan plan = plan_of(s);
	iso_recon_options o = options_of(&plan);
	iso_volume *v = reconstruct(s, s->count, s->events, &o);
	const size_t voxels = iso_grid_voxels(&o.grid);
	size_t counts[GATES] = {0}, sum = 0;
	double decayed_s[GATES] = {0}, collected_s[GATES] = {0};
	for (size_t n = 0; n < s->count; n++)
		if (s->gate[s->events[n].time_ms] >= 0) counts[s->gate[s->events[n].time_ms]]++;
	for (uint32_t t = 0; t < 1000 * SECONDS; t++)
		if (s->gate[t] >= 0) {
			decayed_s[s->gate[t]] += 1e-3 * exp2(-(t + 0.5) / 1000 / nuclide.half_life_s);
			collected_s[s->gate[t]] += 1e-3;
		}
	CU_ASSERT(v->frames == GATES && v->gating.gates == GATES);
	CU_ASSERT(v->gating.cycles == (double)s->accepted && v->gating.rejected_cycles == (double)s->rejected);
	CU_ASSERT(s->rejected > 40 && v->decay_reference_s == 0);
	for (size_t g = 0; g < GATES; g++) {
		const double got = cylinder_mean(&o.grid, v->voxels + g * voxels, 8, 6) / (truth * beat[g]);
		printf("# gate %zu: %zu counts, %.3f of the truth\n", g + 1, counts[g], got);
		/* the discretisation, and the interior's share of the counts */
		ISO_ASSERT_NEAR(got, 1, 0.02 + 5 / sqrt((double)counts[g] / 4));
		CU_ASSERT(v->frame[g].start_s == 0 && v->frame[g].duration_s == SECONDS);
		ISO_ASSERT_NEAR(v->gating.gate[g].collected_s, collected_s[g], 1e-9);
		/* the whole scan's scale would show */
		const double whole = iso_decay_integral_s(nuclide.half_life_s, 0, SECONDS) / SECONDS;
		CU_ASSERT(decayed_s[g] / collected_s[g] > 1.1 * whole);
		sum += counts[g];
	}
	CU_ASSERT_EQUAL(v->facts.prompts, (double)sum); /* no event twice, none lost */
	/* a list of one gate's events alone, as if it were the scan, has the other time: T of the scan for T of the gate */
	iso_event *own = malloc(s->count * sizeof *own);
	size_t kept = 0;
	for (size_t n = 0; n < s->count; n++)
		if (s->gate[s->events[n].time_ms] == 2) own[kept++] = s->events[n];
	o.gates = NULL;
	iso_volume *alone = reconstruct(s, kept, own, &o);
	const double ratio = iso_decay_integral_s(nuclide.half_life_s, 0, SECONDS) / decayed_s[2];
	double worst = 0, most = 0;
	for (size_t n = 0; n < voxels; n++) {
		const double gate = (double)v->voxels[2 * voxels + n];
		worst = fmax(worst, fabs(gate - ratio * (double)alone->voxels[n]));
		most = fmax(most, gate);
	}
	CU_ASSERT(worst <
		  1e-5 * most); /* float sums in the same order; ms by ms the decay integral is right to 1e-10 */
	/* not decay-corrected: the mean over the scan, to which quantification applies the scan's decay */
	o.gates = &plan;
	o.decay_correction = false;
	iso_volume *mean = reconstruct(s, s->count, s->events, &o);
	const double decay = iso_decay_integral_s(nuclide.half_life_s, 0, SECONDS) / SECONDS;
	worst = 0;
	for (size_t n = 0; n < GATES * voxels; n++)
		worst = fmax(worst, fabs((double)mean->voxels[n] - decay * (double)v->voxels[n]));
	CU_ASSERT(worst < 1e-5 * 4 * most && isnan(mean->decay_reference_s));
	iso_volume_free(mean);
	iso_volume_free(alone);
	iso_volume_free(v);
	free(own);
	iso_gate_plan_release(&plan);
	scan_free(s);
}

/* With replicates, randoms and subsets, from memory and scratch file, for 1 and 3 threads; what gates contradict is refused. */
static void test_same_bits(void)
{
	scan *s = make_scan();
	iso_gate_plan plan = plan_of(s);
	iso_recon_options o = options_of(&plan);
	for (size_t n = 0; n < s->count; n += 5) s->events[n].kind = ISO_EVENT_DELAYED;
	o.iterations = 1;
	o.subsets = 3;
	o.replicates = 2;
	o.randoms = ISO_RANDOMS_DELAYED;
	o.threads = 1;
	iso_volume *one = reconstruct(s, s->count, s->events, &o);
	o.threads = 3;
	o.max_memory_bytes = 1;
	iso_volume *three = reconstruct(s, s->count, s->events, &o);
	const size_t floats = GATES * iso_grid_voxels(&o.grid);
	CU_ASSERT(memcmp(one->voxels, three->voxels, floats * sizeof(float)) == 0);
	CU_ASSERT(memcmp(one->replicate_voxels, three->replicate_voxels, 2 * floats * sizeof(float)) == 0);
	CU_ASSERT(one->facts.delayeds > 0);
	size_t delayeds = 0;
	for (size_t n = 0; n < s->count; n++)
		delayeds += s->events[n].kind == ISO_EVENT_DELAYED && s->gate[s->events[n].time_ms] >= 0;
	CU_ASSERT_EQUAL(one->facts.delayeds, (double)delayeds);
	iso_volume_free(one);
	iso_volume_free(three);
	iso_events *events;
	iso_error err;
	iso_volume *none = NULL;
	const iso_frame frame = {0, 10};
	ISO_ASSERT_OK(iso_events_from_array(s->events, s->count, s->scanner, &s->acquisition, &events, &err), err);
	o.frame = &frame;
	o.frames = 1;
	CU_ASSERT(iso_reconstruct(events, &o, &none, &err) == ISO_BAD_USAGE && strstr(err.message, "gates of frames"));
	o.frame = NULL;
	plan.stretch[plan.first[GATES] - 1].start_s += 5;
	CU_ASSERT(iso_reconstruct(events, &o, &none, &err) == ISO_BAD_INPUT && strstr(err.message, "20 s"));
	CU_ASSERT(none == NULL);
	iso_events_close(events);
	iso_gate_plan_release(&plan);
	scan_free(s);
}

static const iso_test tests[] = {
    {"which parts of the scan a gate is", test_plan},
    {"triggers and wishes that make no gates", test_refused},
    {"images of a source that beats and decays", test_images},
    {"the same bits from memory, scratch file and any threads", test_same_bits},
};

ISO_TEST_MAIN("recon-gates", tests)
