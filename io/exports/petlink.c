/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Siemens PETLINK list-mode of bin addresses, little-endian words of 32 bits.
 *   bit 31 = 0: event, bit 30 = 1 prompt, 0 delayed, bits 0..29 the bin address.
 *   bit 31 = 1: tag; bits 29..31 = 100: time, bits 0..28 elapsed milliseconds; others: singles, gating, control.
 * Address = tang + tangs * (view + views * (sinogram + sinograms * tof)); the sinograms run over the segments
 * 0, -1, +1, -2, +2 ... of span 1, each with its axial positions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"
#include "io/exports/exports.h"

const char *iso_petlink_layout_finish(iso_petlink_layout *l)
{
	if (l->max_ring_difference >= l->rings) return "the ring difference is larger than the scanner";
	if (l->crystals_per_ring != 2 * l->views) return "there must be one view for every two crystals";
	/* |tang| < D/2: otherwise two addresses would mean one pair */
	if (l->tangs < 1 || l->tangs >= l->crystals_per_ring) return "more projections than crystal pairs";
	if (l->tof_bins < 1 || l->tof_bins > 1023) return "an impossible number of TOF bins";
	const uint32_t m = l->max_ring_difference;
	l->sinograms = l->rings * (2 * m + 1) - m * (m + 1);
	const uint64_t bins = (uint64_t)l->tangs * l->views * l->sinograms * l->tof_bins;
	return bins > 1u << 30 ? "more bins than an address of 30 bits can name" : NULL;
}

/* With t = tang - tangs/2 and D crystals per ring: d1 = v + floor(t/2), d2 = v - floor((t+1)/2) + D/2 (mod D), so that
 * d1 - d2 = t - D/2 and d1 + d2 = 2 v + D/2 - (t odd). */
void iso_petlink_transaxial(const iso_petlink_layout *layout, uint32_t tang, uint32_t view, uint32_t det[2])
{
	const int32_t d = (int32_t)layout->crystals_per_ring, t = (int32_t)tang - (int32_t)(layout->tangs / 2);
	const int32_t half = t >= 0 ? t / 2 : -((1 - t) / 2); /* floor(t/2) */
	const int32_t d1 = (int32_t)view + half + d, d2 = (int32_t)view - (t - half) + d / 2 + d;
	det[0] = (uint32_t)(d1 % d);
	det[1] = (uint32_t)(d2 % d);
}

/* Segment s = ring[1] - ring[0]; s >= 0: rings ax, ax + s; s < 0: rings ax - s, ax. */
bool iso_petlink_axial(const iso_petlink_layout *layout, uint32_t sinogram, uint32_t ring[2])
{
	for (uint32_t difference = 0; difference <= layout->max_ring_difference; difference++) {
		const uint32_t planes = layout->rings - difference;
		for (int sign = difference ? -1 : 1; sign <= 1; sign += 2) {
			if (sinogram < planes) {
				ring[sign > 0 ? 0 : 1] = sinogram;
				ring[sign > 0 ? 1 : 0] = sinogram + difference;
				return true;
			}
			sinogram -= planes;
		}
	}
	return false;
}

bool iso_petlink_address_to_pair(const iso_petlink_layout *layout, uint32_t address, uint32_t element[2],
				 int32_t *tof_index)
{
	const uint32_t tang = address % layout->tangs, rest = address / layout->tangs, view = rest % layout->views,
		       plane = rest / layout->views, sinogram = plane % layout->sinograms,
		       tof = plane / layout->sinograms;
	uint32_t det[2], ring[2];
	if (tof >= layout->tof_bins || !iso_petlink_axial(layout, sinogram, ring)) return false;
	iso_petlink_transaxial(layout, tang, view, det);
	element[0] = ring[0] * layout->crystals_per_ring + det[0];
	element[1] = ring[1] * layout->crystals_per_ring + det[1];
	*tof_index = (int32_t)tof;
	return true;
}

/* Number of the first sinogram of a segment. */
static uint32_t segment_start(const iso_petlink_layout *layout, uint32_t difference, bool negative)
{
	if (difference == 0) return 0;
	/* segment 0, then both signs of 1 .. difference-1 */
	const uint32_t before = layout->rings * (2 * difference - 1) - difference * (difference - 1);
	return negative ? before : before + layout->rings - difference;
}

bool iso_petlink_pair_to_address(const iso_petlink_layout *layout, const uint32_t element[2], int32_t tof_index,
				 uint32_t *address)
{
	const uint32_t d = layout->crystals_per_ring, elements = layout->rings * d;
	if (element[0] >= elements || element[1] >= elements || tof_index < 0 ||
	    (uint32_t)tof_index >= layout->tof_bins)
		return false;
	/* Each pair has one order in which its view lies below D/2; an address knows no other. */
	for (int order = 0; order < (layout->tof_bins > 1 ? 1 : 2); order++) {
		const uint32_t a = element[order], b = element[1 - order];
		const int32_t d1 = (int32_t)(a % d), d2 = (int32_t)(b % d), n = (int32_t)d;
		const uint32_t ring1 = a / d, ring2 = b / d;
		int32_t t = (d1 - d2 + n / 2 + 2 * n) % n; /* 0 .. D-1 */
		if (t >= n / 2) t -= n;
		const int32_t half = t >= 0 ? t / 2 : -((1 - t) / 2), view = (d1 - half + 2 * n) % n;
		const int32_t tang = t + (int32_t)(layout->tangs / 2);
		const uint32_t difference = ring1 > ring2 ? ring1 - ring2 : ring2 - ring1;
		if (view >= n / 2) continue;
		if (tang < 0 || tang >= (int32_t)layout->tangs || difference > layout->max_ring_difference)
			return false;
		const uint32_t axial = ring1 < ring2 ? ring1 : ring2,
			       sinogram = segment_start(layout, difference, ring2 < ring1) + axial;
		*address = (uint32_t)tang +
			   layout->tangs *
			       ((uint32_t)view + layout->views * (sinogram + layout->sinograms * (uint32_t)tof_index));
		return true;
	}
	return false;
}

/* What no header states, for the scanners that are recognised by their geometry. */
typedef struct known_scanner {
	const char *name;
	uint32_t rings, crystals_per_ring;
	double radius_mm, ring_spacing_mm;
	double mean_depth_mm;
	double crystal_size_mm[3];
	uint32_t gap_period, gap_at; /* positions e % period == at hold no crystal; 0 = none */
} known_scanner;
static const known_scanner known_scanners[] = {
    /* 56 blocks of 8 x 8 crystals round the ring, counted as 9 positions each. Crystals 4 x 4 x 20 mm: G. Delso et al.,
     * J Nucl Med 52 (2011) 1914. That it is the first position of the nine which stays empty was seen in data. */
    {"Siemens Biograph mMR", 64, 504, 328.0, 4.0625, 7.0, {4.0, 4.0, 20.0}, 9, 0},
};

static const known_scanner *recognise(const iso_petlink_header *h)
{
	for (size_t k = 0; k < sizeof known_scanners / sizeof *known_scanners; k++) {
		const known_scanner *s = &known_scanners[k];
		if (s->rings == h->layout.rings && s->crystals_per_ring == h->layout.crystals_per_ring &&
		    fabs(s->radius_mm - h->radius_mm) < 0.5 && fabs(s->ring_spacing_mm - h->ring_spacing_mm) < 0.01)
			return s;
	}
	return NULL;
}

/* The rings are described for a patient who lies head first on the back: psi = 2 pi d / D from the top (y = -R, as the
 * patient's front is up and LPS's y points to the back) towards +x, the patient's left; ring numbers grow
 * towards the head. Lying otherwise turns the patient's axes and not the scanner's. */
static iso_status orient(iso_scanner *scanner, const iso_petlink_header *h, iso_json *facts, iso_error *err)
{
	static const struct {
		const char *name;
		float sign[3];
	} orientations[] = {{"HFS", {1, 1, 1}}, {"HFP", {-1, -1, 1}}, {"FFS", {-1, 1, -1}}, {"FFP", {1, -1, -1}}};
	if (!h->orientation[0]) {
		iso_export_warn(facts, "the header does not state the patient's orientation: taken as HFS");
		return ISO_OK;
	}
	for (size_t o = 0; o < 4; o++) {
		if (strcmp(h->orientation, orientations[o].name) != 0) continue;
		for (size_t n = 0; n < 3 * (size_t)scanner->elements; n++) {
			/* + 0.0f: no negative zeros */
			scanner->position_mm[n] = scanner->position_mm[n] * orientations[o].sign[n % 3] + 0.0f;
			scanner->normal[n] = scanner->normal[n] * orientations[o].sign[n % 3] + 0.0f;
		}
		return ISO_OK;
	}
	return iso_fail(err, ISO_BAD_INPUT, h->path, "one of HFS, HFP, FFS, FFP is needed",
			"the patient's orientation '%s' is not known to this reader", h->orientation);
}

static iso_status make_scanner(const iso_petlink_header *h, const iso_export_options *options, iso_scanner **out,
			       iso_json *facts, iso_error *err)
{
	const known_scanner *known = recognise(h);
	const iso_petlink_layout *l = &h->layout;
	double depth_mm = known ? known->mean_depth_mm : options->mean_depth_mm;
	if (isnan(depth_mm) && options->count_only) depth_mm = 0;
	if (isnan(depth_mm))
		return iso_fail(err, ISO_BAD_INPUT, h->path, "state the mean depth of interaction with --mean-depth MM",
				"a scanner of %u rings of %u crystals, radius %g mm, is not known to this reader",
				l->rings, l->crystals_per_ring, h->radius_mm);
	if (known && !isnan(options->mean_depth_mm) && options->mean_depth_mm != known->mean_depth_mm)
		return iso_fail(err, ISO_BAD_INPUT, h->path, "leave --mean-depth out",
				"the mean depth of the %s is %g mm and not the stated %g mm", known->name,
				known->mean_depth_mm, options->mean_depth_mm);
	iso_ring_description rings = {.rings = l->rings,
				      .crystals_per_ring = l->crystals_per_ring,
				      .radius_mm = h->radius_mm,
				      .mean_depth_mm = depth_mm,
				      .ring_spacing_mm = h->ring_spacing_mm,
				      .first_angle_rad = -1.5707963267948966,
				      .crystal_size_mm = {(double)NAN, (double)NAN, (double)NAN},
				      .attenuation_per_mm = (double)NAN};
	if (known) {
		snprintf(rings.name, sizeof rings.name, "%s", known->name);
		memcpy(rings.crystal_size_mm, known->crystal_size_mm, sizeof rings.crystal_size_mm);
	} else
		iso_export_warn(facts, "this scanner is not known: every position of a ring is taken for a crystal");
	iso_status status = iso_scanner_from_rings(&rings, out, err);
	if (status == ISO_OK) status = orient(*out, h, facts, err);
	if (status != ISO_OK) return status;
	iso_scanner *scanner = *out;
	if (known && known->gap_period)
		for (uint32_t e = 0; e < scanner->elements; e++)
			if (e % l->crystals_per_ring % known->gap_period == known->gap_at) scanner->efficiency[e] = 0;
	/* The limits lie half-way between the last difference that the addresses have and the first that they have not,
	 * where no rounding decides. A line of tang t passes the axis at R sin(pi |t| / D). The most negative tang of an even
	 * number has no positive partner: the pairs at that outermost distance are counted as possible though only
	 * half of them are; it lies outside the field of view. */
	scanner->rule.max_axial_difference_mm = (l->max_ring_difference + 0.5) * h->ring_spacing_mm;
	scanner->rule.max_transaxial_offset_mm =
	    (h->radius_mm + depth_mm) * sin(3.141592653589793 * (l->tangs / 2 + 0.5) / l->crystals_per_ring);
	scanner->calibration_factor = options->calibration_factor;
	scanner->calibration_uncertainty = options->calibration_uncertainty;
	return ISO_OK;
}

/* Address to pair with the rings of every sinogram looked up. */
typedef struct petlink_format {
	iso_petlink_layout layout;
	const float *efficiency; /* of the scanner that the stream owns */
	uint32_t bins;
	uint16_t (*ring)[2]; /* [sinograms] */
} petlink_format;

static int decode(const void *format, uint64_t w, iso_event *event, uint64_t *tag_ms)
{
	const petlink_format *self = format;
	const iso_petlink_layout *l = &self->layout;
	if (w & 0x80000000u) {
		*tag_ms = w & 0x1fffffffu;
		return (w >> 29) == 4 ? ISO_FATE_TIME : ISO_FATE_OTHER_TAG;
	}
	const uint32_t address = (uint32_t)w & 0x3fffffffu;
	if (address >= self->bins) return ISO_FATE_REJECTED + ISO_REJECT_OUTSIDE_SCANNER;
	const uint32_t tang = address % l->tangs, rest = address / l->tangs;
	const uint16_t *ring = self->ring[rest / l->views];
	uint32_t det[2];
	iso_petlink_transaxial(l, tang, rest % l->views, det);
	event->element[0] = ring[0] * l->crystals_per_ring + det[0];
	event->element[1] = ring[1] * l->crystals_per_ring + det[1];
	/* a position where there is no crystal */
	if (self->efficiency[event->element[0]] <= 0 || self->efficiency[event->element[1]] <= 0)
		return ISO_FATE_REJECTED + ISO_REJECT_OUTSIDE_SCANNER;
	event->tof_bin = 0;
	event->window = 0;
	return w & 0x40000000u ? ISO_FATE_PROMPT : ISO_FATE_DELAYED;
}

static void format_free(void *format)
{
	petlink_format *self = format;
	if (self) free(self->ring);
	free(self);
}

static const iso_record_format petlink_records = {
    .name = "Siemens PETLINK 32-bit list-mode",
    .record_bytes = 4,
    .outside_remedy = "give the header that belongs to this file: rings, views, projections or ring difference differ",
    .decode = decode,
    .free = format_free};

static petlink_format *format_create(const iso_petlink_layout *layout, const float *efficiency)
{
	petlink_format *self = calloc(1, sizeof *self);
	if (!self) return NULL;
	self->layout = *layout;
	self->efficiency = efficiency;
	self->bins = layout->tangs * layout->views * layout->sinograms;
	self->ring = calloc(layout->sinograms, sizeof *self->ring);
	if (!self->ring) {
		free(self);
		return NULL;
	}
	for (uint32_t s = 0; s < layout->sinograms; s++) {
		uint32_t ring[2] = {0, 0};
		(void)iso_petlink_axial(layout, s, ring);
		self->ring[s][0] = (uint16_t)ring[0];
		self->ring[s][1] = (uint16_t)ring[1];
	}
	return self;
}

static void put_header_facts(iso_json *facts, const iso_petlink_header *h)
{
	iso_json_put(facts, "format", json_string(petlink_records.name));
	iso_json_put(facts, "header", iso_json_readable(iso_base_name(h->path)));
	iso_json_put(facts, "data", iso_json_readable(iso_base_name(h->data_path)));
	iso_json_put(facts, "originating_system", json_string(h->originating_system));
	if (h->words) iso_json_put(facts, "header_records", json_integer((json_int_t)h->words));
	if (!isnan(h->duration_s)) iso_json_put(facts, "header_duration_s", json_real(h->duration_s));
	if (h->orientation[0]) iso_json_put(facts, "patient_orientation", json_string(h->orientation));
	if (h->warning[0]) iso_export_warn(facts, "%s", h->warning);
}

static iso_status open_stream(iso_petlink_header *h, const iso_export_options *options, iso_events **out,
			      iso_error *err)
{
	iso_scanner *scanner = NULL;
	petlink_format *format = NULL;
	iso_json facts = iso_json_begin();
	put_header_facts(&facts, h);
	iso_status status = make_scanner(h, options, &scanner, &facts, err);
	if (status == ISO_OK) {
		snprintf(h->acquisition.scanner_name, sizeof h->acquisition.scanner_name, "%s", scanner->name);
		status = iso_export_merge(&h->acquisition, &options->stated, h->path, err);
	}
	if (status == ISO_OK && !(format = format_create(&h->layout, scanner->efficiency)))
		status = iso_fail_memory(err, "the sinogram table", h->layout.sinograms * sizeof *format->ring);
	if (status != ISO_OK) {
		iso_scanner_free(scanner);
		iso_json_end(&facts);
		return status;
	}
	const iso_record_file file = {.path = h->data_path,
				      .offset = h->data_offset,
				      .methods = &petlink_records,
				      .format = format,
				      .stated_records = h->words,
				      .stated_duration_s = h->duration_s,
				      .require_complete = options->require_complete && !options->count_only,
				      .tags_from_start = true};
	return iso_record_stream_open(&file, scanner, &h->acquisition, &facts, out, err);
}

iso_status iso_petlink_open(const char *header_path, const iso_export_options *options, iso_events **out,
			    iso_error *err)
{
	iso_petlink_header *header = malloc(sizeof *header);
	if (!header) return iso_fail_memory(err, "a header", sizeof *header);
	iso_status status = iso_petlink_header_read(header_path, header, err);
	if (status == ISO_OK) status = open_stream(header, options, out, err);
	free(header);
	return status;
}
